"""One RTSP connection, without its socket: requests in, answers and events out (RFC 2326 10, A.2).

::

    IDLE -- DESCRIBE, SETUP --> OPENING --> OPENED -- SETUP --> READY -- PLAY --> PLAYING
      ^                            |                             ^                  |
      +------ refused, TEARDOWN ---+---------------------------- +----- PAUSE ------+

A session lives and dies with its connection: nobody else can name it. Requests are answered in order; while one
waits for the gateway those behind it wait too.
"""

import enum
from collections import deque
from collections.abc import Callable, Sequence

from gateway.rtsp.address import StreamAddress, parse_address
from gateway.rtsp.answers import (
    LATE,
    NO_STREAM,
    ONLY_WHOLE,
    PUBLIC,
    RequestRefused,
    malformed,
    unknown_method,
    wrong_state,
)
from gateway.rtsp.event import (
    Event,
    Feedback,
    OpenStream,
    PausePlaying,
    Release,
    SetUpTrack,
    StartPlaying,
)
from gateway.rtsp.framer import Interleaved, RtspFramer, Unframed
from gateway.rtsp.limits import (
    FIRST_REQUEST_WAIT,
    IDLE_WAIT,
    MAX_PIPELINED,
    PLAY_WAIT,
    SESSION_TIMEOUT,
)
from gateway.rtsp.message import Header, RtspParseError, RtspRequest, RtspResponse, refusal
from gateway.rtsp.transport import TrackWays, TransportChoice

__all__ = ["Phase", "RtspConnection"]


class Phase(enum.Enum):
    """How far it is."""

    IDLE = "idle"
    OPENING = "opening"
    OPENED = "opened"
    READY = "ready"
    PLAYING = "playing"


class RtspConnection:
    """The state of one connection.

    Args:
        now: Monotonic seconds.
        udp: Whether UDP is offered.
        new_id: Makes session ids that nobody can guess.
    """

    def __init__(self, *, now: float, udp: bool, new_id: Callable[[], str]) -> None:
        self.phase = Phase.IDLE
        self.hang_up = False
        """Whether the connection is to be closed once everything is sent."""
        self.waiting = False
        """Whether a request waits for an answer from outside."""
        self._udp = udp
        self._new_id = new_id
        self._framer = RtspFramer()
        self._queue: deque[RtspRequest] = deque()
        self._current: RtspRequest | None = None
        self._out: list[bytes] = []
        self._events: list[Event] = []
        self._address: StreamAddress | None = None
        self._sdp = b""
        self._track_count = 0
        self._session = ""
        self._ways = TrackWays()
        self._setting_up: SetUpTrack | None = None
        self._deadlines = {"request": now + FIRST_REQUEST_WAIT}
        self._now = now

    # What goes in

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came."""
        self._now = now
        for item in self._framer.feed(data):
            if self.hang_up:
                return
            match item:
                case Interleaved(channel, packet):
                    track = self._ways.track_of(channel)
                    if track >= 0 and self.phase is Phase.PLAYING:
                        self._events.append(Feedback(track, packet))
                case Unframed(detail, status, cseq):
                    response = malformed(RtspParseError(detail, status=status))
                    self._out.append(response.serialize(cseq))
                    self.hang_up = True
                case RtspRequest():
                    self._queue.append(item)
                    self._deadlines.pop("request", None)
                    if len(self._queue) > MAX_PIPELINED:
                        detail = f"More than {MAX_PIPELINED} requests are waiting"
                        self._out.append(refusal(400, "too_many_requests", detail).serialize(None))
                        self.hang_up = True
            self._alive()
            self._advance()

    def alive(self, now: float) -> None:
        """Note a sign of life that came another way: RTCP over UDP."""
        self._now = now
        self._alive()

    def next_timer(self) -> float:
        """Return when `handle_timer` has something to do."""
        return min(self._deadlines.values(), default=float("inf"))

    def handle_timer(self, now: float) -> None:
        """End what took too long."""
        self._now = now
        due = [name for name, at in self._deadlines.items() if at <= now]
        if not due or self.hang_up:
            return
        self.hang_up = True
        if self.phase is not Phase.IDLE:
            self._release(*LATE[due[0]])

    # Answers from outside, each to the event before

    def opened(self, sdp: bytes, tracks: int, now: float) -> None:
        """The stream is there, with this description and so many tracks."""
        self._now = now
        self._sdp, self._track_count = sdp, tracks
        self.phase = Phase.OPENED
        self._deadlines = {"play": now + PLAY_WAIT}
        request = self._current
        self.waiting, self._current = False, None
        if request is not None:
            self._handle(request)
        self._advance()

    def set_up(self, parameters: str, now: float) -> None:
        """The way of the track stands; `parameters` go into the Transport header."""
        self._now = now
        event, self._setting_up = self._setting_up, None
        assert event is not None
        choice = event.choice
        assert choice.pair is not None
        first, second = choice.pair
        self._session = self._session or self._new_id()
        self._ways.add(event.track, choice)
        self.phase = Phase.READY
        profile, name = ("RTP/AVP/TCP", "interleaved") if choice.tcp else ("RTP/AVP", "client_port")
        transport = f"{profile};unicast;{name}={first}-{second};{parameters}"
        self._finish(RtspResponse(headers=[("Transport", transport), *self._session_header()]))

    def playing(self, rtp_info: str, now: float) -> None:
        """Packets follow."""
        self._now = now
        self.phase = Phase.PLAYING
        self._deadlines.pop("play", None)
        self._alive()
        headers: list[Header] = [("Range", "npt=0-")]
        if rtp_info:
            headers.append(("RTP-Info", rtp_info))
        self._finish(RtspResponse(headers=[*headers, *self._session_header()]))

    def refuse(self, response: RtspResponse, now: float) -> None:
        """The gateway says no to the request that waits."""
        self._now = now
        self._setting_up = None
        if self.phase is Phase.OPENING:
            self._forget()
        self._finish(response)

    # What comes out

    def take_events(self) -> list[Event]:
        """Return what is to be done, and forget it."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> bytes:
        """Return what is to be sent, and forget it."""
        data, self._out = b"".join(self._out), []
        return data

    # Requests

    def _advance(self) -> None:
        while self._queue and not self.waiting and not self.hang_up:
            self._handle(self._queue.popleft())

    def _handle(self, request: RtspRequest) -> None:
        self._current = request
        self.waiting = False
        try:
            _ = request.cseq
            response = self._answer(request)
        except RtspParseError as exc:
            response = malformed(exc)
        except RequestRefused as exc:
            response = exc.response
        if response is None:
            self.waiting = True
        else:
            self._respond(response)

    def _finish(self, response: RtspResponse) -> None:
        self._respond(response)
        self.waiting = False
        self._advance()

    def _respond(self, response: RtspResponse) -> None:
        request, self._current = self._current, None
        try:
            cseq = None if request is None else request.cseq
        except RtspParseError:
            cseq = None
        self._out.append(response.serialize(cseq))

    def _answer(self, request: RtspRequest) -> RtspResponse | None:
        """Return the answer, or None if one will come from outside."""
        needed = request.get("Require") or request.get("Proxy-Require")
        if needed:
            return RtspResponse(status=551, headers=[("Unsupported", needed)])
        session = (request.get("Session") or "").partition(";")[0].strip()
        if session and session != self._session:
            return refusal(454, "session_unknown", "There is no such session on this connection")
        handler = _METHODS.get(request.method)
        if handler is None:
            return unknown_method(request.method)
        return handler(self, request)

    def _options(self, request: RtspRequest) -> RtspResponse:
        return RtspResponse(headers=[("Public", PUBLIC), *self._session_header()])

    def _describe(self, request: RtspRequest) -> RtspResponse | None:
        accept = request.get("Accept") or "application/sdp"
        if not any(kind in accept for kind in ("application/sdp", "*/*", "application/*")):
            detail = "Streams are described as application/sdp"
            raise RequestRefused(refusal(406, "not_acceptable", detail))
        address = _address_of(request)
        if self.phase is Phase.OPENED and not self._is_open(address):
            self._release("viewer_left", "")
        if self.phase is Phase.IDLE:
            self._open(request, address)
            return None
        if self._address is None or not self._is_open(address):
            raise wrong_state("Another stream is open on this connection")
        headers = [("Content-Base", self._address.base), ("Content-Type", "application/sdp")]
        return RtspResponse(headers=headers, body=self._sdp)

    def _is_open(self, address: StreamAddress) -> bool:
        return self._address is not None and self._address.stream == address.stream

    def _open(self, request: RtspRequest, address: StreamAddress) -> None:
        self.phase = Phase.OPENING
        self._deadlines.clear()
        self._address = address
        self._events.append(
            OpenStream(
                address=address,
                method=request.method,
                url=request.url,
                authorization=request.get("Authorization"),
            )
        )

    def _setup(self, request: RtspRequest) -> RtspResponse | None:
        address = _address_of(request)
        if self.phase is Phase.IDLE:
            self._open(request, address)
            return None
        if self.phase is Phase.PLAYING:
            raise wrong_state("Tracks are set up before PLAY")
        if not self._is_open(address):
            raise wrong_state("Another stream is open on this connection")
        track = self._wanted_track(address)
        self._setting_up = SetUpTrack(track=track, choice=self._choose(request))
        self._events.append(self._setting_up)
        return None

    def _wanted_track(self, address: StreamAddress) -> int:
        track = address.track
        if track is None:
            if self._track_count != 1:
                detail = "Set up each track by the URL of its a=control"
                raise RequestRefused(refusal(459, "track_missing", detail))
            track = 0
        if track >= self._track_count:
            raise RequestRefused(refusal(404, "track_unknown", f"There is no track {track}"))
        if track in self._ways:
            raise wrong_state(f"Track {track} is set up already")
        return track

    def _choose(self, request: RtspRequest) -> TransportChoice:
        header = request.get("Transport")
        if header is None:
            raise RtspParseError("SETUP needs a header Transport")
        choice = self._ways.choose(header, udp=self._udp)
        if choice is None:
            detail = "Expected RTP/AVP/TCP;unicast;interleaved=N-M with free channels"
            if self._udp:
                detail += " or RTP/AVP;unicast;client_port=N-M, the same for all tracks"
            raise RequestRefused(refusal(461, "transport_unsupported", detail))
        return choice

    def _play(self, request: RtspRequest) -> None:
        self._need_session(request)
        self._events.append(StartPlaying())

    def _pause(self, request: RtspRequest) -> RtspResponse:
        self._need_session(request)
        if self.phase is Phase.PLAYING:
            self.phase = Phase.READY
            self._events.append(PausePlaying())
            self._deadlines = {"session": self._now + SESSION_TIMEOUT}
        return RtspResponse(headers=self._session_header())

    def _teardown(self, request: RtspRequest) -> RtspResponse:
        self._need_session(request)
        address = parse_address(request.url)
        if address is not None and address.track is not None and len(self._ways) > 1:
            # Ending all would take from the player what it wants to keep.
            raise RequestRefused(ONLY_WHOLE)
        self._release("viewer_left", "")
        return RtspResponse()

    def _parameter(self, request: RtspRequest) -> RtspResponse:
        if request.body.strip():
            return refusal(451, "parameter_unknown", "There are no parameters")
        return RtspResponse(headers=self._session_header())

    def _need_session(self, request: RtspRequest) -> None:
        if not self._session:
            raise wrong_state(f"{request.method} needs tracks that were set up before")
        if request.get("Session") is None:
            raise RequestRefused(refusal(454, "session_missing", "The request names no session"))

    # State

    def _session_header(self) -> Sequence[Header]:
        if not self._session:
            return ()
        return (("Session", f"{self._session};timeout={SESSION_TIMEOUT:.0f}"),)

    def _alive(self) -> None:
        if self.phase is Phase.IDLE:
            if "request" not in self._deadlines:
                self._deadlines["idle"] = self._now + IDLE_WAIT
        elif self.phase is Phase.PLAYING and self._ways.tcp:
            # The connection itself tells whether somebody takes what is sent.
            self._deadlines.pop("session", None)
        elif self._session and "play" not in self._deadlines:
            self._deadlines["session"] = self._now + SESSION_TIMEOUT

    def _release(self, code: str, detail: str) -> None:
        self._events.append(Release(code, detail))
        self._forget()

    def _forget(self) -> None:
        self.phase = Phase.IDLE
        self._address, self._session, self._sdp = None, "", b""
        self._track_count = 0
        self._ways = TrackWays()
        self._deadlines = {"idle": self._now + IDLE_WAIT}


def _address_of(request: RtspRequest) -> StreamAddress:
    address = parse_address(request.url)
    if address is None:
        raise RequestRefused(NO_STREAM)
    return address


_Handler = Callable[[RtspConnection, RtspRequest], RtspResponse | None]

# The phases each accepts are in the handlers: in all others the answer is 455, and 454 without the session.
_METHODS: dict[str, _Handler] = {
    "OPTIONS": RtspConnection._options,  # noqa: SLF001 - the table of this class
    "DESCRIBE": RtspConnection._describe,  # noqa: SLF001
    "SETUP": RtspConnection._setup,  # noqa: SLF001
    "PLAY": RtspConnection._play,  # noqa: SLF001
    "PAUSE": RtspConnection._pause,  # noqa: SLF001
    "TEARDOWN": RtspConnection._teardown,  # noqa: SLF001
    "GET_PARAMETER": RtspConnection._parameter,  # noqa: SLF001
    "SET_PARAMETER": RtspConnection._parameter,  # noqa: SLF001
}
