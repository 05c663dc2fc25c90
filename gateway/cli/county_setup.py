"""The county demo comes up: gateways, cameras, the cascade, departments."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.cli.county_plan import (
    CAMERAS,
    COUNTY,
    DEPARTMENTS,
    LEVELS,
    RECORDERS,
    TOWNSHIP,
    Level,
    county_policy,
    upward_policy,
)
from gateway.cli.county_show import Narrator, StepFailed
from gateway.cli.county_site import Site, until
from gateway.simulator import Defect
from gb28181.aio.clock import monotonic

__all__ = ["set_up"]

WAIT = 30.0
"""Seconds that each part may take."""


async def set_up(site: Site, show: Narrator) -> None:
    """Bring everything up, step by step.

    Raises:
        StepFailed: something did not come.
    """
    await _start_gateways(site, show)
    await _start_cameras(site, show)
    await _cascade(site, show)
    await _add_departments(site, show)


async def _start_gateways(site: Site, show: Narrator) -> None:
    show.step("county_gateways", count=len(LEVELS))
    table = show.table("county_level", "county_code", "county_http", "county_sip")
    with show.waiting("county_wait_start"):
        for level in LEVELS:
            node = await site.start_gateway(level)
            table.add_row(
                show.pick(level.names), level.code, node.gateway.http_url, str(node.sip_port)
            )
    show.show(table)


async def _start_cameras(site: Site, show: Narrator) -> None:
    show.step("county_cameras", count=CAMERAS, recorders=len(RECORDERS))
    began = monotonic()
    await site.start_cameras()
    await _in_time(site.registered, show, "county_no_recorders")
    show.line("county_registered", count=len(RECORDERS), seconds=monotonic() - began)
    for level in reversed(LEVELS[1:]):
        count = await _counted(site, show, level, site.simulated(level))
        show.line("county_synced", level=show.pick(level.names), count=count)


async def _cascade(site: Site, show: Narrator) -> None:
    show.step("county_cascade")
    villages = [level for level in LEVELS if level.upper == TOWNSHIP.code]
    secret = sum(len(simulator.find(Defect.SECRET_CHANNEL)) for _, simulator in site.simulators)
    wanted = CAMERAS - secret
    for lowers, upper in ((villages, TOWNSHIP), ([TOWNSHIP], COUNTY)):
        began = monotonic()
        for level in lowers:
            await site.connect(level, upward_policy(level, show.say.language))
        count = await _counted(site, show, upper, wanted)
        show.line(
            "county_joined",
            lower=" + ".join(show.pick(level.names) for level in lowers),
            upper=show.pick(upper.names),
            count=count,
            seconds=monotonic() - began,
        )
    device, channel = site.find(Defect.SECRET_CHANNEL)
    home = next(item for item, found in site.simulators if device in found.devices)
    show.line(
        "county_held_back",
        count=secret,
        level=show.pick(home.level.names),
        code=channel.channel_id,
    )


async def _add_departments(site: Site, show: Narrator) -> None:
    show.step("county_departments", count=len(DEPARTMENTS))
    version = await site.county.api.put(
        "policy", {"text": county_policy(show.say.language), "comment": "demo"}
    )
    facts = await site.county.api.get("policy")
    for department in DEPARTMENTS:
        purpose = show.pick(department.purpose) if department.purpose else ""
        await site.add_department(department, purpose)
    show.line("county_policy", version=version["number"], rules=facts["rules"])
    names = [show.pick(department.names) for department in DEPARTMENTS]
    show.line("county_keys", names=show.say("county_comma").join(names))


async def _counted(site: Site, show: Narrator, level: Level, wanted: int) -> int:
    """Wait until a level's catalogue is complete; return how many cameras it has then."""
    node = site.nodes[level.code]
    name, count = show.pick(level.names), 0
    with show.waiting("county_wait_catalog", level=name, count=0, wanted=wanted) as update:

        async def complete() -> bool:
            nonlocal count
            count = node.cameras
            update(count=count)
            return count >= wanted

        try:
            await until(complete, WAIT)
        except TimeoutError:
            sentence = show.say("county_incomplete", level=name, count=count, wanted=wanted)
            raise StepFailed(sentence) from None
    if count != wanted:
        raise StepFailed(show.say("county_incomplete", level=name, count=count, wanted=wanted))
    return count


async def _in_time(work: Callable[[], Awaitable[None]], show: Narrator, complaint: str) -> None:
    try:
        async with asyncio.timeout(WAIT):
            await work()
    except TimeoutError:
        raise StepFailed(show.say(complaint)) from None
