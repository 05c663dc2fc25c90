"""The SIP side, put together: driver, requests of ours, router, subscriptions, listeners."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from gateway.app.chance import fraction
from gateway.app.convert import flood_limits
from gateway.app.listen import bound, free_port, tls_context
from gateway.config.model import Settings
from gateway.observe.log import RateLimitedCounter
from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry
from gateway.signalling.catalog import CatalogSync
from gateway.signalling.journal import DialogJournal
from gateway.signalling.notices import DeviceNotices
from gateway.signalling.outbound import SipSignaller
from gateway.signalling.pending import PendingAnswers
from gateway.signalling.router import SipRouter
from gateway.signalling.subscriptions import DeviceSubscriptions, SubscriptionSettings
from gateway.signalling.upper_requests import UpperRequests
from gb28181.aio.clock import monotonic, utc_now
from gb28181.aio.driver import IncomingRequest, SipDriver
from gb28181.aio.tasks import TaskScope
from gb28181.flow.catalog import CatalogCollector, CatalogTimes
from gb28181.flow.flood import FloodControl
from gb28181.flow.registrar import Registrar
from gb28181.manscdp.alarm import AlarmNotify
from gb28181.sip.digest import DigestServer
from gb28181.sip.endpoint import MessageRefused

__all__ = ["Requests", "device_subscriptions", "listen", "sip_driver", "sip_router"]

log = structlog.get_logger()

SETTLE = 1.5
"""Seconds at the end for devices to answer CANCELs: three times T1."""


@asynccontextmanager
async def sip_driver(
    settings: Settings,
    take: Callable[[IncomingRequest], None],
    on_crash: Callable[[str, Exception], None],
) -> AsyncIterator[SipDriver]:
    """Build the SIP stack; it listens nowhere yet.

    Args:
        settings: `[sip]`.
        take: Gets every request.
        on_crash: Told of tasks that crashed.
    """
    sip = settings.sip
    refused = RateLimitedCounter(log.info, "sip_message_refused")

    def note(event: MessageRefused) -> None:
        refused.add(source=event.flow.remote[0], detail=event.detail, status=event.status)

    driver = SipDriver(
        on_request=take,
        on_event=note,
        user_agent=sip.user_agent,
        on_crash=on_crash,
        advertise=(sip.advertise, sip.port) if sip.advertise else None,
    )
    try:
        yield driver
    finally:
        try:
            await driver.client.settle(SETTLE)
        finally:
            await driver.close()


class Requests:
    """What we ask of devices.

    Args:
        settings: `[sip]`, `[rtp]`.
        driver: Sends.
        journal: Remembers dialogs over a crash.
        registry: Knows the devices.
        scope: Owner of the tasks.
        metrics: Counts.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        driver: SipDriver,
        journal: DialogJournal,
        registry: DeviceRegistry,
        scope: TaskScope,
        metrics: Metrics,
    ) -> None:
        sip, rtp = settings.sip, settings.rtp
        self.pending = PendingAnswers()
        self.signaller = SipSignaller(
            driver.client,
            self.pending,
            platform_id=sip.id,
            domain=sip.domain,
            charset=sip.charset,
            timeout=sip.request_timeout,
            media_host=rtp.advertise or sip.advertise,
            journal=journal,
            find=registry.get,
        )
        self.catalog = CatalogSync(
            registry=registry,
            signaller=self.signaller,
            pending=self.pending,
            collector=CatalogCollector(
                CatalogTimes(first_packet=sip.catalog_first, silence=sip.catalog_silence)
            ),
            platform_id=sip.id,
            scope=scope,
            now=monotonic,
            wall=utc_now,
            metrics=metrics,
        )


def sip_router(
    settings: Settings,
    requests: Requests,
    *,
    driver: SipDriver,
    registry: DeviceRegistry,
    uppers: UpperRequests,
    on_alarm: Callable[[str, AlarmNotify], None],
    scope: TaskScope,
    metrics: Metrics,
) -> SipRouter:
    """Return the table that says who handles which request.

    Args:
        settings: `[sip]`, `[limits]`.
        requests: What answers belong to.
        driver: Told whom to trust.
        registry: Knows the devices.
        uppers: Handles upper platforms.
        on_alarm: Told of alarms.
        scope: Owner of the tasks.
        metrics: Counts.
    """
    sip = settings.sip
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
        flood=FloodControl(flood_limits(settings)),
    )
    notices = DeviceNotices(
        registry=registry,
        signaller=requests.signaller,
        platform_id=sip.id,
        scope=scope,
        resync=requests.catalog.request,
        on_alarm=on_alarm,
    )
    return SipRouter(
        registrar=registrar,
        registry=registry,
        catalog=requests.catalog,
        pending=requests.pending,
        scope=scope,
        now=monotonic,
        wall=utc_now,
        send_date=sip.send_date,
        metrics=metrics,
        trust=driver.trust,
        notices=notices,
        uppers=uppers,
    )


def device_subscriptions(
    settings: Settings,
    requests: Requests,
    router: SipRouter,
    *,
    registry: DeviceRegistry,
    scope: TaskScope,
) -> DeviceSubscriptions:
    """Return our subscriptions with devices.

    Args:
        settings: `[cascade]`, `[sip]`.
        requests: Sends them.
        router: Takes what they notify.
        registry: Knows the devices.
        scope: Owner of the tasks.
    """
    cascade = settings.cascade
    return DeviceSubscriptions(
        registry=registry,
        signaller=requests.signaller,
        settings=SubscriptionSettings(
            catalog=cascade.subscribe_catalog,
            alarm=cascade.subscribe_alarm,
            expires=cascade.subscribe_expires,
            timeout=settings.sip.request_timeout,
        ),
        scope=scope,
        notified=router.notified,
        now=monotonic,
        new_fraction=fraction,
    )


async def listen(settings: Settings, driver: SipDriver) -> list[tuple[str, str, int]]:
    """Open the SIP listeners; return (transport, host, port) of each, ports as bound.

    Raises:
        Unavailable: a port cannot be had, or the certificate cannot be used.
    """
    sip = settings.sip
    # With port 0 both transports still share one number, as devices expect.
    wanted = sip.port or free_port(sip.host)
    host, port = await bound("UDP", sip.host, wanted, driver.listen_udp)
    addresses = [("UDP", host, port)]
    if sip.tcp:
        addresses.append(("TCP", *await bound("TCP", sip.host, port, driver.listen_tcp)))
    if sip.tls:
        context = await asyncio.to_thread(tls_context, sip.tls_cert, sip.tls_key)

        def listen_tls(host: str, port: int) -> Awaitable[tuple[str, int]]:
            return driver.listen_tls(host, port, context)

        addresses.append(("TLS", *await bound("TLS", sip.host, sip.tls_port, listen_tls)))
    return addresses
