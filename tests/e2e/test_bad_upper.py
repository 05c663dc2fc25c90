"""An upper platform that lies, errs or talks nonsense: its status, its timeline, the audit, and a neighbour unharmed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.platform import LinkState, PlatformEvent
from gb28181.manscdp import (
    CatalogQuery,
    DeviceControl,
    DeviceInfoQuery,
    DeviceStatusQuery,
    serialize_message,
)
from tests.support.beset_site import (
    HIDDEN,
    NEIGHBOUR_ID,
    NOBODY,
    SHARED,
    STRANGER_ID,
    BesetSite,
    beset_site,
    offer,
    query,
)
from tests.support.gateway import SERVER_ID, eventually
from tests.support.raw_sip import MANSCDP, SDP, RawAnswer, RawSip
from tests.support.upper_platform import UPPER_ID

pytestmark = [pytest.mark.net, pytest.mark.timeout(60)]

IDENTITY = "Monitor-User-Identity"
EVENT = ("Event", "Catalog;id=1")
PTZ = "A50F0108140000D1"


def control(device_id: str) -> bytes:
    """A command to move up."""
    return serialize_message(DeviceControl(sn=9, device_id=device_id, ptz_cmd=PTZ))


async def each_way(
    raw: RawSip, name: str, headers: list[tuple[str, str]] | None = None
) -> list[RawAnswer]:
    """A query, a control, a subscription and a call in this name."""
    more = headers or []
    return [
        await raw.ask("MESSAGE", SERVER_ID, name=name, headers=more, body=query()),
        await raw.ask("MESSAGE", SERVER_ID, name=name, headers=more, body=control(SHARED)),
        await raw.ask("SUBSCRIBE", SERVER_ID, name=name, headers=[EVENT, *more], body=query()),
        await raw.ask("INVITE", SHARED, name=name, headers=more, body=offer(), content_type=SDP),
    ]


def nothing_done(it: BesetSite) -> None:
    """No camera moved, nothing is subscribed, and the neighbour's is the only stream."""
    assert [x for x in it.simulator.devices[0].controls if x.frame] == []
    assert it.gateway.gateway.links.status(UPPER_ID).subscriptions == {}
    assert it.gateway.gateway.counts()["bridges"] == 1


# Who asks


async def test_a_platform_s_name_from_another_address_is_refused_noted_and_recorded(
    tmp_path: Path,
) -> None:
    async with beset_site(tmp_path) as it, it.raw("127.0.0.3") as far:
        assert [answer.status for answer in await each_way(far, UPPER_ID)] == [403] * 4
        nothing_done(it)
        noted = it.noted()
        assert len(noted) == 4
        assert all("127.0.0.3" in detail and "127.0.0.1" in detail for detail in noted)
        rows = await it.records(subject=f"platform:{UPPER_ID}", result="deny")
        assert {row.entry.reason for row in rows} == {"other_address"}
        assert {row.entry.source for row in rows} == {"127.0.0.3"}
        assert [row.entry.object_id for row in rows] == [SERVER_ID] * 3 + [SHARED]
        # In the name of nobody known it is no platform's affair.
        assert [answer.status for answer in await each_way(far, STRANGER_ID)] == [403] * 4
        nothing_done(it)
        assert len(it.noted()) == 4
        assert it.noted(NEIGHBOUR_ID) == []


async def test_another_name_from_a_platform_s_address_is_refused_noted_and_recorded(
    tmp_path: Path,
) -> None:
    async with beset_site(tmp_path) as it:
        asked = CatalogQuery(sn=3, device_id=SERVER_ID)
        assert (await it.upper.send(asked, from_user=STRANGER_ID)).status == 403
        moved = DeviceControl(sn=4, device_id=SHARED, ptz_cmd=PTZ)
        assert (await it.upper.send(moved, from_user=STRANGER_ID)).status == 403
        nothing_done(it)
        assert [STRANGER_ID in detail and UPPER_ID in detail for detail in it.noted()] == [True] * 2
        assert {reason for *_, reason in await it.denied()} == {"other_id"}


# In whose name

GATEWAYS = [f"371300000020000001{number:02}" for number in range(40)]
IDENTITIES = [
    (["rubbish"], 400, "identity_malformed"),
    ([""], 400, "identity_malformed"),
    ([UPPER_ID], 400, "identity_malformed"),
    ([f"{UPPER_ID}-"], 400, "identity_malformed"),
    (["x" * 3000], 400, "identity_malformed"),
    (["-".join([UPPER_ID, *GATEWAYS, "user"])], 400, "identity_malformed"),
    ([f"{UPPER_ID}-first", f"{UPPER_ID}-second"], 403, "identity_malformed"),
    ([f"{UPPER_ID}-{SERVER_ID}-user"], 482, "identity_loop"),
    ([f"{UPPER_ID}-{STRANGER_ID}-{UPPER_ID}-user"], 482, "identity_loop"),
    (["-".join([UPPER_ID, *GATEWAYS[:8], "user"])], 483, "identity_hops"),
    ([f"{STRANGER_ID}-user"], 403, "identity_untrusted"),
]


async def test_identities_malformed_looped_spoofed_or_untrusted_are_refused_noted_and_recorded(
    tmp_path: Path,
) -> None:
    async with beset_site(tmp_path) as it, it.raw() as raw:
        for number, (values, status, reason) in enumerate(IDENTITIES, 1):
            headers = [(IDENTITY, value) for value in values]
            answers = await each_way(raw, UPPER_ID, headers)
            assert [answer.status for answer in answers] == [status] * 4, values
            nothing_done(it)
            denied = await it.denied()
            assert len(denied) == 4 * number, values
            assert {item[2] for item in denied[-4:]} == {reason}, values
            assert len(it.noted()) == 4 * number, values
        believed = [(IDENTITY, f"{UPPER_ID}-371300000030000001")]
        answer = await raw.ask("MESSAGE", SERVER_ID, name=UPPER_ID, headers=believed, body=query())
        assert answer.status == 200


async def test_an_identity_that_is_demanded_and_missing_is_refused_noted_and_recorded(
    tmp_path: Path,
) -> None:
    async with beset_site(tmp_path, upper={"require_identity": True}) as it, it.raw() as raw:
        assert [answer.status for answer in await each_way(raw, UPPER_ID)] == [403] * 4
        assert [reason for *_, reason in await it.denied()] == ["identity_required"] * 4
        assert len(it.noted()) == 4
        nothing_done(it)


# For what


async def test_a_channel_never_given_is_answered_as_one_that_does_not_exist_and_recorded(
    tmp_path: Path,
) -> None:
    async with beset_site(tmp_path) as it, it.raw() as raw:
        shapes, records = [], []
        for code in (HIDDEN, NOBODY):
            before = len(await it.denied())
            answers = await ask_for(raw, code)
            assert [answer.status for answer in answers] == [404] * len(answers)
            shapes.append([answer.shape(code) for answer in answers])
            rows = (await it.records(subject=f"platform:{UPPER_ID}", result="deny"))[before:]
            assert {row.entry.object_id for row in rows} == {code}
            assert {(row.entry.device_id, row.entry.channel_id) for row in rows} == {("", "")}
            records.append([(row.entry.action, row.entry.reason, row.entry.detail) for row in rows])
        assert shapes[0] == shapes[1]
        assert records[0] == records[1]
        assert [action for action, *_ in records[0]] == ["live"] * 3 + ["ptz"] + ["catalog"] * 4
        assert {reason for _, reason, _ in records[0]} == {"not_shared"}
        assert len(it.noted()) == 16
        # It is there, and the other platform may have it.
        assert (await it.neighbour.ptz(HIDDEN, PTZ)).status == 200


async def ask_for(raw: RawSip, code: str) -> list[RawAnswer]:
    """Everything that can be asked about a channel."""
    return [
        *[
            await raw.ask("INVITE", code, name=UPPER_ID, body=body, content_type=SDP)
            for body in (offer(), b"", b"rubbish")
        ],
        *[
            await raw.ask("MESSAGE", code, name=UPPER_ID, body=body)
            for body in (
                control(code),
                query(code),
                serialize_message(DeviceInfoQuery(sn=8, device_id=code)),
                serialize_message(DeviceStatusQuery(sn=8, device_id=code)),
            )
        ],
        await raw.ask("SUBSCRIBE", code, name=UPPER_ID, headers=[EVENT], body=query(code)),
    ]


# For how long


async def test_absurd_expiries_of_subscriptions_are_granted_within_limits(tmp_path: Path) -> None:
    table = {
        "1": "60",
        "1000000000": "86400",
        "-1": "600",
        "soon": "600",
        "": "600",
        "9" * 40: "600",
    }
    async with beset_site(tmp_path) as it, it.raw() as raw:
        for asked, granted in table.items():
            headers = [EVENT, ("Expires", asked)]
            answer = await raw.ask(
                "SUBSCRIBE", SERVER_ID, name=UPPER_ID, headers=headers, body=query()
            )
            assert (answer.status, answer.header("Expires")) == (200, granted), asked
            assert len(it.gateway.gateway.links.status(UPPER_ID).subscriptions) == 1
        # A look once and no more: the state, then the end.
        headers = [EVENT, ("Expires", "0")]
        answer = await raw.ask("SUBSCRIBE", SERVER_ID, name=UPPER_ID, headers=headers, body=query())
        assert (answer.status, answer.header("Expires")) == (200, "0")

        async def over() -> bool:
            return it.gateway.gateway.links.status(UPPER_ID).subscriptions == {}

        await eventually(over, 3.0, "the end of the subscription")


async def test_absurd_expiries_granted_to_us_do_no_harm(tmp_path: Path) -> None:
    async with beset_site(tmp_path) as it:
        links, upper = it.gateway.gateway.links, it.upper
        for granted in ("0", "1", "4000000000", "9" * 40, "-5", "soon", ""):
            upper.grant, before = granted, len(upper.registers)
            links.reconnect(UPPER_ID)

            async def again(before: int = before) -> bool:
                online = links.status(UPPER_ID).state is LinkState.ONLINE
                return online and len(upper.registers) > before + 1

            await eventually(again, 8.0, f"the registration for {granted!r}")
            status = links.status(UPPER_ID)
            assert status.registered_at is not None
            assert status.expires_at is not None
            lasts = (status.expires_at - status.registered_at).total_seconds()
            assert 60 <= lasts <= 604_800, granted
        last = len(upper.registers)
        await asyncio.sleep(1.5)
        assert len(upper.registers) == last, "it registers every second"
        assert len(await upper.query_catalog()) >= 3
        remarks = it.noted(kind=PlatformEvent.REMARK)
        assert [f"It grants {granted} s" in "".join(remarks) for granted in (0, 1, 4000000000)] == [
            True
        ] * 3


# In which words

REFUSED, QUERIED = PlatformEvent.REFUSED, PlatformEvent.QUERIED
BODIES: list[tuple[str, bytes, int, PlatformEvent]] = [
    ("nothing", b"", 400, REFUSED),
    ("no XML", b"\x00\xff\x17 rubbish", 400, REFUSED),
    ("an entity", b'<!DOCTYPE Q [<!ENTITY a "b">]><Query><SN>1</SN></Query>', 400, REFUSED),
    ("depth", b"<Query>" + b"<a>" * 9000 + b"</a>" * 9000 + b"</Query>", 400, REFUSED),
    ("UTF-16", query().decode().replace("GB2312", "UTF-16").encode("utf-16"), 400, REFUSED),
    ("no SN", query().replace(b"SN>", b"SM>"), 400, REFUSED),
    ("SN 0", query(sn=7).replace(b">7<", b">0<"), 400, REFUSED),
    ("no DeviceID", query().replace(b"DeviceID>", b"DeviceIX>"), 400, REFUSED),
    ("an unknown command", query().replace(b"Catalog", b"Teleport"), 200, QUERIED),
    ("an unknown root", b"<Order><CmdType>Catalog</CmdType><SN>1</SN></Order>", 200, QUERIED),
    ("a notification", b"<Notify><CmdType>Broadcast</CmdType><SN>1</SN></Notify>", 200, QUERIED),
    ("an answer", b"<Response><CmdType>Alarm</CmdType><SN>1</SN></Response>", 200, QUERIED),
    # What can be understood is: real platforms are like that.
    ("an unknown charset", query().replace(b"GB2312", b"klingon"), 200, QUERIED),
    (
        "other bytes",
        query().replace(b"GB2312", b"UTF-8").replace(b"<SN>", b"\xc4\xc4<SN>"),
        200,
        QUERIED,
    ),
    ("no end", query()[:-10], 200, QUERIED),
]


async def test_messages_nobody_can_understand_are_answered_noted_and_forgotten(
    tmp_path: Path,
) -> None:
    async with beset_site(tmp_path) as it, it.raw() as raw, it.raw(transport="TCP") as stream:
        for what, body, status, kind in BODIES:
            before = it.noted(kind=kind)
            answer = await raw.ask("MESSAGE", SERVER_ID, name=UPPER_ID, body=body)
            assert answer.status == status, what

            async def noted(kind: PlatformEvent = kind, before: int = len(before)) -> bool:
                return len(it.noted(kind=kind)) > before

            await eventually(noted, 2.0, f"the note about {what}")
        huge = query().replace(b"<SN>", b"<Name>" + b"x" * 100_000 + b"</Name><SN>")
        answer = await stream.ask("MESSAGE", SERVER_ID, name=UPPER_ID, body=huge)
        assert answer.status == 413
        assert "100" in it.noted()[0]
        # After all that it is served as before.
        assert len(await it.upper.query_catalog()) >= 3
        nothing_done(it)


async def test_a_message_too_large_for_anybody_ends_its_connection_only(tmp_path: Path) -> None:
    async with beset_site(tmp_path) as it, it.raw(transport="TCP") as stream:
        # It is recognised first: to strangers even less is allowed.
        assert (await stream.ask("MESSAGE", SERVER_ID, name=UPPER_ID, body=query())).status == 200
        stream.send("MESSAGE", SERVER_ID, name=UPPER_ID, body=b"<Query>" + b"x" * 20_000_000)

        async def gone() -> bool:
            return stream.lost.is_set()

        await eventually(gone, 10.0, "the end of the connection")


OFFERS: list[tuple[str, bytes, int]] = [
    ("rubbish", b"rubbish", 400),
    ("bytes", b"\xff\xfe" * 500, 400),
    ("no medium", b"v=0\r\ns=Play\r\n", 400),
    ("an absurd port", offer(99_999), 400),
    ("port 0", offer(0), 488),
    ("no codec of ours", offer(m="video 9 RTP/AVP 98", a="rtpmap:98 H264/90000"), 488),
    ("sound only", offer(m="audio 9 RTP/AVP 8", a="rtpmap:8 PCMA/8000"), 488),
    ("a recording", offer(name="Playback"), 488),
    ("a group's address", offer(host="239.1.1.1"), 488),
    ("nobody's address", offer(host="0.0.0.0"), 488),
    ("a name for an address", offer(host="media.example"), 488),
    ("a role there is not", offer(m="video 9 TCP/RTP/AVP 96", a="setup:holdconn"), 488),
    ("another protocol", offer(m="video 9 RTP/SAVPF 96"), 488),
]


async def test_offers_that_cannot_be_met_are_refused_noted_and_recorded(tmp_path: Path) -> None:
    async with beset_site(tmp_path) as it, it.raw() as raw:
        for number, (what, body, status) in enumerate(OFFERS, 1):
            answer = await raw.ask("INVITE", SHARED, name=UPPER_ID, body=body, content_type=SDP)
            assert answer.status == status, what
            assert len(it.noted()) == number, what
            denied = await it.denied()
            assert denied[number - 1 :] == [("live", SHARED, f"sip_{status}")], what
        mistaken = await raw.ask(
            "INVITE", SHARED, name=UPPER_ID, body=offer(), content_type=MANSCDP
        )
        assert mistaken.status == 415
        nothing_done(it)


async def test_calls_that_went_in_a_circle_are_refused(tmp_path: Path) -> None:
    async with beset_site(tmp_path) as it, it.raw() as raw:
        circle = [("X-PreferredPath", f"{SERVER_ID}-{STRANGER_ID}-{SERVER_ID}")]
        call: dict[str, Any] = {"name": UPPER_ID, "body": offer(), "content_type": SDP}
        answer = await raw.ask("INVITE", SHARED, headers=circle, **call)
        assert answer.status == 482
        assert await it.denied() == [("live", SHARED, "sip_482")]
        assert len(it.noted()) == 1
        # No more hops: refused before anybody looks at it.
        assert (await raw.ask("INVITE", SHARED, forwards="0", **call)).status == 483
        assert (await raw.ask("INVITE", SHARED, forwards="soon", **call)).status == 400
        nothing_done(it)
