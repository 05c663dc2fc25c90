"""`gateway demo --county`: a county with its township and villages in one process, and what four departments get."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.context import Cli
from gateway.cli.county_audit import show_audit
from gateway.cli.county_live import Watching
from gateway.cli.county_plan import CAMERAS, DEPARTMENTS, TOWNSHIP, WATCHED
from gateway.cli.county_setup import set_up
from gateway.cli.county_show import Narrator, Steps
from gateway.cli.county_sight import show_findings, show_sight
from gateway.cli.county_site import Site, SiteOptions
from gb28181.aio.clock import monotonic, utc_now
from gb28181.aio.tasks import TaskScope

__all__ = ["CountyDemo", "CountyOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountyOptions:
    """What to show."""

    duration: float = 0.0
    """Seconds to run on after the verdict."""
    codec: str = "h264"
    transport: str = "udp"
    data_dir: Path | None = None
    """Where each run leaves a directory of its own; None: a temporary one."""


class CountyDemo:
    """Runs once; `succeeded` says whether every step did.

    Args:
        cli: Where to, and in which language.
        options: What to show.
    """

    def __init__(self, cli: Cli, options: CountyOptions) -> None:
        self.succeeded = False
        self._show = Narrator(cli)
        self._options = options
        self._steps = Steps(self._show)
        self._records = 0

    async def run(self) -> None:
        """Show everything; a step that fails is named in the verdict, and the others go on."""
        show, began = self._show, monotonic()
        show.title("county_title", cameras=CAMERAS, departments=len(DEPARTMENTS))
        async with AsyncExitStack() as stack:
            if self._options.data_dir is None:
                made = tempfile.TemporaryDirectory(prefix="gateway-county-")
                folder = Path(stack.enter_context(made))
                show.line("county_about", style="dim")
            else:
                folder = self._options.data_dir / f"county-{utc_now():%Y%m%d-%H%M%S}"
                show.line("county_about_kept", style="dim", folder=folder)
            options = SiteOptions(
                folder=folder, codec=self._options.codec, transport=self._options.transport
            )
            site = await stack.enter_async_context(Site(options))
            if await self._steps.take(lambda: set_up(site, show)):
                await self._show_all(site)
            self._judge(monotonic() - began)
            if self.succeeded and self._options.duration:
                await self._run_on(site)
            with show.waiting("county_wait_end"):
                await stack.aclose()
            self._check_left(site)

    async def _show_all(self, site: Site) -> None:
        show = self._show
        await self._steps.take(lambda: show_sight(site, show))
        await self._steps.take(lambda: show_findings(site, show))
        async with TaskScope(self._crashed) as scope:
            watching = Watching(site, show, scope)
            try:
                for step in (watching.watch, watching.move, watching.refuse, watching.stop):
                    await self._steps.take(step)
            finally:
                watching.close()
        await self._steps.take(lambda: self._audit(site))

    async def _audit(self, site: Site) -> None:
        self._records = await show_audit(site, self._show)

    def _crashed(self, name: str, error: Exception) -> None:
        self._steps.fail(f"{name}: {error!r}")

    def _judge(self, seconds: float) -> None:
        show = self._show
        show.out.print()
        self.succeeded = not self._steps.failures
        if self.succeeded:
            key, style = "county_ok", "bold green"
        else:
            key, style = "county_bad", "bold red"
        sentence = show.say(
            key,
            cameras=CAMERAS,
            departments=len(DEPARTMENTS),
            records=self._records,
            seconds=seconds,
            why="; ".join(self._steps.failures),
        )
        show.out.print(sentence, style=style)

    def _check_left(self, site: Site) -> None:
        left = site.leftovers()
        if left:
            self.succeeded = False
            what = ", ".join(f"{count} {name}" for name, count in left.items())
            self._show.out.print(self._show.say("county_left", what=what), style="bold red")

    # Running on

    async def _run_on(self, site: Site) -> None:
        show, county = self._show, site.county
        end = monotonic() + self._options.duration
        show.step("county_running", seconds=self._options.duration)
        show.line("county_api")
        show.raw(f"{county.api.url}/api/openapi.json")
        show.line("county_admin_key")
        show.raw(county.gateway.cli_token)
        show.line("county_console")
        show.raw(f"{county.gateway.http_url}/console/")
        for caller in site.callers.values():
            show.line("county_key", name=show.pick(caller.department.names))
            show.raw(caller.bearer)
        camera = site.recorder.channels[WATCHED].channel_id
        played = await county.api.post(f"channels/{TOWNSHIP.code}/{camera}/play")
        show.line("county_player")
        show.raw(f"{county.gateway.http_url}/player#url={played['urls']['ws_mp4']}")
        show.line("county_try")
        show.raw(f"curl -H 'Authorization: Bearer KEY' '{county.api.url}/api/v1/channels?limit=3'")
        live = show.out.is_terminal
        while (left := end - monotonic()) > 0:
            show.out.print(self._status(site, left), end="\r" if live else "\n")
            await asyncio.sleep(min(left, 1.0 if live else 5.0))
        if live:
            show.out.print()

    def _status(self, site: Site, left: float) -> str:
        counts = [node.gateway.counts() for node in site.nodes.values()]
        records = sum(node.gateway.sharing.audit.status().records for node in site.nodes.values())
        return self._show.say(
            "county_status",
            left=round(left),
            cameras=site.county.cameras,
            online=sum(item["platforms_online"] for item in counts),
            streams=sum(item["sessions"] for item in counts),
            accesses=sum(item["accesses"] for item in counts),
            records=records,
        )
