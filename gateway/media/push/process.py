"""One push: the child process, its pipe, and what it tells."""

import asyncio
import json
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import FileIO

import structlog

from gateway.domain.media import Viewer
from gateway.domain.push import PushEvents, PushSpec, shown_target
from gateway.media.hls.initial import has_sound
from gateway.media.push.program import PROGRAM_KINDS, program_arguments

__all__ = ["SOUND_CAME", "PushProcess"]

log = structlog.get_logger()

SOUND_CAME = "sound_came"
"""Why one ends that began without the sound which the stream has now."""
FINISH = 3.0
"""Seconds in which the child may end in good order once its input is closed; then it is killed."""
MAX_PENDING = 8 * 1024 * 1024
"""Bytes kept while the child starts: two groups of pictures of a 4 Mbit/s camera and some to spare."""
MAX_SAID = 8
"""Last lines of the child's complaints that are kept."""
MAX_LINE = 65_536
"""Bytes of a line from the child: longer ones end it."""
_URL = re.compile(r"\b(?:rtmps?|rtsps?|srt)://\S+", re.IGNORECASE)


async def _started(spec: PushSpec, ffmpeg: str) -> asyncio.subprocess.Process:
    """Start the process that sends.

    Raises:
        OSError: it cannot be started.
    """
    if spec.kind not in PROGRAM_KINDS:
        return await _executed(sys.executable, "-m", "gateway.media.push.child")
    arguments, preset = await asyncio.to_thread(_prepared, spec)
    with preset:
        return await _executed(ffmpeg, *arguments, pass_fds=(preset.fileno(),))


def _prepared(spec: PushSpec) -> tuple[list[str], FileIO]:
    """Return the program's arguments, and its preset as a file in memory that only this process and the child have.

    It is an object that closes itself, for nobody takes it any more if the push is stopped meanwhile.
    """
    preset = FileIO(os.memfd_create("preset"), "w")
    arguments, secrets = program_arguments(spec, f"/dev/fd/{preset.fileno()}")
    preset.write(secrets)
    return arguments, preset


async def _executed(*command: str, pass_fds: Sequence[int] = ()) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=MAX_LINE,
        pass_fds=pass_fds,
    )


class PushProcess:
    """Sends one stream's fragmented MP4 to a target; implements `Push` and is a `ViewerSink`.

    Args:
        spec: The target.
        events: Told of its life.
        ffmpeg: Path of the program, for the kinds that need it.
        has_sound: Tells whether the stream has sound now; None: never mind.
    """

    framing = "raw"

    def __init__(
        self,
        spec: PushSpec,
        events: PushEvents,
        *,
        ffmpeg: str = "",
        has_sound: Callable[[], bool] | None = None,
    ) -> None:
        self.sent = 0
        self.viewer: Viewer | None = None
        """Set once it is attached to the stream."""
        self._spec = spec
        self._ffmpeg = ffmpeg
        self._events = events
        self._has_sound = has_sound
        self._silent: bool | None = None
        """Whether the header told of no sound; None before it."""
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._stdin: asyncio.StreamWriter | None = None
        self._connected = asyncio.Event()
        self._end: tuple[str, str] | None = None
        self._over = asyncio.Event()
        self._said: deque[str] = deque(maxlen=MAX_SAID)
        self._failure = ""

    # ViewerSink

    def write(self, data: bytes) -> None:
        """Hand on these bytes."""
        if self._end is not None:
            return
        if self._silent is None:
            self._silent = not has_sound(data)
        elif self._silent and self._has_sound is not None and self._has_sound():
            self.close(SOUND_CAME, "Sound has come: the push begins anew with it")
            return
        if self._stdin is None:
            self._pending.append(data)
            self._pending_bytes += len(data)
            if self._pending_bytes > MAX_PENDING:
                self.close("push_timeout", "The process that sends to the target did not start")
        elif not self._stdin.is_closing():  # a child that has ended says why, see `run`
            self.sent += len(data)
            self._stdin.write(data)

    def buffered(self) -> int:
        """Return the bytes the child has not yet taken."""
        if self._stdin is None:
            return 0
        return self._stdin.transport.get_write_buffer_size()

    def close(self, code: str, detail: str) -> None:
        """Note why it is over and wake the task; the first call counts."""
        if self._end is None:
            self._end = (code, detail)
            self._over.set()

    # The task

    async def run(self) -> None:
        """Start the child, feed it, and see it end."""
        try:
            await self._live()
        except OSError as exc:
            self.close("push_refused", f"The process that sends cannot be started: {exc}")
        except asyncio.CancelledError:
            # The gateway ends: nothing begins anew.
            self._end = ("push_lost", "The process that sends was stopped")
            raise
        finally:
            code, detail = self._end or ("push_lost", "The process that sends has ended")
            self._events.push_ended(code, detail)
            # Whoever begins anew is there before this one leaves, so that the camera goes on.
            if self.viewer is not None:
                self.viewer.detach()

    async def _live(self) -> None:
        process = await _started(self._spec, self._ffmpeg)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            async with asyncio.TaskGroup() as group:
                name = f"push:{self._spec.push_id}"
                group.create_task(self._told(process.stdout), name=f"{name}:told")
                group.create_task(
                    _lines(process.stderr, self._said.append), name=f"{name}:complaints"
                )
                group.create_task(self._watch(process), name=f"{name}:watch")
                self._begin(process.stdin)
                await self._supervise(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def _begin(self, stdin: asyncio.StreamWriter) -> None:
        if self._spec.kind not in PROGRAM_KINDS:
            spec = self._spec
            first = {"url": spec.url, "kind": spec.kind.value, "tls_verify": spec.tls_verify}
            stdin.write(json.dumps(first).encode() + b"\n")
        self._stdin = stdin
        pending, self._pending = self._pending, deque()
        for data in pending:
            self.write(data)

    async def _supervise(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(self._spec.connect_timeout):
                await self._either()
        except TimeoutError:
            seconds = f"{self._spec.connect_timeout:g} s"
            self.close(
                "push_timeout", self._why(f"{self._target} did not take the stream in {seconds}")
            )
        if self._end is None:
            self._events.push_connected()
            await self._over.wait()
        assert self._stdin is not None
        if self._stdin.transport.get_write_buffer_size():
            # What waits is for a target that does not take it.
            self._stdin.transport.abort()
        else:
            self._stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH):
                await process.wait()
        if process.returncode is None:
            process.kill()

    async def _either(self) -> None:
        """Wait until it is connected or over."""
        async with asyncio.TaskGroup() as group:
            waits = [
                group.create_task(event.wait(), name=f"push:{self._spec.push_id}:wait")
                for event in (self._connected, self._over)
            ]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if self._end is not None:
            return
        # Its last words may still be under way.
        await asyncio.sleep(0.05)
        if self._connected.is_set():
            self.close("push_lost", self._why(f"{self._target} has ended the connection"))
        else:
            self.close("push_refused", self._why(f"{self._target} did not take the stream"))
        log.info("push_process_ended", push_id=self._spec.push_id, status=code)

    async def _told(self, stream: asyncio.StreamReader) -> None:
        def take(line: str) -> None:
            if self._spec.kind in PROGRAM_KINDS:
                name, _, value = line.partition("=")
                if name == "total_size" and value.strip().isdigit() and int(value):
                    self._connected.set()
                return
            with suppress(ValueError):
                said = json.loads(line)
                if said.get("state") == "connected":
                    self._connected.set()
                else:
                    self._failure = str(said.get("detail", ""))

        await _lines(stream, take)

    @property
    def _target(self) -> str:
        return shown_target(self._spec.url)

    def _why(self, sentence: str) -> str:
        said = self._failure or (self._said[-1] if self._said else "")
        said = _URL.sub(lambda match: shown_target(match[0]), said)[:300]
        return f"{sentence}: {said}" if said else sentence


async def _lines(stream: asyncio.StreamReader, take: Callable[[str], None]) -> None:
    with suppress(ValueError):
        while line := await stream.readline():
            take(line.decode("utf-8", "replace").rstrip())
