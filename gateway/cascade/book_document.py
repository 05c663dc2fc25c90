"""Platform configurations as JSON documents."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from typing import Any

from gateway.domain.platform import (
    Edition,
    IdMode,
    PlatformAddress,
    PlatformConfig,
    TreeMode,
    TreeNode,
)
from gateway.domain.selector import ChannelSelector

__all__ = ["from_document", "selector_from_document", "selector_to_document", "to_document"]

_PLAIN = (
    *("name", "enabled", "transport", "tls_verify", "tls_ca", "domain", "local_id", "username"),
    *("charset", "expires", "keepalive_interval", "keepalive_misses", "retry_delay", "rtcp"),
    *("echo_ssrc", "zone", "require_identity", "catalog_batch", "catalog_push", "max_sessions"),
)
"""Fields kept as they are; the others have a form of their own below, or are not kept."""


def to_document(config: PlatformConfig) -> dict[str, Any]:
    """Return a configuration without its code, which is the key, as plain JSON values."""
    return {
        **{name: getattr(config, name) for name in _PLAIN},
        "addresses": [[item.host, item.port] for item in config.addresses],
        "edition": config.edition.value,
        "id_mode": config.id_mode.value,
        "tree": config.tree.value,
        "trusted_gateways": list(config.trusted_gateways),
        "nodes": [_node_to_document(node) for node in config.nodes],
    }


def from_document(platform_id: str, body: Mapping[str, Any]) -> PlatformConfig:
    """Return the configuration kept under a code; what a document lacks has its default.

    Raises:
        ValueError: A value of an unknown word or the wrong shape.
    """
    config = PlatformConfig(platform_id=platform_id)
    for field in fields(config):
        if field.name in _PLAIN and field.name in body:
            value, usual = body[field.name], field.default
            assert usual is not MISSING
            number = isinstance(usual, float) and isinstance(value, int)
            if not number and type(value) is not type(usual):
                raise ValueError(f"{field.name}: expected {type(usual).__name__}, got {value!r}")
            config = replace(config, **{field.name: type(usual)(value)})
    return replace(
        config,
        addresses=tuple(
            PlatformAddress(str(host), int(port)) for host, port in body.get("addresses", ())
        ),
        edition=Edition(body.get("edition", config.edition)),
        id_mode=IdMode(body.get("id_mode", config.id_mode)),
        tree=TreeMode(body.get("tree", config.tree)),
        trusted_gateways=tuple(map(str, body.get("trusted_gateways", ()))),
        nodes=tuple(_node_from_document(node) for node in body.get("nodes", ())),
        has_password=bool(body.get("password")),
    )


def selector_to_document(selector: ChannelSelector) -> dict[str, list[str]]:
    """Return the fields of a selector that are not empty."""
    return {
        field.name: sorted(getattr(selector, field.name))
        for field in fields(selector)
        if getattr(selector, field.name)
    }


def selector_from_document(body: Mapping[str, Any]) -> ChannelSelector:
    """Return the selector kept in a document.

    Raises:
        ValueError: A field that selectors do not have.
    """
    values: dict[str, Any] = {}
    known = {field.name: field for field in fields(ChannelSelector)}
    for name, items in body.items():
        field = known.get(name)
        if field is None:
            raise ValueError(f"a selector has no field {name[:40]!r}")
        kind = tuple if isinstance(field.default, tuple) else frozenset
        values[name] = kind(map(str, items))
    return ChannelSelector(**values)


def _node_to_document(node: TreeNode) -> dict[str, Any]:
    select = None if node.select is None else selector_to_document(node.select)
    return {
        "node_id": node.node_id,
        "name": node.name,
        "parent_id": node.parent_id,
        "select": select,
    }


def _node_from_document(body: Mapping[str, Any]) -> TreeNode:
    select = body.get("select")
    return TreeNode(
        node_id=str(body["node_id"]),
        name=str(body["name"]),
        parent_id=str(body.get("parent_id", "")),
        select=None if select is None else selector_from_document(select),
    )
