"""The SIP stack against sipp, in both roles, over UDP and TCP."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gb28181.aio.errors import SipTransportError
from gb28181.aio.incoming import IncomingRequest, SubscriptionDialog
from gb28181.sip.endpoint import Flow
from tests.support.sip_drivers import Peer, message, peers

pytestmark = [
    pytest.mark.net,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp (sip-tester) is not installed"),
]

SCENARIOS = Path(__file__).parent / "scenarios"
MODES = {"UDP": "u1", "TCP": "t1"}


@asynccontextmanager
async def sipp(
    scenario: str, mode: str, folder: Path, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a scenario once; leaving the block waits for its success."""
    process = await asyncio.create_subprocess_exec(
        "sipp", *arguments, "-sf", str(SCENARIOS / scenario), "-t", mode, "-i", "127.0.0.1",
        "-m", "1", "-timeout", "10", "-timeout_error", "-nostdin", "-trace_err",
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
        async with asyncio.timeout(12):
            said, _ = await process.communicate()
        assert process.returncode == 0, said.decode(errors="replace")[-2000:]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.mark.parametrize("transport", MODES)
async def test_sipp_asks_talks_calls_and_hangs_up(transport: str, tmp_path: Path) -> None:
    told: list[str] = []

    def serve(incoming: IncomingRequest) -> None:
        told.append(incoming.request.method)
        if incoming.request.method != "INVITE":
            incoming.respond(200)
            return
        incoming.respond(180)
        dialog = incoming.accept_invite(b"v=0\r\ns=Play\r\n")
        dialog.on_ack = lambda: told.append("ack")
        dialog.on_bye = lambda: told.append("bye")

    async with peers(1) as (platform,):
        platform.handler = serve
        driver = platform.driver
        listen = driver.listen_udp if transport == "UDP" else driver.listen_tcp
        host, port = await listen("127.0.0.1", 0)
        async with sipp("stack_uac.xml", MODES[transport], tmp_path, f"{host}:{port}"):
            pass
        assert told == ["MESSAGE", "INVITE", "ack", "INFO", "bye"]
        assert platform.crashes == []
        assert driver.stats.dialogs == 0
        assert driver.stats.stray == 0


async def flow_to(platform: Peer, transport: str, port: int) -> Flow:
    """Reach sipp, which needs a moment before it listens; UDP repeats by itself."""
    if transport == "UDP":
        await platform.driver.listen_udp("127.0.0.1", 0)
        return platform.driver.flow_udp(("127.0.0.1", port))
    async with asyncio.timeout(15):
        while True:
            try:
                return await platform.driver.connect_tcp("127.0.0.1", port)
            except SipTransportError:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("transport", MODES)
async def test_we_call_sipp_and_hang_up(transport: str, tmp_path: Path) -> None:
    port = free_port()
    async with (
        peers(1) as (platform,),
        sipp("stack_uas.xml", MODES[transport], tmp_path, "-p", str(port)),
    ):
        flow = await flow_to(platform, transport, port)
        heard: list[int] = []
        dialog = await platform.driver.client.invite(
            f"sip:34020000001320000001@127.0.0.1:{port}",
            flow=flow,
            from_="<sip:34020000002000000001@3402000000>",
            to="<sip:34020000001320000001@3402000000>",
            sdp=b"v=0\r\ns=Play\r\n",
            timeout=5.0,
            on_provisional=lambda response: heard.append(response.status),
        )
        assert heard == [180]
        assert b"PS/90000" in dialog.response.body
        # Its Contact names a private address; ACK and BYE arrive all the same.
        await dialog.bye()
        assert platform.driver.stats.dialogs == 0


@pytest.mark.parametrize("transport", MODES)
async def test_we_send_sipp_a_message(transport: str, tmp_path: Path) -> None:
    port = free_port()
    async with (
        peers(1) as (platform,),
        sipp("stack_uas_message.xml", MODES[transport], tmp_path, "-p", str(port)),
    ):
        flow = await flow_to(platform, transport, port)
        assert (await message(platform, flow, timeout=5.0)).status == 200


@pytest.mark.parametrize("transport", MODES)
async def test_sipp_subscribes_refreshes_and_cancels(transport: str, tmp_path: Path) -> None:
    ends: list[str] = []
    steps: asyncio.Queue[tuple[SubscriptionDialog, str]] = asyncio.Queue(10)

    def serve(incoming: IncomingRequest) -> None:
        dialog = incoming.accept_subscribe(expires=300)
        dialog.on_end = ends.append

        def refresh(again: IncomingRequest) -> None:
            expires = again.request.expires or 0
            again.respond(200, headers=[("Expires", str(expires))])
            state = f"active;expires={expires}" if expires else "terminated;reason=timeout"
            steps.put_nowait((dialog, state))

        dialog.on_refresh = refresh
        steps.put_nowait((dialog, "active;expires=300"))

    async with peers(1) as (lower,):
        lower.handler = serve
        driver = lower.driver
        listen = driver.listen_udp if transport == "UDP" else driver.listen_tcp
        host, port = await listen("127.0.0.1", 0)
        async with sipp("stack_subscriber.xml", MODES[transport], tmp_path, f"{host}:{port}"):
            async with asyncio.timeout(10):
                for _ in range(3):
                    dialog, state = await steps.get()
                    answer = await dialog.notify(b"<Notify/>", state=state)
                    assert answer.status == 200
        assert ends == []
        assert lower.crashes == []
        assert driver.stats.subscriptions == 0


@pytest.mark.parametrize("transport", MODES)
async def test_we_subscribe_to_sipp_refresh_and_cancel(transport: str, tmp_path: Path) -> None:
    port = free_port()
    heard: asyncio.Queue[IncomingRequest] = asyncio.Queue(10)

    def take(incoming: IncomingRequest) -> None:
        incoming.respond(200)
        heard.put_nowait(incoming)

    async with (
        peers(1) as (upper,),
        sipp("stack_notifier.xml", MODES[transport], tmp_path, "-p", str(port)),
    ):
        flow = await flow_to(upper, transport, port)
        dialog = await upper.driver.client.subscribe(
            f"sip:34020000001110000001@127.0.0.1:{port}",
            flow=flow,
            from_="<sip:34020000002000000001@3402000000>",
            to="<sip:34020000001110000001@3402000000>",
            event="Catalog;id=7",
            expires=600,
            body=b"<Query/>",
            content_type="Application/MANSCDP+xml",
            on_notify=take,
            timeout=5.0,
        )
        assert dialog.granted == 90
        async with asyncio.timeout(15):
            first = await heard.get()
            assert b"<SN>1</SN>" in first.request.body
            assert first.subscription is dialog
            # Its Contact names a private address; the refresh arrives all the same.
            assert (await dialog.refresh(expires=80)).status == 200
            assert b"<SN>2</SN>" in (await heard.get()).request.body
        assert (await dialog.refresh(expires=0)).status == 200
        assert dialog.ended
    assert upper.driver.stats.subscriptions == 0
    assert heard.empty()


@pytest.mark.parametrize("transport", MODES)
async def test_sipp_takes_our_offer_and_moves_its_media(transport: str, tmp_path: Path) -> None:
    told: list[str] = []

    def serve(incoming: IncomingRequest) -> None:
        dialog = incoming.accept_invite(b"v=0\r\ns=Play\r\n")

        def reinvited(again: IncomingRequest) -> None:
            told.append("moved" if b"m=video 50010 " in again.request.body else "refreshed")
            again.on_ack = lambda body: told.append("acknowledged")
            again.respond(200, body=b"v=0\r\ns=Play\r\n")

        dialog.on_request = reinvited
        dialog.on_ack_body = lambda body: told.append(str(b"m=video 50008 " in body))
        dialog.on_bye = lambda: told.append(str(dialog.end_reason))

    async with peers(1) as (lower,):
        lower.handler = serve
        driver = lower.driver
        listen = driver.listen_udp if transport == "UDP" else driver.listen_tcp
        host, port = await listen("127.0.0.1", 0)
        async with sipp("stack_late_offer.xml", MODES[transport], tmp_path, f"{host}:{port}"):
            pass
        assert told == ["True", "moved", "acknowledged", "bye"]
        assert lower.crashes == []
        assert driver.stats.dialogs == driver.stats.stray == 0
