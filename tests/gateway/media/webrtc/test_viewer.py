"""Viewers of a real stream on loopback: aiortc connects, decodes and misses packets as a browser does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aioice import stun

from gateway.domain.errors import Unavailable
from gateway.domain.rtp_out import RtpFrame
from gateway.domain.webrtc import CodecNotSupported, PeerState, WebRtcEnded
from gateway.media.options import MediaOptions
from gateway.media.webrtc.media import EmbeddedWebRtc, WebRtcOptions
from gateway.media.webrtc.viewer import WebRtcViewer
from gb28181.es.unit import Codec, MediaUnit
from tests.support.media import aac_units, g711_units, interleave, video_units
from tests.support.offers import offer
from tests.support.webrtc import (
    STREAM,
    AiortcViewer,
    Camera,
    PeerEvents,
    free_range,
    webrtc_bench,
)

pytestmark = pytest.mark.net

PICTURES = video_units(Codec.H264, 50, gop=50)
G711 = interleave(PICTURES, g711_units(50))


@asynccontextmanager
async def running(
    units: Sequence[MediaUnit] = G711,
    *,
    options: WebRtcOptions | None = None,
    media: MediaOptions | None = None,
) -> AsyncIterator[tuple[EmbeddedWebRtc, Camera]]:
    """A camera in the middle of its group of pictures."""
    async with (
        webrtc_bench(options=options, media=media) as (webrtc, camera),
        asyncio.TaskGroup() as group,
    ):
        playing = group.create_task(camera.play(list(units)))
        async with asyncio.timeout(15):
            while camera.stream.hub.frames < 20:
                await asyncio.sleep(0.02)
        try:
            yield webrtc, camera
        finally:
            playing.cancel()


@asynccontextmanager
async def watching(
    webrtc: EmbeddedWebRtc, *, audio: bool = True
) -> AsyncIterator[tuple[AiortcViewer, WebRtcViewer, PeerEvents]]:
    """A viewer that has its answer."""
    viewer, events = AiortcViewer(audio=audio), PeerEvents()
    try:
        peer = await viewer.watch(webrtc, events)
        assert isinstance(peer, WebRtcViewer)
        yield viewer, peer, events
        peer.close("viewer_left", "The test is over")
    finally:
        await viewer.close()


async def until(events: asyncio.Event) -> None:
    async with asyncio.timeout(15):
        await events.wait()


async def test_pictures_and_sound_are_decoded_from_the_last_key_frame_on() -> None:
    async with running() as (webrtc, camera), watching(webrtc) as (viewer, peer, events):
        first = await viewer.frame()
        assert (first.width, first.height) == (160, 128)
        # The key frame of a group that had begun long before: its first picture is dark.
        assert int(first.to_ndarray()[64, 80]) < 20
        await until(events.connected)
        assert camera.stream.viewers() == {"webrtc": 1}
        for _ in range(20):
            await viewer.frame()
        heard = await viewer.frame("audio")
        loudest = 0
        for _ in range(20):
            heard = await viewer.frame("audio")
            loudest = max(loudest, int(abs(heard.to_ndarray()).max()))
        assert heard.sample_rate == 8_000
        assert loudest > 4_000
        info = peer.info()
        assert info.state is PeerState.CONNECTED
        assert info.packets > 40
        assert info.sent > 10_000
        assert info.remote.startswith("127.0.0.1:")
    assert camera.stream.viewers() == {}


async def test_aac_is_heard_as_opus() -> None:
    units = interleave(PICTURES, aac_units(32))
    async with running(units) as (webrtc, _), watching(webrtc) as (viewer, peer, _):
        await viewer.frame()
        heard = [await viewer.frame("audio") for _ in range(10)]
        assert {frame.sample_rate for frame in heard} == {48_000}
        assert peer.info().remark == ""


async def test_several_viewers_share_one_transcoder_which_ends_with_the_last() -> None:
    units = interleave(PICTURES, aac_units(32))
    async with running(units) as (webrtc, _):
        async with watching(webrtc) as (one, _, _), watching(webrtc) as (two, _, _):
            await one.frame("audio")
            await two.frame("audio")
            (source,) = webrtc._opus.values()
            assert len(source._listeners) == 2
        assert source.closed


async def test_packets_that_were_lost_are_sent_again() -> None:
    large = video_units(Codec.H264, 50, width=640, height=480, gop=10)
    async with (
        running(large) as (webrtc, _),
        watching(webrtc, audio=False) as (viewer, peer, events),
    ):
        await until(events.connected)
        socket = peer._socket
        assert socket is not None
        send_all, dropped = socket.send_all, 0

        def lossy(packets: Sequence[memoryview], to: tuple[str, int]) -> None:
            nonlocal dropped
            kept = []
            for packet in packets:
                # Every fifth packet by its number on the wire; what is sent again goes another way.
                if int.from_bytes(packet[2:4]) % 5:
                    kept.append(packet)
                else:
                    dropped += 1
            send_all(kept, to)

        socket.send_all = lossy  # type: ignore[method-assign]
        frames = [await viewer.frame() for _ in range(60)]
        assert dropped > 10
        assert peer.info().resent > 5
        stamps = [frame.pts for frame in frames]
        assert stamps == sorted(set(stamps))
        # Nearly all pictures came, though each fifth packet of them did not.
        assert stamps[-1] - stamps[-30] < 45 * 3_600


async def test_a_viewer_that_says_goodbye_is_gone_at_once() -> None:
    async with running() as (webrtc, camera):
        viewer, events = AiortcViewer(), PeerEvents()
        await viewer.watch(webrtc, events)
        await viewer.frame()
        await viewer.close()
        await until(events.over)
        assert events.ended is not None
        assert events.ended[0] == "viewer_left"
        assert webrtc.count() == 0
        assert camera.stream.viewers() == {}


async def test_a_viewer_that_vanishes_is_noticed() -> None:
    options = WebRtcOptions(ports=free_range(4), lost_timeout=1.0)
    async with running(options=options) as (webrtc, camera):
        viewer, events = AiortcViewer(), PeerEvents()
        peer = await viewer.watch(webrtc, events)
        await viewer.frame()
        transport: Any = viewer.connection.getTransceivers()[0].receiver.transport.transport
        for protocol in transport._connection._protocols:
            protocol.transport.abort()
        await until(events.over)
        assert events.ended == ("viewer_lost", "Nothing was heard from the viewer for 1 s")
        assert peer.info().state is PeerState.ENDED
        assert camera.stream.viewers() == {}
        await viewer.close()


async def test_a_viewer_that_stays_is_not_taken_for_lost() -> None:
    # aiortc checks every 4 to 6 s and reports every second.
    options = WebRtcOptions(ports=free_range(4), lost_timeout=2.5)
    async with running(options=options) as (webrtc, _), watching(webrtc) as (viewer, _, events):
        for _ in range(90):
            await viewer.frame()
        assert events.ended is None


async def test_a_browser_that_never_comes_through_is_given_up() -> None:
    options = WebRtcOptions(ports=free_range(4), connect_timeout=0.5)
    async with running(options=options) as (webrtc, _):
        viewer, events = AiortcViewer(), PeerEvents()
        peer = webrtc.open(await viewer.offer(), events)
        peer.attach(STREAM)
        assert "a=setup:passive" in await peer.answer()
        assert peer.info().state is PeerState.CONNECTING
        await until(events.over)
        assert events.ended is not None
        assert events.ended[0] == "webrtc_not_connected"
        assert "nothing came through" in events.ended[1]
        await viewer.close()


async def test_the_end_of_the_stream_reaches_the_viewer_and_its_owner() -> None:
    async with webrtc_bench() as (webrtc, camera), asyncio.TaskGroup() as group:
        playing = group.create_task(camera.play(list(G711)))
        async with watching(webrtc) as (viewer, _, events):
            await viewer.frame()
            playing.cancel()
            await camera.stream.close("device_bye", "The device ended the session with BYE")
            assert events.ended == ("device_bye", "The device ended the session with BYE")
            await viewer.until_over()


async def test_a_stream_that_ends_before_its_tracks_are_known_is_the_answer() -> None:
    async with webrtc_bench() as (webrtc, camera):
        viewer, events = AiortcViewer(), PeerEvents()
        peer = webrtc.open(await viewer.offer(), events)
        peer.attach(STREAM)
        loop = asyncio.get_running_loop()
        detail = "The device sent nothing"
        async with asyncio.TaskGroup() as group:
            loop.call_later(
                0.05, lambda: group.create_task(camera.stream.close("no_packet", detail))
            )
            with pytest.raises(WebRtcEnded, match=detail) as caught:
                await peer.answer()
        assert caught.value.code == "no_packet"
        assert events.ended == ("no_packet", detail)
        await viewer.close()


async def test_a_silent_stream_is_given_up_in_time() -> None:
    options = WebRtcOptions(ports=free_range(2), answer_timeout=0.2)
    async with webrtc_bench(options=options) as (webrtc, _):
        viewer, events = AiortcViewer(), PeerEvents()
        peer = webrtc.open(await viewer.offer(), events)
        peer.attach(STREAM)
        with pytest.raises(WebRtcEnded, match=r"no output within 0\.2 s") as caught:
            await peer.answer()
        assert caught.value.code == "no_output"
        await viewer.close()


async def test_h265_is_refused_and_nothing_is_held() -> None:
    async with running(video_units(Codec.HEVC, 50)) as (webrtc, camera):
        viewer, events = AiortcViewer(), PeerEvents()
        peer = webrtc.open(await viewer.offer(), events)
        peer.attach(STREAM)
        with pytest.raises(CodecNotSupported, match=r"H\.265"):
            await peer.answer()
        assert webrtc.count() == 0
        assert camera.stream.viewers() == {}
        await viewer.close()


async def test_b_frames_end_a_viewer_with_the_word_that_makes_players_go_another_way() -> None:
    # A camera without decoding times: that it has them shows only in what follows.
    async with running() as (webrtc, camera), watching(webrtc) as (_, peer, events):
        late = 10**9
        for timestamp in (late, late - 3_600):
            frame = RtpFrame(
                track=0, timestamp=timestamp, payloads=[b"\x41x"], keyframe=False, size=2
            )
            peer.frames([frame])
        await until(events.over)
        assert events.ended is not None
        assert events.ended[0] == "codec_not_supported"
        assert camera.stream.viewers() == {}


async def test_each_viewer_has_a_port_of_the_range_until_none_is_left() -> None:
    ports = free_range(2)
    async with running(options=WebRtcOptions(ports=ports)) as (webrtc, _):
        viewer = AiortcViewer()
        text = await viewer.offer()
        peers = [webrtc.open(text, PeerEvents()) for _ in range(2)]
        with pytest.raises(Unavailable) as caught:
            webrtc.open(text, PeerEvents())
        assert caught.value.code == "webrtc_ports_exhausted"
        for peer, port in zip(peers, range(ports[0], ports[1] + 1), strict=True):
            peer.attach(STREAM)
            assert f" 127.0.0.1 {port} typ host\r\n" in await peer.answer()
            peer.close("viewer_left", "")
        webrtc.open(text, PeerEvents()).close("viewer_left", "")
        await viewer.close()


async def test_advertised_addresses_stand_in_the_answer_instead_of_our_own() -> None:
    options = WebRtcOptions(ports=free_range(2), advertise=("192.0.2.7", "198.51.100.7"))
    async with running(options=options) as (webrtc, _):
        peer = webrtc.open(offer(), PeerEvents())
        peer.attach(STREAM)
        answer = await peer.answer()
        found = [line.split()[4] for line in answer.split("\r\n") if line.startswith("a=candidate")]
        assert found == ["192.0.2.7", "198.51.100.7"] * 2
        peer.close("viewer_left", "")


async def test_a_socket_on_all_addresses_answers_from_the_one_that_was_asked() -> None:
    options = WebRtcOptions(host="0.0.0.0", ports=free_range(2), advertise=("127.0.0.2",))
    async with running(options=options) as (webrtc, _), watching(webrtc) as (viewer, _, _):
        # aiortc's check of 127.0.0.2 would fail if it were answered from 127.0.0.1.
        assert (await viewer.frame()).width == 160


async def test_ipv6_is_served_where_it_is_named() -> None:
    options = WebRtcOptions(host="::1", ports=free_range(2))
    async with running(options=options) as (webrtc, _):
        viewer, events = AiortcViewer(host="::1"), PeerEvents()
        peer = await viewer.watch(webrtc, events)
        assert (await viewer.frame()).width == 160
        assert peer.info().remote.startswith("::1:")
        await viewer.close()
        await until(events.over)


async def test_strangers_on_the_port_are_not_answered_and_disturb_nobody() -> None:
    async with running() as (webrtc, _), watching(webrtc) as (viewer, peer, events):
        await viewer.frame()
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[bytes] = asyncio.Queue(10)

        class Stranger(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                heard.put_nowait(data)

        transport, _ = await loop.create_datagram_endpoint(
            Stranger, remote_addr=("127.0.0.1", peer._lease.port)
        )
        bare = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        for data in (
            bytes(bare),
            b"\x16\xfe\xfd" + bytes(60),
            b"\x80\xc9" + bytes(60),
            b"\x00",
            b"\xff",
        ):
            transport.sendto(data)
        transport.sendto(b"")
        for _ in range(10):
            await viewer.frame()
        assert heard.empty()
        assert events.ended is None
        transport.close()


async def test_a_fragment_of_another_ice_session_is_not_this_viewers() -> None:
    async with running() as (webrtc, _):
        peer = webrtc.open(offer(), PeerEvents())
        assert peer.accepts(b"a=ice-ufrag:pGkA\r\na=end-of-candidates\r\n")
        assert peer.accepts(b"a=end-of-candidates\r\n")
        assert not peer.accepts(b"a=ice-ufrag:another\r\na=ice-pwd:x\r\n")
        peer.close("viewer_left", "")


async def test_closing_ends_every_viewer_with_the_reason() -> None:
    async with running() as (webrtc, _):
        viewer, events = AiortcViewer(), PeerEvents()
        await viewer.watch(webrtc, events)
        await viewer.frame()
        webrtc.close()
        assert events.ended == ("shutdown", "The gateway is stopping")
        with pytest.raises(Unavailable, match="stopping"):
            webrtc.open(offer(), PeerEvents())
        await viewer.close()
