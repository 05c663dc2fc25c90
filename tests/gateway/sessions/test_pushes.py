"""Pushes on doubles of sessions, media and store: what is wanted runs, once, until it is left."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest

from gateway.domain.device import Channel
from gateway.domain.errors import Invalid, NotFound, Unavailable
from gateway.domain.push import (
    Push,
    PushConfig,
    PushEvents,
    PushKind,
    PushMedia,
    PushSpec,
    PushState,
)
from gateway.domain.session import SessionRecord
from gateway.domain.signalling import Origin
from gateway.sessions.push_runner import PushSessions
from gateway.sessions.pushes import PushService
from gateway.sharing.changelog import ChangeLog
from gb28181.aio.tasks import TaskScope
from tests.support.platform_book import MemoryDocuments, PlainBox
from tests.support.policy import ADMIN, DEVICE, camera
from tests.support.sessions import live_record
from tests.support.sharing import Office

CHANNEL = camera().channel_id
_T = TypeVar("_T")


class Sent:
    """One push under way."""

    def __init__(self, events: PushEvents) -> None:
        self.sent = 0
        self.closed = False
        self._events = events
        events.push_connected()

    def close(self, code: str, detail: str) -> None:
        if not self.closed:
            self.closed = True
            self._events.push_ended(code, detail)


class Streams:
    """Sessions and media in one: a stream is there at once, or when the test lets it come."""

    def __init__(self) -> None:
        self.asked = 0
        self.cancelled = 0
        self.slow: asyncio.Event | None = None
        self.pushes: list[Sent] = []

    async def join(
        self,
        device_id: str,
        channel_id: str,
        attach: Callable[[SessionRecord], _T],
        *,
        stream: int = 0,
        origin: Origin | None = None,
    ) -> tuple[SessionRecord, _T]:
        self.asked += 1
        if self.slow is not None:
            try:
                await self.slow.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        record = live_record("s1", device_id, channel_id)
        return record, attach(record)

    def missing(self, kind: PushKind) -> str | None:
        return None

    def push(self, stream_id: str, spec: PushSpec, events: PushEvents) -> Push:
        self.pushes.append(Sent(events))
        return self.pushes[-1]

    @property
    def running(self) -> int:
        return sum(not push.closed for push in self.pushes)


_checked: tuple[type[PushSessions], type[PushMedia]] = (Streams, Streams)


class Departments:
    """None at all."""

    def __init__(self) -> None:
        self.held_by: list[Callable[[str], str]] = []

    def get(self, code: str) -> object:
        raise NotFound("department_unknown", code)


class Channels:
    def channel(self, device_id: str, channel_id: str) -> Channel | None:
        return camera() if (device_id, channel_id) == (DEVICE, CHANNEL) else None


class Bench:
    def __init__(self, office: Office, scope: TaskScope) -> None:
        self.streams = Streams()
        self.documents = MemoryDocuments()
        self.office = office
        numbers = itertools.count(1)
        self.service = PushService(
            store=self.documents,
            box=PlainBox(),
            departments=Departments(),
            channels=Channels(),
            sessions=self.streams,
            media=self.streams,
            access=office.access,
            changes=ChangeLog(office.audit, wall=office.clock.utc_now, new_id=office.new_id),
            scope=scope,
            wall=office.clock.utc_now,
            now=office.clock.monotonic,
            new_id=lambda: f"p{next(numbers)}",
            spread=lambda: 1.0,
        )

    async def add(self, url: str = "rtmp://192.0.2.1/live/key") -> str:
        wanted = PushConfig(
            push_id="",
            device_id=DEVICE,
            channel_id=CHANNEL,
            url=url,
            created_at=self.office.now,
        )
        return (await self.service.add(wanted, by=ADMIN)).push_id

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    crashes: list[str] = []
    office = await Office().load()
    async with TaskScope(lambda name, error: crashes.append(f"{name}: {error!r}")) as scope:
        made = Bench(office, scope)
        yield made
        await made.service.close()
    assert crashes == []
    assert made.streams.running == 0
    assert list(office.access.accesses()) == []


async def test_a_push_runs_until_it_is_deleted() -> None:
    async with bench() as it:
        await it.service.start()
        push_id = await it.add()
        await it.until(lambda: it.service.status(push_id).state is PushState.RUNNING)
        assert it.service.running_count == 1
        await it.service.remove(push_id, by=ADMIN)
        await it.until(lambda: it.service.running_count == 0)
        assert it.documents.collections["pushes"] == {}


async def test_a_push_added_while_the_gateway_starts_runs_once() -> None:
    async with bench() as it:
        push_id = await it.add()
        await it.until(lambda: it.service.status(push_id).state is PushState.RUNNING)
        await it.service.start()
        await asyncio.sleep(0.01)
        assert (it.streams.asked, len(it.streams.pushes)) == (1, 1)


async def test_who_stops_a_push_does_not_wait_for_a_camera_that_does_not_answer() -> None:
    async with bench() as it:
        it.streams.slow = asyncio.Event()
        await it.add()
        await it.until(lambda: it.streams.asked == 1)
        async with asyncio.timeout(2):
            await it.service.close()
        await it.service.close()
        assert (it.streams.cancelled, it.streams.pushes) == (1, [])


async def test_a_push_that_ends_is_tried_again_when_somebody_says_so() -> None:
    async with bench() as it:
        await it.service.start()
        push_id = await it.add()
        await it.until(lambda: it.streams.running == 1)
        it.streams.pushes[0].close("push_lost", "gone")
        await it.until(lambda: it.service.status(push_id).state is PushState.WAITING)
        assert it.service.status(push_id).reason == "push_lost"
        it.service.retry(push_id)
        await it.until(lambda: it.streams.running == 1)
        assert len(it.streams.pushes) == 2


async def test_a_push_the_store_cannot_keep_does_not_begin() -> None:
    async with bench() as it:
        it.documents.broken = True
        with pytest.raises(Unavailable):
            await it.add()
        assert (it.service.list(), it.streams.asked) == ([], 0)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("rtmps://me:secret@192.0.2.1/live/key", "no user and password"),
        (f"rtmps://192.0.2.1/live/{'k' * 900}", "up to 900 bytes"),
        (f"srt://192.0.2.1:9000?streamid={'%41' * 300}", "up to 900 bytes"),
        ("srt://192.0.2.1:9000?passphrase=0123456789\u200b", "printable"),
    ],
)
async def test_a_target_that_would_show_its_secrets_to_the_machine_is_refused(
    url: str, said: str
) -> None:
    async with bench() as it:
        with pytest.raises(Invalid, match=said) as refused:
            await it.add(url)
        assert "secret" not in str(refused.value)
        assert it.service.list() == []
        # Where nothing has to be an argument, they are welcome.
        await it.add("rtsps://me:secret@192.0.2.1/live/key")
