"""Reading who and what: subjects and objects, of rules as of grants and stop orders."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gateway.domain.selector import ChannelSelector
from gateway.sharing.policy.error import PolicyError
from gateway.sharing.policy.model import SubjectClause
from gateway.sharing.policy.pattern import Patterns
from gateway.sharing.policy.reader import Report, TableReader
from gateway.sharing.policy.value import (
    channel_code,
    civil_prefix,
    device_code,
    gateway_code,
    grassroots_prefix,
    group_code,
    industry,
    kind,
    network,
    pattern,
    platform_pattern,
    point_type,
    role,
    user_types,
)

__all__ = [
    "MAX_CLAUSES",
    "MAX_IDENTITY_PATTERN",
    "clause_fields",
    "parse_selector",
    "parse_subjects",
    "read_objects",
    "read_subjects",
    "read_user_types",
    "selector_fields",
]

MAX_CLAUSES = 200
"""Alternative subjects of one rule."""
MAX_IDENTITY_PATTERN = 256
"""Characters of one identity or pattern of identities."""

# On one side platforms, which come by SIP, on the other what only HTTP knows.
_ON_HTTP = ("departments", "keys", "users", "roles")


def read_subjects(reader: TableReader) -> tuple[SubjectClause, ...]:
    """Read `subjects`: one table, or a list of which one must match."""
    if not reader.has("subjects"):
        reader.problem(
            "subjects", "expected a table, the key is missing; any = true means everybody"
        )
    return tuple(_read_clause(table) for table in reader.tables("subjects", count=MAX_CLAUSES))


def _read_clause(reader: TableReader) -> SubjectClause:
    before = reader.problem_count
    clause = SubjectClause(
        anybody=reader.flag("any"),
        outside=reader.flag("outside"),
        platforms=Patterns.of(reader.texts("platforms", platform_pattern)),
        departments=Patterns.of(reader.texts("departments", pattern)),
        keys=Patterns.of(reader.texts("keys", pattern)),
        users=Patterns.of(reader.texts("users", pattern)),
        roles=frozenset(reader.texts("roles", role)),
        identities=Patterns.of(reader.texts("identities", pattern, limit=MAX_IDENTITY_PATTERN)),
        user_types=read_user_types(reader),
        gateways=frozenset(reader.texts("gateways", gateway_code)),
    )
    reader.finish()
    given = clause.fields_given
    if reader.problem_count > before:
        return clause
    if not (given or clause.anybody or clause.outside):
        reader.problem("", "expected at least one of platforms, departments, keys, ...; got none")
    if clause.anybody and (given or clause.outside):
        reader.problem("any", "expected nothing beside any = true, which means everybody")
    if clause.platforms and (http := [key for key in _ON_HTTP if key in given]):
        reader.problem(
            http[0],
            f"platforms and {http[0]} never come together, so this matches nobody; write two tables",
        )
    if clause.roles and (outer := [key for key in ("departments", "keys") if key in given]):
        reader.problem(
            "roles", f"our own people have no {outer[0]}, so this matches nobody; write two tables"
        )
    if clause.outside and clause.roles:
        reader.problem("roles", "people with roles are not outside, so this matches nobody")
    return clause


def read_user_types(reader: TableReader) -> tuple[tuple[int, int], ...]:
    """Read `user_types`."""
    return tuple(sorted(reader.texts("user_types", user_types)))


def read_objects(reader: TableReader, tags: frozenset[str] | None = None) -> ChannelSelector:
    """Read `objects`; absent means every channel.

    Args:
        reader: The table it is in.
        tags: Tags there are; None accepts any.
    """
    table = reader.table("objects")
    if table is None:
        return ChannelSelector()

    def tag(text: str) -> str:
        if tags is not None and text not in tags:
            raise ValueError(f"expected a tag of this policy, got {text!r}")
        return text

    civil_codes = tuple(table.texts("civil_codes", civil_prefix))
    for index, code in enumerate(civil_codes):
        if code.endswith("00"):
            meant = code.removesuffix("00").removesuffix("00")
            table.remark(
                "civil_codes", f"{code} is not the beginning of codes below {meant}", index
            )
    selector = ChannelSelector(
        channels=frozenset(table.texts("channels", channel_code, limit=130)),
        devices=frozenset(table.texts("devices", device_code)),
        civil_codes=tuple(sorted(set(civil_codes))),
        grassroots=tuple(sorted(set(table.texts("grassroots", grassroots_prefix)))),
        groups=frozenset(table.texts("groups", group_code)),
        point_types=frozenset(table.texts("point_types", point_type)),
        industries=frozenset(table.texts("industries", industry)),
        networks=frozenset(table.texts("networks", network)),
        tags=frozenset(table.texts("tags", tag)),
        kinds=frozenset(table.texts("kinds", kind)),
    )
    if table.is_empty:
        table.problem("", "expected at least one key; leave objects out for every channel")
    table.finish()
    return selector


def parse_selector(values: Mapping[str, Any] | None) -> ChannelSelector:
    """Read the objects of a request or a stored document, named as in a policy file.

    Raises:
        PolicyError: a key or value cannot be used.
    """
    report = Report()
    given = {} if values is None else {"objects": values}
    selector = read_objects(TableReader(given, report))
    if report.problems:
        raise PolicyError(report.problems, "request")
    return selector


def parse_subjects(values: Any) -> tuple[SubjectClause, ...]:  # noqa: ANN401 - JSON of a request
    """Read the subjects of a request or a stored document: one object or a list of them.

    Raises:
        PolicyError: a key or value cannot be used.
    """
    report = Report()
    clauses = read_subjects(TableReader({"subjects": values}, report))
    if report.problems:
        raise PolicyError(report.problems, "request")
    return clauses


def selector_fields(selector: ChannelSelector) -> dict[str, list[str]]:
    """Return what a selector says, named as in a policy file; empty means every channel."""
    return {
        item.name: sorted(values)
        for item in fields(selector)
        if (values := getattr(selector, item.name))
    }


def clause_fields(clause: SubjectClause) -> dict[str, Any]:
    """Return what a clause says, named as in a policy file."""
    if clause.anybody:
        return {"any": True}
    said: dict[str, Any] = {"outside": True} if clause.outside else {}
    for key in clause.fields_given:
        value = getattr(clause, key)
        if key == "user_types":
            said[key] = [
                f"{low:03}" if low == high else f"{low:03}-{high:03}" for low, high in value
            ]
        else:
            said[key] = value.texts if isinstance(value, Patterns) else sorted(value)
    return said
