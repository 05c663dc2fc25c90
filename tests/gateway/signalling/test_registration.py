"""REGISTER over loopback sockets: what devices are told, what is kept, what is counted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.domain.device import TimelineKind
from gateway.observe.metrics import Metrics
from gateway.signalling.answers import SipAnswers
from gateway.signalling.registration import DeviceRegistrations
from gb28181.aio.tasks import TaskScope
from gb28181.flow.flood import FloodControl
from gb28181.flow.registrar import Registrar
from gb28181.sip.digest import DigestServer, authorize
from gb28181.sip.message import Response
from tests.support.registry import DEVICE, REALM, ManualClock, MemoryStore, build
from tests.support.sip_drivers import Peer, peers

pytestmark = pytest.mark.net

SERVER = f"sip:34020000002000000001@{REALM}"
NAME = f"<sip:{DEVICE}@{REALM}>"
CONTACT = f"<sip:{DEVICE}@127.0.0.1:5060>"


class Desk:
    """The platform's side and one device that talks to it."""

    def __init__(self, platform: Peer, device: Peer, scope: TaskScope) -> None:
        self.device = device
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.registry = build(self.store, self.clock)
        self.metrics = Metrics(process=False)
        self.trusted: list[int] = []
        registrations = DeviceRegistrations(
            registrar=Registrar(
                digest=DigestServer(realm=REALM, secret=b"k" * 32), flood=FloodControl()
            ),
            registry=self.registry,
            answers=SipAnswers(self.metrics),
            scope=scope,
            now=self.clock.monotonic,
            wall=self.clock.utc_now,
            send_date=True,
            metrics=self.metrics,
            trust=self.trusted.append,
        )
        platform.handler = registrations.handle

    async def open(self, platform: Peer, transport: str) -> None:
        if transport == "TCP":
            address = await platform.driver.listen_tcp("127.0.0.1", 0)
            self.flow = await self.device.driver.connect_tcp(*address)
            return
        address = await platform.driver.listen_udp("127.0.0.1", 0)
        local = await self.device.driver.listen_udp("127.0.0.1", 0)
        self.flow = self.device.driver.flow_udp(address, local)

    async def ask(
        self, authorization: str = "", *, expires: int = 3600, contact: str = CONTACT
    ) -> Response:
        signed = [("Authorization", authorization)] if authorization else []
        return await self.device.driver.client.request(
            "REGISTER",
            SERVER,
            flow=self.flow,
            from_=NAME,
            to=NAME,
            headers=[
                ("Contact", contact),
                ("Expires", str(expires)),
                *signed,
            ],
            timeout=20.0,
        )

    async def register(
        self, password: str = "common", *, expires: int = 3600, contact: str = CONTACT
    ) -> Response:
        challenge = await self.ask(expires=expires, contact=contact)
        assert challenge.status == 401
        answer = authorize(
            challenge.headers.get_all("WWW-Authenticate"),
            method="REGISTER",
            uri=SERVER,
            username=DEVICE,
            password=password,
            cnonce="c",
        )
        return await self.ask(answer, expires=expires, contact=contact)

    def failures(self, reason: str) -> float:
        name = "gateway_auth_failures_total"
        return self.metrics.registry.get_sample_value(name, {"reason": reason}) or 0.0

    def counted(self, result: str) -> float:
        name = "gateway_registrations_total"
        return self.metrics.registry.get_sample_value(name, {"result": result}) or 0.0


@asynccontextmanager
async def desk(transport: str = "UDP") -> AsyncIterator[Desk]:
    crashes: list[str] = []
    async with (
        peers() as (platform, device),
        TaskScope(lambda name, exc: crashes.append(f"{name}: {exc!r}")) as scope,
    ):
        made = Desk(platform, device, scope)
        await made.open(platform, transport)
        yield made
        assert platform.crashes == []
    assert crashes == []


async def test_a_device_with_the_password_is_welcomed_with_date_and_expires() -> None:
    async with desk() as made:
        response = await made.register()
        assert response.status == 200
        assert response.headers.get("Expires") == "3600"
        assert response.headers.get("Date") is not None
        device = made.registry.get(DEVICE)
        assert device is not None
        assert device.online
        assert made.counted("accepted") == made.counted("challenged") == 1
        assert made.trusted == []


async def test_a_connection_on_which_a_device_proved_itself_is_trusted() -> None:
    async with desk("TCP") as made:
        assert (await made.register()).status == 200
        assert len(made.trusted) == 1


async def test_a_wrong_password_is_forbidden_and_on_the_timeline() -> None:
    async with desk() as made:
        assert (await made.register("guess")).status == 403
        (entry,) = made.registry.timeline(DEVICE)
        assert entry.kind is TimelineKind.AUTH_FAILED
        assert "127.0.0.1" in entry.detail
        assert made.registry.get(DEVICE) is None
        assert made.counted("challenged") == made.counted("refused") == 1
        assert made.failures("wrong_password") == 1


async def test_a_contact_that_cannot_be_read_is_no_failure_of_the_password() -> None:
    async with desk() as made:
        assert (await made.register(contact="<sip:unclosed")).status == 400
        (entry,) = made.registry.timeline(DEVICE)
        assert entry.kind is TimelineKind.MESSAGE_REJECTED
        assert entry.detail == "REGISTER without Contact"
        assert made.counted("refused") == 1
        assert b"gateway_auth_failures_total{" not in made.metrics.exposition()


async def test_the_200_waits_for_the_store_and_is_503_if_that_fails() -> None:
    async with desk() as made:
        held: list[asyncio.Future[None]] = []
        made.store.held = held
        async with asyncio.TaskGroup() as group, asyncio.timeout(20):
            asking = group.create_task(made.register(), name="register")
            while not held:
                await asyncio.sleep(0.001)
            assert not asking.done()
            made.store.broken = True
            made.store.release()
        response = asking.result()
        assert response.status == 503
        assert response.headers.get("Retry-After") == "30"


async def test_a_logout_takes_the_device_off_line() -> None:
    async with desk() as made:
        await made.register()
        response = await made.register(expires=0)
        assert response.status == 200
        device = made.registry.get(DEVICE)
        assert device is not None
        assert not device.online
        assert made.counted("logout") == made.counted("accepted") == 1
