"""What HTTP and webhooks are built from."""

import secrets

from gateway.app.sharing import SharingParts
from gateway.config.model import Settings
from gateway.http.options import HttpOptions
from gateway.http.poster import HttpPoster
from gateway.registry.registry import DeviceRegistry
from gateway.sharing.webhooks_service import WebhookService
from gb28181.aio.clock import monotonic, utc_now
from gb28181.aio.tasks import TaskScope

__all__ = ["http_options", "webhook_service"]


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
        new_id=lambda: secrets.token_hex(8),
        spread=lambda: 0.5 + secrets.randbelow(1 << 30) / (1 << 30),
    )
