"""Lists of channels by what the caller may do with them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gateway.domain.audit import AuditKind
from tests.support.http import CHANNEL, HttpBench, http_bench
from tests.support.policy import rule

pytestmark = pytest.mark.net

URBAN = '{ departments = ["urban"] }'
CAMERAS = '{ kinds = ["camera"] }'
ONE = f'{{ channels = ["{CHANNEL}"] }}'
WHY = {"X-Gb-Purpose": quote("占道经营")}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path) as running:
        await running.sharing.apply(
            rule("see", subjects=URBAN, objects=CAMERAS, actions='["catalog"]'),
            rule(
                "watch",
                subjects=URBAN,
                objects=ONE,
                actions='["live"]',
                context="{ purpose_required = true }",
            ),
        )
        yield running


async def total(bench: HttpBench, query: str, **options: Any) -> int:
    status, body, _ = await bench.call("GET", f"/api/v1/channels?{query}", **options)
    assert status == 200, body
    assert len(body["items"]) == body["total"]
    return int(body["total"])


async def test_a_department_learns_what_it_may_do_with_what_it_sees(bench: HttpBench) -> None:
    token = (await bench.sharing.key()).bearer
    assert await total(bench, "kind=camera", token=token) == 4
    assert await total(bench, "may=catalog", token=token) == 4
    assert await total(bench, "may=live", token=token) == 0
    assert await total(bench, "may=live", token=token, headers=WHY) == 1
    assert await total(bench, f"may=live&q={CHANNEL}", token=token, headers=WHY) == 1
    assert await total(bench, "may=ptz", token=token, headers=WHY) == 0


async def test_asking_what_one_may_is_a_look_at_the_catalogue_and_no_refusal(
    bench: HttpBench,
) -> None:
    token = (await bench.sharing.key()).bearer
    bench.sharing.audit.entries.clear()
    await total(bench, "may=live", token=token)
    entries = bench.sharing.audit.of(AuditKind.ACCESS)
    assert [(e.action, e.result, e.detail) for e in entries] == [
        ("catalog", "allow", "0 of 0 items")
    ]


async def test_our_own_people_may_do_all_and_see_all_of_it(bench: HttpBench) -> None:
    _, every, _ = await bench.call("GET", "/api/v1/channels")
    _, movable, _ = await bench.call("GET", "/api/v1/channels?may=ptz")
    assert movable == every


async def test_an_unknown_action_is_refused(bench: HttpBench) -> None:
    status, body, _ = await bench.call("GET", "/api/v1/channels?may=fly")
    assert (status, body["code"]) == (400, "invalid_parameter")
