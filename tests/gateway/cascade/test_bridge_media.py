"""The media of a bridged call: begun by the ACK, moved by re-INVITEs."""

import pytest

from gateway.domain.bridge import BridgeEnd
from gb28181.sdp.session import parse
from tests.support.bridge import house, offer


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


async def test_a_second_bye_and_a_second_ack_change_nothing() -> None:
    async with house() as made:
        _, leg, sender = await made.established(offer())
        leg.ack()
        assert len(sender.started) == 1
        leg.peer_ends()
        leg.peer_ends()
        await made.over()


async def test_a_re_invite_moves_the_media_but_not_its_transport() -> None:
    async with house() as made:
        call, leg, sender = await made.established(offer())
        assert leg.on_reinvite is not None
        assert leg.on_reinvite(offer()) == (200, call.answer)
        assert leg.on_reinvite(b"") == (200, call.answer)
        assert leg.on_reinvite(offer("TCP/RTP/AVP", setup="passive"))[0] == 488
        assert leg.on_reinvite(b"rubbish")[0] == 400
        assert len(sender.started) == 1
        assert leg.on_reinvite(offer().replace(b"40000", b"42000"))[0] == 200
        assert sender.started[-1] == ("127.0.0.1", 42000)


async def test_a_re_invite_that_numbers_ps_anew_is_answered_and_sent_with_the_new_number() -> None:
    async with house() as made:
        _, leg, sender = await made.established(offer())
        assert leg.on_reinvite is not None
        again = offer().replace(b"RTP/AVP 96 98", b"RTP/AVP 98 97").replace(b":96 PS", b":97 PS")
        status, answer = leg.on_reinvite(again)
        media = parse(answer).media[0]
        assert (status, media.payloads, media.port) == (200, (97,), sender.port)
        assert sender.payload_type == 97
        assert parse(answer).ssrc == sender.spec.ssrc


async def test_a_re_invite_for_something_else_than_live_leaves_the_stream_as_it_was() -> None:
    async with house() as made:
        call, leg, sender = await made.established(offer())
        assert leg.on_reinvite is not None
        other = offer().replace(b"s=Play", b"s=Playback").replace(b"40000", b"42000")
        assert leg.on_reinvite(other) == (488, b"")
        assert leg.on_reinvite(b"") == (200, call.answer)
        assert sender.started == [("127.0.0.1", 40000)]


async def test_a_call_that_began_without_an_offer_is_moved_by_a_re_invite_with_one() -> None:
    async with house() as made:
        _, leg, sender = await made.established(b"", ack=offer(y=""))
        assert leg.on_reinvite is not None
        status, answer = leg.on_reinvite(offer(y="").replace(b"40000", b"43000"))
        assert status == 200
        assert parse(answer).media[0].direction == "sendonly"
        assert parse(answer).ssrc == sender.spec.ssrc
        assert sender.started[-1] == ("127.0.0.1", 43000)
        assert leg.on_reinvite(offer("TCP/RTP/AVP", setup="passive"))[0] == 488


async def test_the_answer_in_the_ack_to_a_re_invite_without_sdp_moves_the_media() -> None:
    async with house() as made:
        call, leg, sender = await made.established(offer())
        assert leg.on_reinvite is not None
        assert leg.on_answer is not None
        assert leg.on_reinvite(b"") == (200, call.answer)
        leg.on_answer(offer(y="").replace(b"40000", b"44000"))
        assert sender.started[-1] == ("127.0.0.1", 44000)
        for bad in (b"", b"rubbish", offer().replace(b"m=video 40000", b"m=video 0")):
            leg.on_answer(bad)
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
        _, _, sender = await made.established(b"", ack=answer)
        assert (await made.over()).end is BridgeEnd.ANSWER_UNUSABLE
        assert sender.started == []


async def test_an_answer_to_a_re_invite_that_gives_a_name_for_an_address_changes_nothing() -> None:
    async with house() as made:
        _, leg, sender = await made.established(offer())
        before = list(sender.started)
        assert leg.on_reinvite is not None
        assert leg.on_answer is not None
        assert leg.on_reinvite(b"")[0] == 200
        leg.on_answer(offer().replace(b"IP4 127.0.0.1", b"IP4 media.example"))
        assert sender.started == before
        assert "media.example" in made.link.notes[-1][1]


async def test_an_ack_that_gives_a_name_for_an_address_ends_the_call_and_says_so() -> None:
    async with house() as made:
        _, _, sender = await made.established(
            b"", ack=offer().replace(b"IP4 127.0.0.1", b"IP4 media.example")
        )
        record = await made.over()
        assert record.end is BridgeEnd.ANSWER_UNUSABLE
        assert "media.example" in record.detail
        assert sender.started == []
