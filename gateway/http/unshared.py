"""Stands in where sharing is not put together yet: our own people may do all, nobody else anything."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from gateway.cascade.book import PlatformBook
from gateway.cascade.links_trial import TrialReport
from gateway.domain.audit import AuditEntry
from gateway.domain.document import SharedId
from gateway.domain.errors import Unavailable
from gateway.domain.platform import PlatformConfig, PlatformStatus
from gateway.domain.selector import facts_of
from gateway.domain.store import StoreHealth
from gateway.http.shared import SharingDeps
from gateway.sharing.access import SharingAccess
from gateway.sharing.audit.checkpoint import Anchor
from gateway.sharing.audit.report import VerifyReport
from gateway.sharing.audit.search import AuditPage, AuditQuery
from gateway.sharing.audit.status import AuditStatus
from gateway.sharing.changelog import ChangeLog
from gateway.sharing.departments import DepartmentBook
from gateway.sharing.grants import GrantBook
from gateway.sharing.keys import KeyBook
from gateway.sharing.policy.book import PolicyBook
from gateway.sharing.stops import StopBook
from gateway.sharing.webhooks import WebhookBook
from gateway.sharing.webhooks_delivery import DeliveryStatus
from gateway.sharing.webhooks_target import TargetRule
from gb28181.aio.clock import utc_now
from gb28181.manscdp.control import DeviceControl
from gb28181.manscdp.item import CatalogItem
from gb28181.manscdp.ptz import PtzCommand

__all__ = ["make"]


def make() -> SharingDeps:
    """Return the stand-in."""
    nothing = _Nothing()
    changes = ChangeLog(nothing, wall=utc_now, new_id=_new_id)
    departments = DepartmentBook(nothing, changes)
    policies = PolicyBook(nothing, utc_now, audit=nothing, new_id=_new_id)
    grants = GrantBook(nothing, utc_now, audit=nothing, new_id=_new_id)
    stops = StopBook(nothing, utc_now, audit=nothing, new_id=_new_id)
    return SharingDeps(
        access=SharingAccess(
            policies=policies,
            grants=grants,
            stops=stops,
            audit=nothing,
            wall=utc_now,
            new_id=_new_id,
            facts=facts_of,
        ),
        facts=facts_of,
        audit=nothing,
        policies=policies,
        grants=grants,
        stops=stops,
        departments=departments,
        keys=KeyBook(nothing, box=nothing, departments=departments, changes=changes),
        webhooks=WebhookBook(
            nothing, box=nothing, departments=departments, changes=changes, targets=TargetRule()
        ),
        deliveries=nothing,
        platforms=PlatformBook(
            nothing, nothing, own_id="", audit=nothing, wall=utc_now, new_id=_new_id
        ),
        links=_NoLinks(),
        catalogs=nothing,
        controls=nothing,
    )


def _new_id() -> str:
    return secrets.token_hex(8)


def _missing() -> NoReturn:
    raise Unavailable("not_shared", "This gateway shares nothing")


class _NoLinks:
    def status(self, platform_id: str) -> PlatformStatus:
        return PlatformStatus()

    def reconnect(self, platform_id: str) -> None:
        _missing()

    async def test(self, config: PlatformConfig, password: str | None = None) -> TrialReport:
        _missing()


class _Nothing:
    """Keeps nothing."""

    def record(self, entry: AuditEntry) -> None:
        return None

    def health(self) -> StoreHealth:
        return StoreHealth(ok=True)

    def seal(self, text: str) -> str:
        return text

    def unseal(self, sealed: str) -> str:
        return sealed

    async def load_documents(self, collection: str) -> dict[str, dict[str, Any]]:
        return {}

    def save_document(
        self, collection: str, key: str, body: Mapping[str, Any]
    ) -> asyncio.Future[None]:
        _missing()

    def delete_document(self, collection: str, key: str) -> asyncio.Future[None]:
        _missing()

    def status(self, hook_id: str = "") -> Any:  # noqa: ANN401 - two ports at once
        return DeliveryStatus() if hook_id else _no_audit()

    def ping(self, hook_id: str) -> None:
        return None

    def public_keys(self) -> bytes:
        _missing()

    async def search(
        self, query: AuditQuery, *, by: Mapping[str, str] | None = None, source: str = ""
    ) -> AuditPage:
        _missing()

    async def export(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        by: Mapping[str, str] | None = None,
        source: str = "",
    ) -> bytes:
        _missing()

    async def verify(self, *, expect: Anchor | None = None) -> VerifyReport:
        _missing()

    async def preview(
        self, config: PlatformConfig, root: str | None = None
    ) -> Sequence[CatalogItem]:
        _missing()

    async def codes(self, platform_id: str) -> Sequence[SharedId]:
        _missing()

    def shared_id(self, platform_id: str, device_id: str, channel_id: str) -> str | None:
        return None

    async def ptz(
        self,
        holder: str,
        device_id: str,
        channel_id: str,
        command: PtzCommand,
        *,
        hold: float | None = None,
    ) -> None:
        _missing()

    async def control(
        self, holder: str, device_id: str, channel_id: str, control: DeviceControl
    ) -> str:
        _missing()


def _no_audit() -> AuditStatus:
    _missing()
