"""The composition root: builds every part from the settings, starts them in order and stops them in reverse."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import structlog

from gateway import __version__
from gateway.app.cascade import CascadeNeeds, CascadeParts
from gateway.app.convert import registry_settings
from gateway.app.gauges import describe_metrics
from gateway.app.hls import hls_media
from gateway.app.http import http_options, webhook_service
from gateway.app.listen import private_directory
from gateway.app.media import live_sessions, media_plane
from gateway.app.push import push_service
from gateway.app.recording import RecordingNeeds, RecordingParts
from gateway.app.rtsp import rtsp_base, rtsp_parts
from gateway.app.sharing import SharingParts
from gateway.app.signalling import (
    Requests,
    device_subscriptions,
    listen,
    sip_driver,
    sip_router,
)
from gateway.app.sources import foreign_sources, rtmp_base, rtmp_parts
from gateway.app.webrtc import webrtc_parts
from gateway.cascade.book import PlatformBook
from gateway.cascade.links import UpperLinks
from gateway.config.model import Settings
from gateway.domain.device import CatalogDiff, Device, OfflineReason
from gateway.domain.media import StreamInfo
from gateway.domain.store import StoreHealth
from gateway.http.deps import HttpDeps
from gateway.http.poster import HttpPoster
from gateway.http.server import HttpServer
from gateway.http.shared import SharingDeps
from gateway.media.rtp_output import RtpOutputs
from gateway.observe.loop import LoopWatch
from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry
from gateway.sessions.control import DeviceControls
from gateway.sharing.policy.book import PolicyBook
from gateway.signalling.journal import DialogJournal
from gateway.store.sql import SqlStore
from gb28181.aio.clock import monotonic
from gb28181.aio.driver import IncomingRequest, SipStats
from gb28181.aio.tasks import TaskScope
from gb28181.manscdp.alarm import AlarmNotify
from gb28181.sdp.ssrc import SsrcPool

__all__ = ["Gateway"]

log = structlog.get_logger()


class Gateway:
    """A whole gateway in this process; use as an async context manager.

    Args:
        settings: Checked settings.

    Raises:
        Unavailable: on entering, when a port or the data directory cannot be had; the message names it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.sip_addresses: list[tuple[str, str, int]] = []
        """(transport, host, port) of every SIP listener, ports as bound."""
        self._stack = AsyncExitStack()
        self._ready = False

    @property
    def http_url(self) -> str:
        """Base URL of the API as bound, for this machine."""
        return self.http.url

    @property
    def cli_token(self) -> str:
        """This start's token for the local CLI."""
        return self.http.cli_token

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        log.info("gateway_stopping", sessions=self.leftovers().get("sessions", 0))
        self._ready = False
        await self._stack.aclose()
        log.info("gateway_stopped")

    # Figures

    def device_counts(self) -> tuple[int, int, int]:
        """Devices known, devices online, channels."""
        return self.registry.counts()

    def streams(self) -> list[StreamInfo]:
        """Open streams."""
        return self.media.streams()

    def ports(self) -> tuple[int, int, int]:
        """Port pairs leased, draining and in all."""
        return self.media.ports_in_use()

    def sip(self) -> SipStats:
        """Counters of the SIP stack."""
        return self.driver.stats

    def store_health(self) -> StoreHealth:
        """How the store is."""
        return self.store.health()

    @property
    def platforms(self) -> PlatformBook:
        """The upper platforms configured."""
        return self.cascade.platforms

    @property
    def links(self) -> UpperLinks:
        """The links to them."""
        return self.cascade.links

    @property
    def policies(self) -> PolicyBook:
        """The sharing policy and its versions."""
        return self.sharing.policies

    def counts(self) -> dict[str, int]:
        """What is held now, by name."""
        links = self.cascade.links.links()
        return {
            "sessions": self.sessions.running_count,
            "bridges": self.cascade.bridges.running_count,
            "subscriptions": self.subscriptions.count,
            "platforms_online": sum(link.online for link in links),
            "accesses": sum(1 for _ in self.sharing.access.accesses()),
            "ssrcs": self.ssrcs.in_use,
            "rtsp": self.rtsp.connections if self.rtsp else 0,
            "webrtc": self.webrtc.count() if self.webrtc else 0,
            "hls_streams": self.hls.segmenters,
            "hls_viewings": self.hls.viewings,
            "recordings": self.recording.active,
            "pushes": self.pushes.running_count,
            "publishers": self.sources.publishers,
        }

    def leftovers(self) -> dict[str, int]:
        """What is held at this moment and must be nothing after the end; only what is not zero."""
        sip = self.driver.stats
        leased, _, _ = self.media.ports_in_use()
        held = {
            "sessions": self.sessions.running_count,
            "bridges": self.cascade.bridges.running_count,
            "subscriptions": self.subscriptions.count,
            "accesses": sum(1 for _ in self.sharing.access.accesses()),
            "senders": len(self.media.senders()),
            "rtsp": self.rtsp.held() if self.rtsp else 0,
            "webrtc": self.webrtc.count() if self.webrtc else 0,
            "ports": leased,
            "ssrcs": self.ssrcs.in_use,
            "dialogs": sip.dialogs,
            "streams": len(self.media.streams()),
            "hls": self.hls.segmenters,
            "recordings": self.recording.active,
            "pushes": self.pushes.running_count,
            "publishers": self.sources.publishers,
            "rtmp": self.rtmp.connections if self.rtmp else 0,
            "snapshots": self.snapshots.pending,
        }
        return {name: count for name, count in held.items() if count}

    # Starting: what is entered first is left last

    async def _start(self) -> None:
        await self._start_core()
        await self._start_sessions()
        await self._start_sharing()
        await self._start_faces()
        self.sip_addresses += await listen(self.settings, self.driver)
        await self._begin()

    async def _start_core(self) -> None:
        """What is kept, who may, the media plane and the SIP stack."""
        settings, enter = self.settings, self._stack.enter_async_context
        await asyncio.to_thread(private_directory, settings.data_dir)
        self.store = await enter(
            SqlStore(
                settings.store_url,
                self.metrics,
                group_commit=settings.store.group_commit,
                batch_interval=settings.store.batch_interval,
                on_crash=self._crashed,
            )
        )
        self.registry = DeviceRegistry(self.store, registry_settings(settings))
        await self.registry.load()
        # Left after everything that still puts something on record.
        self.sharing = await enter(SharingParts(settings, self.store, self.registry, self._crashed))
        self.media = await enter(media_plane(settings))
        self.rtp_outputs = RtpOutputs(self.media)
        self.hls, self.snapshots = self._stack.enter_context(hls_media(settings, self.media))
        self.driver = await enter(sip_driver(settings, self._take, self._crashed))

    async def _start_sessions(self) -> None:
        """What asks devices, and the streams that come of it."""
        settings, enter = self.settings, self._stack.enter_async_context
        self.scope = await enter(TaskScope(self._crashed))
        self.journal = DialogJournal(settings.data_dir / "dialogs.json", self.scope)
        self._ghosts = await self.journal.load()
        self._stack.push_async_callback(self.journal.flush)
        self.requests = Requests(
            settings,
            driver=self.driver,
            journal=self.journal,
            registry=self.registry,
            scope=self.scope,
            metrics=self.metrics,
        )
        self.ssrcs = SsrcPool(settings.sip.id, start=secrets.randbelow(10_000))
        self.sessions = await enter(
            live_sessions(
                settings,
                registry=self.registry,
                signaller=self.requests.signaller,
                media=self.media,
                ssrcs=self.ssrcs,
                scope=self.scope,
                metrics=self.metrics,
            )
        )
        self.controls = DeviceControls(
            devices=self.registry,
            signaller=self.requests.signaller,
            scope=self.scope,
            now=monotonic,
            hold=settings.cascade.ptz_hold,
        )
        self.webrtc = await enter(
            webrtc_parts(settings, self.media, self.rtp_outputs, self.controls, self.scope)
        )

    async def _start_sharing(self) -> None:
        """What uses streams by itself: recordings, pushes, foreign sources, upper platforms."""
        settings, enter = self.settings, self._stack.enter_async_context
        self.recording = await enter(
            RecordingParts(
                RecordingNeeds(
                    settings=settings,
                    store=self.store,
                    sharing=self.sharing,
                    media=self.media,
                    sessions=self.sessions,
                    metrics=self.metrics,
                    scope=self.scope,
                )
            )
        )
        self.pushes = await enter(
            push_service(
                store=self.store,
                registry=self.registry,
                sharing=self.sharing,
                sessions=self.sessions,
                media=self.media,
                scope=self.scope,
            )
        )
        self.sources = await enter(
            foreign_sources(
                settings,
                store=self.store,
                registry=self.registry,
                sharing=self.sharing,
                sessions=self.sessions,
                media=self.media,
                scope=self.scope,
            )
        )
        self.cascade = await enter(
            CascadeParts(
                CascadeNeeds(
                    settings=settings,
                    store=self.store,
                    registry=self.registry,
                    sharing=self.sharing,
                    driver=self.driver,
                    signaller=self.requests.signaller,
                    sessions=self.sessions,
                    controls=self.controls,
                    ssrcs=self.ssrcs,
                    scope=self.scope,
                    on_crash=self._crashed,
                )
            )
        )

    async def _start_faces(self) -> None:
        """What others come in by."""
        settings, enter = self.settings, self._stack.enter_async_context
        self.router = sip_router(
            settings,
            self.requests,
            driver=self.driver,
            registry=self.registry,
            uppers=self.cascade.requests,
            on_alarm=self._alarm,
            scope=self.scope,
            metrics=self.metrics,
        )
        self.subscriptions = device_subscriptions(
            settings, self.requests, self.router, registry=self.registry, scope=self.scope
        )
        self._stack.push_async_callback(self.subscriptions.close)
        self._connect_parts()
        describe_metrics(self.metrics, self)
        poster = await enter(HttpPoster(self.sharing.targets))
        self.webhooks = webhook_service(poster, self.sharing, self.registry, self.scope)
        self.sharing.access.on_owner_notice.append(self.webhooks.owner_notice)
        self.http = await enter(HttpServer(self._http_deps(), http_options(settings)))
        self.rtsp = await enter(
            rtsp_parts(settings, self.http.entrance, self.sessions, self.rtp_outputs, self._crashed)
        )
        self.rtmp = await enter(rtmp_parts(settings, self.sources))

    async def _begin(self) -> None:
        """Let everything run, now that all is there."""
        self.loop_watch = LoopWatch(self.metrics)
        self.scope.spawn(self.loop_watch.run(), name="loop-watch")
        self.scope.spawn(self.registry.supervise(), name="registry")
        self.scope.spawn(self.sharing.access.run(), name="sharing")
        self.scope.spawn(self.controls.run(), name="controls")
        self.scope.spawn(self.webhooks.run(), name="webhooks")
        self.requests.catalog.start()
        self._ready = True
        await self.cascade.start()
        await self.pushes.start()
        self.recording.start()
        for device in self.registry.devices():
            if device.online:
                self._end_ghosts(device)
                self.subscriptions.device_online(device)
        known, online, channels = self.registry.counts()
        log.info(
            "gateway_started",
            version=__version__,
            sip=[f"{transport} {host}:{port}" for transport, host, port in self.sip_addresses],
            http=self.http_url,
            devices=known,
            online=online,
            channels=channels,
            ghosts=self._ghosts,
        )

    def _sharing_deps(self) -> SharingDeps:
        sharing, cascade = self.sharing, self.cascade
        return SharingDeps(
            access=sharing.access,
            facts=sharing.facts,
            audit=sharing.audit,
            policies=sharing.policies,
            grants=sharing.grants,
            stops=sharing.stops,
            departments=sharing.departments,
            keys=sharing.keys,
            users=sharing.users,
            logins=sharing.logins,
            webhooks=sharing.webhooks,
            deliveries=self.webhooks,
            platforms=cascade.platforms,
            links=cascade.links,
            catalogs=cascade,
            controls=self.controls,
            bridges=cascade.bridges.bridges,
        )

    def _http_deps(self) -> HttpDeps:
        return HttpDeps(
            devices=self.registry,
            catalog=self.requests.catalog,
            queries=self.requests.signaller,
            sessions=self.sessions,
            media=self.media,
            metrics=self.metrics,
            store_health=self.store.health,
            sharing=self._sharing_deps(),
            ready=lambda: None if self._ready else "the gateway is starting or stopping",
            sip_addresses=lambda: self.sip_addresses,
            rtsp_base=rtsp_base(self.settings, lambda: self.rtsp.port if self.rtsp else 0),
            webrtc=self.webrtc,
            loop_lag=lambda: self.loop_watch.last if self._ready else 0.0,
            hls=self.hls if self.settings.hls.enabled else None,
            recordings=self.recording.desk,
            snapshots=self.snapshots,
            pushes=self.pushes,
            sources=self.sources,
            rtmp_base=rtmp_base(self.settings, lambda: self.rtmp.port if self.rtmp else 0),
            version=__version__,
        )

    # Who tells whom

    def _take(self, incoming: IncomingRequest) -> None:
        if self._ready:
            self.router.on_request(incoming)
        else:
            incoming.respond(503, headers=[("Retry-After", "5")])

    def _connect_parts(self) -> None:
        self.driver.on_connection_lost = self._connection_lost
        self.registry.on_catalog.append(self.cascade.catalog_changed)
        self.registry.on_described.append(self.cascade.device_changed)
        self.registry.on_catalog.append(self._facts_changed)
        self.registry.on_online.append(self._device_online)
        self.registry.on_offline.append(self._device_offline)
        self.registry.on_rebooted.append(self._device_rebooted)

    def _connection_lost(self, connection: int, reason: str) -> None:
        self.registry.connection_lost(connection, monotonic())
        self.cascade.connection_lost(connection, reason)

    def _alarm(self, device_id: str, alarm: AlarmNotify) -> None:
        self.cascade.alarm(device_id, alarm)
        self.recording.alarm(device_id, alarm)

    def _facts_changed(self, device_id: str, diff: CatalogDiff) -> None:
        changed = {*diff.added, *diff.removed, *diff.changed}
        self.sharing.access.touch(device_id, changed)
        self.webhooks.touch(device_id, changed)

    def _end_ghosts(self, device: Device) -> None:
        if self.journal.has_ghosts(device.device_id):
            self.scope.spawn(
                self.requests.signaller.end_ghosts(device), name=f"ghosts:{device.device_id}"
            )

    def _device_online(self, device: Device) -> None:
        self._end_ghosts(device)
        self.metrics.transitions.labels("online", "").inc()
        self.requests.catalog.request(device)
        self.subscriptions.device_online(device)
        self.cascade.device_changed(device)
        self.recording.device_online(device)
        self.webhooks.touch(device.device_id)

    def _device_offline(self, device: Device) -> None:
        reason = device.offline_reason or OfflineReason.NOT_CONNECTED
        self.metrics.transitions.labels("offline", reason.value).inc()
        self.sessions.device_offline(device, f"Device went offline: {reason.value}")
        self.requests.catalog.device_offline(device)
        self.subscriptions.device_offline(device)
        self.cascade.device_changed(device)
        self.webhooks.touch(device.device_id)

    def _device_rebooted(self, device: Device) -> None:
        # A new Call-ID should mean a reboot (protocol 3.3), but cheap cameras make one for every refresh:
        # whether its streams are gone is for the media to tell.
        self.requests.catalog.request(device)

    def _crashed(self, name: str, error: Exception) -> None:
        self.metrics.task_crashes.labels(name.partition(":")[0]).inc()
        log.error("task_crashed", task=name, error=repr(error), exc_info=error)
