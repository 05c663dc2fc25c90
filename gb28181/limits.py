"""Every cap on what a peer may make us hold or do, with its reason. Sizes are bytes, durations seconds."""

__all__ = [
    "MAX_ANSWERED_TRANSACTIONS",
    "MAX_AWAITED_ANSWERS",
    "MAX_AWAITED_PER_PEER",
    "MAX_BRIEF_ANSWERS",
    "MAX_CATALOG_COLLECTIONS",
    "MAX_CATALOG_ITEMS",
    "MAX_CHANNEL_EXTRA",
    "MAX_CHANNEL_PARENTS",
    "MAX_CONNECTIONS",
    "MAX_CONNECTIONS_PER_HOST",
    "MAX_DIALOGS",
    "MAX_DIGEST_MEMORY",
    "MAX_FAULTS",
    "MAX_FIRST_MESSAGE",
    "MAX_FLOOD_ENTRIES",
    "MAX_FORKS",
    "MAX_FRAME",
    "MAX_HANDSHAKE",
    "MAX_IDENTITY_HOPS",
    "MAX_IDENTITY_LENGTH",
    "MAX_IDLE",
    "MAX_ID_LENGTH",
    "MAX_INVITE_PENDING",
    "MAX_MEDIA_CONNECTIONS",
    "MAX_PARAMETER_SET",
    "MAX_PARAMETER_SETS",
    "MAX_PES_PACKETS_UNPARSED",
    "MAX_PSM_STREAMS",
    "MAX_REFUSED_INVITES",
    "MAX_RTCP_PACKETS",
    "MAX_RTP_AGGREGATED",
    "MAX_RTP_FORGOTTEN",
    "MAX_RTP_HELD",
    "MAX_RTP_JUMP",
    "MAX_RTP_RESYNC_BYTES",
    "MAX_SDP_BYTES",
    "MAX_SDP_LINES",
    "MAX_SDP_MEDIA",
    "MAX_SDP_PAYLOADS",
    "MAX_SIP_BODY",
    "MAX_SIP_BODY_UNMEASURED",
    "MAX_SIP_HEAD",
    "MAX_SIP_HEADERS",
    "MAX_SIP_LINE",
    "MAX_SIP_RESYNC",
    "MAX_SIP_ROOT",
    "MAX_SUBJECT_LENGTH",
    "MAX_SUBSCRIPTIONS",
    "MAX_TRACE_DUMP",
    "MAX_TRANSACTIONS",
    "MAX_UDP_BACKLOG",
    "MAX_UDP_MESSAGE",
    "MAX_UNTRUSTED_BUFFER",
    "MAX_UNTRUSTED_PER_HOST",
    "MAX_UNTRUSTED_TIME",
    "MAX_WRITE_BUFFER",
    "MAX_XML_BYTES",
    "MAX_XML_DEPTH",
    "MAX_XML_ELEMENTS",
    "MAX_XML_FIELD",
    "SIP_BODY_WAIT",
    "SIP_PEEK_WAIT",
    "SIP_ROOT_WAIT",
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

MAX_AWAITED_ANSWERS = 10_000
"""Answers awaited at once: one per device and then some; beyond, a question is refused before it is sent."""

MAX_AWAITED_PER_PEER = 64
"""Of one peer: the standard has people wait for answers, and nobody asks one device more at once."""

MAX_CATALOG_ITEMS = 100_000
"""One device's catalogue; the largest lower platforms have some 50,000 cameras."""

MAX_CATALOG_COLLECTIONS = 10_000
"""Catalogue answers being collected at once: one per device."""

MAX_FAULTS = 1_000
"""Faulty sub-devices kept from one keepalive; a recorder has at most some hundred channels."""

MAX_FRAME = 4_194_304
"""One picture; a 4K key frame at the highest quality of cameras is about 2 MiB."""

MAX_PARAMETER_SET = 4_096
"""One SPS, PPS or VPS; real ones are under 200 bytes, with scaling lists under 1,000."""

MAX_PARAMETER_SETS = 32
"""Sets kept per track; encoders use one to four."""

MAX_PES_PACKETS_UNPARSED = 16
"""RTP packets held before looking into them when nothing tells where frames end: 45 ms at 4 Mbit/s."""

MAX_PSM_STREAMS = 36
"""Entries read from a program stream map; a program stream has at most 16 video and 32 audio ids."""

MAX_RTP_JUMP = 3_000
"""RFC 3550 A.1 MAX_DROPOUT: a larger step ahead is a restart of the sender, not loss."""

MAX_RTP_HELD = 512
"""RTP packets held back for one that is missing, whatever window is asked for."""

MAX_RTP_FORGOTTEN = 1_024
"""Numbers of lost RTP packets remembered, to tell a late packet from a duplicate."""

MAX_RTP_RESYNC_BYTES = 65_536
"""Bytes searched for the next packet of a TCP media stream before it is given up (GB Annex D: close)."""

MAX_RTP_AGGREGATED = 64
"""Units in one aggregation packet (STAP-A, AP, AAC); 1,400 bytes hold few parameter sets or AAC frames."""

MAX_RTCP_PACKETS = 32
"""Packets in one compound RTCP packet; senders put two or three."""

MAX_MEDIA_CONNECTIONS = 8
"""Connections to one media port that may wait to prove themselves; one is the device's."""

MAX_CHANNEL_EXTRA = 64
"""Fields kept beside a channel's own; all editions together have 50."""

MAX_CHANNEL_PARENTS = 32
"""Parents of one catalogue item; a camera in more than a few groups is unheard of."""

MAX_SIP_HEAD = 65_536
"""Start line and headers of one SIP message; real ones stay under 4 KB, RFC 4475's longest under 4 KB too."""

MAX_SIP_HEADERS = 256
"""Header lines of one SIP message; 70 hops of Via and Record-Route fit."""

MAX_SIP_LINE = 16_384
"""One unfolded header line; certificates in Authorization (GB 35114) take some KB."""

MAX_SIP_BODY = 1_048_576
"""Body announced by Content-Length on a stream; a catalogue page of 1,000 items is about 600 KB."""

MAX_SIP_BODY_UNMEASURED = 262_144
"""Body on a stream whose end is only known by its closing XML tag."""

MAX_SIP_RESYNC = 65_536
"""Bytes thrown away on a stream in search of the next start line before the connection is given up."""

MAX_TRANSACTIONS = 65_536
"""SIP requests waiting for an answer, in both directions: five seconds of a full load."""

MAX_ANSWERED_TRANSACTIONS = 16_384
"""Answered requests remembered for retransmissions, of 1 KB each; the oldest are forgotten first."""

MAX_DIALOGS = 16_384
"""INVITE sessions, ended ones that linger 32 seconds included; a gateway streams some thousands."""

MAX_SUBSCRIPTIONS = 65_536
"""Subscriptions of both roles: catalogue, alarm and position at the devices of a large gateway."""

MAX_FORKS = 8
"""Different 2xx to one INVITE that are acknowledged; without a forking proxy there is one."""

MAX_INVITE_PENDING = 180.0
"""An INVITE nobody decides on: timer C of RFC 3261 16.6, after which a proxy gives up too."""

MAX_CONNECTIONS = 20_000
"""SIP connections at once: more than the devices of a large gateway."""

MAX_CONNECTIONS_PER_HOST = 2_000
"""Of one address: a site's devices behind one NAT, yet no single host may take all."""

MAX_WRITE_BUFFER = 1_048_576
"""Bytes waiting for one peer that does not read; beyond, its connection is closed."""

MAX_BRIEF_ANSWERS = 16_384
"""Challenges remembered for retransmissions, of 1 KB each: two seconds of a full load, oldest forgotten first."""

MAX_UDP_BACKLOG = 1_024
"""Datagrams waiting for a full socket buffer; beyond, new ones are lost, as UDP may."""

MAX_HANDSHAKE = 10.0
"""Until a TLS handshake is through; a slow camera needs one second."""

MAX_FIRST_MESSAGE = 30.0
"""From the connection to the first whole message: devices register at once, scanners wait."""

MAX_IDLE = 1_800.0
"""A connection without a byte; the longest keepalive interval seen is a tenth of this."""

MAX_IDENTITY_LENGTH = 1_024
"""Characters of Monitor-User-Identity: all gateways and some hundred for the user and its attributes."""

MAX_IDENTITY_HOPS = 16
"""Gateways in it; from a ministry to a village there are six levels."""

MAX_DIGEST_MEMORY = 200_000
"""Devices whose newest used nonce is remembered for as long as it could be replayed; about 200 bytes each."""

MAX_FLOOD_ENTRIES = 50_000
"""Sources and (source, device) pairs whose unsuccessful registrations are counted; about 250 bytes each."""

SIP_BODY_WAIT = 2.0
"""Seconds for the end of a body on a stream that came without Content-Length."""

SIP_ROOT_WAIT = 2.0
"""For the closing root tag of an XML body on a stream when Content-Length is missing or wrong."""

SIP_BODY_WAIT = 20.0
"""For the rest of a body on a stream; a camera on a bad mobile link needs some seconds."""

SIP_PEEK_WAIT = 0.2
"""For a body behind Content-Length 0 on a stream; it is in the same segment or there is none."""

MAX_TRACE_DUMP = 8_192
"""Bytes of one SIP message that a trace shows."""

MAX_REFUSED_INVITES = 1_024
"""Refusals of INVITEs repeated until their ACK comes; beyond, an INVITE is refused by one packet."""

MAX_UNTRUSTED_BUFFER = 65_536
"""Bytes of an unfinished message on a connection nobody has registered on; a REGISTER has under 2,000."""

MAX_UNTRUSTED_PER_HOST = 128
"""Such connections of one address at once: a site behind one NAT after a power failure, each for a moment."""

MAX_UNTRUSTED_TIME = 60.0
"""Until a device must have registered on its connection; a slow one needs some seconds."""

MAX_SIP_ROOT = 4_096
"""From the head to the end of the root tag of a body without Content-Length; a declaration and a comment fit."""
