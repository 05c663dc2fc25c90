"""Every cap on what a peer may make us hold or do, with its reason. Sizes are bytes, durations seconds."""

__all__ = [
    "MAX_CATALOG_COLLECTIONS",
    "MAX_CATALOG_ITEMS",
    "MAX_FAULTS",
    "MAX_ID_LENGTH",
    "MAX_SDP_BYTES",
    "MAX_SDP_LINES",
    "MAX_SDP_MEDIA",
    "MAX_SDP_PAYLOADS",
    "MAX_SUBJECT_LENGTH",
    "MAX_UDP_MESSAGE",
    "MAX_XML_BYTES",
    "MAX_XML_DEPTH",
    "MAX_XML_ELEMENTS",
    "MAX_XML_FIELD",
]

MAX_UDP_MESSAGE = 65_535
"""Devices send fragmented UDP catalogue MESSAGEs of many KB; this is all that UDP can carry."""

MAX_ID_LENGTH = 64
"""The standard says 20 digits; vendors use other SIP user names, none near this."""

MAX_SDP_BYTES = 16_384
"""The longest offer of the standard is under 600 bytes."""

MAX_SDP_LINES = 256
"""A GB SDP has about 20 lines."""

MAX_SDP_MEDIA = 8
"""GB uses one m= line; devices that add audio use two."""

MAX_SDP_PAYLOADS = 32
"""Payload types and rtpmaps kept per m= line; RTP has 32 dynamic types."""

MAX_SUBJECT_LENGTH = 256
"""Two identifiers and two serials of 20 characters come to 83."""

MAX_XML_BYTES = 1_048_576
"""10,000 records a message are allowed, but no device sends a body over 1 MiB."""

MAX_XML_DEPTH = 16
"""The deepest element of the standard is at level 7."""

MAX_XML_ELEMENTS = 100_000
"""1 MiB of the shortest elements would be 250,000 objects of 60 bytes and more."""

MAX_XML_FIELD = 4_096
"""A leaf's text; the longest of the standard, Info, has 1,024 characters."""

MAX_CATALOG_ITEMS = 100_000
"""One device's catalogue; the largest lower platforms have some 50,000 cameras."""

MAX_CATALOG_COLLECTIONS = 10_000
"""Catalogue answers being collected at once: one per device."""

MAX_FAULTS = 1_000
"""Faulty sub-devices kept from one keepalive; a recorder has at most some hundred channels."""
