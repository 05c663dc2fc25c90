"""What people outside see of channels, devices, sessions and streams: theirs, masked, and nothing else."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.audit import AuditKind
from gateway.domain.device import Channel, ChannelKind
from gateway.domain.policy import AccessContext, Action, Obligations, Subject
from gateway.http.visible import LIFETIME, VisibleChannels, masked
from tests.support.http import (
    CHANNEL,
    DEVICE,
    OTHER_DEVICE,
    SHARED_CHANNEL,
    HttpBench,
    failed_session,
    http_bench,
)
from tests.support.policy import rule
from tests.support.registry import camera, registration

pytestmark = pytest.mark.net

URBAN = '{ departments = ["urban"] }'
SECOND = camera(2).channel_id


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path) as running:
        yield running


async def given(bench: HttpBench, *channels: str, obligations: str = "") -> str:
    """Give a department some channels; return its key's bearer form."""
    named = ", ".join(f'"{channel}"' for channel in channels)
    await bench.sharing.apply(
        rule(
            "urban", subjects=URBAN, objects=f"{{ channels = [{named}] }}", obligations=obligations
        )
    )
    key = await bench.sharing.key()
    bench.sharing.audit.entries.clear()
    return key.bearer


async def ids(bench: HttpBench, token: str, **query: str) -> list[str]:
    status, body, _ = await bench.call("GET", "/api/v1/channels", token=token, params=query)
    assert status == 200
    assert body["total"] >= len(body["items"])
    return [item["channel_id"] for item in body["items"]]


async def test_a_department_lists_what_it_was_given(bench: HttpBench) -> None:
    token = await given(bench, CHANNEL, f"{OTHER_DEVICE}/{SHARED_CHANNEL}")
    assert await ids(bench, token) == [CHANNEL, SHARED_CHANNEL]
    assert await ids(bench, token, device_id=DEVICE) == [CHANNEL]
    assert await ids(bench, token, device_id=OTHER_DEVICE) == [SHARED_CHANNEL]
    assert await ids(bench, token, limit="1", offset="1") == [SHARED_CHANNEL]
    assert await ids(bench, token, q=CHANNEL) == [CHANNEL]
    assert await ids(bench, token, q=SECOND) == []
    assert await ids(bench, token, device_id="34020000001180000099") == []


async def test_somebody_who_was_given_nothing_sees_nothing(bench: HttpBench) -> None:
    key = await bench.sharing.key()
    for path in ("channels", "devices", "sessions", "streams"):
        _, body, _ = await bench.call("GET", f"/api/v1/{path}", token=key.bearer)
        assert (body["items"], body["total"]) == ([], 0)


async def test_a_list_is_one_record_and_a_channel_one_more(bench: HttpBench) -> None:
    token = await given(bench, CHANNEL)
    await ids(bench, token)
    await bench.call("GET", f"/api/v1/channels/{DEVICE}/{CHANNEL}", token=token)
    await bench.call("GET", "/api/v1/devices", token=token)
    await bench.call("GET", f"/api/v1/channels/{DEVICE}/{SECOND}", token=token)
    found = [
        (entry.object_id, entry.result, entry.detail)
        for entry in bench.sharing.audit.of(AuditKind.ACCESS)
    ]
    assert [item[:2] for item in found] == [
        ("channels", "allow"),
        (f"{DEVICE}/{CHANNEL}", "allow"),
        ("devices", "allow"),
        (f"{DEVICE}/{SECOND}", "deny"),
    ]
    assert found[0][2] == "1 of 1 items"


async def test_the_admin_sees_all_as_ever(bench: HttpBench) -> None:
    await given(bench, CHANNEL)
    _, body, _ = await bench.call("GET", "/api/v1/channels")
    assert body["total"] == 4
    _, body, _ = await bench.call("GET", f"/api/v1/devices/{DEVICE}")
    assert body["address"]["host"] == "10.0.0.7"
    _, body, _ = await bench.call("GET", "/api/v1/streams")
    assert body["items"][0]["source"] == "10.0.0.7:62000"


# What is masked


async def test_masked_names_and_positions_are_masked_everywhere(bench: HttpBench) -> None:
    place = dataclasses.replace(
        camera(1, DEVICE),
        name="城管局大门",
        address="Secret Street 5",
        longitude=117.6,
        latitude=35.5,
        extra={"IPAddress": "10.0.0.8", "Block": "B7", "Info.PointCommonName": "gate"},
    )
    await bench.registry.replace_catalog(DEVICE, [place], complete=True)
    token = await given(bench, CHANNEL, obligations='{ mask_name = "点位", mask_position = true }')
    _, listed, _ = await bench.call("GET", "/api/v1/channels", token=token)
    _, one, _ = await bench.call("GET", f"/api/v1/channels/{DEVICE}/{CHANNEL}", token=token)
    for item in (one, *listed["items"]):
        assert (item["name"], item["address"], item["longitude"], item["latitude"]) == (
            "点位",
            "",
            None,
            None,
        )
        assert item["extra"] == {}
    # A search must not tell what is masked.
    assert await ids(bench, token, q="大门") == []
    assert await ids(bench, token, q="secret street") == []
    assert await ids(bench, token, q="点位") == [CHANNEL]
    _, admins, _ = await bench.call("GET", f"/api/v1/channels/{DEVICE}/{CHANNEL}")
    assert (admins["name"], admins["extra"]["IPAddress"]) == ("城管局大门", "10.0.0.8")


def test_the_network_address_of_a_camera_is_nobodys_outside() -> None:
    channel = Channel(
        device_id="d",
        channel_id="c",
        kind=ChannelKind.CAMERA,
        name="n",
        address="a",
        longitude=1.0,
        extra={"IPAddress": "10.0.0.8", "Port": "80", "Owner": "o", "Info.PointCommonName": "p"},
    )
    seen = masked(channel, Obligations())
    assert seen.extra == {"Owner": "o", "Info.PointCommonName": "p"}
    assert (seen.name, seen.address, seen.longitude) == ("n", "a", 1.0)
    assert "Info.PointCommonName" not in masked(channel, Obligations(mask_name="x")).extra
    assert channel.extra["IPAddress"] == "10.0.0.8"


# Devices, sessions, streams


async def test_a_device_shows_only_that_it_is_there(bench: HttpBench) -> None:
    token = await given(bench, CHANNEL, SECOND)
    _, listed, _ = await bench.call("GET", "/api/v1/devices", token=token)
    _, one, _ = await bench.call("GET", f"/api/v1/devices/{DEVICE}", token=token)
    (item,) = listed["items"]
    for device in (item, one):
        assert (device["device_id"], device["online"], device["channel_count"]) == (
            DEVICE,
            True,
            2,
        )
        assert device["address"] is None
        assert not device["contact"] + device["user_agent"] + device["gb_version"]
    status, unseen, _ = await bench.call("GET", f"/api/v1/devices/{OTHER_DEVICE}", token=token)
    unknown_status, unknown, _ = await bench.call("GET", "/api/v1/devices/x", token=token)
    assert (status, unknown_status) == (404, 404)
    assert unseen["detail"].replace(OTHER_DEVICE, "x") == unknown["detail"]


async def test_sessions_and_streams_of_other_channels_are_not_there(bench: HttpBench) -> None:
    bench.sessions.records.append(failed_session())
    bench.media.listed.append(
        dataclasses.replace(bench.media.listed[0], stream_id=f"{DEVICE}/{CHANNEL}~1")
    )
    nothing = await given(bench, SECOND)
    for path in ("sessions", "streams"):
        _, body, _ = await bench.call("GET", f"/api/v1/{path}", token=nothing)
        assert body["total"] == 0
    status, unseen, _ = await bench.call("GET", "/api/v1/sessions/failed1", token=nothing)
    _, unknown, _ = await bench.call("GET", "/api/v1/sessions/nothing", token=nothing)
    assert status == 404
    assert unseen["detail"].replace("failed1", "nothing") == unknown["detail"]
    token = await given(bench, CHANNEL)
    _, body, _ = await bench.call("GET", "/api/v1/sessions/failed1", token=token)
    assert (body["session_id"], body["ssrc"]["offered"], body["ended"]["detail"]) == (
        "failed1",
        None,
        "",
    )
    _, body, _ = await bench.call("GET", "/api/v1/streams", token=token)
    assert [(s["stream_id"], s["source"]) for s in body["items"]] == [
        (f"{DEVICE}/{CHANNEL}", ""),
        (f"{DEVICE}/{CHANNEL}~1", ""),
    ]


async def test_while_nothing_can_be_recorded_nothing_is_listed_outside(bench: HttpBench) -> None:
    token = await given(bench, CHANNEL)
    bench.sharing.audit.ok = False
    for path in ("channels", "devices", "sessions", "streams"):
        status, body, _ = await bench.call("GET", f"/api/v1/{path}", token=token)
        assert (status, body["code"]) == (403, "audit_unavailable")
    assert (await bench.call("GET", "/api/v1/channels"))[0] == 200


# How it is worked out


class Counted:
    """Counts the decisions behind a list."""

    def __init__(self, bench: HttpBench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.decisions = 0
        real = bench.sharing.access.decide

        def decide(
            subject: Subject, action: Action, channel: Channel, context: AccessContext
        ) -> Any:
            self.decisions += 1
            return real(subject, action, channel, context)

        monkeypatch.setattr(bench.sharing.access, "decide", decide)


async def test_decisions_are_kept_for_seconds_and_forgotten_at_a_change(
    bench: HttpBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await given(bench, CHANNEL)
    counted = Counted(bench, monkeypatch)
    for _ in range(3):
        assert await ids(bench, token) == [CHANNEL]
    assert counted.decisions == 4
    await bench.sharing.apply(rule("urban", subjects=URBAN))
    assert len(await ids(bench, token)) == 4
    assert counted.decisions == 8
    bench.clock.advance(LIFETIME)
    await ids(bench, token)
    assert counted.decisions == 12


async def test_many_requests_of_one_key_at_once_decide_once(
    bench: HttpBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await given(bench, CHANNEL)
    counted = Counted(bench, monkeypatch)
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(ids(bench, token))
    assert counted.decisions == 4


async def test_what_became_secret_or_went_is_not_shown_from_memory(bench: HttpBench) -> None:
    token = await given(bench, CHANNEL, SECOND)
    assert await ids(bench, token) == [CHANNEL, SECOND]
    secret = dataclasses.replace(camera(1, DEVICE), secrecy=1)
    await bench.registry.replace_catalog(DEVICE, [secret, camera(7, DEVICE)], complete=True)
    assert await ids(bench, token) == []


async def test_what_changed_is_shown_as_it_is_now(bench: HttpBench) -> None:
    token = await given(bench, CHANNEL)
    await ids(bench, token)
    renamed = dataclasses.replace(camera(1, DEVICE), name="New name", online=False)
    await bench.registry.replace_catalog(DEVICE, [renamed], complete=True)
    _, body, _ = await bench.call("GET", "/api/v1/channels", token=token)
    assert [(item["name"], item["online"]) for item in body["items"]] == [("New name", False)]


async def test_one_askers_decisions_are_never_anothers(bench: HttpBench) -> None:
    await given(bench, CHANNEL)
    await bench.sharing.apply(
        rule("urban", subjects=URBAN, objects=f'{{ channels = ["{CHANNEL}"] }}'),
        rule(
            "water",
            subjects='{ departments = ["water"] }',
            objects=f'{{ channels = ["{SECOND}"] }}',
            context='{ zones = ["government"] }',
        ),
    )
    urban, water = await bench.sharing.key("urban"), await bench.sharing.key("water")
    zoned = await bench.sharing.key("water", zone="government")
    for _ in range(2):
        assert await ids(bench, urban.bearer) == [CHANNEL]
        assert await ids(bench, water.bearer) == []
        assert await ids(bench, zoned.bearer) == [SECOND]


async def test_a_long_list_lets_others_have_their_turn(bench: HttpBench) -> None:
    listed = [camera(number, DEVICE) for number in range(1, 2001)]
    await bench.registry.replace_catalog(DEVICE, listed, complete=True)
    await bench.sharing.apply(rule("urban", subjects=URBAN))
    visible = VisibleChannels(
        bench.sharing.access, bench.registry, bench.clock.utc_now, bench.clock.monotonic
    )
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        counter = group.create_task(count())
        context = AccessContext(at=bench.clock.utc_now())
        seen = await visible.channels(Subject(department="urban"), context)
        counter.cancel()
    assert len(seen) == 2001
    assert turns >= 10


async def test_a_code_of_the_askers_choice_is_no_channel_of_a_device_without_a_catalogue(
    bench: HttpBench,
) -> None:
    silent = "34020000001320000077"
    bench.registry.registered(registration(silent), bench.clock.now)
    await bench.sharing.apply(
        rule("urban", subjects=URBAN, objects='{ civil_codes = ["371326", "340200"] }')
    )
    key = await bench.sharing.key()
    chosen = "37132600001320000001"
    for channel_id in (chosen, silent):
        path = f"/api/v1/channels/{silent}/{channel_id}/play"
        status, body, _ = await bench.call("POST", path, token=key.bearer)
        assert (status, body["code"]) == (404, "channel_unknown")
    # Our own people play what is not listed yet, and what a catalogue has said is nobody's choice any more.
    status, _, _ = await bench.call("POST", f"/api/v1/channels/{silent}/{chosen}/play")
    assert status == 200
    await bench.registry.replace_catalog(silent, [], complete=True)
    for channel_id, answer in ((chosen, 404), (silent, 200)):
        path = f"/api/v1/channels/{silent}/{channel_id}/play"
        status, _, _ = await bench.call("POST", path, token=key.bearer)
        assert status == answer


async def test_a_device_itself_is_as_secret_as_its_most_secret_channel(bench: HttpBench) -> None:
    await bench.sharing.apply(rule("urban", subjects=URBAN, objects='{ civil_codes = ["340200"] }'))
    key = await bench.sharing.key()
    path = f"/api/v1/channels/{DEVICE}/{DEVICE}/play"
    status, _, _ = await bench.call("POST", path, token=key.bearer)
    assert status == 200
    listed = [camera(1), dataclasses.replace(camera(2), secrecy=1)]
    await bench.registry.replace_catalog(DEVICE, listed, complete=True)
    bench.sharing.audit.entries.clear()
    status, _, _ = await bench.call("POST", path, token=key.bearer)
    assert status == 404
    assert [entry.reason for entry in bench.sharing.audit.entries] == ["secrecy"]
