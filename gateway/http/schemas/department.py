"""Bodies about departments, their keys and webhooks."""

from datetime import datetime
from typing import Self

from pydantic import AwareDatetime, Field

from gateway.domain.policy import Role
from gateway.http.schemas.base import InModel, OutModel, Text
from gateway.sharing.keys import MAX_RATE, ApiKey, IssuedKey, KeySettings, Scope
from gateway.sharing.webhooks import Webhook, WebhookEvent
from gateway.sharing.webhooks_delivery import DeliveryStatus

__all__ = [
    "DepartmentIn",
    "DepartmentList",
    "DepartmentOut",
    "KeyChangeIn",
    "KeyIn",
    "KeyIssuedOut",
    "KeyList",
    "KeyOut",
    "KeyQuery",
    "MeOut",
    "WebhookChangeIn",
    "WebhookCreatedOut",
    "WebhookIn",
    "WebhookList",
    "WebhookOut",
]

MAX_NAME = 100
MAX_STREAMS = 10_000


class DepartmentIn(InModel):
    """A department as it shall be."""

    name: str = Field(min_length=1, max_length=MAX_NAME)
    zone: str = Field(default="", max_length=64)
    """Network zone of its keys that say nothing else; policy rules name it."""
    contact: str = Field(default="", max_length=MAX_NAME)


class DepartmentOut(OutModel):
    """A department."""

    code: Text
    name: Text
    zone: Text
    contact: Text
    created_at: datetime


class DepartmentList(OutModel):
    """All departments, by code."""

    items: list[DepartmentOut]
    total: int


class _KeySettings(InModel):
    name: str = Field(default="", max_length=MAX_NAME)
    """For people; the user's name in a key of our own people."""
    scopes: frozenset[Scope] = Field(default=frozenset(), max_length=len(Scope))
    """What it may call; what it then sees and does is for the policy to say."""
    zone: str = Field(default="", max_length=64)
    """Network zone its requests count as; empty: the department's."""
    requests_per_minute: int = Field(default=600, ge=1, le=MAX_RATE)
    max_streams: int = Field(default=8, ge=0, le=MAX_STREAMS)
    """Streams open at once."""
    expires_at: AwareDatetime | None = None
    disabled: bool = False


class KeyIn(_KeySettings):
    """A key to be made, for a department or for one of our own people."""

    department: str = Field(default="", max_length=64)
    role: Role | None = None
    """`operator` or `viewer`, instead of a department."""

    def settings(self) -> KeySettings:
        """Return what can be chosen and changed."""
        given = self.model_dump(exclude={"department", "role"})
        return KeySettings(**given)


class KeyChangeIn(_KeySettings):
    """What to change about a key; absent fields stay."""

    def merged(self, settings: KeySettings) -> KeySettings:
        """Return settings with what was given changed."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        kept = {name: getattr(settings, name) for name in type(self).model_fields}
        return KeySettings(**{**kept, **given})


class KeyOut(OutModel):
    """A key, without its secret."""

    key_id: Text
    department: Text
    """Owner; empty for a key of our own people."""
    role: Text
    name: Text
    scopes: list[Scope]
    zone: Text
    requests_per_minute: int
    max_streams: int
    expires_at: datetime | None
    disabled: bool
    created_at: datetime
    open_streams: int
    usable: bool
    """Whether it is neither disabled nor expired."""

    @classmethod
    def of(cls, key: ApiKey, *, now: datetime, open_streams: int = 0) -> Self:
        """Convert a key."""
        chosen = key.settings
        return cls(
            key_id=key.key_id,
            department=key.department,
            role=key.role,
            name=chosen.name,
            scopes=sorted(key.scopes),
            zone=chosen.zone,
            requests_per_minute=chosen.requests_per_minute,
            max_streams=chosen.max_streams,
            expires_at=chosen.expires_at,
            disabled=chosen.disabled,
            created_at=key.created_at,
            open_streams=open_streams,
            usable=key.unusable(now) is None,
        )


class KeyList(OutModel):
    """Keys, oldest first."""

    items: list[KeyOut]
    total: int


class KeyIssuedOut(OutModel):
    """A key with its secret: keep it now, it is never shown again."""

    key: KeyOut
    secret: str
    """For signed requests."""
    bearer: str
    """For `Authorization: Bearer`."""

    @classmethod
    def of_issued(cls, issued: IssuedKey, *, now: datetime) -> Self:
        """Convert a key that was just made."""
        key = KeyOut.of(issued.key, now=now)
        return cls(key=key, secret=issued.secret, bearer=issued.bearer)


class KeyQuery(InModel):
    """Which keys."""

    department: str | None = Field(default=None, max_length=64)


class MeOut(OutModel):
    """Who calls, and what they may."""

    label: Text
    department: Text
    key_id: Text
    user: Text
    """Name of the user, of one who is logged in or of a key of our own people."""
    role: Text
    scopes: list[Scope]
    zone: Text
    requests_per_minute: int | None
    """Null: no limit."""
    max_streams: int | None
    open_streams: int
    expires_at: datetime | None
    now: datetime
    """The gateway's clock, to sign requests by."""


class WebhookIn(InModel):
    """A webhook to be added."""

    department: str = Field(default="", max_length=64)
    """Whose; a department's key always adds its own."""
    url: str = Field(min_length=1, max_length=1000)
    """http or https; redirects are not followed."""
    events: frozenset[WebhookEvent] = Field(
        default=frozenset(WebhookEvent), max_length=len(WebhookEvent)
    )


class WebhookChangeIn(InModel):
    """What to change about a webhook; absent fields stay."""

    url: str | None = Field(default=None, min_length=1, max_length=1000)
    events: frozenset[WebhookEvent] | None = Field(default=None, max_length=len(WebhookEvent))
    enabled: bool | None = None
    """True also takes up again one that the gateway disabled."""


class WebhookOut(OutModel):
    """A webhook and how its deliveries go."""

    hook_id: Text
    department: Text
    url: Text
    events: list[WebhookEvent]
    enabled: bool
    reason: Text
    """Why the gateway disabled it; empty if it did not."""
    created_at: datetime
    waiting: int
    """Events not yet delivered."""
    delivered: int
    missed: int
    """Events dropped because too many waited; each delivery says how many it misses."""
    failures: int
    """In a row."""
    last_error: Text
    last_success_at: datetime | None
    failing_since: datetime | None
    next_try_at: datetime | None

    @classmethod
    def of(cls, hook: Webhook, status: DeliveryStatus) -> Self:
        """Convert a webhook."""
        names = (*DeliveryStatus.__dataclass_fields__,)
        return cls(
            hook_id=hook.hook_id,
            department=hook.department,
            url=hook.url,
            events=sorted(hook.events),
            enabled=hook.enabled,
            reason=hook.reason,
            created_at=hook.created_at,
            **{name: getattr(status, name) for name in names},
        )


class WebhookList(OutModel):
    """Webhooks, oldest first."""

    items: list[WebhookOut]
    total: int


class WebhookCreatedOut(OutModel):
    """A webhook with the secret its deliveries are signed with: keep it now, it is never shown again."""

    webhook: WebhookOut
    secret: str
