"""Where HTTP asks the sharing policy about channels."""

from collections.abc import Callable
from datetime import datetime

from gateway.domain.device import Channel, ChannelKind
from gateway.domain.errors import Forbidden, NotFound
from gateway.domain.policy import (
    Access,
    AccessContext,
    AccessControl,
    AccessRequest,
    Action,
    Decision,
)
from gateway.http.deps import DeviceBook
from gateway.http.principal import Principal
from gb28181.ids import DeviceId, IdKind

__all__ = ["ChannelGate"]

_ITSELF = {
    IdKind.CAMERA: ChannelKind.CAMERA,
    IdKind.MAIN_DEVICE: ChannelKind.DEVICE,
    IdKind.PLATFORM: ChannelKind.PLATFORM,
}
"""What registers, by its code; anything else is no camera for people outside."""
MAX_OBJECT = 100
"""Characters of what was asked for that go on record."""


class ChannelGate:
    """Finds channels for those who may know of them, and asks whether they may do what they want.

    Args:
        access: The sharing policy.
        devices: The registry.
        wall: Wall clock, timezone-aware.
    """

    def __init__(
        self, access: AccessControl, devices: DeviceBook, wall: Callable[[], datetime]
    ) -> None:
        self._access = access
        self._devices = devices
        self._wall = wall

    def request(
        self,
        principal: Principal,
        action: Action,
        channel: Channel,
        context: AccessContext,
        detail: str = "",
        *,
        via: str = "http",
    ) -> AccessRequest:
        """Return an access to a channel as it will stand in the audit."""
        return AccessRequest(
            subject=principal.subject,
            action=action,
            channel=channel,
            object_id=f"{channel.device_id}/{channel.channel_id}",
            context=context,
            via=via,
            detail=detail,
        )

    def find(
        self,
        principal: Principal,
        device_id: str,
        channel_id: str,
        action: Action,
        context: AccessContext,
    ) -> Channel:
        """Return a channel that the principal may know of.

        For people outside a channel that is unknown and one that is not theirs to know are the same, and go on
        record as refused.

        Raises:
            NotFound: `channel_unknown`, `device_unknown`.
        """
        if principal.is_local:
            channel = self._known(device_id, channel_id)
            if channel is None:
                raise self._missing(device_id, channel_id)
            return channel
        channel = self._outside(device_id, channel_id)
        reason, detail = "not_shared", "Nothing of that name was ever given to this subject"
        rule = ""
        if channel is not None:
            seen = self._access.decide(principal.subject, Action.CATALOG, channel, context)
            if seen.allowed:
                return channel
            reason, detail, rule = seen.reason, seen.detail, seen.rule
        request = AccessRequest(
            subject=principal.subject,
            action=action,
            channel=channel,
            object_id=f"{device_id}/{channel_id}"[:MAX_OBJECT],
            context=context,
            via="http",
        )
        self._access.refuse(request, reason, detail, rule=rule)
        raise NotFound(
            "channel_unknown", f"No channel {device_id[:64]}/{channel_id[:64]} is known here"
        )

    def may_know(
        self, principal: Principal, device_id: str, channel_id: str, context: AccessContext
    ) -> bool:
        """Whether somebody may know now that a channel exists; nothing is recorded."""
        if principal.is_local:
            return True
        channel = self._outside(device_id, channel_id)
        return channel is not None and self.seen(principal, channel, context).allowed

    def named(self, principal: Principal, channel_id: str, context: AccessContext) -> list[Channel]:
        """Return the channels of that id the principal may know of."""
        found = self._devices.find_channel(channel_id)
        if principal.is_local:
            return found
        subject = principal.subject
        return [
            channel
            for channel in found
            if self._access.decide(subject, Action.CATALOG, channel, context).allowed
        ]

    def allows(
        self, principal: Principal, action: Action, channel: Channel, context: AccessContext
    ) -> bool:
        """Whether somebody might do something; nothing is recorded."""
        return self._access.decide(principal.subject, action, channel, context).allowed

    def seen(self, principal: Principal, channel: Channel, context: AccessContext) -> Decision:
        """Return whether somebody may know of a channel, and what is masked; nothing is recorded."""
        return self._access.decide(principal.subject, Action.CATALOG, channel, context)

    def look(
        self, principal: Principal, object_id: str, context: AccessContext, detail: str
    ) -> None:
        """Put on record that somebody looks at a list, whose items are decided on one by one.

        Raises:
            Forbidden: nobody outside gets anything while it cannot be recorded.
        """
        request = AccessRequest(
            subject=principal.subject,
            action=Action.CATALOG,
            channel=None,
            object_id=object_id,
            context=context,
            via="http",
            detail=detail,
        )
        self._access.check(request)

    def check(
        self,
        principal: Principal,
        action: Action,
        channel: Channel,
        context: AccessContext,
        detail: str = "",
    ) -> Decision:
        """Decide on an access of a moment and record it.

        Raises:
            Forbidden: denied; recorded.
        """
        return self._access.check(self.request(principal, action, channel, context, detail))

    def decide(
        self, principal: Principal, action: Action, channel: Channel, context: AccessContext
    ) -> Decision:
        """Decide now on an access that is recorded when it begins; a denial is recorded at once.

        Raises:
            Forbidden: denied; recorded.
        """
        decision = self._access.decide(principal.subject, action, channel, context)
        if not decision.allowed:
            request = self.request(principal, action, channel, context)
            self._access.refuse(request, decision.reason, decision.detail, rule=decision.rule)
            raise Forbidden(decision.reason, decision.detail, rule=decision.rule)
        return decision

    def open(
        self,
        principal: Principal,
        action: Action,
        channel: Channel,
        context: AccessContext,
        stop: Callable[[str, str], None],
        *,
        via: str = "http",
    ) -> Access:
        """Decide on an access that lasts and record it.

        Args:
            principal: Who.
            action: What.
            channel: Which.
            context: The circumstances.
            stop: Called with (code, detail) when it must end.
            via: The face.

        Raises:
            Forbidden: denied; recorded.
        """
        return self._access.open(self.request(principal, action, channel, context, via=via), stop)

    def refuse(
        self,
        principal: Principal,
        action: Action,
        channel: Channel,
        context: AccessContext,
        reason: str,
        detail: str,
    ) -> None:
        """Record a denial that HTTP itself decided on."""
        self._access.refuse(self.request(principal, action, channel, context), reason, detail)

    def _outside(self, device_id: str, channel_id: str) -> Channel | None:
        """Return what people outside may mean by two codes, if there is such a thing."""
        channel = self._devices.channel(device_id, channel_id)
        if channel is None and channel_id == device_id:
            channel = self._device_itself(device_id)
        return channel

    def _known(self, device_id: str, channel_id: str) -> Channel | None:
        channel = self._devices.channel(device_id, channel_id)
        if channel is not None:
            return channel
        device = self._devices.get(device_id)
        if device is None or (channel_id != device_id and device.channel_count):
            return None
        # A camera without a catalogue is its own channel.
        return Channel(
            device_id=device_id,
            channel_id=channel_id,
            kind=ChannelKind.CAMERA,
            name=device.name,
            online=device.online,
        )

    def _device_itself(self, device_id: str) -> Channel | None:
        """Return a device whose catalogue has come as the channel that it is itself.

        Before that nobody knows what it is. It may show any of its channels, so it is as secret as the most
        secret of them.
        """
        device = self._devices.get(device_id)
        if device is None or device.catalog_at is None:
            return None
        kind = _ITSELF.get(DeviceId(device_id).kind, ChannelKind.OTHER)
        return Channel(
            device_id=device_id,
            channel_id=device_id,
            kind=kind,
            name=device.name,
            manufacturer=device.manufacturer,
            model=device.model,
            online=device.online,
            secrecy=max(
                (listed.secrecy for listed in self._devices.channels(device_id)), default=0
            ),
        )

    def _missing(self, device_id: str, channel_id: str) -> NotFound:
        if self._devices.get(device_id) is None:
            return NotFound(
                "device_unknown", f"No device {device_id[:64]} has ever registered here"
            )
        return NotFound(
            "channel_unknown",
            f"Device {device_id[:64]} has no channel {channel_id[:64]} in its catalogue",
        )
