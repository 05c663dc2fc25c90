"""What is known of a platform's link: its state, the reasons, the timeline; and who is told."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog

from gateway.cascade.link_reason import Cause
from gateway.cascade.link_times import Registered
from gateway.domain.clock import Clock
from gateway.domain.platform import LinkState, PlatformConfig, PlatformEvent, PlatformStatus
from gateway.registry.timeline import Timeline
from gb28181.sip.message import Response

__all__ = ["TIMELINE_SHOWN", "LinkRecord"]

log = structlog.get_logger()

TIMELINE_SHOWN: Final = 100
"""Entries of the timeline in a status."""


class LinkRecord:
    """The diary of one link.

    Args:
        config: What is configured.
        clock: For times people read.
        timeline: That of an earlier link to the same platform, to be continued.
    """

    def __init__(
        self, config: PlatformConfig, clock: Clock, timeline: Timeline | None = None
    ) -> None:
        # An empty timeline is false.
        self.timeline = Timeline() if timeline is None else timeline
        self.is_online = False
        """Whether others were told that it is."""
        self.on_online: Callable[[], None] | None = None
        self.on_offline: Callable[[str], None] | None = None
        self._config = config
        self._clock = clock
        self._status = PlatformStatus(state=LinkState.CONNECTING, since=clock.utc_now())

    @property
    def reason(self) -> str:
        """Why it is down; empty while it is up."""
        return self._status.reason

    def snapshot(self, misses: int) -> PlatformStatus:
        """Return a copy of the status."""
        timeline = self.timeline.newest(TIMELINE_SHOWN)
        return replace(self._status, misses=misses, timeline=timeline)

    def note(self, event: str, detail: str) -> None:
        """Add to the timeline."""
        self.timeline.add(PlatformEvent(event), detail, self._clock.utc_now())

    def connecting(self, address: str) -> None:
        """A try begins."""
        self._status.address = address
        self._status.next_try_at = None
        self._enter(LinkState.CONNECTING)

    def registering(self) -> None:
        """The platform can be reached; it is asked now."""
        self._enter(LinkState.REGISTERING)

    def granted(self, response: Response, granted: float, round_trip: float) -> None:
        """A registration or its refresh was granted, for so many seconds."""
        wall, status = self._clock.utc_now(), self._status
        registered = Registered.read(response, wall=wall, round_trip=round_trip)
        for remark in registered.remarks(granted, before=status.clock_offset):
            self.note(PlatformEvent.REMARK, remark)
        status.registered_at = wall
        status.expires_at = registered.expires_at(wall, granted)
        status.clock_offset = registered.clock_offset

    def kept_alive(self) -> None:
        """A keepalive was answered."""
        self._status.last_keepalive_at = self._clock.utc_now()

    def went_online(self, granted: float) -> None:
        """Registered after it was not."""
        self.is_online = True
        self._enter(LinkState.ONLINE)
        self.note(PlatformEvent.REGISTERED, f"At {self._status.address} for {granted:g} s")
        log.info(
            "platform_registered",
            platform_id=self._config.platform_id,
            transport=self._config.transport,
            source=self._status.address,
            expires_s=granted,
        )
        if self.on_online is not None:
            self.on_online()

    def went_offline(self, cause: Cause) -> None:
        """Not registered any more; nothing if it was not."""
        if not self.is_online:
            return
        self.is_online = False
        self._status.expires_at = None
        self._enter(LinkState.WAITING, cause)
        self.note(PlatformEvent.OFFLINE, f"{cause.reason}: {cause.detail}")
        log.warning(
            "platform_offline",
            platform_id=self._config.platform_id,
            reason=cause.reason,
            detail=cause.detail,
        )
        if self.on_offline is not None:
            self.on_offline(cause.detail)

    def failed(self, cause: Cause, delay: timedelta, following: str) -> None:
        """A try failed; the next one, at `following`, comes after `delay`."""
        status = self._status
        self._enter(LinkState.WAITING, cause)
        status.next_try_at = self._clock.utc_now() + delay
        where = status.address
        self.note(PlatformEvent.REGISTER_FAILED, f"{cause.reason}: {cause.detail} ({where})")
        if following != where:
            self.note(PlatformEvent.FAILED_OVER, f"{where} -> {following}")
        log.warning(
            "platform_register_failed",
            platform_id=self._config.platform_id,
            reason=cause.reason,
            detail=cause.detail,
            source=where,
            duration_s=round(delay.total_seconds(), 1),
        )

    def _enter(self, state: LinkState, cause: Cause | None = None) -> None:
        status = self._status
        if status.state is not state:
            status.since = self._clock.utc_now()
        status.state = state
        if cause is not None:
            status.reason, status.detail = cause.reason, cause.detail
        elif state is LinkState.ONLINE:
            status.reason = status.detail = ""
