"""Departments, policy, grants, stops, audit, platforms and controls over HTTP."""

import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gateway.domain.audit import AuditKind
from gateway.domain.bridge import BridgeEnd, BridgeRecord
from gateway.domain.errors import Unavailable
from gateway.domain.platform import LinkState, PlatformStatus
from gateway.sharing.denials import PER_MINUTE
from gateway.sharing.keys import Scope
from gb28181.manscdp.item import CatalogItem
from tests.support.http import CHANNEL, DEVICE, HttpBench, http_bench
from tests.support.http_sharing import BOSS
from tests.support.platform_book import OWN_ID, UPPER_ID, platform
from tests.support.policy import rule
from tests.support.registry import camera

pytestmark = pytest.mark.net

URBAN = '{ departments = ["urban"] }'
PLATFORM = f"/api/v1/platforms/{UPPER_ID}"
CAMERA = f"/api/v1/channels/{DEVICE}/{CHANNEL}"
HOOK = {"url": "https://receiver.example/hook"}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path) as running:
        yield running


@pytest.fixture
async def filed(tmp_path: Path) -> AsyncIterator[HttpBench]:
    """With the audit in files."""
    async with http_bench(tmp_path, audit_files=True) as running:
        yield running


def recorded(bench: HttpBench, kind: AuditKind) -> list[tuple[str, str, str]]:
    return [(e.action, e.object_id, e.result) for e in bench.sharing.audit.of(kind)]


# Departments, keys, webhooks


async def test_a_secret_is_shown_once_and_never_again(bench: HttpBench) -> None:
    await bench.call("PUT", "/api/v1/departments/urban", json={"name": "城管局"})
    body = {"department": "urban", "scopes": ["live"], "name": "console"}
    status, made, _ = await bench.call("POST", "/api/v1/keys", json=body)
    assert status == 201
    key_id = made["key"]["key_id"]
    shown = [await bench.call("GET", path) for path in ("/api/v1/keys", f"/api/v1/keys/{key_id}")]
    shown.append(await bench.call("PATCH", f"/api/v1/keys/{key_id}", json={"max_streams": 2}))
    for _, answer, _ in shown:
        assert made["secret"] not in json.dumps(answer)
        assert made["bearer"].partition(".")[2] not in json.dumps(answer)
    assert shown[-1][1]["max_streams"] == 2
    assert shown[-1][1]["name"] == "console"
    assert ("create", f"key:{key_id}", "ok") in recorded(bench, AuditKind.KEY)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"scopes": ["live"]}, 422, "invalid_key"),
        ({"department": "nobody", "scopes": ["live"]}, 404, "department_unknown"),
        ({"department": "urban"}, 422, "invalid_key"),
        ({"department": "urban", "scopes": ["root"]}, 422, "invalid_body"),
        (
            {"department": "urban", "scopes": ["live"], "requests_per_minute": 0},
            422,
            "invalid_body",
        ),
        (
            {"department": "urban", "scopes": ["live"], "expires_at": "2027-01-01T00:00:00"},
            422,
            "invalid_body",
        ),
        ({"role": "admin", "name": "x", "scopes": ["live"]}, 422, "invalid_key"),
    ],
)
async def test_a_key_that_cannot_be_is_refused_with_the_reason(
    bench: HttpBench, body: dict[str, Any], status: int, code: str
) -> None:
    await bench.call("PUT", "/api/v1/departments/urban", json={"name": "城管局"})
    got, answer, _ = await bench.call("POST", "/api/v1/keys", json=body)
    assert (got, answer["code"]) == (status, code)


async def test_a_department_manages_its_own_webhooks_and_nobody_elses(bench: HttpBench) -> None:
    urban, water = await bench.sharing.key("urban"), await bench.sharing.key("water")
    _, made, _ = await bench.call("POST", "/api/v1/webhooks", token=urban.bearer, json=HOOK)
    path = f"/api/v1/webhooks/{made['webhook']['hook_id']}"
    assert made["webhook"]["department"] == "urban"
    for method, target in (
        ("GET", path),
        ("PATCH", path),
        ("DELETE", path),
        ("POST", f"{path}/test"),
    ):
        options = {"json": {"enabled": False}} if method == "PATCH" else {}
        status, _, _ = await bench.call(method, target, token=water.bearer, **options)
        assert status == 404
    _, listed, _ = await bench.call("GET", "/api/v1/webhooks", token=water.bearer)
    assert listed["total"] == 0
    _, listed, _ = await bench.call(
        "GET", "/api/v1/webhooks", token=water.bearer, params={"department": "urban"}
    )
    assert listed["total"] == 0
    status, answer, _ = await bench.call(
        "POST", "/api/v1/webhooks", token=water.bearer, json={**HOOK, "department": "urban"}
    )
    assert (status, answer["code"]) == (422, "not_your_department")
    _, changed, _ = await bench.call(
        "PATCH", path, token=urban.bearer, json={"enabled": False, "events": ["off"]}
    )
    assert (changed["enabled"], changed["events"], changed["url"]) == (False, ["off"], HOOK["url"])
    assert (await bench.call("DELETE", path, token=urban.bearer))[0] == 204


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://169.254.169.254/", "ftp://x/", "http://a:b@x/"]
)
async def test_a_webhook_to_where_none_may_go_is_refused(bench: HttpBench, url: str) -> None:
    key = await bench.sharing.key("urban")
    status, answer, _ = await bench.call(
        "POST", "/api/v1/webhooks", token=key.bearer, json={"url": url}
    )
    assert (status, answer["code"] in {"target_refused", "invalid_url"}) == (422, True)


# Policy


async def test_a_policy_with_mistakes_is_refused_whole_with_lines_and_reasons(
    bench: HttpBench,
) -> None:
    good = "version = 1\n" + rule("a", subjects=URBAN)
    assert (await bench.call("PUT", "/api/v1/policy", json={"text": good}))[0] == 200
    bad = good + rule("b", effect="maybe", subjects="{ departmnets = [] }")
    status, answer, _ = await bench.call("PUT", "/api/v1/policy", json={"text": bad})
    assert (status, answer["code"]) == (422, "policy_invalid")
    assert {error["line"] for error in answer["errors"]} <= {8, 9, 10, 11}
    assert any("maybe" in error["message"] for error in answer["errors"])
    _, shown, _ = await bench.call("GET", "/api/v1/policy")
    assert (shown["version"], shown["rules"]) == (1, 1)
    assert ("apply", "policy:new", "failed") in recorded(bench, AuditKind.POLICY)
    _, checked, _ = await bench.call("POST", "/api/v1/policy/validate", json={"text": bad})
    assert (checked["ok"], len(checked["problems"])) == (False, len(answer["errors"]))


async def test_a_big_policy_fits_and_one_too_big_is_refused(bench: HttpBench) -> None:
    rules = "".join(rule(f"r{n}", subjects=URBAN) for n in range(1000))
    body = {"text": "version = 1\n" + rules}
    assert (await bench.call("PUT", "/api/v1/policy", json=body))[0] == 200
    data = io.BytesIO(json.dumps({"text": "#" * 5_000_000}).encode())
    headers = {"Content-Type": "application/json"}
    status, answer, _ = await bench.call("PUT", "/api/v1/policy", data=data, headers=headers)
    assert (status, answer["code"]) == (413, "body_too_large")


async def test_who_applies_over_anothers_change_is_told(bench: HttpBench) -> None:
    text = "version = 1\n" + rule("a", subjects=URBAN)
    await bench.call("PUT", "/api/v1/policy", json={"text": text, "expected": 0})
    status, answer, _ = await bench.call(
        "PUT", "/api/v1/policy", json={"text": text.replace('"a"', '"b"'), "expected": 0}
    )
    assert (status, answer["code"]) == (409, "policy_changed")


async def test_would_see_counts_and_pages(bench: HttpBench) -> None:
    await bench.sharing.apply(
        rule("urban", subjects=URBAN, objects=f'{{ channels = ["{CHANNEL}"] }}')
    )
    body: dict[str, Any] = {"subject": {"department": "urban"}, "denied": True, "limit": 2}
    _, answer, _ = await bench.call("POST", "/api/v1/policy/would-see", json=body)
    assert (answer["allowed"], answer["denied"], answer["total"]) == (1, 3, 4)
    assert answer["by_reason"] == {"no_rule": 3}
    assert len(answer["items"]) == 2
    body = {"subject": {"department": "urban"}, "text": "version = 1\n"}
    _, answer, _ = await bench.call("POST", "/api/v1/policy/would-see", json=body)
    assert (answer["allowed"], answer["denied"]) == (0, 4)
    assert bench.sharing.policies.current.version == 1


async def test_a_dry_run_asks_in_the_zone_and_with_the_whole_of_who_is_named(
    bench: HttpBench,
) -> None:
    sharing = bench.sharing
    await sharing.departments.save("urban", name="x", zone="police", by=BOSS)
    key = await sharing.key("urban")
    elsewhere = await sharing.key("urban", zone="internet")
    await sharing.user("zhang", department="urban")
    await sharing.platforms.save(platform(UPPER_ID, zone="police"), None, by=BOSS)
    either = f'[{URBAN}, {{ platforms = ["{UPPER_ID}"] }}]'
    text = "version = 1\n" + rule("zoned", subjects=either, context='{ zones = ["police"] }')

    async def allowed(subject: dict[str, str], **more: str) -> int:
        body = {"subject": subject, "text": text, **more}
        _, answer, _ = await bench.call("POST", "/api/v1/policy/would-see", json=body)
        return int(answer["allowed"])

    assert await allowed({"department": "urban"}) == 4
    assert await allowed({"platform": UPPER_ID}) == 4
    assert await allowed({"key": key.key.key_id}) == 4
    assert await allowed({"user": "zhang"}) == 4
    assert await allowed({"key": elsewhere.key.key_id}) == 0
    assert await allowed({"department": "urban"}, zone="internet") == 0
    assert await allowed({"department": "water"}, zone="police") == 0
    body = {"text": text, "actions": ["live"]}
    _, answer, _ = await bench.call("POST", "/api/v1/policy/changes", json=body)
    assert answer["kinds"] == {"allowed": 8}
    who = {"subject": {"key": key.key.key_id}, "channel_id": CHANNEL, "text": text}
    _, answer, _ = await bench.call("POST", "/api/v1/policy/explain", json=who)
    assert (answer["decision"]["allowed"], answer["decision"]["rule"]) == (True, "zoned")


async def test_an_explanation_names_the_deciding_rule_and_why_others_do_not_match(
    bench: HttpBench,
) -> None:
    await bench.sharing.apply(
        rule("urban", subjects=URBAN, context="{ ticket_required = true }"),
        rule("water", subjects='{ departments = ["water"] }'),
    )
    body: dict[str, Any] = {
        "subject": {"department": "urban"},
        "action": "live",
        "device_id": DEVICE,
        "channel_id": CHANNEL,
    }
    _, answer, _ = await bench.call("POST", "/api/v1/policy/explain", json=body)
    assert answer["decision"]["reason"] == "ticket_required"
    traces = {item["rule_id"]: item for item in answer["trace"]}
    assert (traces["urban"]["matched"], traces["urban"]["applied"]) == (True, False)
    assert traces["water"]["mismatches"][0]["field"] == "subjects.departments"
    _, answer, _ = await bench.call(
        "POST", "/api/v1/policy/explain", json={**body, "ticket": "T-1"}
    )
    assert (answer["decision"]["allowed"], answer["decision"]["rule"]) == (True, "urban")


async def test_changes_between_policies_are_told_per_subject_and_action(bench: HttpBench) -> None:
    await bench.sharing.departments.save("urban", name="x", by=BOSS)
    text = "version = 1\n" + rule("urban", subjects=URBAN, actions='["live"]')
    _, answer, _ = await bench.call("POST", "/api/v1/policy/changes", json={"text": text})
    assert (answer["total"], answer["kinds"]) == (4, {"allowed": 4})
    assert {item["subject"]["label"] for item in answer["items"]} == {"department:urban"}
    assert {item["action"] for item in answer["items"]} == {"live"}


# Grants


def application(bench: HttpBench, **changes: Any) -> dict[str, Any]:
    until: datetime = bench.clock.utc_now() + timedelta(days=7)
    return {
        "actions": ["live"],
        "purpose": "case 7",
        "until": until.isoformat(),
        "objects": {"channels": [CHANNEL]},
        **changes,
    }


async def test_a_department_applies_for_itself_and_sees_its_own_only(bench: HttpBench) -> None:
    urban, water = await bench.sharing.key("urban"), await bench.sharing.key("water")
    status, grant, _ = await bench.call(
        "POST", "/api/v1/grants", token=urban.bearer, json=application(bench)
    )
    assert (status, grant["subject"], grant["state"]) == (
        201,
        {"departments": ["urban"]},
        "applied",
    )
    for subject in ({"departments": ["water"]}, {"outside": True}, {"platforms": [UPPER_ID]}):
        status, answer, _ = await bench.call(
            "POST", "/api/v1/grants", token=urban.bearer, json=application(bench, subject=subject)
        )
        assert (status, answer["code"]) == (422, "not_your_department")
    path = f"/api/v1/grants/{grant['grant_id']}"
    assert (await bench.call("GET", path, token=water.bearer))[0] == 404
    assert (await bench.call("POST", f"{path}/withdraw", token=water.bearer))[0] == 404
    assert (await bench.call("POST", f"{path}/approve", token=urban.bearer))[0] == 403
    _, listed, _ = await bench.call("GET", "/api/v1/grants", token=water.bearer)
    assert listed["total"] == 0
    assert (await bench.call("POST", f"{path}/withdraw", token=urban.bearer))[0] == 200


async def test_approval_may_be_for_less_and_never_for_more(bench: HttpBench) -> None:
    key = await bench.sharing.key("urban")
    _, grant, _ = await bench.call(
        "POST", "/api/v1/grants", token=key.bearer, json=application(bench)
    )
    path = f"/api/v1/grants/{grant['grant_id']}/approve"
    status, answer, _ = await bench.call("POST", path, json={"actions": ["live", "ptz"]})
    assert (status, answer["code"]) == (422, "grant_invalid")
    body = {"obligations": {"sub_stream": True}, "remark": "sub stream only"}
    status, answer, _ = await bench.call("POST", path, json=body)
    assert (status, answer["state"], answer["obligations"]["sub_stream"]) == (200, "active", True)
    assert (await bench.call("POST", path))[0] == 409


async def test_a_mistake_in_an_application_is_named(bench: HttpBench) -> None:
    for changes, code in (
        ({"objects": {"civil_codes": ["x"]}}, "policy_invalid"),
        ({"objects": {"nonsense": ["x"]}}, "invalid_body"),
        ({"subject": {"departments": ["*"]}}, "grant_invalid"),
        ({"subject": None}, "subject_missing"),
        ({"until": "2020-01-01T00:00:00Z"}, "grant_invalid"),
        ({"actions": []}, "invalid_body"),
        ({"purpose": ""}, "invalid_body"),
    ):
        body = application(bench, **{"subject": {"departments": ["urban"]}, **changes})
        status, answer, _ = await bench.call("POST", "/api/v1/grants", json=body)
        assert (status, answer["code"]) == (422, code), changes


# Audit


async def test_a_department_reads_what_is_recorded_about_it_and_no_more(filed: HttpBench) -> None:
    await filed.sharing.apply(rule("all", subjects="{ outside = true }"))
    urban, water = await filed.sharing.key("urban"), await filed.sharing.key("water")
    for key in (urban, water):
        await filed.call("GET", CAMERA, token=key.bearer)
    _, page, _ = await filed.call("GET", "/api/v1/audit/own", token=urban.bearer)
    accesses = [row for row in page["items"] if row["kind"] == "access"]
    assert [(row["action"], row["result"]) for row in accesses] == [("catalog", "allow")]
    assert {row["subject"].get("department") for row in page["items"]} == {"urban"}
    assert not any(row["device_id"] + row["detail"] for row in page["items"])
    assert (await filed.call("GET", "/api/v1/audit", token=urban.bearer))[0] == 403


async def add_secret(bench: HttpBench) -> str:
    """List a second, secret camera."""
    secret = replace(camera(2, DEVICE), secrecy=1)
    await bench.registry.replace_catalog(DEVICE, [camera(1, DEVICE), secret], complete=True)
    return secret.channel_id


async def test_the_records_of_a_department_do_not_tell_what_exists(filed: HttpBench) -> None:
    urban = await filed.sharing.key("urban")
    secret = await add_secret(filed)
    stopped = {"reason": "case", "objects": {"channels": [CHANNEL]}}
    assert (await filed.call("POST", "/api/v1/stops", json=stopped))[0] == 201
    names = (f"{DEVICE}/{secret}", f"{DEVICE}/{CHANNEL}", f"{DEVICE}/34020000001329999999")
    for name in names:
        path = f"/api/v1/channels/{name}/play"
        status, answer, _ = await filed.call("POST", path, token=urban.bearer)
        assert (status, answer["code"]) == (404, "channel_unknown")
    _, page, _ = await filed.call("GET", "/api/v1/audit/own", token=urban.bearer)
    rows = [row for row in page["items"] if row["kind"] == "access"]
    assert [row["object_id"] for row in rows] == list(reversed(names))
    own = ("seq", "at", "entry_id", "object_id")
    told = {json.dumps({k: v for k, v in row.items() if k not in own}) for row in rows}
    assert len(told) == 1
    assert {row["reason"] for row in rows} == {"not_shared"}
    # Our own people read the true reason, and the order that made it.
    _, page, _ = await filed.call("GET", "/api/v1/audit", params={"kind": "access"})
    reasons = {row["object_id"]: row["reason"] for row in page["items"]}
    assert [reasons[name] for name in names] == ["secrecy", "stopped", "not_shared"]
    rules = {row["object_id"]: row["rule"] for row in page["items"]}
    assert [rules[name].partition(":")[0] for name in names] == ["builtin", "stop", ""]


async def test_whoever_asks_a_thousand_times_is_told_no_more_by_the_sum(filed: HttpBench) -> None:
    urban = await filed.sharing.key("urban", requests_per_minute=6000)
    path = f"/api/v1/channels/{DEVICE}/{await add_secret(filed)}"
    for _ in range(PER_MINUTE + 5):
        assert (await filed.call("GET", path, token=urban.bearer))[0] == 404
    filed.clock.advance(120)
    filed.sharing.access.tick()
    _, page, _ = await filed.call("GET", "/api/v1/audit/own", token=urban.bearer)
    rows = [row for row in page["items"] if row["kind"] == "access"]
    assert (rows[0]["object_id"], rows[0]["reason"]) == ("", "several")
    assert {row["reason"] for row in rows[1:]} == {"not_shared"}


async def test_only_who_goes_on_with_the_same_search_is_not_recorded_each_time(
    filed: HttpBench,
) -> None:
    async def searched() -> int:
        _, page, _ = await filed.call("GET", "/api/v1/audit", params={"kind": "audit"})
        return sum(row["action"] == "search" for row in page["items"])

    params = {"after": "0", "object_id": CHANNEL}
    before = await searched()
    for _ in range(3):
        await filed.call("GET", "/api/v1/audit", params=params)
    # Each look at the count is one, too.
    assert await searched() == before + 1 + 1
    await filed.call("GET", "/api/v1/audit", params={"after": "0", "text": "张三"})
    assert await searched() == before + 1 + 1 + 1 + 1


async def test_the_audit_verifies_and_refuses_a_line_that_was_never_there(
    filed: HttpBench,
) -> None:
    await filed.call("GET", CAMERA)
    _, report, _ = await filed.call("POST", "/api/v1/audit/verify")
    assert (report["ok"], report["fault_count"]) == (True, 0)
    anchor = f"{report['signed']['seq']}:{report['signed']['hash']}"
    _, again, _ = await filed.call("POST", "/api/v1/audit/verify", json={"expect": anchor})
    assert again["anchored"]
    wrong = {"expect": f"{report['signed']['seq']}:{'0' * 64}"}
    _, again, _ = await filed.call("POST", "/api/v1/audit/verify", json=wrong)
    assert not again["ok"]
    status, answer, _ = await filed.call("POST", "/api/v1/audit/verify", json={"expect": "x"})
    assert (status, answer["code"]) == (422, "invalid_anchor")


async def test_an_export_is_a_zip_and_itself_on_record(filed: HttpBench) -> None:
    await filed.call("GET", CAMERA)
    status, data, answer = await filed.call("GET", "/api/v1/audit/export")
    assert (status, answer.content_type, data[:2]) == (200, "application/zip", b"PK")
    _, page, _ = await filed.call("GET", "/api/v1/audit", params={"kind": "audit"})
    assert page["items"][0]["action"] == "export"
    assert page["items"][0]["subject"] == {"role": "admin"}


# Platforms


async def test_a_platform_is_put_changed_and_deleted_without_showing_its_password(
    bench: HttpBench,
) -> None:
    path = "/api/v1/platforms/37130000002000000002"
    body = {
        "name": "市局",
        "addresses": [{"host": "10.0.0.9", "port": 5060}],
        "password": "secret-password",
        "edition": "2022",
        "tree": "custom",
        "nodes": [{"node_id": "371326", "name": "平邑", "select": {"civil_codes": ["371326"]}}],
    }
    status, made, _ = await bench.call("PUT", path, json=body)
    assert (status, made["has_password"], made["nodes"], made["edition"]) == (200, True, 1, "2022")
    _, changed, _ = await bench.call("PATCH", path, json={"enabled": False})
    assert (changed["enabled"], changed["name"], changed["has_password"]) == (False, "市局", True)
    _, tree, _ = await bench.call("GET", f"{path}/tree")
    assert tree["nodes"][0]["select"] == {"civil_codes": ["371326"]}
    _, tree, _ = await bench.call("PUT", f"{path}/tree", json={"tree": "division"})
    assert (tree["tree"], tree["nodes"]) == ("division", [])
    _, listed, _ = await bench.call("GET", "/api/v1/platforms", params={"q": "市局"})
    assert listed["total"] == 1
    shown = json.dumps([made, changed, listed])
    assert "secret-password" not in shown + repr(bench.sharing.audit.entries)
    # PUT replaces all of it, but never the password without saying so.
    _, put, _ = await bench.call("PUT", path, json={"addresses": body["addresses"]})
    assert (put["name"], put["has_password"], put["enabled"]) == ("", True, True)
    assert (await bench.call("DELETE", path))[0] == 204
    assert (await bench.call("GET", path))[0] == 404
    words = [action for action, _, _ in recorded(bench, AuditKind.PLATFORM)]
    assert words == ["create", "change", "change", "change", "delete"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"addresses": []}, "invalid_platform"),
        ({"addresses": [{"host": "0.0.0.0", "port": 5060}]}, "invalid_platform"),
        ({"addresses": [{"host": "h", "port": 0}]}, "invalid_body"),
        ({"transport": "SCTP"}, "invalid_body"),
        ({"expires": 5, "addresses": [{"host": "h", "port": 1}]}, "invalid_platform"),
        ({"nodes": [{"node_id": "x", "name": "y", "select": {"kinds": ["z"]}}]}, "policy_invalid"),
        ({"unknown": 1}, "invalid_body"),
    ],
)
async def test_a_platform_that_cannot_work_is_refused(
    bench: HttpBench, body: dict[str, Any], code: str
) -> None:
    path = "/api/v1/platforms/37130000002000000002"
    status, answer, _ = await bench.call("PUT", path, json=body)
    assert (status, answer["code"]) == (422, code)
    loop = {"addresses": [{"host": "h", "port": 1}]}
    status, answer, _ = await bench.call("PUT", f"/api/v1/platforms/{OWN_ID}", json=loop)
    assert (status, answer["code"]) == (422, "invalid_platform")


async def test_a_test_uses_what_is_given_over_what_is_kept_and_keeps_nothing(
    bench: HttpBench,
) -> None:
    body = {"transport": "TCP", "password": "tried"}
    _, report, _ = await bench.call("POST", f"{PLATFORM}/test", json=body)
    assert (report["ok"], report["steps"][1]["reason"]) == (False, "wrong_password")
    ((config, password),) = bench.sharing.links.tested
    assert (config.transport, config.name, password) == ("TCP", "City platform", "tried")
    assert bench.sharing.platforms.get(UPPER_ID).transport == "UDP"
    new = "/api/v1/platforms/37130000002000000002/test"
    address = {"addresses": [{"host": "h", "port": 1}]}
    assert (await bench.call("POST", new, json=address))[0] == 200


async def test_a_preview_is_made_once_for_its_pages_and_anew_after_a_change(
    bench: HttpBench,
) -> None:
    catalogs = bench.sharing.catalogs
    catalogs.items = [
        CatalogItem(device_id=f"3713260000132000{n:04}", name=f"c{n}", status="ON")
        for n in range(25)
    ]
    seen: list[str] = []
    for offset in (0, 10, 20):
        query = {"limit": "10", "offset": str(offset)}
        _, page, _ = await bench.call("GET", f"{PLATFORM}/preview", params=query)
        seen += [item["name"] for item in page["items"]]
        assert page["total"] == 25
    assert seen == [f"c{n}" for n in range(25)]
    assert len(catalogs.asked) == 1
    await bench.sharing.apply(rule("a", subjects=URBAN))
    await bench.call("GET", f"{PLATFORM}/preview")
    assert len(catalogs.asked) == 2
    await bench.call("POST", f"{PLATFORM}/preview", json={"id_mode": "rename"})
    assert catalogs.asked[-1][0].id_mode == "rename"
    assert bench.sharing.platforms.get(UPPER_ID).id_mode == "keep"


async def test_streams_to_platforms_are_listed_by_how_they_went(bench: HttpBench) -> None:
    at = bench.clock.utc_now()
    made = {"platform_id": UPPER_ID, "shared_id": CHANNEL, "created_at": at, "device_id": DEVICE}
    bench.sharing.bridges = [
        BridgeRecord(bridge_id="b1", **made),  # type: ignore[arg-type]
        BridgeRecord(bridge_id="b2", **made, end=BridgeEnd.NO_ACK),  # type: ignore[arg-type]
        BridgeRecord(bridge_id="b3", **made, end=BridgeEnd.UPPER_BYE),  # type: ignore[arg-type]
    ]
    for state, expected in (
        ("running", ["b1"]),
        ("ended", ["b2", "b3"]),
        ("failed", ["b2"]),
    ):
        _, page, _ = await bench.call("GET", "/api/v1/bridges", params={"state": state})
        assert [item["bridge_id"] for item in page["items"]] == expected
    _, page, _ = await bench.call("GET", "/api/v1/bridges", params={"platform_id": OWN_ID})
    assert page["total"] == 0


# Controls


async def test_each_step_of_a_camera_is_one_record_with_its_frame(bench: HttpBench) -> None:
    await bench.sharing.apply(
        rule("see", subjects=URBAN, actions='["catalog"]'),
        rule("move", subjects=URBAN, actions='["ptz"]', context="{ ticket_required = true }"),
    )
    key = await bench.sharing.key("urban")
    body = {"command": "move", "pan": -80, "hold_s": 3}
    bench.sharing.audit.entries.clear()
    status, answer, _ = await bench.call("POST", f"{CAMERA}/ptz", token=key.bearer, json=body)
    assert (status, answer["code"]) == (403, "ticket_required")
    status, answer, _ = await bench.call(
        "POST", f"{CAMERA}/ptz", token=key.bearer, json={**body, "ticket": "T-1"}
    )
    assert (status, answer["stops_after_s"]) == (200, 3.0)
    assert bench.sharing.controls.moves == [
        (f"key:{key.key.key_id}", DEVICE, CHANNEL, answer["frame"], 3.0)
    ]
    denied, allowed = bench.sharing.audit.of(AuditKind.ACCESS)
    assert (denied.result, allowed.result, allowed.ticket) == ("deny", "allow", "T-1")
    assert answer["frame"] in allowed.detail


async def test_a_purpose_is_one_line_that_commands_no_terminal(bench: HttpBench) -> None:
    for wrong in ("a\x9b31m", "a\u202eb", "a\nb", "a\u2028b"):
        ways: list[dict[str, Any]] = [
            {"json": {"command": "stop", "purpose": wrong}},
            {"json": {"command": "stop"}, "headers": {"X-Gb-Purpose": quote(wrong)}},
        ]
        for asked in ways:
            status, answer, _ = await bench.call("POST", f"{CAMERA}/ptz", **asked)
            assert (status, answer["code"]) == (400, "invalid_purpose"), asked
    chinese = {"command": "stop", "purpose": "案件\u3000七"}
    assert (await bench.call("POST", f"{CAMERA}/ptz", json=chinese))[0] == 200
    assert bench.sharing.audit.of(AuditKind.ACCESS)[-1].purpose == "案件\u3000七"


@pytest.mark.parametrize(
    ("word", "body", "scope", "action"),
    [
        ("iframe", {}, Scope.LIVE, "live"),
        (
            "drag_zoom",
            {
                "direction": "in",
                "window_width": 640,
                "window_height": 480,
                "x": 1,
                "y": 2,
                "width": 3,
                "height": 4,
            },
            Scope.PTZ,
            "ptz",
        ),
        ("reboot", {}, Scope.CONFIG, "config"),
        ("record", {"record": True}, Scope.CONFIG, "config"),
        ("guard", {"guard": False}, Scope.CONFIG, "config"),
        ("alarm_reset", {"method": "5"}, Scope.CONFIG, "config"),
        ("home_position", {"enabled": True, "preset": 3}, Scope.CONFIG, "config"),
    ],
)
async def test_a_control_needs_its_scope_and_its_action(
    bench: HttpBench, word: str, body: dict[str, Any], scope: Scope, action: str
) -> None:
    path = f"{CAMERA}/control/{word}"
    await bench.sharing.apply(rule("see", subjects=URBAN, actions='["catalog"]'))
    lacking = await bench.sharing.key("urban", *(set(Scope) - {scope}))
    key = await bench.sharing.key("urban", scope)
    assert (await bench.call("POST", path, token=lacking.bearer, json=body))[0] == 403
    status, answer, _ = await bench.call("POST", path, token=key.bearer, json=body)
    assert (status, answer["code"]) == (403, "no_rule")
    await bench.sharing.apply(
        rule("see", subjects=URBAN, actions='["catalog"]'),
        rule("do", subjects=URBAN, actions=f'["{action}"]'),
    )
    bench.sharing.audit.entries.clear()
    status, answer, _ = await bench.call("POST", path, token=key.bearer, json=body)
    assert (status, answer["result"]) == (200, "OK" if word in _ANSWERED else "")
    (entry,) = bench.sharing.audit.of(AuditKind.ACCESS)
    assert (entry.action, entry.result) == (action, "allow")
    assert entry.detail.startswith(word)


_ANSWERED = {"record", "guard", "alarm_reset", "home_position"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"command": "fly"},
        {"command": "move", "pan": 256},
        {"command": "move", "zoom": 16},
        {"command": "preset_set"},
        {"command": "preset_call", "number": 256},
        {"command": "move", "hold_s": 0},
        {"command": "move", "unknown": 1},
    ],
)
async def test_a_command_that_fits_no_frame_is_refused_and_not_recorded(
    bench: HttpBench, body: dict[str, Any]
) -> None:
    status, _, _ = await bench.call("POST", f"{CAMERA}/ptz", json=body)
    assert status == 422
    assert bench.sharing.controls.moves == []
    assert bench.sharing.audit.entries == []


async def test_a_camera_that_cannot_be_reached_is_said_so(bench: HttpBench) -> None:
    bench.sharing.controls.refuse = Unavailable("device_offline", "Device is offline")
    for path, body in (("ptz", {"command": "stop"}), ("control/reboot", {})):
        status, answer, _ = await bench.call("POST", f"{CAMERA}/{path}", json=body)
        assert (status, answer["code"]) == (503, "device_offline")


# What is wrong


async def test_the_status_says_what_is_wrong_with_sharing(bench: HttpBench) -> None:
    async def troubles() -> dict[str, str]:
        _, body, _ = await bench.call("GET", "/api/v1/status")
        return {item["code"]: item["severity"] for item in body["troubles"]}

    assert await troubles() == {}
    bench.sharing.links.statuses[UPPER_ID] = PlatformStatus(
        state=LinkState.WAITING, reason="wrong_password", detail="401 twice"
    )
    bench.sharing.audit.ok = False
    bench.sharing.policies.problem = "Policy version 3 cannot be used"
    body = application(bench, subject={"departments": ["urban"]})
    await bench.call("POST", "/api/v1/grants", json=body)
    emergency = {key: body[key] for key in ("subject", "objects", "actions", "purpose")}
    await bench.call("POST", "/api/v1/emergency-grants", json={**emergency, "minutes": 5})
    hook, _ = await make_hook(bench)
    await bench.sharing.webhooks.disable(hook, "no_success_since yesterday")
    bench.clock.advance(15 * 86_400)
    bench.sharing.grants.expire()
    assert await troubles() == {
        "wrong_password": "warning",
        "audit_unavailable": "error",
        "policy_unusable": "error",
        "webhook_disabled": "warning",
        "grants_overdue": "warning",
        "emergencies_unreviewed": "warning",
    }


async def make_hook(bench: HttpBench) -> tuple[str, str]:
    key = await bench.sharing.key("urban")
    _, made, _ = await bench.call("POST", "/api/v1/webhooks", token=key.bearer, json=HOOK)
    return made["webhook"]["hook_id"], made["secret"]
