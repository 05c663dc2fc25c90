"""schemathesis against the OpenAPI of a whole gateway: nothing it makes up meets an error of the gateway's own."""

import asyncio
import json
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.app import Gateway
from gateway.domain.policy import Role
from gateway.http.server import HttpServer
from gateway.sharing.keys import KeySettings, Scope
from gateway.simulator import Simulator
from tests.support.gateway import running_gateway
from tests.support.http_sharing import BOSS

EXAMPLES = int(os.environ.get("GATEWAY_FUZZ_EXAMPLES", "2"))
"""Of each operation, valid and invalid ones each; whoever looks for more sets more."""
pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.timeout(300 * EXAMPLES)]
ENDLESS = ("watch_flv", "watch_mp4")
"""Answers that do not end: only channels that do not exist are asked of these."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
NOWHERE = {
    "url": "rtsp://127.0.0.1:9/nowhere",
    "host": "127.0.0.1",
    "address": "127.0.0.1:9",
    "addresses": ["127.0.0.1:9"],
}
"""In place of made-up addresses: a test talks to nobody else's machine."""


@dataclass
class Fuzzer:
    """Sends what schemathesis makes up and keeps what went wrong."""

    base: str
    credentials: list[dict[str, str]]
    known: dict[str, str]
    session: requests.Session = field(default_factory=requests.Session)
    wrong: dict[str, str] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)

    def run(self, description: dict[str, Any]) -> None:
        schema = schemathesis.openapi.from_dict(without_security(description))
        found = [unwrapped(result) for result in schema.get_all_operations()]
        # What takes things away comes last, or the rest would meet an empty gateway.
        found.sort(key=lambda operation: operation.method.upper() == "DELETE")
        for operation in found:
            self._operation(operation, GenerationMode.POSITIVE)
            # Any text may stand in a path: only a query and a body can be invalid.
            if operation.body or operation.query:
                self._operation(operation, GenerationMode.NEGATIVE)

    def _operation(self, operation: Any, mode: GenerationMode) -> None:
        name = operation.definition.raw["operationId"]
        try:
            cases = operation.as_strategy(generation_mode=mode)
            self._send_all(name, cases)
        except (Exception, FailureGroup) as exc:  # noqa: BLE001 - all of them are wanted
            if "Unsatisfiable" not in type(exc).__name__ and "SkipTest" not in type(exc).__name__:
                self.wrong.setdefault(f"{name} ({mode})", f"{type(exc).__name__}: {exc}"[:1500])

    def _send_all(self, name: str, cases: st.SearchStrategy[Case[Any]]) -> None:
        @seed(28181)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=False,
            phases=[Phase.generate],
            verbosity=Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases, who=st.sampled_from(self.credentials), real=st.booleans())
        def send(case: Case[Any], who: dict[str, str], real: bool) -> None:
            if real and not name.startswith(ENDLESS):
                for parameter in case.path_parameters or {}:
                    if parameter in self.known:
                        case.path_parameters[parameter] = self.known[parameter]
            case.body = tamed(case.body)
            response = case.call(
                base_url=self.base, session=self.session, headers=who, timeout=(5, 30)
            )
            self.statuses[response.status_code] += 1
            # Documented: a camera or a thing the request needs is missing, which the gateway says.
            said = response.status_code in {502, 503, 504}
            case.validate_response(response, checks=CHECKS[1:] if said else CHECKS)

        send()


def unwrapped(result: Any) -> Any:
    """Return an operation; one that schemathesis cannot read fails the test."""
    return result.ok()


def without_security(description: dict[str, Any]) -> dict[str, Any]:
    """Leave the credentials to the test: made-up ones would keep everything else from being looked at."""
    description["components"].pop("securitySchemes")
    for path in description["paths"].values():
        for operation in path.values():
            operation.pop("security")
    return description


def tamed(value: Any) -> Any:
    """Replace addresses, at any depth."""
    if isinstance(value, dict):
        return {
            key: NOWHERE[key] if key in NOWHERE and isinstance(inner, type(NOWHERE[key])) and inner
            else tamed(inner)
            for key, inner in value.items()
        }  # fmt: skip
    return [tamed(inner) for inner in value] if isinstance(value, list) else value


async def credentials(gateway: Gateway, token: str) -> list[dict[str, str]]:
    keys, made = gateway.sharing.keys, []
    await gateway.sharing.departments.save("urban", name="Urban", by=BOSS)
    for owner in ({"department": "urban"}, {"role": Role.OPERATOR.value}):
        chosen = KeySettings(name="fuzz", scopes=frozenset(Scope), requests_per_minute=6000)
        made.append((await keys.create(chosen, by=BOSS, **owner)).bearer)
    return [{"Authorization": f"Bearer {bearer}"} for bearer in (token, token, *made)]


async def test_no_request_that_can_be_made_up_meets_an_error_of_the_gateways_own(
    tmp_path: Path,
) -> None:
    faces = {"rtmp": {"enabled": True, "port": 0}, "rtsp": {"port": 0}}
    async with running_gateway(tmp_path, **faces) as running:
        simulated = running.simulator_options(channels=1)
        async with Simulator(simulated):
            [channel_id] = await running.channels(simulated.base_id, 1)
            known = {
                "device_id": simulated.base_id,
                "channel_id": channel_id,
                "department": "urban",
            }
            description = await running.api.get("../openapi.json")
            http = running.gateway.http
            options = replace(http._options, port=0, auth_failures=1_000_000)
            async with HttpServer(http._deps, options) as untiring:
                made = await credentials(running.gateway, untiring.cli_token)
                fuzzer = Fuzzer(untiring.url, made, known)
                await asyncio.to_thread(fuzzer.run, description)
    assert fuzzer.wrong == {}, json.dumps(fuzzer.wrong, indent=1)[:20_000]
    assert fuzzer.statuses[200] > 50
    assert sum(fuzzer.statuses.values()) > 400
