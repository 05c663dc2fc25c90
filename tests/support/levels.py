"""Gateways in a row in this process: a village, its township, their county."""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.domain.platform import LinkState, PlatformAddress, PlatformConfig
from gateway.domain.policy import Subject
from tests.support.gateway import PASSWORD, RunningGateway, eventually, running_gateway
from tests.support.ports import ROW, as_text

__all__ = ["COUNTY", "POLICY", "TOWNSHIP", "VILLAGE", "connect", "row_of_gateways"]

VILLAGE = "37132601002000000002"
TOWNSHIP = "37132601002000000001"
COUNTY = "37132600002000000001"

POLICY = """
version = 1

[[rule]]
id = "all-platforms"
effect = "allow"
subjects = { platforms = ["*"] }
actions = ["catalog", "live", "ptz", "alarm", "config", "position"]
"""
"""Everything that is not secret, to every platform."""


@asynccontextmanager
async def row_of_gateways(
    folder: Path,
    codes: Sequence[str] = (VILLAGE, TOWNSHIP, COUNTY),
    *,
    link: dict[str, Any] | None = None,
    connected: bool = True,
    **sections: dict[str, Any],
) -> AsyncIterator[list[RunningGateway]]:
    """Run gateways with these codes, lowest first, each registered at the next and sharing everything.

    Args:
        folder: For their data.
        codes: Who they are.
        link: How each is configured at the one below it, as for `connect`.
        connected: False leaves them without links.
        sections: Settings of all.
    """
    async with AsyncExitStack() as stack:
        row: list[RunningGateway] = []
        # The highest first, so that it is left last and answers the others' deregistrations.
        for level, code in reversed(list(enumerate(codes))):
            own = {
                "sip": {"id": code} | sections.get("sip", {}),
                "rtp": {"port_range": as_text(ROW + 200 * level, 200), **sections.get("rtp", {})},
                "cascade": {"notify_delay": 0.1} | sections.get("cascade", {}),
            }
            others = {name: values for name, values in sections.items() if name not in own}
            data = folder / code
            gateway = await stack.enter_async_context(running_gateway(data, **own, **others))
            row.insert(0, gateway)
        for lower, upper in itertools.pairwise(row if connected else ()):
            await connect(lower, upper, **(link or {}))
        yield row


async def connect(
    lower: RunningGateway,
    upper: RunningGateway,
    *,
    via: tuple[str, int] | None = None,
    **fields: Any,
) -> PlatformConfig:
    """Make one gateway a lower platform of another, with a policy that shares everything.

    Args:
        lower: The lower one.
        upper: The upper one.
        via: Address that leads to it; None is its own.
        fields: Of its configuration.
    """
    await lower.gateway.policies.apply(POLICY, Subject(role="admin"), comment="share everything")
    transport = fields.get("transport", "UDP")
    address = via or ("127.0.0.1", upper.sip_port(transport))
    config = PlatformConfig(
        platform_id=upper.gateway.settings.sip.id,
        addresses=(PlatformAddress(*address),),
        **fields,
    )
    await lower.gateway.platforms.save(config, PASSWORD)

    async def online() -> bool:
        status = lower.gateway.links.status(config.platform_id)
        return status.state is LinkState.ONLINE

    await eventually(online, 10.0, f"the registration of {lower.gateway.settings.sip.id}")
    return replace(config, has_password=True)
