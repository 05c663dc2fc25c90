"""What differs between two versions of a policy."""

from gateway.sharing.policy.difference import FieldChange, PolicyDifference, RuleChange, difference
from gateway.sharing.policy.model import Policy
from tests.support.policy import policy, rule

TAG = '[[tag]]\nname = "t"\nobjects = { point_types = ["1"] }\n'


def test_the_order_of_rules_and_values_is_no_difference() -> None:
    before = policy(rule("a", actions='["live", "ptz"]'), rule("b"))
    after = policy(rule("b"), rule("a", actions='["ptz", "live"]'))
    assert not difference(before, after)
    assert difference(before, after) == PolicyDifference()


def test_rules_that_came_went_and_changed_are_named_with_their_fields() -> None:
    before = policy(
        rule("gone"),
        rule("same"),
        rule("changed", context="{ max_streams = 2 }", objects='{ civil_codes = ["37"] }'),
    )
    after = policy(
        rule("changed", effect="deny", objects='{ civil_codes = ["3713"] }', actions='["*"]'),
        rule("same"),
        rule("new"),
    )
    found = difference(before, after)
    assert (found.added, found.removed) == (("new",), ("gone",))
    [changed] = found.changed
    assert changed.name == "changed"
    assert FieldChange("effect", '"allow"', '"deny"') in changed.fields
    assert FieldChange("objects.civil_codes", '["37"]', '["3713"]') in changed.fields
    assert FieldChange("context.max_streams", "2", "") in changed.fields
    assert {field.name for field in changed.fields} == {
        "actions",
        "context.max_streams",
        "effect",
        "objects.civil_codes",
    }
    assert found.summary == "1 added, 1 removed, 1 changed"


def test_every_field_of_a_rule_is_compared() -> None:
    whole = {
        "subjects": '[{ platforms = ["37*"], user_types = ["300"] }, { outside = true }]',
        "objects": '{ kinds = ["camera"] }',
        "context": '{ valid_from = 2026-01-01, valid_to = 2027-01-01, windows = ["Mon 08:00-09:00"], '
        'zones = ["z"], purpose_required = true, ticket_required = true, identity_required = true, '
        "max_streams = 3 }",
        "obligations": '{ sub_stream = true, mask_name = "x", mask_position = true, '
        "notify_owner = true }",
    }
    [changed] = difference(policy(rule("r")), policy(rule("r", **whole))).changed
    assert {field.name for field in changed.fields} == {
        "subjects",
        "objects.kinds",
        *(f"context.{name}" for name in ("valid_from", "valid_to", "windows", "zones")),
        *(f"context.{name}_required" for name in ("purpose", "ticket", "identity")),
        "context.max_streams",
        *(f"obligations.{name}" for name in ("sub_stream", "mask_name", "mask_position")),
        "obligations.notify_owner",
    }


def test_tags_owners_boundary_and_identity_are_compared_too() -> None:
    owner = '[[owner]]\ndepartment = "police"\nobjects = { tags = ["t"] }\n'
    before = policy(TAG, owner, "[boundary.networks]\n5 = []\n")
    after = policy(
        TAG.replace('"1"', '"2"'),
        '[boundary]\nunknown = ["gov"]\n[boundary.networks]\n5 = ["gov"]\n',
        "[identity]\nrequired = true\n",
    )
    found = difference(before, after)
    assert found.removed == ("owner:police",)
    assert found.changed == (
        RuleChange(
            "boundary",
            (FieldChange("networks.5", "[]", '["gov"]'), FieldChange("unknown", "", '["gov"]')),
        ),
        RuleChange("identity", (FieldChange("required", "false", "true"),)),
        RuleChange("tag:t", (FieldChange("point_types", '["1"]', '["2"]'),)),
    )


def test_the_first_policy_differs_from_none_by_all_its_rules() -> None:
    assert difference(Policy(), policy(rule("a"), rule("b"))).added == ("a", "b")
