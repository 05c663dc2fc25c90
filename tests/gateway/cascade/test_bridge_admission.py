"""Whether an upper's INVITE may have a channel, and what goes on record if not."""

import pytest

from gateway.domain.bridge import BridgeEnd
from gateway.domain.platform import PlatformConfig
from gateway.domain.policy import Action
from gb28181.flow.identity import MonitorIdentity
from tests.support.bridge import CHANNEL, OWN, SHARED, house, offer, until
from tests.support.cascade import UPPER, FakeCall


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


async def test_every_refusal_is_on_record_once() -> None:
    async with house() as made:
        assert await made.answered(b"rubbish") == 400
        looped = made.invite(offer(), identity=MonitorIdentity((UPPER, OWN), "user"))
        await made.over()
        assert looped.status == 482
        unknown = made.invite(b"rubbish", target=CHANNEL)
        await made.over()
        assert unknown.status == 404, "whatever its offer looks like"
        made.access.denied.add(Action.LIVE)
        assert await made.answered(offer()) == 403
        reasons = [reason for _, reason in made.access.refused]
        assert reasons == ["sip_400", "sip_482", "not_shared", "denied"]


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


async def test_one_more_than_a_platform_may_have_gets_486() -> None:
    async with house(PlatformConfig(platform_id=UPPER, max_sessions=3)) as made:
        calls = [made.invite(offer()) for _ in range(4)]
        for call in calls:
            await until(lambda call=call: call.status is not None)  # type: ignore[misc]
        assert sorted(call.status or 0 for call in calls) == [200, 200, 200, 486]
