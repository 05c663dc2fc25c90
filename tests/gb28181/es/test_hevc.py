"""H.265 parameter sets and NAL unit types."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.es import hevc
from gb28181.es.annexb import iter_nals
from gb28181.es.unit import Codec
from tests.support.samples import ffmpeg, stream, units


def sps_of(data: bytes) -> Any:
    return hevc.parse_sps(next(nal for nal in iter_nals(data) if hevc.nal_type(nal) == 33))


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ("320x240", "scaling-list=default"),
        ("322x242", "bframes=3:ref=4:temporal-layers=1"),
        ("1920x1080", "ultrafast=1:level-idc=4.1"),
    ],
)
def test_size_and_rate_of_an_encoder_are_read(size: str, options: str) -> None:
    data = ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=s={size}:r=20", "-frames:v", "1", "-pix_fmt", "yuv420p"),
        *("-c:v", "libx265", "-preset", "veryfast", "-x265-params", f"log-level=none:{options}"),
        *("-f", "hevc", "-"),
    )
    sps = sps_of(data)
    assert f"{sps.width}x{sps.height}" == size
    assert sps.fps == 20


def test_the_rfc_6381_string_is_that_of_the_profile() -> None:
    assert sps_of(stream(Codec.HEVC)).mime_codec == "hvc1.1.6.L60.90"


def test_the_string_drops_trailing_zero_constraints_and_names_space_and_tier() -> None:
    sps = hevc.Sps(
        set_id=0, profile_space=1, tier=1, profile=2, compatibility=0x20000000,
        constraints=b"\xb0\x00\x00\x00\x00\x00", level=120, width=64, height=64, fps=None,
    )  # fmt: skip
    assert sps.mime_codec == "hvc1.A2.4.H120.B0"


def test_every_cut_of_a_set_is_an_error_or_a_set_of_the_same_size() -> None:
    nal = next(nal for nal in iter_nals(stream(Codec.HEVC)) if hevc.nal_type(nal) == 33)
    whole = hevc.parse_sps(nal)
    outcomes: set[object] = set()
    for end in range(2, len(nal)):
        try:
            sps = hevc.parse_sps(nal[:end])
        except ValueError:
            outcomes.add("error")
        else:
            outcomes.add((sps.width, sps.height))
    assert outcomes == {"error", (whole.width, whole.height)}


@given(st.binary(max_size=80))
def test_any_bytes_are_a_set_or_a_value_error(data: bytes) -> None:
    try:
        sps = hevc.parse_sps(b"\x42\x01" + data)
    except ValueError:
        return
    assert 0 < sps.width <= 16384
    assert sps.mime_codec.startswith("hvc1.")


def test_only_an_access_unit_with_sets_and_irap_is_a_key_frame() -> None:
    key, plain = units(Codec.HEVC)[:2]
    assert hevc.is_keyframe(key.payload)
    assert not hevc.is_keyframe(plain.payload)
