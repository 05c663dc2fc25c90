"""Who we are in the messages we send (RFC 3261 8.1.1)."""

from collections.abc import Callable

from gb28181.sip.header.via import MAGIC_COOKIE
from gb28181.sip.transaction.flow import Flow, host_port

__all__ = ["UserAgent"]


class UserAgent:
    """Makes the header values that name this side.

    Args:
        name: User-Agent of the requests we send; empty sends none.
        new_token: Returns a new unguessable token; branches, tags and Call-IDs are made of it.
        advertise: Address and port for Via and Contact instead of the flow's own local address.
    """

    def __init__(
        self, name: str, new_token: Callable[[], str], advertise: tuple[str, int] | None = None
    ) -> None:
        self.name = name
        self.new_token = new_token
        self._advertise = advertise

    def host_port(self, flow: Flow) -> str:
        """Return the address the peer of `flow` shall know us by."""
        return host_port(self._advertise or flow.local)

    def via(self, flow: Flow) -> str:
        """Return a Via with a new branch."""
        # RFC 3581: rport, since most peers are behind NAT, and so may we be.
        branch = MAGIC_COOKIE + self.new_token()
        return f"SIP/2.0/{flow.transport} {self.host_port(flow)};rport;branch={branch}"

    def contact(self, flow: Flow, user: str | None) -> str:
        """Return a Contact for `user`."""
        at = f"{user}@" if user else ""
        parameter = "" if flow.transport == "UDP" else f";transport={flow.transport.lower()}"
        return f"<sip:{at}{self.host_port(flow)}{parameter}>"

    def call_id(self, flow: Flow) -> str:
        """Return a new Call-ID."""
        host = (self._advertise or flow.local)[0]
        return f"{self.new_token()}@{host}"
