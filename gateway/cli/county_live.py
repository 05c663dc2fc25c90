"""The county demo with a picture: watched through three levels, moved, refused, stopped by force."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gateway.cli.api import ApiRefused
from gateway.cli.county_plan import GOVERNANCE, POLICE, TOWNSHIP, URBAN, WATCHED
from gateway.cli.county_show import Narrator, StepFailed
from gateway.cli.county_site import Caller, Node, Site, until
from gateway.cli.county_viewer import ByteViewer, Player
from gateway.domain.device import CatalogDiff
from gateway.simulator import ReceivedControl
from gb28181.aio.clock import monotonic
from gb28181.aio.tasks import TaskScope

__all__ = ["Watching"]

WAIT = 15.0
"""Seconds for a picture."""
PICTURES = 25
SUB_PICTURES = 10
PAN, TILT = 48, 16
MOVE_FOR = 1.5
"""Seconds for which the camera is moved."""
STOP_LIMIT = 5.0
"""Seconds in which a forced stop must have ended a stream."""
_STAGES = ("answered", "first_packet")


class Watching:
    """One camera of a village, watched from the county by several departments.

    Args:
        site: The county.
        show: Says what happens.
        scope: Owner of the viewer's task.
    """

    def __init__(self, site: Site, show: Narrator, scope: TaskScope) -> None:
        self._site = site
        self._show = show
        self._scope = scope
        self._camera = site.recorder.channels[WATCHED]
        self._path = f"channels/{TOWNSHIP.code}/{self._camera.channel_id}"
        self._players: list[Player] = []
        self._bytes: ByteViewer | None = None

    def close(self) -> None:
        """Leave."""
        for player in self._players:
            player.close()

    # Watching

    async def watch(self) -> None:
        """Let three departments watch: two the main stream, one the sub stream.

        Raises:
            StepFailed: a picture did not come.
        """
        show, code = self._show, self._camera.channel_id
        show.step("county_watch")
        show.line("county_camera", code=code, name=self._camera.name)
        began = monotonic()
        played = await self._site.callers[POLICE.code].api.post(f"{self._path}/play")
        main = await self._decoded(played["urls"]["mp4"], PICTURES, POLICE.names)
        await self._show_stages(played["session_id"])
        first = main.result.first_picture or began
        self._show_picture(POLICE.names, main, "county_main", first - began)
        await self._join_by_bytes()
        await self._watch_sub_stream()
        sessions = sorted(self._site.recorder.sessions)
        show.line("county_pulls", viewers=len(self._players) + 1, pulls=len(sessions))
        if len(sessions) != 2:
            raise StepFailed(show.say("county_pulled", pulls=len(sessions)))

    async def _decoded(self, url: str, wanted: int, names: Any) -> Player:  # noqa: ANN401 - by language
        player = Player(url, wanted)
        self._players.append(player)
        if not await player.enough(WAIT):
            result = player.result
            why = result.error or f"{result.frames}/{wanted}"
            raise StepFailed(
                self._show.say("county_no_picture", name=self._show.pick(names), why=why)
            )
        return player

    async def _show_stages(self, session_id: str) -> None:
        stages = (await self._site.county.api.get(f"sessions/{session_id}"))["stages"]
        values = {name: round(stages.get(name, 0) * 1000) for name in _STAGES}
        self._show.line("county_stages", **values)

    def _show_picture(self, names: Any, player: Player, key: str, after: float) -> None:  # noqa: ANN401
        result = player.result
        self._show.line(
            "county_picture",
            name=self._show.pick(names),
            stream=self._show.say(key),
            codec=result.codec,
            size=f"{result.width}x{result.height}",
            fps=f"{result.fps:.0f}",
            frames=result.frames,
            seconds=after,
        )

    async def _join_by_bytes(self) -> None:
        """A second department joins the running stream; its bytes are timed."""
        caller = self._site.callers[GOVERNANCE.code]
        played = await caller.api.post(f"{self._path}/play")
        viewer = self._bytes = ByteViewer(played["urls"]["ws_flv"])
        self._scope.spawn(viewer.run(), name="county-viewer")

        async def flows() -> bool:
            return viewer.count > 0 or viewer.over.is_set()

        await until(flows, WAIT, 0.02)
        name = self._show.pick(GOVERNANCE.names)
        if viewer.over.is_set():
            raise StepFailed(self._show.say("county_no_picture", name=name, why=viewer.reason))
        purpose = self._show.pick(GOVERNANCE.purpose or {})
        self._show.line("county_joined_viewer", name=name, purpose=purpose)

    async def _watch_sub_stream(self) -> None:
        caller = self._site.callers[URBAN.code]
        began = monotonic()
        played = await caller.api.post(f"{self._path}/play")
        player = await self._decoded(played["urls"]["mp4"], SUB_PICTURES, URBAN.names)
        first = player.result.first_picture or began
        self._show_picture(URBAN.names, player, "county_sub", first - began)
        main = self._players[0].result
        if played["stream"] != 1 or player.result.width >= main.width:
            raise StepFailed(self._show.say("county_not_sub", width=player.result.width))

    # Moving

    async def move(self) -> None:
        """Move the camera from the county, and see what it was told.

        Raises:
            StepFailed: nothing arrived.
        """
        show, recorder, code = self._show, self._site.recorder, self._camera.channel_id
        show.step("county_move")
        police = self._site.callers[POLICE.code].api
        seen = len(recorder.controls)
        before = recorder.controller.position(code)
        began = monotonic()
        sent = await police.post(
            f"{self._path}/ptz", {"command": "move", "pan": PAN, "tilt": TILT, "hold_s": 10}
        )
        control = await self._control_after(seen)
        show.line(
            "county_moved",
            name=show.pick(POLICE.names),
            pan=PAN,
            tilt=TILT,
            frame=sent["frame"],
        )
        show.line(
            "county_received",
            frame=control.frame,
            ms=(control.at - began) * 1000,
        )
        if control.frame != sent["frame"] or control.channel_id != code:
            raise StepFailed(show.say("county_other_frame", frame=control.frame))
        await asyncio.sleep(MOVE_FOR)
        seen = len(recorder.controls)
        await police.post(f"{self._path}/ptz", {"command": "stop"})
        control = await self._control_after(seen)
        after = recorder.controller.position(code)
        show.line(
            "county_stood",
            frame=control.frame,
            seconds=MOVE_FOR,
            pan=before.pan,
            pan_after=after.pan,
            tilt=before.tilt,
            tilt_after=after.tilt,
        )
        if after == before:
            raise StepFailed(show.say("county_unmoved"))

    async def _control_after(self, count: int) -> ReceivedControl:
        recorder = self._site.recorder

        async def came() -> list[ReceivedControl]:
            return recorder.controls[count:]

        try:
            found: list[ReceivedControl] = await until(came, 5.0, 0.005)
        except TimeoutError:
            raise StepFailed(self._show.say("county_no_control")) from None
        return found[0]

    # Refusing

    async def refuse(self) -> None:
        """Let departments try what is not theirs.

        Raises:
            StepFailed: it was allowed.
        """
        show = self._show
        show.step("county_refuse")
        urban, governance = self._site.callers[URBAN.code], self._site.callers[GOVERNANCE.code]
        move = {"command": "move", "pan": PAN}
        refusal = await self._refusal(urban.api.post(f"{self._path}/ptz", move))
        self._show_refusal("county_try_move", urban, refusal)
        await self._explain(urban, "ptz")
        refusal = await self._refusal(governance.silent.post(f"{self._path}/play"))
        self._show_refusal("county_try_silent", governance, refusal)
        await self._explain(governance, "live")

    async def _refusal(self, attempt: Any) -> ApiRefused:  # noqa: ANN401 - an awaitable
        try:
            await attempt
        except ApiRefused as exc:
            return exc
        raise StepFailed(self._show.say("county_not_refused"))

    def _show_refusal(self, key: str, caller: Caller, refusal: ApiRefused) -> None:
        show = self._show
        show.line(key, name=show.pick(caller.department.names))
        show.line("county_refusal", status=refusal.status, detail=refusal.detail, word=refusal.code)

    async def _explain(self, caller: Caller, action: str) -> None:
        """Show what the administrator is told and the department is not: the rule that decided."""
        explained = await self._site.county.api.post(
            "policy/explain",
            {
                "subject": {"department": caller.department.code},
                "action": action,
                "device_id": TOWNSHIP.code,
                "channel_id": self._camera.channel_id,
            },
        )
        decision = explained["decision"]
        rule, sentence = decision["rule"], str(decision["detail"])
        line = next((step["line"] for step in explained["trace"] if step["rule_id"] == rule), None)
        if decision["allowed"] or line is None:
            raise StepFailed(self._show.say("county_not_refused"))
        why = sentence.partition(": ")[2] or sentence
        self._show.line("county_decided", rule=rule, line=line, why=why)

    # Stopping

    async def stop(self) -> None:
        """Let the village stop its camera by force, and take it back.

        Raises:
            StepFailed: the stream went on, or the catalogue kept the camera.
        """
        show, code = self._show, self._camera.channel_id
        level = self._site.simulators[0][0].level
        village = self._site.nodes[level.code]
        show.step("county_stop", level=show.pick(level.names))
        viewer = self._bytes
        if viewer is None or viewer.over.is_set():
            raise StepFailed(show.say("county_nobody_watches"))
        with _changes_of(self._site.county, code) as changes:
            began = monotonic()
            order = await village.api.post(
                "stops", {"objects": {"channels": [code]}, "reason": "演练: 强制停止共享"}
            )
            await self._within(viewer.over.wait, "county_goes_on")
            gone = await self._changed(changes, "removed", "county_kept")
            show.line("county_ordered", name=show.pick(level.names), code=code)
            last, closed = viewer.last_byte - began, viewer.closed_at - began
            key = "county_last_byte" if last > 0 else "county_no_byte"
            show.line(key, last=last * 1000, closed=closed * 1000, limit=STOP_LIMIT)
            show.line("county_deleted", ms=(gone - began) * 1000)
            began = monotonic()
            await village.api.post(f"stops/{order['stop_id']}/lift", {"reason": "演练结束"})
            back = await self._changed(changes, "added", "county_not_back")
            show.line("county_back", ms=(back - began) * 1000)

    async def _changed(self, changes: dict[str, float], what: str, complaint: str) -> float:
        async def came() -> float:
            return changes.get(what, 0.0)

        try:
            return float(await until(came, STOP_LIMIT, 0.01))
        except TimeoutError:
            raise StepFailed(self._show.say(complaint, seconds=STOP_LIMIT)) from None

    async def _within(self, wait: Callable[[], Any], complaint: str) -> None:
        try:
            async with asyncio.timeout(STOP_LIMIT):
                await wait()
        except TimeoutError:
            raise StepFailed(self._show.say(complaint, seconds=STOP_LIMIT)) from None


@contextmanager
def _changes_of(node: Node, code: str) -> Iterator[dict[str, float]]:
    """Note when a channel leaves a gateway's catalogue (`removed`) and comes back (`added`)."""
    noted: dict[str, float] = {}

    def changed(_device_id: str, diff: CatalogDiff) -> None:
        for name in ("removed", "added"):
            if code in getattr(diff, name):
                noted.setdefault(name, monotonic())

    listeners = node.gateway.registry.on_catalog
    listeners.append(changed)
    try:
        yield noted
    finally:
        listeners.remove(changed)
