"""Errors come in the reader's language."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.http.problem import _DENIED, _FAILED
from gateway.http.words_zh import DENIED_ZH, FAILED_ZH, OTHER_ZH
from tests.support.http import CHANNEL, DEVICE, HttpBench, http_bench

pytestmark = pytest.mark.net

CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
_RAISED = (
    r"\b(?:ApiError\(\s*\d+,|(?:Invalid|NotFound|Conflict|Unavailable|Forbidden|Gone|unauthorized)\()"
    r'\s*"([a-z0-9_]+)"'
)
AT_START = {
    "data_dir_not_writable",
    "http_not_listening",
    "rtmp_not_listening",
    "rtsp_port_taken",
    "sip_certificate_unusable",
    "sip_port_taken",
    "store_newer",
}
"""Said by the command that starts the gateway, never over HTTP."""
ROOT = Path(__file__).parents[3] / "gateway"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HttpBench]:
    async with http_bench(tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("zh", "zh"),
        ("zh-TW", "zh"),
        ("ZH-cn;q=0.5", "zh"),
        ("en,zh;q=0.9", "en"),
        ("zh;q=0.9,en-GB", "en"),
        ("fr,zh;q=0.3,de", "zh"),
        ("zh;q=0", "en"),
        ("zh;q=abc", "en"),
        ("zh;q=", "en"),
        ("*", "en"),
        (";;;,,,zh", "zh"),
        (",".join(["xx"] * 500) + ",zh", "en"),
    ],
)
async def test_the_language_is_the_one_the_reader_likes_best(
    bench: HttpBench, wanted: str | None, language: str
) -> None:
    headers = {} if wanted is None else {"Accept-Language": wanted}
    _, body, answer = await bench.call("GET", "/api/v1/devices/x", token=None, headers=headers)
    assert answer.headers["Content-Language"] == language
    assert body["code"] == "credential_missing"
    assert body["detail"].isascii() == (language == "en")


async def test_what_only_the_english_sentence_says_is_not_lost(bench: HttpBench) -> None:
    _, body, _ = await bench.call("GET", "/api/v1/devices/34020000001320009999", headers=CHINESE)
    assert body["detail"] == "没有此设备"
    assert "34020000001320009999" in body["detail_en"]


async def test_people_outside_are_told_no_more_in_chinese_than_in_english(
    bench: HttpBench,
) -> None:
    key = await bench.sharing.key("urban")
    await bench.sharing.apply(
        '[[rule]]\nid = "see"\neffect = "allow"\nsubjects = {departments = ["urban"]}\n'
        'actions = ["catalog"]'
    )
    path = f"/api/v1/channels/{DEVICE}/{CHANNEL}/play"
    _, body, _ = await bench.call("POST", path, token=key.bearer, headers=CHINESE)
    assert (body["detail"], body["detail_en"]) == ("没有向您共享此内容", _DENIED["no_rule"])
    assert "rule" not in body


async def test_what_was_wrong_about_a_field_stays_beside_the_chinese_words(
    bench: HttpBench,
) -> None:
    _, english, _ = await bench.call("GET", "/api/v1/channels?limit=x")
    _, body, answer = await bench.call("GET", "/api/v1/channels?limit=x", headers=CHINESE)
    assert (body["code"], body["detail"]) == ("invalid_parameter", "请求参数不正确")
    assert answer.headers["Content-Language"] == "zh"
    assert body["detail_en"] == english["detail"]
    assert body.get("errors") == english.get("errors")


def test_every_code_the_gateway_raises_has_chinese_words() -> None:
    sources = [
        path
        for path in ROOT.rglob("*.py")
        if path.relative_to(ROOT).parts[0] not in {"cli", "simulator", "config"}
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    raised = set(re.findall(_RAISED, text))
    assert len(raised) > 150
    assert raised - set(DENIED_ZH) - set(FAILED_ZH) - set(OTHER_ZH) == AT_START


def test_everything_people_outside_are_told_has_chinese_words() -> None:
    assert set(_DENIED) <= set(DENIED_ZH)
    assert set(_FAILED) <= set(FAILED_ZH)


def test_every_code_with_chinese_words_is_one_the_gateway_gives() -> None:
    text = "\n".join(path.read_text() for path in ROOT.rglob("*.py") if path.name != "words_zh.py")
    given = set(re.findall(r'"([a-z0-9_]+)"', text))
    assert set(DENIED_ZH) | set(FAILED_ZH) | set(OTHER_ZH) <= given


def test_chinese_words_are_chinese() -> None:
    for table in (DENIED_ZH, FAILED_ZH, OTHER_ZH):
        for code, words in table.items():
            assert re.search(r"[\u4e00-\u9fff]", words), code
