"""ffmpeg and GStreamer record one camera by RTSP at once, over TCP and UDP; says whether anything is missing.

    python tests/bench/record_rtsp.py [--seconds 60] [--video h264|hevc] [--audio pcm_alaw|pcm_mulaw|aac]

A simulated camera at 2 Mbit/s registers at a whole gateway; four players record it side by side.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import structlog

from gateway.simulator.simulator import Simulator
from gb28181.es.unit import Codec
from tests.support.gateway import running_gateway
from tests.support.rtsp_record import continuity, record_by_ffmpeg, record_by_gstreamer


async def record(folder: Path, seconds: float, video: Codec, audio: Codec) -> bool:
    """Record and judge; True if nothing is missing."""
    media = {"transport": "tcp_passive", "no_readers_grace": 10.0}
    async with running_gateway(folder, media=media) as it:
        # A camera that cannot encode in time leaves pictures out itself.
        width, height = (1280, 720) if video is Codec.H264 else (480, 272)
        options = it.simulator_options(
            video=video, audio=audio, width=width, height=height, bitrate=2_000_000, gop=2.0
        )
        async with Simulator(options) as simulator:
            await simulator.wait_registered()
            device = simulator.devices[0].device_id
            channels = await it.channels(device, 1)
            url = (await it.api.play(device, channels[0]))["urls"]["rtsp"]
            runs: dict[str, asyncio.Task[tuple[int, str]]] = {}
            async with asyncio.TaskGroup() as group:
                for way in ("tcp", "udp"):
                    runs[f"ffmpeg-{way}"] = group.create_task(
                        record_by_ffmpeg(url, folder / f"ffmpeg-{way}.mkv", seconds, transport=way)
                    )
                    runs[f"gstreamer-{way}"] = group.create_task(
                        record_by_gstreamer(
                            url,
                            folder / f"gstreamer-{way}.mkv",
                            seconds,
                            transport=way,
                            codecs=(video.value, audio.value),
                        )
                    )
            invites = simulator.devices[0].invites_received
    print(f"INVITEs: {invites}")
    good = invites == 1
    for name, task in runs.items():
        status, said = task.result()
        tracks = await continuity(folder / f"{name}.mkv", by=name.partition("-")[0])
        pictures, sound = tracks["video"], tracks["audio"]
        fine = status == 0 and not pictures.missing and pictures.widest < 0.045
        good = good and fine and sound.widest < 0.13
        print(
            f"{name:14} {pictures.seconds:6.2f} s, {len(pictures.stamps)} pictures, "
            f"{pictures.missing} missing, steps {pictures.narrowest * 1000:.0f} to "
            f"{pictures.widest * 1000:.0f} ms; sound {sound.seconds:6.2f} s, widest step "
            f"{sound.widest * 1000:.0f} ms; {'fine' if fine else said}"
        )
    return good


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--video", type=Codec, default=Codec.H264)
    parser.add_argument("--audio", type=Codec, default=Codec.PCM_ALAW)
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory() as folder:
        good = asyncio.run(record(Path(folder), chosen.seconds, chosen.video, chosen.audio))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
