"""The decision, case by case."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.domain.device import ChannelKind
from gateway.domain.policy import Action, Decision, Obligations, Role, Subject
from gateway.sharing.policy.engine import BUILTIN_ACTIONS, CompiledPolicy, Engine
from gateway.sharing.policy.index import MAX_SUBJECTS_REMEMBERED, RuleIndex
from gateway.sharing.policy.model import OUTSIDE, Policy
from gateway.sharing.policy.window import CHINA
from tests.support.policy import ADMIN, CITY, MONDAY, URBAN, context, engine, facts, policy, rule

NIGHT = MONDAY.replace(hour=22)
STOP = replace(policy(rule("x", effect="deny", actions='["*"]')).rules[0], rule_id="stop:s1")
GRANT = replace(policy(rule("x", actions='["live"]')).rules[0], rule_id="grant:g1")


def _decide(
    asked: Engine,
    subject: Subject = CITY,
    action: Action = Action.LIVE,
    about: object = None,
    circumstances: object = None,
) -> Decision:
    profile = asked.profile(about or facts())  # type: ignore[arg-type]
    return asked.decide(subject, action, profile, circumstances or context())  # type: ignore[arg-type]


def test_nothing_matched_is_denied() -> None:
    decision = _decide(engine(rule(actions='["ptz"]')))
    assert not decision.allowed
    assert (decision.rule, decision.reason) == ("", "no_rule")


def test_an_allow_rule_allows_and_is_named() -> None:
    decision = _decide(engine(rule("city")))
    assert decision.allowed
    assert (decision.rule, decision.reason, decision.until) == ("city", "allowed", None)


def test_a_deny_rule_overrides_any_number_of_allow_rules_and_says_why() -> None:
    asked = engine(
        rule("a"), rule("z", effect="deny").replace("effect", 'description = "closed"\neffect')
    )
    decision = _decide(asked)
    assert not decision.allowed
    assert (decision.rule, decision.reason) == ("z", "denied")
    assert decision.detail == "Rule z denies it: closed"


def test_the_first_of_several_deciding_rules_by_name_is_named_whatever_their_order() -> None:
    for order in (["b", "a", "c"], ["c", "b", "a"]):
        assert _decide(engine(*(rule(name) for name in order))).rule == "a"
        assert _decide(engine(*(rule(name, effect="deny") for name in order))).rule == "a"


@pytest.mark.parametrize(
    "subject",
    [CITY, URBAN, Subject(), Subject(role="admin", key="k"), Subject(role="admin", platform="x")],
)
def test_secrecy_keeps_a_channel_inside_whatever_rules_grants_and_zones_say(
    subject: Subject,
) -> None:
    everybody = rule(subjects="{ any = true }")
    asked = Engine(
        CompiledPolicy(policy(everybody)), RuleIndex([replace(GRANT, subjects=(OUTSIDE,))])
    )
    for action in Action:
        decision = _decide(asked, subject, action, facts(secrecy=1))
        assert (decision.allowed, decision.reason) == (False, "secrecy")


def test_our_own_people_may_see_classified_channels() -> None:
    assert _decide(engine(), ADMIN, about=facts(secrecy=1)).allowed


def test_odd_values_of_secrecy_count_as_classified() -> None:
    assert _decide(engine(rule()), about=facts(secrecy=2)).reason == "secrecy"


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("action", list(Action))
def test_our_own_people_may_do_what_their_role_says(role: Role, action: Action) -> None:
    decision = _decide(Engine.of(Policy()), Subject(role=role.value, user="u"), action)
    assert decision.allowed == (action in BUILTIN_ACTIONS[role])
    assert decision.rule == (f"builtin:local-{role}" if decision.allowed else "")


def test_a_rule_may_deny_our_own_people_and_give_them_more() -> None:
    asked = engine(
        rule("no", effect="deny", subjects="{ any = true }", actions='["talk"]'),
        rule("more", subjects='{ roles = ["viewer"] }', actions='["ptz"]'),
    )
    assert _decide(asked, ADMIN, Action.TALK).rule == "no"
    assert _decide(asked, Subject(role="viewer"), Action.PTZ).rule == "more"
    assert _decide(asked, Subject(role="operator"), Action.PTZ).rule == "builtin:local-operator"


def test_an_unknown_role_may_do_nothing() -> None:
    assert _decide(engine(), Subject(role="root")).reason == "no_rule"


def test_a_stop_order_goes_before_every_rule() -> None:
    asked = Engine(CompiledPolicy(policy(rule())), stops=RuleIndex([STOP]))
    for action in (Action.LIVE, Action.CATALOG):
        decision = _decide(asked, action=action)
        assert (decision.reason, decision.rule) == ("stopped", "stop:s1")
    assert _decide(asked, ADMIN).allowed


def test_a_grant_allows_and_a_deny_rule_overrides_it() -> None:
    grants = RuleIndex([GRANT])
    assert _decide(Engine(CompiledPolicy(Policy()), grants)).rule == "grant:g1"
    denied = CompiledPolicy(policy(rule("no", effect="deny")))
    assert _decide(Engine(denied, grants)).rule == "no"


@pytest.mark.parametrize(
    ("network", "zone", "allowed"),
    [
        ("6", "gov", True),
        ("6", "internet", False),
        ("6", "", False),
        ("5", "gov", False),
        ("0", "anything", True),
        ("", "gov", True),
        ("", "internet", False),
    ],
)
def test_the_boundary_lets_networks_into_named_zones_only(
    network: str, zone: str, allowed: bool
) -> None:
    asked = engine(
        '[boundary]\nunknown = ["gov"]\n[boundary.networks]\n5 = []\n6 = ["gov"]', rule()
    )
    decision = _decide(asked, about=facts(network=network), circumstances=context(zone=zone))
    assert decision.allowed == allowed
    assert allowed or (decision.rule, decision.reason) == ("builtin:boundary", "zone")
    assert _decide(asked, ADMIN, about=facts(network=network)).allowed


@pytest.mark.parametrize(
    ("conditions", "met", "unmet", "reason"),
    [
        ('windows = ["Mon-Fri 08:00-18:00"]', {}, {"at": NIGHT}, "outside_window"),
        ("valid_from = 2026-11-23", {}, {"at": MONDAY - timedelta(days=1)}, "not_yet_valid"),
        ("valid_to = 2026-11-23", {}, {"at": MONDAY + timedelta(days=1)}, "expired"),
        ('zones = ["gov"]', {"zone": "gov"}, {"zone": "x"}, "zone"),
        ("purpose_required = true", {"purpose": "case 7"}, {"purpose": " "}, "purpose_required"),
        ("ticket_required = true", {"ticket": "T1"}, {}, "ticket_required"),
        ("max_streams = 2", {"streams": 1}, {"streams": 2}, "too_many_streams"),
    ],
)
def test_a_condition_that_is_not_met_is_named(
    conditions: str, met: dict[str, object], unmet: dict[str, object], reason: str
) -> None:
    asked = engine(rule("cond", context=f"{{ {conditions} }}"))
    assert _decide(asked, circumstances=context(**met)).rule == "cond"  # type: ignore[arg-type]
    decision = _decide(asked, circumstances=context(**unmet))  # type: ignore[arg-type]
    assert (decision.allowed, decision.rule, decision.reason) == (False, "cond", reason)
    assert "cond" in decision.detail


def test_an_identity_may_be_demanded() -> None:
    asked = engine(rule("cond", context="{ identity_required = true }"))
    assert _decide(asked).reason == "identity_required"
    assert _decide(asked, replace(CITY, identity="u1", gateways=("g",))).allowed


def test_a_catalogue_needs_neither_purpose_ticket_nor_identity_and_counts_no_streams() -> None:
    demanding = "purpose_required = true, ticket_required = true, identity_required = true"
    asked = engine(rule(context=f"{{ {demanding}, max_streams = 1 }}"))
    assert _decide(asked, action=Action.CATALOG, circumstances=context(streams=9)).allowed


def test_of_several_unmet_conditions_the_rule_nearest_to_a_yes_speaks() -> None:
    asked = engine(
        rule("a", context='{ windows = ["Sun 08:00-09:00"] }'),
        rule("b", context="{ ticket_required = true }"),
        rule("c", context="{ purpose_required = true }"),
    )
    assert _decide(asked).rule == "b"


def test_a_rule_whose_conditions_fail_neither_allows_nor_obliges() -> None:
    asked = engine(
        rule("a", context='{ windows = ["Sun 08:00-09:00"] }', obligations="{ sub_stream = true }"),
        rule("b"),
    )
    assert _decide(asked).rule == "b"
    assert _decide(asked).obligations == Obligations()


def test_a_deny_rule_denies_only_while_and_where_its_context_holds() -> None:
    deny = rule(
        "no", effect="deny", context='{ windows = ["daily 20:00-24:00"], zones = ["internet"] }'
    )
    asked = engine(rule("yes"), deny)
    assert _decide(asked, circumstances=context(zone="internet")).allowed
    assert _decide(asked, circumstances=context(NIGHT, zone="gov")).allowed
    assert _decide(asked, circumstances=context(NIGHT, zone="internet")).rule == "no"


def test_obligations_are_the_strictest_of_all_that_allow() -> None:
    asked = engine(
        rule("a", context="{ max_streams = 9 }", obligations='{ mask_name = "A" }'),
        rule(
            "b", context="{ max_streams = 3 }", obligations='{ mask_name = "B", sub_stream = true }'
        ),
        rule("c", obligations="{ mask_position = true, notify_owner = true }"),
    )
    expected = Obligations(
        sub_stream=True, mask_name="A", mask_position=True, notify_owner=True, max_streams=3
    )
    assert _decide(asked).obligations == expected
    full = _decide(asked, circumstances=context(streams=3))
    assert (full.rule, full.reason) == ("b", "too_many_streams")


def test_the_given_number_of_streams_goes_before_the_one_of_the_context() -> None:
    asked = engine(rule(context="{ max_streams = 2 }"))
    profile = asked.profile(facts())
    assert asked.decide(CITY, Action.LIVE, profile, context(streams=5), streams=0).allowed


def test_a_decision_says_when_it_may_change_by_itself() -> None:
    asked = engine(
        rule("a", context='{ windows = ["Mon-Fri 08:00-18:00"], valid_to = 2026-12-31 }'),
        rule("later", effect="deny", context="{ valid_from = 2026-11-23T12:00:00 }"),
        rule("other", subjects='{ keys = ["k"] }', context="{ valid_to = 2026-11-23T11:00:00 }"),
    )
    noon = datetime(2026, 11, 23, 12, tzinfo=CHINA)
    assert _decide(asked).until == noon
    at_noon = _decide(asked, circumstances=context(noon))
    assert (at_noon.rule, at_noon.until) == ("later", noon.replace(hour=18))
    assert asked.next_edge(MONDAY) == noon.replace(hour=11)


def test_a_refusal_says_when_the_window_opens() -> None:
    asked = engine(rule(context='{ windows = ["Mon-Fri 08:00-18:00"] }'))
    decision = _decide(asked, circumstances=context(NIGHT))
    assert decision.until == datetime(2026, 11, 24, 8, tzinfo=CHINA)
    assert "Mon-Fri 08:00-18:00 (Asia/Shanghai)" in decision.detail


@pytest.mark.parametrize(
    ("clause", "subject", "matches"),
    [
        ('platforms = ["3713*"]', CITY, True),
        ('platforms = ["3702*"]', CITY, False),
        ('platforms = ["*"]', URBAN, False),
        ('departments = ["urban"]', URBAN, True),
        ('departments = ["urban"], keys = ["k2"]', URBAN, False),
        ('departments = ["*"]', CITY, False),
        ('keys = ["k?"]', URBAN, True),
        ('users = ["wang"]', Subject(user="wang", role="viewer"), True),
        ('roles = ["viewer"]', Subject(role="viewer"), True),
        ('roles = ["viewer"]', ADMIN, False),
        ("outside = true", ADMIN, False),
        ("outside = true", Subject(), True),
        ("any = true", ADMIN, True),
        (
            'identities = ["3713*-police"]',
            replace(CITY, identity="37130000003000000001-police"),
            True,
        ),
        ('identities = ["3713*-police"]', CITY, False),
        ('user_types = ["300-343"]', replace(CITY, identity="37130000003010000001-x"), True),
        ('user_types = ["300-343"]', replace(CITY, identity="37130000004010000001-x"), False),
        ('user_types = ["300-343"]', replace(CITY, identity="371300000030100000012"), False),
        ('user_types = ["300-343"]', replace(CITY, identity="wang"), False),
        (
            'gateways = ["37130000002110000001"]',
            replace(CITY, identity="u", gateways=("x", "37130000002110000001")),
            True,
        ),
        ('gateways = ["37130000002110000001"]', CITY, False),
    ],
)
def test_subjects_match_by_every_field_given(clause: str, subject: Subject, matches: bool) -> None:
    asked = engine(rule(subjects=f"{{ {clause} }}", actions='["config"]'))
    rules = asked.policy.rules
    assert bool(rules.subject_mask(subject, Action.CONFIG)) == matches
    assert not rules.subject_mask(subject, Action.LIVE)


@pytest.mark.parametrize(
    ("objects", "matches"),
    [
        ('channels = ["37132600001320000001"]', True),
        ('channels = ["37132600001110000001/37132600001320000001"]', True),
        ('channels = ["37132600001110000002/37132600001320000001"]', False),
        ('devices = ["37132600001110000001"]', True),
        ('civil_codes = ["3713"]', True),
        ('civil_codes = ["37132601"]', False),
        ('civil_codes = ["3702", "37"]', True),
        ('grassroots = ["001"]', True),
        ('grassroots = ["002", "001201"]', False),
        ('groups = ["37132600002150000001"]', True),
        ('groups = ["37132600002150000002"]', False),
        ('point_types = ["1", "2"]', True),
        ('industries = ["00"]', True),
        ('networks = ["5"]', False),
        ('kinds = ["camera"]', True),
        ('kinds = ["region"]', False),
        ('tags = ["t"]', True),
        ('tags = ["u"]', False),
        ('tags = ["t"], networks = ["5"]', False),
    ],
)
def test_objects_match_by_every_field_given(objects: str, matches: bool) -> None:
    tags = "".join(
        f'[[tag]]\nname = "{name}"\nobjects = {{ point_types = ["{kind}"] }}\n'
        for name, kind in (("t", "1"), ("u", "2"))
    )
    asked = engine(tags, rule(objects=f"{{ {objects} }}"))
    about = facts(
        grassroots_code="001200",
        groups=frozenset({"37132600002150000001"}),
        point_type="1",
        industry="00",
        network="6",
    )
    profile = asked.profile(about)
    assert profile.facts.tags == {"t"}
    assert bool(profile.rule_mask) == matches
    assert asked.policy.rules.rules[0].objects.matches(profile.facts) == matches


def test_owners_are_found_by_what_the_channel_is() -> None:
    asked = engine(
        '[[tag]]\nname = "t"\nobjects = { point_types = ["1"] }\n',
        '[[owner]]\ndepartment = "police"\nobjects = { tags = ["t"] }\n',
        '[[owner]]\ndepartment = "water"\nobjects = { kinds = ["camera"] }\n',
    )
    profile = asked.profile(facts(point_type="1"))
    assert asked.policy.owners(profile.facts) == ("police", "water")
    assert asked.policy.owners(facts(kind=ChannelKind.ALARM)) == ()


def test_a_profile_is_renewed_for_new_grants_and_stops_but_not_for_a_new_policy() -> None:
    compiled = CompiledPolicy(policy(rule()))
    before = Engine(compiled)
    profile = before.profile(facts())
    stopped = Engine(compiled, stops=RuleIndex([STOP]))
    assert stopped.renew(profile)
    assert stopped.decide(CITY, Action.LIVE, profile, context()).reason == "stopped"
    assert before.renew(profile)
    assert before.decide(CITY, Action.LIVE, profile, context()).allowed
    assert not engine(rule()).renew(profile)


def test_any_number_of_identities_takes_bounded_memory() -> None:
    asked = engine(rule(subjects='{ identities = ["u1*"] }'))
    profile = asked.profile(facts())
    for number in range(MAX_SUBJECTS_REMEMBERED + 10):
        subject = replace(CITY, identity=f"u{number}")
        assert asked.decide(subject, Action.LIVE, profile, context()).allowed == str(
            number
        ).startswith("1")
    assert len(asked.policy.rules._subjects) <= MAX_SUBJECTS_REMEMBERED
