"""Random histories of streams on three levels, with failures injected: nothing is left of any of them."""

import asyncio
import contextlib
import logging
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, Final, NoReturn

import aiohttp
import pytest
import structlog

from gateway.domain.bridge import BridgeEnd
from gateway.domain.session import EndReason
from gb28181.aio.clock import monotonic
from gb28181.aio.errors import InviteRefused, SipTransportError
from gb28181.rtp.packet import RtpPacket
from tests.support.gateway import RunningGateway
from tests.support.histories import CAMERAS, LEVELS, World, world
from tests.support.raw_call import RawCall
from tests.support.upper_platform import UpperPlatform, until

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.timeout(600)]

HISTORIES = int(os.environ.get("HISTORIES", "400"))
SEED = int(os.environ.get("HISTORIES_SEED", "28181"))
AT_ONCE = 20
UNACKNOWLEDGED = 6
"""Calls whose 200 is never acknowledged: 32 s each, beside the others."""
CALM_FAILURES = 0.02
"""Part of all histories that may end in a refusal while nothing disturbs them."""
LONGEST = 45.0
"""Seconds within which every history must have come to its end."""
REFUSALS: Final = {404, 409, 502, 503, 504}
"""What the API may answer when a camera, a link, a policy or a port is missing."""
SIP_REFUSALS: Final = {403, 404, 408, 480, 486, 487, 488, 500, 502, 503, 504}

KINDS: Final = {
    "viewer": 48,
    "invite": 28,
    "late": 5,
    "raw": 8,
    "metro": 5,
    "subscriber": 2,
    "guest": 2,
    "disturbance": 8,
}
CAMERA_WEIGHTS: Final = {kind: 60 if kind == "good" else 5 for kind in CAMERAS}


def chosen(chance: random.Random, weights: dict[str, int]) -> str:
    """One of the keys, by weight."""
    return chance.choices(list(weights), list(weights.values()))[0]


class History:
    """One of them: who watches what, how it ends, and what went wrong on the way.

    Args:
        it: Where it happens.
        number: Its number, which with the seed decides everything that chance decides.
    """

    def __init__(self, it: World, number: int) -> None:
        self.it = it
        self.chance = random.Random(f"{SEED}/{number}")
        self.kind = chosen(self.chance, KINDS | ({"disturbance": 0} if it.calm else {}))
        self.cameras = chosen(self.chance, CAMERA_WEIGHTS)
        self.camera = self.chance.choice(it.cameras(self.cameras))

    async def run(self) -> str:
        """Live it; returns in a word what became of it."""
        acts: dict[str, Callable[[], Awaitable[str]]] = {
            "viewer": self.viewer,
            "invite": lambda: self.invite(self.it.city),
            "late": self.late,
            "raw": self.raw,
            "metro": lambda: self.invite(self.it.metro),
            "subscriber": self.subscriber,
            "guest": self.guest,
            "disturbance": self.disturbance,
        }
        calm = self.it.calm and self.cameras == "good"
        outcome = await acts[self.kind]()
        failed = outcome.startswith(("refused", "unwatchable"))
        if calm and failed:
            self.it.failed_in_calm.append("\n".join((outcome, *self.it.told_of(self.camera))))
        return f"{self.kind}: {outcome}"

    # Somebody at a screen

    async def viewer(self) -> str:
        level = self.chance.choice((0, 1, 2, 2))
        device = self.it.owner(level, self.cameras)
        return await self.watch(self.it.row[level], device, self.camera)

    async def watch(self, level: RunningGateway, device: str, camera: str) -> str:
        """Play at the API, and leave in one of many ways."""
        end = self.chance.choice(("leave", "leave", "stop", "nobody", "abandon", "stay", "twice"))
        if end == "stop" and self.it.calm:
            # It would hit others who watch the same.
            end = "leave"
        patience = self.chance.uniform(0.0, 0.4) if end == "abandon" else 15.0
        try:
            async with asyncio.timeout(patience):
                status, played = await level.api.call("POST", f"channels/{device}/{camera}/play")
        except TimeoutError:
            assert end == "abandon", "POST play was not answered"
            return "abandoned"
        if status >= 300:
            assert status in REFUSALS, played
            return f"refused {status}"
        stay = self.chance.uniform(0.0, 2.0)
        match end:
            case "nobody" | "abandon":
                return "never fetched"
            case "stop":
                await self.fetch(played["urls"]["flv"], stay)
                status, answer = await level.api.call("DELETE", f"sessions/{played['session_id']}")
                assert status in {200, 404}, answer
                return "stopped"
            case "stay":
                got = await self.fetch(played["urls"]["mp4"], 3.0)
            case "twice":
                got = max(
                    await self.fetch(played["urls"]["flv"], stay),
                    await self.fetch(played["urls"]["mp4"], stay),
                )
            case _:
                stay += 0.3
                got = await self.fetch(played["urls"]["flv"], stay)
        if got > 500:
            return "watched"
        return "dark" if stay < 1.5 and end != "stay" else "unwatchable"

    async def fetch(self, url: str, stay: float) -> int:
        """Bytes of a stream that come before patience or the stream ends."""
        got = 0
        with contextlib.suppress(TimeoutError, aiohttp.ClientPayloadError, ConnectionError):
            async with asyncio.timeout(stay), self.it.http.get(url) as answer:
                if answer.status != 200:
                    assert answer.status in {401, *REFUSALS}, await answer.text()
                    return 0
                async for chunk in answer.content.iter_any():
                    got += len(chunk)
        return got

    # A city above

    async def invite(self, city: UpperPlatform) -> str:  # noqa: PLR0911 - one word for each outcome
        """INVITE over some transport, and end it in one of many ways."""
        transport = self.chance.choice(("udp", "tcp_passive", "tcp_active"))
        end = self.chance.choice(("bye", "bye", "vanish", "cancel", "twice", "stay"))
        patience = self.chance.uniform(0.0, 0.3) if end == "cancel" else 15.0
        if not city.is_registered:
            return "no link"
        try:
            async with asyncio.timeout(patience):
                call = await city.invite(self.camera, transport)
        except TimeoutError:
            assert end == "cancel", "INVITE was not answered"
            return "cancelled"
        except InviteRefused as refused:
            status = refused.response.status
            assert status in SIP_REFUSALS, refused  # noqa: PT017 - one outcome of many
            return f"refused {status}"
        except (SipTransportError, ConnectionError):
            # Its connection went, or the port is closed already.
            return "no link"
        stay = self.chance.uniform(0.0, 2.0)
        await asyncio.sleep(stay)
        if end == "vanish":
            # Nothing is said: refused packets or a closed connection must do.
            await call.sink.close()
            await until(
                lambda: call.ended.is_set() or city not in {self.it.city, self.it.metro},
                12.0,
                "the BYE for whoever takes nothing",
            )
            return "vanished"
        if end == "stay":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.5):
                    await call.ended.wait()
        if call.received:
            assert {RtpPacket.parse(data).ssrc for data in call.received} == {call.answer.ssrc}
        await call.bye()
        if end == "twice":
            await call.bye()
        if call.received:
            return "watched"
        return "dark" if stay < 1.5 else "unwatchable"

    async def late(self) -> str:
        """INVITE without SDP."""
        if not self.it.city.is_registered:
            return "no link"
        try:
            call: Any = await self.it.city.invite(self.camera, sdp=False)
        except AssertionError as exc:
            assert "INVITE without SDP was answered" in str(exc)  # noqa: PT017 - one outcome of many
            return "refused"
        await asyncio.sleep(self.chance.uniform(0.0, 2.0))
        await call.bye()
        assert call.bye_status in {200, 481}
        return "watched" if call.sink.packets else "dark"

    async def raw(self) -> str:
        """What no SIP stack does, and peers do all the same."""
        city = self.it.city
        if not city.is_registered:
            return "no link"
        assert city.flow is not None
        async with RawCall(city.flow.remote, city.platform_id, self.camera) as call:
            call.invite()
            if self.chance.random() < 0.3:
                await asyncio.sleep(self.chance.uniform(0.0, 0.3))
                call.cancel()
            status = await call.final("INVITE")
            call.ack(status)
            if status >= 300:
                assert status in SIP_REFUSALS
                return "cancelled" if status == 487 else f"refused {status}"
            if self.chance.random() < 0.3:
                # A retransmission that was long under way.
                call.invite()
            await asyncio.sleep(self.chance.uniform(0.0, 2.0))
            if self.chance.random() < 0.3:
                # It is not there any more when our BYE comes; its link tells.
                call.answers_bye = False
                return "silent"
            branch = call.bye()
            # Once more the same, and another of its own.
            call.bye(branch)
            call.bye()
            statuses = {await call.final("BYE") for _ in range(3)}
            assert statuses <= {200, 481}
        return "double bye"

    async def unacknowledged(self) -> str:
        """A 200 that is never acknowledged ends by itself."""
        city = self.it.city
        assert city.flow is not None
        async with RawCall(city.flow.remote, city.platform_id, self.camera) as call:
            # Somebody else watches, or the camera would be let go after a moment.
            try:
                other = await city.invite(self.camera)
            except InviteRefused as refused:
                self.it.failed_in_calm.append(f"{refused}")
                return f"unacknowledged: refused {refused.response.status}"
            call.invite()
            if (status := await call.final("INVITE", LONGEST)) != 200:
                self.it.failed_in_calm.append(f"unacknowledged: {status}")
                return f"unacknowledged: refused {status}"
            began = monotonic()
            async with asyncio.timeout(42):
                await call.ended.wait()
            early = monotonic() - began <= 31
            if early:
                self.it.failed_in_calm.append(
                    "\n".join(("ended early", *self.it.told_of(self.camera)))
                )
            assert not call.sink.packets
            await other.bye()
        return f"unacknowledged: ended {'early' if early else 'after 32 s'}"

    async def subscriber(self) -> str:
        """Subscribe to the catalogue; leave properly or not."""
        if not self.it.city.is_registered:
            return "no link"
        with contextlib.suppress(Exception):
            sub = await self.it.city.subscribe_catalog()
            await asyncio.sleep(self.chance.uniform(0.0, 0.5))
            if self.chance.random() < 0.7:
                await sub.cancel()
                return "cancelled"
            sub.dialog.close()
        return "forgotten"

    # The rest

    async def guest(self) -> str:
        """A recorder comes, is watched, and logs out in the middle of it."""
        async with self.it.guest() as (device, cameras), asyncio.TaskGroup() as group:
            for camera in cameras:
                group.create_task(self.watch(self.it.row[0], device, camera), name="history")
            await asyncio.sleep(self.chance.uniform(0.1, 0.5))
        return "left"

    async def disturbance(self) -> str:
        """Something that befalls everybody."""
        it, level = self.it, self.chance.randrange(3)
        what = self.chance.choice(("link", "link", "stop", "policy", "carrier", "reboot", "metro"))
        match what:
            case "link":
                await it.drop_link(level, gently=self.chance.random() < 0.5)
            case "stop":
                await it.stop_and_lift(level, self.camera)
            case "policy":
                await it.change_policy(level, hide=self.chance.random() < 0.25)
            case "carrier":
                await it.change_carrier(level, self.cameras, self.chance)
            case "reboot":
                await it.reboot(level, self.cameras)
            case _:
                await it.replace_metro()
        return f"{what} of {LEVELS[level]}"


@pytest.fixture
def errors() -> Iterator[list[str]]:
    """The errors logged; nothing else is, a million lines cost more than what they tell of."""
    found: list[str] = []

    def collect(_: object, __: str, event: MutableMapping[str, Any]) -> NoReturn:
        crash = event.pop("exc_info", None)
        found.append(f"{event} {crash!r}")
        raise structlog.DropEvent

    kept = structlog.get_config()
    structlog.configure(
        processors=[collect], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR)
    )
    yield found
    structlog.configure(**kept)


async def lived(it: World) -> Counter[str]:
    """Live all histories, some at a time; what became of them, by kind."""
    outcomes: Counter[str] = Counter()
    numbers: Iterator[int] = iter(())

    async def live(number: int) -> None:
        history = History(it, number)
        try:
            async with asyncio.timeout(LONGEST):
                outcomes[await history.run()] += 1
        except Exception as exc:
            exc.add_note(f"history {number} ({history.kind}, {history.cameras} {history.camera})")
            raise

    async def worker(last: int) -> None:
        # Not a loop over the numbers: one taken must be lived.
        while (number := next(numbers, last)) < last:
            await live(number)

    async def unacknowledged(number: int) -> None:
        history = History(it, -number - 1)
        history.camera = it.cameras("good")[number]
        async with asyncio.timeout(2 * LONGEST):
            outcomes[await history.unacknowledged()] += 1

    for calm, last in ((True, HISTORIES // 3), (False, HISTORIES)):
        it.calm = calm
        numbers = iter(range(0 if calm else HISTORIES // 3, last))
        async with asyncio.TaskGroup() as group:
            for number in range(UNACKNOWLEDGED if calm else 0):
                group.create_task(unacknowledged(number), name="history")
            for _ in range(AT_ONCE):
                group.create_task(worker(last), name="history")
    return outcomes


async def test_of_random_histories_nothing_is_left_on_any_level(
    tmp_path: Path, errors: list[str]
) -> None:
    async with world(tmp_path) as it:
        before = it.lasting()
        began = monotonic()
        outcomes = await lived(it)
        took = monotonic() - began
        print(f"{HISTORIES} histories in {took:.0f} s")  # noqa: T201 - what happened, for whoever runs it with -s
        for outcome, count in sorted(outcomes.items()):
            print(f"{count:5} {outcome}")  # noqa: T201
        # A machine with too much to do refuses a few for want of time.
        assert len(it.failed_in_calm) <= HISTORIES * CALM_FAILURES, "\n\n".join(it.failed_in_calm)
        watched = sum(count for name, count in outcomes.items() if name.endswith("watched"))
        assert watched > HISTORIES / 6
        with contextlib.suppress(AssertionError):
            await until(lambda: not it.held(), 20.0, "the end")
        assert it.held() == {}
        with contextlib.suppress(AssertionError):
            await until(lambda: not it.changed(before), 20.0, "what was before")
        assert it.changed(before) == []
        for _, level in it.levels:
            gateway = level.gateway
            ends = {record.ended.reason for record in gateway.sessions.sessions() if record.ended}
            assert EndReason.INTERNAL_ERROR not in ends
            bridges = {record.end for record in gateway.cascade.bridges.bridges()}
            assert BridgeEnd.INTERNAL_ERROR not in bridges
            assert crashes(gateway) == 0
        await works(it)
        assert errors == []


def crashes(gateway: Any) -> float:
    """Tasks of a gateway that crashed."""
    metrics = gateway.metrics.task_crashes.collect()
    return float(sum(sample.value for metric in metrics for sample in metric.samples))


async def works(it: World) -> None:
    """One stream plays for everybody, and ends."""
    camera = it.cameras("good")[-1]
    calls = [await upper.invite(camera) for upper in (it.city, it.metro)]
    for level, gateway in enumerate(it.row):
        played = await gateway.api.play(it.owner(level, "good"), camera)
        assert await History(it, 0).fetch(played["urls"]["flv"], 1.5) > 1000
    for call in calls:
        assert len(await call.packets(10)) == 10
        await call.bye()
    assert it.simulators["good"].session_count == 1
    await until(lambda: not it.held(), 10.0, "the end of the last stream")
