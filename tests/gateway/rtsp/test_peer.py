"""Players that ask and do not read, and faults behind the door: what one connection may hold."""

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.media.options import MediaOptions
from gateway.rtsp.limits import MAX_PENDING_RESPONSES
from gateway.rtsp.peer import RtspPeer
from gb28181.es.unit import Codec, MediaUnit
from tests.support.media import video_units
from tests.support.rtsp import RtspBench, RtspClient, rtsp_bench

pytestmark = [pytest.mark.net, pytest.mark.timeout(60)]

LIMIT = 300_000
FILLER = b"\x00\x00\x01\x06\x05" + b"\x99" * 60_000
GOP = 10
GOP_BYTES = GOP * 70_000
"""No less than a group of pictures takes."""


def heavy(count: int) -> list[MediaUnit]:
    return [
        MediaUnit(u.codec, u.pts, u.dts, u.keyframe, u.payload + FILLER)
        for u in video_units(Codec.H264, count=count, gop=GOP)
    ]


def peer_of(bench: RtspBench) -> RtspPeer:
    (peer,) = bench.server._peers
    return peer


def waiting(peer: RtspPeer) -> int:
    assert peer._transport is not None
    return peer._transport.get_write_buffer_size()


async def fill(bench: RtspBench, client: RtspClient, peer: RtspPeer, times: int) -> int:
    """Play and pause without reading; return the most that waited."""
    most = 0
    for _ in range(times):
        client.send("PLAY", bench.url)
        client.send("PAUSE", bench.url)
        await client.writer.drain()
        await asyncio.sleep(0.002)
        most = max(most, waiting(peer))
    return most


async def test_playing_again_and_again_without_reading_fills_no_memory() -> None:
    media = MediaOptions(audio_wait=0.01)
    async with rtsp_bench(media=media, viewer_bytes=LIMIT) as bench:
        units = heavy(3 * GOP + 1)
        await bench.start_camera(units[:GOP])
        client = await bench.client()
        await client.play(bench.open_url, tracks=1)
        peer = peer_of(bench)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        most = await fill(bench, client, peer, 200)
        assert LIMIT < most < LIMIT + GOP_BYTES + MAX_PENDING_RESPONSES
        # A pause is no crime: who reads again plays again, from the next key frame.
        client.send("PLAY", bench.url)
        await bench.settled(lambda: peer._player and peer._player.watch.playing, "PLAY")
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        answers = [await client.answer() for _ in range(401)]
        assert {answer.status for answer in answers} == {200}
        assert "RTP-Info" not in answers[-1].headers
        assert sum("RTP-Info" in answer.headers for answer in answers) < 200
        await bench.settled(lambda: waiting(peer) == 0, "the last byte")
        client.packets.clear()
        bench.feed(units[GOP:])
        await client.until(lambda it: sum(p.marker for p in it.rtp(0)) > GOP)
        stamps = [p.timestamp for p in client.rtp(0)]
        assert len(set(stamps)) > GOP


async def test_answers_count_while_pictures_play_and_while_they_pause() -> None:
    media = MediaOptions(audio_wait=0.01)
    for method in ("PLAY", "PAUSE"):
        async with rtsp_bench(media=media, viewer_bytes=LIMIT) as bench:
            await bench.start_camera(heavy(GOP))
            client = await bench.client()
            await client.play(bench.open_url, tracks=1)
            peer = peer_of(bench)
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await fill(bench, client, peer, 40)
            client.send(method, bench.url)
            most = 0
            async with asyncio.timeout(30):
                while bench.server.connections:
                    for _ in range(100):
                        client.send("GET_PARAMETER", bench.url)
                    await asyncio.sleep(0.002)
                    if not peer._lost:
                        most = max(most, waiting(peer))
            assert most < LIMIT + GOP_BYTES + 2 * MAX_PENDING_RESPONSES


async def test_a_player_that_reads_may_ask_as_often_as_it_likes() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera(heavy(GOP))
        client = await bench.client()
        await client.play(bench.open_url, tracks=1)
        total = 0
        while total < 2 * MAX_PENDING_RESPONSES:
            for _ in range(10):
                client.send("GET_PARAMETER", bench.url)
            for _ in range(10):
                answer = await client.answer()
                assert answer.status == 200
                total += 100
        assert bench.server.connections == 1


async def test_a_fault_behind_the_door_is_answered_and_ends_one_connection() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera(heavy(GOP))
        other = await bench.client()
        await other.play(bench.open_url, tracks=1)
        bench.sessions.failure = RuntimeError("a fault with its reason")
        client = await bench.client()
        with capture_logs() as logs:
            client.send("DESCRIBE", bench.open_url)
            client.send("OPTIONS", "*")
            answer = await client.answer()
            await client.closed()
        assert answer.status == 500
        assert "reason" not in answer.words
        assert answer.headers["CSeq"] == "1"
        assert [one["event"] for one in logs].count("rtsp_open_failed") == 1
        await bench.settled(lambda: bench.server.connections == 1, "the end of one")
        assert (await other.ask("OPTIONS", "*")).status == 200


async def test_a_fault_after_the_stream_was_opened_gives_it_back() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera(heavy(GOP))
        client = await bench.client()
        await bench.settled(lambda: bench.server.connections == 1, "the connection")
        peer = peer_of(bench)
        needs = peer._needs

        def fails(tracks: object) -> object:
            raise MemoryError

        original = needs.packets.take
        needs.packets.take = fails  # type: ignore[method-assign, assignment]
        try:
            with capture_logs():
                answer = await client.ask("DESCRIBE", bench.open_url)
        finally:
            needs.packets.take = original  # type: ignore[method-assign]
        assert answer.status == 500
        await client.closed()
        assert [entry.ended[0] for entry in bench.door.entries if entry.ended] == ["internal_error"]
        await bench.settled(lambda: bench.server.connections == 0, "the end")
