"""What a start asks of the machine, and what it says when it does not get it."""

import asyncio
import socket
from pathlib import Path

import pytest

from gateway.app.listen import bound, free_port, private_directory, tls_context
from gateway.domain.errors import Unavailable


def test_a_free_port_is_free_for_both_transports() -> None:
    port = free_port("127.0.0.1")
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", port))
        udp.bind(("127.0.0.1", port))
        assert tcp.getsockname() == udp.getsockname() == ("127.0.0.1", port)


@pytest.mark.parametrize(("transport", "option"), [("UDP", "port"), ("TLS", "tls_port")])
async def test_a_taken_port_is_named_with_the_option_that_moves_it(
    transport: str, option: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        async def listen(host: str, port: int) -> tuple[str, int]:
            server = await asyncio.start_server(lambda *_: None, host, port)
            server.close()
            return host, port

        with pytest.raises(Unavailable, match=rf"{transport} .*:{port}.*\[sip\] {option}$"):
            await bound(transport, "127.0.0.1", port, listen)


def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    cert = tmp_path / "cert.pem"
    cert.write_text("nothing of the kind")
    with pytest.raises(Unavailable, match=r"cert\.pem") as caught:
        tls_context(str(cert), str(cert))
    assert caught.value.code == "sip_certificate_unusable"
    with pytest.raises(Unavailable, match="No such file"):
        tls_context(str(tmp_path / "absent"), str(cert))


def test_the_data_directory_is_for_its_owner_only(tmp_path: Path) -> None:
    private_directory(tmp_path / "a" / "data")
    assert (tmp_path / "a" / "data").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be made"):
        private_directory(tmp_path / "file")
