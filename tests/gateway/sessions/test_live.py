"""One INVITE per channel, a stage for every step, one reason for every end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.domain.device import MediaTransport, TimelineKind
from gateway.domain.errors import Conflict, NotFound, SessionFailed, Unavailable
from gateway.domain.media import MediaEvents, OutputFormat
from gateway.domain.session import EndReason, SessionRecord, SessionState, Stage
from gateway.domain.signalling import InviteFailed
from gateway.sessions.live import LiveSessions
from gateway.sessions.ports import SessionSettings
from gb28181.aio.clock import monotonic
from gb28181.aio.tasks import TaskScope
from gb28181.sdp.ssrc import SsrcPool
from tests.support.sessions import (
    ANSWER,
    ScriptedDirectory,
    ScriptedMedia,
    ScriptedSignaller,
    device,
    fixed_wall,
)

PLATFORM = "34020000002000000001"
DEVICE = "34020000001180000001"
CHANNEL = "34020000001320000001"
OTHER = "34020000001320000002"


class Sink:
    """A viewer's end that nobody reads."""

    framing = "raw"

    def write(self, data: bytes) -> None: ...

    def buffered(self) -> int:
        return 0

    def close(self, code: str, detail: str) -> None: ...


class House:
    """Sessions with everything they need, scripted."""

    def __init__(
        self,
        scope: TaskScope,
        signaller: ScriptedSignaller,
        media: ScriptedMedia,
        settings: SessionSettings,
    ) -> None:
        self.signaller = signaller
        self.media = media
        self.directory = ScriptedDirectory([device()], [CHANNEL])
        self.ssrcs = SsrcPool(PLATFORM)
        self.ended: list[SessionRecord] = []
        ids = iter(range(1, 1000))
        self.live = LiveSessions(
            devices=self.directory,
            signaller=signaller,
            media=media,
            ssrcs=self.ssrcs,
            settings=settings,
            scope=scope,
            now=monotonic,
            wall=fixed_wall,
            new_id=lambda: f"s{next(ids)}",
            observer=self,
        )

    def session_started(self, record: SessionRecord) -> None: ...

    def session_ended(self, record: SessionRecord) -> None:
        self.ended.append(record)

    async def end(self) -> SessionRecord:
        async with asyncio.timeout(10):
            while not self.ended:
                await asyncio.sleep(0.001)
        return self.ended[-1]


@asynccontextmanager
async def house(
    signaller: ScriptedSignaller | None = None,
    media: ScriptedMedia | None = None,
    **settings: float,
) -> AsyncIterator[House]:
    crashes: list[str] = []
    async with TaskScope(lambda name, exc: crashes.append(f"{name}: {exc!r}")) as scope:
        made = House(
            scope,
            signaller or ScriptedSignaller(),
            media or ScriptedMedia(),
            SessionSettings(platform_id=PLATFORM, **settings),  # type: ignore[arg-type]
        )
        yield made
        await made.live.close()
    assert crashes == []
    assert made.ssrcs.in_use == 0
    assert all(receiver.closed for receiver in made.media.receivers)
    assert all(dialog.byes == 1 for dialog in made.signaller.dialogs)


async def test_playing_invites_once_and_the_record_tells_each_step() -> None:
    async with house() as it:
        record = await it.live.play(DEVICE, CHANNEL)
        again = await it.live.play(DEVICE, CHANNEL)
        assert again is record
        assert len(it.signaller.offers) == 1
        assert it.signaller.subjects == [f"{CHANNEL}:{record.ssrc.offered},{PLATFORM}:0"]
        assert f"y={record.ssrc.offered}".encode() in it.signaller.offers[0]
        assert record.state is SessionState.RUNNING
        assert list(record.stages) == [
            Stage.REQUESTED,
            Stage.PORT_LEASED,
            Stage.INVITED,
            Stage.TRYING,
            Stage.ANSWERED,
        ]
        receiver = it.media.receivers[0]
        assert receiver.told == {
            "ssrc": 200000001,
            "remote": ("127.0.0.9", 62000),
            "payloads": {96: "PS"},
        }
        receiver.events.media_first_packet(5, "127.0.0.9:62000")
        receiver.events.media_decodable()
        assert record.stage_reached is Stage.DECODABLE
        assert (record.ssrc.answered, record.ssrc.received) == ("0200000001", "0000000005")
    assert record.ended is not None
    assert record.ended.reason is EndReason.SHUTDOWN


async def test_many_first_viewers_at_once_share_one_invite() -> None:
    signaller = ScriptedSignaller()
    signaller.hold = asyncio.Event()
    async with house(signaller) as it:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(it.live.play(DEVICE, CHANNEL)) for _ in range(20)]
            await asyncio.sleep(0)
            signaller.hold.set()
        assert len({task.result().session_id for task in tasks}) == 1
        assert len(signaller.offers) == 1


async def test_the_last_viewer_leaving_stops_it_after_the_grace() -> None:
    async with house(no_readers_grace=0.02) as it:
        first = await it.live.watch(DEVICE, CHANNEL, OutputFormat.FLV, Sink())
        second = await it.live.watch(DEVICE, CHANNEL, OutputFormat.MP4, Sink())
        it.media.receivers[0].events.media_first_packet(1, "x:1")
        it.media.receivers[0].events.media_decodable()
        first.detach()
        await asyncio.sleep(0.05)
        assert it.ended == []
        second.detach()
        record = await it.end()
        assert record.ended is not None
        assert record.ended.reason is EndReason.NO_READERS
        assert it.directory.notes == []


async def test_a_viewer_who_returns_within_the_grace_keeps_it() -> None:
    async with house(no_readers_grace=0.05) as it:
        viewer = await it.live.watch(DEVICE, CHANNEL, OutputFormat.FLV, Sink())
        it.media.receivers[0].events.media_first_packet(1, "x:1")
        it.media.receivers[0].events.media_decodable()
        viewer.detach()
        await it.live.watch(DEVICE, CHANNEL, OutputFormat.FLV, Sink())
        await asyncio.sleep(0.08)
        assert it.ended == []
        assert len(it.signaller.offers) == 1


@pytest.mark.parametrize(
    ("error", "reason", "status"),
    [
        (InviteFailed(486, "486 Busy Here"), EndReason.INVITE_REFUSED, 486),
        (InviteFailed(503, "503"), EndReason.INVITE_REFUSED, 503),
        (InviteFailed(None, "no final answer in 20 s"), EndReason.INVITE_TIMEOUT, None),
        (InviteFailed(None, "gone", transport=True), EndReason.DEVICE_OFFLINE, None),
    ],
)
async def test_a_failed_invite_is_a_reason_for_the_viewer_and_the_timeline(
    error: InviteFailed, reason: EndReason, status: int | None
) -> None:
    async with house(ScriptedSignaller(error=error)) as it:
        with pytest.raises(SessionFailed) as caught:
            await it.live.play(DEVICE, CHANNEL)
        assert (caught.value.ended.reason, caught.value.ended.sip_status) == (reason, status)
        record = await it.end()
        assert record.stage_reached is Stage.TRYING
        assert [(kind, reason.value in text) for _, kind, text in it.directory.notes] == [
            (TimelineKind.SESSION_ENDED, True)
        ]


@pytest.mark.parametrize(
    "answer",
    [b"", b"garbage", ANSWER.replace(b"62000", b"0"), ANSWER.replace(b"RTP/AVP", b"TCP/RTP/AVP")],
    ids=["no sdp", "garbage", "port 0", "other transport"],
)
async def test_an_unusable_answer_ends_it_with_bye(answer: bytes) -> None:
    async with house(ScriptedSignaller(answer=answer)) as it:
        with pytest.raises(SessionFailed) as caught:
            await it.live.play(DEVICE, CHANNEL)
        assert caught.value.ended.reason is EndReason.ANSWER_UNUSABLE
        await it.end()
        assert it.signaller.dialogs[0].byes == 1


async def test_silence_after_the_answer_is_no_packet() -> None:
    async with house(first_packet_timeout=0.02) as it:
        await it.live.watch(DEVICE, CHANNEL, OutputFormat.FLV, Sink())
        record = await it.end()
        assert record.ended is not None
        assert record.ended.reason is EndReason.NO_PACKET
        assert "UDP port 30000" in record.ended.detail


@pytest.mark.parametrize(
    ("transport", "setup"),
    [(MediaTransport.TCP_PASSIVE, b"active"), (MediaTransport.TCP_ACTIVE, b"passive")],
)
async def test_a_media_connection_that_never_stands_is_connect_failed(
    transport: MediaTransport, setup: bytes
) -> None:
    tcp = ANSWER.replace(b"RTP/AVP", b"TCP/RTP/AVP").replace(
        b"a=sendonly\r\n", b"a=sendonly\r\na=setup:" + setup + b"\r\na=connection:new\r\n"
    )
    async with house(ScriptedSignaller(answer=tcp), first_packet_timeout=0.02) as it:
        await it.live.play(DEVICE, CHANNEL, transport=transport)
        record = await it.end()
        assert record.ended is not None
        assert record.ended.reason is EndReason.CONNECT_FAILED


async def test_packets_without_a_key_frame_are_not_decodable() -> None:
    async with house(decodable_timeout=0.02) as it:
        await it.live.watch(DEVICE, CHANNEL, OutputFormat.FLV, Sink())
        it.media.receivers[0].events.media_first_packet(1, "x:1")
        record = await it.end()
        assert record.ended is not None
        assert record.ended.reason is EndReason.NOT_DECODABLE
        assert record.stage_reached is Stage.FIRST_PACKET


async def test_stopping_while_inviting_cancels_the_invite() -> None:
    signaller = ScriptedSignaller()
    signaller.hold = asyncio.Event()
    async with house(signaller) as it:
        async with asyncio.TaskGroup() as group:
            playing = group.create_task(_failure(it, DEVICE, CHANNEL))
            while not signaller.offers:
                await asyncio.sleep(0)
            await it.live.stop("s1")
        assert playing.result().ended.reason is EndReason.STOPPED
        assert signaller.cancelled == 1


async def _failure(it: House, device_id: str, channel_id: str) -> SessionFailed:
    with pytest.raises(SessionFailed) as caught:
        await it.live.play(device_id, channel_id)
    return caught.value


async def test_what_the_source_does_ends_it_with_its_own_reason() -> None:
    async with house() as it:
        cases: list[tuple[Callable[[MediaEvents], None], EndReason]] = [
            (lambda e: e.media_lost("quiet for 10 s"), EndReason.SOURCE_LOST),
            (lambda e: e.media_unsupported("SVAC"), EndReason.CODEC_UNSUPPORTED),
            (lambda e: e.media_connect_failed("refused"), EndReason.CONNECT_FAILED),
            (lambda _: it.signaller.on_bye(""), EndReason.DEVICE_BYE),
            (
                lambda _: it.live.device_offline(device(), "3 keepalives missed"),
                EndReason.DEVICE_OFFLINE,
            ),
        ]
        for provoke, reason in cases:
            it.ended.clear()
            await it.live.play(DEVICE, CHANNEL)
            provoke(it.media.receivers[-1].events)
            record = await it.end()
            assert record.ended is not None
            assert record.ended.reason is reason


async def test_a_new_viewer_waits_for_the_old_session_to_be_gone_before_it_invites_again() -> None:
    async with house() as it:
        first = await it.live.play(DEVICE, CHANNEL)
        it.signaller.on_bye("")
        second = await it.live.play(DEVICE, CHANNEL)
        assert second is not first
        assert first.state is SessionState.ENDED
        assert second.ssrc.offered != first.ssrc.offered


async def test_unknown_and_offline_are_told_apart() -> None:
    async with house() as it:
        with pytest.raises(NotFound, match="ever registered"):
            await it.live.play("34020000001180000099", CHANNEL)
        with pytest.raises(NotFound, match="catalogue"):
            await it.live.play(DEVICE, "34020000001320000099")
        it.directory.devices[DEVICE].online = False
        with pytest.raises(Unavailable) as caught:
            await it.live.play(DEVICE, CHANNEL)
        assert caught.value.code == "device_offline"
        with pytest.raises(NotFound):
            it.live.get("nope")


async def test_another_transport_for_a_running_stream_is_a_conflict() -> None:
    async with house() as it:
        await it.live.play(DEVICE, CHANNEL)
        with pytest.raises(Conflict, match="udp"):
            await it.live.play(DEVICE, CHANNEL, transport=MediaTransport.TCP_PASSIVE)


async def test_no_free_port_is_told_and_leaves_nothing() -> None:
    media = ScriptedMedia(error=Unavailable("rtp_ports_exhausted", "500 of 500 port pairs in use"))
    async with house(media=media) as it:
        with pytest.raises(SessionFailed) as caught:
            await it.live.play(DEVICE, CHANNEL)
        assert caught.value.ended.reason is EndReason.PORTS_EXHAUSTED
        assert it.signaller.offers == []


async def test_the_history_is_bounded_and_newest_first() -> None:
    async with house(history=3) as it:
        for _ in range(5):
            record = await it.live.play(DEVICE, CHANNEL)
            await it.live.stop(record.session_id)
        assert [record.session_id for record in it.live.sessions()] == ["s5", "s4", "s3"]


async def test_at_the_device_s_limit_a_stream_nobody_watches_makes_room() -> None:
    signaller = ScriptedSignaller()
    async with house(signaller) as it:
        it.directory.channels += ScriptedDirectory([device()], [OTHER]).channels
        idle = await it.live.play(DEVICE, OTHER)
        signaller.error = InviteFailed(486, "486 Busy Here")

        async def freed() -> None:
            await asyncio.sleep(0)
            while idle.state is not SessionState.ENDED:
                await asyncio.sleep(0)
            signaller.error = None

        async with asyncio.TaskGroup() as group:
            group.create_task(freed())
            record = await it.live.play(DEVICE, CHANNEL)
        assert record.state is SessionState.RUNNING
        assert idle.ended is not None
        assert "limit" in idle.ended.detail


async def test_a_stream_somebody_watches_is_not_ended_to_make_room() -> None:
    signaller = ScriptedSignaller()
    async with house(signaller) as it:
        it.directory.channels += ScriptedDirectory([device()], [OTHER]).channels
        await it.live.watch(DEVICE, OTHER, OutputFormat.FLV, Sink())
        signaller.error = InviteFailed(486, "486 Busy Here")
        with pytest.raises(SessionFailed):
            await it.live.play(DEVICE, CHANNEL)
        assert it.live.running(DEVICE, OTHER) is not None


async def test_an_id_that_could_break_a_header_is_no_channel() -> None:
    async with house() as it:
        with pytest.raises(NotFound):
            await it.live.play(DEVICE, "a:b,c")
