"""Pushes: which channels go to which targets, tried again and again while they are wanted."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import structlog

from gateway.domain.audit import AuditKind
from gateway.domain.document import DocumentStore, SecretBox
from gateway.domain.errors import Conflict, GatewayError, Invalid, NotFound
from gateway.domain.policy import AccessControl, Subject
from gateway.domain.push import (
    PushConfig,
    PushKind,
    PushMedia,
    PushState,
    PushStatus,
    shown_target,
)
from gateway.sessions.push_runner import PushChannels, PushNeeds, PushRunner, PushSessions
from gateway.sharing.changelog import ChangeLog
from gb28181.aio.tasks import TaskScope

__all__ = ["MAX_PUSHES", "PushService"]

log = structlog.get_logger()

MAX_PUSHES: Final = 500
"""Each that runs is a process of its own."""
MAX_URL: Final = 2_048
MAX_SEALED_URL: Final = 900
"""Bytes of the URL of a kind that a program sends to: what is secret of it goes in lines of up to 1,000."""
_BY_PROGRAM: Final = frozenset({PushKind.SRT, PushKind.RTMPS})
MAX_NAME: Final = 100
CONNECT_TIMEOUT: Final = 20.0
CLOSE_WAIT: Final = 5.0
"""Seconds in which all that runs may end in good order: the processes get three."""
_COLLECTION: Final = "pushes"


class _Departments(Protocol):
    held_by: list[Callable[[str], str]]

    def get(self, code: str) -> object:
        """Return one; raises NotFound."""


class PushService:
    """Owner of all pushes: what is configured, and a task for each that is enabled.

    Args:
        store: Keeps them.
        box: Seals the URLs.
        departments: Who may receive.
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
        departments: _Departments,
        channels: PushChannels,
        sessions: PushSessions,
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
        self._departments = departments
        self._channels = channels
        self._media = media
        self._changes = changes
        self._scope = scope
        self._wall = wall
        self._new_id = new_id
        self.connect_timeout = CONNECT_TIMEOUT
        """Seconds a target may take to accept a stream."""
        self._needs = PushNeeds(
            channels=channels,
            sessions=sessions,
            media=media,
            access=access,
            wall=wall,
            now=now,
            spread=spread,
            connect_timeout=lambda: self.connect_timeout,
        )
        self._configs: dict[str, PushConfig] = {}
        self._runners: dict[str, PushRunner] = {}
        self._leaving: set[PushRunner] = set()
        """Changed or deleted, and not over yet."""
        self._changing = asyncio.Lock()
        self._closed = False
        access.on_changed.append(self._policy_changed)
        departments.held_by.append(self._held)

    # Life

    async def start(self) -> None:
        """Read all from the store and begin those that are enabled; what cannot be read is left out and logged."""
        for push_id, body in (await self._store.load_documents(_COLLECTION)).items():
            if push_id in self._configs:
                continue  # added while this start was under way
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
        return sum(runner.running for runner in (*self._runners.values(), *self._leaving))

    async def close(self) -> None:
        """End all that runs, and wait a moment for it."""
        self._closed = True
        runners = {*self._runners.values(), *self._leaving}
        for runner in runners:
            runner.leave("shutdown", "The gateway is stopping")
        try:
            async with asyncio.timeout(CLOSE_WAIT):
                for runner in runners:
                    await runner.over.wait()
        except TimeoutError:
            log.warning("pushes_closed_late", waited_s=CLOSE_WAIT)

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
        runner.status.bytes = runner.sent
        return runner.status

    # Changing

    async def add(self, config: PushConfig, *, by: Subject, source: str = "") -> PushConfig:
        """Add one; its identifier and time are made here.

        Raises:
            Invalid: `invalid_push`.
            NotFound: `channel_unknown`, `department_unknown`.
            Conflict: `too_many_pushes`.
            Unavailable: the store cannot keep it; nothing was changed.
        """
        config = replace(config, push_id=self._new_id(), created_at=self._wall())
        self._check(config)
        if self._channels.channel(config.device_id, config.channel_id) is None:
            raise NotFound(
                "channel_unknown",
                f"No channel {config.device_id[:64]}/{config.channel_id[:64]} is known here",
            )
        async with self._changing:
            if len(self._configs) >= MAX_PUSHES:
                raise Conflict("too_many_pushes", f"There are {MAX_PUSHES} pushes already")
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
        async with self._changing:
            old = self.get(push_id)
            config = replace(old, **changes)
            if config != old:
                self._check(config)
                await self._save(config, "change", by, source)
        return config

    async def remove(self, push_id: str, *, by: Subject, source: str = "") -> None:
        """Delete one and end it.

        Raises:
            NotFound: `push_unknown`.
            Unavailable: the store cannot delete it; nothing was changed.
        """
        async with self._changing:
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
            f"{config.device_id}/{config.channel_id} to {shown_target(config.url)}"
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
                "Expected a target such as rtmp://host/app/name, rtsp://host/path (rtmps, rtsps: by TLS) or srt://host:port, "
                f"got {shown_target(url)[:100]!r}",
            )
        _check_hidden(config)
        if len(config.name) > MAX_NAME:
            raise Invalid("invalid_push", f"A name has up to {MAX_NAME} characters")
        if config.stream not in {0, 1}:
            raise Invalid("invalid_push", "stream is 0 (main) or 1 (sub)")
        if config.department:
            self._departments.get(config.department)
        lacking = self._media.missing(config.kind)
        if lacking is not None:
            raise Invalid("push_impossible", lacking)

    # Running

    def _begin(self, config: PushConfig) -> None:
        if config.enabled and not self._closed:
            runner = self._runners[config.push_id] = PushRunner(config, self._needs)
            self._scope.spawn(runner.run(), name=f"push:{config.push_id}")

    def _end(self, push_id: str) -> None:
        runner = self._runners.pop(push_id, None)
        if runner is not None:
            self._leaving.add(runner)
            self._leaving = {other for other in self._leaving if not other.over.is_set()}
            runner.leave("stopped", "The push was changed, disabled or deleted")

    def _policy_changed(self) -> None:
        for runner in self._runners.values():
            if runner.status.state is PushState.DENIED:
                runner.wake.set()

    def _held(self, code: str) -> str:
        count = sum(config.department == code for config in self._configs.values())
        return f"{count} pushes" if count else ""


def _check_hidden(config: PushConfig) -> None:
    """Refuse what could be sent to only by showing its secrets in the machine's list of processes."""
    if config.kind is PushKind.RTMPS and urlsplit(config.url).username is not None:
        raise Invalid(
            "invalid_push",
            "An rtmps:// target takes no user and password in its URL, where everybody on the machine could read them; "
            "use a stream key, or rtsps://",
        )
    url = config.url
    if config.kind in _BY_PROGRAM and (len(url.encode()) > MAX_SEALED_URL or not url.isprintable()):
        raise Invalid(
            "invalid_push",
            f"The URL of a target of kind {config.kind} has up to {MAX_SEALED_URL} bytes of printable characters",
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
