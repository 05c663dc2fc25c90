"""Presence: who is registered where, and who fell silent."""

import asyncio
import math
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from gateway.domain.clock import Clock
from gateway.domain.device import (
    Device,
    DeviceAddress,
    Identity,
    OfflineReason,
    Registration,
    TimelineKind,
)
from gateway.domain.store import DeviceStore
from gateway.observe.log import RateLimitedCounter
from gateway.registry.address import describe_address, judge, same_place
from gateway.registry.entry import DeviceEntry
from gateway.registry.settings import RegistrySettings
from gateway.registry.supervision import EXPIRY_GRACE, KEEPALIVE_GRACE, Supervisor
from gateway.registry.table import DeviceTable
from gateway.registry.timelines import TimelineBook

__all__ = ["REBOOT_QUIET", "DeviceListener", "Presence"]

REBOOT_QUIET = 10.0
"""Seconds after a REGISTER within which one with a new Call-ID is no reboot: nothing boots that fast, and some devices make a new Call-ID each time."""

_TIMER_BATCH = 500
_UNREGISTERED = frozenset({
    OfflineReason.NEVER_REGISTERED, OfflineReason.EXPIRED, OfflineReason.LOGGED_OUT,
})  # fmt: skip

_log = structlog.get_logger()

DeviceListener = Callable[[Device], None]
"""Called on the loop; must neither block nor raise."""


class Presence:
    """Registrations, addresses and supervision of all devices, in memory.

    Args:
        store: Where it is kept.
        table: The devices known.
        timelines: Told what happens.
        settings: Values.
        clock: Wall clock for what people read; deadlines use the `now` arguments.
    """

    def __init__(
        self,
        store: DeviceStore,
        table: DeviceTable,
        timelines: TimelineBook,
        *,
        settings: RegistrySettings,
        clock: Clock,
    ) -> None:
        self.online = 0
        """Devices online."""
        self.on_online: list[DeviceListener] = []
        self.on_offline: list[DeviceListener] = []
        self.on_rebooted: list[DeviceListener] = []
        self.supervisor = Supervisor(
            interval=settings.keepalive_interval, misses=settings.keepalive_misses
        )
        self._store = store
        self._table = table
        self._note = timelines.add
        self._settings = settings
        self._clock = clock
        self._connections: dict[int, set[str]] = {}
        self._refused = RateLimitedCounter(_log.warning, "device_address_refused")

    def restore(self) -> None:
        """Judge the stored devices: unexpired registrations are valid."""
        now, at = self._clock.monotonic(), self._clock.utc_now()
        for entry in self._table:
            device = entry.device
            if device.expires_at is None or device.offline_reason in _UNREGISTERED:
                continue
            left = (device.expires_at - at).total_seconds()
            if device.registered_at is not None:
                # The clock may have been ahead when this was written.
                left = min(left, (device.expires_at - device.registered_at).total_seconds())
            entry.expires = now + left
            if left <= -EXPIRY_GRACE or device.address is None:
                if device.offline_reason is None:
                    device.status_since = device.expires_at
                device.offline_reason = OfflineReason.EXPIRED
            elif device.address.transport != "UDP":
                device.offline_reason = OfflineReason.NOT_CONNECTED
            elif device.offline_reason is None:
                device.online = True
                self.online += 1
                entry.heard = now
                self.supervisor.watch(entry)

    def begin_local(self, entry: DeviceEntry) -> asyncio.Future[None]:
        """Take a part of the gateway itself online; nothing supervises it, and only `remove` ends it."""
        device = entry.device
        device.local = True
        device.expires_at = None
        device.offline_reason = device.offline_reason or OfflineReason.NOT_CONNECTED
        entry.expires = entry.heard = math.inf
        self._go_online(entry, self._clock.utc_now())
        return self._table.save(entry)

    def registered(self, registration: Registration, now: float) -> asyncio.Future[None] | None:
        """Take over a REGISTER; see `DeviceRegistry.registered`."""
        entry = self._table.get(registration.device_id) or self._table.admit(registration.device_id)
        device = entry.device
        at = self._clock.utc_now()
        moved = self._settle(entry, registration, at)
        rebooted = (
            device.online
            and registration.call_id != device.call_id
            and now - entry.registered >= REBOOT_QUIET
        )
        device.contact = registration.contact
        device.call_id = registration.call_id
        device.gb_version = registration.gb_version
        device.user_agent = registration.user_agent
        device.registered_at = at
        device.expires_at = at + timedelta(seconds=registration.expires)
        entry.registered = entry.heard = now
        entry.expires = now + registration.expires
        entry.missed = 0
        if not device.online:
            return self._register_offline(entry, registration, at)
        self.supervisor.watch(entry)
        kind = TimelineKind.REBOOTED if rebooted else TimelineKind.REFRESHED
        self._note(entry, kind, f"for {registration.expires} s", at)
        if rebooted:
            self._tell(self.on_rebooted, device)
        if moved or not entry.saved:
            return self._table.save(entry)
        self._store.touch_device(device)
        return None

    def unregistered(self, device_id: str) -> asyncio.Future[None] | None:
        """Take over a logout."""
        entry = self._table.get(device_id)
        if entry is None or entry.device.offline_reason in _UNREGISTERED:
            return None
        entry.expires = -math.inf
        entry.device.expires_at = None
        self.go_offline(entry, OfflineReason.LOGGED_OUT, "the device logged out")
        return self._table.save(entry)

    def identify(self, device_id: str, address: DeviceAddress, now: float) -> Identity:
        """Judge a request outside REGISTER; see `DeviceRegistry.identify`."""
        entry = self._table.get(device_id)
        if entry is None or now >= entry.expires + EXPIRY_GRACE:
            return Identity.UNREGISTERED
        device = entry.device
        known = device.address
        if known is None:
            return Identity.UNREGISTERED
        follow = self._settings.follow_any or device.settings.follow_address
        identity = judge(known, address, follow=follow)
        if identity is Identity.KNOWN:
            return identity
        at = self._clock.utc_now()
        change = f"{describe_address(known)} -> {describe_address(address)}"
        if identity is Identity.ADDRESS_REFUSED:
            self._refused.add(device_id=device_id, detail=change)
            self._note(
                entry,
                TimelineKind.ADDRESS_REFUSED,
                f"{change}: only a REGISTER may move the device",
                at,
            )
            return identity
        self._set_address(entry, address)
        self._note(entry, TimelineKind.ADDRESS_CHANGED, f"{change} ({identity.value})", at)
        self._store.touch_device(device)
        if identity is Identity.RECONNECTED:
            entry.heard, entry.missed = now, 0
            self._go_online(entry, at)
        return identity

    def keepalive(self, device_id: str, ok: bool, faults: Collection[str], now: float) -> None:  # noqa: FBT001 - Status of the message
        """Take over a keepalive of an identified device."""
        entry = self._table.get(device_id)
        if entry is None:
            return
        device = entry.device
        entry.heard, entry.missed = now, 0
        device.last_keepalive_at = at = self._clock.utc_now()
        if not device.online and now < entry.expires + EXPIRY_GRACE:
            self._go_online(entry, at)
        if not ok or faults:
            listed = ", ".join(faults) or "the device itself"
            self._note(entry, TimelineKind.KEEPALIVE_FAULT, f"fault reported: {listed}", at)
        self._store.touch_device(device)

    def connection_lost(self, connection: int) -> None:
        """Take a closed TCP or TLS connection's devices offline."""
        for device_id in sorted(self._connections.pop(connection, ())):
            entry = self._table.require(device_id)
            address = entry.device.address
            if address is not None:
                entry.device.address = replace(address, connection=None)
            if entry.device.offline_reason is None:  # online, or about to be
                self.go_offline(
                    entry, OfflineReason.CONNECTION_LOST, f"{describe_address(address)} closed"
                )

    def forgive(self, seconds: float, now: float) -> None:
        """Grant every online device time in which we could not listen; a refresh may wait in a socket, too."""
        for entry in self._table:
            if entry.device.online:
                entry.heard += seconds + KEEPALIVE_GRACE
                entry.expires = max(entry.expires, now)

    def handle_timer(self, now: float) -> None:
        """Look at the devices that are due, at most a few hundred at once."""
        self._refused.flush()
        for entry in self.supervisor.pop_due(now, _TIMER_BATCH):
            device = entry.device
            if not device.online or not self._table.holds(entry):
                continue
            if self.supervisor.deadline(entry) > now:
                self.supervisor.watch(entry)
            elif now >= entry.expires + EXPIRY_GRACE:
                self.go_offline(entry, OfflineReason.EXPIRED, "the registration was not refreshed")
            else:
                self._miss(entry, now)

    def go_offline(self, entry: DeviceEntry, reason: OfflineReason, detail: str) -> None:
        """Mark a device offline and tell."""
        device = entry.device
        at = self._clock.utc_now()
        was_online = device.online
        device.online = False
        device.offline_reason = reason
        device.status_since = at
        self._note(entry, TimelineKind.OFFLINE, f"{reason.value}: {detail}", at)
        self._store.touch_device(device)
        if was_online:
            self.online -= 1
            _log.info(
                "device_offline", device_id=device.device_id, reason=reason.value, detail=detail
            )
            self._tell(self.on_offline, device)

    def remove(self, device_id: str) -> None:
        """Forget a device."""
        entry = self._table.remove(device_id)
        self._unlink(entry)
        if entry.device.online:
            entry.device.online = False
            entry.device.offline_reason = OfflineReason.NEVER_REGISTERED
            self.online -= 1
            self._tell(self.on_offline, entry.device)

    def _register_offline(
        self, entry: DeviceEntry, registration: Registration, at: datetime
    ) -> asyncio.Future[None]:
        device = entry.device
        if device.offline_reason is not None:  # else another REGISTER is still being written
            entry.before = device.offline_reason, device.status_since
        # Written as registered; counts as online once that is durable.
        device.offline_reason = None
        device.status_since = at
        self._note(
            entry,
            TimelineKind.REGISTERED,
            f"from {describe_address(registration.address)} for {registration.expires} s",
            at,
        )
        written = entry.writing = self._table.save(entry)
        # Resolved after the device went online, so that who waits for it finds it so.
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        outcome.add_done_callback(_fetch)

        def done(written: asyncio.Future[None]) -> None:
            pending = device.offline_reason is None and not device.online
            if pending and self._table.holds(entry):
                if entry.saved:
                    self._go_online(entry, at)
                elif entry.writing is written:
                    device.offline_reason, device.status_since = entry.before
            if outcome.done():
                return
            if written.cancelled():
                outcome.cancel()
            elif (error := written.exception()) is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(None)

        written.add_done_callback(done)
        return outcome

    def _settle(self, entry: DeviceEntry, registration: Registration, at: datetime) -> bool:
        """Take over the address of a REGISTER; return whether it is another place."""
        known, address = entry.device.address, registration.address
        if known == address:
            return False
        moved = known is None or not same_place(known, address)
        if moved and known is not None:
            change = f"{describe_address(known)} -> {describe_address(address)} (registered)"
            self._note(entry, TimelineKind.ADDRESS_CHANGED, change, at)
        self._set_address(entry, address)
        return moved

    def _set_address(self, entry: DeviceEntry, address: DeviceAddress) -> None:
        self._unlink(entry)
        entry.device.address = address
        if address.connection is not None:
            self._connections.setdefault(address.connection, set()).add(entry.device.device_id)

    def _unlink(self, entry: DeviceEntry) -> None:
        address = entry.device.address
        if address is None or address.connection is None:
            return
        sharing = self._connections.get(address.connection)
        if sharing is not None:
            sharing.discard(entry.device.device_id)
            if not sharing:
                del self._connections[address.connection]

    def _go_online(self, entry: DeviceEntry, at: datetime) -> None:
        device = entry.device
        if device.online:
            return
        if device.offline_reason is not None:
            device.offline_reason = None
            device.status_since = at
        device.online = True
        self.online += 1
        self.supervisor.watch(entry)
        _log.info(
            "device_online", device_id=device.device_id, source=describe_address(device.address)
        )
        self._tell(self.on_online, device)

    def _miss(self, entry: DeviceEntry, now: float) -> None:
        interval, misses = self.supervisor.keepalive_of(entry)
        # At least one: rounding must not make the same deadline come up again.
        entry.missed = max(entry.missed + 1, int((now - entry.heard - KEEPALIVE_GRACE) // interval))
        missed = min(entry.missed, misses)
        detail = f"{missed} of {misses} in a row, one is due every {interval:g} s"
        self._note(entry, TimelineKind.KEEPALIVE_MISSED, detail, self._clock.utc_now())
        if entry.missed >= misses:
            self.go_offline(entry, OfflineReason.KEEPALIVE_MISSED, detail)
        else:
            self.supervisor.watch(entry)

    @staticmethod
    def _tell(listeners: list[DeviceListener], device: Device) -> None:
        for listener in listeners:
            listener(device)


def _fetch(future: asyncio.Future[None]) -> None:
    """Not every caller waits; the store has logged the error already."""
    if not future.cancelled():
        future.exception()
