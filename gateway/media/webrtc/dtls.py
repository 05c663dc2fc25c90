"""DTLS with one viewer, and the SRTP keys that come of it (RFC 5763, RFC 5764, RFC 6347).

Certificate, cipher list and the list of SRTP profiles are aiortc's; the handshake is driven here on OpenSSL's memory
BIOs, packet in, packets out, so that a viewer needs no task of its own. `RTCCertificate._create_ssl_context` and the
fields of `SRTP_PROFILES` are aiortc's private parts: its version is pinned for them.
"""

import enum
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiortc.rtcdtlstransport import (
    SRTP_PROFILES,
    RTCCertificate,
    SRTPProtectionProfile,
    certificate_digest,
)
from OpenSSL import SSL
from pylibsrtp import Policy

__all__ = ["DtlsCertificate", "DtlsServer", "DtlsState", "SrtpKeys"]

MTU = 1_200
"""Bytes of a DTLS datagram: below what tunnels let through."""
MAX_RECORDS = 64
"""Records of one datagram that are looked at."""
_RECORD_HEADER = 13
_READ = 65_535
_EXTRACTOR = b"EXTRACTOR-dtls_srtp"
# What costs least first: GCM takes half of what counter mode with SHA-1 does.
_PREFERRED = (
    Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
)


class DtlsState(enum.Enum):
    """Life of a connection."""

    HANDSHAKE = enum.auto()
    CONNECTED = enum.auto()
    CLOSED = enum.auto()
    """The viewer said goodbye."""
    FAILED = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class SrtpKeys:
    """Master keys with salts behind them."""

    profile: int
    """libsrtp's number."""
    send: bytes
    receive: bytes


class DtlsCertificate:
    """Our self-signed certificate, which viewers know by its fingerprint; blocks for a millisecond."""

    def __init__(self) -> None:
        self._certificate = RTCCertificate.generateCertificate()
        self.fingerprint = next(
            item.value
            for item in self._certificate.getFingerprints()
            if item.algorithm == "sha-256"
        )
        """SHA-256, upper-case hex with colons."""
        self._profiles: list[SRTPProtectionProfile] = sorted(
            SRTP_PROFILES, key=lambda item: _PREFERRED.index(item.libsrtp_profile)
        )
        self._context = self._certificate._create_ssl_context(self._profiles)  # noqa: SLF001 - see above

    def connection(self) -> SSL.Connection:
        """Return the server's side of a new connection."""
        connection = SSL.Connection(self._context)
        connection.set_ciphertext_mtu(MTU)
        connection.set_accept_state()
        return connection

    def profile(self, name: bytes) -> SRTPProtectionProfile | None:
        """Return the SRTP profile of this name."""
        return next((item for item in self._profiles if item.openssl_profile == name), None)


class DtlsServer:
    """The server's side of a viewer's connection.

    Args:
        certificate: Ours.
        fingerprints: (digest, value) of the viewer's certificate, from its offer.
        send: Sends one datagram.
    """

    def __init__(
        self,
        certificate: DtlsCertificate,
        fingerprints: Sequence[tuple[str, str]],
        send: Callable[[bytes], None],
    ) -> None:
        self.state = DtlsState.HANDSHAKE
        self.keys: SrtpKeys | None = None
        """Once connected."""
        self.failure = ""
        """What went wrong."""
        self._certificate = certificate
        self._fingerprints = tuple(fingerprints)
        self._send = send
        self._ssl = certificate.connection()
        self._due: float | None = None

    def receive(self, data: bytes, now: float) -> None:
        """Take a datagram."""
        if not data or self.state in {DtlsState.CLOSED, DtlsState.FAILED}:
            return
        self._ssl.bio_write(data)
        if self.state is DtlsState.HANDSHAKE:
            self._shake_hands()
        if self.state is DtlsState.CONNECTED:
            self._read()
        self._flush()
        self._set_timer(now)

    def handle_timer(self, now: float) -> None:
        """Send a lost flight again when its time has come."""
        if self._due is not None and now >= self._due and self.state is DtlsState.HANDSHAKE:
            try:
                self._ssl.DTLSv1_handle_timeout()
            except SSL.Error as exc:
                self._fail(f"the DTLS handshake came to nothing: {_words(exc)}")
            self._flush()
            self._set_timer(now)

    def close(self) -> None:
        """Say goodbye; idempotent."""
        if self.state in {DtlsState.HANDSHAKE, DtlsState.CONNECTED}:
            self.state = DtlsState.CLOSED
            try:
                self._ssl.shutdown()
            except SSL.Error:
                return
            self._flush()

    def _shake_hands(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as exc:
            self._fail(f"the DTLS handshake failed: {_words(exc)}")
            return
        self._flush()
        peer = self._ssl.get_peer_certificate(as_cryptography=True)
        if peer is None or not any(
            hmac.compare_digest(certificate_digest(peer, digest), value)
            for digest, value in self._fingerprints
        ):
            self._fail("the viewer's certificate is not the one whose fingerprint was offered")
            return
        profile = self._certificate.profile(self._ssl.get_selected_srtp_profile())
        if profile is None:
            self._fail("the viewer takes none of our SRTP profiles")
            return
        material = self._ssl.export_keying_material(
            _EXTRACTOR, 2 * (profile.key_length + profile.salt_length)
        )
        self.keys = SrtpKeys(
            profile=profile.libsrtp_profile,
            send=profile.get_key_and_salt(material, 1),
            receive=profile.get_key_and_salt(material, 0),
        )
        self.state = DtlsState.CONNECTED

    def _read(self) -> None:
        for _ in range(MAX_RECORDS):
            try:
                self._ssl.recv(1500)  # nothing is sent this way that matters to us
            except SSL.WantReadError:
                return
            except (SSL.ZeroReturnError, SSL.SysCallError):
                self.state = DtlsState.CLOSED
                return
            except SSL.Error:
                return

    def _flush(self) -> None:
        try:
            data = self._ssl.bio_read(_READ)
        except SSL.Error:
            return
        for datagram in _datagrams(data):
            self._send(datagram)

    def _set_timer(self, now: float) -> None:
        wait = self._ssl.DTLSv1_get_timeout() if self.state is DtlsState.HANDSHAKE else None
        self._due = None if wait is None else now + wait

    def _fail(self, words: str) -> None:
        self.state, self.failure = DtlsState.FAILED, words


def _datagrams(data: bytes) -> list[bytes]:
    """Cut what a memory BIO holds into datagrams of whole records."""
    found: list[bytes] = []
    start = end = 0
    while end + _RECORD_HEADER <= len(data):
        after = end + _RECORD_HEADER + int.from_bytes(data[end + 11 : end + 13])
        if after - start > MTU and end > start:
            found.append(data[start:end])
            start = end
        end = after
    if start < len(data):
        found.append(data[start:])
    return found


def _words(exc: SSL.Error) -> str:
    reasons = [str(part[-1]) for part in exc.args[0]] if exc.args and exc.args[0] else []
    return "; ".join(reasons)[:200] or type(exc).__name__
