"""The media of an accepted call: begun by the ACK, moved by re-INVITEs (RFC 3261 14, RFC 3264 8)."""

from collections.abc import Callable

from gateway.cascade.bridge_terms import MediaTerms
from gateway.cascade.refusal import Refused
from gateway.domain.bridge import BridgeRecord
from gateway.domain.media import Sender
from gb28181.errors import SdpError

__all__ = ["BridgeMedia"]


class BridgeMedia:
    """Points a relay to where both sides have agreed; whoever made the relay closes it.

    Args:
        terms: What has been agreed on.
        sender: The relay.
        record: Where the target is written down.
        note: Called with a sentence about an answer that cannot be used.
    """

    def __init__(
        self,
        terms: MediaTerms,
        sender: Sender,
        record: BridgeRecord,
        note: Callable[[str], None],
    ) -> None:
        self._terms = terms
        self._sender = sender
        self._record = record
        self._note = note

    def acknowledged(self, body: bytes) -> None:
        """Begin: the ACK to our 200 is here, and its body is the answer if the offer was ours.

        Raises:
            SdpError: the answer cannot be used.
        """
        if not self._terms.is_late:
            self._sender.start()
            return
        self._terms.answered(body)
        self._aim()

    def reinvited(self, sdp: bytes) -> tuple[int, bytes]:
        """Answer a re-INVITE: the media may move, its transport may not change."""
        terms = self._terms
        if not sdp.strip():
            # An offer of ours: the one we gave; the ACK has the answer.
            return 200, terms.sent
        before = terms.target
        try:
            answer = terms.offered_again(sdp)
        except Refused as exc:
            return exc.status, b""
        if terms.target != before:
            self._aim()
        return 200, answer

    def answered_again(self, body: bytes) -> None:
        """Take the answer in the ACK to a re-INVITE without SDP; one that cannot be used changes nothing."""
        if not body.strip():
            return
        before = self._terms.target
        try:
            self._terms.answered(body)
        except SdpError as exc:
            self._note(f"{self._record.shared_id}: the answer to a re-INVITE cannot be used: {exc}")
            return
        if self._terms.target != before:
            self._aim()

    def _aim(self) -> None:
        target = self._terms.target
        self._sender.start(target.remote, payload_type=target.payload_type)
        self._record.remote = str(target) or self._record.remote
