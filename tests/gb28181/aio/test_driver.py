"""The driver on real sockets of the loopback interface."""

import asyncio
import socket

import pytest
import uvloop

from gb28181.aio.errors import SipTimeout, SipTransportError
from gb28181.aio.incoming import IncomingRequest
from gb28181.sip.endpoint import Flow
from gb28181.sip.timers import TimerConfig
from tests.support.sip_drivers import message, peers

pytestmark = pytest.mark.net

REQUEST = (
    b"MESSAGE sip:34020000002000000001@3402000000 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.168.1.64:5060;rport;branch=z9hG4bK%d\r\n"
    b"From: <sip:34020000001320000001@3402000000>;tag=1\r\n"
    b"To: <sip:34020000002000000001@3402000000>\r\n"
    b"Call-ID: %d@192.168.1.64\r\nCSeq: 20 MESSAGE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


async def exchange(
    device: socket.socket, data: bytes, to: tuple[str, int]
) -> tuple[bytes, tuple[str, int]]:
    """Send a datagram and return the answer with its source; uvloop has no `sock_sendto`."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(device, readable.set)
    try:
        device.sendto(data, to)
        async with asyncio.timeout(10):
            await readable.wait()
        answer, source = device.recvfrom(65_535)
    finally:
        loop.remove_reader(device)
    return answer, (source[0], source[1])


async def ask(host: str, port: int) -> tuple[bytes, tuple[str, int]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.settimeout(0.0)
        device.bind(("127.0.0.1", 0))
        return await exchange(device, REQUEST % (1, 1), (host, port))


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_request_is_answered(transport: str) -> None:
    async with peers() as (platform, device):
        if transport == "UDP":
            await device.driver.listen_udp("127.0.0.1", 0)
            flow = device.driver.flow_udp(await platform.driver.listen_udp("127.0.0.1", 0))
        else:
            flow = await device.driver.connect_tcp(
                *await platform.driver.listen_tcp("127.0.0.1", 0)
            )
        response = await message(device, flow)
        assert response.status == 200
        (incoming,) = platform.incoming
        assert incoming.request.body == b"<Notify/>"
        assert incoming.flow.transport == transport
        assert incoming.flow.remote == flow.local


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
async def test_a_socket_bound_to_all_addresses_answers_from_the_one_asked(host: str) -> None:
    async with peers(1) as (platform,):
        _, port = await platform.driver.listen_udp("0.0.0.0", 0)
        answer, source = await ask(host, port)
        assert answer.startswith(b"SIP/2.0 200")
        assert source == (host, port)
        assert platform.incoming[0].flow.local == (host, port)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_the_same_holds_on_uvloop(host: str) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_a_socket_bound_to_all_addresses_answers_from_the_one_asked(host))


async def test_our_requests_leave_from_the_address_of_the_flow() -> None:
    async with peers() as (platform, device):
        _, port = await platform.driver.listen_udp("0.0.0.0", 0)
        remote = await device.driver.listen_udp("127.0.0.1", 0)
        await message(platform, platform.driver.flow_udp(remote, ("127.0.0.2", port)))
        assert device.incoming[0].flow.remote == ("127.0.0.2", port)
        assert device.incoming[0].request.via.host == "127.0.0.2"


async def test_a_flow_whose_local_address_is_gone_still_works() -> None:
    async with peers() as (platform, device):
        _, port = await platform.driver.listen_udp("0.0.0.0", 0)
        remote = await device.driver.listen_udp("127.0.0.1", 0)
        flow = Flow(transport="UDP", remote=remote, local=("198.51.100.7", port))
        assert (await message(platform, flow)).status == 200


async def test_the_answer_goes_to_the_packet_source_and_says_so() -> None:
    async with peers(1) as (platform,):
        address = await platform.driver.listen_udp("127.0.0.1", 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
            device.settimeout(0.0)
            device.bind(("127.0.0.1", 0))
            answer, _ = await exchange(device, REQUEST % (1, 1), address)
            port = device.getsockname()[1]
        assert b"received=127.0.0.1" in answer
        assert b"rport=%d" % port in answer


async def test_a_retransmission_is_answered_from_memory() -> None:
    async with peers(1) as (platform,):
        address = await platform.driver.listen_udp("127.0.0.1", 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
            device.settimeout(0.0)
            device.bind(("127.0.0.1", 0))
            first, _ = await exchange(device, REQUEST % (1, 1), address)
            second, _ = await exchange(device, REQUEST % (1, 1), address)
        assert first == second
        assert len(platform.incoming) == 1
        assert platform.driver.stats.absorbed == 1


async def test_a_stateless_answer_keeps_no_transaction() -> None:
    async with peers(1) as (platform,):
        platform.handler = lambda incoming: incoming.respond(401, stateless=True)
        _, port = await platform.driver.listen_udp("127.0.0.1", 0)
        answer, _ = await ask("127.0.0.1", port)
        assert answer.startswith(b"SIP/2.0 401")
        assert platform.driver.stats.transactions == 0


async def test_a_burst_is_answered_completely() -> None:
    async with peers(1) as (platform,):
        address = await platform.driver.listen_udp("127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
            device.settimeout(0.0)
            device.bind(("127.0.0.1", 0))
            for number in range(150):
                await loop.sock_sendto(device, REQUEST % (number, number), address)
            async with asyncio.timeout(15):
                answers = {await loop.sock_recv(device, 65_535) for _ in range(150)}
        assert len(answers) == 150


async def test_a_crash_in_the_handler_is_a_500_and_the_next_request_is_served() -> None:
    def fail_once(incoming: IncomingRequest) -> None:
        platform.handler = lambda incoming: incoming.respond(200)
        raise ValueError("junk")

    async with peers(1) as (platform,):
        platform.handler = fail_once
        _, port = await platform.driver.listen_udp("127.0.0.1", 0)
        answer, _ = await ask("127.0.0.1", port)
        assert answer.startswith(b"SIP/2.0 500")
        assert [str(error) for _, error in platform.crashes] == ["junk"]
        answer, _ = await ask("127.0.0.1", port)
        assert answer.startswith(b"SIP/2.0 200")


async def test_garbage_is_counted_and_harms_nothing() -> None:
    async with peers(1) as (platform,):
        address = await platform.driver.listen_udp("127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
            device.settimeout(0.0)
            for data in (b"", b"\r\n\r\n", b"\0\0\0\0", b"\xff" * 2000, b"INVITE\r\n\r\n"):
                await loop.sock_sendto(device, data, address)
        assert (await ask(*address))[0].startswith(b"SIP/2.0 200")
        assert platform.driver.stats.received == 6
        assert platform.driver.stats.malformed == 2
        assert len(platform.refused) == 2


async def test_silence_is_a_timeout() -> None:
    async with peers() as (platform, device):
        platform.handler = lambda incoming: None
        flow = device.driver.flow_udp(
            await platform.driver.listen_udp("127.0.0.1", 0),
            await device.driver.listen_udp("127.0.0.1", 0),
        )
        with pytest.raises(SipTimeout, match=r"0\.05 s"):
            await message(device, flow, timeout=0.05)
        assert device.driver.stats.transactions == 0


async def test_timer_f_is_a_timeout_too() -> None:
    fast = TimerConfig(t1=0.001, t2=0.004, t4=0.005)
    async with peers(timers=fast) as (platform, device):
        platform.handler = lambda incoming: None
        flow = device.driver.flow_udp(
            await platform.driver.listen_udp("127.0.0.1", 0),
            await device.driver.listen_udp("127.0.0.1", 0),
        )
        with pytest.raises(SipTimeout):
            await message(device, flow, timeout=5.0)
        assert device.driver.stats.retransmitted > 5
        assert platform.driver.stats.absorbed > 5


async def test_what_cannot_be_sent_fails_at_once() -> None:
    async with peers(1) as (device,):
        await device.driver.listen_udp("127.0.0.1", 0)
        flow = device.driver.flow_udp(("127.0.0.1", 9))
        with pytest.raises(SipTransportError):
            await device.driver.client.request(
                "MESSAGE",
                "sip:x@y",
                flow=flow,
                from_="<sip:a@y>",
                to="<sip:x@y>",
                body=b"x" * 70_000,
            )
        nowhere = Flow(
            transport="TCP", remote=("127.0.0.1", 9), local=("127.0.0.1", 9), connection=77
        )
        with pytest.raises(SipTransportError):
            await message(device, nowhere)
        dialled = Flow(transport="TCP", remote=("127.0.0.1", 9), local=("127.0.0.1", 9))
        with pytest.raises(SipTransportError):
            await message(device, dialled)


async def test_without_a_socket_there_is_no_flow() -> None:
    async with peers(1) as (device,):
        with pytest.raises(SipTransportError):
            device.driver.flow_udp(("127.0.0.1", 9))


async def test_closing_fails_what_is_waited_for_and_may_be_repeated() -> None:
    async with peers() as (platform, device):
        platform.handler = lambda incoming: None
        flow = device.driver.flow_udp(
            await platform.driver.listen_udp("127.0.0.1", 0),
            await device.driver.listen_udp("127.0.0.1", 0),
        )
        caught: list[Exception] = []

        async def send() -> None:
            try:
                await message(device, flow)
            except SipTransportError as error:
                caught.append(error)

        async with asyncio.TaskGroup() as group:
            group.create_task(send(), name="send")
            await asyncio.sleep(0.01)
            await device.driver.close()
        assert len(caught) == 1
        await device.driver.close()
        with pytest.raises(SipTransportError):
            await message(device, flow)
