"""Sharing put together: audit, policy, grants, stop orders, departments and their keys."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from gateway.app.chance import new_id
from gateway.config.model import Settings
from gateway.domain.device import Channel
from gateway.domain.errors import GatewayError
from gateway.domain.policy import Role, Subject
from gateway.registry.registry import DeviceRegistry
from gateway.sharing.access import SharingAccess
from gateway.sharing.audit.chain import SegmentLimits
from gateway.sharing.audit.log import AuditLog
from gateway.sharing.changelog import ChangeLog
from gateway.sharing.departments import DepartmentBook
from gateway.sharing.grants import GrantBook
from gateway.sharing.grants_model import GrantLimits
from gateway.sharing.keys import KeyBook
from gateway.sharing.policy.book import PolicyBook
from gateway.sharing.policy.facts import TreeFacts
from gateway.sharing.policy.load import load_policy
from gateway.sharing.stops import StopBook
from gateway.sharing.users import UserBook
from gateway.sharing.users_session import SessionBook
from gateway.sharing.webhooks import WebhookBook
from gateway.sharing.webhooks_target import TargetRule
from gateway.store.audit_files import DirectoryAuditFiles
from gateway.store.audit_key import open_audit_key
from gateway.store.secretbox import SecretBox
from gateway.store.sql import SqlStore
from gb28181.aio.clock import utc_now

__all__ = ["SharingParts"]

log = structlog.get_logger()

_OURSELVES = Subject(role=Role.ADMIN.value, user="configuration")


class SharingParts:
    """Everything that decides on accesses and keeps record of them; an async context manager.

    Args:
        settings: `[sharing]`, `[audit]` and the data directory.
        store: Keeps documents.
        registry: Finds channels.
        on_crash: Told of crashed tasks.
    """

    def __init__(
        self,
        settings: Settings,
        store: SqlStore,
        registry: DeviceRegistry,
        on_crash: Callable[[str, Exception], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._registry = registry
        self._on_crash = on_crash
        self.targets = TargetRule(local=settings.sharing.webhook_private_networks)
        self.facts = TreeFacts(registry.channel, self._has_network)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _open(self, stack: AsyncExitStack) -> None:
        settings, store = self._settings, self._store
        self.box = await asyncio.to_thread(SecretBox.open, settings.data_dir)
        key = await asyncio.to_thread(open_audit_key, settings.data_dir)
        audit = settings.audit
        self.audit = await stack.enter_async_context(
            AuditLog(
                DirectoryAuditFiles(settings.data_dir / "audit"),
                key=key,
                limits=SegmentLimits(records=audit.segment_records),
                checkpoint_records=audit.checkpoint_records,
                checkpoint_interval=audit.checkpoint_interval,
                retention=timedelta(days=audit.retention_days),
                witness=store,
                on_crash=self._on_crash,
            )
        )
        self.policies = PolicyBook(store, utc_now, audit=self.audit, new_id=new_id)
        self.grants = GrantBook(
            store,
            utc_now,
            audit=self.audit,
            new_id=new_id,
            limits=GrantLimits(answer_within=timedelta(days=settings.sharing.grant_answer_days)),
        )
        self.stops = StopBook(store, utc_now, audit=self.audit, new_id=new_id)
        changes = ChangeLog(self.audit, wall=utc_now, new_id=new_id)
        self.departments = DepartmentBook(store, changes)
        self.keys = KeyBook(store, box=self.box, departments=self.departments, changes=changes)
        self.users = UserBook(store, departments=self.departments, keys=self.keys, changes=changes)
        console = settings.console
        self.logins = SessionBook(
            store,
            self.users,
            wall=utc_now,
            idle=timedelta(minutes=console.idle_minutes),
            longest=timedelta(hours=console.max_hours),
        )
        self.webhooks = WebhookBook(
            store,
            box=self.box,
            departments=self.departments,
            changes=changes,
            targets=self.targets,
        )
        for book in (
            self.policies,
            self.grants,
            self.stops,
            self.departments,
            self.keys,
            self.users,
            self.logins,
            self.webhooks,
        ):
            await book.load()
        self.access = SharingAccess(
            policies=self.policies,
            grants=self.grants,
            stops=self.stops,
            audit=self.audit,
            wall=utc_now,
            new_id=new_id,
            facts=self.facts,
            find=self._channel,
        )
        stack.callback(self.access.close)
        await self._apply_configured()

    def _channel(self, device_id: str, channel_id: str) -> Channel | None:
        return self._registry.channel(device_id, channel_id)

    def _has_network(self, device_id: str) -> bool:
        """Digit 14 is the network in codes of 2022; before it is part of the serial number."""
        device = self._registry.get(device_id)
        return device is not None and device.is_2022

    async def _apply_configured(self) -> None:
        """Put the configured policy file into force if it is new; one that cannot be used leaves what is in force.

        A text that was in force before is not new: what was applied since then, by whatever way, stays.
        """
        path = self._settings.sharing.policy
        if not path:
            return
        try:
            text = await asyncio.to_thread(_read, path)
            digest = (await asyncio.to_thread(load_policy, text, source=path)).digest
            if any(version.digest == digest for version in self.policies.versions()):
                return
            version = await self.policies.apply(
                text, _OURSELVES, f"[sharing] policy = {path}", source=path
            )
        except (OSError, GatewayError) as exc:
            log.error("policy_not_applied", detail=str(exc), path=path)  # noqa: TRY400 - a sentence says it all
        else:
            log.info("policy_in_force", version=version.number, path=path)


def _read(path: str) -> bytes:
    return Path(path).expanduser().read_bytes()
