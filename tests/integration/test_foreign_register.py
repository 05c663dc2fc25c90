"""Registration by foreign software: sipp over UDP and TCP, PySIPio over UDP, openssl's client over TLS; and by rogues."""

import asyncio
import hashlib
import re
import socket
import sys
from pathlib import Path
from typing import Self

import pytest

from tests.support.gateway import PASSWORD, SERVER_ID, RunningGateway, eventually, running_gateway

pytestmark = [pytest.mark.net, pytest.mark.timeout(60)]

HERE = Path(__file__).parent
DOMAIN = SERVER_ID[:10]
DEVICE = "34020000001320000777"


async def run(*command: str, cwd: Path, stdin: bytes | None = None) -> tuple[int, str]:
    """Run a foreign program to its end; status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(25):
        out, _ = await process.communicate(stdin)
    return process.returncode or 0, out.decode(errors="replace")


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_sipp_registers_with_digest_and_keeps_alive(tmp_path: Path, transport: str) -> None:
    async with running_gateway(tmp_path / "data") as it:
        ids = tmp_path / "ids.csv"
        auth = f"[authentication username={DEVICE} password={PASSWORD}]"
        ids.write_text(f"SEQUENTIAL\n{DEVICE};{auth};{SERVER_ID};{DOMAIN}\n")
        status, said = await run(
            "sipp", f"127.0.0.1:{it.sip_port(transport)}", "-i", "127.0.0.1", "-nostdin",
            "-t", "u1" if transport == "UDP" else "t1", "-m", "1", "-timeout", "15",
            "-sf", str(HERE / "scenarios" / "register.xml"), "-inf", str(ids),
            cwd=tmp_path,
        )  # fmt: skip
        assert status == 0, said[-2000:]
        device = await it.api.get(f"devices/{DEVICE}")
        assert device["address"]["transport"] == transport
        assert device["last_keepalive_at"] is not None


async def test_pysipio_registers_over_udp(tmp_path: Path) -> None:
    async with running_gateway(tmp_path / "data") as it:
        status, said = await run(
            sys.executable, "-P", str(HERE.parent / "support" / "pysip_register.py"),
            DEVICE, PASSWORD, f"127.0.0.1:{it.sip_port()}",
            cwd=tmp_path,
        )  # fmt: skip
        assert status == 0, said[-2000:]
        assert said.strip().splitlines()[-1].startswith("registered 401 200")
        assert (await it.api.get(f"devices/{DEVICE}"))["online"]


def register(
    cseq: int, transport: str, port: int, extra: str = "", *, call_id: str = "tls-1", uri: str = ""
) -> bytes:
    """A REGISTER as a device writes it."""
    return (
        f"REGISTER {uri or f'sip:{SERVER_ID}@{DOMAIN}'} SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} 127.0.0.1:{port};rport;branch=z9hG4bK{call_id}{cseq}\r\n"
        f"From: <sip:{DEVICE}@{DOMAIN}>;tag=7\r\nTo: <sip:{DEVICE}@{DOMAIN}>\r\n"
        f"Call-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n"
        f"Contact: <sip:{DEVICE}@127.0.0.1:{port}>\r\nMax-Forwards: 70\r\nExpires: 3600\r\n"
        f"{extra}Content-Length: 0\r\n\r\n"
    ).encode()


def authorization(challenge: str, password: str = PASSWORD) -> str:
    """The Authorization line that answers a challenge, by RFC 2617's own arithmetic."""
    nonce = re.search(r'nonce="([^"]+)"', challenge)
    realm = re.search(r'realm="([^"]+)"', challenge)
    assert nonce is not None
    assert realm is not None
    uri = f"sip:{SERVER_ID}@{DOMAIN}"

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    ha1, ha2 = md5(f"{DEVICE}:{realm[1]}:{password}"), md5(f"REGISTER:{uri}")
    response = md5(f"{ha1}:{nonce[1]}:{ha2}")
    return (
        f'Authorization: Digest username="{DEVICE}", realm="{realm[1]}", nonce="{nonce[1]}", '
        f'uri="{uri}", response="{response}", algorithm=MD5\r\n'
    )


async def test_openssl_s_client_registers_over_tls(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    status, said = await run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        "-keyout", str(key), "-out", str(cert), "-subj", "/CN=localhost",
        cwd=tmp_path,
    )  # fmt: skip
    assert status == 0, said
    sip = {"tls_port": 0, "tls_cert": str(cert), "tls_key": str(key)}
    async with running_gateway(tmp_path / "data", sip=sip) as it:
        process = await asyncio.create_subprocess_exec(
            "openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{it.sip_port('TLS')}",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        async with asyncio.timeout(10):
            process.stdin.write(register(1, "TLS", 5061))
            challenge = (await process.stdout.readuntil(b"\r\n\r\n")).decode()
            assert challenge.startswith("SIP/2.0 401 ")
            process.stdin.write(register(2, "TLS", 5061, authorization(challenge)))
            granted = (await process.stdout.readuntil(b"\r\n\r\n")).decode()
        assert granted.startswith("SIP/2.0 200 ")
        device = await it.api.get(f"devices/{DEVICE}")
        assert (device["online"], device["address"]["transport"]) == (True, "TLS")
        process.terminate()
        await process.wait()

        async def gone() -> bool:
            return not (await it.api.get(f"devices/{DEVICE}"))["online"]

        await eventually(gone, 5.0, "the end of the registration with its connection")


class Rogue:
    """A UDP socket that says what it likes."""

    def __init__(self, it: RunningGateway, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind((host, 0))
        self.port = self.socket.getsockname()[1]
        self._server = ("127.0.0.1", it.sip_port())

    async def ask(self, message: bytes) -> str:
        """Send and return the answer, passing over the gateway's own queries."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendto(self.socket, message, self._server)
        async with asyncio.timeout(15):
            while True:
                answer = (await loop.sock_recv(self.socket, 65_535)).decode(errors="replace")
                if answer.startswith("SIP/2.0 "):
                    return answer

    async def register(self, password: str = PASSWORD, call_id: str = "udp-1") -> tuple[str, bytes]:
        """Register properly; the final answer and the authorised request."""
        challenge = await self.ask(register(1, "UDP", self.port, call_id=call_id))
        request = register(2, "UDP", self.port, authorization(challenge, password), call_id=call_id)
        return await self.ask(request), request

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def keepalive(port: int, host: str = "127.0.0.1", branch: str = "k1") -> bytes:
    """A keepalive of the device, whoever sends it."""
    body = (
        '<?xml version="1.0"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>1</SN>\r\n'
        f"<DeviceID>{DEVICE}</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n"
    )
    return (
        f"MESSAGE sip:{SERVER_ID}@{DOMAIN} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{branch}\r\n"
        f"From: <sip:{DEVICE}@{DOMAIN}>;tag=9\r\nTo: <sip:{SERVER_ID}@{DOMAIN}>\r\n"
        f"Call-ID: {branch}\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\n"
        f"Content-Type: Application/MANSCDP+xml\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def test_a_spoofed_keepalive_moves_nothing(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as it:
        with Rogue(it) as device, Rogue(it, "127.0.0.66") as rogue:
            answer, _ = await device.register()
            assert answer.startswith("SIP/2.0 200 ")
            assert (await device.ask(keepalive(device.port))).startswith("SIP/2.0 200 ")
            spoofed = await rogue.ask(keepalive(rogue.port, "127.0.0.66", "spoof"))
            assert spoofed.startswith("SIP/2.0 403 ")
            known = await it.api.get(f"devices/{DEVICE}")
            assert (known["address"]["host"], known["address"]["port"]) == (
                "127.0.0.1",
                device.port,
            )
            timeline = await it.api.get(f"devices/{DEVICE}/timeline")
            assert "address_refused" in {entry["kind"] for entry in timeline["items"]}


async def test_a_new_port_on_the_registered_address_is_followed(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as it:
        with Rogue(it) as device, Rogue(it) as rebound:
            await device.register()
            assert (await rebound.ask(keepalive(rebound.port))).startswith("SIP/2.0 200 ")
            assert (await it.api.get(f"devices/{DEVICE}"))["address"]["port"] == rebound.port


async def test_a_replayed_authorization_is_refused_even_from_the_same_place(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as it:
        with Rogue(it) as device, Rogue(it, "127.0.0.66") as rogue:
            answer, authorised = await device.register()
            assert answer.startswith("SIP/2.0 200 ")
            again = authorised.replace(b"z9hG4bKudp-12", b"z9hG4bKreplay").replace(
                b"CSeq: 2 ", b"CSeq: 3 "
            )
            for thief in (rogue, device):
                replayed = await thief.ask(again)
                assert not replayed.startswith("SIP/2.0 200 ")
                assert "nonce=" in replayed or replayed.startswith("SIP/2.0 403 ")
            assert (await it.api.get(f"devices/{DEVICE}"))["address"]["port"] == device.port


async def test_a_known_call_id_is_no_way_around_authentication(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as it:
        with Rogue(it) as device, Rogue(it, "127.0.0.66") as rogue:
            await device.register(call_id="same")
            refreshed = await rogue.ask(register(9, "UDP", rogue.port, call_id="same"))
            assert refreshed.startswith("SIP/2.0 401 ")
            assert (await it.api.get(f"devices/{DEVICE}"))["address"]["host"] == "127.0.0.1"


async def test_a_wrong_password_leaves_its_reason_in_the_timeline(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as it:
        with Rogue(it) as device:
            await device.register()
            answer, _ = await device.register("not-the-password", call_id="udp-2")
            assert answer.startswith("SIP/2.0 403 ")
            timeline = await it.api.get(f"devices/{DEVICE}/timeline")
            failed = [item for item in timeline["items"] if item["kind"] == "auth_failed"]
            assert len(failed) == 1
            assert "127.0.0.1" in failed[0]["detail"]
            assert "not-the-password" not in failed[0]["detail"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((DEVICE.encode(), b"nobody-with-20-digit"), b"40"),
        ((b"CSeq: 1 REGISTER", b"CSeq: x REGISTER"), b"400"),
        ((b"REGISTER sip", b"FROBNICATE sip"), b"4"),
        ((b"Contact: ", b"X-Contact: "), b"40"),
    ],
    ids=["wrong id shape", "bad CSeq", "CSeq contradicts method", "no contact"],
)
async def test_malformed_requests_get_a_defined_answer(
    tmp_path: Path, change: tuple[bytes, bytes], status: bytes
) -> None:
    async with running_gateway(tmp_path) as it:
        with Rogue(it) as device:
            answer = await device.ask(register(1, "UDP", device.port).replace(*change))
            assert answer.encode().startswith(b"SIP/2.0 " + status)
            assert (await it.api.get("status"))["devices"]["online"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<Notify><CmdType>Keepalive", 200),
        (b"not xml at all", 400),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><Notify>&a;</Notify>', 400),
        (b"<Notify><CmdType>Unheard</CmdType><SN>1</SN></Notify>", 200),
        (b"", 200),
        (b"<a>" * 5000 + b"</a>" * 5000, 400),
    ],
    ids=["cut short", "no xml", "entities", "unknown CmdType", "empty", "too deep"],
)
async def test_odd_bodies_get_an_answer_and_never_a_traceback(
    tmp_path: Path, body: bytes, status: int
) -> None:
    async with running_gateway(tmp_path) as it:
        with Rogue(it) as device:
            await device.register()
            head = keepalive(device.port).split(b"Content-Length:")[0]
            message = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
            answer = await device.ask(message)
            assert answer.startswith(f"SIP/2.0 {status} ")
            assert (await it.api.get(f"devices/{DEVICE}"))["online"]
