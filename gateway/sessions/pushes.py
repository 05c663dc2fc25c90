"""Pushes: which channels go to which targets, tried again and again while they are wanted."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

import structlog

from gateway.domain.audit import AuditKind
from gateway.domain.device import Channel
from gateway.domain.document import DocumentStore, SecretBox
from gateway.domain.errors import Conflict, Forbidden, GatewayError, Invalid, NotFound
from gateway.domain.policy import (
    AccessContext,
    AccessControl,
    AccessRequest,
    Action,
    Role,
    Subject,
)
from gateway.domain.push import (
    Push,
    PushConfig,
    PushKind,
    PushMedia,
    PushSpec,
    PushState,
    PushStatus,
)
from gateway.domain.session import SessionRecord
from gateway.domain.signalling import Origin
from gateway.domain.source import shown_url
from gateway.sharing.changelog import ChangeLog
from gb28181.aio.tasks import TaskScope

__all__ = ["MAX_PUSHES", "PushService"]

log = structlog.get_logger()

MAX_PUSHES: Final = 500
"""Each that runs is a process of its own."""
MAX_URL: Final = 2_048
MAX_NAME: Final = 100
FIRST_WAIT: Final = 2.0
LONGEST_WAIT: Final = 60.0
"""Seconds between tries, doubled from the first to this."""
SOUND: Final = 30.0
"""Seconds a push must have run for the next wait to be the first one again."""
CONNECT_TIMEOUT: Final = 20.0
DENIED_WAIT: Final = 30.0
"""Seconds after which the policy is asked again though nothing has told that it changed."""
_COLLECTION: Final = "pushes"
_T = TypeVar("_T")
_SECRECY = "builtin:secrecy"


class _Sessions(Protocol):
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


class _Channels(Protocol):
    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        """Return one channel."""


class _Runner:
    """One enabled push: its task, its state, and what is running for it. Implements `PushEvents`."""

    def __init__(self, service: "PushService", config: PushConfig, status: PushStatus) -> None:
        self.config = config
        self.status = status
        self.push: Push | None = None
        self.wake = asyncio.Event()
        """Set to try again at once."""
        self._service = service
        self._ended: tuple[str, str] | None = None
        self._over = asyncio.Event()
        self.gone = False

    def push_connected(self) -> None:
        self._service.note(self, PushState.RUNNING)

    def push_ended(self, code: str, detail: str) -> None:
        self._ended = (code, detail)
        self._over.set()

    def stop(self, code: str, detail: str) -> None:
        """End what runs; nothing if nothing does."""
        if self.push is not None:
            self.push.close(code, detail)

    def is_gone(self) -> bool:
        """Whether it was deleted, changed or disabled; asked anew after each wait."""
        return self.gone

    async def hold(self, push: Push) -> tuple[str, str]:
        """Wait for the end of what was begun."""
        self.push = push
        await self._over.wait()
        self.push = None
        assert self._ended is not None
        ended, self._ended = self._ended, None
        self._over.clear()
        return ended


class PushService:
    """Owner of all pushes: what is configured, and a task for each that is enabled.

    Args:
        store: Keeps them.
        box: Seals the URLs.
        channels: The registry.
        sessions: Starts streams.
        media: Sends them.
        access: The sharing policy.
        changes: Puts changes on record.
        scope: Owner of the tasks.
        wall: Wall clock, timezone-aware.
        now: Monotonic seconds.
        new_id: Makes identifiers.
        spread: A number from 0.5 to 1.5, so that many pushes are not tried at once.
    """

    def __init__(
        self,
        *,
        store: DocumentStore,
        box: SecretBox,
        channels: _Channels,
        sessions: _Sessions,
        media: PushMedia,
        access: AccessControl,
        changes: ChangeLog,
        scope: TaskScope,
        wall: Callable[[], datetime],
        now: Callable[[], float],
        new_id: Callable[[], str],
        spread: Callable[[], float],
    ) -> None:
        self._store = store
        self._box = box
        self._channels = channels
        self._sessions = sessions
        self._media = media
        self._access = access
        self._changes = changes
        self._scope = scope
        self._wall = wall
        self._now = now
        self._new_id = new_id
        self._spread = spread
        self.connect_timeout = CONNECT_TIMEOUT
        """Seconds a target may take to accept a stream."""
        self._configs: dict[str, PushConfig] = {}
        self._runners: dict[str, _Runner] = {}
        access.on_changed.append(self._policy_changed)

    # Life

    async def start(self) -> None:
        """Read all from the store and begin those that are enabled; what cannot be read is left out and logged."""
        for push_id, body in (await self._store.load_documents(_COLLECTION)).items():
            try:
                url = self._box.unseal(str(body["url"]))
                config = _from_document(push_id, body, url)
                self._check(config)
            except (KeyError, TypeError, ValueError, GatewayError) as exc:
                log.error("push_unreadable", push_id=push_id, error=str(exc))  # noqa: TRY400 - no trace needed
                continue
            self._configs[push_id] = config
            self._begin(config)

    @property
    def running_count(self) -> int:
        """Pushes that hold something."""
        return sum(runner.push is not None for runner in self._runners.values())

    def close(self) -> None:
        """End all that runs."""
        for runner in self._runners.values():
            runner.gone = True
            runner.wake.set()
            runner.stop("shutdown", "The gateway is stopping")

    # Reading

    def list(self) -> list[PushConfig]:
        """Return all, oldest first."""
        return sorted(self._configs.values(), key=lambda item: (item.created_at, item.push_id))

    def get(self, push_id: str) -> PushConfig:
        """Return one.

        Raises:
            NotFound: `push_unknown`.
        """
        config = self._configs.get(push_id)
        if config is None:
            raise NotFound("push_unknown", f"There is no push {push_id[:64]}")
        return config

    def status(self, push_id: str) -> PushStatus:
        """Return how one is now."""
        config = self.get(push_id)
        runner = self._runners.get(push_id)
        if runner is None:
            return PushStatus(state=PushState.DISABLED, since=config.created_at)
        if runner.push is not None:
            runner.status.bytes = runner.push.sent
        return runner.status

    # Changing

    async def add(self, config: PushConfig, *, by: Subject, source: str = "") -> PushConfig:
        """Add one; its identifier and time are made here.

        Raises:
            Invalid: `invalid_push`.
            NotFound: `channel_unknown`.
            Conflict: `too_many_pushes`.
            Unavailable: the store cannot keep it; nothing was changed.
        """
        if len(self._configs) >= MAX_PUSHES:
            raise Conflict("too_many_pushes", f"There are {MAX_PUSHES} pushes already")
        config = replace(config, push_id=self._new_id(), created_at=self._wall())
        self._check(config)
        if self._channels.channel(config.device_id, config.channel_id) is None:
            raise NotFound(
                "channel_unknown",
                f"No channel {config.device_id[:64]}/{config.channel_id[:64]} is known here",
            )
        await self._save(config, "create", by, source)
        return config

    async def change(
        self, push_id: str, changes: Mapping[str, Any], *, by: Subject, source: str = ""
    ) -> PushConfig:
        """Change some fields of one; what runs is begun anew.

        Raises:
            Invalid: `invalid_push`.
            NotFound: `push_unknown`.
            Unavailable: the store cannot keep it; nothing was changed.
        """
        old = self.get(push_id)
        config = replace(old, **changes)
        if config == old:
            return old
        self._check(config)
        await self._save(config, "change", by, source)
        return config

    async def remove(self, push_id: str, *, by: Subject, source: str = "") -> None:
        """Delete one and end it.

        Raises:
            NotFound: `push_unknown`.
            Unavailable: the store cannot delete it; nothing was changed.
        """
        self.get(push_id)
        await self._store.delete_document(_COLLECTION, push_id)
        del self._configs[push_id]
        self._end(push_id)
        self._changes.record("delete", f"push:{push_id}", by, source=source, kind=AuditKind.PUSH)

    def retry(self, push_id: str) -> None:
        """Try again now instead of at the end of the wait.

        Raises:
            NotFound: `push_unknown`.
        """
        self.get(push_id)
        runner = self._runners.get(push_id)
        if runner is not None:
            runner.wake.set()

    async def _save(self, config: PushConfig, action: str, by: Subject, source: str) -> None:
        body = _to_document(config, self._box.seal(config.url))
        await self._store.save_document(_COLLECTION, config.push_id, body)
        self._configs[config.push_id] = config
        detail = (
            f"{config.device_id}/{config.channel_id} to {shown_url(config.url)}"
            f"{' for ' + config.department if config.department else ''}"
            f"{'' if config.enabled else ' (disabled)'}"
        )
        self._changes.record(
            action,
            f"push:{config.push_id}",
            by,
            detail=detail,
            source=source,
            kind=AuditKind.PUSH,
        )
        self._end(config.push_id)
        self._begin(config)

    def _check(self, config: PushConfig) -> None:
        url = config.url
        if len(url) > MAX_URL or any(char <= " " or char == "\x7f" for char in url):
            raise Invalid(
                "invalid_push",
                f"A target's URL has up to {MAX_URL} printable characters without spaces",
            )
        try:
            parts = urlsplit(url)
            known = parts.scheme in set(PushKind) and bool(parts.hostname)
            _ = parts.port
        except ValueError:
            known = False
        if not known:
            raise Invalid(
                "invalid_push",
                "Expected a target such as rtmp://host/app/name, rtsp://host/path or srt://host:port, "
                f"got {shown_url(url)[:100]!r}",
            )
        if len(config.name) > MAX_NAME:
            raise Invalid("invalid_push", f"A name has up to {MAX_NAME} characters")
        if config.stream not in {0, 1}:
            raise Invalid("invalid_push", "stream is 0 (main) or 1 (sub)")
        lacking = self._media.missing(config.kind)
        if lacking is not None:
            raise Invalid("push_impossible", lacking)

    # Running

    def note(self, runner: _Runner, state: PushState, reason: str = "", detail: str = "") -> None:
        """Take over how a push is."""
        status = runner.status
        if status.state is not state:
            status.state, status.since = state, self._wall()
        status.reason, status.detail = reason, detail
        status.next_try_at = None
        if state is PushState.RUNNING:
            log.info("push_started", push_id=runner.config.push_id)

    def _begin(self, config: PushConfig) -> None:
        if not config.enabled:
            return
        status = PushStatus(state=PushState.STARTING, since=self._wall())
        runner = self._runners[config.push_id] = _Runner(self, config, status)
        self._scope.spawn(self._keep(runner), name=f"push:{config.push_id}")

    def _end(self, push_id: str) -> None:
        runner = self._runners.pop(push_id, None)
        if runner is not None:
            runner.gone = True
            runner.wake.set()
            runner.stop("stopped", "The push was changed, disabled or deleted")

    def _policy_changed(self) -> None:
        for runner in self._runners.values():
            if runner.status.state is PushState.DENIED:
                runner.wake.set()

    async def _keep(self, runner: _Runner) -> None:
        """Try, wait, try again."""
        wait = FIRST_WAIT
        while not runner.gone:
            began = self._now()
            self.note(runner, PushState.STARTING, runner.status.reason, runner.status.detail)
            runner.wake.clear()
            denied = False
            try:
                code, detail = await self._once(runner)
            except GatewayError as exc:
                code, detail, denied = exc.code, exc.detail, isinstance(exc, Forbidden)
            if runner.is_gone():
                return
            if self._now() - began > SOUND:
                wait, runner.status.tries = FIRST_WAIT, 0
            runner.status.tries += 1
            pause = DENIED_WAIT if denied else wait * self._spread()
            log.warning(
                "push_ended",
                push_id=runner.config.push_id,
                reason=code,
                detail=detail,
                wait_s=round(pause, 1),
            )
            self.note(runner, PushState.DENIED if denied else PushState.WAITING, code, detail)
            runner.status.next_try_at = self._wall() + timedelta(seconds=pause)
            try:
                async with asyncio.timeout(pause):
                    await runner.wake.wait()
            except TimeoutError:
                wait = min(wait * 2, LONGEST_WAIT)

    async def _once(self, runner: _Runner) -> tuple[str, str]:
        """Push until it ends; returns why.

        Raises:
            GatewayError: denied, or the stream cannot be had.
        """
        config = runner.config
        channel = self._channels.channel(config.device_id, config.channel_id)
        if channel is None:
            raise NotFound("channel_unknown", "The channel is in no catalogue any more")
        request = self._request(config, channel)
        if channel.secrecy and not config.department:
            detail = "Secret channels are sent to no other server"
            self._access.refuse(request, "secrecy", detail)
            raise Forbidden("secrecy", detail, rule=_SECRECY)
        access = self._access.open(request, runner.stop)
        ended = ("stopped", "")
        try:
            stream = 1 if access.decision.obligations.sub_stream else config.stream
            spec = PushSpec(
                push_id=config.push_id,
                kind=config.kind,
                url=config.url,
                connect_timeout=self.connect_timeout,
            )
            _, push = await self._sessions.join(
                config.device_id,
                config.channel_id,
                lambda record: self._media.push(record.stream_id, spec, runner),
                stream=stream,
                origin=Origin(asker=request.subject.label),
            )
            if runner.gone:
                push.close("stopped", "The push was changed, disabled or deleted")
            ended = await runner.hold(push)
        except GatewayError as exc:
            ended = (exc.code, exc.detail)
            raise
        finally:
            access.end(*ended)
        return ended

    def _request(self, config: PushConfig, channel: Channel) -> AccessRequest:
        if config.department:
            subject = Subject(department=config.department)
        else:
            subject = Subject(user=config.owner, role=Role.ADMIN.value)
        return AccessRequest(
            subject=subject,
            action=Action.LIVE,
            channel=channel,
            object_id=f"{channel.device_id}/{channel.channel_id}",
            context=AccessContext(at=self._wall(), source=urlsplit(config.url).hostname or ""),
            via="push",
            detail=f"push:{config.push_id}",
        )


def _to_document(config: PushConfig, sealed: str) -> dict[str, Any]:
    body = {
        item.name: getattr(config, item.name)
        for item in fields(config)
        if item.name not in {"push_id", "url", "created_at"}
    }
    return {**body, "url": sealed, "created_at": config.created_at.isoformat()}


def _from_document(push_id: str, body: Mapping[str, Any], url: str) -> PushConfig:
    known = {item.name for item in fields(PushConfig)} - {"push_id", "url", "created_at"}
    values = {name: body[name] for name in known if name in body}
    return PushConfig(
        push_id=push_id,
        url=url,
        created_at=datetime.fromisoformat(str(body["created_at"])),
        **values,
    )
