"""The API over a real socket: answers, refusals, and the description they must fit."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema  # type: ignore[import-untyped]
import pytest
from openapi_spec_validator import validate

from gateway.domain.errors import Unavailable
from gateway.domain.session import EndReason
from gateway.domain.store import StoreHealth
from tests.support.http import (
    CHANNEL,
    DEVICE,
    OTHER_DEVICE,
    HttpBench,
    failed_session,
    http_bench,
    session_failed,
)
from tests.support.registry import registration

pytestmark = pytest.mark.net


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path) as running:
        yield running


def checked(document: dict[str, Any], path: str, method: str, status: int, body: Any) -> None:
    """Validate a body against what the description says of it."""
    content = document["paths"][path][method]["responses"][str(status)]["content"]
    (media,) = content.values()
    schema = {**media["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(body)


async def test_the_description_is_valid_and_names_every_registered_route(bench: HttpBench) -> None:
    _, document, _ = await bench.call("GET", "/api/openapi.json")
    validate(document)
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    assert described == {(route.method, route.path) for route in bench.server.routes}
    runner = bench.server._runner
    assert runner is not None
    served = {
        (route.method, route.resource.canonical)
        for route in runner.app.router.routes()
        if route.resource is not None
    }
    assert served == described


@pytest.mark.parametrize(
    ("method", "template", "options", "status"),
    [
        ("GET", "/api/v1/devices", {}, 200),
        ("GET", "/api/v1/devices", {"params": {"limit": "1001"}}, 400),
        ("GET", "/api/v1/devices/{device_id}", {}, 200),
        ("PATCH", "/api/v1/devices/{device_id}", {"json": {"charset": "GB18030"}}, 200),
        ("PATCH", "/api/v1/devices/{device_id}", {"json": {"charset": "EBCDIC"}}, 422),
        ("GET", "/api/v1/devices/{device_id}/timeline", {}, 200),
        ("POST", "/api/v1/devices/{device_id}/sync", {}, 202),
        ("GET", "/api/v1/devices/{device_id}/sync", {}, 404),
        ("POST", "/api/v1/devices/{device_id}/status", {}, 200),
        ("GET", "/api/v1/channels", {}, 200),
        ("GET", "/api/v1/channels/{device_id}/{channel_id}", {}, 200),
        ("POST", "/api/v1/channels/{device_id}/{channel_id}/play", {}, 200),
        ("GET", "/api/v1/sessions", {}, 200),
        ("GET", "/api/v1/sessions/{session_id}", {}, 200),
        ("DELETE", "/api/v1/sessions/{session_id}", {}, 200),
        ("GET", "/api/v1/streams", {}, 200),
        ("GET", "/api/v1/status", {}, 200),
        ("POST", "/api/v1/doctor/explain", {}, 200),
    ],
)
async def test_real_answers_fit_their_described_schemas(
    bench: HttpBench, method: str, template: str, options: dict[str, Any], status: int
) -> None:
    bench.sessions.records.append(failed_session())
    _, document, _ = await bench.call("GET", "/api/openapi.json")
    path = template.format(device_id=DEVICE, channel_id=CHANNEL, session_id="failed1")
    got, body, answer = await bench.call(method, path, **options)
    assert got == status, body
    assert answer.headers["Cache-Control"] == "no-store"
    checked(document, template, method.lower(), status, body)


async def test_devices_are_searched_filtered_and_paged_on_the_server(bench: HttpBench) -> None:
    bench.registry.unregistered(OTHER_DEVICE)
    _, every, _ = await bench.call("GET", "/api/v1/devices?limit=1&offset=1")
    assert (len(every["items"]), every["total"]) == (1, 2)
    _, offline, _ = await bench.call("GET", "/api/v1/devices?online=false")
    (item,) = offline["items"]
    assert (item["device_id"], item["offline_reason"]) == (OTHER_DEVICE, "logged_out")
    _, found, _ = await bench.call("GET", f"/api/v1/devices?q={DEVICE}")
    assert [item["device_id"] for item in found["items"]] == [DEVICE]


async def test_channels_are_searched_filtered_and_paged_on_the_server(bench: HttpBench) -> None:
    _, every, _ = await bench.call("GET", "/api/v1/channels?limit=2")
    assert (len(every["items"]), every["total"]) == (2, 4)
    _, found, _ = await bench.call(
        "GET", "/api/v1/channels", params={"device_id": DEVICE, "q": "camera 2", "kind": "camera"}
    )
    assert [item["name"] for item in found["items"]] == ["Camera 2"]
    _, none, _ = await bench.call("GET", "/api/v1/channels?online=false")
    assert none == {"items": [], "total": 0}


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("limit=1001", "limit"),
        ("limit=0", "limit"),
        ("offset=-1", "offset"),
        ("online=perhaps", "online"),
        ("colour=red", "colour"),
        ("limit=5&limit=6", "limit"),
        ("q=" + "x" * 201, "q"),
    ],
)
async def test_unusable_parameters_are_named(bench: HttpBench, query: str, word: str) -> None:
    status, body, _ = await bench.call("GET", f"/api/v1/devices?{query}")
    assert (status, body["code"]) == (400, "invalid_parameter")
    assert word in body["detail"]


async def test_settings_absent_from_a_patch_stay_and_null_restores_the_default(
    bench: HttpBench,
) -> None:
    path = f"/api/v1/devices/{DEVICE}"
    await bench.call("PATCH", path, json={"media_transport": "tcp_passive", "keepalive_misses": 5})
    _, body, _ = await bench.call("PATCH", path, json={"keepalive_misses": None})
    assert body["settings"]["media_transport"] == "tcp_passive"
    assert body["settings"]["keepalive_misses"] is None


@pytest.mark.parametrize(
    ("raw", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_json"),
        (b"\xff", "application/json", 400, "malformed_json"),
        (b"[" * 50_000, "application/json", 400, "malformed_json"),
        (b'{"charset": NaN}', "application/json", 400, "malformed_json"),
        (b'{"charset":"UTF-8","charset":null}', "application/json", 400, "malformed_json"),
        (b'{"keepalive_misses": "3"}', "application/json", 422, "invalid_body"),
        (b'{"has_secret": true}', "application/json", 422, "invalid_body"),
        (b"[]", "application/json", 422, "invalid_body"),
        (b"{}", "text/plain", 415, "not_json"),
        (b"", "application/json", 400, "malformed_json"),
        (b'"' + b"x" * 70_000 + b'"', "application/json", 413, "body_too_large"),
    ],
)
async def test_bodies_are_checked_strictly(
    bench: HttpBench, raw: bytes, kind: str, status: int, code: str
) -> None:
    got, body, answer = await bench.call(
        "PATCH", f"/api/v1/devices/{DEVICE}", data=raw, headers={"Content-Type": kind}
    )
    assert (got, body["code"]) == (status, code)
    assert answer.content_type == "application/problem+json"
    assert body["instance"] == f"/api/v1/devices/{DEVICE}"


async def test_a_secret_is_kept_as_hashes_and_never_given_out(bench: HttpBench) -> None:
    path = f"/api/v1/devices/{DEVICE}/secret"
    status, body, _ = await bench.call("PUT", path, json={"password": "a-secret-of-its-own"})
    assert (status, body) == (204, b"")
    assert "a-secret" not in repr(bench.store.secrets)
    credential = bench.registry.credential(DEVICE)
    assert credential is not None
    _, device, _ = await bench.call("GET", f"/api/v1/devices/{DEVICE}")
    _, timeline, _ = await bench.call("GET", f"/api/v1/devices/{DEVICE}/timeline")
    assert device["settings"]["has_secret"] is True
    assert "a-secret" not in json.dumps([device, timeline])
    assert (await bench.call("DELETE", path))[0] == 204
    assert bench.registry.credential(DEVICE) is None


async def test_a_short_secret_is_refused_without_repeating_it(bench: HttpBench) -> None:
    status, body, _ = await bench.call(
        "PUT", f"/api/v1/devices/{DEVICE}/secret", json={"password": "s3cr3t"}
    )
    assert status == 422
    assert "s3cr3t" not in json.dumps(body)


async def test_a_secret_may_be_set_before_the_device_registers(bench: HttpBench) -> None:
    fresh = "34020000001110000099"
    path = f"/api/v1/devices/{fresh}"
    status, _, _ = await bench.call(
        "PUT", f"{path}/secret", json={"password": "password-of-a-new-one"}
    )
    assert status == 204
    _, device, _ = await bench.call("GET", path)
    assert device["offline_reason"] == "never_registered"
    status, body, _ = await bench.call(
        "PUT", "/api/v1/devices/bad%20id/secret", json={"password": "password-of-a-new-one"}
    )
    assert (status, body["code"]) == (422, "invalid_device_id")


async def test_a_forgotten_device_is_gone_with_its_channels(bench: HttpBench) -> None:
    assert (await bench.call("DELETE", f"/api/v1/devices/{DEVICE}"))[0] == 204
    status, body, _ = await bench.call("GET", f"/api/v1/devices/{DEVICE}")
    assert (status, body["code"]) == (404, "device_unknown")
    _, channels, _ = await bench.call("GET", f"/api/v1/channels?device_id={DEVICE}")
    assert channels["total"] == 0


async def test_play_gives_urls_bound_to_stream_and_expiry(bench: HttpBench) -> None:
    _, body, _ = await bench.call(
        "POST", f"/api/v1/channels/{DEVICE}/{CHANNEL}/play", json={"transport": "tcp_passive"}
    )
    _, session, _ = await bench.call("GET", f"/api/v1/sessions/{body['session_id']}")
    assert session["transport"] == "tcp_passive"
    assert session["stages"]["answered"] == 0.2
    assert set(body["urls"]) >= {"flv", "mp4", "ws_flv", "ws_mp4"}
    path, _, token = body["urls"]["flv"].removeprefix(bench.url).partition("?token=")
    assert path == f"/live/{DEVICE}/{CHANNEL}.flv"
    assert body["urls"]["ws_mp4"].startswith("ws://127.0.0.1:")
    grant = bench.server.tokens.streams.read(token, bench.clock.utc_now().timestamp() + 3599)
    assert grant.stream_id == f"{DEVICE}/{CHANNEL}"
    assert body["expires_at"] == (bench.clock.utc_now() + timedelta(hours=1)).isoformat().replace(
        "+00:00", "Z"
    )


async def test_urls_carry_the_public_address_when_one_is_configured(tmp_path: Path) -> None:
    async with http_bench(tmp_path, public_url="https://video.example") as bench:
        _, body, _ = await bench.call("POST", f"/api/v1/channels/{DEVICE}/{CHANNEL}/play")
    assert body["urls"]["mp4"].startswith(f"https://video.example/live/{DEVICE}/{CHANNEL}.mp4?")
    assert body["urls"]["ws_mp4"].startswith("wss://video.example/live/")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Unavailable("device_offline", "Device is offline"), 503, "device_offline"),
        (session_failed(EndReason.INVITE_REFUSED, "486 Busy Here", 486), 502, "invite_refused"),
        (session_failed(EndReason.INVITE_TIMEOUT, "no answer in 10 s"), 504, "invite_timeout"),
        (session_failed(EndReason.PORTS_EXHAUSTED, "none left"), 503, "rtp_ports_exhausted"),
        (
            ExceptionGroup("several", [Unavailable("ssrc_exhausted", "none left")]),
            503,
            "ssrc_exhausted",
        ),
    ],
)
async def test_a_refused_play_says_why(
    bench: HttpBench, error: Exception, status: int, code: str
) -> None:
    bench.sessions.refuse = error
    got, body, answer = await bench.call("POST", f"/api/v1/channels/{DEVICE}/{CHANNEL}/play")
    assert (got, body["code"], body["status"]) == (status, code, status)
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert body.get("sip_status") == (486 if code == "invite_refused" else None)


async def test_sessions_are_filtered_by_state_and_device(bench: HttpBench) -> None:
    await bench.call("POST", f"/api/v1/channels/{DEVICE}/{CHANNEL}/play")
    bench.sessions.records.append(failed_session())

    async def ids(query: str) -> list[str]:
        _, body, _ = await bench.call("GET", f"/api/v1/sessions?{query}")
        return [item["session_id"] for item in body["items"]]

    assert await ids("state=running") == ["s1"]
    assert await ids("state=failed") == ["failed1"]
    assert await ids(f"device_id={OTHER_DEVICE}") == []
    assert await ids("limit=1&offset=1") == ["failed1"]


async def test_stopping_a_session_returns_its_end(bench: HttpBench) -> None:
    await bench.call("POST", f"/api/v1/channels/{DEVICE}/{CHANNEL}/play")
    status, body, _ = await bench.call("DELETE", "/api/v1/sessions/s1")
    assert (status, body["ended"]["reason"], body["ended"]["failure"]) == (200, "stopped", False)


async def test_a_synchronisation_is_visible_afterwards(bench: HttpBench) -> None:
    await bench.call("POST", f"/api/v1/devices/{DEVICE}/sync")
    _, body, _ = await bench.call("GET", f"/api/v1/devices/{DEVICE}/sync")
    assert (body["state"], body["received"], body["diff"]["added"]) == ("done", 1, [CHANNEL])


async def test_undecodable_bytes_of_a_device_do_not_break_an_answer(bench: HttpBench) -> None:
    status, body, _ = await bench.call("POST", f"/api/v1/devices/{DEVICE}/status")
    assert (status, body["fields"]["Record"]) == (200, "??")


async def test_an_unexpected_error_is_500_without_details(bench: HttpBench) -> None:
    bench.queries.crash = RuntimeError("the database password is hunter2")
    status, body, _ = await bench.call("POST", f"/api/v1/devices/{DEVICE}/status")
    assert (status, body["code"]) == (500, "internal_error")
    assert "hunter2" not in json.dumps(body)
    assert (await bench.call("GET", "/healthz"))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("DELETE", "/api/v1/devices", 405),
        ("PUT", "/healthz", 405),
        ("GET", "/live/1/2.avi", 404),
        ("GET", f"/api/v1/devices/{'9' * 20}", 404),
        ("GET", f"/api/v1/channels/{DEVICE}/1", 404),
        ("GET", "/api/v1/sessions/none", 404),
    ],
)
async def test_what_is_not_there_is_a_problem_too(
    bench: HttpBench, method: str, path: str, status: int
) -> None:
    got, body, answer = await bench.call(method, path)
    assert (got, body["status"]) == (status, status)
    assert {"type", "title", "detail", "code", "instance"} <= set(body)
    assert ("Allow" in answer.headers) == (status == 405)


async def test_status_is_ok_when_nothing_is_wrong(bench: HttpBench) -> None:
    _, body, _ = await bench.call("GET", "/api/v1/status")
    assert (body["state"], body["troubles"]) == ("ok", [])
    assert body["devices"] == {"total": 2, "online": 2, "offline": 0}
    assert (body["channels"], body["streams"], body["viewers"]) == (4, 1, 2)
    assert body["sip"] == [{"transport": "UDP", "host": "127.0.0.1", "port": 5060}]


async def test_status_names_what_is_wrong_and_since_when(bench: HttpBench) -> None:
    since = bench.clock.utc_now()
    bench.registry.unregistered(OTHER_DEVICE)
    bench.sessions.records += [
        failed_session(at=since, number=1),
        failed_session(at=since + timedelta(minutes=1), number=2),
        failed_session(EndReason.INVITE_REFUSED, at=since - timedelta(hours=2), number=3),
    ]
    bench.media.ports = (480, 10, 500)
    bench.health.append(StoreHealth(ok=False, detail="disk full", since=since, pending=3))
    bench.clock.advance(120)
    _, body, _ = await bench.call("GET", "/api/v1/status")
    told = {(item["severity"], item["code"], item["count"]) for item in body["troubles"]}
    assert told == {
        ("error", "store_unavailable", 3),
        ("warning", "rtp_ports_low", 490),
        ("warning", "logged_out", 1),
        ("warning", "no_packet", 2),
    }
    assert body["state"] == "error"
    assert all(item["since"] for item in body["troubles"] if item["code"] != "rtp_ports_low")


async def test_exhausted_ports_are_an_error(bench: HttpBench) -> None:
    bench.media.ports = (490, 10, 500)
    _, body, _ = await bench.call("GET", "/api/v1/status")
    assert [item["code"] for item in body["troubles"]] == ["rtp_ports_exhausted"]


async def test_explain_takes_the_latest_failure_when_none_is_named(bench: HttpBench) -> None:
    status, body, _ = await bench.call("POST", "/api/v1/doctor/explain")
    assert (status, body["code"]) == (404, "no_failed_session")
    bench.sessions.records += [failed_session(number=1), failed_session(number=2)]
    bench.sessions.records[1].ended_at = bench.clock.utc_now() + timedelta(hours=1)
    _, body, _ = await bench.call("POST", "/api/v1/doctor/explain")
    assert body["session"]["session_id"] == "failed2"
    assert body["failed_stage"] == "first_packet"
    assert body["causes"][0]["remedy"]["zh"]
    _, body, _ = await bench.call("POST", "/api/v1/doctor/explain", json={"session_id": "failed1"})
    assert body["session"]["session_id"] == "failed1"


async def test_readiness_names_what_is_missing(bench: HttpBench) -> None:
    object.__setattr__(bench.server._deps, "ready", lambda: "the store is being migrated")
    status, body, _ = await bench.call("GET", "/readyz", token=None)
    assert (status, body["detail"]) == (503, "the store is being migrated")
    assert (await bench.call("GET", "/healthz", token=None))[0] == 200


async def test_metrics_are_given_in_prometheus_form(bench: HttpBench) -> None:
    await bench.call("GET", "/api/v1/devices")
    _, body, answer = await bench.call("GET", "/metrics")
    assert answer.content_type == "text/plain"
    assert b'gateway_http_requests_total{status="200"}' in body


async def test_other_origins_get_nothing_by_default(bench: HttpBench) -> None:
    origin = {"Origin": "https://evil.example"}
    _, _, answer = await bench.call("GET", "/api/v1/devices", headers=origin)
    assert "Access-Control-Allow-Origin" not in answer.headers
    status, _, _ = await bench.call(
        "OPTIONS",
        "/api/v1/devices",
        token=None,
        headers={**origin, "Access-Control-Request-Method": "GET"},
    )
    assert status == 401


async def test_a_configured_origin_may_use_the_api_and_read_its_errors(tmp_path: Path) -> None:
    origin = {"Origin": "https://ops.example"}
    async with http_bench(tmp_path, cors_origins=("https://ops.example",)) as bench:
        status, _, preflight = await bench.call(
            "OPTIONS",
            "/api/v1/devices",
            token=None,
            headers={**origin, "Access-Control-Request-Method": "GET"},
        )
        _, _, refused = await bench.call("GET", "/api/v1/devices", token=None, headers=origin)
        _, _, other = await bench.call(
            "GET", "/api/v1/devices", headers={"Origin": "https://evil.example"}
        )
    assert status == 204
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    assert refused.headers["Access-Control-Allow-Origin"] == "https://ops.example"
    assert "Access-Control-Allow-Origin" not in other.headers


async def test_a_taken_port_is_reported_by_name(bench: HttpBench, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        async with http_bench(tmp_path / "second", port=bench.server.port):
            pass
    assert caught.value.code == "http_not_listening"


async def test_a_malformed_request_does_not_end_the_server(bench: HttpBench) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.server.port)
    writer.write(b"\x16\x03\x01\x00garbage\r\n\r\n")
    answer = await reader.read(4096)
    writer.close()
    assert answer.startswith(b"HTTP/1.")
    assert b" 400 " in answer.splitlines()[0]
    async with aiohttp.ClientSession() as client, client.get(bench.url + "/healthz") as ok:
        assert ok.status == 200


async def test_a_device_that_comes_back_leaves_the_list_of_troubles(bench: HttpBench) -> None:
    bench.registry.unregistered(DEVICE)
    bench.registry.registered(registration(DEVICE), bench.clock.now)
    _, body, _ = await bench.call("GET", "/api/v1/status")
    assert body["troubles"] == []
