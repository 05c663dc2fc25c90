"""What operators decide about devices: which are known beforehand, their secrets and settings, and deleting them."""

import re
from dataclasses import replace

import structlog

from gateway.domain.device import Device, DeviceSettings, TimelineKind
from gateway.domain.errors import Conflict, Invalid, NotFound, Unavailable
from gateway.domain.store import DeviceStore
from gateway.registry.catalogs import CatalogBook
from gateway.registry.presence import Presence
from gateway.registry.secret import SecretBook
from gateway.registry.table import DeviceTable
from gateway.registry.timelines import TimelineBook
from gateway.registry.words import check_settings, describe_settings

__all__ = ["DeviceAdministration"]

OWN_MANUFACTURER = "gb28181-gateway"

_ID = re.compile(r"[0-9A-Za-z_.-]{1,64}")

_log = structlog.get_logger()


class DeviceAdministration:
    """Changes that are durable once a call returns; what the store cannot keep is refused.

    Args:
        store: Where it is kept.
        table: The devices known.
        presence: Takes local devices online, and deleted ones off.
        secrets: Credentials.
        catalogs: Channels.
        timelines: Told of every change.
    """

    def __init__(
        self,
        store: DeviceStore,
        *,
        table: DeviceTable,
        presence: Presence,
        secrets: SecretBook,
        catalogs: CatalogBook,
        timelines: TimelineBook,
    ) -> None:
        self._store = store
        self._table = table
        self._presence = presence
        self._secrets = secrets
        self._catalogs = catalogs
        self._timelines = timelines

    async def add(self, device_id: str) -> Device:
        """Make a device known before it registers, durably; one already known stays as it is.

        Raises:
            Invalid: `invalid_device_id`.
            Unavailable: `too_many_devices`, `store_unavailable`.
        """
        entry = self._table.get(device_id)
        if entry is None:
            if not _ID.fullmatch(device_id):
                raise Invalid(
                    "invalid_device_id", f"expected a code of 20 digits, got {device_id[:80]!r}"
                )
            entry = self._table.admit(device_id)
        if not entry.saved:
            await self._table.save(entry)
        return entry.device

    async def add_local(self, device_id: str, *, name: str, model: str = "") -> Device:
        """Make a part of this gateway known as a device that is there while the gateway runs.

        It has no SIP address and no secret, so nobody can register as it.

        Raises:
            Conflict: `device_exists`: a device of that id has registered.
            Unavailable: `too_many_devices`, `store_unavailable`.
        """
        entry = self._table.get(device_id)
        if entry is not None and entry.device.address is not None:
            raise Conflict("device_exists", f"A device {device_id} has registered here")
        fresh = entry is None
        entry = entry or self._table.admit(device_id)
        self._secrets.put(device_id, None)
        entry.device.name = name
        entry.device.manufacturer = OWN_MANUFACTURER
        entry.device.model = model
        written = self._presence.begin_local(entry)
        if fresh:
            await written
        return entry.device

    async def remove_local(self, device_id: str) -> None:
        """Delete a device made by `add_local`, with its channels and timeline.

        Raises:
            NotFound: `device_unknown`.
            Unavailable: as `forget`.
        """
        self._table.require(device_id).device.local = False
        await self.forget(device_id)

    async def forget(self, device_id: str) -> None:
        """Delete a device with its channels, secret and timeline; it may register again.

        Raises:
            NotFound: `device_unknown`.
            Conflict: `device_is_local`.
            Unavailable: the store failed: the device may be back after a restart.
        """
        self._table.require_remote(device_id)
        self._presence.remove(device_id)
        self._secrets.put(device_id, None)
        _log.info("device_forgotten", device_id=device_id)
        self._catalogs.remove(device_id)
        await self._store.forget_device(device_id)

    async def set_secret(self, device_id: str, password: str | None) -> None:
        """Give a device a password of its own, or None to take it away; a device not yet known becomes known.

        Raises:
            Invalid: `invalid_device_id`, `empty_secret`.
            NotFound: `device_unknown`: it was deleted meanwhile.
            Conflict: `device_is_local`.
            Unavailable: the store failed; the secret was not changed.
        """
        if password == "":
            raise Invalid(
                "empty_secret", "expected a password, got an empty one; remove the secret instead"
            )
        device = await self.add(device_id)
        entry = self._table.require_remote(device_id)
        secret = None if password is None else self._secrets.hash(device_id, password)
        await self._store.save_secret(device, secret)
        if not self._table.holds(entry):
            raise NotFound("device_unknown", f"device {device_id} was deleted meanwhile")
        self._secrets.put(device_id, secret)
        device.settings.has_secret = secret is not None
        self._timelines.note(
            device_id, TimelineKind.SETTINGS_CHANGED, "secret set" if secret else "secret removed"
        )

    async def set_settings(self, device_id: str, settings: DeviceSettings) -> None:
        """Replace a device's settings; `has_secret` stays as it is.

        Raises:
            NotFound: `device_unknown`.
            Invalid: `invalid_setting`.
            Conflict: `device_is_local`.
            Unavailable: the store failed; nothing was changed.
        """
        entry = self._table.require_remote(device_id)
        check_settings(settings)
        device, before = entry.device, entry.device.settings
        device.settings = wanted = replace(settings, has_secret=before.has_secret)
        try:
            await self._table.save(entry)
        except Unavailable:
            if device.settings is wanted:  # else somebody else's came later
                device.settings = replace(before, has_secret=wanted.has_secret)
            raise
        if device.online:
            self._presence.supervisor.watch(entry)
        self._timelines.note(device_id, TimelineKind.SETTINGS_CHANGED, describe_settings(wanted))
