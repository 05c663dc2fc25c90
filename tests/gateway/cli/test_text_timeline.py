"""What happened, in Chinese on the command line: the sentences for which the console has words."""

import re

import pytest

from gateway.cli import text_timeline
from gateway.cli.text import Say
from gateway.cli.text_timeline import device_zh, platform_zh
from gb28181.sip.digest import DigestResult
from tests.support.timeline_sentences import PLATFORM_SENTENCES, device_sentences

WELL_KNOWN = r"\d+(?:\.\d+)*(?::\d+)?|UDP|TCP|SUBSCRIBE|SIP|DeviceControl"


def kept_apart(said: str) -> str:
    """Without what is technical and follows a colon, which the console folds."""
    return re.sub(WELL_KNOWN, "", said.split(": ", maxsplit=1)[0])


@pytest.mark.parametrize(("kind", "detail"), device_sentences())
def test_a_device_s_timeline_speaks_chinese(kind: str, detail: str) -> None:
    said = device_zh(str(kind), detail)
    assert re.search(r"[\u4e00-\u9fff]|→", said), said
    assert not re.search(r"\b[a-z]{3,} [a-z]{2,}\b", kept_apart(said)), said
    assert Say("en").device_event(str(kind), detail) == detail


@pytest.mark.parametrize(("kind", "detail"), PLATFORM_SENTENCES)
def test_a_platform_s_timeline_speaks_chinese(kind: str, detail: str) -> None:
    said = platform_zh(kind, detail)
    assert re.search(r"[\u4e00-\u9fff]|→", said), said
    assert not re.search(r"\b[a-z]{3,} [a-z]{2,}\b", kept_apart(said)), said


def test_every_failure_to_authenticate_has_words() -> None:
    refused = {result.value for result in DigestResult if result is not DigestResult.OK}
    assert refused - set(text_timeline._AUTH) == set()


def test_values_are_taken_over_and_technical_words_follow() -> None:
    ended = "34020000001320000001: no_packet after answered: no RTP came"
    assert device_zh("session_ended", ended) == (
        "34020000001320000001 · 没有收到媒体 (到达阶段: 设备应答): no RTP came"
    )
    assert device_zh("offline", "logged_out") == "设备注销"
    assert device_zh("keepalive_missed", "2 of 3 in a row, one is due every 60 s") == (
        "连续缺失 2 次 (允许 3 次), 应每 60 秒一次"
    )
    assert platform_zh("register_failed", "refused_403: 403 Forbidden") == (
        "平台拒绝注册 (403): 403 Forbidden"
    )


@pytest.mark.parametrize(
    "detail", ["", "{rest}", "new words {0} nobody knows", "a -> b -> c\nfor 3 s", "x" * 5_000]
)
@pytest.mark.parametrize("kind", ["registered", "catalog_failed", "remark", "unheard_of"])
def test_what_is_not_known_stays_as_it_is(kind: str, detail: str) -> None:
    assert device_zh(kind, detail) == detail
    assert platform_zh(kind, detail) == detail
