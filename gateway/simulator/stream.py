"""What a stream is made of."""

from dataclasses import dataclass

from gb28181.es.unit import Codec

__all__ = ["StreamSpec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """What a stream is; equal specs share one encoder."""

    video: Codec = Codec.H264
    audio: Codec | None = Codec.PCM_ALAW
    width: int = 1280
    height: int = 720
    fps: int = 25
    bitrate: int = 2_000_000
    """Bits a second of video; reached exactly, by filler if need be."""
    gop: float = 2.0
    """Seconds between key frames."""
    label: str = ""
    """Text below the clock; empty for a description of the stream."""

    view: str = ""
    """Channel whose camera has moved and shows where it looks; empty for the picture all share."""

    @property
    def title(self) -> str:
        """The text shown below the clock."""
        kbps = self.bitrate // 1000
        name = {Codec.H264: "H264", Codec.HEVC: "H265"}[self.video]
        return self.label or f"{name} {self.width}X{self.height} {self.fps}/S {kbps}K"
