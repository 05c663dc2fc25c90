"""WHEP over real HTTP: what is answered to offers, to sessions and at the end; media is scripted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.errors import NotFound, Unavailable
from gateway.domain.session import EndReason
from gateway.domain.webrtc import (
    CodecNotSupported,
    OfferInvalid,
    PeerInfo,
    PeerState,
    WebRtcEnded,
    WebRtcEvents,
)
from tests.support.http import (
    ADMIN,
    CHANNEL,
    DEVICE,
    SHARED_CHANNEL,
    HttpBench,
    http_bench,
    session_failed,
)

pytestmark = pytest.mark.net

PATH = f"/whep/{DEVICE}/{CHANNEL}"
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
ANSWER = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"


class ScriptedPeer:
    """A viewer whose connection is the test's to make and to end."""

    def __init__(self, media: "ScriptedWebRtc", events: WebRtcEvents) -> None:
        self.media = media
        self.events = events
        self.stream_id = ""
        self.ended: tuple[str, str] | None = None

    def attach(self, stream_id: str) -> None:
        if self.media.attach_error is not None:
            raise self.media.attach_error
        self.stream_id = stream_id

    async def answer(self) -> str:
        self.media.asked.set()
        if self.media.hold is not None:
            await self.media.hold.wait()
        if self.ended is not None:
            raise WebRtcEnded(*self.ended)
        if self.media.answer_error is not None:
            raise self.media.answer_error
        return ANSWER

    def accepts(self, fragment: bytes) -> bool:
        if not fragment.startswith(b"a="):
            raise OfferInvalid("offer_invalid", "The SDP offer cannot be used")
        return b"restart" not in fragment

    def info(self) -> PeerInfo:
        state = PeerState.CONNECTED if self.ended is None else PeerState.ENDED
        return PeerInfo(state=state, sent=1234, packets=5, remark=self.media.remark)

    def close(self, code: str, detail: str) -> None:
        if self.ended is None:
            self.ended = (code, detail)
            if self.media.hold is not None:
                self.media.hold.set()
            self.events.webrtc_ended(code, detail)


class ScriptedWebRtc:
    """Implements `gateway.domain.webrtc.WebRtcMedia`."""

    def __init__(self) -> None:
        self.peers: list[ScriptedPeer] = []
        self.offers: list[bytes] = []
        self.open_error: Exception | None = None
        self.attach_error: Exception | None = None
        self.answer_error: Exception | None = None
        self.hold: asyncio.Event | None = None
        self.asked = asyncio.Event()
        self.remark = ""

    def open(self, offer: bytes, events: WebRtcEvents) -> ScriptedPeer:
        self.offers.append(offer)
        if self.open_error is not None:
            raise self.open_error
        self.peers.append(ScriptedPeer(self, events))
        return self.peers[-1]

    def count(self) -> int:
        return sum(peer.ended is None for peer in self.peers)


@pytest.fixture
def media() -> ScriptedWebRtc:
    return ScriptedWebRtc()


@pytest.fixture
async def bench(tmp_path: Path, media: ScriptedWebRtc) -> AsyncIterator[HttpBench]:
    async with (
        asyncio.timeout(10),
        http_bench(tmp_path, webrtc=media, cors_origins=("https://page.example",)) as running,
    ):
        yield running


async def opened(bench: HttpBench, path: str = PATH) -> str:
    """Open a session and return its address."""
    status, _, answer = await bench.call("POST", path, data=b"v=0", headers=SDP)
    assert status == 201
    return answer.headers["Location"]


async def test_an_offer_is_answered_with_a_session(bench: HttpBench, media: ScriptedWebRtc) -> None:
    media.remark = "no sound: the offer takes no codec for the camera's AAC"
    status, body, answer = await bench.call("POST", PATH, data=b"v=0\r\n", headers=SDP)
    assert (status, body.decode()) == (201, ANSWER)
    assert answer.content_type == "application/sdp"
    assert answer.headers["Location"].startswith("/whep/sessions/")
    assert answer.headers["ETag"].startswith('"')
    assert answer.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Gb-Remark"] == media.remark
    assert media.offers == [b"v=0\r\n"]
    assert media.peers[0].stream_id == f"{DEVICE}/{CHANNEL}"
    assert bench.server.viewers == 1


async def test_a_unique_channel_and_a_stream_token_are_enough(bench: HttpBench) -> None:
    token = bench.stream_token()
    status, _, _ = await bench.call(
        "POST", f"/whep/{CHANNEL}?token={token}", token=None, data=b"v=0", headers=SDP
    )
    assert status == 201
    status, body, _ = await bench.call("POST", f"/whep/{SHARED_CHANNEL}", data=b"v=0", headers=SDP)
    assert (status, body["code"]) == (409, "channel_ambiguous")


async def test_play_tells_where_to_post(bench: HttpBench) -> None:
    _, body, _ = await bench.call("POST", f"/api/v1/channels/{DEVICE}/{CHANNEL}/play")
    url = body["urls"]["whep"]
    assert url.startswith(f"{bench.url}{PATH}?token=")
    status, _, _ = await bench.call(
        "POST", url.removeprefix(bench.url), token=None, data=b"v=0", headers=SDP
    )
    assert status == 201


async def test_without_webrtc_there_is_no_address(tmp_path: Path) -> None:
    async with asyncio.timeout(10), http_bench(tmp_path) as bench:
        _, body, _ = await bench.call("POST", f"/api/v1/channels/{DEVICE}/{CHANNEL}/play")
        assert body["urls"]["whep"] is None
        status, _, _ = await bench.call("POST", PATH, data=b"v=0", headers=SDP)
        assert status == 404


async def test_strangers_and_wrong_tokens_are_refused(
    bench: HttpBench, media: ScriptedWebRtc
) -> None:
    other = bench.stream_token(f"{DEVICE}/34020000001320000002")
    for path, code in ((PATH, 401), (f"{PATH}?token=x", 401), (f"{PATH}?token={other}", 403)):
        status, _, _ = await bench.call("POST", path, token=None, data=b"v=0", headers=SDP)
        assert status == code
    assert media.offers == []


async def test_what_is_no_offer_is_refused(bench: HttpBench, media: ScriptedWebRtc) -> None:
    status, body, answer = await bench.call("POST", PATH, json={})
    assert (status, body["code"]) == (415, "wrong_content_type")
    assert answer.headers["Accept-Post"] == "application/sdp"
    status, body, _ = await bench.call("POST", PATH, data=b"v" * 70_000, headers=SDP)
    assert (status, body["code"]) == (413, "body_too_large")
    status, body, _ = await bench.call("POST", "/whep/x/y", data=b"v=0", headers=SDP)
    assert status == 404
    assert media.offers == []
    media.open_error = OfferInvalid("offer_invalid", "The SDP offer cannot be used: no m= line")
    status, body, _ = await bench.call("POST", PATH, data=b"v=0", headers=SDP)
    assert (status, body["code"]) == (400, "offer_invalid")
    assert "no m= line" in body["detail"]
    assert bench.sessions.records == [], "the camera must not be asked"
    assert bench.server.viewers == 0


async def test_no_common_codec_is_406_and_nothing_stays(
    bench: HttpBench, media: ScriptedWebRtc
) -> None:
    media.answer_error = CodecNotSupported("codec_not_supported", "The camera sends H.265")
    status, body, _ = await bench.call("POST", PATH, data=b"v=0", headers=SDP)
    assert (status, body["code"], body["detail"]) == (
        406,
        "codec_not_supported",
        "The camera sends H.265",
    )
    assert media.count() == 0
    assert bench.server.viewers == 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unavailable("webrtc_ports_exhausted", "No port"), 503),
        (Unavailable("too_many_viewers", "Full"), 503),
    ],
)
async def test_too_many_is_503(
    bench: HttpBench, media: ScriptedWebRtc, error: Unavailable, status: int
) -> None:
    media.open_error = error
    found, body, answer = await bench.call("POST", PATH, data=b"v=0", headers=SDP)
    assert (found, body["code"]) == (status, error.code)
    assert "Retry-After" in answer.headers
    assert bench.server.viewers == 0


async def test_a_camera_that_does_not_come_is_the_answer(
    bench: HttpBench, media: ScriptedWebRtc
) -> None:
    bench.sessions.refuse = session_failed(EndReason.INVITE_TIMEOUT, "No answer within 5 s")
    status, body, _ = await bench.call("POST", PATH, data=b"v=0", headers=SDP)
    assert (status, body["code"]) == (504, "invite_timeout")
    bench.sessions.refuse = None
    media.attach_error = NotFound("stream_not_found", "gone")
    status, body, _ = await bench.call("POST", PATH, data=b"v=0", headers=SDP)
    assert status == 404
    media.attach_error = None
    for code, expected in (("no_output", 504), ("no_packet", 502), ("device_offline", 503)):
        media.answer_error = WebRtcEnded(code, "Why")
        status, body, _ = await bench.call("POST", PATH, data=b"v=0", headers=SDP)
        assert (status, body["code"]) == (expected, code)
    assert media.count() == 0
    assert bench.server.viewers == 0


async def test_a_session_says_how_it_is_and_why_it_ended(
    bench: HttpBench, media: ScriptedWebRtc
) -> None:
    location = await opened(bench)
    status, body, _ = await bench.call("GET", location, token=None)
    assert status == 200
    assert (body["state"], body["code"], body["sent"]) == ("connected", "", 1234)
    media.peers[0].close("device_bye", "The device ended the session with BYE")
    status, body, _ = await bench.call("GET", location, token=None)
    assert (status, body["state"], body["code"]) == (200, "ended", "device_bye")
    assert body["detail"] == "The device ended the session with BYE"
    assert bench.server.viewers == 0
    status, body, _ = await bench.call("GET", "/whep/sessions/guessed", token=None)
    assert (status, body["code"]) == (404, "whep_session_unknown")


async def test_a_viewer_ends_its_session(bench: HttpBench, media: ScriptedWebRtc) -> None:
    location = await opened(bench)
    for _ in range(2):
        status, _, _ = await bench.call("DELETE", location, token=None)
        assert status == 204
    assert media.peers[0].ended is not None
    assert media.peers[0].ended[0] == "viewer_left"
    assert bench.server.viewers == 0
    status, _, _ = await bench.call("DELETE", "/whep/sessions/guessed", token=None)
    assert status == 404


async def test_trickled_candidates_are_taken_and_restarts_are_not(
    bench: HttpBench, media: ScriptedWebRtc
) -> None:
    status, _, answer = await bench.call("POST", PATH, data=b"v=0", headers=SDP)
    location, etag = answer.headers["Location"], answer.headers["ETag"]
    for headers in (FRAGMENT, {**FRAGMENT, "If-Match": etag}, {**FRAGMENT, "If-Match": "*"}):
        status, _, _ = await bench.call("PATCH", location, data=b"a=mid:0", headers=headers)
        assert status == 204
    for data, headers, expected in (
        (b"a=mid:0", {**FRAGMENT, "If-Match": '"x"'}, (412, "etag_mismatch")),
        (b"a=restart", FRAGMENT, (422, "ice_restart_unsupported")),
        (b"garbage", FRAGMENT, (400, "offer_invalid")),
        (b"a=mid:0", SDP, (415, "wrong_content_type")),
        (b"a" * 70_000, FRAGMENT, (413, "body_too_large")),
    ):
        status, body, _ = await bench.call("PATCH", location, data=data, headers=headers)
        assert (status, body["code"]) == expected
    media.peers[0].close("source_lost", "Nothing came")
    status, body, _ = await bench.call("PATCH", location, data=b"a=mid:0", headers=FRAGMENT)
    assert (status, body["code"]) == (410, "source_lost")


async def test_a_forced_stop_is_told_to_the_viewer_in_words(
    bench: HttpBench, media: ScriptedWebRtc
) -> None:
    location = await opened(bench)
    (access,) = list(bench.sharing.access.accesses())
    status, _, _ = await bench.call("DELETE", f"/api/v1/accesses/{access.access_id}")
    assert status in {200, 204}
    assert media.peers[0].ended is not None
    _, body, _ = await bench.call("GET", location, token=None)
    assert (body["state"], body["code"]) == ("ended", "ended")
    assert body["detail"]
    assert bench.server.viewers == 0


async def test_a_stop_while_the_answer_is_awaited_is_a_denial(
    bench: HttpBench, media: ScriptedWebRtc
) -> None:
    media.hold = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        posted = group.create_task(bench.call("POST", PATH, data=b"v=0", headers=SDP))
        await media.asked.wait()
        (access,) = list(bench.sharing.access.accesses())
        await bench.call("DELETE", f"/api/v1/accesses/{access.access_id}")
    status, body, _ = posted.result()
    assert (status, body["code"]) == (403, "ended")
    assert bench.server.viewers == 0


async def test_viewers_by_webrtc_count_like_all_others(
    tmp_path: Path, media: ScriptedWebRtc
) -> None:
    async with (
        asyncio.timeout(10),
        http_bench(tmp_path, webrtc=media, max_viewers_per_stream=1) as bench,
    ):
        location = await opened(bench)
        status, body, _ = await bench.call("POST", PATH, data=b"v=0", headers=SDP)
        assert (status, body["code"]) == (503, "too_many_viewers")
        assert media.count() == 1, "the second must hold no port"
        await bench.call("DELETE", location)
        await opened(bench)


async def test_the_end_of_the_gateway_ends_the_viewers(
    tmp_path: Path, media: ScriptedWebRtc
) -> None:
    async with asyncio.timeout(10), http_bench(tmp_path, webrtc=media) as bench:
        await opened(bench)
    assert media.peers[0].ended == ("shutdown", "The gateway is stopping")


async def test_pages_of_configured_origins_only_may_ask(
    bench: HttpBench, media: ScriptedWebRtc
) -> None:
    headers = {**SDP, "Origin": "https://page.example"}
    status, _, answer = await bench.call("POST", PATH, data=b"v=0", headers=headers)
    assert status == 201
    assert answer.headers["Access-Control-Allow-Origin"] == "https://page.example"
    assert "Location" in answer.headers["Access-Control-Expose-Headers"]
    headers["Access-Control-Request-Method"] = "POST"
    status, _, answer = await bench.call("OPTIONS", PATH, token=None, headers=headers)
    assert status == 204
    assert "If-Match" in answer.headers["Access-Control-Allow-Headers"]
    headers = {**SDP, "Origin": "https://other.example"}
    status, body, _ = await bench.call("POST", PATH, data=b"v=0", headers=headers)
    assert (status, body["code"]) == (403, "origin_refused")


async def test_a_client_that_leaves_before_the_answer_holds_nothing(
    bench: HttpBench, media: ScriptedWebRtc
) -> None:
    media.hold = asyncio.Event()
    _, writer = await asyncio.open_connection("127.0.0.1", bench.server.port)
    writer.write(
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\n"
        "Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0".encode()
    )
    await media.asked.wait()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    await asyncio.sleep(0.1)
    media.hold.set()
    while media.peers[0].ended is None:
        await asyncio.sleep(0.01)
    assert media.peers[0].ended[0] == "viewer_left"
    assert bench.server.viewers == 0
