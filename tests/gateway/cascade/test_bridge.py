"""An upper's INVITE and the camera's session: both legs come and go together."""

import asyncio
import random

import pytest

from gateway.domain.bridge import BridgeEnd
from gateway.domain.errors import Unavailable
from gateway.domain.platform import Edition, IdMode, PlatformConfig
from gateway.domain.policy import Action, Obligations
from gateway.domain.signalling import InviteFailed
from gb28181.sdp.session import parse
from tests.support.bridge import CHANNEL, DEVICE, OWN, SHARED, House, house, offer, until
from tests.support.cascade import UPPER, FakeCall, FakeLeg


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
        assert await made.answered(offer()) == 486
        made.media.sender_error = None
        await until(lambda: made.live.running_count == 0)
        made.directory.devices[DEVICE].online = False
        assert await made.answered(offer()) == 480


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
        call = made.invite(offer())
        await until(lambda: made.bridges.running_count == 1)
        call.peer_lost = True
        call.cancel()
        record = await made.over()
        assert record.end is BridgeEnd.UPPER_LOST
        assert "could not be reached" in record.detail
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
        assert await made.answered(offer()) == 480, "a device that may not know sub streams"
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


async def test_a_stop_while_the_camera_thinks_is_told_as_a_refusal() -> None:
    async with house() as made:
        made.signaller.hold = asyncio.Event()
        call = made.invite(offer())
        await until(lambda: bool(made.access.stops))
        made.access.stops["a1"]("stopped", "by order")
        await made.over()
        assert call.status == 403
        made.signaller.hold.set()


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
