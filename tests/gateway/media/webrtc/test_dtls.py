"""DTLS against OpenSSL's client: keys that fit, lost flights, wrong certificates, garbage."""

import os
import time
from typing import Any

import pytest
from aiortc.rtcdtlstransport import RTCCertificate, certificate_digest
from OpenSSL import SSL

from gateway.media.webrtc.dtls import MTU, DtlsCertificate, DtlsServer, DtlsState

PROFILES = {
    b"SRTP_AES128_CM_SHA1_80": (16, 14),
    b"SRTP_AEAD_AES_128_GCM": (16, 12),
    b"SRTP_AEAD_AES_256_GCM": (32, 12),
}


class Client:
    """The viewer's side: OpenSSL's own client on memory."""

    def __init__(self, profiles: bytes = b"SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM") -> None:
        self.certificate = RTCCertificate.generateCertificate()
        context: Any = SSL.Context(SSL.DTLS_METHOD)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        context.use_certificate(self.certificate._cert)
        context.use_privatekey(self.certificate._key)
        if profiles:
            context.set_tlsext_use_srtp(profiles)
        self.ssl = SSL.Connection(context)
        self.ssl.set_ciphertext_mtu(MTU)
        self.ssl.set_connect_state()
        self.done = False

    @property
    def fingerprints(self) -> list[tuple[str, str]]:
        return [(item.algorithm, item.value) for item in self.certificate.getFingerprints()]

    def step(self, *datagrams: bytes) -> bytes:
        """Take datagrams, return what is to be sent."""
        for data in datagrams:
            self.ssl.bio_write(data)
        try:
            self.ssl.do_handshake()
            self.done = True
        except SSL.WantReadError:
            pass
        try:
            return self.ssl.bio_read(65_535)
        except SSL.WantReadError:
            return b""

    def keys(self) -> tuple[bytes, bytes]:
        """Master keys of client and server."""
        length, salt = PROFILES[self.ssl.get_selected_srtp_profile()]
        material = self.ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (length + salt))
        return (
            material[:length] + material[2 * length : 2 * length + salt],
            material[length : 2 * length] + material[2 * length + salt :],
        )


class Pair:
    """Client and server with a wire between."""

    def __init__(self, client: Client, fingerprints: list[tuple[str, str]] | None = None) -> None:
        self.client = client
        self.sent: list[bytes] = []
        chosen = client.fingerprints if fingerprints is None else fingerprints
        self.server = DtlsServer(CERTIFICATE, chosen, self.sent.append)

    def shake_hands(self, now: float = 0.0) -> None:
        data = self.client.step()
        for _ in range(6):
            if data:
                self.server.receive(data, now)
            answers, self.sent[:] = list(self.sent), []
            data = self.client.step(*answers)
            if not data and not self.sent:
                return


CERTIFICATE = DtlsCertificate()


@pytest.mark.parametrize("offered", [b"SRTP_AES128_CM_SHA1_80", b":".join(PROFILES)])
def test_both_sides_end_with_the_same_keys(offered: bytes) -> None:
    pair = Pair(Client(offered))
    pair.shake_hands()
    assert pair.server.state is DtlsState.CONNECTED
    assert pair.client.done
    keys = pair.server.keys
    assert keys is not None
    assert (keys.receive, keys.send) == pair.client.keys()


def test_the_cheapest_profile_that_both_know_is_taken() -> None:
    pair = Pair(Client(b":".join(PROFILES)))
    pair.shake_hands()
    assert pair.client.ssl.get_selected_srtp_profile() == b"SRTP_AEAD_AES_128_GCM"


def test_the_server_shows_the_certificate_of_its_fingerprint() -> None:
    pair = Pair(Client())
    pair.shake_hands()
    shown = pair.client.ssl.get_peer_certificate(as_cryptography=True)
    assert shown is not None
    assert certificate_digest(shown, "sha-256") == CERTIFICATE.fingerprint


def test_datagrams_fit_into_what_networks_carry() -> None:
    pair = Pair(Client())
    pair.server.receive(pair.client.step(), 0.0)
    assert pair.sent
    assert all(len(data) <= MTU for data in pair.sent)


def test_a_certificate_that_was_not_offered_is_refused() -> None:
    other = Client()
    pair = Pair(Client(), fingerprints=other.fingerprints)
    pair.shake_hands()
    assert pair.server.state is DtlsState.FAILED
    assert pair.server.keys is None
    assert "fingerprint" in pair.server.failure


def test_a_client_without_srtp_is_refused() -> None:
    pair = Pair(Client(b""))
    pair.shake_hands()
    assert pair.server.state is DtlsState.FAILED
    assert "SRTP" in pair.server.failure


def test_a_lost_flight_is_sent_again_when_its_time_has_come() -> None:
    pair = Pair(Client())
    hello = pair.client.step()
    pair.server.receive(hello, 0.0)
    lost, pair.sent[:] = list(pair.sent), []
    assert lost
    pair.server.handle_timer(0.1)
    assert pair.sent == [], "too early"
    time.sleep(1.05)  # OpenSSL looks at its own clock, too: RFC 6347 4.2.4.1 begins with a second
    pair.server.handle_timer(1.05)
    assert pair.sent
    data = pair.client.step(*pair.sent)
    pair.sent.clear()
    pair.server.receive(data, 1.1)
    assert pair.server.state is DtlsState.CONNECTED


def test_garbage_neither_connects_nor_breaks_the_handshake() -> None:
    pair = Pair(Client())
    for data in (b"", b"\x16", b"\x16\xfe\xfd" + os.urandom(60), bytes([20]) * 1400, b"\x3f" * 13):
        pair.server.receive(data, 0.0)
    assert pair.server.keys is None
    assert pair.server.failure == ""
    pair.sent.clear()
    pair.shake_hands()
    assert pair.server.state is DtlsState.CONNECTED


def test_goodbyes_are_heard_and_said() -> None:
    pair = Pair(Client())
    pair.shake_hands()
    pair.client.ssl.shutdown()
    pair.server.receive(pair.client.ssl.bio_read(65_535), 1.0)
    assert pair.server.state is DtlsState.CLOSED

    pair = Pair(Client())
    pair.shake_hands()
    pair.sent.clear()
    pair.server.close()
    pair.server.close()
    assert len(pair.sent) == 1
    pair.client.ssl.bio_write(pair.sent[0])
    with pytest.raises(SSL.ZeroReturnError):
        pair.client.ssl.recv(100)
