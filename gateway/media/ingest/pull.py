"""Fetching a stream by FFmpeg, in a thread of its own: what FFmpeg does there cannot be interrupted from outside.

The thread looks whether it is still wanted after every packet; one that waits for a silent peer lives on until its
read times out, as a daemon, and holds up nobody.
"""

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from typing import Any, Protocol

import av.error
import structlog
from av.container import InputContainer

from gateway.domain.session import EndReason
from gateway.domain.source import ProbeReport, PullSpec
from gateway.media.ingest.pull_open import (
    PullError,
    SourceTracks,
    address_of,
    lost_words,
    opened,
    tracks_of,
)
from gb28181.aio.clock import monotonic
from gb28181.es.unit import MediaUnit

__all__ = ["PullThread", "Puller", "probe_in_thread"]

log = structlog.get_logger()

MAX_WAITING = 1_000
"""Units that wait for the loop: 10 s of picture and sound."""
MAX_WAITING_BYTES = 16 * 1024 * 1024


class Puller(Protocol):
    """Who gets what was fetched; called on the loop, must not block or raise."""

    def pull_connected(self, source: str, remarks: Sequence[str]) -> None:
        """The streams are known; `source` is `host:port`, `remarks` says what is left out."""

    def pull_units(self, units: Sequence[MediaUnit], dropped: int) -> None:
        """Take units; `dropped` of them were lost so far because the loop was too slow."""

    def pull_failed(self, code: str, detail: str) -> None:
        """It is over; told once."""


class PullThread:
    """Fetches one stream until it ends or is stopped.

    Between thread and loop is a bounded queue. Overflow: all that waits is dropped, and everything up to the next key
    frame with it.

    Args:
        name: For the thread's name and logs.
        spec: What to fetch.
        owner: Gets what comes.
        loop: Where the owner lives.
    """

    def __init__(
        self, name: str, spec: PullSpec, owner: Puller, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._name = name
        self._spec = spec
        self._owner = owner
        self._loop = loop
        self._stopping = threading.Event()
        self.ended = asyncio.Event()
        """Set once the thread is over."""
        self._lock = threading.Lock()
        self._waiting: list[MediaUnit] = []
        self._waiting_bytes = 0
        self._await_keyframe = False
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name=f"pull:{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Tell nothing more and end soon; idempotent."""
        self._stopping.set()
        with self._lock:
            self._waiting.clear()

    # In the thread

    def _run(self) -> None:
        code, detail = EndReason.SOURCE_LOST, "The source has ended the stream"
        try:
            with opened(self._spec) as container:
                tracks = tracks_of(container)
                self._call(
                    self._owner.pull_connected, address_of(self._spec.url), tuple(tracks.remarks)
                )
                self._read(container, tracks)
        except PullError as exc:
            code, detail = exc.code, exc.detail
        # The boundary of the thread: whatever goes wrong in it is the end of this source alone.
        except Exception as exc:  # noqa: BLE001
            code = EndReason.INTERNAL_ERROR
            detail = f"The gateway failed on this source ({type(exc).__name__})"
            log.error("pull_failed", name=self._name, error=type(exc).__name__)  # noqa: TRY400 - the text may hold the URL
        finally:
            self._call(self._over, code.value, detail)

    def _read(self, container: InputContainer, tracks: SourceTracks) -> None:
        try:
            for packet in container.demux(tracks.streams):
                if self._stopping.is_set():
                    return
                track = tracks.by_index.get(packet.stream_index)
                if track is None or not packet.size:
                    continue
                try:
                    unit = track.unit(packet)
                except ValueError:
                    continue
                if unit is not None:
                    self._offer(unit)
        except av.error.EOFError:
            return
        except av.error.FFmpegError as exc:
            raise PullError(EndReason.SOURCE_LOST, lost_words(exc, self._spec)) from None

    def _offer(self, unit: MediaUnit) -> None:
        with self._lock:
            full = len(self._waiting) >= MAX_WAITING or self._waiting_bytes >= MAX_WAITING_BYTES
            if full:
                self._dropped += len(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
                self._await_keyframe = True
            if self._await_keyframe and not (unit.is_video and unit.keyframe):
                self._dropped += 1
                return
            self._await_keyframe = False
            first = not self._waiting
            self._waiting.append(unit)
            self._waiting_bytes += len(unit.payload)
        if first:
            self._call(self._hand_over)

    def _call(self, call: Any, *arguments: Any) -> None:  # noqa: ANN401 - any of the calls below
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            # The loop is closed: nobody is left to be told.
            self._stopping.set()

    # On the loop

    def _hand_over(self) -> None:
        with self._lock:
            units, self._waiting = self._waiting, []
            self._waiting_bytes = 0
            dropped = self._dropped
        if units and not self._stopping.is_set():
            self._owner.pull_units(units, dropped)

    def _over(self, code: str, detail: str) -> None:
        self._hand_over()
        self.ended.set()
        if not self._stopping.is_set():
            self._stopping.set()
            self._owner.pull_failed(code, detail)


async def probe_in_thread(spec: PullSpec) -> ProbeReport:
    """Connect, read a first packet and say what there is; a cancelled caller leaves the thread to its time-outs."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[ProbeReport] = loop.create_future()

    def settle(report: ProbeReport) -> None:
        if not answer.done():
            answer.set_result(report)

    def work() -> None:
        report = _probe(spec)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, report)

    threading.Thread(target=work, name="probe", daemon=True).start()
    return await answer


def _probe(spec: PullSpec) -> ProbeReport:
    began = monotonic()
    try:
        with opened(spec) as container:
            tracks = tracks_of(container)
            _await_packet(container, tracks, spec)
    except PullError as exc:
        return ProbeReport(
            ok=False, code=exc.code.value, detail=exc.detail, seconds=monotonic() - began
        )
    except Exception as exc:  # noqa: BLE001 - the boundary of the thread
        log.error("probe_failed", error=type(exc).__name__)  # noqa: TRY400 - the text may hold the URL
        return ProbeReport(
            ok=False,
            code=EndReason.INTERNAL_ERROR.value,
            detail=f"The gateway failed on this source ({type(exc).__name__})",
            seconds=monotonic() - began,
        )
    return ProbeReport(
        ok=True,
        detail="; ".join(tracks.remarks),
        seconds=monotonic() - began,
        tracks=tuple(tracks.words),
    )


def _await_packet(container: InputContainer, tracks: SourceTracks, spec: PullSpec) -> None:
    try:
        found = any(packet.size for packet in container.demux(tracks.streams))
    except av.error.FFmpegError as exc:
        raise PullError(EndReason.NO_PACKET, lost_words(exc, spec)) from None
    if not found:
        raise PullError(EndReason.NO_PACKET, "The source was reached, but it sends nothing")
