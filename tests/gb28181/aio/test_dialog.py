"""Dialogs of INVITEs that a raw upper platform sends: late offers, re-INVITEs and ways to end."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gb28181.aio.errors import SipTransportError
from gb28181.aio.incoming import IncomingRequest, InviteDialog
from gb28181.sip.build import build_request
from gb28181.sip.endpoint import Flow
from gb28181.sip.message import Request, Response
from gb28181.sip.parser import parse
from gb28181.sip.serializer import serialize
from gb28181.sip.timers import TimerConfig
from tests.support.sip_drivers import Peer, message, peers

pytestmark = pytest.mark.net

OFFER, ANSWER, OTHER = b"v=0\r\ns=Play\r\n", b"v=0\r\ns=Answer\r\n", b"v=0\r\ns=Play\r\nt=0 1\r\n"
FAST = TimerConfig(t1=0.01, t2=0.04, t4=0.05)
_branches = itertools.count()


class Upper:
    """A UDP socket that speaks SIP by hand."""

    def __init__(self, sock: socket.socket, address: tuple[str, int]) -> None:
        self.sock = sock
        self.address = address
        self.to_tag: str | None = None
        self.queue: asyncio.Queue[Request | Response] = asyncio.Queue(1_000)
        asyncio.get_running_loop().add_reader(sock, self._read)

    def send(self, method: str, number: int, body: bytes = b"", *, branch: str = "") -> None:
        host, port = self.sock.getsockname()
        to = "<sip:34020000001320000001@3402000000>"
        request = build_request(
            method,
            "sip:34020000001320000001@127.0.0.1",
            via=f"SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{branch or next(_branches)}",
            from_="<sip:34020000002000000001@3402000000>;tag=up",
            to=to if self.to_tag is None else f"{to};tag={self.to_tag}",
            call_id="call@upper",
            cseq=number,
            headers=[("Contact", f"<sip:u@{host}:{port}>")],
            body=body,
            content_type="application/sdp" if body else None,
        )
        self.sock.sendto(serialize(request), self.address)

    async def next(self) -> Request | Response:
        async with asyncio.timeout(10):
            return await self.queue.get()

    async def response(self, status: int) -> Response:
        """Skip to the response with a status."""
        while True:
            message = await self.next()
            if isinstance(message, Response) and message.status == status:
                self.to_tag = message.to.tag
                return message

    async def request(self, method: str) -> Request:
        """Skip to a request and answer it 200."""
        while True:
            message = await self.next()
            if isinstance(message, Request) and message.method == method:
                lines = [
                    f"{n}: {message.headers.get(n)}"
                    for n in ("Via", "From", "To", "Call-ID", "CSeq")
                ]
                answer = "\r\n".join(["SIP/2.0 200 OK", *lines, "Content-Length: 0", "", ""])
                self.sock.sendto(answer.encode(), self.address)
                return message

    def _read(self) -> None:
        self.queue.put_nowait(parse(self.sock.recv(65_535)))


class Callee:
    """A peer that accepts calls and notes what its dialogs tell."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.told: list[object] = []
        self.dialogs: list[InviteDialog] = []
        self.inside: list[IncomingRequest] = []
        peer.handler = self.take

    @property
    def dialog(self) -> InviteDialog:
        return self.dialogs[-1]

    def take(self, incoming: IncomingRequest) -> None:
        if incoming.request.method != "INVITE":
            incoming.respond(200)
            return
        dialog = incoming.accept_invite(ANSWER if incoming.request.body else OFFER)
        dialog.on_ack = lambda: self.told.append("ack")
        dialog.on_ack_body = self.told.append
        dialog.on_bye = lambda: self.told.append(dialog.end_reason)
        dialog.on_request = self.inside.append
        self.dialogs.append(dialog)

    async def until(self, *told: object) -> None:
        async with asyncio.timeout(10):
            while len(self.told) < len(told):
                await asyncio.sleep(0.005)
        assert self.told == list(told)


@asynccontextmanager
async def call(timers: TimerConfig | None = None) -> AsyncIterator[tuple[Upper, Callee]]:
    async with peers(1, timers=timers) as (peer,):
        address = await peer.driver.listen_udp("127.0.0.1", 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.bind(("127.0.0.1", 0))
            upper, callee = Upper(sock, address), Callee(peer)
            try:
                yield upper, callee
                assert peer.crashes == []
            finally:
                asyncio.get_running_loop().remove_reader(sock)


async def test_an_invite_without_sdp_gets_our_offer_and_its_ack_the_answer() -> None:
    async with call() as (upper, callee):
        upper.send("INVITE", 1)
        assert (await upper.response(200)).body == OFFER
        bodies = [callee.dialog.ack_body]
        upper.send("ACK", 1, ANSWER)
        upper.send("ACK", 1, ANSWER)
        await callee.until("ack", ANSWER)
        bodies.append(callee.dialog.ack_body)
        assert bodies == [None, ANSWER]
        upper.send("BYE", 2)
        await upper.response(200)
        upper.send("BYE", 3)
        await upper.response(200)
        await callee.until("ack", ANSWER, "bye")
        assert callee.peer.driver.stats.dialogs == 0


async def test_an_ack_without_a_body_is_told_as_empty() -> None:
    async with call() as (upper, callee):
        upper.send("INVITE", 1)
        await upper.response(200)
        upper.send("ACK", 1)
        await callee.until("ack", b"")


async def test_a_reinvite_is_answered_by_the_dialogs_handler() -> None:
    async with call() as (upper, callee):
        upper.send("INVITE", 1, OFFER)
        await upper.response(200)
        upper.send("ACK", 1)
        await callee.until("ack", b"")
        upper.send("INVITE", 2, OTHER)
        async with asyncio.timeout(10):
            while not callee.inside:
                await asyncio.sleep(0.005)
        (incoming,) = callee.inside
        assert incoming.dialog is callee.dialog
        acks: list[bytes] = []
        incoming.on_ack = acks.append
        incoming.respond(200, body=OFFER, headers=[("X-Test", "1")])
        ok = await upper.response(200)
        assert (ok.body, ok.content_type) == (OFFER, "application/sdp")
        assert ok.headers.get("X-Test") == "1"
        assert ok.contact is not None
        upper.send("ACK", 2, ANSWER)
        async with asyncio.timeout(10):
            while not acks:
                await asyncio.sleep(0.005)
        assert acks == [ANSWER]
        assert callee.told == ["ack", b""]
        assert [request.request.method for request in callee.peer.incoming] == ["INVITE"]


async def test_a_withdrawn_reinvite_is_told() -> None:
    async with call() as (upper, callee):
        upper.send("INVITE", 1, OFFER)
        await upper.response(200)
        upper.send("ACK", 1)
        await callee.until("ack", b"")
        upper.send("INVITE", 2, OTHER, branch="re")
        upper.send("CANCEL", 2, branch="re")
        await upper.response(487)
        (incoming,) = callee.inside
        assert incoming.cancelled
        incoming.respond(200, body=ANSWER)
        assert not callee.dialog.ended


async def test_a_crash_of_the_handler_refuses_the_reinvite_only() -> None:
    async with call() as (upper, callee):
        upper.send("INVITE", 1, OFFER)
        await upper.response(200)
        upper.send("ACK", 1)
        await callee.until("ack", b"")

        def fail(incoming: IncomingRequest) -> None:
            raise ValueError("junk")

        callee.dialog.on_request = fail
        upper.send("INVITE", 2, OTHER)
        await upper.response(500)
        assert callee.peer.crashes.pop()[0] == "INVITE from 127.0.0.1"
        assert not callee.dialog.ended


async def test_without_ack_the_dialog_ends_with_a_bye_and_says_why() -> None:
    async with call(FAST) as (upper, callee):
        upper.send("INVITE", 1, OFFER)
        await upper.request("BYE")
        await callee.until("no_ack")
        assert callee.dialog.ended
        upper.send("BYE", 2)
        await upper.response(200)
        await callee.until("no_ack")


async def test_a_cancel_that_crosses_the_200_changes_nothing() -> None:
    async with call() as (upper, callee):
        upper.send("INVITE", 1, OFFER, branch="first")
        ok = await upper.response(200)
        upper.send("CANCEL", 1, branch="first")
        assert (await upper.response(200)).cseq.method == "CANCEL"
        assert not callee.peer.incoming[0].cancelled
        upper.to_tag = ok.to.tag
        upper.send("ACK", 1)
        await callee.until("ack", b"")
        assert not callee.dialog.ended


async def test_what_we_end_ourselves_has_no_end_reason() -> None:
    async with call() as (upper, callee):
        upper.send("INVITE", 1, OFFER)
        await upper.response(200)
        upper.send("ACK", 1)
        await callee.until("ack", b"")
        async with asyncio.TaskGroup() as group:
            group.create_task(callee.dialog.bye(), name="bye")
            await upper.request("BYE")
        assert callee.dialog.ended
        assert callee.dialog.end_reason is None
        await callee.until("ack", b"")


async def over_tcp(platform: Peer, device: Peer) -> tuple[Flow, InviteDialog, Callee]:
    """Call a device that has connected to us."""
    callee = Callee(device)
    address = await platform.driver.listen_tcp("127.0.0.1", 0)
    back = await device.driver.connect_tcp(*address)
    await message(device, back)
    dialog = await platform.driver.client.invite(
        "sip:x@y",
        flow=platform.incoming[-1].flow,
        from_="<sip:p@y>",
        to="<sip:x@y>",
        sdp=OFFER,
        timeout=2.0,
    )
    await callee.until("ack", b"")
    return back, dialog, callee


async def test_a_lost_connection_ends_the_dialogs_of_both_sides() -> None:
    async with peers() as (platform, device):
        back, dialog, callee = await over_tcp(platform, device)
        told: list[str | None] = []
        dialog.on_bye = lambda: told.append(dialog.end_reason)
        assert back.connection is not None
        device.driver.drop_connection(back.connection)
        await callee.until("ack", b"", "connection_lost")
        async with asyncio.timeout(10):
            while not told:
                await asyncio.sleep(0.005)
        assert told == ["connection_lost"]
        assert dialog.ended
        await dialog.bye()
        with pytest.raises(SipTransportError):
            await dialog.request("INFO")
        assert platform.driver.stats.dialogs == device.driver.stats.dialogs == 0


async def test_a_dialog_may_outlive_its_connection_and_end_on_the_next() -> None:
    async with peers() as (platform, device):
        back, dialog, callee = await over_tcp(platform, device)
        dialog.outlives_connection = callee.dialog.outlives_connection = True
        assert back.connection is not None
        device.driver.drop_connection(back.connection)
        async with asyncio.timeout(10):
            while not platform.lost:
                await asyncio.sleep(0.005)
        assert not dialog.ended
        local = await platform.driver.listen_tcp("127.0.0.1", 0)
        await message(device, await device.driver.connect_tcp(*local))
        dialog.retarget(platform.incoming[-1].flow)
        await dialog.bye()
        await callee.until("ack", b"", "bye")
        assert platform.driver.stats.dialogs == device.driver.stats.dialogs == 0
