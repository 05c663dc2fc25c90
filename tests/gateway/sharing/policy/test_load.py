"""Policy files: what is accepted, and how the rest is refused."""

import copy
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.policy import Action, Obligations
from gateway.domain.selector import ChannelSelector
from gateway.sharing.policy.clause import (
    clause_fields,
    parse_selector,
    parse_subjects,
    selector_fields,
)
from gateway.sharing.policy.error import MAX_PROBLEMS, PolicyError
from gateway.sharing.policy.load import MAX_POLICY_BYTES, load_policy
from gateway.sharing.policy.model import Effect
from gateway.sharing.policy.window import CHINA
from tests.support.policy import policy, problems, rule


def test_a_rule_is_read_whole() -> None:
    [read] = policy(
        rule(
            "urban",
            subjects='[{ departments = ["urban"], keys = ["k*"] }, { roles = ["viewer"] }]',
            objects='{ civil_codes = ["3713"], point_types = ["1", "2"] }',
            actions='["live", "ptz"]',
            context='{ valid_from = 2026-01-01, valid_to = 2026-12-31, windows = ["Mon 08:00-09:00"], '
            'zones = ["government"], purpose_required = true, max_streams = 4 }',
            obligations='{ sub_stream = true, mask_name = "街面", notify_owner = true }',
        )
    ).rules
    assert read.rule_id == "urban"
    assert read.effect is Effect.ALLOW
    assert [clause_fields(clause) for clause in read.subjects] == [
        {"departments": ["urban"], "keys": ["k*"]},
        {"roles": ["viewer"]},
    ]
    assert read.objects == ChannelSelector(civil_codes=("3713",), point_types=frozenset({"1", "2"}))
    assert read.actions == {Action.LIVE, Action.PTZ}
    assert read.conditions.valid_from == datetime(2026, 1, 1, tzinfo=CHINA)
    assert read.conditions.valid_to == datetime(2027, 1, 1, tzinfo=CHINA)
    assert read.conditions.zones == {"government"}
    assert read.conditions.purpose_required
    assert not read.conditions.ticket_required
    assert read.obligations == Obligations(
        sub_stream=True, mask_name="街面", notify_owner=True, max_streams=4
    )
    assert read.line == 2


def test_a_deny_rule_may_mean_every_action_and_every_channel() -> None:
    [read] = policy(rule(effect="deny", subjects="{ any = true }", actions='["*"]')).rules
    assert read.actions == set(Action)
    assert read.objects == ChannelSelector()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rule_id": "a b"}, 'line 3: rule "a b" id: expected an id of letters'),
        ({"effect": "permit"}, "line 4: rule \"r1\" effect: expected allow or deny, got 'permit'"),
        ({"subjects": "{}"}, "subjects: expected at least one of platforms"),
        ({"subjects": "[]"}, "subjects: the list is empty"),
        ({"subjects": '"all"'}, "subjects: expected a table or a list of tables, got 'all'"),
        ({"subjects": "{ any = false }"}, "subjects: expected at least one of platforms"),
        ({"subjects": "{ any = 1 }"}, "subjects.any: expected true or false, got 1"),
        (
            {"subjects": '{ platforms = ["3713000000200000001"] }'},
            "code or digits with '*', got '3713000000200000001' (19 characters)",
        ),
        ({"subjects": "{ platforms = [] }"}, "the list is empty and would match nothing"),
        ({"subjects": '{ platforms = "37*" }'}, "expected a list of texts in quotes, got '37*'"),
        (
            {"subjects": '{ platforms = ["37*"], departments = ["urban"] }'},
            "platforms and departments never come together",
        ),
        ({"subjects": '{ keys = ["k"], roles = ["admin"] }'}, "our own people have no keys"),
        ({"subjects": '{ roles = ["boss"] }'}, "expected one of admin, operator, viewer"),
        ({"subjects": '{ any = true, keys = ["k"] }'}, "expected nothing beside any = true"),
        ({"subjects": '{ plattforms = ["37*"] }'}, "got 'plattforms'; did you mean platforms?"),
        ({"subjects": '{ user_types = ["343-300"] }'}, "expected a type code or a rising range"),
        (
            {"subjects": '{ gateways = ["37130000001320000001"] }'},
            "expected a gateway's code (type 211 or 200 in digits 11-13)",
        ),
        ({"objects": "{}"}, 'rule "r1" objects: expected at least one key'),
        ({"objects": "{ channels = [] }"}, "objects.channels: the list is empty"),
        (
            {"objects": '{ channels = ["37130000001320000001", "371300000013200000011"] }'},
            "objects.channels[1]: expected a 20-digit code, got '371300000013200000011' (21 char",
        ),
        ({"objects": '{ channels = ["a/b/c"] }'}, "objects.channels[0]: expected a code"),
        ({"objects": '{ civil_codes = ["371"] }'}, "expected 2, 4, 6 or 8 digits"),
        ({"objects": '{ civil_codes = ["٣٧"] }'}, "expected 2, 4, 6 or 8 digits"),
        ({"objects": '{ groups = ["37130000001320000001"] }'}, "type 215 or 216"),
        ({"objects": "{ point_types = [1] }"}, "point_types[0]: expected text in quotes, got 1"),
        ({"objects": '{ point_types = ["4"] }'}, "expected one of 1, 2, 3, 9, got '4'"),
        ({"objects": '{ networks = ["55"] }'}, "expected one digit, the 14th of a code"),
        (
            {"objects": '{ tags = ["x"] }'},
            "objects.tags[0]: expected a tag of this policy, got 'x'",
        ),
        ({"objects": '{ kinds = ["cam"] }'}, "objects.kinds[0]: expected one of camera"),
        ({"actions": "[]"}, "actions: the list is empty"),
        ({"actions": '["*"]'}, "expected the actions one by one"),
        ({"actions": '["watch"]'}, "actions[0]: expected one of catalog, live"),
        ({"context": '{ valid_to = "2026-12-31" }'}, "valid_to: expected a date or date-time of"),
        ({"context": "{ valid_to = 0001-01-01 }"}, "valid_to: expected a date or date-time of"),
        ({"context": "{ valid_from = 0001-01-01T00:00:00 }"}, "valid_from: expected a date or"),
        ({"context": "{ valid_to = 9999-12-31 }"}, "valid_to: expected a date or date-time of"),
        (
            {"context": "{ valid_from = 2026-02-02, valid_to = 2026-02-01 }"},
            "context.valid_to: expected a time after valid_from (2026-02-02T00:00:00+08:00)",
        ),
        (
            {
                "context": '{ valid_from = 2026-11-21, valid_to = 2026-11-22, windows = ["Mon-Fri 08:00-18:00"] }'
            },
            "context.windows: expected one that opens between",
        ),
        (
            {"context": '{ windows = ["Mon 9-10"] }'},
            "context.windows[0]: expected a window such as",
        ),
        (
            {"context": "{ max_streams = 0 }"},
            "max_streams: expected a whole number from 1 to 10000",
        ),
        (
            {"context": "{ max_streams = true }"},
            "expected a whole number from 1 to 10000, got true",
        ),
        ({"context": "{ max_streams = 2.0 }"}, "expected a whole number from 1 to 10000, got 2.0"),
        ({"context": "{ zones = [] }"}, "context.zones: the list is empty"),
        ({"obligations": "{ }"}, "obligations: expected at least one obligation"),
        ({"obligations": '{ mask_name = " " }'}, "mask_name: expected a text, got ' '"),
        ({"obligations": '{ mask_name = "a\\nb" }'}, "mask_name: expected one line of text"),
        ({"obligations": "{ watermark = true }"}, "expected a known key, got 'watermark'"),
        (
            {"effect": "deny", "context": "{ purpose_required = true }"},
            "context.purpose_required: a deny rule cannot demand anything",
        ),
        (
            {"effect": "deny", "obligations": "{ sub_stream = true }"},
            "obligations: a deny rule cannot oblige anybody",
        ),
    ],
)
def test_a_rule_with_a_mistake_is_refused_with_its_place_what_was_expected_and_what_came(
    changed: dict[str, str], said: str
) -> None:
    rule_id = changed.pop("rule_id", "r1")
    [sentence] = problems(rule(rule_id, **changed))
    assert said in sentence
    assert sentence.startswith("policy, line ")
    assert "\n" not in sentence


def test_a_mistake_is_named_with_its_own_line_inside_a_table_over_several_lines() -> None:
    text = rule(objects='{ channels = ["37130000001320000001",\n\n"x*"] }')
    [sentence] = problems(text)
    assert sentence.startswith('policy, line 8: rule "r1" objects.channels[1]:')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "policy: version: expected a whole number from 1 to 1, the key is missing"),
        ("version = 2", "policy, line 1: version: expected a whole number from 1 to 1, got 2"),
        ("version = 1\nrules = []", "line 2: rules: expected a known key, got 'rules'"),
        ("version = 1\n[rule]\nid = 'x'", 'line 2: rule "x" effect: expected text in quotes, the'),
        ("version = 1\nrule = 3", "line 2: rule: expected a table or a list of tables, got 3"),
        ("version = 1\n[[tag]]\nname = 'a'", 'line 2: tag "a" objects: expected a table'),
        ("version = 1\n[[tag]]\nobjects = {}", "line 2: tag[0].name: expected text in quotes"),
        ("version = 1\n[boundary.networks]\n10 = []", "line 3: boundary.networks.10: expected one"),
        ("version = 1\n[boundary]\nunknown = [5]", "line 3: boundary.unknown[0]: expected text"),
        ("version = 1\n[identity]\nmax_hops = 17", "line 3: identity.max_hops: expected a whole"),
        ("version = 1\n[identity]\nuser_types = ['3']", "identity.user_types[0]: expected a type"),
        ("version 1", "policy, line 1, column 9: not valid TOML: Expected '='"),
        ("version = 1\n[[rule]\n", "policy, line 2, column 7: not valid TOML"),
        ("version = 1\nversion = 1", "line 2, column 12: not valid TOML: Cannot overwrite a value"),
        ("version = 1\nx = [", "line 2, column 6: not valid TOML"),
        ("version = " + "9" * 5000, "not valid TOML: Exceeds the limit"),
        ("x = " + "[" * 5000, "nested too deep"),
        (
            "version = 1\n " + "a." * 500_000 + "a = 1",
            "line 2, column 2: expected keys of less than",
        ),
        ("version = 1\n[" + "'a' . " * 16 + "a]", "line 2, column 2: expected keys of less than"),
        ('version = 1\n"\\""' + '."\\""' * 50 + " = 1", "line 2, column 1: expected keys of less"),
        ("'" * 1_000_000, "not valid TOML"),
        ("x = '\ud800'", "lone surrogate"),
        (b"version = 1\n# \xff\xfe", "policy, line 2, column 3: expected UTF-8 text, byte 14"),
        ("#" * (MAX_POLICY_BYTES + 1), f"at most {MAX_POLICY_BYTES} bytes, got 1048577"),
    ],
)
def test_a_file_with_a_mistake_outside_its_rules_is_refused_with_the_place(
    text: str | bytes, said: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy(text)
    assert said in caught.value.sentences[0]
    assert len(caught.value.sentences[0]) < 400


def test_the_error_carries_line_column_key_and_reason_apart() -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy("version = 1\n" + rule(effect="maybe"), source="my.toml")
    error = caught.value
    assert (error.line, error.column) == (4, 1)
    assert error.key == 'rule "r1" effect'
    assert error.reason == "expected allow or deny, got 'maybe'"
    assert error.code == "policy_invalid"
    assert error.status == 422
    assert error.detail.startswith('my.toml, line 4: rule "r1" effect: ')


def test_two_rules_of_one_id_are_refused_with_both_lines() -> None:
    [sentence] = problems(rule("a"), rule("b"), rule("a"))
    assert 'line 15: rule "a" id: expected an id of its own' in sentence
    assert "first in line 2" in sentence


def test_two_tags_of_one_name_and_tags_of_tags_are_refused() -> None:
    tag = "[[tag]]\nname = 'a'\nobjects = { networks = ['5'] }\n"
    assert "expected a name of its own" in problems(tag, tag)[0]
    assert (
        "a tag cannot be made from tags"
        in problems(tag.replace("networks = ['5']", "tags = ['b']"))[0]
    )


def test_all_mistakes_are_told_in_the_order_of_lines_up_to_a_limit() -> None:
    sentences = problems(*(rule(f"r{n}", effect="x", actions="[]") for n in range(30)))
    assert len(sentences) == MAX_PROBLEMS
    lines = [int(s.split("line ")[1].split(":")[0]) for s in sentences]
    assert lines == sorted(lines)


def test_windows_line_ends_and_a_byte_order_mark_are_no_mistakes() -> None:
    text = ("\ufeffversion = 1\n" + rule(effect="x")).replace("\n", "\r\n")
    with pytest.raises(PolicyError) as caught:
        load_policy(text.encode())
    assert caught.value.line == 4


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"objects": '{ civil_codes = ["371300"] }'},
            "371300 is not the beginning of codes below 3713",
        ),
        ({"actions": '["ptz"]', "context": "{ max_streams = 1 }"}, "the rule allows none"),
        ({"actions": '["ptz"]', "obligations": "{ sub_stream = true }"}, "allows no stream"),
    ],
)
def test_what_is_valid_but_probably_not_meant_is_remarked(
    changed: dict[str, str], said: str
) -> None:
    [remark] = policy(rule(**changed)).remarks
    assert said in remark.reason
    assert remark.line > 1


def test_selectors_and_subjects_survive_their_way_through_json() -> None:
    objects = {"channels": ["D1/37130000001320000001"], "civil_codes": ["37"], "tags": ["any"]}
    assert selector_fields(parse_selector(objects)) == objects
    assert parse_selector(None) == ChannelSelector()
    said = [{"outside": True}, {"platforms": ["37*"], "user_types": ["300", "400-443"]}]
    clauses = parse_subjects(said)
    assert [clause_fields(clause) for clause in clauses] == said
    assert parse_subjects(clause_fields(clauses[1])) == (clauses[1],)


@pytest.mark.parametrize("given_subjects", [None, {}, [], "x", [1], {"platforms": "x"}, {"x": 1}])
def test_subjects_of_a_request_that_cannot_be_used_are_refused(given_subjects: object) -> None:
    with pytest.raises(PolicyError):
        parse_subjects(given_subjects)


def _refusal(parse: Callable[[Any], object], given: object) -> PolicyError | None:
    try:
        parse(given)
    except PolicyError as exc:
        return exc
    return None


_JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["platforms", "any", "channels", "tags", "x", ""]), inner)
    ),
    max_leaves=8,
)


@given(_JUNK)
def test_any_json_is_either_read_or_refused(junk: object) -> None:
    for parse in (parse_subjects, parse_selector):
        refused = _refusal(parse, junk)
        assert refused is None or refused.reason


@given(st.text("[]{}=\"'.,#\n 1abx-\\ud8", max_size=40), st.integers(0, 300))
def test_any_text_spoiled_anywhere_is_either_read_or_refused_with_a_line(
    junk: str, at: int
) -> None:
    text = "version = 1\n" + rule(context="{ zones = ['a'] }")
    spoiled = text[: at % len(text)] + junk + text[at % len(text) :]
    refused = _refusal(load_policy, spoiled)
    problems = refused.problems if refused is not None else ()
    assert all(problem.line >= 1 or "version" in problem.key for problem in problems)
    assert all(problem.line <= spoiled.count("\n") + 1 for problem in problems)


def test_a_mistake_in_any_one_value_of_a_file_is_refused_with_a_line_near_it() -> None:
    lines = (
        "version = 1\n" + rule(context="{ max_streams = 3 }", objects='{ devices = ["a"] }')
    ).splitlines()
    chance = random.Random(5)
    for index, line in enumerate(lines):
        if "=" not in line:
            continue
        spoiled = copy.copy(lines)
        spoiled[index] = line.partition("=")[0] + "= " + chance.choice(["07:00:00", "[[]]", "nan"])
        with pytest.raises(PolicyError) as caught:
            load_policy("\n".join(spoiled))
        assert caught.value.line == index + 1
