"""Players at a running RTSP server: who is let in, what they get, and how it ends."""

import asyncio
import contextlib
import hashlib
import random
import socket

import pytest
from structlog.testing import capture_logs

from gateway.domain.errors import (
    Conflict,
    Forbidden,
    GatewayError,
    NotFound,
    SessionFailed,
    Unavailable,
)
from gateway.domain.session import Ended, EndReason
from gateway.media.options import MediaOptions
from gb28181.es.annexb import iter_nals
from gb28181.es.unit import Codec, MediaUnit
from gb28181.rtp.depacketizer import Depacketizer
from gb28181.rtp.packet import RtpPacket, is_rtcp
from gb28181.rtp.rtcp import Bye, ReceiverReport, SenderReport, parse_rtcp, serialize_rtcp
from tests.support.media import g711_units, interleave, video_units
from tests.support.rtsp import CHANNEL, RtspBench, RtspClient, rtsp_bench

pytestmark = [pytest.mark.net, pytest.mark.timeout(60)]

PICTURES = 60


def camera(count: int = PICTURES, codec: Codec = Codec.H264) -> list[MediaUnit]:
    return interleave(video_units(codec, count=count, gop=25), g711_units(count))


def rtp_info(text: str) -> list[tuple[int, int]]:
    """(seq, rtptime) of each track."""
    fields = [dict(p.split("=", 1) for p in part.split(";")) for part in text.split(",url=")]
    return [(int(one["seq"]), int(one["rtptime"])) for one in fields]


async def test_a_player_gets_the_stream_from_its_last_key_frame_and_as_it_was_sent() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera(camera()[:70])
        client = await bench.client()
        described = await client.describe(bench.open_url)
        sdp = described.body.decode()
        assert "a=control:*" in sdp
        assert "a=range:npt=0-" in sdp
        assert "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000" in sdp
        assert "m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=control:trackID=1" in sdp
        assert described.headers["Content-Base"] == bench.url + "/"
        played = await client.play(bench.open_url)
        bench.feed(camera()[70:])
        await client.until(lambda it: len(it.rtp(2)) >= 34)
        depacketizer = Depacketizer({96: "H264"})
        units = [unit for p in client.rtp(0) for unit in depacketizer.feed(p)]
        sent = [list(iter_nals(u.payload)) for u in video_units(count=60, gop=25)[25:]]
        assert [list(iter_nals(u.payload)) for u in units] == sent[: len(units)]
        assert len(units) >= 34
        assert depacketizer.gaps == 0
        first = client.rtp(0)[0], client.rtp(2)[0]
        told = rtp_info(played.headers["RTP-Info"])
        assert told[0] == (first[0].sequence, first[0].timestamp)
        assert told[1][0] == first[1].sequence


async def test_time_stamps_and_reports_put_sound_and_picture_in_step() -> None:
    async with rtsp_bench(report_interval=0.05) as bench:
        await bench.start_camera(camera())
        client = await bench.client()
        played = await client.play(bench.open_url)
        await client.until(lambda it: len(it.rtcp(1)) > 5 and len(it.rtcp(3)) > 5)
        # Before the first packet a report of each track has come.
        assert [channel for channel, _ in client.packets[:2]] == [1, 3]
        told = rtp_info(played.headers["RTP-Info"])
        for channel, (_, rtptime), rate in ((1, told[0], 90_000), (3, told[1], 8_000)):
            reports = [p for p in client.rtcp(channel) if isinstance(p, SenderReport)]
            assert reports[0].rtp_time == rtptime
            elapsed = (reports[-1].rtp_time - reports[0].rtp_time) % 2**32 / rate
            shown = (reports[-1].ntp_time - reports[0].ntp_time) / 2**32
            assert elapsed == pytest.approx(shown, abs=0.001)
        pictures, sounds = client.rtp(0), client.rtp(2)
        video = (pictures[0].timestamp - told[0][1]) % 2**32 / 90_000
        audio = (sounds[0].timestamp - told[1][1]) % 2**32 / 8_000
        assert video == 0
        assert audio == pytest.approx(0, abs=0.001)


async def test_all_players_of_a_stream_get_the_same_packets_whatever_their_channels() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera(camera()[:60])
        one, other = await bench.client(), await bench.client()
        await one.play(bench.open_url)
        base = (await other.describe(bench.open_url)).headers["Content-Base"]
        await other.ask("SETUP", base + "trackID=1", Transport="RTP/AVP/TCP;interleaved=9-8")
        await other.ask("SETUP", base + "trackID=0", Transport="RTP/AVP/TCP;interleaved=77-11")
        await other.ask("PLAY", base)
        bench.feed(camera()[60:])
        await one.until(lambda it: len(it.rtp(2)) >= 34)
        await other.until(lambda it: len(it.rtp(9)) >= 34)
        assert one.rtp(0) == other.rtp(77)
        assert one.rtp(2) == other.rtp(9)
        assert bench.plane.streams()[0].viewers == {"rtsp": 2}


async def test_a_track_that_is_not_set_up_is_not_sent() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera(camera())
        client = await bench.client()
        played = await client.play(bench.open_url, tracks=1)
        assert played.headers["RTP-Info"].count("url=") == 1
        await client.until(lambda it: len(it.rtp(0)) >= 10)
        assert {channel for channel, _ in client.packets} == {0, 1}


async def test_a_pause_stops_the_packets_and_playing_again_begins_at_a_key_frame() -> None:
    async with rtsp_bench() as bench:
        whole = camera(100)
        await bench.start_camera(whole[:60])
        client = await bench.client()
        await client.play(bench.open_url)
        await client.until(lambda it: len(it.rtp(0)) >= 5)
        assert (await client.ask("PAUSE", bench.url)).status == 200
        client.packets.clear()
        bench.feed(whole[60:120])
        assert (await client.ask("OPTIONS", bench.url)).status == 200
        assert client.packets == []
        played = await client.ask("PLAY", bench.url)
        await client.until(lambda it: len(it.rtp(0)) >= 10)
        first = client.rtp(0)[0]
        assert rtp_info(played.headers["RTP-Info"])[0] == (first.sequence, first.timestamp)
        assert first.payload[0] & 0x1F == 24  # parameter sets of a key frame
        assert bench.sessions.joins == 1


async def test_a_player_may_begin_with_the_next_key_frame() -> None:
    async with rtsp_bench() as bench:
        whole = camera(100)
        await bench.start_camera(whole[:60])
        client = await bench.client()
        played = await client.play(bench.open_url + "&start=next")
        assert "RTP-Info" not in played.headers
        bench.feed(whole[60:120])
        await client.until(lambda it: len(it.rtp(0)) >= 10)
        assert client.rtp(0)[0].payload[0] & 0x1F == 24
        assert len(client.rtp(2)) <= 12
        # The reports come with the first packets, and tell their time.
        assert [channel for channel, _ in client.packets[:2]] == [1, 3]
        report = client.rtcp(1)[0]
        assert isinstance(report, SenderReport)
        assert report.rtp_time == client.rtp(0)[0].timestamp


async def test_a_camera_that_has_to_start_is_waited_for() -> None:
    async with rtsp_bench() as bench:
        bench.sessions.hold = asyncio.Event()
        client = await bench.client()
        client.send("DESCRIBE", bench.open_url)
        client.send("OPTIONS", "*")
        await bench.settled(lambda: bench.sessions.joins, "the join")
        await bench.start_camera()
        bench.sessions.hold.set()
        await bench.settled(lambda: bench.plane.streams()[0].viewers, "the viewer")
        bench.feed(camera(5))
        assert (await client.answer()).body.startswith(b"v=0\r\n")
        assert (await client.answer()).headers["CSeq"] == "2"


# Who is let in


async def test_without_a_credential_a_player_is_challenged_and_nothing_counts() -> None:
    async with rtsp_bench() as bench:
        client = await bench.client()
        answer = await client.ask("DESCRIBE", bench.url)
        assert (answer.status, answer.headers["X-Gb-Code"]) == (401, "credential_missing")
        assert [c.rpartition("algorithm=")[2] for c in answer.challenges] == ["SHA-256", "MD5"]
        assert (bench.door.refusals, bench.sessions.joins) == ([], 0)


def digest(challenge: str, url: str, secret: str, name: str = "key1") -> str:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    nonce = challenge.partition('nonce="')[2].partition('"')[0]
    realm = challenge.partition('realm="')[2].partition('"')[0]
    ha1, ha2 = md5(f"{name}:{realm}:{secret}"), md5(f"DESCRIBE:{url}")
    return (
        f'Digest username="{name}", realm="{realm}", nonce="{nonce}", uri="{url}", '
        f'response="{md5(f"{ha1}:{nonce}:{ha2}")}"'
    )


async def test_name_and_secret_of_a_key_open_the_stream() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera(camera(5))
        client = await bench.client()
        challenge = (await client.ask("DESCRIBE", bench.url)).challenges[-1]
        proof = digest(challenge, bench.url, "the-secret")
        assert (await client.ask("DESCRIBE", bench.url, Authorization=proof)).status == 200
        thief = await bench.client()
        stolen = await thief.ask("DESCRIBE", bench.url, Authorization=proof)
        assert (stolen.status, stolen.headers["X-Gb-Code"]) == (401, "nonce_stale")
        assert "stale=true" in stolen.challenges[0]
        assert bench.door.refusals == []


@pytest.mark.parametrize(
    ("authorization", "code", "claimed"),
    [
        ("wrong", "credential_wrong", "key1"),
        ("Basic a2V5MTp0aGUtc2VjcmV0", "invalid_credential", ""),
        ("Digest x", "invalid_credential", ""),
    ],
)
async def test_a_wrong_credential_is_counted_and_on_record(
    authorization: str, code: str, claimed: str
) -> None:
    async with rtsp_bench() as bench:
        client = await bench.client()
        challenge = (await client.ask("DESCRIBE", bench.url)).challenges[-1]
        if authorization == "wrong":
            authorization = digest(challenge, bench.url, "another")
        answer = await client.ask("DESCRIBE", bench.url, Authorization=authorization)
        assert (answer.status, answer.headers["X-Gb-Code"]) == (401, code)
        (refusal,) = bench.door.refusals
        assert refusal[:2] == (code, claimed)
        assert refusal[2].startswith("DESCRIBE /live/")


async def test_a_wrong_token_is_refused_and_appears_in_no_log_or_record() -> None:
    async with rtsp_bench() as bench:
        client = await bench.client()
        with capture_logs() as logs:
            answer = await client.ask("DESCRIBE", bench.url + "?token=hush-hush")
        assert answer.status == 401
        assert bench.door.refusals[0][0] == "token_invalid"
        assert "hush" not in str((logs, bench.door.refusals, answer))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Forbidden("no_rule", "Nothing allows this"), 403),
        (Conflict("channel_ambiguous", "Two devices have it"), 409),
        (Unavailable("too_many_viewers", "200 viewers"), 453),
        (Unavailable("device_offline", "Device 3402 is offline"), 503),
        (Unavailable("rtp_ports_exhausted", "No port"), 503),
        (SessionFailed("s", Ended(EndReason.INVITE_TIMEOUT, "No answer in 20 s")), 504),
        (SessionFailed("s", Ended(EndReason.INVITE_REFUSED, "486 from 10.0.0.1")), 502),
        (SessionFailed("s", Ended(EndReason.CODEC_UNSUPPORTED, "SVAC")), 415),
    ],
)
@pytest.mark.parametrize("is_local", [True, False])
async def test_each_reason_has_its_status_and_its_words(
    error: GatewayError, status: int, is_local: bool
) -> None:
    async with rtsp_bench() as bench:
        bench.door.is_local = is_local
        bench.sessions.failure = error
        client = await bench.client()
        answer = await client.ask("DESCRIBE", bench.open_url)
        words = error.detail if is_local else f"Outside: {error.code}"
        assert (answer.status, answer.words) == (status, words)
        assert answer.body.decode().strip() == words
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert ("Retry-After" in answer.headers) == (status in {453, 503})
        assert [entry.ended for entry in bench.door.entries] == [(error.code, error.detail, 0)]
        bench.sessions.failure = None
        await bench.start_camera(camera(5))
        assert (await client.ask("DESCRIBE", bench.open_url)).status == 200


async def test_an_unknown_channel_and_a_denial_are_answered_before_the_camera_is_asked() -> None:
    async with rtsp_bench() as bench:
        client = await bench.client()
        answer = await client.ask("DESCRIBE", bench.open_url.replace(CHANNEL, "9" * 20))
        assert answer.status == 404
        bench.door.denial = Forbidden("denied", "A rule denies this")
        assert (await client.ask("DESCRIBE", bench.open_url)).status == 403
        bench.door.denial = NotFound("channel_unknown", "Not yours to know")
        assert (await client.ask("SETUP", bench.open_url, Transport="RTP/AVP/TCP")).status == 404
        assert bench.sessions.joins == 0


async def test_a_stream_that_gives_nothing_is_given_up() -> None:
    async with rtsp_bench(output_timeout=0.1) as bench:
        await bench.start_camera()
        client = await bench.client()
        answer = await client.ask("DESCRIBE", bench.open_url)
        assert (answer.status, answer.headers["X-Gb-Code"]) == (504, "no_output")


async def test_a_stream_that_ends_while_it_is_waited_for_says_why() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera()
        client = await bench.client()
        client.send("DESCRIBE", bench.open_url)
        await bench.settled(lambda: bench.plane.streams()[0].viewers, "the viewer")
        assert bench.receiver is not None
        await bench.receiver.close("no_packet", "The camera sent nothing for 10 s")
        answer = await client.answer()
        assert (answer.status, answer.words) == (502, "The camera sent nothing for 10 s")


async def test_a_stop_while_the_camera_starts_is_a_denial() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera()
        client = await bench.client()
        client.send("DESCRIBE", bench.open_url)
        await bench.settled(lambda: bench.plane.streams()[0].viewers, "the viewer")
        bench.door.entries[0].stop("stopped", "Sharing of this was stopped")
        answer = await client.answer()
        assert (answer.status, answer.words) == (403, "Sharing of this was stopped")


# How it ends


async def test_teardown_is_an_ordinary_end_and_the_connection_serves_again() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera(camera())
        client = await bench.client()
        await client.play(bench.open_url)
        await client.until(lambda it: len(it.rtp(0)) >= 5)
        assert (await client.ask("TEARDOWN", bench.url)).status == 200
        code, _, sent = bench.door.entries[0].ended or ("", "", 0)
        assert code == "viewer_left"
        assert sent >= sum(len(data) + 4 for _, data in client.packets)
        assert any(isinstance(packet, Bye) for packet in client.rtcp(1))
        client.session = ""
        await client.play(bench.open_url)


async def test_hanging_up_ends_the_viewing_at_once() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera(camera())
        client = await bench.client()
        await client.play(bench.open_url)
        client.writer.transport.abort()
        await bench.settled(lambda: not bench.plane.streams()[0].viewers, "the end")
        assert [entry.ended[0] for entry in bench.door.entries if entry.ended] == ["viewer_left"]


async def test_hanging_up_while_the_camera_starts_ends_the_waiting() -> None:
    async with rtsp_bench() as bench:
        bench.sessions.hold = asyncio.Event()
        client = await bench.client()
        client.send("DESCRIBE", bench.open_url)
        await bench.settled(lambda: bench.sessions.joins, "the join")
        client.writer.transport.abort()
        await bench.settled(lambda: bench.door.entries[0].ended, "the end")
        assert bench.server.held() == 0


async def test_a_stop_order_says_good_bye_and_closes_the_connection() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera(camera())
        client, other = await bench.client(), await bench.client()
        await client.play(bench.open_url)
        await other.play(bench.open_url)
        bench.door.entries[0].stop("ended", "An operator has ended this")
        await client.closed()
        (bye,) = [packet for packet in client.rtcp(1) if isinstance(packet, Bye)]
        assert bye.reason == "ended"
        ended = bench.door.entries[0].ended
        assert ended is not None
        assert ended[:2] == ("ended", "An operator has ended this")
        bench.feed(camera(70)[120:])
        await other.until(lambda it: len(it.rtp(2)) > 15)


async def test_another_codec_ends_the_stream_with_that_reason() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera(camera(30))
        client = await bench.client()
        await client.play(bench.open_url)
        bench.feed(video_units(Codec.HEVC, count=2, start=30 * 3_600))
        await client.closed()
        assert [entry.ended[0] for entry in bench.door.entries if entry.ended] == ["codec_changed"]


async def test_the_end_of_the_server_is_said_to_every_player() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera(camera())
        client = await bench.client()
        await client.play(bench.open_url)
        idle = await bench.client()
        await bench.server.__aexit__(None, None, None)
        await client.closed()
        await idle.closed()
        assert any(isinstance(packet, Bye) for packet in client.rtcp(1))
        assert [entry.ended[0] for entry in bench.door.entries if entry.ended] == ["shutdown"]


async def test_a_player_that_does_not_read_loses_frames_and_is_then_closed_as_too_slow() -> None:
    media = MediaOptions(audio_wait=0.01)
    async with rtsp_bench(media=media, viewer_patience=0.3, viewer_bytes=300_000) as bench:
        noise = video_units(count=50, width=640, height=480, gop=10)
        heavy = [
            MediaUnit(u.codec, u.pts, u.dts, u.keyframe, u.payload + b"\x00\x00\x01\x06\x05" + b"\x99" * 60_000)
            for u in noise
        ]  # fmt: skip
        await bench.start_camera(heavy[:10])
        slow, quick = await bench.client(), await bench.client()
        await slow.play(bench.open_url, tracks=1)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await quick.play(bench.open_url, tracks=1)
        reading = asyncio.create_task(_drain(quick))  # noqa: TID251 - of this test alone
        time = heavy[-1].dts
        try:
            async with asyncio.timeout(20):
                while bench.door.entries[0].ended is None:
                    for unit in heavy[:10]:
                        time += 3_600
                        bench.feed([MediaUnit(unit.codec, time, time, unit.keyframe, unit.payload)])
                        await asyncio.sleep(0.005)
        finally:
            reading.cancel()
        assert bench.door.entries[0].ended[0] == "too_slow"
        assert bench.door.entries[1].ended is None
        assert bench.plane.streams()[0].skipped > 0


async def _drain(client: RtspClient) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            await client._reader.readexactly(1)
            await client._packet()
            client.packets.clear()


# Abuse


async def test_connections_over_the_limit_are_told_and_closed() -> None:
    async with rtsp_bench(max_connections_per_host=2) as bench:
        first, second, third = [await bench.client() for _ in range(3)]
        answer = await third.answer()
        assert (answer.status, answer.words) == (503, "Too many connections")
        await third.closed()
        assert (await first.ask("OPTIONS", "*")).status == 200
        second.writer.close()
        await bench.settled(lambda: bench.server.connections == 1, "the end of the second")
        assert (await (await bench.client()).ask("OPTIONS", "*")).status == 200


async def test_garbage_is_answered_once_and_hung_up_on() -> None:
    async with rtsp_bench() as bench:
        client = await bench.client()
        client.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nmore")
        assert (await client.answer()).status == 400
        await client.closed()


REQUESTS = [
    "DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    "SETUP {base}/trackID=0 RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n",
    "SETUP {base}/trackID=1 RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP;client_port=6000-6001\r\n\r\n",
    "PLAY {base} RTSP/1.0\r\nCSeq: 3\r\nSession: x\r\n\r\n",
    "TEARDOWN {base} RTSP/1.0\r\nCSeq: 4\r\n\r\n",
    "$\x01\x00\x04abcd",
    "GET_PARAMETER * RTSP/1.0\r\nCSeq: 5\r\nContent-Length: 4\r\n\r\nabcd",
]


@pytest.mark.parametrize("seed", range(4))
async def test_mutilated_requests_are_answered_or_hung_up_on_and_others_watch_on(seed: int) -> None:
    dice = random.Random(seed)
    async with rtsp_bench() as bench:
        await bench.start_camera(camera())
        watching = await bench.client()
        await watching.play(bench.open_url)
        for _ in range(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", bench.server.port)
            for _ in range(dice.randrange(1, 6)):
                text = dice.choice(REQUESTS).format(url=bench.open_url, base=bench.url)
                data = bytearray(text.encode())
                for _ in range(dice.choice([0, 0, 1, 3])):
                    data[dice.randrange(len(data))] = dice.randrange(256)
                if dice.random() < 0.1:
                    del data[dice.randrange(len(data)) :]
                writer.write(bytes(data))
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(0.02):
                    while (answer := await reader.read(4_096)) != b"":
                        assert b"Traceback" not in answer
            writer.transport.abort()
        assert (await watching.ask("OPTIONS", "*")).status == 200
        await bench.settled(lambda: bench.server.connections == 1, "the end of the others")
        bench.feed(camera(70)[120:])
        await watching.until(lambda it: len(it.rtp(2)) > 15)


async def test_a_peer_that_asks_and_never_reads_is_cut_off() -> None:
    async with rtsp_bench() as bench:
        sock = socket.create_connection(("127.0.0.1", bench.server.port))
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        loop = asyncio.get_running_loop()
        flood = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" * 2_000

        async def ask_on() -> None:
            async with asyncio.timeout(30):
                while True:
                    await loop.sock_sendall(sock, flood)

        with sock, pytest.raises(ConnectionError):
            await ask_on()
        await bench.settled(lambda: bench.server.connections == 0, "the end")


# UDP


class UdpPlayer:
    """Sockets of one track."""

    def __init__(self) -> None:
        self.rtp, self.rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for sock in (self.rtp, self.rtcp):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    @property
    def transport(self) -> str:
        ports = self.rtp.getsockname()[1], self.rtcp.getsockname()[1]
        return f"RTP/AVP;unicast;client_port={ports[0]}-{ports[1]};destination=192.0.2.99"

    async def receive(self, sock: socket.socket, count: int) -> list[bytes]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(15):
            return [await loop.sock_recv(sock, 2_048) for _ in range(count)]

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


async def udp_play(bench: RtspBench, player: UdpPlayer) -> tuple[RtspClient, dict[str, str]]:
    client = await bench.client()
    base = (await client.describe(bench.open_url)).headers["Content-Base"]
    answer = await client.ask("SETUP", base + "trackID=0", Transport=player.transport)
    assert answer.status == 200, answer
    fields = dict(f.split("=", 1) for f in answer.headers["Transport"].split(";") if "=" in f)
    assert (await client.ask("PLAY", base)).status == 200
    return client, fields


async def test_udp_packets_come_from_the_ports_that_were_told_whatever_destination_was_asked() -> (
    None
):
    async with rtsp_bench() as bench:
        await bench.start_camera(camera(50)[:50])
        player = UdpPlayer()
        with contextlib.closing(player):
            _, fields = await udp_play(bench, player)
            ports = [int(port) for port in fields["server_port"].split("-")]
            assert ports[0] % 2 == 0
            assert ports[1] == ports[0] + 1
            sent = [RtpPacket.parse(data) for data in await player.receive(player.rtp, 25)]
            assert {packet.ssrc for packet in sent} == {int(fields["ssrc"], 16)}
            assert sent[0].payload[0] & 0x1F == 24
            numbers = [(packet.sequence - sent[0].sequence) & 0xFFFF for packet in sent]
            assert numbers == list(range(25))
            report = parse_rtcp((await player.receive(player.rtcp, 1))[0])[0]
            assert isinstance(report, SenderReport)
            assert bench.server.held() == 3  # connection, packets, port pair


async def test_udp_ports_come_back_and_a_good_bye_is_sent() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera(camera(50))
        player = UdpPlayer()
        with contextlib.closing(player):
            client, _ = await udp_play(bench, player)
            await client.ask("TEARDOWN", bench.url)
            packets = [parse_rtcp(data) for data in await player.receive(player.rtcp, 2)]
            assert any(isinstance(packet, Bye) for packet in packets[-1])
        assert bench.server.held() == 1


async def test_receiver_reports_over_udp_are_read() -> None:
    async with rtsp_bench() as bench:
        await bench.start_camera(camera(50))
        player = UdpPlayer()
        with contextlib.closing(player):
            _, fields = await udp_play(bench, player)
            rtcp_port = int(fields["server_port"].split("-")[1])
            (peer,) = bench.server._peers
            assert peer._core is not None
            before = peer._core.next_timer()
            await asyncio.sleep(0.05)
            report = serialize_rtcp(ReceiverReport(ssrc=9))
            assert is_rtcp(report)
            player.rtcp.sendto(report, ("127.0.0.1", rtcp_port))
            core = peer._core
            await bench.settled(lambda: core.next_timer() > before, "the sign of life")


async def test_without_a_free_port_udp_is_refused_and_tcp_still_served() -> None:
    async with rtsp_bench(udp_ports=(45_500, 45_501)) as bench:
        await bench.start_camera(camera(5))
        one, other = UdpPlayer(), UdpPlayer()
        with contextlib.closing(one), contextlib.closing(other):
            await udp_play(bench, one)
            client = await bench.client()
            base = (await client.describe(bench.open_url)).headers["Content-Base"]
            answer = await client.ask("SETUP", base + "trackID=0", Transport=other.transport)
            assert (answer.status, answer.headers["X-Gb-Code"]) == (503, "rtp_ports_exhausted")
            answer = await client.ask("SETUP", base + "trackID=0", Transport="RTP/AVP/TCP")
            assert answer.status == 200


async def test_a_player_whose_host_refuses_the_datagrams_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.rtsp.carrier.UNREACHABLE", 0.2)
    async with rtsp_bench() as bench:
        await bench.start_camera(camera(50))
        player = UdpPlayer()
        client, _ = await udp_play(bench, player)
        player.close()
        time = 50 * 3_600
        while bench.door.entries[0].ended is None:
            time += 3_600
            bench.feed(video_units(count=1, start=time))
            await asyncio.sleep(0.02)
        assert bench.door.entries[0].ended[0] == "unreachable"
        await client.closed()
