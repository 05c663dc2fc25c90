"""Small FLV tags: H.264 of one picture, AAC, and HEVC with the enhanced header."""

from gb28181.es.annexb import START_CODE

__all__ = [
    "AAC_CONFIG",
    "AVC_CONFIG",
    "H264_IDR",
    "H264_SLICE",
    "PPS",
    "SPS",
    "aac_tag",
    "annexb",
    "avc_tag",
]

SPS = bytes.fromhex("6742c00d96540a0fd8088000000300800000190785508d40")
"""320x240, baseline; only its header matters here."""
PPS = bytes.fromhex("68ce3c80")
H264_IDR = b"\x65\x88\x84" + b"\x11" * 60
H264_SLICE = b"\x41\x9a\x02" + b"\x22" * 30
AVC_CONFIG = (
    b"\x01" + SPS[1:4] + b"\xff\xe1" + len(SPS).to_bytes(2) + SPS
    + b"\x01" + len(PPS).to_bytes(2) + PPS
)  # fmt: skip
AAC_CONFIG = bytes.fromhex("1208")


def avc_tag(nal: bytes | None, *, key: bool, composition: int = 0) -> bytes:
    """Return the body of a video tag; without a NAL unit its configuration."""
    head = bytes([0x17 if key else 0x27, 0 if nal is None else 1]) + composition.to_bytes(
        3, signed=True
    )
    return head + (AVC_CONFIG if nal is None else len(nal).to_bytes(4) + nal)


def aac_tag(frame: bytes | None) -> bytes:
    """Return the body of an audio tag; without a frame its configuration."""
    return b"\xaf\x00" + AAC_CONFIG if frame is None else b"\xaf\x01" + frame


def annexb(*nals: bytes) -> bytes:
    """Return NAL units behind start codes."""
    return b"".join(START_CODE + nal for nal in nals)
