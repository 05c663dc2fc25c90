"""What each department of the county demo sees, and what is wrong with the data that came up."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from gateway.cli.api import ApiRefused, segment
from gateway.cli.county_plan import CAMERAS, COUNTY, DEPARTMENTS, TOWNSHIP
from gateway.cli.county_show import Narrator, StepFailed
from gateway.cli.county_site import Caller, Site
from gateway.simulator import Defect

__all__ = ["Sight", "show_findings", "show_sight", "sight_of"]


@dataclass(frozen=True, slots=True)
class Sight:
    """How many cameras a department gets, as its own key is told."""

    listed: int
    live: int
    silent: int
    """It may watch without saying why."""
    ptz: int


async def sight_of(caller: Caller) -> Sight:
    """Ask with a department's own key."""
    return Sight(
        listed=await _count(caller.api),
        live=await _count(caller.api, may="live"),
        silent=await _count(caller.silent, may="live"),
        ptz=await _count(caller.api, may="ptz"),
    )


async def show_sight(site: Site, show: Narrator) -> None:
    """Show the figures of all departments, and that the secret camera is in none of them.

    Raises:
        StepFailed: somebody sees nothing, or too much.
    """
    show.step("county_sight")
    figures = frozenset({1, 2, 3, 4})
    columns = ("county_department", "county_listed", "county_live", "county_silent", "county_ptz")
    table = show.table(*columns, "county_terms", right=figures)
    sights = [
        (department, await sight_of(site.callers[department.code])) for department in DEPARTMENTS
    ]
    for department, sight in sights:
        counts = (sight.listed, sight.live, sight.silent, sight.ptz)
        table.add_row(show.pick(department.names), *map(str, counts), show.pick(department.terms))
    show.show(table)
    blind = [show.pick(department.names) for department, sight in sights if not sight.listed]
    if blind:
        raise StepFailed(show.say("county_blind", names=", ".join(blind)))
    await _show_secret(site, show)


async def _show_secret(site: Site, show: Narrator) -> None:
    _, channel = site.find(Defect.SECRET_CHANNEL)
    code = channel.channel_id
    answers = set()
    for caller in site.callers.values():
        if await _count(caller.api, q=code):
            name = show.pick(caller.department.names)
            raise StepFailed(show.say("county_leaked", code=code, name=name))
        for wanted in (code, f"{code[:-6]}999999"):
            try:
                await caller.api.post(f"channels/{TOWNSHIP.code}/{segment(wanted)}/play")
            except ApiRefused as exc:
                answers.add((exc.status, exc.code))
    if len(answers) != 1:
        raise StepFailed(show.say("county_told_apart", code=code, answers=sorted(answers)))
    ((status, word),) = answers
    show.line("county_secret", code=code, status=status, word=word)


async def show_findings(site: Site, show: Narrator) -> None:
    """Show what is wrong with the data, as the county can tell.

    Raises:
        StepFailed: a seeded defect was not found.
    """
    show.step("county_findings")
    missing = [
        key
        for key, found in (
            ("county_duplicates", await _show_duplicates(site, show)),
            ("county_zeroes", await _show_zeroes(site, show)),
            ("county_dead", await _show_dead(site, show)),
        )
        if not found
    ]
    if missing:
        names = ", ".join(show.say(key) for key in missing)
        raise StepFailed(show.say("county_not_found", names=names))


async def _show_duplicates(site: Site, show: Narrator) -> bool:
    """One code on cameras of two villages: the township gave the second a code of its own."""
    page = await site.nodes[TOWNSHIP.code].api.get(f"platforms/{COUNTY.code}/codes", limit=1000)
    owners: dict[str, list[Any]] = defaultdict(list)
    for item in page["items"]:
        if item["shared"]:
            owners[item["channel_id"]].append(item)
    found = False
    for code, items in owners.items():
        shown = [item["shared_id"] for item in items]
        if len(items) < 2 or not await _all_listed(site, shown):
            continue
        found = True
        names = [show.pick(site.nodes[item["device_id"]].level.names) for item in items]
        show.line(
            "county_duplicate",
            code=code,
            levels=show.say("county_comma").join(names),
        )
        for item, name in zip(items, names, strict=True):
            show.line("county_duplicate_code", level=name, code=item["shared_id"])
    return found


async def _all_listed(site: Site, codes: list[str]) -> bool:
    totals = [await _count(site.county.api, q=code) for code in codes]
    return len(set(codes)) == len(codes) and all(totals)


async def _show_zeroes(site: Site, show: Narrator) -> bool:
    page = await site.county.api.get("channels", kind="camera", limit=min(1000, CAMERAS))
    zeroes = [item for item in page["items"] if item["longitude"] == 0 == item["latitude"]]
    for item in zeroes:
        show.line("county_zero", code=item["channel_id"], name=item["name"])
    return bool(zeroes)


async def _show_dead(site: Site, show: Narrator) -> bool:
    """A camera that the catalogue calls ON and that gives no picture: only asking for one tells."""
    _, channel = site.find(Defect.OFFLINE_CLAIMS_ON)
    code = channel.channel_id
    listed = await site.county.api.get(f"channels/{TOWNSHIP.code}/{code}")
    try:
        await site.county.api.post(f"channels/{TOWNSHIP.code}/{code}/play")
    except ApiRefused as exc:
        status = exc.problem.get("sip_status")
        show.line(
            "county_dead_one",
            code=code,
            name=channel.name,
            claimed="ON" if listed["online"] else "OFF",
            answer=status or exc.code,
        )
        return bool(listed["online"]) and status is not None
    return False


async def _count(api: Any, **query: str) -> int:  # noqa: ANN401 - an Api; JSON
    page = await api.get("channels", kind="camera", limit=1, **query)
    return int(page["total"])
