"""The composition root: builds every part from the settings, starts them in order and stops them in reverse."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self

import structlog

from gateway import __version__
from gateway.app.cascade import CascadeNeeds, CascadeParts
from gateway.app.convert import flood_limits, registry_settings
from gateway.app.gauges import SessionMetrics, describe_metrics
from gateway.app.hls import hls_media
from gateway.app.listen import bound, free_port, private_directory, tls_context
from gateway.app.push import push_service
from gateway.app.recording import RecordingNeeds, RecordingParts
from gateway.app.rtsp import rtsp_base, rtsp_parts
from gateway.app.sharing import SharingParts
from gateway.app.sources import foreign_sources, rtmp_base, rtmp_parts
from gateway.app.webrtc import webrtc_parts
from gateway.cascade.book import PlatformBook
from gateway.cascade.links import UpperLinks
from gateway.config.model import Settings
from gateway.domain.device import CatalogDiff, Device, MediaTransport, OfflineReason
from gateway.domain.media import StreamInfo
from gateway.domain.store import StoreHealth
from gateway.http.deps import HttpDeps
from gateway.http.options import HttpOptions
from gateway.http.poster import HttpPoster
from gateway.http.server import HttpServer
from gateway.http.shared import SharingDeps
from gateway.media.options import MediaOptions
from gateway.media.plane import EmbeddedMedia
from gateway.media.rtp_output import RtpOutputs
from gateway.observe.log import RateLimitedCounter
from gateway.observe.loop import LoopWatch
from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry
from gateway.sessions.control import DeviceControls
from gateway.sessions.live import LiveSessions
from gateway.sessions.ports import SessionSettings
from gateway.sharing.policy.book import PolicyBook
from gateway.sharing.webhooks_service import WebhookService
from gateway.signalling.catalog import CatalogSync
from gateway.signalling.journal import DialogJournal
from gateway.signalling.notices import DeviceNotices
from gateway.signalling.outbound import SipSignaller
from gateway.signalling.pending import PendingAnswers
from gateway.signalling.router import SipRouter
from gateway.signalling.subscriptions import DeviceSubscriptions, SubscriptionSettings
from gateway.store.sql import SqlStore
from gb28181.aio.clock import monotonic, utc_now
from gb28181.aio.driver import IncomingRequest, SipDriver, SipStats
from gb28181.aio.tasks import TaskScope
from gb28181.flow.catalog import CatalogCollector, CatalogTimes
from gb28181.flow.flood import FloodControl
from gb28181.flow.registrar import Registrar
from gb28181.manscdp.alarm import AlarmNotify
from gb28181.sdp.ssrc import SsrcPool
from gb28181.sip.digest import DigestServer
from gb28181.sip.endpoint import MessageRefused

__all__ = ["Gateway"]

log = structlog.get_logger()

SETTLE = 1.5
"""Seconds at the end for devices to answer CANCELs: three times T1."""


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
        self.media = await enter(self._build_media())
        self.rtp_outputs = RtpOutputs(self.media)
        self.hls, self.snapshots = self._stack.enter_context(hls_media(settings, self.media))
        self.driver = await enter(self._build_driver())
        self.scope = await enter(TaskScope(self._crashed))
        self.journal = DialogJournal(settings.data_dir / "dialogs.json", self.scope)
        self._ghosts = await self.journal.load()
        self._stack.push_async_callback(self.journal.flush)
        self._build_signalling()
        self.sessions = await enter(self._build_sessions())
        self.controls = DeviceControls(
            devices=self.registry,
            signaller=self.signaller,
            scope=self.scope,
            now=monotonic,
            hold=settings.cascade.ptz_hold,
        )
        self.webrtc = await enter(
            webrtc_parts(settings, self.media, self.rtp_outputs, self.controls, self.scope)
        )
        self.recording = await enter(self._build_recording())
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
                    signaller=self.signaller,
                    sessions=self.sessions,
                    controls=self.controls,
                    ssrcs=self.ssrcs,
                    scope=self.scope,
                    on_crash=self._crashed,
                )
            )
        )
        self.router = self._build_router()
        self.subscriptions = self._build_subscriptions()
        self._stack.push_async_callback(self.subscriptions.close)
        self._connect_parts()
        describe_metrics(self.metrics, self)
        self.webhooks = self._build_webhooks(await enter(HttpPoster(self.sharing.targets)))
        self.sharing.access.on_owner_notice.append(self.webhooks.owner_notice)
        self.http = await enter(self._build_http())
        self.rtsp = await enter(
            rtsp_parts(settings, self.http.entrance, self.sessions, self.rtp_outputs, self._crashed)
        )
        self.rtmp = await enter(rtmp_parts(settings, self.sources))
        await self._listen()
        await self._begin()

    async def _begin(self) -> None:
        """Let everything run, now that all is there."""
        self.loop_watch = LoopWatch(self.metrics)
        self.scope.spawn(self.loop_watch.run(), name="loop-watch")
        self.scope.spawn(self.registry.supervise(), name="registry")
        self.scope.spawn(self.sharing.access.run(), name="sharing")
        self.scope.spawn(self.controls.run(), name="controls")
        self.scope.spawn(self.webhooks.run(), name="webhooks")
        self.catalog.start()
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

    def _build_media(self) -> EmbeddedMedia:
        rtp, media, limits = self.settings.rtp, self.settings.media, self.settings.limits
        return EmbeddedMedia(
            host=rtp.host,
            ports=rtp.ports,
            drain=rtp.drain,
            receive_buffer=rtp.receive_buffer,
            options=MediaOptions(
                source_timeout=media.source_timeout,
                viewer_bytes=media.viewer_buffer,
                gop_bytes=media.gop_cache,
                audio=media.audio,
                max_viewers=limits.max_viewers,
                max_viewers_per_stream=limits.max_viewers_per_stream,
                max_pulls=self.settings.sources.max_pulls,
            ),
        )

    @asynccontextmanager
    async def _build_driver(self) -> AsyncIterator[SipDriver]:
        sip = self.settings.sip
        refused = RateLimitedCounter(log.info, "sip_message_refused")

        def note(event: MessageRefused) -> None:
            refused.add(source=event.flow.remote[0], detail=event.detail, status=event.status)

        def take(incoming: IncomingRequest) -> None:
            if self._ready:
                self.router.on_request(incoming)
            else:
                incoming.respond(503, headers=[("Retry-After", "5")])

        driver = SipDriver(
            on_request=take,
            on_event=note,
            user_agent=sip.user_agent,
            on_crash=self._crashed,
            advertise=(sip.advertise, sip.port) if sip.advertise else None,
        )
        try:
            yield driver
        finally:
            await driver.client.settle(SETTLE)
            await driver.close()

    def _build_signalling(self) -> None:
        sip, rtp = self.settings.sip, self.settings.rtp
        self.pending = PendingAnswers()
        self.signaller = SipSignaller(
            self.driver.client,
            self.pending,
            platform_id=sip.id,
            domain=sip.domain,
            charset=sip.charset,
            timeout=sip.request_timeout,
            media_host=rtp.advertise or sip.advertise,
            journal=self.journal,
            find=self.registry.get,
        )
        self.catalog = CatalogSync(
            registry=self.registry,
            signaller=self.signaller,
            pending=self.pending,
            collector=CatalogCollector(
                CatalogTimes(first_packet=sip.catalog_first, silence=sip.catalog_silence)
            ),
            platform_id=sip.id,
            scope=self.scope,
            now=monotonic,
            wall=utc_now,
            metrics=self.metrics,
        )

    @asynccontextmanager
    async def _build_sessions(self) -> AsyncIterator[LiveSessions]:
        media, sip = self.settings.media, self.settings.sip
        self.ssrcs = SsrcPool(sip.id, start=secrets.randbelow(10_000))
        sessions = LiveSessions(
            devices=self.registry,
            signaller=self.signaller,
            media=self.media,
            ssrcs=self.ssrcs,
            settings=SessionSettings(
                platform_id=sip.id,
                transport=MediaTransport(media.transport),
                invite_timeout=media.invite_timeout,
                first_packet_timeout=media.first_packet_timeout,
                decodable_timeout=media.decodable_timeout,
                no_readers_grace=media.no_readers_grace,
                max_sessions=self.settings.limits.max_sessions,
            ),
            scope=self.scope,
            now=monotonic,
            wall=utc_now,
            new_id=lambda: secrets.token_hex(8),
            observer=SessionMetrics(self.metrics),
        )
        try:
            yield sessions
        finally:
            await sessions.close()

    def _build_recording(self) -> RecordingParts:
        return RecordingParts(
            RecordingNeeds(
                settings=self.settings,
                store=self.store,
                sharing=self.sharing,
                media=self.media,
                sessions=self.sessions,
                metrics=self.metrics,
                scope=self.scope,
            )
        )

    def _build_router(self) -> SipRouter:
        sip = self.settings.sip
        digest = DigestServer(
            realm=sip.domain,
            secret=secrets.token_bytes(32),
            algorithms=sip.algorithms,
            qop=sip.qop,
            nonce_ttl=sip.nonce_ttl,
        )
        registrar = Registrar(
            digest=digest,
            min_expires=sip.min_expires,
            max_expires=sip.max_expires,
            default_expires=sip.default_expires,
            flood=FloodControl(flood_limits(self.settings)),
        )
        notices = DeviceNotices(
            registry=self.registry,
            signaller=self.signaller,
            platform_id=sip.id,
            scope=self.scope,
            resync=self.catalog.request,
            on_alarm=self._alarm,
        )
        return SipRouter(
            registrar=registrar,
            registry=self.registry,
            catalog=self.catalog,
            pending=self.pending,
            scope=self.scope,
            now=monotonic,
            wall=utc_now,
            send_date=sip.send_date,
            metrics=self.metrics,
            trust=self.driver.trust,
            notices=notices,
            uppers=self.cascade.requests,
        )

    def _build_subscriptions(self) -> DeviceSubscriptions:
        cascade = self.settings.cascade
        return DeviceSubscriptions(
            registry=self.registry,
            signaller=self.signaller,
            settings=SubscriptionSettings(
                catalog=cascade.subscribe_catalog,
                alarm=cascade.subscribe_alarm,
                expires=cascade.subscribe_expires,
                timeout=self.settings.sip.request_timeout,
            ),
            scope=self.scope,
            notified=self.router.notified,
            now=monotonic,
            new_fraction=lambda: secrets.randbelow(1 << 30) / (1 << 30),
        )

    def _build_webhooks(self, poster: HttpPoster) -> WebhookService:
        return WebhookService(
            book=self.sharing.webhooks,
            departments=self.sharing.departments,
            access=self.sharing.access,
            directory=self.registry,
            poster=poster,
            scope=self.scope,
            wall=utc_now,
            now=monotonic,
            new_id=lambda: secrets.token_hex(8),
            spread=lambda: 0.5 + secrets.randbelow(1 << 30) / (1 << 30),
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

    def _build_http(self) -> HttpServer:
        http, limits = self.settings.http, self.settings.limits
        deps = HttpDeps(
            devices=self.registry,
            catalog=self.catalog,
            queries=self.signaller,
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
        return HttpServer(
            deps,
            HttpOptions(
                data_dir=self.settings.data_dir,
                host=http.host,
                port=http.port,
                admin_token=http.admin_token,
                token_ttl=http.token_ttl,
                play_token_ttl=self.settings.sharing.play_token_ttl,
                signature_skew=self.settings.sharing.signature_skew,
                public_url=http.public_url,
                cors_origins=http.cors_origins,
                max_viewers=limits.max_viewers,
                max_viewers_per_stream=limits.max_viewers_per_stream,
            ),
        )

    async def _listen(self) -> None:
        """Open the SIP listeners last: whatever comes in finds everything ready."""
        sip = self.settings.sip
        # With port 0 both transports still share one number, as devices expect.
        wanted = sip.port or free_port(sip.host)
        host, port = await bound("UDP", sip.host, wanted, self.driver.listen_udp)
        self.sip_addresses.append(("UDP", host, port))
        if sip.tcp:
            self.sip_addresses.append(
                ("TCP", *await bound("TCP", sip.host, port, self.driver.listen_tcp))
            )
        if sip.tls:
            context = await asyncio.to_thread(tls_context, sip.tls_cert, sip.tls_key)
            listening = await self.driver.listen_tls(sip.host, sip.tls_port, context)
            self.sip_addresses.append(("TLS", *listening))

    # Who tells whom

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
            self.scope.spawn(self.signaller.end_ghosts(device), name=f"ghosts:{device.device_id}")

    def _device_online(self, device: Device) -> None:
        self._end_ghosts(device)
        self.metrics.transitions.labels("online", "").inc()
        self.catalog.request(device)
        self.subscriptions.device_online(device)
        self.cascade.device_changed(device)
        self.recording.device_online(device)
        self.webhooks.touch(device.device_id)

    def _device_offline(self, device: Device) -> None:
        reason = device.offline_reason or OfflineReason.NOT_CONNECTED
        self.metrics.transitions.labels("offline", reason.value).inc()
        self.sessions.device_offline(device, f"Device went offline: {reason.value}")
        self.catalog.device_offline(device)
        self.subscriptions.device_offline(device)
        self.cascade.device_changed(device)
        self.webhooks.touch(device.device_id)

    def _device_rebooted(self, device: Device) -> None:
        # A new Call-ID should mean a reboot (protocol 3.3), but cheap cameras make one for every refresh:
        # whether its streams are gone is for the media to tell.
        self.catalog.request(device)

    def _crashed(self, name: str, error: Exception) -> None:
        self.metrics.task_crashes.labels(name.partition(":")[0]).inc()
        log.error("task_crashed", task=name, error=repr(error), exc_info=error)
