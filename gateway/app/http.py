"""What HTTP and webhooks are built from."""

from gateway.app.cascade import CascadeParts
from gateway.app.chance import new_id, spread
from gateway.app.sharing import SharingParts
from gateway.config.model import Settings
from gateway.http.options import HttpOptions
from gateway.http.poster import HttpPoster
from gateway.http.shared import SharingDeps
from gateway.registry.registry import DeviceRegistry
from gateway.sessions.control import DeviceControls
from gateway.sharing.webhooks_service import WebhookService
from gb28181.aio.clock import monotonic, utc_now
from gb28181.aio.tasks import TaskScope

__all__ = ["http_options", "sharing_deps", "webhook_service"]


def http_options(settings: Settings) -> HttpOptions:
    """Return the values the HTTP server is tuned by."""
    http, limits = settings.http, settings.limits
    return HttpOptions(
        data_dir=settings.data_dir,
        host=http.host,
        port=http.port,
        admin_token=http.admin_token,
        token_ttl=http.token_ttl,
        play_token_ttl=settings.sharing.play_token_ttl,
        signature_skew=settings.sharing.signature_skew,
        public_url=http.public_url,
        cors_origins=http.cors_origins,
        trusted_proxies=http.trusted_proxies,
        max_viewers=limits.max_viewers,
        max_viewers_per_stream=limits.max_viewers_per_stream,
    )


def sharing_deps(
    sharing: SharingParts,
    cascade: CascadeParts,
    *,
    controls: DeviceControls,
    deliveries: WebhookService,
) -> SharingDeps:
    """Return what handlers need of sharing and cascade.

    Args:
        sharing: Policy, grants, audit, departments, users.
        cascade: Upper platforms.
        controls: Moves cameras.
        deliveries: Webhooks under way.
    """
    return SharingDeps(
        access=sharing.access,
        facts=sharing.facts,
        audit=sharing.audit,
        policies=sharing.policies,
        grants=sharing.grants,
        stops=sharing.stops,
        departments=sharing.departments,
        keys=sharing.keys,
        users=sharing.users,
        logins=sharing.logins,
        webhooks=sharing.webhooks,
        deliveries=deliveries,
        platforms=cascade.platforms,
        links=cascade.links,
        catalogs=cascade,
        controls=controls,
        bridges=cascade.bridges.bridges,
    )


def webhook_service(
    poster: HttpPoster, sharing: SharingParts, registry: DeviceRegistry, scope: TaskScope
) -> WebhookService:
    """Return what delivers webhooks.

    Args:
        poster: Sends.
        sharing: The webhooks and the policy.
        registry: Knows the channels.
        scope: Owner of the tasks.
    """
    return WebhookService(
        book=sharing.webhooks,
        departments=sharing.departments,
        access=sharing.access,
        directory=registry,
        poster=poster,
        scope=scope,
        wall=utc_now,
        now=monotonic,
        new_id=new_id,
        spread=spread,
    )
