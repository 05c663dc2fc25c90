"""Chunks to files: what is durable, and how far. Blocks; used by one thread at a time."""

import errno
from collections.abc import Mapping, Sequence

from gateway.domain.audit import AuditFiles
from gateway.sharing.audit.chain import Chunk

__all__ = ["Journal"]


class Journal:
    """Appends chunks in order and knows the size that each file must have.

    A write that failed may have left a part behind, or data the disk only pretends to have: it is cut before the same
    bytes are written again. Nothing is cut that another process wrote before this one could write at all.

    Args:
        files: Where to.
        segment: Number of the newest file; 0 is none.
        size: Its bytes.
    """

    def __init__(self, files: AuditFiles, segment: int, size: int) -> None:
        self._files = files
        self._segment = segment
        self._size = size
        self._doubtful = False
        self._began = False
        """Something was written: from then on nobody else does."""

    def write(
        self, chunks: Sequence[Chunk], beside: Mapping[str, bytes]
    ) -> tuple[int, OSError | None]:
        """Append chunks, then replace the files beside; return how many chunks are durable and why not more."""
        done = 0
        try:
            for chunk in chunks:
                self._append(chunk)
                done += 1
            for name, data in beside.items():
                self._files.write_beside(name, data)
        except OSError as exc:
            return done, exc
        return done, None

    def _append(self, chunk: Chunk) -> None:
        size = self._size if chunk.segment == self._segment else 0
        if self._doubtful:
            self._files.truncate(chunk.segment, size)
        self._files.lock()
        self._doubtful = True
        try:
            self._files.append(chunk.segment, b"".join(chunk.parts), at=size)
        except OSError as exc:
            # Nothing was written, and what is there is another's who wrote after the end was looked for.
            self._doubtful = self._began or exc.errno != errno.ESTALE
            raise
        self._doubtful, self._began = False, True
        self._segment, self._size = chunk.segment, size + chunk.size
