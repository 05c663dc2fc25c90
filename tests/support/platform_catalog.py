"""A platform's catalogue that simply is what the test says, for the desk; and a gateway that serves with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from typing import Any

from gateway.cascade.desk import UpperDesk
from gateway.cascade.desk_office import DeskParts
from gateway.cascade.desk_ports import PlatformCatalog
from gateway.cascade.ports import IncomingCall, UpperLink, UpperRequester, UpperSubscription
from gateway.cascade.queries_device import OwnInfo
from gateway.domain.device import Channel, ChannelKind, Device
from gateway.domain.errors import Forbidden, Unavailable
from gateway.domain.platform import PlatformConfig
from gateway.signalling.upper_requests import UpperRequests
from gb28181.aio import clock
from gb28181.aio.tasks import TaskScope
from gb28181.flow.identity import MonitorIdentity
from gb28181.manscdp import CatalogItem, CatalogNotify, DeviceControl
from tests.support.cascade import OpenPolicy
from tests.support.platform_book import OWN_ID
from tests.support.upper_links import LinkedGateway, all_links
from tests.support.upper_platform import LOWER_ID

__all__ = [
    "CAMERA",
    "DEVICE",
    "SHARED",
    "FixedCatalog",
    "FixedDirectory",
    "RecordingControls",
    "ServingGateway",
    "serving",
]

DEVICE = "37132601001180000001"
CAMERA = "37132601001320000001"
SHARED = "37132600001320000901"
NODE = "37132600002160000001"


class RecordingNotifier:
    """Keeps what it was given; `tell` sends a NOTIFY to all."""

    def __init__(self) -> None:
        self.added: list[tuple[UpperSubscription, str | None]] = []
        self.remaining: dict[int, Callable[[], int]] = {}
        self.gone: dict[int, Callable[[], None]] = {}
        self.removed: list[UpperSubscription] = []

    def add(
        self,
        subscription: UpperSubscription,
        *,
        root: str | None,
        remaining: Callable[[], int],
        gone: Callable[[], None],
    ) -> None:
        self.added.append((subscription, root))
        self.remaining[id(subscription)] = remaining
        self.gone[id(subscription)] = gone

    def remove(self, subscription: UpperSubscription) -> None:
        self.removed.append(subscription)

    async def tell(self, *items: CatalogItem) -> list[bool]:
        """NOTIFY every subscription that runs."""
        results = []
        for number, (subscription, _) in enumerate(self.added):
            if subscription in self.removed:
                continue
            notify = CatalogNotify(
                sn=number + 1, device_id=LOWER_ID, sum_num=len(items), items=items
            )
            taken = await subscription.notify(notify, expires=self.remaining[id(subscription)]())
            if not taken:
                self.gone[id(subscription)]()
            results.append(taken)
        return results


class FixedCatalog:
    """View, notifier and task in one."""

    def __init__(self, count: int = 3) -> None:
        self.notifier = RecordingNotifier()
        self.version = 1
        self.load_failures = 0
        self.loads = 0
        self.touched: list[tuple[str, tuple[str, ...] | None]] = []
        self.policy_changes = 0
        self.judged_first: list[str] = []
        self.resolved: dict[str, Channel] = {}
        self.listed = [CatalogItem(device_id=LOWER_ID, name="County")]
        for number in range(count):
            code = str(int(SHARED) + number)
            channel = Channel(
                device_id=DEVICE,
                channel_id=str(int(CAMERA) + number),
                kind=ChannelKind.CAMERA,
                name=f"北门枪机 {number}",
                manufacturer="ExampleVision",
                model="EV-B1",
            )
            self.resolved[code] = channel
            self.listed.append(
                CatalogItem(
                    device_id=code,
                    name=channel.name,
                    manufacturer=channel.manufacturer,
                    model=channel.model,
                    civil_code="371326",
                    address="平邑县示例路1号",
                    parental=0,
                    parent_id=LOWER_ID,
                    register_way=1,
                    secrecy=0,
                    status="ON",
                )
            )

    @asynccontextmanager
    async def answer(self, root: str | None = None) -> AsyncIterator[list[CatalogItem]]:
        yield self.items(root)

    def cameras(self) -> int:
        return len(self.resolved)

    def codes_of(self, root: str) -> set[str]:
        return {item.device_id for item in self.items(root)}

    @property
    def view(self) -> "FixedCatalog":
        return self

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def load(self) -> None:
        self.loads += 1
        if self.loads <= self.load_failures:
            raise Unavailable("store_unavailable", "broken by the test")

    def items(self, root: str | None = None) -> list[CatalogItem]:
        if root is None:
            return list(self.listed)
        if root == NODE:
            return self.listed[1:2]
        return [item for item in self.listed if item.device_id == root]

    def count(self, root: str | None = None) -> int:
        return len(self.items(root))

    def resolve(self, shared_id: str) -> Channel | None:
        return self.resolved.get(shared_id)

    def why_unknown(self, shared_id: str) -> tuple[str, str]:
        return "not_shared", "never given"

    def is_shown(self, shared_id: str) -> bool:
        return shared_id in {item.device_id for item in self.listed}

    def shared_id(self, device_id: str, channel_id: str) -> str | None:
        for code, channel in self.resolved.items():
            if (channel.device_id, channel.channel_id) == (device_id, channel_id):
                return code
        return None

    def is_mine(self, shared_id: str) -> bool:
        return shared_id in {LOWER_ID, NODE}

    def touch(self, device_id: str, channel_ids: Collection[str] | None = None) -> None:
        self.touched.append((device_id, None if channel_ids is None else tuple(channel_ids)))

    def policy_changed(self, first: Collection[str] = ()) -> None:
        self.policy_changes += 1
        self.judged_first += sorted(first)


class FixedDirectory:
    """One device with the cameras of a catalogue."""

    def __init__(self, catalog: FixedCatalog) -> None:
        self.device = Device(device_id=DEVICE, online=True, firmware="V1.2")
        self._channels = {channel.channel_id: channel for channel in catalog.resolved.values()}

    def devices(self) -> Iterable[Device]:
        return [self.device]

    def get(self, device_id: str) -> Device | None:
        return self.device if device_id == DEVICE else None

    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        return self._channels.get(channel_id) if device_id == DEVICE else None

    def channels(self, device_id: str) -> Iterable[Channel]:
        return list(self._channels.values()) if device_id == DEVICE else []


class RecordingControls:
    """Answers every control with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.taken: list[tuple[UpperRequester, DeviceControl]] = []

    def control(self, link: UpperLink, requester: UpperRequester, control: DeviceControl) -> int:
        self.taken.append((requester, control))
        return self.status


class RecordingBridges:
    """Refuses every INVITE with `status`, or hands it to `take`."""

    def __init__(self) -> None:
        self.status = 488
        self.calls: list[tuple[IncomingCall, UpperRequester]] = []
        self.take: Callable[[IncomingCall], None] = lambda call: call.refuse(self.status)

    def invite(self, link: UpperLink, call: IncomingCall, requester: UpperRequester) -> None:
        self.calls.append((call, requester))
        self.take(call)


class PlainIdentities:
    """Reads the header without mercy for a user called `mallory`."""

    def check(self, config: PlatformConfig, value: str | None) -> MonitorIdentity | None:
        if value is None:
            if config.require_identity:
                raise Forbidden("identity_required", "Monitor-User-Identity is required")
            return None
        *gateways, user = value.split("-")
        if user == "mallory":
            raise Forbidden("identity_untrusted", "Nobody trusts mallory")
        return MonitorIdentity(tuple(gateways), user)


class ServingGateway:
    """All that serves uppers, on doubles of what lies behind."""

    def __init__(self, gateway: LinkedGateway, catalog: FixedCatalog) -> None:
        self.driver = gateway.driver
        self.links = gateway.links
        self.book = gateway.book
        self.online = gateway.online
        self.catalog = catalog
        self.catalogs: dict[str, FixedCatalog] = {}
        self.directory = FixedDirectory(catalog)
        self.policy = OpenPolicy()
        self.controls = RecordingControls()
        self.bridges = RecordingBridges()
        self.devices: set[str] = set()
        self.left_to_devices: list[Any] = []
        self.status_fields: dict[str, str] | None = None
        self.desk: UpperDesk
        self.requests: UpperRequests

    async def ask_status(self, device_id: str, channel_id: str) -> dict[str, str]:
        if self.status_fields is None:
            raise Unavailable("device_silent", "No answer")
        return self.status_fields

    def kinds(self, platform_id: str) -> list[str]:
        """Kinds of the platform's timeline, oldest first."""
        return [str(e.kind) for e in reversed(self.links.status(platform_id).timeline)]


@asynccontextmanager
async def serving(
    *configs: PlatformConfig,
    catalog: FixedCatalog | None = None,
    queries_per_minute: float = 60.0,
    maker: "Callable[[ServingGateway, UpperLink], PlatformCatalog] | None" = None,
    directory: Any = None,
    **options: Any,
) -> AsyncIterator[ServingGateway]:
    """Links, desk and request handling for these platforms; each has a catalogue like `catalog`.

    With `maker` and `directory` the catalogues are real ones.
    """
    crashes: list[tuple[str, Exception]] = []
    crashed = lambda name, error: crashes.append((name, error))  # noqa: E731
    shared = catalog or FixedCatalog()

    def make_catalog(link: UpperLink) -> PlatformCatalog:
        if maker is not None:
            return maker(served, link)
        platform_id = link.config.platform_id
        made = shared if not served.catalogs else FixedCatalog(len(shared.resolved))
        served.catalogs[platform_id] = made
        return made

    async with all_links(**options) as gateway, TaskScope(crashed) as scope:
        served = ServingGateway(gateway, shared)
        parts = DeskParts(
            own_id=OWN_ID,
            access=served.policy,
            directory=directory or served.directory,
            make_catalog=make_catalog,
            own=lambda: OwnInfo(name="County", manufacturer="gb28181-gateway", model="gateway"),
            ask_status=served.ask_status,
            clock=clock,
            queries_per_minute=queries_per_minute,
            on_crash=crashed,
        )
        async with UpperDesk(parts, served.controls) as served.desk:
            served.requests = UpperRequests(
                links=served.links,
                desk=served.desk,
                bridges=served.bridges,
                access=served.policy,
                identities=PlainIdentities(),
                own_id=OWN_ID,
                is_device=served.devices.__contains__,
                trust=served.driver.trust,
                scope=scope,
                wall=clock.utc_now,
                timeout=1.0,
            )

            def handle(incoming: Any) -> None:
                if not served.requests.handles(incoming):
                    served.left_to_devices.append(incoming)
                    incoming.respond(403)

            gateway.handler = handle
            served.links.on_started.append(
                lambda link: setattr(link, "prepared", served.desk.open(link))
            )
            served.links.on_ended.append(
                lambda link: served.desk.close(link.config.platform_id, link)
            )
            served.links.on_status.append(served.desk.fill_status)
            for config in configs:
                await served.book.save(config, options.get("password", "upper-password"))
            yield served
    assert crashes == []
