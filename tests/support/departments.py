"""Departments with keys and webhooks on doubles of the ports they need."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gateway.domain.device import Channel, ChannelKind, Device
from gateway.domain.errors import Forbidden
from gateway.domain.policy import (
    Access,
    AccessContext,
    AccessRequest,
    Action,
    Decision,
    Obligations,
    Role,
    Subject,
)
from gateway.sharing.changelog import ChangeLog
from gateway.sharing.departments import DepartmentBook
from gateway.sharing.keys import KeyBook
from gateway.sharing.webhooks import WebhookBook
from gateway.sharing.webhooks_delivery import DeliveryFailed
from gateway.sharing.webhooks_target import TargetRule
from tests.support.cascade import FakeAccess, OpenPolicy
from tests.support.platform_book import AuditList, MemoryDocuments, PlainBox
from tests.support.registry import ManualClock

__all__ = ["BOSS", "Books", "Fleet", "ListedPolicy", "Post", "ScriptedPoster", "books"]

BOSS = Subject(role=Role.ADMIN.value)


@dataclass
class Books:
    """The three books and what is behind them."""

    documents: MemoryDocuments
    audit: AuditList
    clock: ManualClock
    departments: DepartmentBook
    keys: KeyBook
    webhooks: WebhookBook

    @property
    def actions(self) -> list[tuple[str, str]]:
        """(action, object) of what is on record."""
        return [(entry.action, entry.object_id) for entry in self.audit.entries]


async def books(documents: MemoryDocuments | None = None, *, local: bool = True) -> Books:
    """Make and load the books; a second call over the same documents is a restart."""
    documents, audit, clock = documents or MemoryDocuments(), AuditList(), ManualClock()
    numbers = itertools.count(1)
    changes = ChangeLog(audit, wall=clock.utc_now, new_id=lambda: f"r{next(numbers)}")
    departments = DepartmentBook(documents, changes)
    box = PlainBox()
    keys = KeyBook(documents, box=box, departments=departments, changes=changes)
    webhooks = WebhookBook(
        documents,
        box=box,
        departments=departments,
        changes=changes,
        targets=TargetRule(local=local),
    )
    for book in (departments, keys, webhooks):
        await book.load()
    return Books(documents, audit, clock, departments, keys, webhooks)


class ListedPolicy(OpenPolicy):
    """Our own people may do all; a department what stands in `given`: actions by channel id.

    `obliged` is what it must obey, by action.
    """

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, dict[str, set[Action]]] = {}
        self.obliged: dict[Action, Obligations] = {}
        self.reason = "no_rule"
        self.asked = 0

    def give(self, department: str, channel_id: str, *actions: Action) -> None:
        self.given.setdefault(department, {})[channel_id] = set(actions)
        self.changed()

    def changed(self) -> None:
        for call in self.on_changed:
            call()

    def decide(
        self, subject: Subject, action: Action, channel: Channel, context: AccessContext
    ) -> Decision:
        self.asked += 1
        given = self.given.get(subject.department, {}).get(channel.channel_id, set())
        if (subject.is_local and action not in self.denied) or action in given:
            obligations = self.obliged.get(action, Obligations())
            if subject.is_local:
                obligations = Obligations()
            return Decision(allowed=True, rule="given", reason="allowed", obligations=obligations)
        return Decision(
            allowed=False,
            rule="secret-rule",
            reason=self.reason,
            detail="Because of rule internals",
        )

    def check(self, request: AccessRequest) -> Decision:
        assert request.channel is not None
        decision = self.decide(request.subject, request.action, request.channel, request.context)
        if not decision.allowed:
            self.refused.append((request, decision.reason))
            raise Forbidden(decision.reason, decision.detail, rule=decision.rule)
        self.checked.append(request)
        return decision

    def open(self, request: AccessRequest, stop: Callable[[str, str], None]) -> FakeAccess:
        assert request.channel is not None
        decision = self.decide(request.subject, request.action, request.channel, request.context)
        if not decision.allowed:
            self.refused.append((request, decision.reason))
            raise Forbidden(decision.reason, decision.detail, rule=decision.rule)
        access = super().open(request, stop)
        access.decision = decision
        return access

    def accesses(self) -> Iterable[Access]:
        return [access for access in self.opened if not access.ends]


@dataclass
class Fleet:
    """A directory of channels that tests change at will."""

    of: dict[str, dict[str, Channel]] = field(default_factory=dict)
    known: dict[str, Device] = field(default_factory=dict)

    def put(self, device_id: str, channel_id: str, *, online: bool = True) -> None:
        self.known.setdefault(device_id, Device(device_id=device_id, online=True))
        self.of.setdefault(device_id, {})[channel_id] = Channel(
            device_id=device_id,
            channel_id=channel_id,
            kind=ChannelKind.CAMERA,
            name=f"Camera {channel_id}",
            online=online,
        )

    def devices(self) -> list[Device]:
        return list(self.known.values())

    def get(self, device_id: str) -> Device | None:
        return self.known.get(device_id)

    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        return self.of.get(device_id, {}).get(channel_id)

    def channels(self, device_id: str) -> list[Channel]:
        return list(self.of.get(device_id, {}).values())


@dataclass
class Post:
    """One delivery as it went out."""

    url: str
    body: bytes
    headers: dict[str, str]


class ScriptedPoster:
    """Answers what the test says; 200 by default."""

    def __init__(self) -> None:
        self.posts: asyncio.Queue[Post] = asyncio.Queue(maxsize=1000)
        self.answers: list[int | str] = []
        self.stuck: set[str] = set()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.posts.put_nowait(Post(url, body, dict(headers)))
        if url in self.stuck:
            await asyncio.Event().wait()
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, str):
            raise DeliveryFailed(answer)
        return answer
