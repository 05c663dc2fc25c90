"""The composition root: builds every part from the settings, starts them in order and stops them in reverse."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import structlog

from gateway import __version__
from gateway.app.cascade import CascadeNeeds, CascadeParts
from gateway.app.control import device_controls
from gateway.app.convert import registry_settings
from gateway.app.device_events import DeviceEvents
from gateway.app.gauges import describe_metrics
from gateway.app.hls import hls_media
from gateway.app.holdings import Holdings
from gateway.app.http import http_options, sharing_deps, webhook_service
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
from gateway.http.deps import HttpDeps
from gateway.http.poster import HttpPoster
from gateway.http.server import HttpServer
from gateway.media.rtp_output import RtpOutputs
from gateway.observe.loop import LoopWatch
from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry
from gateway.rtmp.server import RtmpServer
from gateway.rtsp.server import RtspServer
from gateway.sharing.policy.book import PolicyBook
from gateway.signalling.journal import DialogJournal
from gateway.store.sql import SqlStore
from gb28181.aio.driver import IncomingRequest
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
        self.rtsp: RtspServer | None = None
        self.rtmp: RtmpServer | None = None
        self._stack = AsyncExitStack()
        self._holdings = Holdings()
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
            self._ready = False
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

    # Figures

    def counts(self) -> dict[str, int]:
        """What is held now, by name."""
        return self._holdings.counts()

    def leftovers(self) -> dict[str, int]:
        """What is held at this moment and must be nothing after the end; only what is not zero."""
        return self._holdings.leftovers()

    # Starting: what is entered first is left last

    async def _start(self) -> None:
        await self._start_core()
        await self._start_sessions()
        await self._start_sharing()
        await self._start_faces()
        self._note_holdings()
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
        # Left after everything that still puts something on record; entered once no other process runs on this data.
        self.sharing = await enter(SharingParts(settings, self.store, self.registry, self._crashed))
        await self.registry.load()
        self.media = await enter(media_plane(settings))
        self.rtp_outputs = RtpOutputs(self.media)
        self.hls, self.snapshots = self._stack.enter_context(hls_media(settings, self.media))
        self.driver = await enter(sip_driver(settings, self._take, self._crashed))
        # Left after the tasks that deliver.
        self.poster = await enter(HttpPoster(self.sharing.targets))

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
        self.controls = await enter(
            device_controls(
                settings,
                registry=self.registry,
                signaller=self.requests.signaller,
                scope=self.scope,
            )
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
        describe_metrics(
            self.metrics, self.registry, self.media, self.driver, self.store, self.counts
        )
        self.webhooks = webhook_service(self.poster, self.sharing, self.registry, self.scope)
        self.sharing.access.on_owner_notice.append(self.webhooks.owner_notice)
        self.events = DeviceEvents(
            registry=self.registry,
            requests=self.requests,
            journal=self.journal,
            sessions=self.sessions,
            subscriptions=self.subscriptions,
            cascade=self.cascade,
            recording=self.recording,
            access=self.sharing.access,
            webhooks=self.webhooks,
            metrics=self.metrics,
            scope=self.scope,
        )
        self.events.connect(self.driver)
        self.http = await enter(HttpServer(self._http_deps(), http_options(settings)))
        self.rtsp = await enter(
            rtsp_parts(settings, self.http.entrance, self.sessions, self.rtp_outputs, self._crashed)
        )
        self.rtmp = await enter(rtmp_parts(settings, self.sources))

    def _note_holdings(self) -> None:
        held, access = self._holdings, self.sharing.access
        held.add("sessions", lambda: self.sessions.running_count)
        held.add("bridges", lambda: self.cascade.bridges.running_count)
        held.add("subscriptions", lambda: self.subscriptions.count)
        held.show("platforms_online", lambda: sum(link.online for link in self.links.links()))
        held.add("accesses", lambda: sum(1 for _ in access.accesses()))
        held.give_back("senders", lambda: len(self.media.senders()))
        held.show("rtsp", lambda: self.rtsp.connections if self.rtsp else 0)
        held.give_back("rtsp", lambda: self.rtsp.held() if self.rtsp else 0)
        held.add("webrtc", lambda: self.webrtc.count() if self.webrtc else 0)
        held.give_back("ports", lambda: self.media.ports_in_use()[0])
        held.add("ssrcs", lambda: self.ssrcs.in_use)
        held.give_back("dialogs", lambda: self.driver.stats.dialogs)
        held.give_back("streams", lambda: len(self.media.streams()))
        held.show("hls_streams", lambda: self.hls.segmenters)
        held.show("hls_viewings", lambda: self.hls.viewings)
        held.give_back("hls", lambda: self.hls.segmenters)
        held.add("recordings", lambda: self.recording.active)
        held.add("pushes", lambda: self.pushes.running_count)
        held.add("publishers", lambda: self.sources.publishers)
        held.give_back("rtmp", lambda: self.rtmp.connections if self.rtmp else 0)
        held.give_back("snapshots", lambda: self.snapshots.pending)
        held.give_back("motions", lambda: len(self.controls.moving))

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
        self.events.begin()
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

    def _http_deps(self) -> HttpDeps:
        return HttpDeps(
            devices=self.registry,
            catalog=self.requests.catalog,
            queries=self.requests.signaller,
            sessions=self.sessions,
            media=self.media,
            metrics=self.metrics,
            store_health=self.store.health,
            sharing=sharing_deps(
                self.sharing, self.cascade, controls=self.controls, deliveries=self.webhooks
            ),
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

    # Who is told

    def _take(self, incoming: IncomingRequest) -> None:
        if self._ready:
            self.router.on_request(incoming)
        else:
            incoming.respond(503, headers=[("Retry-After", "5")])

    def _alarm(self, device_id: str, alarm: AlarmNotify) -> None:
        self.cascade.alarm(device_id, alarm)
        self.recording.alarm(device_id, alarm)

    def _crashed(self, name: str, error: Exception) -> None:
        self.metrics.task_crashes.labels(name.partition(":")[0]).inc()
        log.error("task_crashed", task=name, error=repr(error), exc_info=error)
