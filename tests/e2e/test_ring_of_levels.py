"""Three gateways by mistake registered in a ring: each item goes round once at most, renamed or not."""

import asyncio
from pathlib import Path

import pytest

from gateway.domain.platform import IdMode, TreeMode
from gateway.simulator.simulator import Simulator
from tests.support.gateway import eventually
from tests.support.levels import VILLAGE, connect, row_of_gateways

CAMERAS = 3
ROUNDS = 4.0
"""Seconds in which the ring goes round many times: changes are told after 0.1 s."""


@pytest.mark.parametrize(
    ("id_mode", "tree"),
    [
        (IdMode.RENAME, TreeMode.KEPT),
        (IdMode.KEEP, TreeMode.KEPT),
        # By division: no platform stands in such a catalogue, so each item tells its way itself.
        (IdMode.RENAME, TreeMode.DIVISION),
    ],
)
async def test_a_ring_of_three_gateways_stays_as_large_as_it_is(
    tmp_path: Path, id_mode: IdMode, tree: TreeMode
) -> None:
    async with row_of_gateways(tmp_path, link={"id_mode": id_mode, "tree": tree}) as row:
        options = row[0].simulator_options(
            server_id=VILLAGE, base_id="37132601001180000001", channels=CAMERAS
        )
        async with Simulator(options) as simulator:
            await simulator.wait_registered()
            await connect(row[2], row[0], id_mode=id_mode, tree=tree)

            def sizes() -> list[int]:
                return [each.gateway.registry.counts()[2] for each in row]

            async def arrived() -> bool:
                return sizes()[2] >= CAMERAS

            await eventually(arrived, 20.0, "the county has the cameras")
            # DeviceInfo, which has a neighbour's mark, may come after its catalogue.
            await asyncio.sleep(ROUNDS)
            before = sizes()
            await asyncio.sleep(ROUNDS)
            assert sizes() == before
            assert max(before) <= 3 * (CAMERAS + 4)
