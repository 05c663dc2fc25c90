"""How requests of departments and deliveries to them are signed: one way for both."""

import hashlib
import hmac

__all__ = ["request_signature"]


def request_signature(
    secret: str,
    method: str,
    target: str,
    timestamp: str,
    nonce: str,
    body: bytes,
    *,
    why: tuple[str, str] | None = None,
) -> str:
    """Return X-Gb-Signature: HMAC-SHA256 in hex over the lines method, target, timestamp, nonce and body hash.

    A request that says in headers what it is for has two lines more, X-Gb-Purpose and X-Gb-Ticket as sent.

    Args:
        secret: The key's or webhook's secret, as it was shown.
        method: In capitals.
        target: Path with its query, exactly as it stands in the request line.
        timestamp: UNIX seconds in decimal.
        nonce: Never used twice.
        body: As sent; may be empty.
        why: The headers X-Gb-Purpose and X-Gb-Ticket, if either is sent; one that is not is empty.
    """
    lines = [method, target, timestamp, nonce, hashlib.sha256(body).hexdigest(), *(why or ())]
    return hmac.new(secret.encode(), "\n".join(lines).encode(), hashlib.sha256).hexdigest()
