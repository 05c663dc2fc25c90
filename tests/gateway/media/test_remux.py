"""Sources that are not PS, made into PS for a receiver: from the last key frame on, and playable."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.device import MediaTransport
from gateway.media.hub import Hub
from gateway.media.options import MediaOptions
from gateway.media.remux import Remuxer
from gb28181.es.annexb import iter_nals
from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.demuxer import PsDemuxer
from gb28181.rtp.packet import RtpPacket
from gb28181.rtp.packetizer import packetize, packetize_h264, packetize_hevc
from gb28181.rtp.relay import RelayBatch, RelayPacker
from tests.support.media import aac_units, ffprobe, g711_units, interleave, video_units
from tests.support.relay import SSRC, TcpUpper, UdpUpper, joined, plane, receive, relay
from tests.support.rtp_camera import UdpCamera, rtp_packets
from tests.support.samples import ffmpeg

pytestmark = pytest.mark.net

UDP, PASSIVE = MediaTransport.UDP, MediaTransport.TCP_PASSIVE
TYPES = {Codec.H264: 98, Codec.HEVC: 100, Codec.PCM_ALAW: 8, Codec.PCM_MULAW: 0}


def elementary(units: Sequence[MediaUnit], sequence: int = 0) -> list[list[bytes]]:
    """Pack each unit by the rules of its codec, all with one SSRC."""
    result = []
    for unit in units:
        kwargs: Any = {
            "payload_type": TYPES[unit.codec],
            "ssrc": SSRC,
            "sequence": sequence & 0xFFFF,
        }
        match unit.codec:
            case Codec.H264:
                packets = packetize_h264(unit.payload, timestamp=unit.pts, **kwargs)
            case Codec.HEVC:
                packets = packetize_hevc(unit.payload, timestamp=unit.pts, **kwargs)
            case _:
                packets = packetize(unit.payload, timestamp=unit.pts * 8 // 90, **kwargs)
        sequence += len(packets)
        result.append(packets)
    return result


def nals(units: Sequence[MediaUnit]) -> list[bytes]:
    """NAL units of the pictures, whatever start codes are between them."""
    return [nal for unit in units if unit.is_video for nal in iter_nals(unit.payload)]


def demux(packets: Sequence[RtpPacket]) -> list[MediaUnit]:
    demuxer = PsDemuxer()
    units = []
    for packet in packets:
        units += demuxer.feed(packet.payload, timestamp=packet.timestamp, marker=packet.marker)
    return units + demuxer.flush()


async def settled(upper: UdpUpper | TcpUpper) -> None:
    """Wait until nothing comes any more."""
    count = -1
    while count != len(upper.packets):
        count = len(upper.packets)
        await asyncio.sleep(0.3)


@pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC])
@pytest.mark.parametrize("transport", [UDP, PASSIVE])
async def test_an_elementary_stream_with_sound_is_relayed_as_ps_that_plays(
    codec: Codec, transport: MediaTransport
) -> None:
    units = interleave(video_units(codec, 52), g711_units(52))
    async with plane() as media:
        receiver, _ = await receive(media, payloads={98: "H264", 100: "H265", 8: "PCMA"})
        upper: Any = UdpUpper()
        sender, told = await relay(media, transport, remote=upper.address)
        sender.start()
        if transport is PASSIVE:
            upper.close()
            upper = await TcpUpper.connect(sender.port)
            await told.until("connected")
        camera = UdpCamera(receiver.port)
        await camera.send(elementary(units))
        await settled(upper)
        (info,) = media.senders()
        assert info.remuxed
        assert {p.payload_type for p in upper.packets} == {96}
        assert set(upper.steps) == {1}
        got = demux(upper.packets)
        pictures = [unit for unit in got if unit.is_video]
        assert len(pictures) >= 51
        assert nals(pictures) == nals(units)[: len(nals(pictures))]
        sound = b"".join(unit.payload for unit in got if not unit.is_video)
        assert len(sound) >= 320 * 25, "it comes with the second key frame at the latest"
        stamps = [p.timestamp for p in upper.packets if p.marker]
        assert len(set(stamps)) == len(stamps), "another time stamp for each frame (6.1)"
        # FFmpeg does not know G.711 in PS, but it must find every picture.
        copied = ffmpeg("-f", "mpeg", "-i", "-", "-map", "0:v", "-c", "copy", "-f", codec.value, "-", data=upper.payload)  # fmt: skip
        assert list(iter_nals(copied)) == nals(pictures)
        closing = upper.close()
        if closing is not None:
            await closing
        camera.close()


async def test_a_second_receiver_begins_with_the_last_key_frame_and_goes_on_without_a_gap() -> None:
    units = video_units(count=70)
    async with plane() as media:
        receiver, _ = await receive(media, payloads={98: "H264"})
        first, second = UdpUpper(), UdpUpper()
        one, _ = await relay(media, name="one", remote=first.address)
        two, _ = await relay(media, name="two", remote=second.address)
        one.start()
        camera = UdpCamera(receiver.port)
        frames = elementary(units)
        await camera.send(frames[:45])
        await settled(first)
        two.start()
        await camera.send(frames[45:])
        await settled(second)
        assert set(first.steps) == set(second.steps) == {1}
        got = demux(second.packets)
        assert len(got) >= 44
        assert nals(got) == nals(units[25 : 25 + len(got)])
        assert nals(demux(first.packets)[:1]) == nals(units[:1])
        for part in (first, second, camera):
            part.close()


async def test_a_long_group_of_pictures_is_caught_up_with_step_by_step() -> None:
    units = video_units(count=250, width=1280, height=720, gop=250)
    units = [
        MediaUnit(u.codec, u.pts, u.dts, u.keyframe, u.payload + bytes([7]) * 8000) for u in units
    ]
    async with plane() as media:
        receiver, _ = await receive(media, payloads={98: "H264"})
        first, second = UdpUpper(), UdpUpper()
        one, _ = await relay(media, name="one", remote=first.address)
        two, _ = await relay(media, name="two", remote=second.address)
        one.start()
        camera = UdpCamera(receiver.port)
        frames = elementary(units)
        await camera.send(frames[:200], pause=0.002)
        two.start()
        await camera.send(frames[200:], pause=0.005)
        await settled(second)
        assert set(second.steps) == {1}
        assert [p.payload for p in second.packets] == [p.payload for p in first.packets]
        for part in (first, second, camera):
            part.close()


async def test_sound_alone_is_relayed_after_it_is_clear_that_no_picture_comes() -> None:
    units = g711_units(120)
    async with plane() as media:
        receiver, _ = await receive(media, payloads={8: "PCMA"})
        upper = UdpUpper()
        sender, _ = await relay(media, remote=upper.address)
        sender.start()
        camera = UdpCamera(receiver.port)
        await camera.send(elementary(units), pause=0.03)
        await settled(upper)
        sound = b"".join(unit.payload for unit in demux(upper.packets))
        assert len(sound) >= 320 * 20
        assert sound in b"".join(unit.payload for unit in units)
        upper.close()
        camera.close()


async def test_a_source_that_turns_to_ps_is_passed_on_from_then() -> None:
    async with plane() as media:
        receiver, _ = await receive(media, payloads={98: "H264", 96: "PS"})
        upper = UdpUpper()
        sender, _ = await relay(media, remote=upper.address)
        sender.start()
        camera = UdpCamera(receiver.port)
        first = elementary(video_units(count=30))
        await camera.send(first)
        await settled(upper)
        before = len(upper.packets)
        later = rtp_packets(video_units(count=30), ssrc=SSRC)
        offset = sum(map(len, first)) - 1000
        later = [
            [
                data[:2] + (int.from_bytes(data[2:4]) + offset & 0xFFFF).to_bytes(2) + data[4:]
                for data in frame
            ]
            for frame in later
        ]
        await camera.send(later)
        await settled(upper)
        assert not media.senders()[0].remuxed
        passed = b"".join(p.payload for p in upper.packets[before:])
        assert joined(later).endswith(passed[-len(joined(later)) // 2 :])
        assert set(upper.steps) <= {1, 2}
        upper.close()
        camera.close()


def _remux(units: Sequence[MediaUnit]) -> tuple[Remuxer, Hub, list[RelayBatch]]:
    hub, batches = Hub(max_frames=1000, max_bytes=1 << 24), list[RelayBatch]()
    remuxer = Remuxer(
        hub,
        RelayPacker(),
        options=MediaOptions(),
        clock=lambda: 0.0,
        emit=batches.extend,
        on_crash=lambda exc: pytest.fail(repr(exc)),
    )
    remuxer.start()
    for unit in units:
        hub.publish(unit)
    return remuxer, hub, batches


def _payload(batches: Sequence[RelayBatch]) -> list[RtpPacket]:
    return [
        RtpPacket.parse(bytes(run.view[at : at + run.size]))
        for batch in batches
        for run in batch.datagrams.runs
        for at in range(0, len(run.view), run.size)
    ]


def test_ffprobe_finds_pictures_and_sound_in_what_is_made(tmp_path: Path) -> None:
    sound = aac_units(60)
    _, _, batches = _remux([sound[0], *interleave(video_units(Codec.HEVC, 50), sound[1:])])
    dump = tmp_path / "dump.ps"
    dump.write_bytes(b"".join(packet.payload for packet in _payload(batches)))
    found = ffprobe(dump, "stream=codec_name,nb_read_packets")
    assert found[0] == "stream,hevc,50"
    assert found[1].startswith("stream,aac,")


@pytest.mark.parametrize("sound", [aac_units(60), g711_units(50, codec=Codec.PCM_MULAW)])
def test_sound_that_was_heard_before_the_key_frame_is_in_its_map(sound: list[MediaUnit]) -> None:
    units = [sound[0], *interleave(video_units(count=50), sound[1:])]
    _, _, batches = _remux(units)
    got = demux(_payload(batches))
    heard = b"".join(unit.payload for unit in got if not unit.is_video)
    # What comes after the last picture waits for the next.
    assert b"".join(unit.payload for unit in sound[1:]).startswith(heard)
    due = [unit for unit in sound[1:] if unit.dts < got[-1].dts]
    assert len([unit for unit in got if not unit.is_video]) >= len(due) - 1
    assert {unit.codec for unit in got} == {Codec.H264, sound[0].codec}


def test_another_codec_begins_with_its_key_frame_and_a_new_map() -> None:
    hevc = video_units(Codec.HEVC, 30, start=200_000)
    units = [*video_units(count=20), *hevc[1:5], *hevc]
    _, _, batches = _remux(units)
    got = demux(_payload(batches))
    assert [unit.codec for unit in got].count(Codec.H264) == 20
    assert [unit.codec for unit in got].count(Codec.HEVC) == 30


def test_what_a_newcomer_gets_is_numbered_up_to_the_last_packet() -> None:
    units = interleave(video_units(count=40), g711_units(40))
    remuxer, _, batches = _remux([g711_units(1)[0], *units])
    again = remuxer.since_keyframe()
    assert nals(demux(_payload(again))) == nals(units[-30:])
    last = again[-1].datagrams.runs[-1]
    newest = batches[-1].datagrams.runs[-1]
    assert (last.sequence + last.count) == (newest.sequence + newest.count)
    assert demux(_payload(again))[0].keyframe


def test_the_group_of_pictures_before_the_first_key_frame_is_nothing() -> None:
    remuxer, _, batches = _remux(video_units(count=20)[1:])
    assert remuxer.since_keyframe() == batches == []
