"""One foreign source at run time: what it does now, and how that reads as a status."""

from collections.abc import Callable
from datetime import datetime

from gateway.domain.device import Channel, ChannelKind
from gateway.domain.session import Ended, EndReason
from gateway.domain.source import (
    Inlet,
    ProbeReport,
    Publication,
    PublishStop,
    SourceConfig,
    SourceState,
    SourceStatus,
)

__all__ = ["ActivePublisher", "LiveSource", "channel_of"]

FIRST_AGAIN = 10.0
"""Seconds after a first failure; doubled each time."""

# Not the source's fault: it is as it was.
_NOT_ITS_FAULT = frozenset({EndReason.INTERNAL_ERROR, EndReason.TOO_MANY_PULLS})
_OURS = frozenset({"too_many_pulls", "shutdown"})


class ActivePublisher:
    """Who publishes now, and how to end it."""

    def __init__(
        self, publication: Publication, source: str, encoder: str, stop: PublishStop
    ) -> None:
        self.publication = publication
        self.source = source
        self.encoder = encoder
        self.stop = stop


class LiveSource:
    """A source's configuration and what became of the tries to get its media.

    Args:
        wall: Wall clock, timezone-aware.
    """

    def __init__(
        self, config: SourceConfig, inlet: Inlet | None, wall: Callable[[], datetime]
    ) -> None:
        self.config = config
        self.inlet = inlet
        self.publisher: ActivePublisher | None = None
        self.probe_at = 0.0
        """Monotonic second of the next look; set by whoever looks."""
        self.probing = False
        self._wall = wall
        self._sessions = 0
        self._connected = False
        self._fault: tuple[str, str] | None = None
        self._tries = 0
        self._checked_at: datetime | None = None
        self._since = wall()
        self._known = self._state()

    @property
    def watched(self) -> bool:
        """Whether a session has its media or tries to."""
        return self._sessions > 0

    @property
    def usable(self) -> bool:
        """Whether its channel counts as online: a new try does not make a failed one so, only its success."""
        return self._fault is None and self._state() in {
            SourceState.IDLE,
            SourceState.CONNECTING,
            SourceState.RUNNING,
        }

    @property
    def state(self) -> SourceState:
        """How it is now."""
        return self._state()

    def configure(self, config: SourceConfig) -> None:
        """Take over new settings; what was known of another address is forgotten."""
        if config.url != self.config.url or config.enabled != self.config.enabled:
            self._fault, self._tries = None, 0
        self.config = config

    def began(self) -> None:
        """A session asks for media."""
        self._sessions += 1

    def connected(self) -> None:
        """Its media can come."""
        self._connected = True
        self._fault, self._tries = None, 0
        self._checked_at = self._wall()

    def over(self, ended: Ended) -> None:
        """A session ended."""
        self._sessions = max(0, self._sessions - 1)
        self._connected = False
        if not ended.reason.is_failure or ended.reason in _NOT_ITS_FAULT:
            return
        self._failed(ended.reason.value, ended.detail)

    def probed(self, report: ProbeReport) -> None:
        """Take over what a look at it found."""
        if report.ok:
            self._fault, self._tries = None, 0
            self._checked_at = self._wall()
        elif report.code not in _OURS:
            self._failed(report.code, report.detail)

    def look_after(self, interval: float) -> float:
        """Return the seconds to the next look at it: soon after a failure, then ever later."""
        again = FIRST_AGAIN * 2.0 ** min(self._tries - 1, 20)
        return min(interval, again) if self._tries else interval

    def settle(self) -> bool:
        """Note a changed state; return whether it changed."""
        state = self._state()
        if state is self._known:
            return False
        self._known = state
        self._since = self._wall()
        return True

    def status(self) -> SourceStatus:
        """Return how it is, for people."""
        code, detail = self._fault or ("", "")
        status = SourceStatus(
            state=self._state(),
            since=self._since,
            reason=code,
            detail=detail,
            tries=self._tries,
            checked_at=self._checked_at,
        )
        if self.publisher is not None and self.inlet is not None:
            status.publisher = self.publisher.source
            status.encoder = self.publisher.encoder
            status.bitrate_kbps = self.inlet.info().bitrate_kbps
        return status

    def _failed(self, code: str, detail: str) -> None:
        self._checked_at = self._wall()
        if self.config.kind.is_pulled:
            self._fault = (code, detail)
            self._tries += 1

    def _state(self) -> SourceState:
        if not self.config.enabled:
            return SourceState.DISABLED
        if self.inlet is not None:
            publishing = self.inlet.publishing
            return SourceState.RUNNING if publishing else SourceState.WAITING_PUBLISHER
        if self._sessions:
            return SourceState.RUNNING if self._connected else SourceState.CONNECTING
        return SourceState.FAILED if self._fault is not None else SourceState.IDLE


def channel_of(source: LiveSource, device_id: str) -> Channel:
    """Return the channel of a source, as the catalogue has it."""
    config = source.config
    online = source.usable
    extra = {"Parental": "0", "RegisterWay": "1", "SafetyWay": "0"}
    if config.owner:
        extra["Owner"] = config.owner
    return Channel(
        device_id=device_id,
        channel_id=config.source_id,
        kind=ChannelKind.CAMERA,
        name=config.name or config.source_id,
        manufacturer=config.manufacturer,
        model=config.model,
        civil_code=config.civil_code,
        address=config.address,
        parent_ids=(device_id,),
        online=online,
        status_text="ON" if online else "OFF",
        longitude=config.longitude,
        latitude=config.latitude,
        secrecy=config.secrecy,
        extra=extra,
    )
