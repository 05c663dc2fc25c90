"""Requests of ours outside dialogs, complete with the headers that name this side."""

from gb28181.sip.build import build_request
from gb28181.sip.dialog.user_agent import UserAgent
from gb28181.sip.message import Request
from gb28181.sip.transaction.flow import Flow

__all__ = ["RequestBuilder"]

_WITH_CONTACT = frozenset(("INVITE", "REGISTER", "SUBSCRIBE", "NOTIFY"))
"""Requests outside a dialog that need a Contact (GB table of headers)."""


class RequestBuilder:
    """Builds requests outside dialogs.

    Args:
        agent: Who we are.
        allow: Value of Allow in an INVITE.
    """

    def __init__(self, agent: UserAgent, allow: str) -> None:
        self._agent = agent
        self._allow = allow

    def build(
        self,
        method: str,
        uri: str,
        *,
        flow: Flow,
        from_: str,
        to: str,
        headers: list[tuple[str, str]],
        body: bytes,
        content_type: str | None,
        contact: str | None = None,
        call_id: str | None = None,
        from_tag: str | None = None,
        cseq: int = 1,
    ) -> Request:
        """Build a request; `from_` and `to` are without tags."""
        agent = self._agent
        request = build_request(
            method,
            uri,
            via=agent.via(flow),
            from_=f"{from_};tag={from_tag or agent.new_token()}",
            to=to,
            call_id=call_id or agent.call_id(flow),
            cseq=cseq,
            headers=headers,
            body=body,
            content_type=content_type,
        )
        if method in _WITH_CONTACT and "Contact" not in request.headers:
            request.headers.add("Contact", contact or agent.contact(flow, request.from_.user))
        if method == "INVITE":
            request.headers.add("Allow", self._allow)
        if agent.name:
            request.headers.add("User-Agent", agent.name)
        return request
