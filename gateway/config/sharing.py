"""Sections about sharing: what is asked of lower platforms, given to upper ones, and kept on record."""

from typing import Literal

from pydantic import Field

from gateway.config.base import Section

__all__ = ["AuditSettings", "CascadeSettings", "SharingSettings"]


class CascadeSettings(Section):
    """`[cascade]`: upper platforms, and what we ask of lower ones."""

    name: str = Field(default="", max_length=100)
    """Our platform's name in the catalogues sent up (`平邑县综治平台`); empty: our code."""
    civil_code: str = Field(default="", pattern=r"^([0-9]{2}){0,4}$")
    """Division our platform belongs to, 2 to 8 digits; empty: the first digits of our code."""
    address: str = Field(default="", max_length=200)
    """Where our platform stands, for catalogues."""
    notify_delay: float = Field(default=1.0, ge=0.05, le=60)
    """Seconds for which catalogue changes are gathered before subscribers are told."""
    notify_batch: int = Field(default=100, ge=1, le=10_000)
    """Changes that are told at once without waiting longer."""
    initial_report: bool = True
    """Tell a new subscriber at once what is offline (2022, Annex N)."""
    subscribe_catalog: Literal["platforms", "all", "none"] = "platforms"
    """Whose catalogue we subscribe to so that changes come at once: lower platforms, every device, nobody's."""
    subscribe_alarm: Literal["platforms", "all", "none"] = "platforms"
    """Whose alarms we subscribe to."""
    subscribe_expires: int = Field(default=600, ge=60, le=86_400)
    """Seconds a subscription of ours is asked to last; refreshed before its end."""
    late_offer_transport: Literal["udp", "tcp_passive", "tcp_active"] = "udp"
    """What is offered to an upper's INVITE without SDP."""
    queries_per_minute: int = Field(default=60, ge=1, le=10_000)
    """Queries of one upper platform that are answered in a minute; more are acknowledged and left alone."""
    ptz_hold: float = Field(default=60.0, ge=1, le=600)
    """Seconds after which a camera's motion is stopped if whoever started it says nothing more."""


class SharingSettings(Section):
    """`[sharing]`: the policy and people outside."""

    policy: str = ""
    """Policy file put into force at the start if it is new; empty: only `gateway policy apply` changes the policy."""
    signature_skew: float = Field(default=300.0, ge=1, le=3600)
    """Seconds by which the clock of a department's signed request may differ."""
    play_token_ttl: int = Field(default=60, ge=5, le=3600)
    """Seconds in which a department must use the single-use token in a stream URL."""
    grant_answer_days: int = Field(default=14, ge=1, le=365)
    """Days after which an unanswered application counts as overdue."""
    webhook_private_networks: bool = False
    """Let webhooks go to private, loopback and link-local addresses."""


class AuditSettings(Section):
    """`[audit]`: the record of every access."""

    checkpoint_records: int = Field(default=1000, ge=1, le=1_000_000)
    """Records after which a signed checkpoint is written."""
    checkpoint_interval: float = Field(default=60.0, ge=1, le=86_400)
    """Seconds after which one is written if there was anything new."""
    segment_records: int = Field(default=100_000, ge=100, le=10_000_000)
    """Records per file."""
    retention_days: int = Field(default=200, ge=180, le=36_500)
    """Days for which records are kept; the law asks for six months. Older files leave a stub that proves the chain."""
