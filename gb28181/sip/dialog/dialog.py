"""Dialog state (RFC 3261 12)."""

from collections.abc import Iterable

from gb28181.sip.build import build_request
from gb28181.sip.message import Request, Response
from gb28181.sip.transaction.flow import Flow

__all__ = ["Dialog"]


class Dialog:
    """What both sides must keep equal for the requests inside a dialog.

    Args:
        call_id: Call-ID.
        local: Our From value, tag included.
        remote: Our To value, tag included.
        local_tag: Our tag: unguessable, and so the proof that a request is the peer's.
        remote_tag: The peer's tag; empty if it gave none, None as long as it is not known.
        target: URI of the peer's Contact, else the one it was first called by.
        routes: Route values, topmost first.
        flow: Where the peer's latest packet came from: requests go there, not to the Contact,
            which behind NAT holds an address nobody can reach.
        local_cseq: Number of our latest request.
    """

    __slots__ = (
        "call_id",
        "flow",
        "local",
        "local_cseq",
        "local_tag",
        "remote",
        "remote_tag",
        "routes",
        "target",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local: str,
        remote: str,
        local_tag: str,
        remote_tag: str | None,
        target: str,
        routes: list[str],
        flow: Flow,
        local_cseq: int,
    ) -> None:
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.local_tag = local_tag
        self.remote_tag = remote_tag
        self.target = target
        self.routes = routes
        self.flow = flow
        self.local_cseq = local_cseq

    @classmethod
    def of_request(cls, request: Request, flow: Flow) -> "Dialog":
        """Make the half of who sends SUBSCRIBE, before anything is known of the peer."""
        return cls(
            call_id=request.call_id,
            local=request.headers.get("From") or "",
            remote=request.headers.get("To") or "",
            local_tag=request.from_.tag or "",
            remote_tag=None,
            target=request.uri,
            routes=[],
            flow=flow,
            local_cseq=request.cseq.number,
        )

    @classmethod
    def from_response(cls, request: Request, response: Response, flow: Flow) -> "Dialog":
        """Make the caller's half from our INVITE and a response with a To tag (12.1.2)."""
        contact = response.contact
        return cls(
            call_id=request.call_id,
            local=request.headers.get("From") or "",
            remote=response.headers.get("To") or "",
            local_tag=request.from_.tag or "",
            remote_tag=response.to.tag or "",
            target=request.uri if contact is None else contact.uri,
            routes=response.headers.get_all("Record-Route")[::-1],
            flow=flow,
            local_cseq=request.cseq.number,
        )

    @classmethod
    def from_request(cls, request: Request, local_tag: str, flow: Flow) -> "Dialog":
        """Make the callee's half from an INVITE or SUBSCRIBE of the peer (12.1.1)."""
        contact = request.contact
        to = request.headers.get("To") or ""
        return cls(
            call_id=request.call_id,
            local=f"{to};tag={local_tag}",
            remote=request.headers.get("From") or "",
            local_tag=local_tag,
            remote_tag=request.from_.tag or "",
            target=request.from_.uri if contact is None else contact.uri,
            routes=request.headers.get_all("Record-Route"),
            flow=flow,
            local_cseq=0,
        )

    def build_request(
        self,
        method: str,
        *,
        via: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        cseq: int | None = None,
    ) -> Request:
        """Build the next request inside the dialog (12.2.1.1); `cseq` is given for ACK only."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        return build_request(
            method,
            self.target,
            via=via,
            from_=self.local,
            to=self.remote,
            call_id=self.call_id,
            cseq=cseq,
            headers=[*(("Route", route) for route in self.routes), *headers],
            body=body,
            content_type=content_type,
        )
