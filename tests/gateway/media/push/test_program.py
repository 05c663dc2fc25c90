"""What the program `ffmpeg` is told of a target: no secret among its arguments."""

import pytest

from gateway.domain.push import PushKind, PushSpec
from gateway.media.push.program import MAX_PRESET_VALUE, program_arguments

PRESET = "/dev/fd/9"


def told(url: str, *, verify: bool = True) -> tuple[list[str], list[str]]:
    kind = PushKind(url.partition(":")[0])
    spec = PushSpec(push_id="1", kind=kind, url=url, connect_timeout=1.0, tls_verify=verify)
    arguments, preset = program_arguments(spec, PRESET)
    return arguments, preset.decode().splitlines()


@pytest.mark.parametrize(
    ("url", "shown", "preset"),
    [
        ("srt://h:9000", "srt://h:9000", []),
        ("srt://h:9000?latency=200", "srt://h:9000?latency=200", []),
        (
            "srt://h:9000?latency=200&passphrase=so+secret%21&pbkeylen=32",
            "srt://h:9000?latency=200&pbkeylen=32",
            ["passphrase=so secret%21"],
        ),
        (
            "srt://h:9000?streamid=%23!::u=me,k=key",
            "srt://h:9000",
            ["streamid=#!::u=me,k=key"],
        ),
        (
            "srt://[2001:db8::1]:9000?passphrase=0123456789",
            "srt://[2001:db8::1]:9000",
            ["passphrase=0123456789"],
        ),
    ],
)
def test_passphrase_and_stream_id_of_srt_are_in_the_preset(
    url: str, shown: str, preset: list[str]
) -> None:
    arguments, lines = told(url)
    assert arguments[-1] == shown
    assert lines == preset
    assert (PRESET in arguments) == bool(preset)


def test_the_stream_key_of_rtmp_is_in_the_preset_and_the_certificate_is_asked_for() -> None:
    arguments, lines = told("rtmps://h/app/instance/KEY?sign=S")
    assert arguments[-1] == "rtmps://h/app/instance"
    assert lines[:2] == ["rtmp_app=app/instance", "rtmp_playpath=KEY?sign=S"]
    assert "tls_verify=1" in lines
    assert not any("KEY" in text or "sign" in text for text in arguments)


def test_a_certificate_may_be_left_unverified() -> None:
    _, lines = told("rtmps://h/app/KEY", verify=False)
    assert "tls_verify=0" in lines


@pytest.mark.parametrize(
    ("url", "preset"),
    [
        ("rtmps://h", []),
        ("rtmps://h/KEY", ["rtmp_app=KEY"]),
        ("rtmps://h/app/", ["rtmp_app=app"]),
        ("rtmps://h/app?token=KEY", ["rtmp_app=app?token=KEY"]),
        ("rtmps://h/app/?token=KEY", ["rtmp_app=app", "rtmp_playpath=?token=KEY"]),
        ("rtmps://h/app?token=KEY/name", ["rtmp_app=app?token=KEY", "rtmp_playpath=name"]),
        ("rtmps://h?token=KEY", ["rtmp_app=?token=KEY"]),
    ],
)
def test_an_rtmp_target_of_an_unusual_form_is_in_the_preset_too(
    url: str, preset: list[str]
) -> None:
    arguments, lines = told(url)
    assert arguments[-1] == "rtmps://h"
    assert [line for line in lines if line.startswith("rtmp_")] == preset


def test_what_a_line_of_the_preset_cannot_hold_stays_in_the_url() -> None:
    key = "k" * (MAX_PRESET_VALUE + 1)
    assert told(f"rtmps://h/app/{key}")[0][-1] == f"rtmps://h/app/{key}"
    assert told(f"srt://h:1?passphrase={key}")[0][-1] == f"srt://h:1?passphrase={key}"
    # A line break would be another option.
    assert told("srt://h:1?streamid=a%0Amode=listener")[1] == []
