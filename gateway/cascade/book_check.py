"""What a platform's configuration must be like: one sentence a person can act on for what is not."""

import ipaddress
import math
import re
from collections.abc import Callable
from typing import Final

from gateway.domain.errors import Invalid
from gateway.domain.platform import PlatformConfig, TreeMode, TreeNode
from gb28181.ids import DeviceId, is_device_id, is_region_code

__all__ = [
    "MAX_ADDRESSES",
    "MAX_GATEWAYS",
    "MAX_NODES",
    "check_password",
    "check_platform",
]

MAX_ADDRESSES: Final = 8
"""Addresses of one platform; clusters have two or three."""
MAX_NODES: Final = 5_000
"""Nodes of a custom tree; a county has some 500 villages."""
MAX_DEPTH: Final = 16
"""Levels of a custom tree; the standard's longest path has under ten."""
MAX_GATEWAYS: Final = 64
"""Trusted gateways of one platform; each is a hop or a neighbour."""
MAX_NAME: Final = 128
MAX_PASSWORD: Final = 128
MAX_PATH: Final = 1024
MAX_BATCH: Final = 10_000
"""Items per MESSAGE that the standard allows (N.1)."""

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,62}[A-Za-z0-9])?")
_USER = re.compile(r"[A-Za-z0-9_.~!$&+=-]{1,64}")
_ZONE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CHARSETS = ("GB2312", "GBK", "GB18030", "UTF-8")
_GROUPS = frozenset({215, 216})


def check_platform(config: PlatformConfig, *, own_id: str) -> None:
    """Refuse a configuration that cannot work.

    Args:
        config: The configuration.
        own_id: Our own code, `[sip] id`.

    Raises:
        Invalid: `invalid_platform`, with what was expected and what came.
    """
    for check in _CHECKS:
        check(config)
    _check_loop(config, own_id)


def check_password(password: str) -> None:
    """Refuse a password that cannot be typed at a registrar.

    Raises:
        Invalid: `invalid_platform`; the password is not repeated.
    """
    if len(password) > MAX_PASSWORD or _CONTROL.search(password):
        raise _invalid(
            f"password: expected at most {MAX_PASSWORD} characters, none of them a control character"
        )


def _check_identity(config: PlatformConfig) -> None:
    _expect(is_device_id(config.platform_id), "platform_id", "20 digits", config.platform_id)
    plain = len(config.name) <= MAX_NAME and not _CONTROL.search(config.name)
    _expect(plain, "name", f"at most {MAX_NAME} characters on one line", config.name)
    local = not config.local_id or is_device_id(config.local_id)
    _expect(local, "local_id", "20 digits, or nothing for [sip] id", config.local_id)
    _pattern("domain", config.domain, _DOMAIN, "a SIP domain such as 3713260000")
    _pattern("username", config.username, _USER, "1 to 64 letters, digits or _.~!$&+=-")
    _pattern("zone", config.zone, _ZONE, "1 to 64 letters, digits or . _ -")
    gateways = config.trusted_gateways
    _expect(len(gateways) <= MAX_GATEWAYS, "trusted_gateways", f"at most {MAX_GATEWAYS}", gateways)
    for code in gateways:
        _expect(is_device_id(code), "trusted_gateways", "codes of 20 digits", code)


def _check_addresses(config: PlatformConfig) -> None:
    words = ("UDP", "TCP", "TLS")
    _expect(config.transport in words, "transport", "UDP, TCP or TLS", config.transport)
    path = len(config.tls_ca) <= MAX_PATH and not _CONTROL.search(config.tls_ca)
    _expect(path, "tls_ca", "the path of a PEM file", config.tls_ca)
    addresses = config.addresses
    if config.enabled and not addresses:
        raise _invalid("addresses: expected at least one host and port, got none")
    _expect(len(addresses) <= MAX_ADDRESSES, "addresses", f"at most {MAX_ADDRESSES}", addresses)
    _expect(len(set(addresses)) == len(addresses), "addresses", "each once", addresses)
    for address in addresses:
        _expect(
            _is_host(address.host),
            "addresses",
            "a host name or an IP address one can send to",
            address.host,
        )
        _expect(1 <= address.port <= 65_535, "addresses", "a port of 1 to 65535", address.port)


def _check_numbers(config: PlatformConfig) -> None:
    charsets = ", ".join(_CHARSETS)
    known = not config.charset or config.charset in _CHARSETS
    _expect(known, "charset", f"one of {charsets}, or nothing", config.charset)
    _between("expires", config.expires, 60, 604_800)
    _between("keepalive_interval", config.keepalive_interval, 5, 3600)
    _between("keepalive_misses", config.keepalive_misses, 1, 100)
    _between("retry_delay", config.retry_delay, 1, 3600)
    _between("catalog_batch", config.catalog_batch, 0, MAX_BATCH)
    _between("max_sessions", config.max_sessions, 1, 100_000)


def _check_tree(config: PlatformConfig) -> None:
    nodes = {node.node_id: node for node in config.nodes}
    _expect(len(config.nodes) <= MAX_NODES, "nodes", f"at most {MAX_NODES}", len(config.nodes))
    if config.tree is TreeMode.CUSTOM and not nodes:
        raise _invalid("nodes: a custom tree needs at least one node")
    if len(nodes) != len(config.nodes):
        raise _invalid("nodes: expected each code once")
    for node in config.nodes:
        _check_node(node, nodes)


def _check_node(node: TreeNode, nodes: dict[str, TreeNode]) -> None:
    code = DeviceId(node.node_id)
    _expect(
        is_region_code(node.node_id) or code.type_code in _GROUPS,
        "nodes",
        "a division of 2 to 8 digits, or 20 digits with type 215 or 216",
        node.node_id,
    )
    plain = 0 < len(node.name) <= MAX_NAME and not _CONTROL.search(node.name)
    _expect(plain, f"nodes: name of {node.node_id}", f"1 to {MAX_NAME} characters", node.name)
    if code.type_code == 216 and not node.parent_id:
        raise _invalid(f"nodes: organisation {node.node_id} needs a group or organisation above it")
    parent, seen = node, 0
    while parent.parent_id:
        above = nodes.get(parent.parent_id)
        if above is None:
            raise _invalid(
                f"nodes: {parent.node_id} lies below {parent.parent_id[:40]!r}, which is no node"
            )
        parent, seen = above, seen + 1
        if seen > MAX_DEPTH:
            raise _invalid(
                f"nodes: {node.node_id} lies in a circle, or deeper than {MAX_DEPTH} levels"
            )


def _check_loop(config: PlatformConfig, own_id: str) -> None:
    if config.platform_id == (config.local_id or own_id):
        raise _invalid(
            f"platform_id: {config.platform_id} is the code under which we register ourselves: a loop; "
            "give the platform's own code, or set local_id to another one"
        )


_CHECKS: Final[tuple[Callable[[PlatformConfig], None], ...]] = (
    _check_identity,
    _check_addresses,
    _check_numbers,
    _check_tree,
)


def _is_host(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # Something like 10.0.0.256 is no name either.
        return _HOST.fullmatch(host) is not None and not host.replace(".", "").isdecimal()
    return not (address.is_unspecified or address.is_multicast)


def _between(name: str, value: float, least: float, most: float) -> None:
    usable = math.isfinite(value) and least <= value <= most
    _expect(usable, name, f"{least:g} to {most:g}", value)


def _pattern(name: str, value: str, pattern: re.Pattern[str], expected: str) -> None:
    _expect(not value or pattern.fullmatch(value) is not None, name, expected, value)


def _expect(usable: bool, name: str, expected: str, got: object) -> None:  # noqa: FBT001 - the condition itself
    if not usable:
        raise _invalid(f"{name}: expected {expected}, got {str(got)[:80]!r}")


def _invalid(detail: str) -> Invalid:
    return Invalid("invalid_platform", detail)
