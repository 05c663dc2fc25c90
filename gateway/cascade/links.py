"""All links to upper platforms: started, replaced and stopped as the book says; who a request comes from."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import structlog

from gateway.cascade.book import PlatformBook
from gateway.cascade.link import UpperPlatformLink
from gateway.cascade.link_record import TIMELINE_SHOWN
from gateway.cascade.links_trial import RegistrationTrial, TrialReport
from gateway.cascade.ports import UpperTransport
from gateway.domain.clock import Clock
from gateway.domain.device import DeviceAddress
from gateway.domain.errors import Unavailable
from gateway.domain.platform import LinkState, PlatformConfig, PlatformEvent, PlatformStatus
from gateway.registry.timeline import Timeline
from gb28181.aio.tasks import TaskScope

__all__ = ["Identified", "UpperLinks"]

log = structlog.get_logger()

RESTART_WAIT: Final = 60.0
"""Seconds after which a link that crashed is made anew."""


LinkListener = Callable[[UpperPlatformLink], None]


@dataclass(frozen=True, slots=True)
class Identified:
    """Whose request it is."""

    link: UpperPlatformLink | None
    """The platform it names or comes from; None for a stranger."""
    reason: str = ""
    """Empty: it may be processed. Else why not: `unknown`, `other_id`, `other_address`, `other_transport`,
    `not_registered`, `disabled`."""
    detail: str = ""
    """A sentence for the timeline and the audit."""

    @property
    def accepted(self) -> bool:
        """Whether the request may be processed."""
        return self.link is not None and not self.reason


class UpperLinks:
    """Owner of one link per enabled platform; use as an async context manager.

    Args:
        book: What is configured.
        transport: SIP towards platforms.
        clock: Monotonic and wall clock.
        new_token: Makes tokens for Call-ID, tag and cnonce.
        new_fraction: Makes numbers in [0, 1).
        on_crash: Told of a crash of a task.
    """

    def __init__(
        self,
        book: PlatformBook,
        transport: UpperTransport,
        *,
        clock: Clock,
        new_token: Callable[[], str],
        new_fraction: Callable[[], float],
        on_crash: Callable[[str, Exception], None],
    ) -> None:
        self.on_started: list[LinkListener] = []
        """Called with a link that was made: at the start, for a new platform, after a change."""
        self.on_online: list[LinkListener] = []
        """Called with a link whose platform has granted a registration."""
        self.on_offline: list[Callable[[UpperPlatformLink, str], None]] = []
        """Called with a link that is no longer registered, and a sentence that says why."""
        self.on_ended: list[LinkListener] = []
        """Called with a link that is no more: stopped, replaced, its platform deleted."""
        self.on_status: list[Callable[[str, PlatformStatus], None]] = []
        """Called with a platform's code and its status, to fill in what others know."""
        self._book = book
        self._transport = transport
        self._clock = clock
        self._new_token = new_token
        self._new_fraction = new_fraction
        self._on_crash = on_crash
        self._scope = TaskScope(self._crashed)
        self._links: dict[str, UpperPlatformLink] = {}
        self._timelines: dict[str, Timeline] = {}
        self._changing: set[str] = set()
        self._changed: set[str] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self._book.on_changed.append(self._book_changed)
        for config in self._book.list():
            self._start(config)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed = True
        self._book.on_changed.remove(self._book_changed)
        links = list(self._links.values())
        async with asyncio.TaskGroup() as group:
            for link in links:
                group.create_task(self._end(link), name=f"stop:{link.config.platform_id}")
        await self._scope.__aexit__(exc_type, exc, traceback)

    # Reading

    def links(self) -> list[UpperPlatformLink]:
        """Return all that run, by code."""
        return [link for _, link in sorted(self._links.items())]

    def find(self, platform_id: str) -> UpperPlatformLink | None:
        """Return a platform's link, None while it is disabled or unknown."""
        return self._links.get(platform_id)

    def status(self, platform_id: str) -> PlatformStatus:
        """Return how a platform is now.

        Raises:
            NotFound: `platform_unknown`.
        """
        self._book.get(platform_id)
        link = self._links.get(platform_id)
        if link is not None:
            status = link.status()
        else:
            timeline = self._timelines.get(platform_id)
            status = PlatformStatus(
                state=LinkState.DISABLED,
                timeline=[] if timeline is None else timeline.newest(TIMELINE_SHOWN),
            )
        for fill in tuple(self.on_status):
            fill(platform_id, status)
        return status

    def identify(self, from_user: str, address: DeviceAddress) -> Identified:
        """Tell which platform a request comes from, by the code it gives and where it comes from.

        A platform is who it says only if it comes from where we registered or another of its addresses. Any port
        will do: platforms send from other ports, and open connections of their own.
        """
        link = self._links.get(from_user) or self._redirected(from_user)
        if link is None:
            return self._stranger(from_user, address)
        route = link.route
        if route is None or not link.online:
            return Identified(
                link, "not_registered", f"We are not registered at {from_user} at the moment"
            )
        if address.host not in {route.host, *(item.host for item in link.config.addresses)}:
            return Identified(
                link,
                "other_address",
                f"A request in the name of {from_user} came from {address.host}; "
                f"the platform is at {route.host}",
            )
        if route.transport == "TLS" and address.transport != "TLS":
            return Identified(
                link, "other_transport", f"The link is TLS, the request came by {address.transport}"
            )
        return Identified(link)

    def from_platform(self, address: DeviceAddress) -> UpperPlatformLink | None:
        """Return the link whose platform lives at the address a packet came from, if only one does."""
        found = [
            link
            for link in self._links.values()
            if link.route is not None
            and (
                link.route.connection == address.connection
                if address.connection is not None and link.route.connection is not None
                else (link.route.host, link.route.port) == (address.host, address.port)
            )
        ]
        return found[0] if len(found) == 1 else None

    # What happens

    def connection_lost(self, connection: int, reason: str) -> None:
        """Learn from the SIP driver that a connection is gone."""
        for link in self._links.values():
            link.connection_lost(connection, reason)

    def reconnect(self, platform_id: str) -> None:
        """Register anew at a platform now, at an operator's wish.

        Raises:
            NotFound: `platform_unknown`.
            Unavailable: `platform_disabled`.
        """
        self._book.get(platform_id)
        link = self._links.get(platform_id)
        if link is None:
            raise Unavailable("platform_disabled", f"Platform {platform_id} is disabled")
        link.reconnect("Registering anew at an operator's wish")

    async def test(self, config: PlatformConfig, password: str | None = None) -> TrialReport:
        """Try to register with a configuration before it is saved, then deregister; takes seconds.

        Args:
            config: What is to be tried; each of its addresses is.
            password: In the clear; None for the one that is kept.

        Raises:
            Invalid: `invalid_platform`.
            Unavailable: `secret_unreadable`.
        """
        self._book.check(config, password)
        if password is None:
            password = self._book.password(config.platform_id)
        running = self._links.get(config.platform_id)
        report = await RegistrationTrial(
            config,
            password,
            own_id=self._book.own_id,
            transport=self._transport,
            clock=self._clock,
            new_token=self._new_token,
            # The platform knows one registration per code: ours would be gone with the test's.
            deregister=running is None or not running.online,
        ).run()
        if running is not None and self._links.get(config.platform_id) is running:
            running.reconnect("Registering anew after a test")
        return report

    # Inside

    def _redirected(self, from_user: str) -> UpperPlatformLink | None:
        return next((link for link in self._links.values() if link.peer_id == from_user), None)

    def _stranger(self, from_user: str, address: DeviceAddress) -> Identified:
        if self._book.find(from_user) is not None:
            return Identified(None, "disabled", f"Platform {from_user} is disabled")
        link = self.from_platform(address)
        if link is not None:
            return Identified(
                link,
                "other_id",
                f"A request from the platform's address is in the name of {from_user[:40]!r}, "
                f"expected {link.peer_id}",
            )
        return Identified(None, "unknown", f"No platform {from_user[:40]!r} is configured")

    def _start(self, config: PlatformConfig) -> None:
        platform_id = config.platform_id
        if not config.enabled:
            return
        timeline = self._timelines.setdefault(platform_id, Timeline())
        try:
            password = self._book.password(platform_id)
        except Unavailable as exc:
            # Tried without: the platform's refusal and this entry say what is wrong.
            log.error("platform_password_unreadable", platform_id=platform_id, detail=exc.detail)  # noqa: TRY400 - no trace needed
            timeline.add(PlatformEvent.REMARK, exc.detail, self._clock.utc_now())
            password = ""
        link = self._links[platform_id] = UpperPlatformLink(
            config,
            password,
            own_id=self._book.own_id,
            transport=self._transport,
            clock=self._clock,
            new_token=self._new_token,
            new_fraction=self._new_fraction,
            on_crash=self._on_crash,
            timeline=timeline,
        )
        link.record.on_online = lambda: self._tell_online(link)
        link.record.on_offline = lambda detail: self._tell_offline(link, detail)
        for listener in tuple(self.on_started):
            listener(link)
        self._scope.spawn(link.run(), name=f"platform:{platform_id}")

    def _tell_online(self, link: UpperPlatformLink) -> None:
        for listener in tuple(self.on_online):
            listener(link)

    def _tell_offline(self, link: UpperPlatformLink, detail: str) -> None:
        for listener in tuple(self.on_offline):
            listener(link, detail)

    async def _end(self, link: UpperPlatformLink) -> None:
        await link.stop()
        if self._links.get(link.config.platform_id) is not link:
            return
        del self._links[link.config.platform_id]
        for listener in tuple(self.on_ended):
            listener(link)

    def _crashed(self, name: str, error: Exception) -> None:
        self._on_crash(name, error)
        kind, _, platform_id = name.partition(":")
        if kind == "platform" and not self._closed:
            self._scope.spawn(self._restart(platform_id), name=f"platform-restart:{platform_id}")

    async def _restart(self, platform_id: str) -> None:
        """Make a link anew whose task has crashed."""
        await asyncio.sleep(RESTART_WAIT)
        self._book_changed(platform_id)

    def _book_changed(self, platform_id: str) -> None:
        if self._closed:
            return
        self._changed.add(platform_id)
        if platform_id not in self._changing:
            self._changing.add(platform_id)
            self._scope.spawn(self._change(platform_id), name=f"platform-change:{platform_id}")

    async def _change(self, platform_id: str) -> None:
        """Bring a platform's link in line with the book; changes meanwhile are taken in afterwards."""
        try:
            while platform_id in self._changed:
                self._changed.discard(platform_id)
                link = self._links.get(platform_id)
                if link is not None:
                    link.note(PlatformEvent.CHANGED, "The configuration was changed")
                    await self._end(link)
                config = self._book.find(platform_id)
                if config is None:
                    self._timelines.pop(platform_id, None)
                elif not self._closed and platform_id not in self._links:
                    self._start(config)
        finally:
            self._changing.discard(platform_id)
