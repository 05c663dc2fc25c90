"""Sharing behind the HTTP face: the real books and policy engine over doubles of store, SIP and devices."""

import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.cascade.book import PlatformBook
from gateway.cascade.links_trial import TrialReport, TrialStep
from gateway.domain.audit import AuditEntry, AuditKind
from gateway.domain.bridge import BridgeRecord
from gateway.domain.device import TimelineEntry
from gateway.domain.document import SharedId
from gateway.domain.errors import Unavailable
from gateway.domain.platform import (
    LinkState,
    PlatformConfig,
    PlatformEvent,
    PlatformStatus,
)
from gateway.domain.policy import Role, Subject
from gateway.domain.selector import facts_of
from gateway.domain.signalling import Origin
from gateway.domain.store import StoreHealth
from gateway.http.shared import SharingDeps
from gateway.registry.registry import DeviceRegistry
from gateway.sharing.access import SharingAccess
from gateway.sharing.audit.checkpoint import Anchor
from gateway.sharing.audit.log import AuditLog
from gateway.sharing.audit.report import VerifyReport
from gateway.sharing.audit.search import AuditPage, AuditQuery
from gateway.sharing.audit.status import AuditStatus
from gateway.sharing.changelog import ChangeLog
from gateway.sharing.departments import DepartmentBook
from gateway.sharing.grants import GrantBook
from gateway.sharing.keys import IssuedKey, KeyBook, KeySettings, Scope
from gateway.sharing.policy.book import PolicyBook
from gateway.sharing.stops import StopBook
from gateway.sharing.users import UserBook
from gateway.sharing.users_model import User, UserSettings
from gateway.sharing.users_password import PasswordHasher
from gateway.sharing.users_session import SessionBook
from gateway.sharing.webhooks import WebhookBook
from gateway.sharing.webhooks_delivery import DeliveryStatus
from gateway.sharing.webhooks_target import TargetRule
from gateway.store.audit_files import DirectoryAuditFiles
from gb28181.manscdp.control import DeviceControl
from gb28181.manscdp.item import CatalogItem
from gb28181.manscdp.ptz import PtzCommand
from tests.support.platform_book import OWN_ID, UPPER_ID, MemoryDocuments, PlainBox, platform
from tests.support.registry import ManualClock

__all__ = ["BOSS", "USER_PASSWORD", "ScriptedControls", "SharingBench", "sharing_bench"]

USER_PASSWORD = "seven-lamps-on-the-quay"
BOSS = Subject(role=Role.ADMIN.value)


class AuditTee:
    """Keeps every entry at hand, and if there are files in them too."""

    def __init__(self, log: AuditLog | None) -> None:
        self.entries: list[AuditEntry] = []
        self.ok = True
        self._log = log

    @property
    def log(self) -> AuditLog:
        if self._log is None:
            raise Unavailable("audit_unavailable", "this bench has no files of the audit")
        return self._log

    def of(self, *kinds: AuditKind) -> list[AuditEntry]:
        return [entry for entry in self.entries if entry.kind in kinds]

    def record(self, entry: AuditEntry) -> None:
        self.entries.append(entry)
        if self._log is not None:
            self._log.record(entry)

    def health(self) -> StoreHealth:
        return StoreHealth(ok=self.ok, detail="" if self.ok else "the disk is full")

    def status(self) -> AuditStatus:
        return self.log.status()

    def public_keys(self) -> bytes:
        return self.log.public_keys()

    async def search(
        self, query: AuditQuery, *, by: Mapping[str, str] | None = None, source: str = ""
    ) -> AuditPage:
        return await self.log.search(query, by=by, source=source)

    async def export(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        by: Mapping[str, str] | None = None,
        source: str = "",
    ) -> bytes:
        return await self.log.export(since, until, by=by, source=source)

    async def verify(self, *, expect: Anchor | None = None) -> VerifyReport:
        return await self.log.verify(expect=expect)


class ScriptedLinks:
    """Links that are as the test says."""

    def __init__(self, clock: ManualClock) -> None:
        self.statuses: dict[str, PlatformStatus] = {}
        self.tested: list[tuple[PlatformConfig, str | None]] = []
        self.reconnected: list[str] = []
        self.report = TrialReport(
            ok=False,
            steps=(
                TrialStep(address="10.0.0.9:5060", name="connect", at=0.001, ok=True),
                TrialStep(
                    address="10.0.0.9:5060",
                    name="authorize",
                    at=0.05,
                    ok=False,
                    status=401,
                    reason="wrong_password",
                    detail="The platform refused the password",
                ),
            ),
        )
        self._clock = clock

    def status(self, platform_id: str) -> PlatformStatus:
        return self.statuses.get(platform_id, PlatformStatus())

    def online(self, platform_id: str) -> None:
        now = self._clock.utc_now()
        self.statuses[platform_id] = PlatformStatus(
            state=LinkState.ONLINE,
            since=now,
            address="127.0.0.1:5060",
            registered_at=now,
            catalog_items=12,
            subscriptions={"Catalog": now},
            timeline=[TimelineEntry(now, PlatformEvent.REGISTERED, "granted for 3600 s")],
        )

    def reconnect(self, platform_id: str) -> None:
        self.reconnected.append(platform_id)

    async def test(self, config: PlatformConfig, password: str | None = None) -> TrialReport:
        self.tested.append((config, password))
        return self.report


class ScriptedCatalogs:
    """Catalogues that are as the test says."""

    def __init__(self) -> None:
        self.items: list[CatalogItem] = []
        self.given: list[SharedId] = []
        self.asked: list[tuple[PlatformConfig, str | None]] = []

    async def preview(
        self, config: PlatformConfig, root: str | None = None
    ) -> Sequence[CatalogItem]:
        self.asked.append((config, root))
        return self.items

    async def codes(self, platform_id: str) -> Sequence[SharedId]:
        return [item for item in self.given if item.platform_id == platform_id]

    def shared_id(self, platform_id: str, device_id: str, channel_id: str) -> str | None:
        for item in self.given:
            if (item.device_id, item.channel_id) == (device_id, channel_id):
                return item.shared_id
        return None


class ScriptedControls:
    """Cameras that do what they are told."""

    def __init__(self) -> None:
        self.moves: list[tuple[str, str, str, str, float | None]] = []
        self.controls: list[tuple[str, str, str, DeviceControl]] = []
        self.refuse: Exception | None = None

    async def ptz(
        self,
        holder: str,
        device_id: str,
        channel_id: str,
        command: PtzCommand,
        *,
        hold: float | None = None,
        origin: Origin | None = None,
    ) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.moves.append((holder, device_id, channel_id, command.serialize(), hold))

    async def control(
        self,
        holder: str,
        device_id: str,
        channel_id: str,
        control: DeviceControl,
        *,
        origin: Origin | None = None,
    ) -> str:
        if self.refuse is not None:
            raise self.refuse
        self.controls.append((holder, device_id, channel_id, control))
        return "OK" if control.wants_answer else ""


class QuietDeliveries:
    """Webhooks that are only counted."""

    def __init__(self) -> None:
        self.pinged: list[str] = []

    def status(self, hook_id: str) -> DeliveryStatus:
        return DeliveryStatus(waiting=self.pinged.count(hook_id))

    def ping(self, hook_id: str) -> None:
        self.pinged.append(hook_id)


@dataclass
class SharingBench:
    """All of it."""

    audit: AuditTee
    access: SharingAccess
    policies: PolicyBook
    grants: GrantBook
    stops: StopBook
    departments: DepartmentBook
    keys: KeyBook
    users: UserBook
    logins: SessionBook
    webhooks: WebhookBook
    platforms: PlatformBook
    documents: MemoryDocuments
    clock: ManualClock
    links: ScriptedLinks
    catalogs: ScriptedCatalogs = field(default_factory=ScriptedCatalogs)
    controls: ScriptedControls = field(default_factory=ScriptedControls)
    deliveries: QuietDeliveries = field(default_factory=QuietDeliveries)
    bridges: list[BridgeRecord] = field(default_factory=list)

    def deps(self) -> SharingDeps:
        """What the server works with."""
        return SharingDeps(
            access=self.access,
            facts=facts_of,
            audit=self.audit,
            policies=self.policies,
            grants=self.grants,
            stops=self.stops,
            departments=self.departments,
            keys=self.keys,
            users=self.users,
            logins=self.logins,
            webhooks=self.webhooks,
            deliveries=self.deliveries,
            platforms=self.platforms,
            links=self.links,
            catalogs=self.catalogs,
            controls=self.controls,
            bridges=lambda: self.bridges,
        )

    async def apply(self, *rules: str) -> None:
        """Put a policy made from rules into force."""
        await self.policies.apply("version = 1\n" + "\n".join(rules), BOSS)

    async def key(
        self, department: str = "urban", *scopes: Scope, role: str = "", **settings: object
    ) -> IssuedKey:
        """Make a key, and its department if need be; without scopes it has all."""
        chosen = KeySettings(
            name="test",
            scopes=frozenset(scopes or Scope),
            **settings,  # type: ignore[arg-type]
        )
        if role:
            return await self.keys.create(chosen, role=role, by=BOSS)
        if self.departments.find(department) is None:
            await self.departments.save(department, name=department, by=BOSS)
        return await self.keys.create(chosen, department=department, by=BOSS)

    async def user(
        self, name: str = "alice", role: Role = Role.VIEWER, department: str = "", **settings: Any
    ) -> User:
        """Make an account, and its department if need be; its password is `USER_PASSWORD`."""
        if department and self.departments.find(department) is None:
            await self.departments.save(department, name=department, by=BOSS)
        chosen = UserSettings(role=role, department=department, **settings)
        return await self.users.create(name, USER_PASSWORD, chosen, by=BOSS)

    @property
    def accesses(self) -> list[tuple[str, str, str, str]]:
        """(subject, action, result, reason) of every access on record."""
        return [
            (
                entry.subject.get("key", entry.subject.get("user", entry.subject.get("role", "?"))),
                entry.action,
                entry.result,
                entry.reason,
            )
            for entry in self.audit.of(AuditKind.ACCESS)
        ]


@asynccontextmanager
async def sharing_bench(
    registry: DeviceRegistry, clock: ManualClock, files: Path | None = None
) -> AsyncIterator[SharingBench]:
    """Put it together; with `files` there is a real audit in that folder."""
    async with AsyncExitStack() as stack:
        log = None
        if files is not None:
            key = Ed25519PrivateKey.generate()
            log = await stack.enter_async_context(
                AuditLog(DirectoryAuditFiles(files), key=key, wall=clock.utc_now)
            )
        audit, documents, box = AuditTee(log), MemoryDocuments(), PlainBox()
        numbers = itertools.count(1)

        def new_id() -> str:
            return f"i{next(numbers)}"

        changes = ChangeLog(audit, wall=clock.utc_now, new_id=new_id)
        departments = DepartmentBook(documents, changes)
        keys = KeyBook(documents, box=box, departments=departments, changes=changes)
        users = UserBook(
            documents,
            departments=departments,
            keys=keys,
            changes=changes,
            hasher=PasswordHasher(memory_kib=64),
        )
        policies = PolicyBook(documents, clock.utc_now, audit=audit, new_id=new_id)
        grants = GrantBook(documents, clock.utc_now, audit=audit, new_id=new_id)
        stops = StopBook(documents, clock.utc_now, audit=audit, new_id=new_id)
        platforms = PlatformBook(
            documents, box, own_id=OWN_ID, audit=audit, wall=clock.utc_now, new_id=new_id
        )
        bench = SharingBench(
            audit=audit,
            access=SharingAccess(
                policies=policies,
                grants=grants,
                stops=stops,
                audit=audit,
                wall=clock.utc_now,
                new_id=new_id,
                facts=facts_of,
                find=registry.channel,
                now=clock.monotonic,
            ),
            policies=policies,
            grants=grants,
            stops=stops,
            departments=departments,
            keys=keys,
            users=users,
            logins=SessionBook(
                documents,
                users,
                wall=clock.utc_now,
                idle=timedelta(hours=1),
                longest=timedelta(hours=12),
            ),
            webhooks=WebhookBook(
                documents,
                box=box,
                departments=departments,
                changes=changes,
                targets=TargetRule(),
            ),
            platforms=platforms,
            documents=documents,
            clock=clock,
            links=ScriptedLinks(clock),
        )
        await platforms.save(platform(UPPER_ID), "upper-password", by=BOSS)
        audit.entries.clear()
        yield bench
