"""Whether an upper platform's INVITE may have a channel: code, route, offer, number of streams, policy (protocol 8.2)."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.cascade.bridge_ports import BridgeOwner
from gateway.cascade.bridge_terms import MediaTerms
from gateway.cascade.ports import IncomingCall, UpperLink, UpperRequester
from gateway.cascade.refusal import Refused, refusal_of
from gateway.domain.bridge import BridgeRecord
from gateway.domain.device import Channel
from gateway.domain.errors import Forbidden, GatewayError
from gateway.domain.policy import Access, AccessContext, AccessRequest, Action
from gateway.domain.signalling import Origin

__all__ = ["Admission", "admit"]

NOT_SHARED = ("not_shared", "This platform was never given that code")
"""What goes on record where a platform has no catalogue at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """An INVITE that may go on to the camera."""

    channel: Channel
    """What it asked for."""
    terms: MediaTerms
    """The media it asked for."""
    access: Access
    """The policy's consent; whoever takes the admission ends it."""
    origin: Origin
    """Who stands behind the request, for the next level."""


def admit(
    owner: BridgeOwner,
    record: BridgeRecord,
    link: UpperLink,
    call: IncomingCall,
    requester: UpperRequester,
    *,
    on_stop: Callable[[str, str], None],
) -> Admission:
    """Look at an INVITE; what it asked for goes on record, whether it is admitted or not.

    Args:
        owner: What all calls share; it counts this one already.
        record: Takes the channel and where the media would go.
        link: The link to the platform.
        call: The INVITE.
        requester: Who sent it.
        on_stop: Called with a code and a sentence when the consent is withdrawn.

    Raises:
        Refused: it may not have it; the refusal is on record.
    """
    view = owner.views(link.config.platform_id)
    channel = None if view is None else view.resolve(call.target)
    request = AccessRequest(
        subject=requester.subject,
        action=Action.LIVE,
        channel=channel,
        object_id=call.target[:64],
        context=AccessContext(at=owner.wall(), zone=link.config.zone, source=requester.source),
        via="sip",
    )
    if channel is None:
        # The same answer whether it exists or not, and whatever the offer looks like.
        why = NOT_SHARED if view is None else view.why_unknown(call.target)
        owner.access.refuse(request, *why)
        raise Refused(404, f"{call.target[:64]} is not shared with this platform")
    try:
        origin = _onward(owner, call, requester)
        terms = MediaTerms(call.sdp, owner.late_offer_transport)
        record.remote = str(terms.target)
        if owner.count_of(link.config.platform_id) > link.config.max_sessions:
            limit = link.config.max_sessions
            raise Refused(486, f"The platform has {limit} streams already")  # noqa: TRY301 - one place records
    except Refused as exc:
        owner.access.refuse(request, f"sip_{exc.status}", exc.detail)
        raise
    record.device_id, record.channel_id = channel.device_id, channel.channel_id
    try:
        access = owner.access.open(request, on_stop)
    except GatewayError as exc:
        raise refusal_of(exc) from exc
    return Admission(channel=channel, terms=terms, access=access, origin=origin)


def _onward(owner: BridgeOwner, call: IncomingCall, requester: UpperRequester) -> Origin:
    """Refuse loops and used-up hops; return what goes on to the next level."""
    own_id = owner.own_id
    if call.max_forwards <= 0:
        raise Refused(483, "Max-Forwards is used up")
    path = [part.strip() for part in call.route_path.split("-")]
    if path.count(own_id) > 1:
        raise Refused(482, f"Loop: {own_id} is in its route twice")
    try:
        identity = owner.identities.onward(requester.identity, requester.platform_id)
    except Forbidden as exc:
        raise Refused(exc.status, exc.detail) from exc
    return Origin(identity=identity.serialize() if identity is not None else "")
