"""Which credential a device must prove: its own secret, else the common password, else none."""

from collections import OrderedDict
from collections.abc import Mapping

import structlog

from gateway.domain.store import DeviceSecret
from gb28181.sip.digest import Credential

__all__ = ["SecretBook"]

MAX_DERIVED = 20_000
"""Credentials derived from the common password that are kept ready, of 0.5 KB each."""

_log = structlog.get_logger()


class SecretBook:
    """Credentials by device id; passwords themselves are not kept, except the common one.

    Args:
        realm: Digest realm.
        password: The common password; empty: there is none.
    """

    def __init__(self, realm: str, password: str) -> None:
        self._realm = realm
        self._password = password
        self._own: dict[str, Credential] = {}
        self._derived: OrderedDict[str, Credential] = OrderedDict()

    def restore(self, secrets: Mapping[str, DeviceSecret]) -> None:
        """Take over stored secrets. One made for another realm stays, and fails: it must be set anew."""
        self._own = {device_id: Credential(secret.ha1) for device_id, secret in secrets.items()}
        foreign = [
            device_id for device_id, secret in secrets.items() if secret.realm != self._realm
        ]
        if foreign:
            _log.warning(
                "device_secrets_unusable",
                count=len(foreign),
                device_id=foreign[0],
                detail=f"made for another [sip] domain than {self._realm}: set these secrets anew",
            )

    def credential(self, device_id: str) -> Credential | None:
        """Return what a device must prove; None: it cannot register."""
        own = self._own.get(device_id)
        if own is not None:
            return own
        if not self._password:
            return None
        derived = self._derived.get(device_id)
        if derived is None:
            if len(self._derived) >= MAX_DERIVED:
                # Strangers' made-up ids come here too.
                self._derived.popitem(last=False)
            derived = Credential.from_password(device_id, self._realm, self._password)
            self._derived[device_id] = derived
        return derived

    def has_own(self, device_id: str) -> bool:
        """Return whether a device has a secret of its own."""
        return device_id in self._own

    def hash(self, device_id: str, password: str) -> DeviceSecret:
        """Return a password in the form that is kept."""
        credential = Credential.from_password(device_id, self._realm, password)
        return DeviceSecret(self._realm, dict(credential.ha1))

    def put(self, device_id: str, secret: DeviceSecret | None) -> None:
        """Set or remove a device's own secret."""
        if secret is None:
            self._own.pop(device_id, None)
        else:
            self._own[device_id] = Credential(secret.ha1)
