"""What differs between two policies: rules by id, and the tables beside them."""

from dataclasses import dataclass
from typing import Any

from gateway.sharing.policy.clause import clause_fields, selector_fields
from gateway.sharing.policy.model import Policy, Rule
from gateway.sharing.policy.value_text import value_text

__all__ = ["FieldChange", "PolicyDifference", "RuleChange", "difference", "rule_fields"]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field, with its values as they stand in the file; empty where it is not given."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule, or another named table, that is not as it was."""

    name: str
    """A rule's id, `tag:NAME`, `owner:DEPARTMENT`, `boundary`, `identity`."""
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDifference:
    """All that differs; names as in `RuleChange`, in order."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[RuleChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    @property
    def summary(self) -> str:
        """One line."""
        return f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed"


def difference(before: Policy, after: Policy) -> PolicyDifference:
    """Compare two policies; the order of rules and values makes no difference."""
    old, new = _tables(before), _tables(after)
    changed = []
    for name in sorted(old.keys() & new.keys()):
        fields = tuple(
            FieldChange(field, old[name].get(field, ""), new[name].get(field, ""))
            for field in sorted(old[name].keys() | new[name].keys())
            if old[name].get(field) != new[name].get(field)
        )
        if fields:
            changed.append(RuleChange(name, fields))
    return PolicyDifference(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(changed),
    )


def rule_fields(rule: Rule) -> dict[str, Any]:
    """Return what a rule says, by the names of the file (`objects.civil_codes`, `context.windows`)."""
    said: dict[str, Any] = {
        "effect": rule.effect.value,
        "actions": sorted(action.value for action in rule.actions),
        "subjects": [clause_fields(clause) for clause in rule.subjects],
    }
    if rule.description:
        said["description"] = rule.description
    said |= {f"objects.{name}": values for name, values in selector_fields(rule.objects).items()}
    conditions, obligations = rule.conditions, rule.obligations
    context = {
        "valid_from": conditions.valid_from and conditions.valid_from.isoformat(),
        "valid_to": conditions.valid_to and conditions.valid_to.isoformat(),
        "windows": list(conditions.windows.texts) if conditions.windows else None,
        "zones": sorted(conditions.zones),
        "purpose_required": conditions.purpose_required,
        "ticket_required": conditions.ticket_required,
        "identity_required": conditions.identity_required,
        "max_streams": obligations.max_streams,
    }
    obliged = {
        "sub_stream": obligations.sub_stream,
        "mask_name": obligations.mask_name,
        "mask_position": obligations.mask_position,
        "notify_owner": obligations.notify_owner,
    }
    said |= {f"context.{name}": value for name, value in context.items() if value}
    said |= {f"obligations.{name}": value for name, value in obliged.items() if value}
    return said


def _tables(policy: Policy) -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, Any]] = {rule.rule_id: rule_fields(rule) for rule in policy.rules}
    for tag in policy.tags:
        tables[f"tag:{tag.name}"] = dict(selector_fields(tag.objects))
    for owner in policy.owners:
        # A department may own several selections.
        table = tables.setdefault(f"owner:{owner.department}", {"objects": []})
        table["objects"] = sorted((*table["objects"], value_text(selector_fields(owner.objects))))
    boundary = policy.boundary
    if boundary.networks or boundary.unknown is not None:
        tables["boundary"] = {
            f"networks.{digit}": sorted(zones) for digit, zones in boundary.networks
        }
        if boundary.unknown is not None:
            tables["boundary"]["unknown"] = sorted(boundary.unknown)
    identity = policy.identity
    tables["identity"] = {
        "required": identity.required,
        "max_hops": identity.max_hops,
        "trusted_gateways": sorted(identity.trusted_gateways),
        "user_types": [f"{low:03}-{high:03}" for low, high in identity.user_types],
    }
    return {
        name: {field: value_text(value) for field, value in table.items()}
        for name, table in tables.items()
    }
