"""The state of one RTSP connection: every method in every phase, deadlines, pipelines, and any bytes at all."""

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtsp.connection import Phase, RtspConnection
from gateway.rtsp.event import (
    Event,
    Feedback,
    OpenStream,
    PausePlaying,
    Release,
    SetUpTrack,
    StartPlaying,
)
from gateway.rtsp.limits import (
    FIRST_REQUEST_WAIT,
    IDLE_WAIT,
    MAX_PIPELINED,
    PLAY_WAIT,
    SESSION_TIMEOUT,
)
from gateway.rtsp.message import refusal

URL = "rtsp://h:8554/live/d/c"
BASE = URL + "/"
TCP = "RTP/AVP/TCP;unicast;interleaved=0-1"
UDP = "RTP/AVP;unicast;client_port=5000-5001"
SDP = b"v=0\r\n"


@dataclass
class Answer:
    status: int
    words: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Bench:
    """A connection, and a gateway behind it that says yes at once unless `slow`."""

    core: RtspConnection = field(
        default_factory=lambda: RtspConnection(now=0.0, udp=True, new_id=lambda: "SESSION")
    )
    now: float = 1.0
    slow: bool = False
    tracks: int = 2
    events: list[Event] = field(default_factory=list)
    cseq: int = 0

    def request(self, method: str, url: str = URL, /, body: bytes = b"", **headers: Any) -> bytes:
        self.cseq += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self.cseq}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    def feed(self, data: bytes) -> list[Answer]:
        self.core.receive(data, self.now)
        return self.answers()

    def answers(self) -> list[Answer]:
        while events := self.core.take_events():
            self.events += events
            for event in events:
                if not self.slow:
                    self.agree(event)
        return parse_answers(self.core.data_to_send())

    def agree(self, event: Event) -> None:
        match event:
            case OpenStream():
                self.core.opened(SDP, self.tracks, self.now)
            case SetUpTrack():
                self.core.set_up("ssrc=00000007", self.now)
            case StartPlaying():
                self.core.playing(f"url={BASE}trackID=0;seq=1;rtptime=2", self.now)
            case _:
                pass

    def ask(self, method: str, url: str = URL, /, body: bytes = b"", **headers: Any) -> Answer:
        (answer,) = self.feed(self.request(method, url, body=body, **headers))
        assert answer.headers["CSeq"] == str(self.cseq)
        return answer

    def reach(self, phase: Phase, transport: str = TCP) -> None:
        if phase is not Phase.IDLE:
            assert self.ask("DESCRIBE").status == 200
        if phase in {Phase.READY, Phase.PLAYING}:
            assert self.ask("SETUP", BASE + "trackID=0", Transport=transport).status == 200
        if phase is Phase.PLAYING:
            assert self.ask("PLAY", BASE, Session="SESSION").status == 200
        assert self.core.phase is phase
        self.events.clear()


def parse_answers(data: bytes) -> list[Answer]:
    answers = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("ascii").split("\r\n")
        match = re.fullmatch(r"RTSP/1\.0 (\d{3}) ([ -~]+)", first)
        assert match is not None, first
        headers = dict(line.split(": ", 1) for line in lines)
        size = int(headers.get("Content-Length", 0))
        answers.append(Answer(int(match[1]), match[2], headers, data[:size]))
        data = data[size:]
    return answers


def test_a_whole_visit_over_tcp() -> None:
    bench = Bench()
    assert "DESCRIBE" in bench.ask("OPTIONS", "*").headers["Public"]
    described = bench.ask("DESCRIBE", URL + "?token=hush", Accept="application/sdp")
    assert described.body == SDP
    assert described.headers["Content-Base"] == BASE
    opened = bench.events[0]
    assert isinstance(opened, OpenStream)
    assert (opened.address.token, opened.authorization) == ("hush", None)
    audio = bench.ask("SETUP", BASE + "trackID=1", Transport=TCP.replace("0-1", "6-7"))
    assert audio.headers["Transport"] == "RTP/AVP/TCP;unicast;interleaved=6-7;ssrc=00000007"
    assert audio.headers["Session"] == "SESSION;timeout=60"
    bench.ask("SETUP", BASE + "trackID=0", Transport=TCP, Session="SESSION")
    played = bench.ask("PLAY", BASE, Session="SESSION", Range="npt=0.000-")
    assert played.headers["Range"] == "npt=0-"
    assert played.headers["RTP-Info"].startswith(f"url={BASE}trackID=0;seq=")
    assert bench.ask("GET_PARAMETER", BASE, Session="SESSION").status == 200
    assert bench.ask("TEARDOWN", BASE, Session="SESSION").status == 200
    assert [type(event) for event in bench.events] == [
        OpenStream, SetUpTrack, SetUpTrack, StartPlaying, Release,
    ]  # fmt: skip
    assert bench.core.phase is Phase.IDLE
    assert bench.ask("DESCRIBE").status == 200


# Status by method in each phase, sent with the session's id once there is one; None where the phase is not reached.
TABLE = {
    #                 IDLE OPENED READY PLAYING
    "OPTIONS":       (200, 200, 200, 200),
    "DESCRIBE":      (200, 200, 200, 200),
    "SETUP":         (200, 200, 200, 455),
    "PLAY":          (455, 455, 200, 200),
    "PAUSE":         (455, 455, 200, 200),
    "TEARDOWN":      (455, 455, 200, 200),
    "GET_PARAMETER": (200, 200, 200, 200),
    "SET_PARAMETER": (200, 200, 200, 200),
    "ANNOUNCE":      (405, 405, 405, 405),
    "RECORD":        (405, 405, 405, 405),
    "REDIRECT":      (405, 405, 405, 405),
    "PLAY_NOTIFY":   (501, 501, 501, 501),
    "describe":      (501, 501, 501, 501),
}  # fmt: skip
PHASES = (Phase.IDLE, Phase.OPENED, Phase.READY, Phase.PLAYING)


@pytest.mark.parametrize("transport", [TCP, UDP])
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("method", list(TABLE))
def test_every_method_in_every_phase(method: str, phase: Phase, transport: str) -> None:
    bench = Bench()
    bench.reach(phase, transport)
    headers: dict[str, Any] = (
        {"Session": "SESSION"} if phase in {Phase.READY, Phase.PLAYING} else {}
    )
    url = BASE
    if method == "SETUP":
        url = BASE + "trackID=1"
        headers["Transport"] = transport.replace("0-1", "2-3").replace("5000-5001", "5002-5003")
    answer = bench.ask(method, url, **headers)
    assert answer.status == TABLE[method][PHASES.index(phase)]
    if answer.status >= 400:
        assert bench.core.phase is phase
        assert answer.body.decode().strip() == answer.words
        assert answer.headers["X-Gb-Code"]
    if answer.status in {405, 501}:
        assert "SETUP" in answer.headers["Allow"]


@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "GET_PARAMETER"])
def test_a_session_of_somebody_else_is_unknown(method: str) -> None:
    bench = Bench()
    bench.reach(Phase.READY)
    answer = bench.ask(method, BASE, Session="ANOTHER", Transport=TCP)
    assert (answer.status, answer.headers["X-Gb-Code"]) == (454, "session_unknown")


def test_play_needs_the_session_to_be_named() -> None:
    bench = Bench()
    bench.reach(Phase.READY)
    assert bench.ask("PLAY", BASE).status == 454
    assert bench.ask("PLAY", BASE, Session="SESSION;timeout=60").status == 200


@pytest.mark.parametrize(
    ("url", "transport", "status"),
    [
        (BASE, TCP, 459),
        (BASE + "trackID=2", TCP, 404),
        (BASE + "trackID=0", TCP.replace("0-1", "4-5"), 455),
        (BASE + "trackID=1", TCP, 461),
        (BASE + "trackID=1", UDP, 461),
        (BASE + "trackID=1", "RTP/AVP;multicast", 461),
        (BASE + "trackID=1", "RTP/AVP/TCP;interleaved=300-301", 400),
        (BASE + "trackID=1", "", 400),
        ("rtsp://h/live/d/other/trackID=0", TCP, 455),
        ("rtsp://h/elsewhere", TCP, 404),
    ],
)
def test_a_track_that_cannot_be_set_up_leaves_the_others_alone(
    url: str, transport: str, status: int
) -> None:
    bench = Bench()
    bench.reach(Phase.READY)
    answer = bench.ask("SETUP", url, Transport=transport, Session="SESSION")
    assert answer.status == status
    assert bench.events == []
    assert bench.ask("PLAY", BASE, Session="SESSION").status == 200


def test_setup_without_transport_is_malformed() -> None:
    bench = Bench()
    bench.reach(Phase.OPENED)
    answer = bench.ask("SETUP", BASE + "trackID=0")
    assert (answer.status, "needs a header Transport" in answer.words) == (400, True)


def test_a_stream_with_one_track_is_set_up_by_its_own_url_and_without_describe() -> None:
    bench = Bench(tracks=1)
    assert bench.ask("SETUP", URL + "?token=a", Transport=TCP).status == 200
    assert [type(event) for event in bench.events] == [OpenStream, SetUpTrack]


def test_udp_is_not_accepted_where_it_is_not_offered() -> None:
    bench = Bench(core=RtspConnection(now=0.0, udp=False, new_id=lambda: "SESSION"))
    bench.reach(Phase.OPENED)
    answer = bench.ask("SETUP", BASE + "trackID=0", Transport=UDP)
    assert (answer.status, "client_port" in answer.words) == (461, False)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Require": "play.scale"}, 551),
        ({"Proxy_Require": "gzip"}, 551),
        ({"Accept": "text/html"}, 406),
        ({"Accept": "application/sdp, application/rtsl"}, 200),
        ({"Accept": "*/*"}, 200),
    ],
)
def test_what_a_player_insists_on_is_had_or_refused(headers: dict[str, Any], status: int) -> None:
    assert Bench().ask("DESCRIBE", **headers).status == status


@pytest.mark.parametrize("text", ["", "x", "-1", "12345678901", "1 2"])
def test_a_request_without_a_usable_number_is_malformed(text: str) -> None:
    bench = Bench()
    header = f"CSeq: {text}\r\n" if text else ""
    (answer,) = bench.feed(f"OPTIONS * RTSP/1.0\r\n{header}\r\n".encode())
    assert (answer.status, "CSeq" in answer.headers) == (400, False)
    assert not bench.core.hang_up


def test_what_cannot_be_framed_is_answered_and_the_connection_closed() -> None:
    bench = Bench()
    (answer,) = bench.feed(
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    )
    assert answer.status == 400
    assert bench.core.hang_up


def test_parameters_are_unknown_but_asking_for_none_keeps_the_session() -> None:
    bench = Bench()
    bench.reach(Phase.PLAYING)
    assert bench.ask("GET_PARAMETER", BASE, body=b"position\r\n", Session="SESSION").status == 451
    assert bench.ask("GET_PARAMETER", BASE, body=b"\r\n", Session="SESSION").status == 200


def test_pipelined_requests_are_answered_in_order_and_wait_for_the_stream() -> None:
    bench = Bench(slow=True)
    batch = bench.request("DESCRIBE") + bench.request("OPTIONS", "*")
    batch += bench.request("SETUP", BASE + "trackID=0", Transport=TCP)
    assert bench.feed(batch) == []
    assert bench.core.waiting
    bench.slow = False
    bench.core.opened(SDP, 2, bench.now)
    assert [answer.headers["CSeq"] for answer in bench.answers()] == ["1", "2", "3"]
    assert bench.core.phase is Phase.READY


def test_too_many_waiting_requests_end_the_connection() -> None:
    bench = Bench(slow=True)
    batch = b"".join(bench.request("DESCRIBE") for _ in range(MAX_PIPELINED + 2))
    (answer,) = bench.feed(batch)
    assert (answer.status, bench.core.hang_up) == (400, True)


def test_a_refused_stream_can_be_asked_for_again() -> None:
    bench = Bench(slow=True)
    bench.feed(bench.request("DESCRIBE"))
    bench.core.refuse(refusal(401, "credential_missing", "Who are you?"), bench.now)
    (answer,) = bench.answers()
    assert (answer.status, answer.words, answer.headers["CSeq"]) == (401, "Who are you?", "1")
    assert bench.core.phase is Phase.IDLE
    bench.slow = False
    assert bench.ask("DESCRIBE", Authorization="Digest x").status == 200
    opened = bench.events[-1]
    assert isinstance(opened, OpenStream)
    assert opened.authorization == "Digest x"


def test_a_refused_track_leaves_the_stream_open() -> None:
    bench = Bench()
    bench.reach(Phase.OPENED)
    bench.slow = True
    bench.feed(bench.request("SETUP", BASE + "trackID=0", Transport=UDP))
    bench.core.refuse(refusal(503, "rtp_ports_exhausted", "No port"), bench.now)
    assert bench.answers()[0].status == 503
    bench.slow = False
    assert bench.ask("SETUP", BASE + "trackID=0", Transport=TCP).status == 200


def test_describing_another_stream_lets_the_first_one_go_unless_it_is_set_up() -> None:
    bench = Bench()
    bench.reach(Phase.OPENED)
    assert bench.ask("DESCRIBE", "rtsp://h/live/d/other").status == 200
    assert [type(event) for event in bench.events] == [Release, OpenStream]
    bench.ask("SETUP", "rtsp://h/live/d/other/trackID=0", Transport=TCP)
    assert bench.ask("DESCRIBE", URL, Session="SESSION").status == 455


def test_one_track_of_several_cannot_be_ended_alone_and_the_others_play_on() -> None:
    bench = Bench()
    bench.reach(Phase.READY)
    second = "RTP/AVP/TCP;unicast;interleaved=2-3"
    assert bench.ask("SETUP", BASE + "trackID=1", Transport=second).status == 200
    assert bench.ask("PLAY", BASE, Session="SESSION").status == 200
    refused = bench.ask("TEARDOWN", BASE + "trackID=1", Session="SESSION")
    assert (refused.status, refused.headers["X-Gb-Code"]) == (460, "only_aggregate")
    phases = [bench.core.phase]
    assert bench.ask("TEARDOWN", BASE, Session="SESSION").status == 200
    phases.append(bench.core.phase)
    assert phases == [Phase.PLAYING, Phase.IDLE]


def test_a_track_that_is_alone_is_the_stream() -> None:
    bench = Bench(tracks=1)
    bench.reach(Phase.PLAYING)
    assert bench.ask("TEARDOWN", BASE + "trackID=0", Session="SESSION").status == 200
    assert bench.core.phase is Phase.IDLE


def test_pausing_and_playing_again() -> None:
    bench = Bench()
    bench.reach(Phase.PLAYING)
    assert bench.ask("PAUSE", BASE, Session="SESSION").status == 200
    assert bench.core.phase is Phase.READY
    assert bench.ask("PLAY", BASE, Session="SESSION").status == 200
    assert [type(event) for event in bench.events] == [PausePlaying, StartPlaying]


def test_rtcp_comes_out_with_its_track_and_other_channels_are_read_over() -> None:
    bench = Bench()
    bench.reach(Phase.PLAYING)
    bench.feed(b"$\x01\x00\x04abcd" + b"$\x00\x00\x04efgh" + b"$\x09\x00\x00")
    assert bench.events == [Feedback(0, b"abcd")]


@pytest.mark.parametrize(
    ("phase", "transport", "wait", "code"),
    [
        (Phase.OPENED, TCP, PLAY_WAIT, "play_missing"),
        (Phase.READY, TCP, PLAY_WAIT, "play_missing"),
        (Phase.READY, UDP, PLAY_WAIT, "play_missing"),
        (Phase.PLAYING, UDP, SESSION_TIMEOUT, "viewer_silent"),
    ],
)
def test_who_does_not_go_on_is_let_go_in_time(
    phase: Phase, transport: str, wait: float, code: str
) -> None:
    bench = Bench()
    bench.reach(phase, transport)
    assert bench.core.next_timer() == bench.now + wait
    bench.core.handle_timer(bench.now + wait - 0.01)
    assert bench.core.take_events() == []
    bench.core.handle_timer(bench.now + wait)
    assert bench.core.hang_up
    assert [getattr(event, "code", "") for event in bench.core.take_events()] == [code]


def test_a_player_on_tcp_need_not_say_anything_while_it_takes_the_packets() -> None:
    bench = Bench()
    bench.reach(Phase.PLAYING)
    assert bench.core.next_timer() == float("inf")


def test_a_paused_player_must_say_something() -> None:
    bench = Bench()
    bench.reach(Phase.PLAYING)
    bench.ask("PAUSE", BASE, Session="SESSION")
    bench.core.handle_timer(bench.now + SESSION_TIMEOUT)
    assert bench.core.hang_up


@pytest.mark.parametrize("sign", ["request", "packet", "rtcp over UDP"])
def test_every_sign_of_life_keeps_a_udp_session(sign: str) -> None:
    bench = Bench()
    bench.reach(Phase.PLAYING, UDP)
    bench.now += SESSION_TIMEOUT - 1
    if sign == "request":
        bench.ask("OPTIONS", BASE)
    elif sign == "packet":
        bench.feed(b"$\x00\x00\x00")
    else:
        bench.core.alive(bench.now)
    assert bench.core.next_timer() == bench.now + SESSION_TIMEOUT


def test_setting_tracks_up_does_not_put_off_the_deadline_for_play() -> None:
    bench = Bench()
    bench.reach(Phase.OPENED)
    deadline = bench.core.next_timer()
    bench.now += 5
    bench.ask("SETUP", BASE + "trackID=0", Transport=TCP)
    bench.ask("OPTIONS", BASE)
    assert bench.core.next_timer() == deadline


def test_a_connection_that_asks_nothing_is_closed() -> None:
    bench = Bench()
    assert bench.core.next_timer() == FIRST_REQUEST_WAIT
    bench.feed(b"OPTIONS * RTSP/1.0\r\nCSe")  # drips on and never ends
    bench.core.handle_timer(FIRST_REQUEST_WAIT)
    assert bench.core.hang_up


def test_a_connection_that_watches_nothing_is_closed_after_a_while() -> None:
    bench = Bench()
    bench.ask("OPTIONS", "*")
    assert bench.core.next_timer() == bench.now + IDLE_WAIT
    bench.core.handle_timer(bench.now + IDLE_WAIT)
    assert bench.core.hang_up
    assert bench.core.take_events() == []


def test_while_a_camera_starts_no_deadline_runs_here() -> None:
    bench = Bench(slow=True)
    bench.feed(bench.request("DESCRIBE"))
    assert bench.core.next_timer() == float("inf")


def test_a_token_is_in_no_answer() -> None:
    bench = Bench()
    data = b""
    for request in (
        bench.request("DESCRIBE", URL + "?token=hush"),
        bench.request("SETUP", URL + "/trackID=0?token=hush", Transport=TCP),
        bench.request("PLAY", URL + "?token=hush", Session="SESSION"),
    ):
        bench.core.receive(request, bench.now)
        for event in bench.core.take_events():
            bench.agree(event)
        data += bench.core.data_to_send()
    assert data.count(b"RTSP/1.0 200 OK") == 3
    assert b"hush" not in data


WORDS = st.sampled_from(
    [
        "OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "RECORD", "*",
        URL, BASE, BASE + "trackID=0", BASE + "trackID=1", "rtsp://h/live/x", "RTSP/1.0", "RTSP/2.0",
        "CSeq: 1", "CSeq: x", "Session: SESSION", "Session: other", "Transport: " + TCP,
        "Transport: " + UDP, "Transport: ;", "Transport: RTP/AVP/TCP", "Content-Length: 3",
        "Content-Length: z", "Accept: text/html", "Require: x", "$\x00\x00\x04abcd", "$", " ",
        "\r\n", "\r\n\r\n", "\n\n", "\x00", "\xff\xfe",
    ]
)  # fmt: skip
REQUESTS = st.builds(
    lambda method, url, headers: f"{method} {url} RTSP/1.0\r\nCSeq: 1\r\n{headers}\r\n",
    st.sampled_from(list(TABLE)),
    st.sampled_from([URL, BASE, BASE + "trackID=0", BASE + "trackID=1", "*"]),
    st.lists(
        st.sampled_from(
            ["Session: SESSION\r\n", "Transport: " + TCP + "\r\n", "Transport: " + UDP + "\r\n",
             "Transport: RTP/AVP/TCP\r\n", "Content-Length: 0\r\n"]
        ),
        max_size=3,
    ).map("".join),
)  # fmt: skip


@given(
    st.lists(st.one_of(WORDS, REQUESTS, st.text(max_size=20)), max_size=25),
    st.lists(st.sampled_from(["agree", "refuse", "wait", "time"]), max_size=25),
)
def test_any_history_is_answered_in_order_or_ends_the_connection(
    pieces: list[str], decisions: list[str]
) -> None:
    bench = Bench(slow=True)
    for number, piece in enumerate(pieces):
        bench.now += 0.5
        bench.feed(piece.encode("utf-8", "replace"))
        decision = decisions[number % len(decisions)] if decisions else "agree"
        asked = [e for e in bench.events if isinstance(e, OpenStream | SetUpTrack | StartPlaying)]
        # Whoever waits has asked for exactly one thing.
        assert len(asked) == bench.core.waiting
        bench.events.clear()
        if decision == "time":
            bench.core.handle_timer(bench.now + 1000)
        for event in asked:
            if decision == "refuse":
                bench.core.refuse(refusal(503, "no", "No"), bench.now)
            else:
                bench.agree(event)
        bench.answers()
        while bench.core.waiting:
            asked = [
                e for e in bench.events if not isinstance(e, PausePlaying | Release | Feedback)
            ]
            bench.events.clear()
            bench.agree(asked[-1])
            bench.answers()
    assert len(bench.core._queue) <= MAX_PIPELINED
    # Whatever came, a clean request after it is answered, or finds the connection closed.
    if not bench.core.hang_up and not bench.core._framer.holding:
        assert bench.ask("OPTIONS", "*").status == 200
