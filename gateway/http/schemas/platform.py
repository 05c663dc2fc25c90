"""Bodies about upper platforms."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field

from gateway.cascade.links_trial import TrialReport
from gateway.domain.platform import (
    Edition,
    IdMode,
    PlatformAddress,
    PlatformConfig,
    PlatformStatus,
    TreeMode,
    TreeNode,
)
from gateway.http.schemas.base import InModel, OutModel, PageQuery, Text
from gateway.http.schemas.subject import SelectorIn
from gateway.sharing.policy.clause import parse_selector, selector_fields
from gb28181.manscdp.item import CatalogItem, sent_fields

__all__ = [
    "CodeList",
    "CodeOut",
    "CodeQuery",
    "ItemList",
    "ItemOut",
    "PlatformChangeIn",
    "PlatformIn",
    "PlatformList",
    "PlatformOut",
    "PlatformQuery",
    "PreviewQuery",
    "TestIn",
    "TreeIn",
    "TreeOut",
    "TrialOut",
]

MAX_NODES = 5_000


class AddressIO(InModel):
    """Where a platform listens."""

    host: str = Field(max_length=253)
    port: int = Field(ge=1, le=65_535)


class TreeNodeIn(InModel):
    """One node of a custom tree."""

    node_id: str = Field(max_length=20)
    """A division of 2 to 8 digits, a business group (type 215) or an organisation (216)."""
    name: str = Field(max_length=128)
    parent_id: str = Field(default="", max_length=20)
    """Node above; empty: directly below the platform."""
    select: SelectorIn | None = None
    """Channels placed here; null places none."""

    def node(self) -> TreeNode:
        """Convert it.

        Raises:
            PolicyError: a selector cannot be used.
        """
        select = None if self.select is None else parse_selector(self.select.given())
        return TreeNode(
            node_id=self.node_id, name=self.name, parent_id=self.parent_id, select=select
        )


class TreeIn(InModel):
    """How the catalogue sent up is arranged."""

    tree: TreeMode
    nodes: list[TreeNodeIn] = Field(default_factory=list, max_length=MAX_NODES)
    """Of a custom tree."""

    def changes(self) -> dict[str, Any]:
        """Return what it means for a configuration."""
        return {"tree": self.tree, "nodes": tuple(node.node() for node in self.nodes)}


class PlatformChangeIn(InModel):
    """What to change about a platform; absent fields stay."""

    name: str = Field(default="", max_length=128)
    enabled: bool = True
    addresses: list[AddressIO] = Field(default_factory=list, max_length=8)
    """Tried in order."""
    transport: Literal["UDP", "TCP", "TLS"] = "UDP"
    tls_verify: bool = True
    tls_ca: str = Field(default="", max_length=1024)
    """PEM file on the gateway's machine; empty: the system's authorities."""
    domain: str = Field(default="", max_length=64)
    """SIP domain; empty: the first ten digits of its code."""
    local_id: str = Field(default="", max_length=20)
    """Code under which we register; empty: `[sip] id`."""
    username: str = Field(default="", max_length=64)
    """Digest user; empty: `local_id`."""
    password: str | None = Field(default=None, max_length=128, repr=False)
    """Null leaves the one it has, empty removes it; never shown."""
    edition: Edition = Edition.V2016
    charset: str = Field(default="", max_length=16)
    """Empty: the edition's."""
    expires: int = Field(default=86_400, ge=1, le=2_592_000)
    keepalive_interval: float = Field(default=60.0, gt=0, le=86_400)
    keepalive_misses: int = Field(default=3, ge=1, le=1000)
    retry_delay: float = Field(default=60.0, gt=0, le=86_400)
    rtcp: bool = False
    echo_ssrc: bool = True
    """Use the y= of the upper's offer where it is free."""
    zone: str = Field(default="", max_length=64)
    """Network zone of the link, for the policy."""
    require_identity: bool = False
    """Refuse requests without Monitor-User-Identity."""
    trusted_gateways: list[str] = Field(default_factory=list, max_length=64)
    id_mode: IdMode = IdMode.KEEP
    tree: TreeMode = TreeMode.KEPT
    nodes: list[TreeNodeIn] = Field(default_factory=list, max_length=MAX_NODES)
    catalog_batch: int = Field(default=0, ge=0, le=10_000)
    """Items per MESSAGE; 0: as many as fit the transport."""
    catalog_push: bool = False
    """Send changes even without a subscription."""
    max_sessions: int = Field(default=500, ge=1, le=100_000)

    def merged(self, config: PlatformConfig) -> PlatformConfig:
        """Return a configuration with what was given changed.

        Raises:
            PolicyError: a selector cannot be used.
        """
        given = self.model_fields_set - {"password"}
        values: dict[str, Any] = {name: self._value(name) for name in given}
        return replace(config, **values)

    def _value(self, name: str) -> object:
        value = getattr(self, name)
        match name:
            case "addresses":
                return tuple(PlatformAddress(item.host, item.port) for item in self.addresses)
            case "nodes":
                return tuple(node.node() for node in self.nodes)
            case "trusted_gateways":
                return tuple(self.trusted_gateways)
            case _:
                return value


class PlatformIn(PlatformChangeIn):
    """A platform as it shall be; absent fields have their default."""

    def config(self, platform_id: str) -> PlatformConfig:
        """Convert it.

        Raises:
            PolicyError: a selector cannot be used.
        """
        return self.merged(PlatformConfig(platform_id=platform_id))


class TestIn(PlatformChangeIn):
    """What to try: a configuration that is not kept; absent fields are as they are kept, or have their default."""

    __test__ = False


class TreeNodeOut(OutModel):
    """One node of a custom tree."""

    node_id: Text
    name: Text
    parent_id: Text
    select: dict[Text, list[Text]] | None

    @classmethod
    def of(cls, node: TreeNode) -> Self:
        """Convert a node."""
        select = None if node.select is None else selector_fields(node.select)
        return cls(node_id=node.node_id, name=node.name, parent_id=node.parent_id, select=select)


class TreeOut(OutModel):
    """How the catalogue sent up is arranged."""

    tree: TreeMode
    nodes: list[TreeNodeOut]

    @classmethod
    def of(cls, config: PlatformConfig) -> Self:
        """Convert a configuration."""
        return cls(tree=config.tree, nodes=[TreeNodeOut.of(node) for node in config.nodes])


class PlatformStatusOut(OutModel):
    """How a platform's link is now."""

    state: Text
    """`disabled`, `connecting`, `registering`, `online` or `waiting`."""
    reason: Text
    """Why it is not online."""
    detail: Text
    since: datetime | None
    address: Text
    """`host:port` in use."""
    registered_at: datetime | None
    expires_at: datetime | None
    last_keepalive_at: datetime | None
    misses: int
    next_try_at: datetime | None
    catalog_items: int | None
    """Items the platform would get now."""
    subscriptions: dict[Text, datetime]
    """Expiry of each running subscription by kind."""
    sessions: int


class AddressOut(OutModel):
    """Where a platform listens."""

    host: Text
    port: int


class PlatformOut(OutModel):
    """An upper or neighbouring platform, without its password."""

    platform_id: Text
    name: Text
    enabled: bool
    addresses: list[AddressOut]
    transport: Text
    tls_verify: bool
    tls_ca: Text
    domain: Text
    local_id: Text
    username: Text
    has_password: bool
    edition: Edition
    charset: Text
    expires: int
    keepalive_interval: float
    keepalive_misses: int
    retry_delay: float
    rtcp: bool
    echo_ssrc: bool
    zone: Text
    require_identity: bool
    trusted_gateways: list[Text]
    id_mode: IdMode
    tree: TreeMode
    nodes: int
    """Nodes of its custom tree; see `tree`."""
    catalog_batch: int
    catalog_push: bool
    max_sessions: int
    status: PlatformStatusOut

    @classmethod
    def of(cls, config: PlatformConfig, status: PlatformStatus) -> Self:
        """Convert a platform."""
        values: dict[str, Any] = {item.name: getattr(config, item.name) for item in fields(config)}
        values |= {
            "addresses": [AddressOut.model_validate(item) for item in config.addresses],
            "trusted_gateways": list(config.trusted_gateways),
            "nodes": len(config.nodes),
        }
        return cls(**values, status=PlatformStatusOut.model_validate(status))


class PlatformList(OutModel):
    """Platforms, by code."""

    items: list[PlatformOut]
    total: int


class PlatformQuery(PageQuery):
    """Which platforms."""

    q: str = Field(default="", max_length=200)
    """Part of the code or name."""
    state: str = Field(default="", max_length=20)


class TrialStepOut(OutModel):
    """One thing that was tried."""

    address: Text
    name: Text
    """`connect`, `register`, `authorize`, `keepalive`, `deregister`."""
    at: float
    """Seconds after the start at which it was done."""
    ok: bool
    status: int | None
    """SIP status that came, if one did."""
    reason: Text
    detail: Text
    """What came, and what to do."""


class TrialOut(OutModel):
    """What became of a dry registration."""

    ok: bool
    steps: list[TrialStepOut]
    granted: int | None
    """Seconds granted."""
    clock_offset: float | None
    """Seconds by which the platform's clock is ahead of ours."""

    @classmethod
    def of(cls, report: TrialReport) -> Self:
        """Convert a report."""
        return cls.model_validate(report)


class PreviewQuery(PageQuery):
    """Which part of a catalogue."""

    root: str | None = Field(default=None, max_length=20)
    """Only below this node or item."""


class ItemOut(OutModel):
    """One item as the platform would get it; what is not in `fields` is not sent."""

    device_id: Text
    name: Text
    parent_id: Text
    status: Text
    fields: dict[Text, Text]
    """The other fields, by their names in snake case."""

    @classmethod
    def of(cls, item: CatalogItem, edition: Edition) -> Self:
        """Convert an item.

        Args:
            item: The item.
            edition: What the platform speaks: it decides which fields are sent.
        """
        sent: dict[str, str] = {}
        for name in sorted(sent_fields(item, edition.value)):
            value = getattr(item, name)
            if value not in ("", None):
                sent[name] = value.isoformat() if isinstance(value, datetime) else str(value)
        return cls(
            device_id=sent.pop("device_id", item.device_id),
            name=sent.pop("name", ""),
            parent_id=sent.pop("parent_id", ""),
            status=sent.pop("status", ""),
            fields=sent,
        )


class ItemList(OutModel):
    """A page of the catalogue that would be sent: parents before children, our own platform first."""

    items: list[ItemOut]
    total: int


class CodeOut(OutModel):
    """Under which code a platform knows an item."""

    shared_id: Text
    device_id: Text
    """Empty for an item of our own."""
    channel_id: Text
    name: Text
    shared: bool
    """Whether the platform sees it now; codes are kept for ever."""


class CodeList(OutModel):
    """A page of codes, by code."""

    items: list[CodeOut]
    total: int


class CodeQuery(PageQuery):
    """Which codes."""

    q: str = Field(default="", max_length=64)
    """Part of the platform's code or of our own."""
