"""Requests and responses from their parts (RFC 3261 8.1.1, 8.2.6)."""

import hashlib
from collections.abc import Iterable

from gb28181.errors import SipParseError
from gb28181.sip.grammar import HEAD_END, decode
from gb28181.sip.header.via import parse_via
from gb28181.sip.headers import Headers, key_of
from gb28181.sip.message import Request, Response
from gb28181.sip.serializer import serialize
from gb28181.sip.status import reason_of

__all__ = ["bad_request_response", "build_request", "build_response", "stamp_via", "stateless_tag"]


def build_request(  # the parts RFC 3261 8.1.1 requires
    method: str,
    uri: str,
    *,
    via: str,
    from_: str,
    to: str,
    call_id: str,
    cseq: int,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str | None = None,
    max_forwards: int = 70,
) -> Request:
    """Build a request from complete header values; `from_` and `to` carry their tags already."""
    lines = [
        ("Via", via),
        ("From", from_),
        ("To", to),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} {method}"),
        ("Max-Forwards", str(max_forwards)),
        *headers,
    ]
    if content_type is not None:
        lines.append(("Content-Type", content_type))
    return Request(method, uri, Headers(lines), body)


def build_response(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> Response:
    """Build a response: Via, From, To, Call-ID and CSeq are copied as the request spelled them.

    Args:
        request: What is answered.
        status: Status code.
        reason: Reason phrase; the standard one by default.
        to_tag: Added to To unless the request has a To tag or the status is 100.
        headers: Further header lines.
        body: Body, which needs a `content_type`.
        content_type: Content-Type of the body.
    """
    index = request.headers.index
    lines = [("Via", value) for value in index.get("via", ())]
    if "record-route" in index and 100 < status < 300:
        lines += [("Record-Route", value) for value in index["record-route"]]
    lines += [("From", value) for value in index.get("from", ())]
    for value in index.get("to", ()):
        tagged = to_tag is not None and status != 100 and request.to.tag is None
        lines.append(("To", f"{value};tag={to_tag}" if tagged else value))
    lines += [("Call-ID", value) for value in index.get("call-id", ())]
    lines += [("CSeq", value) for value in index.get("cseq", ())]
    lines += headers
    if content_type is not None:
        lines.append(("Content-Type", content_type))
    return Response(status, reason_of(status) if reason is None else reason, Headers(lines), body)


def stamp_via(request: Request, source: tuple[str, int]) -> None:
    """Write `received` and `rport` into the topmost Via of a request that came from `source` (RFC 3581)."""
    values = request.headers.index.get("via")
    if values is None:
        return
    raw = values[0]
    host, port = source
    if raw.count(",") == 0 and raw.count(";rport;") == 1:
        stamped = (
            raw.replace(";rport;", f";rport={port};received={host};")
            if "received" not in raw
            else ""
        )
    else:
        stamped = ""
    if not stamped:
        head, comma, tail = raw.partition(",")
        via = parse_via(head.rstrip(" \t"))
        stamped = str(via.with_source(host, port)) + comma + tail
    request.headers.replace_first("Via", stamped)


def stateless_tag(request: Request, secret: bytes) -> str:
    """Derive the To tag of a stateless answer: the same for each retransmission (RFC 3261 8.2.7)."""
    seed = "\n".join(
        [request.call_id, request.headers.get("From") or "", request.headers.get("Via") or ""]
    )
    digest = hashlib.blake2s(
        seed.encode("utf-8", "surrogateescape"), key=secret[:32], digest_size=8
    )
    return digest.hexdigest()


def bad_request_response(
    data: bytes, error: SipParseError, source: tuple[str, int] | None = None
) -> bytes | None:
    """Build the answer to a request that could not be parsed, from the lines that still can be read.

    Args:
        data: The message as it came.
        error: Why it was refused; its status is answered.
        source: Where it came from, for `received` and `rport`.

    Returns:
        The response, or None for a response, an ACK, or a message whose topmost Via is unusable.
    """
    match = HEAD_END.search(data)
    text = (
        decode(data[: match.start()] if match else data).replace("\r\n", "\n").lstrip("\n\r\x00 \t")
    )
    start_line, _, rest = text.partition("\n")
    method, _, tail = start_line.partition(" ")
    if not tail or method[:4].upper() == "SIP/" or method.upper() == "ACK":
        return None
    request = Request(method, "", _salvage(rest))
    try:
        _ = request.via
        if source is not None:
            stamp_via(request, source)
    except SipParseError:
        # The Via of another SIP version is foreign by nature: its 505 goes back as it came.
        if error.status != 505 or "Via" not in request.headers:
            return None
    tag = hashlib.blake2s(data, digest_size=6).hexdigest()
    try:
        response = build_response(request, error.status, to_tag=tag)
    except SipParseError:
        response = build_response(request, error.status)
    response.reason = f"{response.reason} ({error.field})"
    return serialize(response)


def _salvage(text: str) -> Headers:
    """Collect the lines a response needs; of each but Via only the first."""
    headers = Headers()
    unfolded = text.replace("\n ", " ").replace("\n\t", " ").replace("\r", " ")
    for line in unfolded.split("\n")[:256]:
        name, colon, value = line.partition(":")
        key = key_of(name.rstrip(" \t"))
        if colon and (
            key == "via" or (key in {"from", "to", "call-id", "cseq"} and key not in headers)
        ):
            headers.add(name.rstrip(" \t"), value.strip(" \t"))
    return headers
