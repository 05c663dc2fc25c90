"""CPU of one digest registration without sockets: python tests/bench/bench_sip_core.py [rounds].

REGISTER parsed, 401 built; REGISTER with credentials parsed, verified, 200 built: microseconds for each part.
"""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from gb28181.flow.flood import FloodControl, FloodLimits
from gb28181.flow.registrar import Accept, Challenge, Registrar, ok_headers
from gb28181.sip.build import build_response, stamp_via, stateless_tag
from gb28181.sip.digest import Credential, DigestServer, authorize
from gb28181.sip.message import Request
from gb28181.sip.parser import parse
from gb28181.sip.serializer import serialize

DEVICE = "37132600001180000001"
REALM = "3713260000"
SERVER = f"sip:37132600002000000001@{REALM}"
SOURCE = ("10.9.20.31", 5060)


def register(cseq: int, authorization: str | None) -> bytes:
    extra = f"Authorization: {authorization}\r\n" if authorization else ""
    return (
        f"REGISTER {SERVER} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 10.9.20.31:5060;rport;branch=z9hG4bK5f1a77c2{cseq}\r\n"
        f"From: <sip:{DEVICE}@{REALM}>;tag=8e21aa\r\n"
        f"To: <sip:{DEVICE}@{REALM}>\r\n"
        "Call-ID: 5d0c2a9e871236@10.9.20.31\r\n"
        f"CSeq: {cseq} REGISTER\r\n"
        f"Contact: <sip:{DEVICE}@10.9.20.31:5060>\r\n"
        "Max-Forwards: 70\r\n"
        "User-Agent: IP Camera 5.7.3 build 220112\r\n"
        "Expires: 86400\r\n"
        f"X-GB-Ver: 2.0\r\n{extra}"
        "Content-Length: 0\r\n\r\n"
    ).encode()


def measure(name: str, rounds: int, work: Callable[[], object]) -> float:
    for _ in range(200):
        work()
    start = time.process_time()
    for _ in range(rounds):
        work()
    micros = (time.process_time() - start) / rounds * 1e6
    sys.stdout.write(f"{name:42} {micros:7.2f} us\n")
    return micros


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    digest = DigestServer(realm=REALM, secret=b"k" * 32)
    # The bench registers one device without end, so the brake is counted but never pulled.
    never = 1e18
    limits = FloodLimits(pair_slow=never, pair_ignore=never, host_slow=never, host_ignore=never)
    registrar = Registrar(digest=digest, flood=FloodControl(limits))
    credential = Credential.from_password(DEVICE, REALM, "example-pass")
    first = register(1, None)
    when = datetime.now(UTC)

    def challenge() -> tuple[Challenge, bytes]:
        request = parse(first)
        assert isinstance(request, Request)
        stamp_via(request, SOURCE)
        decision = registrar.handle(request, SOURCE, lambda _: credential, 1.0)
        assert isinstance(decision, Challenge)
        tag = stateless_tag(request, b"k" * 32)
        return decision, serialize(
            build_response(request, 401, to_tag=tag, headers=decision.headers)
        )

    def accept(second: bytes) -> bytes:
        request = parse(second)
        assert isinstance(request, Request)
        stamp_via(request, SOURCE)
        decision = registrar.handle(request, SOURCE, lambda _: credential, 1.0)
        assert isinstance(decision, Accept), decision
        return serialize(
            build_response(request, 200, to_tag="c4d9aa", headers=ok_headers(decision, when))
        )

    answers = []
    for _ in range(rounds + 200):
        values = [value for name, value in challenge()[0].headers if name == "WWW-Authenticate"]
        answers.append(
            authorize(
                values,
                method="REGISTER",
                uri=SERVER,
                username=DEVICE,
                password="example-pass",
                cnonce="",
            )
        )
    seconds = [register(2, answer) for answer in answers]
    fresh = DigestServer(realm=REALM, secret=b"k" * 32)
    registrar = Registrar(digest=fresh, flood=FloodControl(limits))
    source = iter(seconds)
    sys.stdout.write(f"{len(first)} and {len(seconds[0])} bytes\n")
    measure("parse REGISTER", rounds, lambda: parse(first))
    measure("parse REGISTER with Authorization", rounds, lambda: parse(seconds[0]))
    request = parse(first)
    assert isinstance(request, Request)
    measure(
        "build and serialize 200",
        rounds,
        lambda: serialize(build_response(request, 200, to_tag="c4d9aa")),
    )
    total = measure("parse, verify, 200, serialize", rounds, lambda: accept(next(source)))
    total += measure("parse, 401, serialize", rounds, challenge)
    sys.stdout.write(f"{'registration: both exchanges':42} {total:7.2f} us, {1e6 / total:.0f}/s\n")


if __name__ == "__main__":
    main()
