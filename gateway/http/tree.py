"""The tree of civil codes, devices and channels, one level at a time."""

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from gateway.domain.device import Channel, Device
from gateway.domain.errors import NotFound
from gateway.http.deps import HttpDeps
from gateway.http.gate import ChannelGate
from gateway.http.principal import context_of, principal_of
from gateway.http.route import Access, Route, json_answer, query_of
from gateway.http.schemas.tree import TreeList, TreeNodeOut, TreeQuery
from gateway.http.tree_index import TOP, CatalogTree, build_tree
from gateway.http.visible import VisibleChannels

__all__ = ["TreeApi"]

KEPT = 8
"""Devices whose tree is kept; one of 100,000 channels takes about 15 MB."""
LIFETIME = 10.0
"""Seconds for which a tree is kept, so that what single messages added or moved shows soon."""
CIVIL_DIGITS = 6
"""County level: what devices are grouped by at the top."""


@dataclass(frozen=True, slots=True)
class _Kept:
    until: float
    catalog_at: datetime | None
    count: int
    tree: CatalogTree


class TreeApi:
    """Handler of `/api/v1/tree`.

    Args:
        deps: What the handlers work with.
        gate: Puts on record what people outside look at.
        visible: What they see.
    """

    def __init__(self, deps: HttpDeps, gate: ChannelGate, visible: VisibleChannels) -> None:
        self._deps = deps
        self._gate = gate
        self._visible = visible
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        return (
            Route(
                method="GET",
                path="/api/v1/tree",
                handler=self.children,
                name="list_tree",
                summary="List the children of a node of the tree of civil codes, devices and channels",
                tag="channels",
                access=Access.CATALOG,
                query=TreeQuery,
                answer=TreeList,
                errors=(404,),
            ),
        )

    async def children(self, request: web.Request) -> web.Response:
        """Answer GET tree."""
        query = query_of(request, TreeQuery)
        principal = principal_of(request)
        context = context_of(principal, self._deps.wall, request)
        kind, _, name = query.parent.partition(":")
        if kind in {"", "civil"}:
            counts = None
            if not principal.is_local:
                seen = await self._visible.channels(principal.subject, context)
                counts = Counter(item.channel.device_id for item in seen)
            answer = self._devices(name, counts, query)
        elif kind == "device":
            answer = await self._channels(request, *_split(name), query)
        else:
            raise NotFound("node_unknown", f"The tree has no node {query.parent[:80]}")
        self._gate.look(principal, "tree", context, f"{len(answer.items)} of {answer.total} items")
        return json_answer(answer)

    def _devices(self, civil: str, counts: Mapping[str, int] | None, query: TreeQuery) -> TreeList:
        """List civil codes, or the devices of one; `counts`: channels that may be seen, None is all."""
        devices = [
            device
            for device in self._deps.devices.devices()
            if counts is None or device.device_id in counts
        ]
        if not civil:
            groups: dict[str, list[Device]] = {}
            for device in devices:
                groups.setdefault(_civil(device), []).append(device)
            if len(groups) > 1:
                codes = sorted(groups)
                page = codes[query.offset : query.offset + query.limit]
                items = [self._civil_node(code, groups[code], counts) for code in page]
                return TreeList(items=items, total=len(codes))
        else:
            devices = [device for device in devices if _civil(device) == civil]
        devices.sort(key=lambda device: device.device_id)
        rows = devices[query.offset : query.offset + query.limit]
        return TreeList(items=[_device_node(item, counts) for item in rows], total=len(devices))

    def _civil_node(
        self, code: str, devices: Sequence[Device], counts: Mapping[str, int] | None
    ) -> TreeNodeOut:
        named = self._deps.devices.find_channel(code) if counts is None else ()
        return TreeNodeOut(
            id=f"civil:{code}",
            kind="civil",
            name=next((item.name for item in named if item.name), ""),
            code=code,
            device_id=None,
            channel_id=None,
            online=None,
            offline_reason=None,
            branch=True,
            devices=len(devices),
            devices_online=sum(device.online for device in devices),
            channels=sum(_count(device, counts) for device in devices),
            ptz_type=None,
        )

    async def _channels(
        self, request: web.Request, device_id: str, parent: str, query: TreeQuery
    ) -> TreeList:
        principal = principal_of(request)
        if principal.is_local:
            tree = await self._tree(device_id)

            # As it is now: the tree may be some seconds old.
            def show(code: str) -> Channel | None:
                return self._deps.devices.channel(device_id, code)
        else:
            subject = principal.subject
            context = context_of(principal, self._deps.wall, request)
            seen = await self._visible.channels(subject, context, device_id)
            tree = await build_tree([item.channel for item in seen])
            known = {item.channel.channel_id: item for item in seen}

            def show(code: str) -> Channel | None:
                return self._visible.shown(subject, context, known[code])

        codes = tree.children.get(parent, [])
        page = codes[query.offset : query.offset + query.limit]
        items = [
            _channel_node(channel, tree) for code in page if (channel := show(code)) is not None
        ]
        return TreeList(items=items, total=len(codes))

    async def _tree(self, device_id: str) -> CatalogTree:
        device = self._deps.devices.get(device_id)
        if device is None:
            raise NotFound("device_unknown", f"No device {device_id[:64]} has ever registered here")
        kept, now = self._kept.get(device_id), self._deps.now()
        if (
            kept is not None
            and now < kept.until
            and (kept.catalog_at, kept.count) == (device.catalog_at, device.channel_count)
        ):
            self._kept.move_to_end(device_id)
            return kept.tree
        state = (device.catalog_at, device.channel_count)
        tree = await build_tree(self._deps.devices.channels(device_id))
        self._kept[device_id] = _Kept(now + LIFETIME, *state, tree)
        self._kept.move_to_end(device_id)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return tree


def _split(name: str) -> tuple[str, str]:
    device_id, _, channel_id = name.partition("/")
    return device_id, channel_id or TOP


def _civil(device: Device) -> str:
    code = device.device_id[:CIVIL_DIGITS]
    return code if code.isdigit() and len(device.device_id) == 20 else "other"


def _count(device: Device, counts: Mapping[str, int] | None) -> int:
    return device.channel_count if counts is None else counts.get(device.device_id, 0)


def _device_node(device: Device, counts: Mapping[str, int] | None) -> TreeNodeOut:
    channels = _count(device, counts)
    return TreeNodeOut(
        id=f"device:{device.device_id}",
        kind="registered",
        name=device.name,
        code=device.device_id,
        device_id=device.device_id,
        channel_id=None,
        online=device.online,
        offline_reason=device.offline_reason,
        branch=channels > 0,
        devices=None,
        devices_online=None,
        channels=channels,
        ptz_type=None,
    )


def _channel_node(channel: Channel, tree: CatalogTree) -> TreeNodeOut:
    return TreeNodeOut(
        id=f"device:{channel.device_id}/{channel.channel_id}",
        kind=channel.kind.value,
        name=channel.name,
        code=channel.channel_id,
        device_id=channel.device_id,
        channel_id=channel.channel_id,
        online=channel.online,
        offline_reason=None,
        branch=channel.channel_id in tree.children,
        devices=None,
        devices_online=None,
        channels=tree.below.get(channel.channel_id, 0),
        ptz_type=channel.ptz_type,
    )
