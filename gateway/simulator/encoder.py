"""Live encoders: one thread for each kind of stream, shared by all channels that send it.

The thread draws, encodes and packs a frame when it is due and hands the result to the event loop
in one call; the loop passes it to every subscriber. Nothing is encoded while nobody watches.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from gateway.simulator.pan_tilt import PanTilt
from gateway.simulator.picture import PictureLayout, TestPicture, clock_text
from gateway.simulator.sound import Sound, open_sound
from gateway.simulator.stream import StreamSpec
from gb28181.aio.clock import monotonic
from gb28181.es.unit import Codec, MediaUnit
from gb28181.ps.muxer import PsMuxer

__all__ = ["EncodedTick", "EncoderPool", "Subscription"]

_TICKS = 90_000
_START = _TICKS
"""Media time at which a pool begins; not zero, so that audio encoder delay never makes it negative."""
_BEIJING = timezone(timedelta(hours=8))
_KEYFRAME_GAP = 0.4
"""Seconds between forced key frames at least: many viewers at once share one."""
_LINGER = 3.0
"""Seconds an encoder runs on after its last subscriber left: the next one is often close."""
_MAX_PENDING = 50
"""Frames that wait for a stalled event loop; more are dropped (newest)."""
_MAX_LATE = 1.0
"""Seconds behind after which the encoder skips frames instead of catching up."""
_VBV_SECONDS = 0.5


@dataclass(slots=True)
class EncodedTick:
    """Everything that belongs to one video frame: the frame first, then the sound up to the next."""

    number: int
    units: list[MediaUnit]
    ps: bytes
    """The program stream packet made of the units."""
    keyframe: bool


class Subscription:
    """The right to get an encoder's output until `close`."""

    def __init__(self, stream: "_Stream", on_tick: Callable[[EncodedTick], None]) -> None:
        self._stream = stream
        self.on_tick = on_tick

    def request_keyframe(self) -> None:
        """Ask for a key frame soon; requests close to each other share one."""
        self._stream.request_keyframe()

    def close(self) -> None:
        """Stop getting ticks; idempotent."""
        self._stream.remove(self)


class EncoderPool:
    """Starts an encoder for the first subscriber of a spec and stops it some time after the last.

    Args:
        on_crash: Told the error of an encoder that cannot go on; its subscribers get nothing more.
    """

    def __init__(self, on_crash: Callable[[str, Exception], None]) -> None:
        self._on_crash = on_crash
        # All encoders count their time from here, so that a stream may go on with another encoder.
        self._epoch = monotonic()
        self._streams: dict[StreamSpec, _Stream] = {}

    @property
    def running(self) -> int:
        """Encoders at work."""
        return len(self._streams)

    def subscribe(
        self,
        spec: StreamSpec,
        on_tick: Callable[[EncodedTick], None],
        view: PanTilt | None = None,
    ) -> Subscription:
        """Get every tick of a stream, on the running loop; starts with a key frame soon.

        Args:
            spec: What to get.
            on_tick: Called with each tick.
            view: Motor of the camera whose picture tells where it looks; `spec.view` names its channel.
        """
        stream = self._streams.get(spec)
        if stream is None:
            stream = self._streams[spec] = _Stream(
                spec, self._forget, self._on_crash, epoch=self._epoch, view=view
            )
        return stream.add(on_tick)

    async def close(self) -> None:
        """Stop all encoders and wait for their threads; idempotent."""
        streams = list(self._streams.values())
        self._streams.clear()
        for stream in streams:
            stream.stop()
        for stream in streams:
            await asyncio.to_thread(stream.join)

    def _forget(self, stream: "_Stream") -> None:
        if self._streams.get(stream.spec) is stream:
            del self._streams[stream.spec]


class _Stream:
    def __init__(
        self,
        spec: StreamSpec,
        on_idle: Callable[["_Stream"], None],
        on_crash: Callable[[str, Exception], None],
        *,
        epoch: float,
        view: PanTilt | None,
    ) -> None:
        self.spec = spec
        self._epoch = epoch
        self._view = view
        self._on_idle = on_idle
        self._on_crash = on_crash
        self._loop = asyncio.get_running_loop()
        self._subscriptions: list[Subscription] = []
        self._linger: asyncio.TimerHandle | None = None
        self._pending = 0
        self._stopping = threading.Event()
        self._keyframe_wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"encoder {spec.title}", daemon=True)
        self._thread.start()

    def add(self, on_tick: Callable[[EncodedTick], None]) -> Subscription:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        subscription = Subscription(self, on_tick)
        self._subscriptions.append(subscription)
        self.request_keyframe()
        return subscription

    def remove(self, subscription: Subscription) -> None:
        if subscription not in self._subscriptions:
            return
        self._subscriptions.remove(subscription)
        if not self._subscriptions and not self._stopping.is_set():
            self._linger = self._loop.call_later(_LINGER, self._retire)

    def request_keyframe(self) -> None:
        self._keyframe_wanted.set()

    def stop(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
        self._subscriptions.clear()
        self._stopping.set()

    def join(self) -> None:
        self._thread.join()

    def _retire(self) -> None:
        self.stop()
        self._on_idle(self)

    def _deliver(self, tick: EncodedTick) -> None:
        self._pending -= 1
        for subscription in tuple(self._subscriptions):
            subscription.on_tick(tick)

    def _crashed(self, error: Exception) -> None:
        self._retire()
        self._on_crash(f"encoder {self.spec.title}", error)

    # The rest runs in the thread.

    def _run(self) -> None:
        try:
            start = _START + int((monotonic() - self._epoch) * _TICKS)
            self._encode_until_stopped(_Encoder(self.spec, start=start, view=self._view))
        except Exception as error:  # noqa: BLE001 - a thread's end is a boundary: report, never vanish
            self._post(self._crashed, error)

    def _encode_until_stopped(self, encoder: "_Encoder") -> None:
        start, last_keyframe = monotonic(), -_KEYFRAME_GAP
        number, frame_time = 0, 1 / self.spec.fps
        while not self._stopping.wait(max(0.0, start + number * frame_time - monotonic())):
            late = monotonic() - start - number * frame_time
            if late > _MAX_LATE:
                number += int(late * self.spec.fps)
            elapsed = number * frame_time
            forced = self._keyframe_wanted.is_set() and elapsed - last_keyframe >= _KEYFRAME_GAP
            if forced:
                self._keyframe_wanted.clear()
            tick = encoder.encode(number, force_keyframe=forced)
            if tick.keyframe:
                last_keyframe = elapsed
            number += 1
            if self._pending < _MAX_PENDING:
                self._pending += 1
                self._post(self._deliver, tick)

    def _post(self, callback: Callable[..., None], argument: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed before us
            self._loop.call_soon_threadsafe(callback, argument)


class _Encoder:
    """Draws, encodes and packs one frame after the other; belongs to one thread."""

    def __init__(self, spec: StreamSpec, *, start: int, view: PanTilt | None) -> None:
        self._spec = spec
        self._start = start
        self._view = view
        probe = av.VideoFrame(spec.width, spec.height, "yuv420p")
        self._picture = TestPicture(
            PictureLayout(spec.width, spec.height),
            stride=probe.planes[0].line_size,
            chroma_stride=probe.planes[1].line_size,
            label=spec.title,
            has_position=view is not None,
        )
        self._context = _open_video(spec)
        # Now, for opening the encoder takes a while: the clock in the picture is the measure of delays.
        now = datetime.now(_BEIJING)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        self._clock_ms = (now - midnight) // timedelta(milliseconds=1)
        self._sound: Sound | None = None
        if spec.audio is not None:
            self._sound = open_sound(spec.audio, start=start, phase=self._clock_ms % 1000 / 1000)
        self._muxer = PsMuxer(spec.video, spec.audio)

    def encode(self, number: int, *, force_keyframe: bool) -> EncodedTick:
        spec = self._spec
        frame = av.VideoFrame(spec.width, spec.height, "yuv420p")
        text = clock_text(self._clock_ms + number * 1000 // spec.fps)
        position = "" if self._view is None else self._view.position(monotonic()).text
        frame.planes[0].update(self._picture.draw(number, text, position))
        for plane, chroma in zip(frame.planes[1:], self._picture.chroma, strict=True):
            plane.update(chroma)
        pts = self._start + number * _TICKS // spec.fps
        frame.pts = pts
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        units = []
        for packet in self._context.encode(frame):
            time = packet.pts if packet.pts is not None else pts
            units.append(
                MediaUnit(
                    codec=spec.video,
                    pts=time,
                    dts=packet.dts if packet.dts is not None else time,
                    keyframe=packet.is_keyframe,
                    payload=bytes(packet),
                )
            )
        keyframe = any(unit.keyframe for unit in units)
        if self._sound is not None:
            units += self._sound.until(pts + _TICKS // spec.fps)
        ps = self._muxer.mux(*units) if units else b""
        return EncodedTick(number, units, ps, keyframe)


def _open_video(spec: StreamSpec) -> VideoCodecContext:
    name = {Codec.H264: "libx264", Codec.HEVC: "libx265"}[spec.video]
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, VideoCodecContext)
    context.width = spec.width
    context.height = spec.height
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, _TICKS)
    context.framerate = Fraction(spec.fps, 1)
    context.bit_rate = spec.bitrate
    context.gop_size = max(1, round(spec.gop * spec.fps))
    context.max_b_frames = 0
    context.thread_count = 1
    kbps = spec.bitrate // 1000
    rate = (
        f"bitrate={kbps}:vbv-maxrate={kbps}:vbv-bufsize={int(kbps * _VBV_SECONDS)}"
        ":scenecut=0:repeat-headers=1"
    )
    options = {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1"}
    if spec.video is Codec.H264:
        options["x264-params"] = f"{rate}:nal-hrd=cbr"
    else:
        options["x265-params"] = (
            f"{rate}:hrd=1:strict-cbr=1:pools=none:frame-threads=1:log-level=error"
        )
    context.options = options
    return context
