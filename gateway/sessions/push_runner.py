"""One push: asked for, sent, ended, tried again."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar
from urllib.parse import urlsplit

import structlog

from gateway.domain.device import Channel
from gateway.domain.errors import Forbidden, GatewayError, NotFound
from gateway.domain.policy import (
    Access,
    AccessContext,
    AccessControl,
    AccessRequest,
    Action,
    Role,
    Subject,
)
from gateway.domain.push import Push, PushConfig, PushMedia, PushSpec, PushState, PushStatus
from gateway.domain.session import SessionRecord
from gateway.domain.signalling import Origin

__all__ = ["PushChannels", "PushNeeds", "PushRunner", "PushSessions"]

log = structlog.get_logger()

FIRST_WAIT: Final = 2.0
LONGEST_WAIT: Final = 60.0
"""Seconds between tries, doubled from the first to this."""
SOUND: Final = 30.0
"""Seconds a push must have run for the next wait to be the first one again."""
DENIED_WAIT: Final = 30.0
"""Seconds after which the policy is asked again though nothing has told that it changed."""
_T = TypeVar("_T")
_SECRECY: Final = "builtin:secrecy"


class PushSessions(Protocol):
    """Starts streams."""

    async def join(
        self,
        device_id: str,
        channel_id: str,
        attach: Callable[[SessionRecord], _T],
        *,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> tuple[SessionRecord, _T]:
        """Attach anything to a channel's stream, starting the stream if need be."""


class PushChannels(Protocol):
    """The registry."""

    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        """Return one channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushNeeds:
    """What every push works with."""

    channels: PushChannels
    sessions: PushSessions
    media: PushMedia
    access: AccessControl
    wall: Callable[[], datetime]
    """Wall clock, timezone-aware."""
    now: Callable[[], float]
    """Monotonic seconds."""
    spread: Callable[[], float]
    """A number from 0.5 to 1.5, so that many pushes are not tried at once."""
    connect_timeout: Callable[[], float]
    """Seconds a target may take to accept a stream."""


class PushRunner:
    """One enabled push: its task, its state, and what is running for it. Implements `PushEvents`.

    Args:
        config: What goes where.
        needs: What it works with.
    """

    def __init__(self, config: PushConfig, needs: PushNeeds) -> None:
        self.config = config
        self.status = PushStatus(state=PushState.STARTING, since=needs.wall())
        self.wake = asyncio.Event()
        """Set to try again at once."""
        self.over = asyncio.Event()
        """Set once its task holds nothing any more."""
        self._needs = needs
        self._push: Push | None = None
        self._access: Access | None = None
        self._ended: tuple[str, str] | None = None
        self._finished = asyncio.Event()
        self._leaving: tuple[str, str] | None = None
        self._asking: asyncio.Timeout | None = None
        """While the camera is asked: ends that wait."""
        self._denied = ""
        """Reason of the denial that was put on record last."""

    @property
    def running(self) -> bool:
        """Whether a stream is held for it."""
        return self._push is not None

    @property
    def sent(self) -> int:
        """Bytes handed to the target since it runs."""
        return 0 if self._push is None else self._push.sent

    def leave(self, code: str, detail: str) -> None:
        """End it for good; `over` is set once all is given back."""
        self._leaving = (code, detail)
        self.wake.set()
        self._stop(code, detail)
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.reschedule(asyncio.get_running_loop().time())

    # What the media plane tells

    def push_connected(self) -> None:
        """The target takes the stream."""
        self._note(PushState.RUNNING)

    def push_ended(self, code: str, detail: str) -> None:
        """It is over."""
        self._ended = (code, detail)
        self._finished.set()

    # The task

    async def run(self) -> None:
        """Try, wait, try again, until it is left."""
        try:
            await self._keep()
        finally:
            self.over.set()

    async def _keep(self) -> None:
        wait = FIRST_WAIT
        while self._leaving is None:
            began = self._needs.now()
            self._note(PushState.STARTING, self.status.reason, self.status.detail)
            self.wake.clear()
            code, detail, denied = await self._try()
            if self._has_left():
                return
            if self._needs.now() - began > SOUND:
                wait, self.status.tries = FIRST_WAIT, 0
            self.status.tries += 1
            pause = DENIED_WAIT if denied else wait * self._needs.spread()
            log.warning(
                "push_ended",
                push_id=self.config.push_id,
                reason=code,
                detail=detail,
                wait_s=round(pause, 1),
            )
            self._note(PushState.DENIED if denied else PushState.WAITING, code, detail)
            self.status.next_try_at = self._needs.wall() + timedelta(seconds=pause)
            try:
                async with asyncio.timeout(pause):
                    await self.wake.wait()
            except TimeoutError:
                wait = min(wait * 2, LONGEST_WAIT)

    def _has_left(self) -> bool:
        return self._leaving is not None

    async def _try(self) -> tuple[str, str, bool]:
        """Push until it ends; returns why, and whether the policy does not allow it."""
        try:
            code, detail = await self._once()
        except Forbidden as exc:
            return exc.code, exc.detail, True
        except GatewayError as exc:
            return exc.code, exc.detail, False
        except Exception:
            # A boundary: this push is tried again, the others go on.
            log.exception("push_failed", push_id=self.config.push_id)
            return "internal_error", "The push failed inside the gateway; its log says more", False
        return code, detail, False

    async def _once(self) -> tuple[str, str]:
        """Push until it ends.

        Only what is really sent is an access on record; a denial is recorded once, not at each try.

        Raises:
            GatewayError: denied, or the stream cannot be had.
        """
        config, needs = self.config, self._needs
        channel = needs.channels.channel(config.device_id, config.channel_id)
        if channel is None:
            raise NotFound("channel_unknown", "The channel is in no catalogue any more")
        request = self._request(channel)
        stream = self._decided(request, channel)
        try:
            await self._ask(request, stream)
            await self._finished.wait()
        finally:
            self._push, access, self._access = None, self._access, None
            ended, self._ended = self._ended or ("shutdown", "The gateway is stopping"), None
            self._finished.clear()
            if access is not None:
                access.end(*ended)
        return ended

    async def _ask(self, request: AccessRequest, stream: int) -> None:
        """Have the camera's stream and begin to send it; who leaves meanwhile does not wait for the camera."""
        config = self.config
        try:
            async with asyncio.timeout(None) as self._asking:
                await self._needs.sessions.join(
                    config.device_id,
                    config.channel_id,
                    lambda record: self._attach(record, request),
                    stream=stream,
                    origin=Origin(asker=request.subject.label),
                )
        except TimeoutError:
            if self._leaving is None:
                raise
            raise NotFound(*self._leaving) from None
        finally:
            self._asking = None

    def _decided(self, request: AccessRequest, channel: Channel) -> int:
        """Return which stream may be sent.

        Raises:
            Forbidden: none.
        """
        if channel.secrecy and not self.config.department:
            detail = "Secret channels are sent to no other server"
            if self._denied != "secrecy":
                self._denied = "secrecy"
                self._needs.access.refuse(request, "secrecy", detail)
            raise Forbidden("secrecy", detail, rule=_SECRECY)
        decision = self._needs.access.decide(
            request.subject, request.action, channel, request.context
        )
        if not decision.allowed:
            if self._denied != decision.reason:
                self._denied = decision.reason
                words = decision.reason, decision.detail
                self._needs.access.refuse(request, *words, rule=decision.rule)
            raise Forbidden(decision.reason, decision.detail, rule=decision.rule)
        self._denied = ""
        return 1 if decision.obligations.sub_stream else self.config.stream

    def _attach(self, record: SessionRecord, request: AccessRequest) -> None:
        """Decide again, now that the camera is there, put it on record, and begin to send."""
        if self._leaving is not None:
            raise NotFound(*self._leaving)
        config = self.config
        self._access = self._needs.access.open(request, self._stop)
        spec = PushSpec(
            push_id=config.push_id,
            kind=config.kind,
            url=config.url,
            connect_timeout=self._needs.connect_timeout(),
            tls_verify=config.tls_verify,
        )
        try:
            self._push = self._needs.media.push(record.stream_id, spec, self)
        except GatewayError as exc:
            self._ended = (exc.code, exc.detail)
            raise

    def _stop(self, code: str, detail: str) -> None:
        if self._push is not None:
            self._push.close(code, detail)

    def _note(self, state: PushState, reason: str = "", detail: str = "") -> None:
        status = self.status
        if status.state is not state:
            status.state, status.since = state, self._needs.wall()
        status.reason, status.detail = reason, detail
        status.next_try_at = None
        if state is PushState.RUNNING:
            log.info("push_started", push_id=self.config.push_id)

    def _request(self, channel: Channel) -> AccessRequest:
        config = self.config
        if config.department:
            subject = Subject(department=config.department)
        else:
            # It is the gateway's own and outlives the account that set it up, which is on record.
            subject = Subject(role=Role.ADMIN.value)
        return AccessRequest(
            subject=subject,
            action=Action.LIVE,
            channel=channel,
            object_id=f"{channel.device_id}/{channel.channel_id}",
            context=AccessContext(
                at=self._needs.wall(), source=urlsplit(config.url).hostname or ""
            ),
            via="push",
            detail=f"push:{config.push_id}",
        )
