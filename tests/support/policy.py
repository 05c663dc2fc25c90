"""Policies, channels and circumstances for tests of sharing."""

from datetime import datetime
from typing import Any

from gateway.domain.device import Channel, ChannelKind
from gateway.domain.policy import AccessContext, Subject
from gateway.domain.selector import ChannelFacts
from gateway.sharing.policy.engine import Engine
from gateway.sharing.policy.error import PolicyError
from gateway.sharing.policy.load import load_policy
from gateway.sharing.policy.model import Policy
from gateway.sharing.policy.window import CHINA

__all__ = [
    "ADMIN",
    "CITY",
    "DEVICE",
    "MONDAY",
    "URBAN",
    "camera",
    "context",
    "engine",
    "facts",
    "policy",
    "problems",
    "rule",
]

DEVICE = "37132600001110000001"
CITY = Subject(platform="37130000002000000001")
URBAN = Subject(department="urban", key="k1")
ADMIN = Subject(role="admin")
MONDAY = datetime(2026, 11, 23, 10, 0, tzinfo=CHINA)
"""A Monday, 10:00 in China."""


def rule(
    rule_id: str = "r1",
    *,
    effect: str = "allow",
    subjects: str = '{ platforms = ["37130000002000000001"] }',
    objects: str = "",
    actions: str = '["catalog", "live"]',
    context: str = "",
    obligations: str = "",
) -> str:
    """Write a rule."""
    lines = ["[[rule]]", f'id = "{rule_id}"', f'effect = "{effect}"', f"subjects = {subjects}"]
    for key, value in (
        ("objects", objects),
        ("actions", actions),
        ("context", context),
        ("obligations", obligations),
    ):
        if value:
            lines.append(f"{key} = {value}")
    return "\n".join(lines) + "\n"


def policy(*parts: str) -> Policy:
    """Read a policy made from tables."""
    return load_policy("version = 1\n" + "\n".join(parts))


def engine(*parts: str) -> Engine:
    """Compile a policy made from tables."""
    return Engine.of(policy(*parts))


def problems(*parts: str) -> tuple[str, ...]:
    """Return the sentences with which a policy is refused."""
    try:
        policy(*parts)
    except PolicyError as exc:
        return exc.sentences
    return ()


def camera(number: int = 1, *, device_id: str = DEVICE, **changes: Any) -> Channel:
    """Make a camera."""
    values: dict[str, Any] = {
        "device_id": device_id,
        "channel_id": f"371326000013200{number:05}",
        "kind": ChannelKind.CAMERA,
        "name": f"camera {number}",
    }
    return Channel(**(values | changes))


def facts(number: int = 1, **changes: Any) -> ChannelFacts:
    """Make what rules look at."""
    values: dict[str, Any] = {
        "device_id": DEVICE,
        "channel_id": f"371326000013200{number:05}",
        "kind": ChannelKind.CAMERA,
        "civil_code": "371326",
    }
    return ChannelFacts(**(values | changes))


def context(at: datetime = MONDAY, **changes: Any) -> AccessContext:
    """Make circumstances."""
    return AccessContext(at=at, **changes)
