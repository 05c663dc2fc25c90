from gb28181.limits import MAX_TRACE_DUMP
from gb28181.sip.parser import parse
from gb28181.sip.trace import dump, summary

REGISTER = (
    b"REGISTER sip:p@3713260000 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.9.20.31:5060;rport;branch=z9hG4bK6a2b\r\n"
    b"From: <sip:37132600001180000001@3713260000>;tag=8e21\r\n"
    b"To: <sip:37132600001180000001@3713260000>\r\n"
    b"Call-ID: 5d0c2a9e\r\nCSeq: 2 REGISTER\r\n"
    b'Authorization: Digest username="37132600001180000001", response="8ab87110e2f9",\r\n'
    b'  cnonce = abcdef, nonce="6b1f", algorithm=MD5\r\n'
    b"Content-Length: 0\r\n\r\n"
)


def test_summary_says_what_from_whom_to_whom() -> None:
    assert summary(parse(REGISTER)) == (
        "REGISTER 37132600001180000001 -> 37132600001180000001 2 REGISTER 5d0c2a9e"
    )


def test_summary_of_a_response_with_a_body() -> None:
    data = REGISTER.replace(b"REGISTER sip:p@3713260000 SIP/2.0", b"SIP/2.0 200 \xe5\xa5\xbd\x1b")
    message = parse(
        data.replace(b"Content-Length: 0", b"Content-Type: a/B\r\nContent-Length: 2") + b"ab"
    )
    assert summary(message).startswith("200 \\u597d")
    assert summary(message).endswith(" a/b 2 bytes")


def test_summary_of_an_incomplete_message_says_what_is_missing() -> None:
    message = parse(b"INFO sip:a@b SIP/2.0\r\nTo: <sip:b@h>\r\n\r\n", complete=False)
    assert summary(message) == "INFO (From is missing)"


def test_dump_hides_digest_answers_even_in_folded_lines() -> None:
    text = dump(REGISTER)
    assert "8ab87110e2f9" not in text
    assert "abcdef" not in text
    assert 'nonce="6b1f"' in text
    assert text.count("***") == 2


def test_dump_is_cut() -> None:
    text = dump(REGISTER + b"x" * MAX_TRACE_DUMP)
    assert len(text) < MAX_TRACE_DUMP + 100
    assert text.endswith(f"... ({len(REGISTER) + MAX_TRACE_DUMP} bytes)")
