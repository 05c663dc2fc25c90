"""Channel and key in what people type into encoders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtmp.target import read_target

CODE = "34020000001320900001"


@pytest.mark.parametrize(
    ("app", "name"),
    [
        ("live", f"{CODE}?key=K-1_x"),
        (f"live/{CODE}", "K-1_x"),
        ("live?key=K-1_x", CODE),
        ("live/", f"/{CODE}?vhost=h&key=K-1_x&other=1"),
        ("", f"{CODE}/K-1_x"),
        (f"live/{CODE}?key=K-1_x", ""),
        (f"anything/{CODE}", "K%2D1_x"),
    ],
)
def test_every_usual_way_to_write_it_is_understood(app: str, name: str) -> None:
    assert read_target(app, name) == (CODE, "K-1_x")


@pytest.mark.parametrize(
    ("app", "name", "expected"),
    [
        ("live", CODE, (CODE, "")),
        ("live", "stream?key=K", ("", "")),
        ("", "", ("", "")),
        ("live", f"{CODE}?key=", (CODE, "")),
        ("live", f"{CODE}?" + "&".join(f"a{n}=1" for n in range(100)), (CODE, "")),
    ],
)
def test_what_is_missing_is_empty(app: str, name: str, expected: tuple[str, str]) -> None:
    assert read_target(app, name) == expected


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_read(app: str, name: str) -> None:
    code, key = read_target(app, name)
    assert code == "" or (len(code) == 20 and code.isdigit())
    assert isinstance(key, str)
