"""Reading a policy file: all of it, or none with the line and the reason."""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from gateway.domain.selector import ChannelSelector
from gateway.sharing.policy.clause import read_objects, read_user_types
from gateway.sharing.policy.error import PolicyError, Problem
from gateway.sharing.policy.locate import locate
from gateway.sharing.policy.model import Boundary, IdentityRules, Owner, Policy, Rule, Tag
from gateway.sharing.policy.reader import Report, TableReader
from gateway.sharing.policy.rule import read_rule
from gateway.sharing.policy.value import gateway_code, zone

__all__ = ["MAX_POLICY_BYTES", "MAX_RULES", "load_policy"]

MAX_POLICY_BYTES = 1_048_576
"""One file; 1,000 rules of 300 bytes come to a third of it."""
MAX_RULES = 5_000
"""Rules of one policy: five times what the gateway is measured with."""
MAX_TAGS = 500
"""Tags of one policy."""
MAX_OWNERS = 500
"""Owners of one policy: the departments of a county."""

MAX_KEY_PARTS = 16
"""Parts of one key, between dots; the deepest that means anything has three. Reading takes their square."""

_DEEP_KEY = re.compile(
    r"""(?<![\w.-])(?:(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)"""
    f"{{{MAX_KEY_PARTS}}}"
)
_SYNTAX_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def load_policy(text: str | bytes, *, source: str = "policy") -> Policy:
    """Read a policy; takes up to a second for the largest, so call it in a thread.

    Args:
        text: The file.
        source: Its name, for the sentences.

    Raises:
        PolicyError: any of it cannot be used.
    """
    decoded = _decoded(text, source)
    values = _parsed(decoded, source)
    report = Report(_places(decoded, source))
    policy = _policy(values, report, decoded)
    if report.problems:
        raise PolicyError(sorted(report.problems, key=lambda problem: problem.line), source)
    return policy


def _decoded(text: str | bytes, source: str) -> str:
    try:
        raw = text.encode() if isinstance(text, str) else text
    except UnicodeEncodeError as exc:
        raise _refused("expected UTF-8 text, got a lone surrogate", source, exc.start) from exc
    if len(raw) > MAX_POLICY_BYTES:
        raise _refused(f"expected at most {MAX_POLICY_BYTES} bytes, got {len(raw)}", source)
    try:
        decoded = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        column = exc.start - (raw.rfind(b"\n", 0, exc.start) + 1) + 1
        problem = Problem(
            line=line, column=column, reason=f"expected UTF-8 text, byte {exc.start} is not"
        )
        raise PolicyError([problem], source) from exc
    return decoded.replace("\r\n", "\n")


def _parsed(text: str, source: str) -> dict[str, Any]:
    deep = _DEEP_KEY.search(text)
    if deep is not None:
        line, column = (
            text.count("\n", 0, deep.start()) + 1,
            deep.start() - text.rfind("\n", 0, deep.start()),
        )
        reason = f"expected keys of less than {MAX_KEY_PARTS} parts, got {deep.group()[:40]!r}..."
        raise PolicyError([Problem(line=line, column=column, reason=reason)], source)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        message = str(exc)
        place = _SYNTAX_PLACE.search(message)
        line, column = text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1
        if place is not None:
            message = message[: place.start()]
            line, column = int(place[1] or line), int(place[2] or column)
        reason = f"not valid TOML: {message[:200]}"
        raise PolicyError([Problem(line=line, column=column, reason=reason)], source) from exc
    except RecursionError as exc:
        raise _refused("lists or tables are nested too deep", source) from exc
    except ValueError as exc:
        # tomllib lets int() speak for itself about numbers of thousands of digits.
        raise _refused(f"not valid TOML: {str(exc)[:200]}", source) from exc


def _places(text: str, source: str) -> Mapping[tuple[str | int, ...], tuple[int, int]]:
    try:
        return locate(text)
    except RecursionError as exc:
        raise _refused("lists or tables are nested too deep", source) from exc


def _refused(reason: str, source: str, column: int = 0) -> PolicyError:
    return PolicyError([Problem(line=1, column=column + 1, reason=reason)], source)


def _policy(values: Mapping[str, Any], report: Report, text: str) -> Policy:
    top = TableReader(values, report)
    top.integer("version", 1, 1, required=True)
    tags = _tags(top)
    names = frozenset(tag.name for tag in tags)
    policy = Policy(
        text=text,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        rules=_rules(top, names),
        tags=tags,
        owners=_owners(top, names),
        boundary=_boundary(top),
        identity=_identity(top),
        remarks=tuple(report.remarks),
    )
    top.finish()
    return policy


def _tags(top: TableReader) -> tuple[Tag, ...]:
    tags: dict[str, Tag] = {}
    for reader in top.tables("tag", count=MAX_TAGS):
        tag_name = reader.text("name", limit=64, required=True)
        if tag_name:
            reader.call(f'tag "{tag_name}"')
        if tag_name in tags:
            reader.problem("name", f"expected a name of its own, got {tag_name!r} again")
        objects = _required_objects(reader)
        if objects.tags:
            reader.problem("objects", "a tag cannot be made from tags")
        tags[tag_name] = Tag(tag_name, objects)
        reader.finish()
    return tuple(tags.values())


def _owners(top: TableReader, tags: frozenset[str]) -> tuple[Owner, ...]:
    owners = []
    for reader in top.tables("owner", count=MAX_OWNERS):
        department = reader.text("department", limit=64, required=True)
        if department:
            reader.call(f'owner "{department}"')
        owners.append(Owner(department, _required_objects(reader, tags)))
        reader.finish()
    return tuple(owners)


def _required_objects(reader: TableReader, tags: frozenset[str] | None = None) -> ChannelSelector:
    if not reader.has("objects"):
        reader.problem("objects", "expected a table, the key is missing")
    return read_objects(reader, tags)


def _rules(top: TableReader, tags: frozenset[str]) -> tuple[Rule, ...]:
    rules: dict[str, Rule] = {}
    for reader in top.tables("rule", count=MAX_RULES):
        rule = read_rule(reader, tags)
        if rule.rule_id and rule.rule_id in rules:
            first = rules[rule.rule_id].line
            reader.problem(
                "id",
                f"expected an id of its own, got {rule.rule_id!r} again (first in line {first})",
            )
        rules[rule.rule_id] = rule
    return tuple(rules.values())


def _boundary(top: TableReader) -> Boundary:
    reader = top.table("boundary")
    if reader is None:
        return Boundary()
    networks = []
    if (table := reader.table("networks")) is not None:
        for digit in table.all_keys():
            if re.fullmatch("[0-9]", digit) is None:
                table.problem(digit, f"expected one digit 0-9 as key, got {digit[:40]!r}")
            networks.append((digit, frozenset(table.texts(digit, zone, empty=True))))
    unknown = (
        frozenset(reader.texts("unknown", zone, empty=True)) if reader.has("unknown") else None
    )
    reader.finish()
    return Boundary(tuple(sorted(networks)), unknown)


def _identity(top: TableReader) -> IdentityRules:
    reader = top.table("identity")
    if reader is None:
        return IdentityRules()
    hops = reader.integer("max_hops", 1, 16)
    rules = IdentityRules(
        required=reader.flag("required"),
        max_hops=IdentityRules().max_hops if hops is None else hops,
        trusted_gateways=frozenset(reader.texts("trusted_gateways", gateway_code)),
        user_types=read_user_types(reader),
    )
    reader.finish()
    return rules
