"""Every cap on what an RTSP peer may make us hold or do, with its reason. Sizes are bytes, durations seconds."""

__all__ = [
    "FIRST_REQUEST_WAIT",
    "IDLE_WAIT",
    "MAX_BODY",
    "MAX_FIELD",
    "MAX_HEAD",
    "MAX_HEADERS",
    "MAX_PENDING_RESPONSES",
    "MAX_PIPELINED",
    "MAX_TRANSPORTS",
    "MAX_URL",
    "MAX_USED_NONCES",
    "NONCE_LIFE",
    "PLAY_WAIT",
    "SESSION_TIMEOUT",
]

MAX_HEAD = 16_384
"""Request line and headers; those of players stay under 2 KB, stream tokens included."""

MAX_HEADERS = 64
"""Header lines of one request; players send about ten."""

MAX_FIELD = 4_096
"""One header's value; a Transport with every alternative has 500 characters."""

MAX_URL = 4_096
"""Characters of a URL; ours with a token have some 400."""

MAX_BODY = 4_096
"""Body of a request; only GET_PARAMETER and SET_PARAMETER have one, of some words."""

MAX_PIPELINED = 16
"""Requests waiting for the one before; players that pipeline send OPTIONS to PLAY, about six."""

MAX_TRANSPORTS = 16
"""Alternatives in one Transport header; players send up to four."""

MAX_PENDING_RESPONSES = 262_144
"""Bytes of answers that wait for a peer which asks and does not read."""

MAX_USED_NONCES = 50_000
"""Nonces remembered until they would have expired; 800 log-ins a second for a minute. Past that, new ones are refused."""

NONCE_LIFE = 60.0
"""For which a nonce is good: a player answers a challenge at once."""

FIRST_REQUEST_WAIT = 10.0
"""From the connection to the first whole request: players send at once, scanners wait."""

IDLE_WAIT = 60.0
"""Without a request on a connection that watches nothing."""

PLAY_WAIT = 20.0
"""From the answer to DESCRIBE until PLAY: the camera runs meanwhile, and players go on within a second."""

SESSION_TIMEOUT = 60.0
"""Without a sign of life of a player that takes UDP; as told in `Session:`, RFC 2326's default."""
