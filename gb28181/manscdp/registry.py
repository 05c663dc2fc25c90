"""Which message a root element and CmdType name (GB/T 28181-2022 A.2)."""

from collections.abc import Iterable, Iterator
from typing import Final

from gb28181.errors import LocalProtocolError
from gb28181.manscdp.alarm import AlarmNotify, AlarmQuery
from gb28181.manscdp.control import DeviceControl
from gb28181.manscdp.notify import CatalogNotify, Keepalive
from gb28181.manscdp.query import CatalogQuery, DeviceInfoQuery, DeviceStatusQuery
from gb28181.manscdp.response import (
    CatalogResponse,
    DeviceInfoResponse,
    DeviceStatusResponse,
    Response,
)
from gb28181.manscdp.schema import Plan

__all__ = ["CORE_MESSAGES", "ROOTS", "Entry", "Registry", "core_registry"]

ROOTS: Final = ("Control", "Query", "Notify", "Response")

CORE_MESSAGES: Final = (
    ("Control", "DeviceControl", DeviceControl),
    ("Notify", "Keepalive", Keepalive),
    ("Notify", "Catalog", CatalogNotify),
    ("Notify", "Alarm", AlarmNotify),
    ("Query", "Alarm", AlarmQuery),
    ("Query", "Catalog", CatalogQuery),
    ("Response", "Catalog", CatalogResponse),
    ("Query", "DeviceInfo", DeviceInfoQuery),
    ("Response", "DeviceInfo", DeviceInfoResponse),
    ("Query", "DeviceStatus", DeviceStatusQuery),
    ("Response", "DeviceStatus", DeviceStatusResponse),
)
"""Root element, CmdType and dataclass; a further command is a further line."""


class Entry:
    """A known message: its names as the standard spells them, and how it maps to XML."""

    __slots__ = ("cmd_type", "plan", "root")

    def __init__(self, root: str, cmd_type: str, cls: type) -> None:
        self.root = root
        self.cmd_type = cmd_type
        """"" for the generic answer, which carries its own."""
        self.plan = Plan(cls)


class Registry:
    """Finds messages by (root, CmdType), in any case, and by their class."""

    def __init__(self, messages: Iterable[tuple[str, str, type]]) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self._by_class: dict[type, Entry] = {}
        for root, cmd_type, cls in messages:
            key = (root.lower(), cmd_type.lower())
            if key in self._entries or cls in self._by_class:
                raise LocalProtocolError(f"{root}/{cmd_type} or {cls.__name__} is there already")
            entry = Entry(root, cmd_type, cls)
            self._entries[key] = self._by_class[cls] = entry
        self.generic = Entry("Response", "", Response)
        self._by_class[Response] = self.generic

    def find(self, root: str, cmd_type: str) -> Entry | None:
        """Return the message of these names, or None."""
        return self._entries.get((root.lower(), cmd_type.lower()))

    def of(self, cls: type) -> Entry | None:
        """Return the message that a class stands for, or None."""
        return self._by_class.get(cls)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())


def core_registry() -> Registry:
    """Build the registry of the messages the library knows."""
    return Registry(CORE_MESSAGES)
