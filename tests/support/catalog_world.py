"""A small world of devices and channels for the catalogues of upper platforms, with a policy one can turn."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway.cascade.catalog.own import OwnPlatform
from gateway.cascade.catalog.view import CatalogView
from gateway.cascade.ports import ChannelDirectory, UpperSubscription
from gateway.domain.device import Channel, Device
from gateway.domain.document import SharedId, SharedIdStore
from gateway.domain.errors import Unavailable
from gateway.domain.platform import PlatformConfig
from gateway.domain.policy import (
    Access,
    AccessContext,
    AccessControl,
    AccessRequest,
    Action,
    Decision,
    Obligations,
    Subject,
)
from gateway.signalling.convert import channel_kind
from gb28181.manscdp import CatalogItem, CatalogNotify, parse_message, serialize_message
from gb28181.manscdp.message import Content
from gb28181.manscdp.notify import CatalogEvent

__all__ = [
    "ALLOW",
    "CITY",
    "COUNTY",
    "NO_RULE",
    "MemoryIds",
    "ModelUpper",
    "TurnPolicy",
    "World",
    "channel",
    "denied",
    "make_view",
]

CITY = "37130000002000000001"
"""The upper platform."""
COUNTY = "37132600002000000001"
"""Ourselves."""

ALLOW = Decision(allowed=True, rule="r1", reason="allowed")
NO_RULE = Decision(allowed=False, reason="no_rule")


def denied(reason: str = "denied") -> Decision:
    """Return a denial."""
    return Decision(allowed=False, rule="r2", reason=reason)


def channel(device_id: str, channel_id: str, **fields: Any) -> Channel:
    """Return a catalogue item of a device."""
    fields.setdefault("name", f"n{channel_id[-7:]}")
    return Channel(
        device_id=device_id, channel_id=channel_id, kind=channel_kind(channel_id), **fields
    )


class World:
    """Devices and channels; what changes is told to the views like the registry's listeners tell it."""

    def __init__(self) -> None:
        self.by_id: dict[str, Device] = {}
        self.listed: dict[str, dict[str, Channel]] = {}
        self.views: list[CatalogView] = []

    def devices(self) -> Iterable[Device]:
        return list(self.by_id.values())

    def get(self, device_id: str) -> Device | None:
        return self.by_id.get(device_id)

    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        return self.listed.get(device_id, {}).get(channel_id)

    def channels(self, device_id: str) -> Iterable[Channel]:
        return list(self.listed.get(device_id, {}).values())

    def device(
        self, device_id: str, *channels: Channel, online: bool = True, name: str = ""
    ) -> Device:
        """Add or replace a device with its channels."""
        device = Device(device_id=device_id, online=online, name=name or f"d{device_id[-7:]}")
        self.by_id[device_id] = device
        self.listed[device_id] = {item.channel_id: item for item in channels}
        self.touch(device_id)
        return device

    def forget(self, device_id: str) -> None:
        self.by_id.pop(device_id, None)
        self.listed.pop(device_id, None)
        self.touch(device_id)

    def presence(self, device_id: str, online: bool) -> None:
        self.by_id[device_id].online = online
        self.touch(device_id)

    def put(self, item: Channel) -> None:
        self.listed.setdefault(item.device_id, {})[item.channel_id] = item
        self.touch(item.device_id, [item.channel_id])

    def change(self, device_id: str, channel_id: str, **fields: Any) -> None:
        self.put(replace(self.listed[device_id][channel_id], **fields))

    def remove(self, device_id: str, channel_id: str) -> None:
        self.listed[device_id].pop(channel_id, None)
        self.touch(device_id, [channel_id])

    def touch(self, device_id: str, channel_ids: Sequence[str] | None = None) -> None:
        for view in self.views:
            view.touch(device_id, channel_ids)


class MemoryIds:
    """A `SharedIdStore` without a disk, which refuses like the real one what stands for another item."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], SharedId] = {}
        self.broken = False
        self.saves = 0

    async def load_shared_ids(self, platform_id: str) -> AsyncIterator[Sequence[SharedId]]:
        if self.broken:
            raise Unavailable("store_unavailable", "broken by the test")
        rows = [row for row in self.rows.values() if row.platform_id == platform_id]
        for start in range(0, len(rows), 500):
            yield rows[start : start + 500]

    def save_shared_ids(self, ids: Sequence[SharedId]) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.saves += 1
        if self.broken:
            future.set_exception(Unavailable("store_unavailable", "broken by the test"))
            return future
        for shared in ids:
            key = (shared.platform_id, shared.shared_id)
            if self.rows.get(key, shared) != shared:
                future.set_exception(Unavailable("store_unavailable", f"{shared} is another's"))
                return future
            self.rows[key] = shared
        future.set_result(None)
        return future

    def forget_shared_ids(self, platform_id: str) -> asyncio.Future[None]:
        for key in [key for key in self.rows if key[0] == platform_id]:
            del self.rows[key]
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


class TurnPolicy:
    """An `AccessControl` that decides as the test says."""

    def __init__(self, decide: Callable[[Channel], Decision] = lambda channel: ALLOW) -> None:
        self.on_changed: list[Callable[[], None]] = []
        self.rule = decide
        self.asked = 0

    def turn(self, decide: Callable[[Channel], Decision]) -> None:
        self.rule = decide
        for listener in self.on_changed:
            listener()

    def decide(
        self, subject: Subject, action: Action, channel: Channel, context: AccessContext
    ) -> Decision:
        assert action is Action.CATALOG
        self.asked += 1
        return self.rule(channel)

    def check(self, request: AccessRequest) -> Decision:
        raise AssertionError("a catalogue asks for decisions only: nothing is watched in it")

    def open(self, request: AccessRequest, stop: Callable[[str, str], None]) -> Access:
        raise AssertionError("a catalogue asks for decisions only: nothing is watched in it")

    def refuse(self, request: AccessRequest, reason: str, detail: str, *, rule: str = "") -> None:
        raise AssertionError("a catalogue asks for decisions only: nothing is watched in it")

    def accesses(self) -> Iterable[Access]:
        return ()


def make_view(
    world: World,
    *,
    ids: MemoryIds | None = None,
    policy: TurnPolicy | None = None,
    local_id: str = COUNTY,
    own: OwnPlatform | None = None,
    platform_id: str = CITY,
    **config: Any,
) -> CatalogView:
    """Return a view of the world, not loaded yet; it follows the world's changes and the policy's."""
    policy = policy or TurnPolicy()
    platform = OwnPlatform(name="County", manufacturer="ExampleSoft", model="GW-1")
    view = CatalogView(
        PlatformConfig(platform_id=platform_id, **config),
        local_id=local_id,
        directory=world,
        access=policy,
        ids=ids or MemoryIds(),
        subject=Subject(platform=platform_id),
        wall=lambda: datetime.now(UTC),
        own_item=lambda: own or platform,
    )
    world.views.append(view)
    policy.on_changed.append(view.policy_changed)
    return view


class ModelUpper:
    """An upper platform that believes what it is told, and complains where no platform could follow."""

    def __init__(self, *, charset: str = "GB18030", edition: str = "2022") -> None:
        self.items: dict[str, CatalogItem] = {}
        self.charset = charset
        self.edition = edition
        self.bodies: list[bytes] = []
        self.events: list[tuple[str, str]] = []
        self.complaints: list[str] = []
        self.largest = 0

    def take(self, content: Content) -> None:
        """Read a NOTIFY from its bytes and believe it."""
        body = serialize_message(content, self.charset, edition=self.edition)
        self.bodies.append(body)
        self.largest = max(self.largest, len(body))
        message = parse_message(body)
        notify = message.content
        assert isinstance(notify, CatalogNotify)
        if notify.sum_num != len(notify.items):
            self.complaints.append(f"SumNum {notify.sum_num} for {len(notify.items)} items")
        for item in notify.items:
            self._apply(item)

    def _apply(self, item: CatalogItem) -> None:
        event = CatalogEvent.of(item)
        assert event is not None, item
        code = item.device_id
        self.events.append((event.value, code))
        if event in {CatalogEvent.ADD, CatalogEvent.UPDATE}:
            missing = [p for p in parents_of(item) if p not in self.items]
            if missing:
                self.complaints.append(f"{event} {code} below {missing}")
            if event is CatalogEvent.ADD and code in self.items:
                self.complaints.append(f"ADD of the known {code}")
            if event is CatalogEvent.UPDATE and code not in self.items:
                self.complaints.append(f"UPDATE of the unknown {code}")
            self.items[code] = replace(item, event="")
        elif code not in self.items:
            self.complaints.append(f"{event} of the unknown {code}")
        elif event is CatalogEvent.DEL:
            below = [c for c, known in self.items.items() if code in parents_of(known)]
            if below:
                self.complaints.append(f"DEL of {code} above {below}")
            del self.items[code]
        else:
            self.items[code] = replace(self.items[code], status=event.value)


def parents_of(item: CatalogItem) -> list[str]:
    """Return the codes an item says it hangs below."""
    parents = [part for part in item.parent_id.split("/") if part]
    return [*parents, item.business_group_id] if item.business_group_id else parents


_directory: type[ChannelDirectory] = World
_store: type[SharedIdStore] = MemoryIds
_policy: type[AccessControl] = TurnPolicy
_ = (Obligations, UpperSubscription)
