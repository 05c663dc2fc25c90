"""Lines of the audit."""

import json
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sharing.audit.line import GENESIS, Line, LineError, LineKind, encode, sm3

CONTENT = {"kind": "access", "at": "2026-11-21T08:30:15.123456Z", "text": '"引号" \\ \x00\u2028'}


def line_of(raw: bytes) -> Line:
    return Line.parse(raw)


def test_sm3_gives_the_digests_of_the_standard() -> None:
    # GB/T 32905-2016, annex A.
    assert sm3(b"abc") == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert sm3(b"abcd" * 16) == "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"


def test_a_line_has_its_fixed_members_first_and_the_others_sorted() -> None:
    raw, digest = encode(LineKind.ENTRY, {"b": 1, "a": "é"}, seq=7, prev=GENESIS)
    expected = f'{{"prev":"{GENESIS}","seq":7,"line":"entry","a":"é","b":1}}'.encode()
    assert raw == b'{"hash":"' + sm3(expected).encode() + b'",' + expected[1:] + b"\n"
    assert digest == sm3(expected)


def test_equal_content_gives_equal_bytes_whatever_its_order() -> None:
    turned = dict(reversed(CONTENT.items()))
    assert encode(LineKind.ENTRY, CONTENT, seq=1, prev=GENESIS) == encode(
        LineKind.ENTRY, turned, seq=1, prev=GENESIS
    )


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.text(st.characters(), max_size=20) | st.integers() | st.lists(st.booleans()),
        min_size=1,
    ).filter(lambda content: not content.keys() & {"hash", "prev", "seq", "line"}),
    st.integers(1, 10**17),
    st.sampled_from(LineKind),
)
def test_what_is_encoded_comes_back(content: dict[str, object], seq: int, kind: LineKind) -> None:
    raw, digest = encode(kind, content, seq=seq, prev=sm3(b"x"))
    assert raw.count(b"\n") == 1
    line = line_of(raw)
    assert (line.hash, line.computed()) == (digest, digest)
    assert (line.prev, line.seq, line.kind) == (sm3(b"x"), seq, kind)
    members = line.fields()
    assert {name: members[name] for name in content} == content


def test_lone_surrogates_survive() -> None:
    raw, _ = encode(LineKind.ENTRY, {"x": "a\udcc4\ud800b"}, seq=1, prev=GENESIS)
    assert line_of(raw).fields()["x"] == "a\udcc4\ud800b"
    assert raw.decode("utf-8")


def test_a_signed_line_ends_with_the_signature_of_the_rest() -> None:
    raw, digest = encode(
        LineKind.SEAL, CONTENT, seq=3, prev=GENESIS, sign=lambda data: data[:32] + b"s" * 32
    )
    line = line_of(raw)
    data, signature = line.signed()
    assert signature == data[:32] + b"s" * 32
    unsigned, _ = encode(LineKind.SEAL, CONTENT, seq=3, prev=GENESIS)
    assert data == line_of(unsigned).body
    assert digest == line.computed()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_hash_can_be_checked_with_other_tools() -> None:
    raw, digest = encode(LineKind.ENTRY, CONTENT, seq=3, prev=GENESIS)
    command = """tr -d '\\n' | sed 's/"hash":"[0-9a-f]*",//' | openssl dgst -sm3"""
    done = subprocess.run(
        command, check=True, shell=True, input=raw, capture_output=True, timeout=10
    )
    assert done.stdout.decode().split()[-1] == digest


@given(st.binary(max_size=300))
def test_any_bytes_are_a_line_or_the_documented_error(data: bytes) -> None:
    for raw in (data, data + b"\n"):
        with pytest.raises(LineError):
            line_of(raw)


@given(st.binary(max_size=60), st.sampled_from(LineKind))
def test_any_members_are_taken_apart_or_give_the_documented_error(
    data: bytes, kind: LineKind
) -> None:
    head = f'{{"hash":"{GENESIS}","prev":"{GENESIS}","seq":1,"line":"{kind}",'.encode()
    line = line_of(head + data + b"}\n") if data else None
    for work in (Line.fields, Line.signed):
        try:
            if line is not None:
                work(line)
        except LineError:
            pass


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"{}\n",
        b'{"hash":"%s","prev":"%s","seq":01,"line":"entry","a":1}\n',
        b'{"hash":"%s","prev":"%s","seq":-1,"line":"entry","a":1}\n',
        b'{"hash":"%s","prev":"%s","seq":1000000000000000000,"line":"entry","a":1}\n',
        b'{"hash":"%s","prev":"%s","seq":1,"line":"nothing","a":1}\n',
        b'{"hash":"%s","prev":"%s","seq":1,"line":"entry"}\n',
        b'{"hash":"%s","prev":"%s","seq":1,"line":"entry","a":1}',
        b'{"hash":"%s","prev":"%s","seq":1,"line":"entry","a":1} \n',
        b'{"hash":"%s","prev":"%s","seq":1,"line":"entry","a":1}\r\n',
        b' {"hash":"%s","prev":"%s","seq":1,"line":"entry","a":1}\n',
        b'{"prev":"%s","hash":"%s","seq":1,"line":"entry","a":1}\n',
        b'{"hash": "%s","prev":"%s","seq":1,"line":"entry","a":1}\n',
    ],
)
def test_other_forms_of_the_same_are_no_lines(raw: bytes) -> None:
    with pytest.raises(LineError):
        line_of(raw.replace(b"%s", GENESIS.encode()))


def test_deep_json_and_huge_numbers_are_refused_not_crashed_on() -> None:
    head = f'{{"hash":"{GENESIS}","prev":"{GENESIS}","seq":1,"line":"entry","a":'
    for value in ("[" * 30_000, "9" * 5000):
        with pytest.raises(LineError):
            line_of(f"{head}{value}}}\n".encode()).fields()
    assert json.loads(f"{head}1}}")["a"] == 1
