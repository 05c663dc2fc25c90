"""The Subject header of an INVITE (GB/T 28181-2022 Annex L; 2011-2016 Annex K).

Subject: <sender id>:<sender stream serial>,<receiver id>:<receiver stream serial>
"""

from dataclasses import dataclass

from gb28181.errors import LocalProtocolError
from gb28181.limits import MAX_SUBJECT_LENGTH

__all__ = ["Subject", "build_subject", "parse_subject"]

_MAX_SERIAL = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who sends and who receives, each with the number of the stream on its side."""

    sender_id: str
    sender_serial: str
    """`0...` live, `1...` history; a sender that has this one open must stop it and start anew."""
    receiver_id: str
    receiver_serial: str

    @property
    def is_history(self) -> bool:
        """Whether the sender serial says playback or download."""
        return self.sender_serial.startswith("1")


def build_subject(
    sender_id: str, ssrc: int, receiver_id: str, *, receiver_serial: str = "0"
) -> str:
    """Write a Subject with the SSRC as the sender's serial, as every platform does.

    Args:
        sender_id: The channel that sends, never the recorder above it.
        ssrc: SSRC offered in ``y=``.
        receiver_id: The platform or client that receives.
        receiver_serial: Its own number for the stream.
    """
    parts = (sender_id, receiver_id, receiver_serial)
    if any(not part or set(part) & set(":,\r\n ") for part in parts):
        raise LocalProtocolError(f"no part of a Subject may be empty or hold ':' or ',': {parts!r}")
    return f"{sender_id}:{ssrc:010d},{receiver_id}:{receiver_serial}"


def parse_subject(text: str | None) -> Subject | None:
    """Read a Subject; None for an absent or malformed one, which callers must live with.

    A missing serial is read as empty. Mercury cameras swap the identifiers in broadcast INVITEs:
    use them as a hint only.
    """
    if text is None or len(text) > MAX_SUBJECT_LENGTH:
        return None
    halves = [half.strip() for half in text.split(",")]
    if len(halves) != 2:
        return None
    (sender_id, _, sender_serial), (receiver_id, _, receiver_serial) = (
        half.partition(":") for half in halves
    )
    if not sender_id.strip() or not receiver_id.strip() or len(sender_serial.strip()) > _MAX_SERIAL:
        return None
    return Subject(
        sender_id=sender_id.strip(),
        sender_serial=sender_serial.strip(),
        receiver_id=receiver_id.strip(),
        receiver_serial=receiver_serial.strip(),
    )
