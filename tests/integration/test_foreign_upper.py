"""sipp above two gateways in a row: what a foreign platform gets of cameras two levels down.

What came is read by Python's own XML parser, by RTP code of the tests alone, and by ffprobe.
"""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from tests.support.foreign_row import (
    HEIGHT,
    LOWER,
    MIDDLE,
    RECORDER,
    TOPS,
    WIDTH,
    Foreign,
    foreign,
)
from tests.support.gateway import eventually
from tests.support.sipp import Sipp, probe_ps, ps_of, read_xml
from tests.support.upper_media import MediaSink

pytestmark = [
    pytest.mark.net,
    pytest.mark.timeout(90),
    pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed"),
    pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffmpeg is not installed"),
]


async def test_it_registers_us_hears_us_and_is_told_what_and_how_we_and_our_cameras_are(
    tmp_path: Path,
) -> None:
    async with foreign(tmp_path, "UDP") as it:
        await it.register("UDP", keepalive_interval=5.0)
        upper, camera = it.upper("UDP"), it.cameras[0]
        registers = [m for m in upper.messages() if "REGISTER" in m.headers["cseq"]]
        assert [m.status for m in registers if m.status] == [401, 200]
        assert [("authorization" in m.headers) for m in registers if m.received] == [False, True]
        targets = (MIDDLE, RECORDER, camera)
        queries = [
            ("Query", kind, str(sn), target, "")
            for kind, first in (("DeviceInfo", 10), ("DeviceStatus", 20))
            for sn, target in enumerate(targets, first)
        ]
        await it.ask(queries)
        for sn, target in enumerate(targets):
            info = await it.answer("DeviceInfo", str(10 + sn))
            status = await it.answer("DeviceStatus", str(20 + sn))
            assert (info.tag, status.tag) == ("Response", "Response")
            assert {x.findtext("DeviceID") for x in (info, status)} == {target}
            assert {x.findtext("Result") for x in (info, status)} == {"OK"}
            assert (status.findtext("Online"), status.findtext("Status")) == ("ONLINE", "OK")
        own = await it.answer("DeviceInfo", "10")
        assert own.findtext("Channel") == str(len(it.cameras))
        named = await it.answer("DeviceInfo", "12")
        assert named.findtext("DeviceName") == it.recorder.channels[0].name

        async def alive() -> list[Element]:
            bodies = [read_xml(m.body) for m in upper.received("MESSAGE")]
            return [x for x in bodies if x.findtext("CmdType") == "Keepalive"]

        (keepalive, *_) = await eventually(alive, 8.0, "a keepalive")
        assert keepalive.tag == "Notify"
        assert (keepalive.findtext("DeviceID"), keepalive.findtext("Status")) == (MIDDLE, "OK")
    goodbye = upper.received("REGISTER")[-1]
    assert goodbye.headers["expires"] == "0"
    assert upper.messages()[-1].status == 200


async def test_ten_thousand_channels_come_whole_over_udp_and_over_tcp(tmp_path: Path) -> None:
    async with foreign(tmp_path, "UDP", "TCP", channels=10_000) as it:
        await it.register("UDP", catalog_batch=80)
        await it.register("TCP")
        for transport in ("UDP", "TCP"):
            await it.ask([("Query", "Catalog", "4711", MIDDLE, "")], transport)
            await whole_catalogue(it, transport)


async def whole_catalogue(it: Foreign, transport: str) -> None:
    """What one upper got, read apart: complete, each item once, none before what it hangs under."""

    async def all_sent() -> bool:
        timeline = it.middle.gateway.links.status(TOPS[transport]).timeline
        return any(e.detail.startswith(f"Catalog of {MIDDLE}: ") for e in timeline)

    await eventually(all_sent, 30.0, f"the catalogue over {transport}")
    parts = it.told("Catalog", "4711", transport)
    assert {part.findtext("DeviceID") for part in parts} == {MIDDLE}
    lists = [part.find("DeviceList") for part in parts]
    assert all(found is not None and len(found) == int(found.get("Num", "")) for found in lists)
    items = [item for found in lists if found is not None for item in found]
    codes = [item.findtext("DeviceID") for item in items]
    assert len(set(codes)) == len(codes)
    assert {part.findtext("SumNum") for part in parts} == {str(len(codes))}
    assert set(codes) == {MIDDLE, LOWER, RECORDER, *it.cameras}
    seen: set[str] = set()
    for item, code in zip(items, codes, strict=True):
        parents = (item.findtext("ParentID") or "").split("/")
        assert code == MIDDLE or set(parents) <= seen, (code, parents)
        seen.add(str(code))
    names = {item.findtext("DeviceID"): item.findtext("Name") for item in items}
    for channel in it.recorder.channels:
        assert names[channel.channel_id] == channel.name
    assert {item.findtext("Status") for item in items[1:]} == {"ON"}
    assert all(len(m.body) < 65_536 for m in it.upper(transport).received("MESSAGE"))


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_it_subscribes_and_is_told_what_changes_two_levels_down(
    tmp_path: Path, transport: str
) -> None:
    async with foreign(tmp_path, transport) as it:
        await it.register(transport)
        watching = await it.run("upper_watch.xml", "-m", "1", transport=transport)
        try:
            await notified(watching, 1)
            await every_change(it, watching)
            await watching.finish()
        finally:
            await watching.stop()
        last = watching.received("NOTIFY")[-1]
        assert last.headers["subscription-state"].startswith("terminated")
        assert len({m.headers["call-id"] for m in watching.messages()}) == 1
        assert it.middle.gateway.links.status(TOPS[transport]).subscriptions == {}


async def notified(watching: Sipp, count: int) -> bytes:
    """The body of one NOTIFY, counted from 1; the first one has none while all is on-line (RFC 6665 4.2.1.2)."""

    async def came() -> bool:
        return len(watching.received("NOTIFY")) >= count

    await eventually(came, 10.0, f"NOTIFY {count}")
    request = watching.received("NOTIFY")[count - 1]
    assert request.headers["subscription-state"].startswith("active;expires=")
    kind = request.headers.get("content-type")
    assert kind == ("Application/MANSCDP+xml" if request.body else None)
    assert bool(request.body) == (count > 1)
    return request.body


async def every_change(it: Foreign, watching: Sipp) -> None:
    """Let a camera fail, work again, be renamed, go and come; each is notified before the next."""
    camera, device = it.recorder.channels[0], it.recorder
    renamed = replace(camera, name="西门球机")
    steps: list[tuple[str, Callable[[], None]]] = [
        ("OFF", lambda: device.set_channel_status(camera.channel_id, online=False)),
        ("ON", lambda: device.set_channel_status(camera.channel_id, online=True)),
        ("UPDATE", lambda: device.update_channel(renamed)),
        ("DEL", lambda: device.remove_channel(camera.channel_id)),
        ("ADD", lambda: device.add_channel(renamed)),
    ]
    for count, (event, change) in enumerate(steps, 1):
        change()
        body = read_xml(await notified(watching, 1 + count))
        assert body.tag == "Notify"
        assert (body.findtext("CmdType"), body.findtext("DeviceID")) == ("Catalog", MIDDLE)
        assert body.findtext("SumNum") == "1"
        (item,) = body.iterfind("DeviceList/Item")
        assert [child.tag for child in item][:2] == ["DeviceID", "Event"]
        assert (item.findtext("DeviceID"), item.findtext("Event")) == (camera.channel_id, event)
        if event in {"UPDATE", "ADD"}:
            assert item.findtext("Name") == "西门球机"
            assert item.findtext("ParentID", "").endswith(RECORDER)
        else:
            assert len(item) == 2


async def test_four_of_its_viewers_share_one_camera_and_ffprobe_sees_each_one_s_picture(
    tmp_path: Path,
) -> None:
    async with foreign(tmp_path, "UDP") as it:
        await it.register("UDP")
        async with asyncio.TaskGroup() as group:
            for number, transport in enumerate(("udp", "tcp_passive", "tcp_active", "late"), 17):
                group.create_task(watches(it, transport, f"03713{number:05d}"))
        assert it.recorder.invites_received == 1
        await it.idle()


async def watches(it: Foreign, transport: str, ssrc: str) -> None:
    """Watch the first camera, look at what the gateway stated and at what came."""
    folder = it.folder / transport
    await asyncio.to_thread(folder.mkdir)
    sink = await MediaSink("udp" if transport == "late" else transport).open()
    try:
        answer = await call(it, transport, ssrc, sink)
    finally:
        await sink.close()
    stated = dict(line.split("=", 1) for line in answer.splitlines() if line[0] in "cmy")
    kind = "RTP/AVP" if transport in {"udp", "late"} else "TCP/RTP/AVP"
    assert stated["m"].split(" ")[2] == kind
    assert (transport == "late") == (stated["y"] != ssrc)
    assert len(sink.packets) > 60
    streams = await probe_ps(ps_of(sink.packets, int(stated["y"])), folder)
    (video,) = (stream for stream in streams if "width" in stream)
    assert (video["codec_name"], video["width"], video["height"]) == ("h264", WIDTH, HEIGHT)
    assert int(str(video["nb_read_frames"])) >= 25


async def call(it: Foreign, transport: str, ssrc: str, sink: MediaSink) -> str:
    """One call of three seconds; returns the SDP of the 200."""
    role = {"tcp_passive": "passive", "tcp_active": "active"}.get(transport)
    calling = await it.run(
        "upper_live_late.xml" if transport == "late" else "upper_live.xml",
        *("-m", "1", "-d", "3000"),
        service=it.cameras[0],
        name=f"live-{transport}",
        media=str(sink.port),
        profile="RTP/AVP" if role is None else "TCP/RTP/AVP",
        role="a=streamnumber:0" if role is None else f"a=setup:{role}\r\na=connection:new",
        ssrc=ssrc,
    )
    try:
        answer = (await calling.until_answered("INVITE")).body.decode("ascii")
        if role is not None:
            assert f"a=setup:{'active' if role == 'passive' else 'passive'}\r\n" in answer
        if transport == "tcp_active":
            await sink.dial("127.0.0.1", int(answer.partition("m=video ")[2].partition(" ")[0]))
        await calling.finish()
    finally:
        await calling.stop()
    assert [m.status for m in calling.answers("BYE")] == [200]
    return answer


def frame(*data: int, lower: bool = False) -> str:
    """A PTZ command of bytes 3 to 7, with start, version and sum (protocol 4.3)."""
    body = bytes((0xA5, 0x0F, *data))
    text = (body + bytes((sum(body) % 256,))).hex()
    return text if lower else text.upper()


async def test_ptz_reaches_the_camera_two_levels_down_byte_for_byte(tmp_path: Path) -> None:
    sent = [
        frame(0x01, 0x0A, 0x1F, 0x30, 0x00),  # left and up, at speeds of their own
        frame(0x01, 0x05, 0xFF, 0x01, 0x00, lower=True),  # right and down
        frame(0x01, 0x10, 0x00, 0x00, 0xF0),  # zoom in, fastest
        frame(0x21, 0x20, 0x00, 0x00, 0x73),  # zoom out, of address 0x321
        frame(0x01, 0x44, 0x00, 0x80, 0x00),  # iris opens
        frame(0x01, 0x40, 0x00, 0x00, 0x00),  # lens stops
        frame(0x01, 0x81, 0x00, 0xFF, 0x00),  # preset 255 set
        frame(0x01, 0x82, 0x00, 0x01, 0x00),  # preset 1 called
        frame(0x01, 0x8C, 0x02, 0x00, 0x00),  # auxiliary 2 on
        frame(0x01, 0x00, 0x00, 0x00, 0x00),  # everything stops
    ]
    async with foreign(tmp_path, "UDP") as it:
        await it.register("UDP")
        camera = it.cameras[1]
        priority = "<Info><ControlPriority>5</ControlPriority></Info>"
        await it.ask(
            [
                ("Control", "DeviceControl", str(sn), camera, f"<PTZCmd>{text}</PTZCmd>{priority}")
                for sn, text in enumerate(sent, 1)
            ]
        )

        async def arrived() -> bool:
            return len(it.recorder.controls) >= len(sent)

        await eventually(arrived, 10.0, "the last command")
        controls = it.recorder.controls
        assert [control.frame for control in controls] == sent
        assert {control.channel_id for control in controls} == {camera}
        assert {control.control.control_priority for control in controls} == {5}
        # A motion has no answer by the standard; an unknown camera is refused where it is asked for.
        assert it.told("DeviceControl", "1") == []
