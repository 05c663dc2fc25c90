"""Which transaction a message belongs to (RFC 3261 17.1.3, 17.2.3)."""

from gb28181.sip.header.via import MAGIC_COOKIE
from gb28181.sip.message import Request, Response
from gb28181.sip.transaction.flow import Flow

__all__ = ["client_key", "server_key"]


def client_key(response: Response) -> str:
    """Return the key under which the request of `response` was sent."""
    return f"{response.cseq.method}|{response.via.branch}"


def server_key(request: Request, flow: Flow, method: str | None = None) -> str:
    """Return what a retransmission of `request` has in common with it.

    An ACK counts as its INVITE; `method` asks for the request that a CANCEL is about.

    The packet source is a part of it: no stranger can cancel or absorb a request by knowing its
    branch, and twins behind one NAT whose firmware makes the same branches stay apart.
    """
    via = request.via
    branch = via.branch
    if method is None:
        method = "INVITE" if request.method == "ACK" else request.method
    if not branch.startswith(MAGIC_COOKIE):
        # 17.2.3: a branch of RFC 2543 identifies nothing. Its ACK has the To tag, the INVITE has not.
        branch = f"{request.call_id}|{request.from_.tag}|{request.cseq.number}"
    host, port = flow.remote
    return f"{method}|{branch}|{via.host}:{via.port}|{host}:{port}"
