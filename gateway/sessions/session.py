"""One live session: one way to its media, one stream, however many viewers.

The session is an actor: `run` is its only task and owns the way with all it holds.
Callbacks from media and signalling only write facts into the record and wake it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from gateway.domain.errors import GatewayError, SessionFailed
from gateway.domain.session import Ended, EndReason, SessionRecord, SessionState, Stage
from gateway.sessions.invite import reason_of
from gateway.sessions.ports import SessionSettings
from gateway.sessions.way import MediaWay

__all__ = ["LiveSession"]

READ_FIRST = 0.02
"""Seconds between the end of a deadline and its judgement."""

_INTERNAL = Ended(
    EndReason.INTERNAL_ERROR, "The session failed inside the gateway; its log says more"
)


class LiveSession:
    """Brings one channel's stream here and keeps it while somebody watches.

    Args:
        record: The diagnosis, filled in as things happen.
        way: Gets the media.
        settings: Deadlines.
        now: Monotonic clock in seconds.
    """

    def __init__(
        self,
        record: SessionRecord,
        way: MediaWay,
        *,
        settings: SessionSettings,
        now: Callable[[], float],
    ) -> None:
        self.record = record
        self._way = way
        self._settings = settings
        self._now = now
        self._began = now()
        self.claims = 0
        """Requests that wait for it or are about to attach."""
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._finished = asyncio.Event()
        self._ending: Ended | None = None
        self._idle_since: float | None = None
        self._established_at = 0.0
        self._first_packet_at: float | None = None
        self.reach(Stage.REQUESTED)

    # What others may ask of it

    async def established(self) -> None:
        """Wait until the INVITE is answered usably.

        Raises:
            SessionFailed: it ended first.
        """
        await self._settled.wait()
        ended = self.record.ended or self._ending
        if ended is not None:
            raise SessionFailed(self.record.session_id, ended)

    async def finished(self) -> None:
        """Wait until everything it held is given back."""
        await self._finished.wait()

    def finish(self, reason: EndReason, detail: str, sip_status: int | None = None) -> None:
        """Begin to end; the first reason stays."""
        if self._ending is None:
            self._ending = Ended(reason, detail, sip_status)
        self._wake.set()

    def reach(self, stage: Stage) -> None:
        """Note a stage; what still arrives while it ends is no progress."""
        if stage not in self.record.stages and self._ending is None:
            self.record.stages[stage] = self._now() - self._began
            self._wake.set()

    async def until_reached(self, stage: Stage) -> None:
        """Wait until a stage is reached, or it ends."""
        while self._ending is None and stage not in self.record.stages:
            await self._wake.wait()
            self._wake.clear()

    async def until_ending(self, woken: asyncio.Event) -> None:
        """Wait until it ends, then set `woken`."""
        while self._ending is None:
            await self._wake.wait()
            self._wake.clear()
        woken.set()

    @property
    def events(self) -> "LiveSession":
        """Takes what the media plane tells."""
        return self

    @property
    def ending(self) -> bool:
        """Whether it is on its way out and must not be joined."""
        return self._ending is not None

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold it for somebody who is about to attach; meanwhile it does not end for want of viewers."""
        self.claims += 1
        try:
            yield
        finally:
            self.claims -= 1
            if self._idle_since is not None:
                # Who asked for it has the whole grace to come and watch.
                self._idle_since = self._now()
            self._wake.set()

    @property
    def idle_since(self) -> float | None:
        """Monotonic second since which nobody watches; None while somebody does, or before the answer."""
        return self._idle_since

    # Its one task

    async def run(self) -> None:
        """Live through all states; never raises for what a peer does."""
        try:
            await self._establish()
            self._settled.set()
            await self._supervise()
        except GatewayError as exc:
            self.finish(reason_of(exc), exc.detail)
        except asyncio.CancelledError:
            self.finish(EndReason.SHUTDOWN, "The gateway is stopping")
            raise
        finally:
            self._ending = self._ending or _INTERNAL
            self.record.state = SessionState.CLOSING
            self._settled.set()
            try:
                await self._way.release(self._ending)
            finally:
                self._conclude()

    async def _establish(self) -> None:
        record = self.record
        record.state = SessionState.INVITING
        await self._way.establish(self)
        if self._ending is None:
            self._established_at = self._now()
            record.state = SessionState.RUNNING
            self._idle_since = self._now() if record.viewers == 0 else None

    async def _supervise(self) -> None:
        while self._ending is None:
            deadline = min(self._deadlines(), default=None, key=lambda item: item[0])
            wait = None if deadline is None else max(0.0, deadline[0] - self._now())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            self._wake.clear()
            if any(self._now() >= at for at, _, _ in self._deadlines()):
                # If we stood still, what came in time waits in the sockets: it is read first.
                await asyncio.sleep(READ_FIRST)
            for at, reason, detail in self._deadlines():
                if self._now() >= at:
                    self.finish(reason, detail)

    def _deadlines(self) -> list[tuple[float, EndReason, str]]:
        settings, stages = self._settings, self.record.stages
        found: list[tuple[float, EndReason, str]] = []
        if Stage.FIRST_PACKET not in stages:
            wait = settings.first_packet_timeout
            found.append((self._established_at + wait, *self._way.no_packet(self, wait)))
        elif Stage.DECODABLE not in stages and self._first_packet_at is not None:
            found.append(
                (
                    self._first_packet_at + settings.decodable_timeout,
                    EndReason.NOT_DECODABLE,
                    (
                        f"RTP came, but no key frame with parameter sets within "
                        f"{settings.decodable_timeout:g} s"
                    ),
                )
            )
        if self._idle_since is not None and not self.claims and not self._way.keeps:
            found.append(
                (
                    self._idle_since + settings.no_readers_grace,
                    EndReason.NO_READERS,
                    f"Nobody watched for {settings.no_readers_grace:g} s",
                )
            )
        return found

    def _conclude(self) -> None:
        self.record.state = SessionState.ENDED
        self.record.ended = self._ending
        self._finished.set()

    # MediaEvents: called on the loop by the receiver

    def media_connected(self) -> None:
        """Note the TCP connection."""
        self.reach(Stage.CONNECTED)

    def media_connect_failed(self, detail: str) -> None:
        """End: no media connection."""
        self.finish(EndReason.CONNECT_FAILED, detail)

    def media_first_packet(self, ssrc: int, source: str) -> None:
        """Note that media comes."""
        self._first_packet_at = self._now()
        self.reach(Stage.FIRST_PACKET)
        self._way.packet_came(self, ssrc, source)

    def media_decodable(self) -> None:
        """Note that a decoder could start."""
        self.reach(Stage.DECODABLE)

    def media_first_output(self) -> None:
        """Note that a viewer got bytes."""
        self.reach(Stage.FIRST_OUTPUT)

    def media_lost(self, detail: str) -> None:
        """End: the source went away."""
        self.finish(EndReason.SOURCE_LOST, detail)

    def media_unsupported(self, detail: str) -> None:
        """End: nobody could play it."""
        self.finish(EndReason.CODEC_UNSUPPORTED, detail)

    def ingest_failed(self, code: str, detail: str) -> None:
        """End: the foreign source could not be had."""
        self.finish(EndReason(code), detail)

    def media_viewers(self, count: int) -> None:
        """Start or stop the grace period."""
        self.record.viewers = count
        if count and self.record.first_reader is None:
            self.record.first_reader = self._now() - self._began
        self._idle_since = self._now() if count == 0 else None
        self._wake.set()
