"""Small files that only their owner may read: keys. Everything here blocks."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from gateway.domain.errors import Unavailable

__all__ = ["make_once", "sync_directory", "write_whole"]


def make_once(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return what a file holds; make it first if it is not there, whoever else may be doing the same.

    Raises:
        Unavailable: `store_unavailable` if it can neither be read nor made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path, make())
        if path.stat().st_mode & 0o077:
            # E.g. restored from a backup.
            path.chmod(0o600)
        return path.read_bytes()
    except OSError as exc:
        raise Unavailable("store_unavailable", f"{path} cannot be used: {exc.strerror}") from exc


def write_whole(path: Path, data: bytes, *, mode: int) -> None:
    """Replace a file by new content, durably: all of it or nothing."""
    temporary = _write_beside(path, data, mode)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make(path: Path, data: bytes) -> None:
    temporary = _write_beside(path, data, 0o600)
    try:
        # A link, other than a rename, never takes the place of what another process made meanwhile.
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def _write_beside(path: Path, data: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary
