"""The cascade put together: upper platforms, their catalogues, bridged streams and controls."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from gateway import __version__
from gateway.app.chance import fraction, new_id
from gateway.app.sharing import SharingParts
from gateway.cascade.book import PlatformBook
from gateway.cascade.bridge import Bridges
from gateway.cascade.catalog.loop_mark import load_mark, marked
from gateway.cascade.catalog.own import OwnPlatform
from gateway.cascade.catalog.platform import SharedCatalog
from gateway.cascade.catalog.preview import preview
from gateway.cascade.catalog.sender import NotifierSettings
from gateway.cascade.catalog.view import CatalogView
from gateway.cascade.control import ControlDesk
from gateway.cascade.desk import UpperDesk
from gateway.cascade.desk_office import DeskParts
from gateway.cascade.desk_ports import PlatformView
from gateway.cascade.link import UpperPlatformLink
from gateway.cascade.links import UpperLinks
from gateway.cascade.ports import UpperLink
from gateway.cascade.queries_device import OwnInfo
from gateway.config.model import Settings
from gateway.domain.device import CatalogDiff, Device, MediaTransport
from gateway.domain.document import SharedId
from gateway.domain.errors import Unavailable
from gateway.domain.platform import PlatformConfig, PlatformStatus
from gateway.domain.policy import Subject
from gateway.domain.selector import ChannelSelector
from gateway.registry.registry import DeviceRegistry
from gateway.sessions.control import DeviceControls
from gateway.sessions.live import LiveSessions
from gateway.sharing.identity import IdentityGate
from gateway.sharing.policy.record import unawaited
from gateway.signalling.outbound import SipSignaller
from gateway.signalling.upper import SipUpper
from gateway.signalling.upper_requests import UpperRequests
from gateway.store.sql import SqlStore
from gb28181.aio import clock
from gb28181.aio.driver import SipDriver
from gb28181.aio.tasks import TaskScope
from gb28181.manscdp.alarm import AlarmNotify
from gb28181.manscdp.item import CatalogItem
from gb28181.sdp.ssrc import SsrcPool

__all__ = ["CascadeNeeds", "CascadeParts"]

MANUFACTURER = "gb28181-gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeNeeds:
    """What the cascade is built on."""

    settings: Settings
    store: SqlStore
    registry: DeviceRegistry
    sharing: SharingParts
    driver: SipDriver
    signaller: SipSignaller
    sessions: LiveSessions
    controls: DeviceControls
    ssrcs: SsrcPool
    scope: TaskScope
    on_crash: Callable[[str, Exception], None]


class CascadeParts:
    """Everything towards upper platforms; an async context manager, left before sessions and SIP.

    Args:
        needs: What it is built on.
    """

    def __init__(self, needs: CascadeNeeds) -> None:
        self._needs = needs
        self._stack = AsyncExitStack()
        self._mark = ""
        needs_sip = needs.settings.sip
        self.own_id = needs_sip.id
        cascade = needs.settings.cascade
        self.platforms = PlatformBook(
            needs.store,
            needs.sharing.box,
            own_id=self.own_id,
            audit=needs.sharing.audit,
            wall=clock.utc_now,
            new_id=new_id,
        )
        advertise = (needs_sip.advertise, needs_sip.port) if needs_sip.advertise else None
        self.transport = SipUpper(
            needs.driver,
            own_id=self.own_id,
            timeout=needs_sip.request_timeout,
            advertise=advertise,
            tls_port=needs_sip.tls_port if needs_sip.tls else 0,
            media_host=needs.settings.rtp.advertise or needs_sip.advertise,
        )
        self.identities = IdentityGate(self.own_id, lambda: needs.sharing.policies.current)
        self.bridges = Bridges(
            own_id=self.own_id,
            identities=self.identities,
            sources=needs.sessions,
            access=needs.sharing.access,
            ssrcs=needs.ssrcs,
            views=self.view,
            local_host=self.transport.local_host,
            scope=needs.scope,
            now=clock.monotonic,
            wall=clock.utc_now,
            new_id=new_id,
            late_offer_transport=MediaTransport(cascade.late_offer_transport),
            want_key_frame=needs.controls.key_frame,
        )
        self.control_desk = ControlDesk(
            identities=self.identities,
            controls=needs.controls,
            access=needs.sharing.access,
            views=self.view,
            scope=needs.scope,
            wall=clock.utc_now,
        )

    async def __aenter__(self) -> Self:
        needs = self._needs
        await self.platforms.load()
        self._mark = await load_mark(needs.store)
        own = OwnInfo(
            name=needs.settings.cascade.name or self.own_id,
            manufacturer=MANUFACTURER,
            model=marked(MANUFACTURER, self._mark),
            firmware=__version__,
        )
        async with AsyncExitStack() as stack:
            self.desk = await stack.enter_async_context(
                UpperDesk(
                    DeskParts(
                        own_id=self.own_id,
                        access=needs.sharing.access,
                        directory=needs.registry,
                        make_catalog=self.make_catalog,
                        own=lambda: own,
                        ask_status=self._ask_status,
                        clock=clock,
                        queries_per_minute=needs.settings.cascade.queries_per_minute,
                        on_crash=needs.on_crash,
                    ),
                    self.control_desk,
                )
            )
            stack.push_async_callback(self.bridges.close)
            self.links = UpperLinks(
                self.platforms,
                self.transport,
                clock=clock,
                new_token=new_id,
                new_fraction=fraction,
                on_crash=needs.on_crash,
            )
            self._connect()
            self.requests = UpperRequests(
                links=self.links,
                desk=self.desk,
                bridges=self.bridges,
                access=needs.sharing.access,
                identities=self.identities,
                own_id=self.own_id,
                is_device=lambda code: needs.registry.get(code) is not None,
                trust=needs.driver.trust,
                scope=needs.scope,
                wall=clock.utc_now,
                timeout=needs.settings.sip.request_timeout,
            )
            self._stack = stack.pop_all()
        return self

    async def start(self) -> None:
        """Begin to register, once everything else listens."""
        await self._stack.enter_async_context(self.links)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    # What others ask

    def view(self, platform_id: str) -> PlatformView | None:
        """A platform's catalogue."""
        return self.desk.view(platform_id)

    def make_catalog(self, link: UpperLink) -> SharedCatalog:
        """Make the catalogue of a platform."""
        needs, config = self._needs, link.config
        cascade = needs.settings.cascade
        view = CatalogView(
            config,
            local_id=config.local_id or self.own_id,
            directory=needs.registry,
            access=needs.sharing.access,
            ids=needs.store,
            subject=Subject(platform=config.platform_id),
            wall=clock.utc_now,
            own_item=self._own_platform,
            facts=needs.sharing.facts,
        )
        return SharedCatalog(
            view,
            link,
            on_crash=needs.on_crash,
            settings=NotifierSettings(
                delay=cascade.notify_delay,
                batch=cascade.notify_batch,
                initial_report=cascade.initial_report,
            ),
        )

    async def preview(
        self, config: PlatformConfig, root: str | None = None
    ) -> Sequence[CatalogItem]:
        """Return what a platform with this configuration would get now; no code is given out for it."""
        made = await preview(
            config,
            local_id=config.local_id or self.own_id,
            directory=self._needs.registry,
            access=self._needs.sharing.access,
            ids=self._needs.store,
            subject=Subject(platform=config.platform_id),
            wall=clock.utc_now,
            own_item=self._own_platform,
            facts=self._needs.sharing.facts,
        )
        if root is None:
            return list(made.items)
        return [
            item
            for item in made.items
            if item.device_id == root or root in item.parent_id.split("/")
        ]

    async def codes(self, platform_id: str) -> Sequence[SharedId]:
        """Return all codes a platform was given."""
        return [
            code async for part in self._needs.store.load_shared_ids(platform_id) for code in part
        ]

    def shared_id(self, platform_id: str, device_id: str, channel_id: str) -> str | None:
        """Return the code under which a platform sees a channel now."""
        view = self.view(platform_id)
        return None if view is None else view.shared_id(device_id, channel_id)

    # What happens below

    def device_changed(self, device: Device) -> None:
        """A device went on- or off-line."""
        self.desk.touch(device.device_id)

    def catalog_changed(self, device_id: str, diff: CatalogDiff) -> None:
        """Channels of a device changed."""
        self.desk.touch(device_id, {*diff.added, *diff.removed, *diff.changed})

    def alarm(self, device_id: str, alarm: AlarmNotify) -> None:
        """A device raised an alarm."""
        self.desk.alarm(device_id, alarm.device_id, alarm)

    def connection_lost(self, connection: int, reason: str) -> None:
        """A SIP connection is gone."""
        self.links.connection_lost(connection, reason)

    # Inside

    def _connect(self) -> None:
        sharing = self._needs.sharing
        sharing.access.on_changed.append(self.desk.policy_changed)
        for book in (sharing.stops, sharing.grants):
            book.on_objects.append(self._objects_changed)
        self.links.on_started.append(self._link_started)
        self.links.on_ended.append(self._link_ended)
        self.links.on_offline.append(self._link_offline)
        self.links.on_status.append(self._fill_status)
        self.platforms.on_changed.append(self._platform_changed)

    def _objects_changed(self, objects: ChannelSelector) -> None:
        """A stop order or grant names devices or channels: platforms are told of these first."""
        registry, devices = self._needs.registry, set(objects.devices)
        for name in objects.channels:
            device_id, _, code = name.rpartition("/")
            named = [device_id] if device_id else [c.device_id for c in registry.find_channel(code)]
            devices.update(named)
        if devices:
            self.desk.policy_changed(devices)

    def _platform_changed(self, platform_id: str) -> None:
        if self.platforms.find(platform_id) is None:
            # Deleted: whoever registers with that code later has never been told ours.
            forgotten = self._needs.store.forget_shared_ids(platform_id)
            unawaited(forgotten, f"shared codes of {platform_id}")

    def _link_started(self, link: UpperPlatformLink) -> None:
        link.prepared = self.desk.open(link)

    def _link_ended(self, link: UpperPlatformLink) -> None:
        self._link_offline(link, "The link was stopped")
        self.desk.close(link.config.platform_id, link)

    def _link_offline(self, link: UpperPlatformLink, detail: str) -> None:
        platform_id = link.config.platform_id
        self.bridges.platform_offline(platform_id, detail)
        self.control_desk.platform_offline(platform_id)

    def _fill_status(self, platform_id: str, status: PlatformStatus) -> None:
        self.desk.fill_status(platform_id, status)
        status.sessions = self.bridges.count_of(platform_id)

    def _own_platform(self) -> OwnPlatform:
        cascade = self._needs.settings.cascade
        codes = {config.local_id for config in self.platforms.list() if config.local_id}
        return OwnPlatform(
            name=cascade.name,
            manufacturer=MANUFACTURER,
            model=MANUFACTURER,
            civil_code=cascade.civil_code,
            address=cascade.address,
            codes=frozenset({self.own_id, *codes}),
            mark=self._mark,
        )

    async def _ask_status(self, device_id: str, channel_id: str) -> Mapping[str, str]:
        device = self._needs.registry.get(device_id)
        if device is None:
            raise Unavailable("device_offline", f"No device {device_id}")
        async with asyncio.timeout(self._needs.settings.sip.request_timeout + 1):
            return await self._needs.signaller.query_device_status(device, channel_id)
