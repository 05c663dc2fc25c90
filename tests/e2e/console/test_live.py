"""The console's wall in Debian's Chromium: moving pictures by each way, sound, snapshots, and reasons in words."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator.quirk import Quirk
from gb28181.es.unit import Codec
from tests.support.browser import Browser
from tests.support.console_wall import PASSWORD, Looker, picture_site

pytestmark = [pytest.mark.net, pytest.mark.timeout(110)]


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height in a JPEG's frame header (ITU-T T.81 B.2.2)."""
    assert data[:2] == b"\xff\xd8"
    at = 2
    while True:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in {0xC0, 0xC1, 0xC2}:
            height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        at += 2 + length


async def moving(looker: Looker, way: str, cells: str) -> list[dict[str, Any]]:
    """Four pictures by one way, once all of them have moved."""
    await looker.go(f"live?n=4&way={way}&c={cells}")
    tiles = await looker.playing(4)
    first = await looker.sums()
    assert [len(sums) for sums in first] == [48] * 4
    await looker.until_script(
        "times => [...document.querySelectorAll('gb-video')]"
        ".every((tile, at) => tile.video?.currentTime > times[at] + 1)",
        "a second of pictures",
        [tile["time"] for tile in tiles],
    )
    for before, after in zip(first, await looker.sums(), strict=True):
        assert sum(a != b for a, b in zip(before, after, strict=True)) >= 3, "it stands still"
        assert len(set(after)) > 8, "it is one colour"
    return tiles


@pytest.mark.parametrize("way", ["whep", "ws"])
async def test_four_channels_play_with_moving_pixels_and_sound(
    tmp_path: Path, browser: Browser, way: str
) -> None:
    async def look(looker: Looker) -> list[dict[str, Any]]:
        tiles = await moving(looker, way, site.cells(0, 1, 2, 3))
        await looker.page.click("[data-place='0'] [data-act=sound]")
        await looker.until_script(
            "() => document.querySelector('gb-video').level > 0.1", "the level of the sound"
        )
        shown = await looker.page.get_attribute("[data-place='0'] .gbv-level", "aria-valuenow")
        assert shown is not None
        assert int(shown) > 0
        assert (await looker.tiles())[1]["level"] == 0, "only one is heard"
        return tiles

    async with picture_site(tmp_path) as site:
        tiles = await site.look(browser, look)
    assert [tile["way"] for tile in tiles] == [way] * 4
    assert {(tile["width"], tile["height"]) for tile in tiles} == {(160, 120)}


async def test_four_channels_play_by_the_browser_s_own_hls(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> list[dict[str, Any]]:
        return await moving(looker, "hls", site.cells(0, 1, 2, 3))

    async with picture_site(tmp_path) as site:
        tiles = await site.look(browser, look)
    assert [tile["way"] for tile in tiles] == ["hls"] * 4


async def test_automatic_choice_begins_with_webrtc_and_falls_back_where_udp_is_blocked(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> dict[str, Any]:
        # What a firewall does to UDP: the answer's candidates lead nowhere.
        await looker.page.add_init_script(
            "const set = RTCPeerConnection.prototype.setRemoteDescription;"
            "RTCPeerConnection.prototype.setRemoteDescription = function (answer) {"
            "  const sdp = answer.sdp.replace(/^(a=candidate:.* udp \\d+ )\\S+ \\d+/gm, '$1127.0.0.1 9');"
            "  return set.call(this, {type: answer.type, sdp});"
            "};"
        )
        await looker.go(f"live?n=1&c={site.cells(0)}")
        trying = await looker.until_script(
            "() => document.querySelector('gb-video')?.state.way?.path", "the first way"
        )
        return (await looker.playing(1))[0] | {"first": trying}

    async with picture_site(tmp_path, channels=1) as site:
        tile = await site.look(browser, look)
    assert (tile["first"], tile["way"]) == ("whep", "ws")


async def test_a_snapshot_is_a_jpeg_of_the_picture_named_by_channel_and_time(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> tuple[str, bytes]:
        await looker.go(f"live?n=1&way=ws&c={site.cells(0)}")
        await looker.playing(1)
        async with looker.page.expect_download() as download:
            await looker.page.keyboard.press("s")
        found = await download.value
        path = await found.path()
        return found.suggested_filename, await asyncio.to_thread(path.read_bytes)

    async with picture_site(tmp_path, channels=1) as site:
        name, data = await site.look(browser, look)
    assert jpeg_size(data) == (160, 120)
    label, _, time = name.removesuffix(".jpg").rpartition("_")
    assert label == "北门摄像机1"
    assert len(time) == len("20261121-230509")
    assert name.endswith(".jpg")


async def test_h265_is_refused_in_words_with_the_ways_that_were_tried(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> dict[str, Any]:
        await looker.go(f"live?n=1&c={site.cells(0)}")
        tile = await looker.in_phase("failed")
        tried = await looker.page.evaluate(
            "() => document.querySelector('.gbv-attempts').textContent"
        )
        return tile | {"tried": tried}

    async with picture_site(tmp_path, channels=1, video=Codec.HEVC) as site:
        tile = await site.look(browser, look, expect_trouble=True)
    assert tile["code"] == "browser_codec"
    assert "Codec not supported by this browser (H.265" in tile["text"]
    assert "WHEP: WebRTC does not carry this codec" in tile["tried"]
    assert "WS-fMP4: Codec not supported by this browser" in tile["tried"]
    assert not tile["still"]


async def test_a_camera_that_sends_nothing_shows_the_stage_it_did_not_reach(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> tuple[dict[str, Any], list[str]]:
        await looker.go(f"live?n=1&c={site.cells(0)}")
        tile = await looker.in_phase("failed")
        await looker.until_script("() => document.querySelector('.stage-failed')", "the diagram")
        names = await looker.page.eval_on_selector_all(
            "gb-video .stage", "all => all.map(stage => stage.title)"
        )
        return tile, names

    async with picture_site(tmp_path, channels=1, quirks=frozenset({Quirk.SEND_NOTHING})) as site:
        tile, names = await site.look(browser, look, expect_trouble=True)
    assert tile["code"] == "no_packet"
    assert "The device agreed but sent no media" in tile["text"]
    assert "Since" in tile["text"]
    assert "Next try in" in tile["text"]
    assert "First packet: not reached" in names
    assert any(name.startswith("Device answered: ") for name in names)


async def test_a_lost_camera_leaves_its_last_picture_and_comes_back_by_itself(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> tuple[dict[str, Any], dict[str, Any]]:
        await looker.go(f"live?n=1&way=ws&c={site.cells(0)}")
        await looker.playing(1)
        lost = await looker.in_phase("lost")
        return lost, await looker.in_phase("playing")

    async with picture_site(
        tmp_path, channels=1, quirks=frozenset({Quirk.BYE_MIDSTREAM}), bye_after=3.0
    ) as site:
        lost, back = await site.look(browser, look, expect_trouble=True)
    assert lost["code"] == "device_bye"
    assert "Picture lost" in lost["text"]
    assert "The device hung up" in lost["text"]
    assert lost["still"], "the last picture is gone"
    assert back["phase"] == "playing"


WORDS = {
    "en": ("Stopped by order", "Denied by policy", "Not retried by itself", "Play again"),
    "zh": ("强制停止", "策略禁止", "不会自动重试", "重新播放"),
}


@pytest.mark.parametrize(("language", "way"), [("zh", "whep"), ("en", "ws")])
async def test_a_forced_stop_and_a_denial_are_shown_in_the_reader_s_language(
    tmp_path: Path, browser: Browser, language: str, way: str
) -> None:
    stopped, denied, no_retry, again = WORDS[language]

    async def look(looker: Looker) -> tuple[dict[str, Any], dict[str, Any]]:
        await looker.go(f"live?n=4&way={way}&c={site.cells(0, 1)}")
        await looker.in_phase("playing")
        refused = await looker.in_phase("failed", 1)
        await looker.at_gateway(order_stop())
        return await looker.in_phase("lost"), refused

    async def order_stop() -> None:
        body = {
            "subject": {"any": True},
            "objects": {"channels": [site.channels[0]]},
            "reason": "x",
        }
        status, answer = await site.it.api.call("POST", "stops", json=body)
        assert (status, answer["ended"]) == (201, 1)

    async with picture_site(tmp_path, channels=2) as site:
        rule = (
            '[[rule]]\nid = "closed"\neffect = "deny"\nsubjects = { any = true }\n'
            f'objects = {{ channels = ["{site.channels[1]}"] }}\nactions = ["live"]\n'
        )
        status, answer = await site.it.api.call(
            "PUT", "policy", json={"text": f"version = 1\n{rule}"}
        )
        assert status == 200, answer
        ended, refused = await site.look(browser, look, language=language, expect_trouble=True)
    assert ended["code"] == "forced_stop"
    assert stopped in ended["text"]
    assert no_retry in ended["text"]
    assert again in ended["text"]
    assert ended["still"], "the last picture is gone"
    assert refused["code"] == "denied"
    assert denied in refused["text"]
    assert not refused["still"]


async def test_a_purpose_that_is_demanded_is_asked_for_in_the_tile_and_goes_on_record(
    tmp_path: Path, browser: Browser
) -> None:
    async def look(looker: Looker) -> None:
        await looker.go(f"live?n=1&way=ws&c={site.cells(0)}")
        await looker.until_script(
            "() => document.querySelector('[data-code=purpose_required] form')", "the question"
        )
        await looker.page.fill("gb-video input[name=purpose]", "寻找走失儿童")
        await looker.page.click("gb-video form button")
        await looker.playing(1)
        # Recordings ask by themselves; what was said before is offered, not taken.
        await looker.go(f"recordings?c={site.cells(0)}")
        await looker.page.wait_for_selector("[data-code=purpose_required] form")
        assert await looker.page.input_value("input[name=purpose]") == "寻找走失儿童"
        await looker.page.click(".recs-question form button")
        await looker.page.wait_for_selector(".recs-title:has-text('Nothing on this day')")

    async with picture_site(tmp_path, channels=1) as site:
        rule = (
            '[[rule]]\nid = "urban"\neffect = "allow"\nsubjects = { departments = ["urban"] }\n'
            'objects = { kinds = ["camera"] }\nactions = ["catalog", "live", "playback"]\n'
            "[rule.context]\npurpose_required = true\n"
        )
        for method, path, body in (
            ("PUT", "departments/urban", {"name": "城管局"}),
            ("PUT", "policy", {"text": f"version = 1\n{rule}"}),
            (
                "POST",
                "users",
                {
                    "name": "wang",
                    "password": PASSWORD,
                    "role": "operator",
                    "department": "urban",
                },
            ),
        ):
            status, answer = await site.it.api.call(method, path, json=body)
            assert status in {200, 201}, answer
        await site.look(browser, look, name="wang", expect_trouble=True)
        found = await site.it.api.get("audit?limit=50")
    actions = {item["action"] for item in found["items"] if item["purpose"] == "寻找走失儿童"}
    assert {"live", "playback"} <= actions
