"""Commands about platforms, sharing, policy, grants and PTZ against a real HTTP server."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cascade.links_trial import TrialReport, TrialStep
from gateway.cli.main import app
from gateway.domain.document import SharedId
from gateway.domain.errors import Unavailable
from gateway.sharing.keys import Scope
from gb28181.manscdp.item import CatalogItem
from tests.support.http import CHANNEL, DEVICE, OTHER_DEVICE, HttpBench
from tests.support.platform_book import UPPER_ID
from tests.support.policy import rule

pytestmark = pytest.mark.net

Run = Callable[..., Awaitable[Result]]
NEW = "37130000002000000002"
POLICY = "version = 1\n" + rule("urban", subjects='{ departments = ["urban"] }')
WORKS = TrialReport(
    ok=True, steps=(TrialStep(address="h:1", name="register", at=0.1, ok=True),), granted=3600
)


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return path


# Every reading command gives JSON


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("platforms", "list"), "items"),
        (("platforms", "show", UPPER_ID), "timeline"),
        (("platforms", "timeline", UPPER_ID), "items"),
        (("platforms", "preview", UPPER_ID), "items"),
        (("share", "tree", UPPER_ID), "nodes"),
        (("share", "preview", UPPER_ID), "items"),
        (("share", "codes", UPPER_ID), "items"),
        (("share", "departments"), "items"),
        (("share", "keys"), "items"),
        (("share", "webhooks"), "items"),
        (("share", "watching"), "items"),
        (("share", "usage"), "items"),
        (("share", "bridges"), "items"),
        (("policy", "show"), "version"),
        (("policy", "versions"), "items"),
        (("policy", "diff", "0"), "added"),
        (("policy", "would-see", "--for", "department:urban"), "by_reason"),
        (("policy", "explain", DEVICE, CHANNEL, "--for", "department:urban"), "trace"),
        (("policy", "changes", "--for", "department:urban"), "kinds"),
        (("grants", "list"), "items"),
        (("grants", "stops"), "items"),
        (("audit", "search"), "items"),
        (("audit", "status"), "head"),
        (("audit", "verify"), "proven"),
    ],
)
async def test_every_reading_command_gives_json(run: Run, words: tuple[str, ...], key: str) -> None:
    result = await run(*words, "--json")
    assert result.exit_code == 0, result.output
    assert key in json.loads(result.stdout)


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize(
    "words",
    [
        ("share", "departments"),
        ("share", "keys"),
        ("share", "webhooks"),
        ("share", "watching"),
        ("share", "bridges"),
        ("share", "codes", UPPER_ID),
        ("platforms", "preview", UPPER_ID),
        ("grants", "list"),
        ("grants", "stops"),
        ("policy", "versions"),
        ("policy", "show"),
        ("policy", "changes"),
        ("audit", "status"),
    ],
)
async def test_empty_lists_are_explained_in_both_languages(
    run: Run, words: tuple[str, ...], lang: str
) -> None:
    result = await run(*words, lang=lang)
    assert result.exit_code == 0, result.output
    chinese = any("\u4e00" <= character <= "\u9fff" for character in result.stdout)
    assert chinese is (lang == "zh")
    assert result.stdout.strip()


# Platforms


async def test_a_platform_is_shown_with_its_link_and_timeline(office: HttpBench, run: Run) -> None:
    office.sharing.links.online(UPPER_ID)
    result = await run("platforms", "list")
    for words in ("City platform", "online", "UDP 127.0.0.1:5060", "Catalog", "12"):
        assert words in result.stdout
    result = await run("platforms", "show", UPPER_ID)
    assert "granted for 3600 s" in result.stdout
    assert "upper-password" not in result.stdout


async def test_adding_tries_a_registration_first_and_says_what_came(
    office: HttpBench, run: Run
) -> None:
    add = ("platforms", "add", NEW, "--address", "10.0.0.9:5060", "--password", "secret", "--set")
    result = await run(*add, "zone=government")
    assert result.exit_code == 1
    assert "wrong_password" in result.stderr
    assert office.sharing.platforms.find(NEW) is None
    office.sharing.links.report = WORKS
    result = await run(*add, "zone=government", "--transport", "tcp", "--edition", "2022")
    assert result.exit_code == 0, result.output
    saved = office.sharing.platforms.get(NEW)
    assert (saved.zone, saved.transport, saved.edition) == ("government", "TCP", "2022")
    assert (saved.addresses[0].port, office.sharing.platforms.password(NEW)) == (5060, "secret")
    result = await run(*add, "zone=government")
    assert (result.exit_code, "platforms edit" in result.stderr) == (1, True)


async def test_settings_are_changed_one_by_one(office: HttpBench, run: Run) -> None:
    result = await run(
        *("platforms", "edit", UPPER_ID, "--name", "市平台", "--set", "rtcp=true"),
        *("--set", "expires=7200", "--set", f"trusted_gateways={NEW}", "--set", f"local_id={NEW}"),
        *("--address", "[2001:db8::1]:5061", "--address", "up.example:5060"),
    )
    assert result.exit_code == 0, result.output
    saved = office.sharing.platforms.get(UPPER_ID)
    assert (saved.name, saved.rtcp, saved.expires, saved.local_id) == ("市平台", True, 7200, NEW)
    assert (saved.trusted_gateways, saved.addresses[0].host) == ((NEW,), "2001:db8::1")
    await run("platforms", "disable", UPPER_ID)
    assert not office.sharing.platforms.get(UPPER_ID).enabled
    await run("platforms", "enable", UPPER_ID)
    assert office.sharing.platforms.get(UPPER_ID).enabled
    assert office.sharing.platforms.password(UPPER_ID) == "upper-password"


async def test_settings_may_come_from_a_file_and_a_password_from_the_prompt(
    office: HttpBench, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "platform.json"
    path.write_text(json.dumps({"name": "From file", "zone": "z1"}))
    result = await run(
        *("platforms", "edit", UPPER_ID, "--file", str(path), "--password", "-"),
        stdin="typed secret\n",
    )
    assert result.exit_code == 0, result.output
    assert "typed secret" not in result.stdout
    assert office.sharing.platforms.password(UPPER_ID) == "typed secret"
    assert office.sharing.platforms.get(UPPER_ID).zone == "z1"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("platforms", "show", NEW), 1),
        (("platforms", "remove", NEW), 1),
        (("platforms", "add", NEW, "--address", "nonsense"), 2),
        (("platforms", "edit", UPPER_ID, "--set", "nonsense"), 2),
        (("platforms", "edit", UPPER_ID, "--set", "no_such=1"), 1),
        (("platforms", "edit", UPPER_ID, "--set", "expires=never"), 1),
        (("platforms", "edit", UPPER_ID, "--file", "/no/such/file"), 2),
        (("platforms", "nonsense"), 2),
        (("share", "tree", UPPER_ID, "--file", "/no/such/file"), 2),
        (("share", "key-add", "--department", "nobody", "--scope", "live"), 1),
        (("share", "key-add", "--department", "nobody", "--scope", "everything"), 1),
        (("share", "key-add", "--expires", "whenever"), 2),
        (("share", "end", "nothing"), 1),
        (("policy", "apply", "/no/such/file"), 2),
        (("policy", "validate", "/no/such/file"), 2),
        (("policy", "would-see", "--for", "everybody"), 2),
        (("policy", "explain", "nothing", "--for", "department:urban"), 1),
        (("policy", "activate", "7"), 1),
        (("grants", "approve", "nothing"), 1),
        (("grants", "stop", "--reason", "x"), 2),
        (("grants", "stop", "--reason", "x", "-o", "channels"), 2),
        (("grants", "lift", "nothing"), 1),
        (("audit", "search", "--since", "yesterday"), 2),
        (("audit", "verify", "/no/such/directory"), 2),
        (("audit", "verify", "--expect", "5"), 2),
        (("audit", "verify", "--key", "/no/such/file"), 2),
        (("audit", "export", "/no/such/directory/x.zip"), 1),
        (("ptz", "left", OTHER_DEVICE, "nothing"), 1),
        (("ptz", "move", DEVICE, CHANNEL), 2),
    ],
)
async def test_mistakes_end_with_a_sentence_and_their_code(
    run: Run, words: tuple[str, ...], code: int
) -> None:
    result = await run(*words)
    assert result.exit_code == code, result.output
    assert result.stderr.strip()
    assert "Traceback" not in result.output


async def test_a_test_says_each_step(office: HttpBench, run: Run) -> None:
    result = await run("platforms", "test", UPPER_ID)
    assert result.exit_code == 1
    assert "wrong_password" in result.stdout
    office.sharing.links.report = WORKS
    result = await run("platforms", "test", UPPER_ID)
    assert (result.exit_code, "3600" in result.stdout) == (0, True)
    await run("platforms", "reconnect", UPPER_ID)
    assert office.sharing.links.reconnected == [UPPER_ID]


async def test_what_a_platform_gets_is_shown(office: HttpBench, run: Run) -> None:
    catalogs = office.sharing.catalogs
    catalogs.items = [
        CatalogItem(device_id=UPPER_ID, name="Us"),
        CatalogItem(device_id=CHANNEL, name="Camera", parent_id=UPPER_ID, status="ON"),
    ]
    catalogs.given = [
        SharedId(platform_id=UPPER_ID, shared_id=NEW, device_id=DEVICE, channel_id=CHANNEL)
    ]
    result = await run("platforms", "preview", UPPER_ID, "--limit", "1", "--offset", "1")
    assert "Camera" in result.stdout
    assert "1 of 2 shown" in result.stdout
    result = await run("share", "codes", UPPER_ID)
    assert (NEW in result.stdout, f"{DEVICE}/{CHANNEL}" in result.stdout) == (True, True)


async def test_a_tree_is_set_from_a_file(office: HttpBench, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "tree.json"
    node = {"node_id": "371326", "name": "Pingyi", "select": {"civil_codes": ["371326"]}}
    path.write_text(json.dumps({"tree": "custom", "nodes": [node]}))
    result = await run("share", "tree", UPPER_ID, "--file", str(path))
    assert result.exit_code == 0, result.output
    assert "civil_codes=371326" in result.stdout
    assert office.sharing.platforms.get(UPPER_ID).nodes[0].name == "Pingyi"


async def test_a_removed_platform_is_gone(office: HttpBench, run: Run) -> None:
    await run("platforms", "remove", UPPER_ID)
    assert office.sharing.platforms.list() == []


# Departments


async def test_a_department_gets_a_key_that_works_and_can_be_taken_back(
    office: HttpBench, run: Run
) -> None:
    await run("share", "department", "urban", "--name", "城管局", "--zone", "government")
    result = await run(
        *("share", "key-add", "--department", "urban", "--scope", "live", "--scope", "catalog"),
        *("--streams", "2", "--expires", "+90d", "--json"),
    )
    issued = json.loads(result.stdout)
    status, me, _ = await office.call("GET", "/api/v1/me", token=issued["bearer"])
    assert (status, me["department"], me["zone"], me["max_streams"]) == (
        200,
        "urban",
        "government",
        2,
    )
    key = issued["key"]["key_id"]
    result = await run("share", "keys")
    assert (key in result.stdout, issued["secret"] in result.stdout) == (True, False)
    result = await run("share", "key-rotate", key)
    assert "only this once" in result.stdout
    assert (await office.call("GET", "/api/v1/me", token=issued["bearer"]))[0] == 401
    await run("share", "key-edit", key, "--disable", "--rate", "10")
    assert office.sharing.keys.get(key).settings.disabled
    assert "disabled" in (await run("share", "keys", "--department", "urban")).stdout
    assert (await run("share", "department-remove", "urban")).exit_code == 1
    await run("share", "key-remove", key)
    assert (await run("share", "department-remove", "urban")).exit_code == 0


async def test_a_webhook_is_added_tested_and_removed(office: HttpBench, run: Run) -> None:
    await run("share", "department", "urban", "--name", "城管局")
    url = "https://receiver.example/hook"
    result = await run("share", "webhook-add", url, "--department", "urban", "--event", "off")
    assert "only this once" in result.stdout
    (hook,) = office.sharing.webhooks.all()
    assert (await run("share", "webhook-test", hook.hook_id)).exit_code == 0
    assert office.sharing.deliveries.pinged == [hook.hook_id]
    assert url in (await run("share", "webhooks")).stdout
    await run("share", "webhook-edit", hook.hook_id, "--disable")
    assert not office.sharing.webhooks.get(hook.hook_id).enabled
    await run("share", "webhook-remove", hook.hook_id)
    assert office.sharing.webhooks.all() == []


# Policy


async def test_a_policy_is_applied_shown_compared_and_put_back(
    office: HttpBench, run: Run, policy_file: Path
) -> None:
    result = await run("policy", "apply", str(policy_file), "-m", "first")
    assert (result.exit_code, "Version 1" in result.stdout) == (0, True)
    both = POLICY + rule("water", subjects='{ departments = ["water"] }')
    policy_file.write_text(both)  # noqa: ASYNC240 - a few bytes
    result = await run("policy", "changes", str(policy_file), "--for", "department:water")
    assert ("allowed" in result.stdout, CHANNEL in result.stdout) == (True, True)
    assert (await run("policy", "apply", str(policy_file))).exit_code == 0
    result = await run("policy", "diff")
    assert "+ water" in result.stdout
    result = await run("policy", "versions")
    assert "first" in result.stdout
    result = await run("policy", "show", "--text")
    assert result.stdout == both
    await run("policy", "activate", "1")
    assert office.sharing.policies.current.version == 1


async def test_a_policy_with_mistakes_is_refused_line_by_line(
    office: HttpBench, run: Run, policy_file: Path
) -> None:
    wrong = POLICY.replace("allow", "maybe").replace("catalog", "see")
    policy_file.write_text(wrong)  # noqa: ASYNC240 - a few bytes
    for words in (("policy", "apply"), ("policy", "validate"), ("policy", "check")):
        result = await run(*words, str(policy_file))
        assert result.exit_code == 1
        assert "line 4" in result.stderr
        assert "'maybe'" in result.stderr
    assert office.sharing.policies.current.version == 0


def test_validating_needs_no_gateway(plain: None, policy_file: Path) -> None:
    result = CliRunner().invoke(app, ["--lang", "en", "policy", "validate", str(policy_file)])
    assert (result.exit_code, "1 rules" in result.stdout) == (0, True)


async def test_what_somebody_would_see_and_why_not(
    run: Run, office: HttpBench, policy_file: Path
) -> None:
    await run("policy", "apply", str(policy_file))
    result = await run("policy", "would-see", "--for", "department:urban")
    assert "see 4 channels and not see 0" in result.stdout
    result = await run("policy", "would-see", "--for", "department:water", "--denied")
    assert "see 0 channels and not see 4" in result.stdout
    assert "no_rule" in result.stdout
    result = await run("policy", "explain", DEVICE, CHANNEL, "--for", "department:water")
    assert "subjects.departments" in result.stdout
    assert '["urban"] / water' in result.stdout


# Grants and stops


async def test_a_grant_is_applied_for_approved_for_less_and_revoked(
    office: HttpBench, run: Run
) -> None:
    result = await run(
        *("grants", "apply", "--for", "department:urban", "-a", "live", "-a", "ptz"),
        *("--purpose", "case 7", "--ticket", "T-7", "--until", "+7d"),
        *("-o", f"channels={CHANNEL}", "-o", "kinds=camera,alarm", "--json"),
    )
    grant = json.loads(result.stdout)
    assert grant["objects"] == {"channels": [CHANNEL], "kinds": ["alarm", "camera"]}
    assert "applied" in (await run("grants", "list", "--state", "applied")).stdout
    result = await run("grants", "approve", grant["grant_id"], "-a", "live", "--sub-stream")
    assert "sub_stream" in result.stdout
    (kept,) = office.sharing.grants.list()
    assert (kept.state, sorted(kept.application.actions)) == ("active", ["live"])
    result = await run("grants", "revoke", grant["grant_id"], "-m", "over")
    assert "revoked" in result.stdout
    assert "over" in (await run("grants", "show", grant["grant_id"])).stdout


async def test_an_application_is_refused_or_withdrawn(office: HttpBench, run: Run) -> None:
    apply = ("grants", "apply", "--for", f"platform:{UPPER_ID}", "-a", "live", "--purpose", "x")
    for word in ("refuse", "withdraw"):
        grant = json.loads((await run(*apply, "--until", "+1d", "--json")).stdout)
        assert (await run("grants", word, grant["grant_id"])).exit_code == 0
    assert sorted(item.state for item in office.sharing.grants.list()) == ["refused", "withdrawn"]


async def test_an_emergency_grant_is_listed_until_it_was_reviewed(
    office: HttpBench, run: Run
) -> None:
    result = await run(
        *("grants", "emergency", "--for", "department:urban", "-a", "live", "--minutes", "30"),
        *("--purpose", "flood", "--json"),
    )
    grant = json.loads(result.stdout)
    assert grant["emergency"]
    assert grant["grant_id"] in (await run("grants", "list", "--unreviewed")).stdout
    await run("grants", "review", grant["grant_id"], "-m", "fine")
    assert "No grants" in (await run("grants", "list", "--unreviewed")).stdout


async def test_a_forced_stop_is_ordered_listed_and_lifted(office: HttpBench, run: Run) -> None:
    result = await run("grants", "stop", "--reason", "alarm", "--for", "department:urban")
    assert "is in force, 0 accesses ended" in result.stdout
    (order,) = office.sharing.stops.list()
    assert "departments=urban" in (await run("grants", "stops")).stdout
    assert (await run("grants", "lift", order.stop_id, "-m", "over")).exit_code == 0
    assert "No forced stop" in (await run("grants", "stops")).stdout
    assert "lifted" in (await run("grants", "stops", "--all")).stdout
    assert (await run("grants", "stop", "--reason", "all", "--everything")).exit_code == 0


# PTZ


@pytest.mark.parametrize(
    ("words", "frame", "hold"),
    [
        (("left", "--speed", "80", "-s", "2"), "A50F0102500000", 2.0),
        (("right",), "A50F0101640000", 1.0),
        (("up",), "A50F0108006400", 1.0),
        (("down",), "A50F0104006400", 1.0),
        (("zoom-in",), "A50F01100000F0", 1.0),
        (("zoom-out", "--speed", "3"), "A50F0120000030", 1.0),
        (("move", "--pan", "-10", "--tilt", "5"), "A50F010A0A0500", 1.0),
        (("stop",), "A50F0100000000", 10.0),
        (("preset", "-n", "3"), "A50F0182000300", 10.0),
        (("preset", "-n", "3", "--set"), "A50F0181000300", 10.0),
        (("cruise", "-n", "2", "--add", "9"), "A50F0184020900", 10.0),
        (("scan", "-n", "1", "--edge", "left"), "A50F0189010100", 10.0),
        (("switch", "--off"), "A50F018D010000", 10.0),
        (("focus-near",), "A50F0142640000", 1.0),
    ],
)
async def test_a_camera_moves_as_told_and_stops_by_itself(
    office: HttpBench, run: Run, words: tuple[str, ...], frame: str, hold: float
) -> None:
    name, *options = words
    result = await run("ptz", name, DEVICE, CHANNEL, *options)
    assert result.exit_code == 0, result.output
    (move,) = office.sharing.controls.moves
    assert move[:3] == ("role:admin", DEVICE, CHANNEL)
    assert (move[3][:14], move[4]) == (frame, hold)
    assert move[3] in result.stdout


async def test_controls_go_to_the_device_and_its_answer_is_shown(
    office: HttpBench, run: Run
) -> None:
    for words in (("iframe",), ("reboot",), ("record", "--off"), ("guard",), ("home", "-n", "1")):
        result = await run("ptz", words[0], DEVICE, CHANNEL, *words[1:])
        assert result.exit_code == 0, result.output
    sent = [item[3] for item in office.sharing.controls.controls]
    assert [item.sub_command.value for item in sent] == [
        "IFrameCmd",
        "TeleBoot",
        "RecordCmd",
        "GuardCmd",
        "HomePosition",
    ]
    assert sent[2].record_cmd == "StopRecord"
    office.sharing.controls.refuse = Unavailable("device_silent", "No answer within 5 s")
    result = await run("ptz", "guard", DEVICE, CHANNEL)
    assert (result.exit_code, "No answer within 5 s" in result.stderr) == (1, True)


async def test_a_device_with_several_channels_wants_one_named(office: HttpBench, run: Run) -> None:
    result = await run("ptz", "left", DEVICE)
    assert (result.exit_code, CHANNEL in result.stderr) == (2, True)
    assert (await run("ptz", "left", OTHER_DEVICE)).exit_code == 0


async def test_a_key_sees_the_reason_of_a_refusal(office: HttpBench, run: Run) -> None:
    key = await office.sharing.key("urban", Scope.PTZ, Scope.CATALOG)
    await office.sharing.apply(
        rule("see", subjects='{ departments = ["urban"] }', actions='["catalog"]')
    )
    result = await run("--token", key.bearer, "ptz", "left", DEVICE, CHANNEL)
    assert result.exit_code == 1
    assert "Nothing shared with you allows this [no_rule]" in result.stderr
