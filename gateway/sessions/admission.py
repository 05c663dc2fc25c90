"""What may be started: the device, the channel and the stream as they are known, and how many sessions there are."""

import re

from gateway.domain.device import Device
from gateway.domain.errors import NotFound, Unavailable
from gateway.sessions.ports import DeviceDirectory
from gateway.sessions.table import SessionTable

__all__ = ["MAX_STARTS_PER_DEVICE", "Admission"]

_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")

MAX_STARTS_PER_DEVICE = 64
"""INVITEs in flight to one device; a recorder with more channels gets the rest as these settle."""


class Admission:
    """Says whether a session may begin.

    Args:
        devices: The registry.
        table: The sessions there are.
        max_sessions: How many there may be.
    """

    def __init__(self, devices: DeviceDirectory, table: SessionTable, max_sessions: int) -> None:
        self._devices = devices
        self._table = table
        self._max_sessions = max_sessions

    def has_stream(self, device_id: str, channel_id: str, stream: int) -> bool:
        """Whether a channel is known to have a stream: the main one, or what 2022 lists (protocol 5.11).

        A device that does not know `a=streamnumber` ignores it and sends its main stream instead.
        """
        if not stream:
            return True
        device, channel = self._devices.get(device_id), self._devices.channel(device_id, channel_id)
        listed = channel.extra.get("Info.StreamNumberList", "") if channel is not None else ""
        if listed:
            return str(stream) in listed.split("/")
        return device is not None and device.is_2022

    def admit(self, device_id: str, channel_id: str, stream: int) -> Device:
        """Return the device to be asked.

        Raises:
            NotFound: `device_unknown`, `channel_unknown`.
            Unavailable: `device_offline`, `too_many_sessions`, `device_busy`, `sub_stream_unavailable`.
        """
        device = self._known(device_id, channel_id)
        if not device.online or not (device.local or device.address is not None):
            why = device.offline_reason.value if device.offline_reason else "no address"
            raise Unavailable(
                "device_offline", f"Device {device_id} is offline ({why}) and cannot be asked"
            )
        if len(self._table) >= self._max_sessions:
            raise Unavailable(
                "too_many_sessions",
                f"{len(self._table)} sessions run, the limit is {self._max_sessions}",
            )
        starting = self._table.inviting(device_id)
        if starting >= MAX_STARTS_PER_DEVICE:
            raise Unavailable(
                "device_busy", f"{starting} INVITEs to {device_id} are unanswered; try again soon"
            )
        if not self.has_stream(device_id, channel_id, stream):
            raise Unavailable(
                "sub_stream_unavailable",
                f"Stream {stream} of {channel_id} was asked for; its device is not known to have one "
                "(2022 edition, or StreamNumberList in the catalogue)",
            )
        return device

    def _known(self, device_id: str, channel_id: str) -> Device:
        if not _ID.fullmatch(channel_id):
            raise NotFound("channel_unknown", f"{channel_id[:64]!r} cannot be a channel's id")
        device = self._devices.get(device_id)
        if device is None:
            raise NotFound("device_unknown", f"No device {device_id} has ever registered here")
        known = self._devices.channel(device_id, channel_id) is not None
        if not known and channel_id != device_id and device.channel_count:
            raise NotFound(
                "channel_unknown",
                f"Device {device_id} has no channel {channel_id} in its catalogue of "
                f"{device.channel_count}; sync the catalogue if it is new",
            )
        return device
