"""Pictures over HTTP: who may, what is recorded, and why there is none."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.audit import AuditKind
from gateway.domain.errors import Gone, Unavailable
from gateway.domain.session import EndReason
from gateway.http.snapshots import MAX_AT_ONCE
from gateway.sharing.keys import Scope
from tests.support.http import ADMIN, CHANNEL, DEVICE, HttpBench, http_bench, session_failed
from tests.support.policy import rule
from tests.support.registry import camera
from tests.support.snapshots import JPEG, ScriptedSnapshots

pytestmark = pytest.mark.net

PATH = f"/api/v1/channels/{DEVICE}/{CHANNEL}/snapshot.jpg"
STREAM = f"{DEVICE}/{CHANNEL}"
URBAN = '{ departments = ["urban"] }'
ONE = f'{{ channels = ["{CHANNEL}"] }}'
WATCH = rule("watch", subjects=URBAN, objects=ONE)


@pytest.fixture
async def plane() -> ScriptedSnapshots:
    return ScriptedSnapshots()


@pytest.fixture
async def bench(tmp_path: Path, plane: ScriptedSnapshots) -> AsyncIterator[HttpBench]:
    async with asyncio.timeout(20), http_bench(tmp_path, snapshots=plane) as running:
        await running.sharing.apply(WATCH)
        running.sharing.audit.entries.clear()
        yield running


async def test_a_picture_is_given_and_goes_on_record_as_one_access(
    bench: HttpBench, plane: ScriptedSnapshots
) -> None:
    status, body, answer = await bench.call("GET", PATH)
    assert (status, body, answer.content_type) == (200, JPEG, "image/jpeg")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Picture-Behind"] == "0.040"
    assert CHANNEL in answer.headers["Content-Disposition"]
    assert (plane.streams, plane.widths, plane.tasks[0].left) == ([STREAM], [None], True)
    [entry] = bench.sharing.audit.of(AuditKind.ACCESS)
    assert (entry.action, entry.result, entry.detail) == ("live", "allow", "snapshot")
    assert list(bench.sharing.access.accesses()) == []


@pytest.mark.parametrize(
    ("query", "width", "stream"),
    [("?width=640", 640, STREAM), ("?stream=1", None, f"{STREAM}~1"), ("?stream=0", None, STREAM)],
)
async def test_width_and_stream_may_be_chosen(
    bench: HttpBench, plane: ScriptedSnapshots, query: str, width: int | None, stream: str
) -> None:
    assert (await bench.call("GET", PATH + query))[0] == 200
    assert (plane.widths, plane.streams) == ([width], [stream])


@pytest.mark.parametrize(
    "query",
    ["width=0", "width=-1", "width=x", "width=99999", "stream=2", "size=3", "width=1&width=2"],
)
async def test_values_that_make_no_sense_are_refused(
    bench: HttpBench, plane: ScriptedSnapshots, query: str
) -> None:
    status, body, _ = await bench.call("GET", f"{PATH}?{query}")
    assert (status, body["code"]) == (400, "invalid_parameter")
    assert plane.streams == []


async def test_the_policy_decides_and_may_oblige_to_the_sub_stream(
    bench: HttpBench, plane: ScriptedSnapshots
) -> None:
    key = await bench.sharing.key()
    assert (await bench.call("GET", PATH, token=key.bearer))[0] == 200
    other = PATH.replace(CHANNEL, camera(2).channel_id)
    assert (await bench.call("GET", other, token=key.bearer))[0] == 404
    await bench.sharing.apply(
        rule("sub", subjects=URBAN, objects=ONE, obligations="{ sub_stream = true }")
    )
    assert (await bench.call("GET", PATH, token=key.bearer))[0] == 200
    assert plane.streams == [STREAM, f"{STREAM}~1"]


async def test_a_purpose_that_is_demanded_may_stand_in_the_query(bench: HttpBench) -> None:
    await bench.sharing.apply(
        rule("see", subjects=URBAN, objects=ONE, actions='["catalog"]'),
        rule(
            "why",
            subjects=URBAN,
            objects=ONE,
            actions='["live"]',
            context="{ purpose_required = true }",
        ),
    )
    bench.sharing.audit.entries.clear()
    key = await bench.sharing.key()
    status, body, _ = await bench.call("GET", PATH, token=key.bearer)
    assert (status, body["code"]) == (403, "purpose_required")
    status, _, _ = await bench.call("GET", f"{PATH}?purpose=case+7&ticket=T1", token=key.bearer)
    assert status == 200
    entries = bench.sharing.audit.of(AuditKind.ACCESS)
    assert [(entry.result, entry.purpose, entry.ticket) for entry in entries] == [
        ("deny", "", ""),
        ("allow", "case 7", "T1"),
    ]


async def test_a_key_without_the_scope_and_a_stream_token_are_refused(bench: HttpBench) -> None:
    key = await bench.sharing.key("urban", Scope.CATALOG)
    assert (await bench.call("GET", PATH, token=key.bearer))[0] == 403
    assert (await bench.call("GET", f"{PATH}?token={bench.stream_token()}", token=None))[0] == 401


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (Unavailable("no_picture", "No key frame"), 503, "The camera has sent no picture in time"),
        (Gone("source_lost", "10.0.0.7 is silent"), 502, "The camera has stopped sending"),
        (Gone("shutdown", "The gateway is stopping"), 503, "The gateway is stopping"),
    ],
)
async def test_what_fails_is_told_in_words_that_fit_the_reader(
    bench: HttpBench, plane: ScriptedSnapshots, error: Gone, status: int, words: str
) -> None:
    plane.fail = error
    key = await bench.sharing.key()
    answered, body, _ = await bench.call("GET", PATH)
    assert (answered, body["code"], body["detail"]) == (status, error.code, error.detail)
    answered, body, _ = await bench.call("GET", PATH, token=key.bearer)
    assert (answered, body["code"], body["detail"]) == (status, error.code, words)
    assert all(task.left for task in plane.tasks)


async def test_a_camera_that_does_not_come_is_told_with_its_session(bench: HttpBench) -> None:
    bench.sessions.refuse = session_failed(EndReason.INVITE_TIMEOUT, "No answer in 20 s")
    status, body, _ = await bench.call("GET", PATH)
    assert (status, body["code"], body["session_id"]) == (504, "invite_timeout", "s1")


async def test_one_key_waits_for_a_few_pictures_at_a_time_and_leaves_others_theirs(
    bench: HttpBench, plane: ScriptedSnapshots
) -> None:
    plane.ready.clear()
    key, other = await bench.sharing.key(), await bench.sharing.key()
    async with asyncio.TaskGroup() as group:
        waiting = [
            group.create_task(bench.call("GET", PATH, token=key.bearer)) for _ in range(MAX_AT_ONCE)
        ]
        while len(plane.widths) < MAX_AT_ONCE:
            await asyncio.sleep(0.005)
        bench.sharing.audit.entries.clear()
        status, body, answer = await bench.call("GET", PATH, token=key.bearer)
        assert (status, body["code"]) == (429, "too_many_snapshots")
        assert answer.headers["Retry-After"] == "1"
        [entry] = bench.sharing.audit.of(AuditKind.ACCESS)
        assert (entry.result, entry.reason) == ("deny", "too_many_snapshots")
        waiting += [
            group.create_task(bench.call("GET", PATH, token=token))
            for token in (other.bearer, ADMIN, ADMIN, ADMIN, ADMIN, ADMIN)
        ]
        while len(plane.widths) < MAX_AT_ONCE + 6:
            await asyncio.sleep(0.005)
        plane.ready.set()
    assert {task.result()[0] for task in waiting} == {200}
    assert (await bench.call("GET", PATH, token=key.bearer))[0] == 200


async def test_a_picture_that_comes_too_late_is_told_in_the_readers_language(
    bench: HttpBench, plane: ScriptedSnapshots
) -> None:
    plane.fail = Unavailable("snapshot_too_late", "Not made within 10 s")
    key = await bench.sharing.key()
    headers = {"Accept-Language": "zh"}
    status, body, _ = await bench.call("GET", PATH, token=key.bearer, headers=headers)
    assert (status, body["code"]) == (503, "snapshot_too_late")
    assert body["detail"].startswith("截图请求过多")
    assert body["detail_en"] == "Too many pictures are being made; try again in a moment"


async def test_without_a_plane_there_is_no_route(tmp_path: Path) -> None:
    async with http_bench(tmp_path) as bench:
        assert (await bench.call("GET", PATH))[0] == 404
