"""An upper's INVITE and the camera's session: both legs come and go together."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.cascade.bridge import Bridges
from gateway.cascade.ports import UpperRequester
from gateway.cascade.refusal import farewell, refusal_of
from gateway.domain.bridge import BridgeEnd, BridgeRecord
from gateway.domain.device import Channel
from gateway.domain.errors import SessionFailed, Unavailable
from gateway.domain.platform import Edition, IdMode, PlatformConfig
from gateway.domain.policy import Action, Obligations, Subject
from gateway.domain.session import Ended, EndReason
from gateway.domain.signalling import InviteFailed
from gateway.sessions.live import LiveSessions
from gateway.sessions.ports import SessionSettings
from gateway.sharing.identity import IdentityGate
from gateway.sharing.policy.model import Policy
from gb28181.aio.clock import monotonic
from gb28181.aio.tasks import TaskScope
from gb28181.flow.identity import MonitorIdentity
from gb28181.sdp.session import parse
from gb28181.sdp.ssrc import SsrcPool
from tests.support.cascade import UPPER, FakeCall, FakeLeg, FakeLink, OpenPolicy, fixed_now
from tests.support.sessions import (
    ScriptedDirectory,
    ScriptedMedia,
    ScriptedSender,
    ScriptedSignaller,
    device,
)

OWN = "37132600002000000001"
DEVICE = "34020000001180000001"
CHANNEL = "34020000001320000001"
SHARED = "37132600001320000009"


def offer(transport: str = "RTP/AVP", *, setup: str = "", y: str = "y=0100000001\r\n") -> bytes:
    lines = f"a=setup:{setup}\r\na=connection:new\r\n" if setup else ""
    return (
        f"v=0\r\no={UPPER} 0 0 IN IP4 127.0.0.1\r\ns=Play\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=video 40000 {transport} 96 98\r\na=recvonly\r\na=rtpmap:96 PS/90000\r\n"
        f"a=rtpmap:98 H264/90000\r\n{lines}{y}"
    ).encode()


class House:
    """Bridges over real live sessions; media, SIP and policy are scripted."""

    def __init__(self, scope: TaskScope, config: PlatformConfig) -> None:
        self.signaller = ScriptedSignaller()
        self.media = ScriptedMedia()
        self.access = OpenPolicy()
        self.link = FakeLink(config)
        self.ssrcs = SsrcPool(OWN, quarantine=0.0)
        self.directory = ScriptedDirectory([device()], [CHANNEL])
        self.key_frames: list[tuple[str, str]] = []
        ids = iter(range(1, 100_000))
        self.live = LiveSessions(
            devices=self.directory,
            signaller=self.signaller,
            media=self.media,
            ssrcs=self.ssrcs,
            settings=SessionSettings(platform_id=OWN, no_readers_grace=0.1, close_timeout=1.0),
            scope=scope,
            now=monotonic,
            wall=fixed_now,
            new_id=lambda: f"s{next(ids)}",
        )
        self.bridges = Bridges(
            own_id=OWN,
            identities=IdentityGate(OWN, Policy),
            sources=self.live,
            access=self.access,
            ssrcs=self.ssrcs,
            views=lambda platform_id: self if platform_id == UPPER else None,
            local_host=lambda route: route.local_host,
            scope=scope,
            now=monotonic,
            wall=fixed_now,
            new_id=lambda: f"b{next(ids)}",
            want_key_frame=self.want_key_frame,
        )

    async def want_key_frame(self, device_id: str, channel_id: str) -> None:
        self.key_frames.append((device_id, channel_id))
        raise Unavailable("device_silent", "no answer")

    def resolve(self, shared_id: str) -> Channel | None:
        return self.directory.channel(DEVICE, CHANNEL) if shared_id == SHARED else None

    def why_unknown(self, shared_id: str) -> tuple[str, str]:
        return "not_shared", "never given"

    def invite(
        self, sdp: bytes, *, target: str = SHARED, identity: MonitorIdentity | None = None
    ) -> FakeCall:
        call = FakeCall(target, sdp)
        self.take(call, identity)
        return call

    def take(self, call: FakeCall, identity: MonitorIdentity | None = None) -> None:
        requester = UpperRequester(
            platform_id=UPPER,
            subject=Subject(platform=UPPER),
            source="127.0.0.1",
            identity=identity,
        )
        self.bridges.invite(self.link, call, requester)

    async def accepted(self, call: FakeCall) -> ScriptedSender:
        await until(lambda: call.status is not None)
        assert call.status == 200
        return self.media.relays[-1]

    async def over(self) -> BridgeRecord:
        await until(lambda: self.bridges.running_count == 0)
        return self.bridges.bridges()[0]

    def held(self) -> dict[str, int]:
        held = {
            "bridges": self.bridges.running_count,
            "sessions": self.live.running_count,
            "ssrcs": self.ssrcs.in_use,
            "receivers": sum(not item.closed for item in self.media.receivers),
            "relays": len(self.media.senders()),
            "accesses": len(list(self.access.accesses())),
            "dialogs": sum(not dialog.byes for dialog in self.signaller.dialogs),
        }
        return {name: count for name, count in held.items() if count}


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def house(config: PlatformConfig | None = None) -> AsyncIterator[House]:
    crashes: list[str] = []
    async with TaskScope(lambda name, exc: crashes.append(f"{name}: {exc!r}")) as scope:
        made = House(scope, config or PlatformConfig(platform_id=UPPER))
        yield made
        await made.bridges.close()
        await made.live.close()
    assert crashes == []
    assert made.held() == {}


async def test_an_invite_is_answered_with_our_port_and_the_media_starts_with_the_ack() -> None:
    async with house() as made:
        call = made.invite(offer())
        sender = await made.accepted(call)
        answer = parse(call.answer)
        assert answer.media[0].port == sender.port
        assert answer.media[0].direction == "sendonly"
        assert answer.media[0].rtpmap == {96: "PS/90000"} or "PS" in str(answer.media[0].rtpmap)
        assert answer.ssrc == sender.spec.ssrc == 100000001
        assert sender.spec.remote == ("127.0.0.1", 40000)
        assert sender.started == []
        assert call.leg is not None
        call.leg.ack()
        assert sender.started == [("127.0.0.1", 40000)]
        call.leg.peer_ends()
        record = await made.over()
        assert record.end is BridgeEnd.UPPER_BYE
        assert call.leg.byes == 0
        assert made.access.opened[0].ends[0][0] == "upper_bye"
        await until(lambda: made.live.running_count == 0)
        assert made.signaller.dialogs[0].byes == 1


async def test_eight_uppers_of_one_camera_share_one_invite() -> None:
    async with house() as made:
        calls = [made.invite(offer(y=f"y=010000{n:04d}\r\n")) for n in range(8)]
        for call in calls:
            await made.accepted(call)
            assert call.leg is not None
            call.leg.ack()
        assert len(made.signaller.offers) == 1
        assert len({relay.spec.ssrc for relay in made.media.relays}) == 8
        for call in calls[:-1]:
            assert call.leg is not None
            call.leg.peer_ends()
        await until(lambda: made.bridges.running_count == 1)
        assert made.live.running_count == 1


@pytest.mark.parametrize(("setup", "ours"), [("passive", "tcp_active"), ("active", "tcp_passive")])
async def test_tcp_is_answered_with_the_other_role_and_started_at_once(
    setup: str, ours: str
) -> None:
    async with house() as made:
        call = made.invite(offer("TCP/RTP/AVP", setup=setup))
        sender = await made.accepted(call)
        assert sender.spec.transport == ours
        assert parse(call.answer).media[0].setup == ("active" if setup == "passive" else "passive")
        assert sender.started, "the other side may connect before its ACK comes"


async def test_an_offer_of_sound_and_video_is_answered_line_by_line_and_sent_video() -> None:
    async with house() as made:
        audio = b"m=audio 39000 TCP/RTP/AVP 8\r\na=setup:active\r\na=sendrecv\r\nm=video"
        sdp = offer("TCP/RTP/AVP", setup="passive").replace(b"m=video", audio)
        call = made.invite(sdp.replace(b"a=recvonly", b"a=sendrecv"))
        sender = await made.accepted(call)
        first, second = parse(call.answer).media
        assert (first.kind, first.port, first.payloads) == ("audio", 0, (8,))
        assert (second.kind, second.port, second.setup) == ("video", sender.port, "active")
        assert second.direction == "sendonly"
        assert sender.spec.transport == "tcp_active"
        assert sender.started == [("127.0.0.1", 40000)]


async def test_an_invite_without_sdp_gets_our_offer_and_the_ack_brings_the_address() -> None:
    async with house() as made:
        call = made.invite(b"")
        sender = await made.accepted(call)
        assert sender.spec.remote is None
        ours = parse(call.answer)
        assert ours.media[0].port == sender.port
        assert ours.ssrc == sender.spec.ssrc
        assert call.leg is not None
        call.leg.ack(offer(y="").replace(b"40000", b"41000"))
        assert sender.started == [("127.0.0.1", 41000)]


async def test_an_ack_without_a_usable_answer_ends_both_legs() -> None:
    async with house() as made:
        call = made.invite(b"")
        await made.accepted(call)
        assert call.leg is not None
        call.leg.ack(b"rubbish")
        assert (await made.over()).end is BridgeEnd.ANSWER_UNUSABLE
        assert call.leg.byes == 1


async def test_a_code_that_was_never_given_is_404_and_on_record() -> None:
    async with house() as made:
        call = made.invite(offer(), target=CHANNEL)
        await made.over()
        assert call.status == 404
        request, reason = made.access.refused[0]
        assert (request.object_id, request.channel, reason) == (CHANNEL, None, "not_shared")
        assert made.signaller.offers == []


async def test_a_denied_channel_is_403_and_the_camera_is_not_asked() -> None:
    async with house() as made:
        made.access.denied.add(Action.LIVE)
        call = made.invite(offer())
        await made.over()
        assert call.status == 403
        assert made.signaller.offers == []


@pytest.mark.parametrize(
    ("sdp", "status"),
    [
        (b"no sdp at all", 400),
        (offer().replace(b"s=Play", b"s=Playback"), 488),
        (offer().replace(b"PS/90000", b"MPEG4/90000"), 488),
        (offer().replace(b"m=video 40000", b"m=video 0"), 488),
        (offer().replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 media.example"), 488),
        (offer().replace(b"a=recvonly", b"a=inactive"), 488),
    ],
)
async def test_offers_that_cannot_be_met_are_refused(sdp: bytes, status: int) -> None:
    async with house() as made:
        call = made.invite(sdp)
        record = await made.over()
        assert call.status == status
        assert record.end is BridgeEnd.REFUSED
        assert record.detail


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InviteFailed(486, "busy"), 486),
        (InviteFailed(404, "no such channel"), 404),
        (InviteFailed(None, "no final answer in 20 s"), 408),
        (InviteFailed(500, "broken"), 503),
    ],
)
async def test_what_the_camera_says_is_passed_on_where_it_means_the_same(
    error: InviteFailed, status: int
) -> None:
    async with house() as made:
        made.signaller.error = error
        call = made.invite(offer())
        await made.over()
        assert call.status == status


async def test_exhausted_ports_and_offline_devices_have_their_own_answers() -> None:
    async with house() as made:
        made.media.sender_error = Unavailable("rtp_ports_exhausted", "No media port")
        assert await answered(made, offer()) == 486
        made.media.sender_error = None
        await until(lambda: made.live.running_count == 0)
        made.directory.devices[DEVICE].online = False
        assert await answered(made, offer()) == 480


async def answered(made: House, sdp: bytes) -> int | None:
    call = made.invite(sdp)
    await made.over()
    return call.status


async def test_a_cancel_while_the_camera_thinks_releases_everything() -> None:
    async with house() as made:
        made.signaller.hold = asyncio.Event()
        call = made.invite(offer())
        await until(lambda: bool(made.signaller.offers))
        call.cancel()
        record = await made.over()
        assert record.end is BridgeEnd.UPPER_CANCELLED
        assert call.status is None
        made.signaller.hold.set()


async def test_a_cancel_before_anything_was_done_is_no_crash() -> None:
    async with house() as made:
        call = FakeCall(SHARED, offer())
        call.cancelled = True
        made.take(call)
        assert (await made.over()).end is BridgeEnd.UPPER_CANCELLED


async def test_when_the_camera_goes_the_upper_gets_a_bye() -> None:
    async with house() as made:
        call = made.invite(offer())
        sender = await made.accepted(call)
        assert call.leg is not None
        call.leg.ack()
        sender.events.sender_lost("source_ended", "The device ended the session with BYE")
        record = await made.over()
        assert record.end is BridgeEnd.SOURCE_ENDED
        assert call.leg.byes == 1


@pytest.mark.parametrize("code", ["unreachable", "connection_closed", "no_receiver_reports"])
async def test_when_the_upper_is_gone_without_a_bye_the_camera_is_let_go(code: str) -> None:
    async with house() as made:
        call = made.invite(offer())
        sender = await made.accepted(call)
        assert call.leg is not None
        call.leg.ack()
        sender.events.sender_lost(code, "gone")
        assert (await made.over()).end is BridgeEnd.UPPER_LOST
        await until(lambda: made.live.running_count == 0)


async def test_no_ack_ends_both_legs() -> None:
    async with house() as made:
        call = made.invite(offer())
        await made.accepted(call)
        assert call.leg is not None
        call.leg.peer_ends("no_ack")
        assert (await made.over()).end is BridgeEnd.NO_ACK


async def test_a_second_bye_and_a_second_ack_change_nothing() -> None:
    async with house() as made:
        call = made.invite(offer())
        sender = await made.accepted(call)
        assert call.leg is not None
        call.leg.ack()
        call.leg.ack()
        assert len(sender.started) == 1
        call.leg.peer_ends()
        call.leg.peer_ends()
        await made.over()


async def test_a_re_invite_moves_the_media_but_not_its_transport() -> None:
    async with house() as made:
        call = made.invite(offer())
        sender = await made.accepted(call)
        assert call.leg is not None
        call.leg.ack()
        assert call.leg.on_reinvite is not None
        assert call.leg.on_reinvite(offer()) == (200, call.answer)
        assert call.leg.on_reinvite(b"") == (200, call.answer)
        assert call.leg.on_reinvite(offer("TCP/RTP/AVP", setup="passive"))[0] == 488
        assert call.leg.on_reinvite(b"rubbish")[0] == 400
        assert len(sender.started) == 1
        assert call.leg.on_reinvite(offer().replace(b"40000", b"42000"))[0] == 200
        assert sender.started[-1] == ("127.0.0.1", 42000)


async def test_a_re_invite_that_numbers_ps_anew_is_answered_and_sent_with_the_new_number() -> None:
    async with house() as made:
        call = made.invite(offer())
        sender = await made.accepted(call)
        assert call.leg is not None
        call.leg.ack()
        assert call.leg.on_reinvite is not None
        again = offer().replace(b"RTP/AVP 96 98", b"RTP/AVP 98 97").replace(b":96 PS", b":97 PS")
        status, answer = call.leg.on_reinvite(again)
        media = parse(answer).media[0]
        assert (status, media.payloads, media.port) == (200, (97,), sender.port)
        assert sender.payload_type == 97
        assert parse(answer).ssrc == sender.spec.ssrc


async def test_a_re_invite_for_something_else_than_live_leaves_the_stream_as_it_was() -> None:
    async with house() as made:
        call = made.invite(offer())
        sender = await made.accepted(call)
        assert call.leg is not None
        call.leg.ack()
        assert call.leg.on_reinvite is not None
        other = offer().replace(b"s=Play", b"s=Playback").replace(b"40000", b"42000")
        assert call.leg.on_reinvite(other) == (488, b"")
        assert call.leg.on_reinvite(b"") == (200, call.answer)
        assert sender.started == [("127.0.0.1", 40000)]


async def test_a_call_that_began_without_an_offer_is_moved_by_a_re_invite_with_one() -> None:
    async with house() as made:
        call = made.invite(b"")
        sender = await made.accepted(call)
        assert call.leg is not None
        call.leg.ack(offer(y=""))
        assert call.leg.on_reinvite is not None
        status, answer = call.leg.on_reinvite(offer(y="").replace(b"40000", b"43000"))
        assert status == 200
        assert parse(answer).media[0].direction == "sendonly"
        assert parse(answer).ssrc == sender.spec.ssrc
        assert sender.started[-1] == ("127.0.0.1", 43000)
        assert call.leg.on_reinvite(offer("TCP/RTP/AVP", setup="passive"))[0] == 488


async def test_the_answer_in_the_ack_to_a_re_invite_without_sdp_moves_the_media() -> None:
    async with house() as made:
        call = made.invite(offer())
        sender = await made.accepted(call)
        assert call.leg is not None
        call.leg.ack()
        assert call.leg.on_reinvite is not None
        assert call.leg.on_answer is not None
        assert call.leg.on_reinvite(b"") == (200, call.answer)
        call.leg.on_answer(offer(y="").replace(b"40000", b"44000"))
        assert sender.started[-1] == ("127.0.0.1", 44000)
        for bad in (b"", b"rubbish", offer().replace(b"m=video 40000", b"m=video 0")):
            call.leg.on_answer(bad)
        assert sender.started[-1] == ("127.0.0.1", 44000)
        assert made.bridges.running_count == 1


@pytest.mark.parametrize(
    "answer",
    [
        offer(y="").replace(b"96 98", b"98").replace(b"a=rtpmap:96 PS/90000\r\n", b""),
        offer(y="").replace(b"IN IP4 127.0.0.1", b"").replace(b"c=\r\n", b""),
    ],
    ids=["no PS", "no address"],
)
async def test_an_answer_in_the_ack_that_takes_no_ps_or_names_no_address_ends_both_legs(
    answer: bytes,
) -> None:
    async with house() as made:
        call = made.invite(b"")
        sender = await made.accepted(call)
        assert call.leg is not None
        call.leg.ack(answer)
        assert (await made.over()).end is BridgeEnd.ANSWER_UNUSABLE
        assert sender.started == []


async def test_every_bye_of_ours_says_why_in_words_that_give_nothing_away() -> None:
    async with house() as made:
        for finish, cause in (
            (
                lambda sender: made.access.stops[made.access.opened[-1].access_id](
                    "secrecy", CHANNEL
                ),
                403,
            ),
            (
                lambda sender: sender.events.sender_lost("source_ended", f"{CHANNEL} is offline"),
                480,
            ),
            (lambda sender: sender.events.sender_lost("unreachable", "nobody there"), 408),
            (lambda sender: sender.events.sender_lost("relay_failed", "a fault of ours"), 500),
            (lambda sender: made.bridges.platform_offline(UPPER, "gone"), 408),
        ):
            call = made.invite(offer())
            sender = await made.accepted(call)
            assert call.leg is not None
            call.leg.ack()
            finish(sender)
            await made.over()
            (reason,) = call.leg.reasons
            assert reason is not None
            assert reason.cause == cause
            assert reason.text
            assert CHANNEL not in reason.text
            assert "secre" not in reason.text


async def test_what_the_upper_says_when_it_ends_stands_in_the_record_and_the_audit() -> None:
    async with house() as made:
        call = made.invite(offer())
        await made.accepted(call)
        assert call.leg is not None
        call.leg.ack()
        call.leg.peer_reason = 'SIP 200 "shift is over"'
        call.leg.peer_ends()
        record = await made.over()
        assert record.detail == 'The upper ended it with BYE: SIP 200 "shift is over"'
        assert made.access.opened[0].ends == [("upper_bye", record.detail)]
        made.signaller.hold = asyncio.Event()
        call = made.invite(offer())
        await until(lambda: made.bridges.running_count == 1)
        call.cancel_reason = 'SIP 200 "answered elsewhere"'
        call.cancel()
        assert (await made.over()).detail.endswith(call.cancel_reason)
        made.signaller.hold.set()


async def test_a_forced_stop_ends_the_stream_and_says_so() -> None:
    async with house() as made:
        call = made.invite(offer())
        await made.accepted(call)
        assert call.leg is not None
        call.leg.ack()
        made.access.stops["a1"]("stopped", "Ordered by the owner")
        record = await made.over()
        assert record.end is BridgeEnd.STOPPED
        assert record.detail == "stopped: Ordered by the owner"
        assert call.leg.byes == 1


async def test_a_platform_that_went_offline_loses_its_streams() -> None:
    async with house() as made:
        call = made.invite(offer())
        await made.accepted(call)
        made.bridges.platform_offline(UPPER, "Keepalives unanswered")
        assert (await made.over()).end is BridgeEnd.UPPER_LOST


async def test_sub_stream_only_asks_the_camera_for_its_sub_stream() -> None:
    async with house() as made:
        made.access.obligations = Obligations(sub_stream=True)
        assert await answered(made, offer()) == 480, "a device that may not know sub streams"
        made.directory.devices[DEVICE].gb_version = "3.0"
        call = made.invite(offer())
        await made.accepted(call)
        assert b"a=streamnumber:1" in made.signaller.offers[0]


async def test_an_upper_s_wish_for_a_sub_stream_is_met_where_there_is_one() -> None:
    async with house() as made:
        wish = offer().replace(b"y=", b"a=streamnumber:1\r\ny=")
        await made.accepted(made.invite(wish))
        assert b"a=streamnumber" not in made.signaller.offers[0]
        made.directory.channels[0].extra["Info.StreamNumberList"] = "0/1"
        await made.accepted(made.invite(wish.replace(b"0100000001", b"0100000002")))
        assert b"a=streamnumber:1" in made.signaller.offers[1]


async def test_every_refusal_is_on_record_once() -> None:
    async with house() as made:
        assert await answered(made, b"rubbish") == 400
        looped = made.invite(offer(), identity=MonitorIdentity((UPPER, OWN), "user"))
        await made.over()
        assert looped.status == 482
        unknown = made.invite(b"rubbish", target=CHANNEL)
        await made.over()
        assert unknown.status == 404, "whatever its offer looks like"
        made.access.denied.add(Action.LIVE)
        assert await answered(made, offer()) == 403
        reasons = [reason for _, reason in made.access.refused]
        assert reasons == ["sip_400", "sip_482", "not_shared", "denied"]


async def test_a_stop_while_the_camera_thinks_is_told_as_a_refusal() -> None:
    async with house() as made:
        made.signaller.hold = asyncio.Event()
        call = made.invite(offer())
        await until(lambda: bool(made.access.stops))
        made.access.stops["a1"]("stopped", "by order")
        await made.over()
        assert call.status == 403
        made.signaller.hold.set()


async def test_a_loop_is_refused_by_the_identity_and_by_used_up_hops() -> None:
    async with house() as made:
        looped = MonitorIdentity((UPPER, OWN), "user")
        call = made.invite(offer(), identity=looped)
        await made.over()
        assert call.status == 482
        spent = FakeCall(SHARED, offer(), max_forwards=0)
        made.take(spent)
        await made.over()
        assert spent.status == 483


async def test_the_identity_goes_on_with_our_code_in_front() -> None:
    async with house() as made:
        call = made.invite(offer(), identity=MonitorIdentity((UPPER,), "37130000003000000001|x"))
        await made.accepted(call)
        origin = made.signaller.origins[0]
        assert origin is not None
        assert origin.identity == f"{OWN}-{UPPER}-37130000003000000001|x"


async def test_the_ssrc_of_the_offer_is_used_only_if_free_and_wanted() -> None:
    async with house() as made:
        first = made.invite(offer())
        second = made.invite(offer())
        await made.accepted(first)
        await until(lambda: second.status is not None)
        ssrcs = [relay.spec.ssrc for relay in made.media.relays]
        assert ssrcs.count(100000001) == 1
        assert len(set(ssrcs)) == 2


async def test_a_2022_platform_is_told_the_route() -> None:
    async with house(PlatformConfig(platform_id=UPPER, edition=Edition.V2022)) as made:
        call = made.invite(offer())
        await made.accepted(call)
        assert ("X-RoutePath", OWN) in call.headers
        made.access.denied.add(Action.LIVE)
        refused = made.invite(offer())
        await until(lambda: refused.status is not None)
        assert (refused.status, refused.headers) == (403, [("X-RoutePath", OWN)])


@pytest.mark.parametrize("local_id", ["", "37132699002000000001"])
async def test_the_route_ends_with_us_where_codes_are_renamed(local_id: str) -> None:
    config = PlatformConfig(
        platform_id=UPPER, edition=Edition.V2022, id_mode=IdMode.RENAME, local_id=local_id
    )
    async with house(config) as made:
        call = made.invite(offer())
        await made.accepted(call)
        assert ("X-RoutePath", local_id or OWN) in call.headers


async def test_only_who_joins_a_running_stream_asks_for_a_key_frame() -> None:
    async with house() as made:
        first = made.invite(offer())
        sender = await made.accepted(first)
        sender.events.sender_first_packet()
        made.media.receivers[0].events.media_first_packet(1, "127.0.0.9:62000")
        second = made.invite(offer())
        await until(lambda: second.status is not None)
        made.media.relays[1].events.sender_first_packet()
        await until(lambda: bool(made.key_frames))
        assert made.key_frames == [(DEVICE, CHANNEL)]
        assert made.media.relays[0].spec.hosts == frozenset({"127.0.0.1"})


async def test_one_more_than_a_platform_may_have_gets_486() -> None:
    async with house(PlatformConfig(platform_id=UPPER, max_sessions=3)) as made:
        calls = [made.invite(offer()) for _ in range(4)]
        for call in calls:
            await until(lambda call=call: call.status is not None)  # type: ignore[misc]
        assert sorted(call.status or 0 for call in calls) == [200, 200, 200, 486]


async def test_five_hundred_random_histories_leave_nothing_behind() -> None:
    rng = random.Random(28181)
    async with house() as made:
        for _ in range(500):
            await random_history(made, rng)
        await until(lambda: made.live.running_count == 0)
        await until(lambda: made.held() == {})
        ends = {record.end for record in made.bridges.bridges()}
        assert ends >= {
            BridgeEnd.UPPER_BYE,
            BridgeEnd.UPPER_CANCELLED,
            BridgeEnd.NO_ACK,
            BridgeEnd.SOURCE_ENDED,
            BridgeEnd.REFUSED,
            BridgeEnd.STOPPED,
        }


async def random_history(made: House, rng: random.Random) -> None:
    """One INVITE that meets with one of everything."""
    made.signaller.error = InviteFailed(500, "broken") if rng.random() < 0.15 else None
    made.signaller.hold = asyncio.Event() if rng.random() < 0.3 else None
    call = made.invite(b"" if rng.random() < 0.2 else offer())
    for _ in range(rng.randrange(4)):
        await asyncio.sleep(0)
    if rng.random() < 0.2:
        call.cancel()
    if made.signaller.hold is not None:
        made.signaller.hold.set()
    await until(lambda: call.status is not None or made.bridges.running_count == 0)
    if call.leg is not None and made.bridges.running_count:
        if rng.random() < 0.7:
            call.leg.ack(offer(y=""))
        random_end(made, call.leg, rng)
    await until(lambda: made.bridges.running_count == 0)


def random_end(made: House, leg: FakeLeg, rng: random.Random) -> None:
    sender = made.media.relays[-1]
    match rng.randrange(6):
        case 0:
            leg.peer_ends()
        case 1:
            leg.peer_ends("no_ack")
        case 2:
            sender.events.sender_lost("source_ended", "gone")
        case 3:
            sender.events.sender_lost("unreachable", "gone")
        case 4:
            made.access.stops[made.access.opened[-1].access_id]("stopped", "by order")
        case _:
            made.signaller.on_bye("")
            sender.events.sender_lost("source_ended", "The device ended it")
            leg.peer_ends()


def test_every_reason_to_end_a_session_has_an_answer_for_the_upper() -> None:
    for reason in EndReason:
        refused = refusal_of(SessionFailed("s1", Ended(reason, "why")))
        assert 400 <= refused.status < 600


def test_every_end_that_is_ours_to_tell_has_its_reason() -> None:
    told = {end for end in BridgeEnd if farewell(end) is not None}
    assert told == set(BridgeEnd) - {
        BridgeEnd.UPPER_BYE,
        BridgeEnd.UPPER_CANCELLED,
        BridgeEnd.REFUSED,
    }
