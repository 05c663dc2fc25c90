"""What is wrong with sharing: nothing recorded, no policy, platforms away, answers due."""

from collections.abc import Iterator
from datetime import datetime

from gateway.domain.platform import LinkState
from gateway.http.schemas.system import TroubleOut
from gateway.http.shared import SharingDeps
from gateway.sharing.grants import GrantState

__all__ = ["sharing_troubles"]


def sharing_troubles(sharing: SharingDeps, now: datetime) -> Iterator[TroubleOut]:
    """Look at all of sharing once."""
    health = sharing.audit.health()
    if not health.ok:
        yield TroubleOut(
            severity="error",
            code="audit_unavailable",
            subject="audit",
            since=health.since,
            count=1,
            detail=f"{health.detail}; nothing is given to anybody outside",
        )
    if sharing.policies.problem:
        yield TroubleOut(
            severity="error",
            code="policy_unusable",
            subject="policy",
            since=None,
            count=1,
            detail=sharing.policies.problem,
        )
    yield from _platform_troubles(sharing)
    yield from _hook_troubles(sharing)
    yield from _grant_troubles(sharing, now)


def _platform_troubles(sharing: SharingDeps) -> Iterator[TroubleOut]:
    for config in sharing.platforms.list():
        status = sharing.links.status(config.platform_id)
        # One that is just connecting has not failed.
        if status.state is LinkState.WAITING:
            yield TroubleOut(
                severity="warning",
                code=status.reason or "platform_offline",
                subject=config.platform_id,
                since=status.since,
                count=1,
                detail=f"{config.name or 'Platform'}: {status.detail}",
            )


def _hook_troubles(sharing: SharingDeps) -> Iterator[TroubleOut]:
    for hook in sharing.webhooks.all():
        if hook.reason:
            yield TroubleOut(
                severity="warning",
                code="webhook_disabled",
                subject=hook.hook_id,
                since=None,
                count=1,
                detail=f"Webhook of department {hook.department}: {hook.reason}",
            )


def _grant_troubles(sharing: SharingDeps, now: datetime) -> Iterator[TroubleOut]:
    overdue = [g for g in sharing.grants.list(state=GrantState.APPLIED) if g.is_overdue(now)]
    if overdue:
        yield TroubleOut(
            severity="warning",
            code="grants_overdue",
            subject="grants",
            since=min(grant.answer_by for grant in overdue),
            count=len(overdue),
            detail=f"{len(overdue)} applications should have been answered",
        )
    unseen = [g for g in sharing.grants.list() if g.emergency and not g.reviewed_by]
    over = [grant for grant in unseen if grant.state.is_over]
    if over:
        yield TroubleOut(
            severity="warning",
            code="emergencies_unreviewed",
            subject="grants",
            since=min(grant.applied_at for grant in over),
            count=len(over),
            detail=f"{len(over)} emergency grants are over and were not reviewed",
        )
