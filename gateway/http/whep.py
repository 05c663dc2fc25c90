"""WebRTC playback by HTTP: WHEP (draft-ietf-wish-whep), `POST /whep/{device_id}/{channel_id}`.

All of our candidates are in the answer and none of the viewer's are needed (ICE lite), so a trickled fragment is taken
with thanks. What WHEP leaves open, how a viewer learns why its stream ended, is `GET` of the session: for a minute after
the end it tells the reason to whoever knows the address.
"""

from collections.abc import Sequence

from aiohttp import web

from gateway.domain.device import Channel
from gateway.domain.errors import GatewayError, Gone, Invalid, NotFound
from gateway.domain.session import SessionRecord
from gateway.domain.webrtc import PeerInfo, WebRtcEnded, WebRtcMedia, WebRtcPeer
from gateway.http.deps import HttpDeps
from gateway.http.entrance import StreamEntrance, Visit
from gateway.http.origin import Origins
from gateway.http.problem import ApiError
from gateway.http.route import Access, Route, json_answer, raw_body
from gateway.http.schemas.whep import WhepOut
from gateway.http.whep_session import WhepSession, WhepSessions

__all__ = ["WhepApi"]

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
_SESSION = "/whep/sessions/{whep_id}"
_NO_STORE = {"Cache-Control": "no-store"}


class WhepApi:
    """Handlers under `/whep`.

    Args:
        deps: Sessions and devices.
        media: Makes WebRTC viewers.
        origins: Which pages may ask.
        entrance: Lets viewers in.
    """

    def __init__(
        self, deps: HttpDeps, media: WebRtcMedia, origins: Origins, entrance: StreamEntrance
    ) -> None:
        self._deps = deps
        self._media = media
        self._origins = origins
        self._entrance = entrance
        self._sessions = WhepSessions()

    def routes(self) -> Sequence[Route]:
        """Return the operations."""
        opening = [
            Route(
                method="POST",
                path=f"/whep/{prefix}{{channel_id}}",
                handler=self.open,
                name="watch_whep" + ("_by_channel" if words else ""),
                summary=f"Watch a channel by WebRTC{words}: an SDP offer in, the answer out",
                tag="live",
                access=Access.STREAM,
                media=(SDP,),
                status=201,
                errors=(403, 404, 406, 408, 409, 413, 415, 502, 503, 504),
            )
            for prefix, words in (("{device_id}/", ""), ("", " by its unique channel id"))
        ]
        return (
            *opening,
            Route(
                method="GET",
                path=_SESSION,
                handler=self.show,
                name="get_whep_session",
                summary="Tell how a WHEP session is, or for a minute why it ended",
                tag="live",
                access=Access.VIEWING,
                answer=WhepOut,
                errors=(404,),
            ),
            Route(
                method="PATCH",
                path=_SESSION,
                handler=self.trickle,
                name="trickle_whep_session",
                summary="Take trickled candidates; ICE restarts are refused",
                tag="live",
                access=Access.VIEWING,
                status=204,
                errors=(404, 410, 412, 413, 415, 422),
            ),
            Route(
                method="DELETE",
                path=_SESSION,
                handler=self.close,
                name="close_whep_session",
                summary="End a WHEP session",
                tag="live",
                access=Access.VIEWING,
                status=204,
                errors=(404,),
            ),
        )

    async def open(self, request: web.Request) -> web.Response:
        """Answer POST of an offer."""
        self._origins.require(request)
        visit = self._entrance.visit(request)
        channel = visit.find(request.match_info.get("device_id"), request.match_info["channel_id"])
        offer = await _body(request, SDP)
        session = self._sessions.new()
        try:
            answer = await self._watch(session, offer, visit, channel)
        except WebRtcEnded as exc:
            session.failed(exc)
            session.check()
            raise
        except GatewayError as exc:
            session.failed(exc)
            raise
        except BaseException:
            session.close("viewer_left", "The viewer left before it was served")
            raise
        if request.transport is None or request.transport.is_closing():
            session.close("viewer_left", "The viewer left before it was answered")
        headers = {
            "Location": f"/whep/sessions/{session.key}",
            "ETag": session.etag,
            "Accept-Patch": FRAGMENT,
            **_NO_STORE,
        }
        remark = _peer(session).info().remark
        if remark:
            headers["X-Gb-Remark"] = remark
        return web.Response(status=201, body=answer.encode(), content_type=SDP, headers=headers)

    async def show(self, request: web.Request) -> web.Response:
        """Answer GET of a session."""
        session = self._find(request)
        code, detail = session.ended or ("", "")
        info = PeerInfo(state=session.state) if session.peer is None else session.peer.info()
        return json_answer(
            WhepOut(
                state=session.state,
                code=code,
                detail=detail,
                remark=info.remark,
                sent=info.sent,
                packets=info.packets,
                resent=info.resent,
                dropped=info.dropped,
                fraction_lost=info.fraction_lost,
            )
        )

    async def trickle(self, request: web.Request) -> web.Response:
        """Answer PATCH of a session."""
        session = self._find(request)
        fragment = await _body(request, FRAGMENT)
        if session.ended is not None:
            raise Gone(*session.ended)
        wanted = request.headers.get("If-Match", "*")
        if wanted not in {"*", session.etag}:
            raise ApiError(
                412, "etag_mismatch", f"If-Match must be {session.etag}, the ETag of the answer"
            )
        if not _peer(session).accepts(fragment):
            raise Invalid(
                "ice_restart_unsupported", "This ICE session cannot be restarted; POST a new offer"
            )
        return web.Response(status=204, headers=_NO_STORE)

    async def close(self, request: web.Request) -> web.Response:
        """Answer DELETE of a session."""
        self._find(request).close("viewer_left", "The viewer ended the session")
        return web.Response(status=204, headers=_NO_STORE)

    # Inside

    async def _watch(
        self, session: WhepSession, offer: bytes, visit: Visit, channel: Channel
    ) -> str:
        peer = self._media.open(offer, session)
        session.opened(peer)
        entry = visit.enter(channel, via="webrtc", format="webrtc", stop=session.forbid)
        session.entered(entry)

        def attach(record: SessionRecord) -> None:
            session.check()
            peer.attach(record.stream_id)

        await self._deps.sessions.join(
            channel.device_id,
            channel.channel_id,
            attach,
            stream=entry.stream,
            origin=entry.origin,
        )
        return await peer.answer()

    def _find(self, request: web.Request) -> WhepSession:
        session = self._sessions.find(request.match_info["whep_id"])
        if session is None:
            raise NotFound(
                "whep_session_unknown",
                "No WHEP session has this address, or it ended more than a minute ago",
            )
        return session


def _peer(session: WhepSession) -> WebRtcPeer:
    assert session.peer is not None, "a session that was answered has a connection"
    return session.peer


async def _body(request: web.Request, kind: str) -> bytes:
    if request.content_type != kind:
        raise ApiError(
            415,
            "wrong_content_type",
            f"Expected Content-Type {kind}, got {request.content_type[:80]}",
            headers={"Accept-Post" if kind == SDP else "Accept-Patch": kind},
        )
    return await raw_body(request)
