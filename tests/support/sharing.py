"""Policy, grants, stop orders and open accesses together, on doubles of the ports they need."""

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from gateway.domain.audit import AuditEntry, AuditKind
from gateway.domain.device import Channel
from gateway.domain.policy import AccessRequest, Action, Subject
from gateway.domain.selector import ChannelFacts, facts_of
from gateway.sharing.access import SharingAccess
from gateway.sharing.grants import Application, GrantBook, GrantLimits
from gateway.sharing.policy.book import PolicyBook
from gateway.sharing.stops import StopBook
from tests.support.platform_book import AuditList, MemoryDocuments
from tests.support.policy import ADMIN, CITY, MONDAY, camera, context
from tests.support.registry import ManualClock

__all__ = ["Office", "Viewer", "application"]


class Office:
    """Everything that decides, with a clock that goes on only when told."""

    def __init__(
        self, documents: MemoryDocuments | None = None, limits: GrantLimits | None = None
    ) -> None:
        self.documents = documents or MemoryDocuments()
        self.audit = AuditList()
        self.clock = ManualClock()
        self.clock.start = MONDAY
        self.cameras: dict[tuple[str, str], Channel] = {}
        numbers = itertools.count(1)
        self.new_id = lambda: f"i{next(numbers)}"
        books: dict[str, Any] = {"audit": self.audit, "new_id": self.new_id}
        self.policies = PolicyBook(self.documents, self.clock.utc_now, **books)
        self.grants = GrantBook(self.documents, self.clock.utc_now, **books, limits=limits)
        self.stops = StopBook(self.documents, self.clock.utc_now, **books)
        self.access = self.make_access()

    def make_access(self, facts: Callable[[Channel], ChannelFacts] = facts_of) -> SharingAccess:
        """Make the owner of accesses."""
        return SharingAccess(
            policies=self.policies,
            grants=self.grants,
            stops=self.stops,
            audit=self.audit,
            wall=self.clock.utc_now,
            new_id=self.new_id,
            facts=facts,
            find=lambda device, channel: self.cameras.get((device, channel)),
            now=self.clock.monotonic,
        )

    async def load(self) -> "Office":
        """Read what is kept."""
        await self.policies.load()
        await self.grants.load()
        await self.stops.load()
        return self

    async def apply(self, *parts: str) -> None:
        """Apply a policy made from tables."""
        await self.policies.apply("version = 1\n" + "\n".join(parts), ADMIN)

    @property
    def now(self) -> datetime:
        """Wall clock."""
        return self.clock.utc_now()

    def request(
        self,
        subject: Subject = CITY,
        action: Action = Action.LIVE,
        channel: Channel | None = None,
        **circumstances: Any,
    ) -> AccessRequest:
        """Make a request for a camera, by default camera 1."""
        return AccessRequest(
            subject=subject,
            action=action,
            channel=channel or camera(),
            object_id="3713260000132099999",
            context=context(self.now, **circumstances),
            via="sip",
        )

    def records(self, *kinds: AuditKind) -> list[AuditEntry]:
        """Return what is on record, of some kinds."""
        return [entry for entry in self.audit.entries if entry.kind in kinds]

    @property
    def accesses(self) -> list[AuditEntry]:
        """Records of decisions."""
        return self.records(AuditKind.ACCESS)

    @property
    def ends(self) -> list[AuditEntry]:
        """Records of ends."""
        return self.records(AuditKind.END)


class Viewer:
    """Somebody who watches and stops when told."""

    def __init__(self, office: Office, request: AccessRequest, *, obeys: bool = True) -> None:
        self.told: list[tuple[str, str]] = []
        self._obeys = obeys
        self.access = office.access.open(request, self._stop)

    def _stop(self, code: str, detail: str) -> None:
        self.told.append((code, detail))
        if self._obeys:
            self.access.end(code, detail)

    @property
    def code(self) -> str:
        """What it was told, empty while it watches."""
        return self.told[0][0] if self.told else ""


def application(
    until: datetime | None = None,
    *,
    subject: dict[str, Any] | None = None,
    objects: dict[str, Any] | None = None,
    actions: frozenset[Action] = frozenset({Action.LIVE}),
    **more: Any,
) -> Application:
    """Make an application of the city for a day."""
    return Application.parse(
        subject=subject or {"platforms": [CITY.platform]},
        objects=objects,
        actions=actions,
        until=until or MONDAY + timedelta(days=1),
        **({"purpose": "case 7", "ticket": "T-7"} | more),
    )
