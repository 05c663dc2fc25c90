"""What is wrong about a configuration is told in Chinese, with everything that was said in English."""

import re
from pathlib import Path

import pytest

from gateway.cli.text_config import config_zh
from gateway.config.model import ConfigError, load_settings

WRONG = """\
tracing = true
[sipp]
id = "x"
[sip]
id = "123"
prot = 5060
port = "x"
password = 5
tcp = "perhaps"
host = "nowhere.example"
advertise = "a b"
algorithms = []
keepalive_misses = 0
[http]
host = 5
port = 99999
admin_token = "short"
public_url = "video.example"
cors_origins = 7
trusted_proxies = ["proxy.example", "0.0.0.0/0"]
[rtp]
port_range = "9-7"
[store]
url = "mysql://db"
group_commit = "soon"
[media]
transport = "carrier pigeon"
invite_timeout = 0
[log]
level = "loud"
sections = 1
"""


def problems(text: str, tmp_path: Path) -> list[str]:
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    return caught.value.problems


def test_everything_that_can_be_wrong_is_told_in_chinese(tmp_path: Path) -> None:
    found = problems(WRONG, tmp_path)
    assert len(found) >= 20
    for sentence in found:
        chinese = config_zh(sentence)
        told = chinese.partition(": ")[2]
        assert re.search(r"[\u4e00-\u9fff]", told), sentence
        assert not re.search(r"\b(expected|got|not|which|such as|characters)\b", chinese), chinese
        # What was wrong, and where, is said in both.
        line = re.search(r"line (\d+)", sentence)
        assert line is None or f"第 {line[1]} 行" in chinese
        for named in re.findall(r"\[\w+\] (?!is\b)\w+|'[^']*'", sentence):
            assert named in chinese


@pytest.mark.parametrize(
    ("sentence", "chinese"),
    [
        (
            "g.toml, line 2: [sip] prot is not an option; did you mean port?",
            "g.toml 第 2 行: 没有 [sip] prot 这个选项; 是不是 port?",
        ),
        (
            "nope.toml: cannot be read: No such file or directory",
            "nope.toml: 无法读取: 没有这个文件",
        ),
        (
            "environment GATEWAY__SIP__ID: [sip] id: expected 20 digits, got 3 characters: '123'",
            "环境变量 GATEWAY__SIP__ID: [sip] id: 应为20 位数字, 实际为 3 个字符: '123'",
        ),
        ("of a form that is new", "of a form that is new"),
    ],
)
def test_a_sentence_becomes_chinese(sentence: str, chinese: str) -> None:
    assert config_zh(sentence) == chinese
