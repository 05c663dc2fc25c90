"""Sentences about a configuration that cannot be used, in Chinese; what is not known stays as it is."""

import re
from collections.abc import Callable

__all__ = ["config_zh"]

_EXPECTED = (
    (r"a whole number", "整数"),
    (r"a number", "数字"),
    (r"true or false", "true 或 false"),
    (r"text in quotes", "加引号的文本"),
    (r"a list", "列表"),
    (r"a section with keys", "含有选项的一节"),
    (r"more than (\S+)", r"大于 \1"),
    (r"at least one algorithm, each once", "至少一种算法, 不重复"),
    (r"at least four ports from 1024 to 65535 such as (\S+)", r"1024 至 65535 中至少四个端口, 例如 \1"),
    (r"at least (\d+) characters", r"至少 \1 个字符"),
    (r"at least (\S+)", r"不小于 \1"),
    (r"at most (\S+)", r"不大于 \1"),
    (r"one of (.+)", r"其中之一: \1"),
    (r"20 digits", "20 位数字"),
    (r"addresses or networks such as (\S+) or (\S+)", r"地址或网段, 例如 \1 或 \2"),
    (r"an IP address such as (\S+?)(?: or (\S+))?", r"IP 地址, 例如 \1"),
    (r"HOST or HOST:PORT", "主机 或 主机:端口"),
    (r"a URL that begins with (\S+) or (\S+)", r"以 \1 或 \2 开头的地址"),
    (r"the addresses of your proxies", "反向代理自己的地址"),
    (r"two ports from 1024 to 65535 such as (\S+)", r"1024 至 65535 的两个端口, 例如 \1"),
    (r"a file, as in (\S+)", r"文件, 例如 \1"),
    (r"(\S+) or (\S+)", r"\1 或 \2"),
)  # fmt: skip
_OS = {
    "No such file or directory": "没有这个文件",
    "Permission denied": "没有权限",
    "Is a directory": "这是一个目录",
}


def _expected(text: str) -> str:
    for pattern, words in _EXPECTED:
        if found := re.fullmatch(pattern, text):
            return found.expand(words)
    return text


def _got(text: str) -> str:
    text = text.replace(" characters: ", " 个字符: ").replace("(not shown)", "(不显示)")
    text = text.replace("a database in memory", "内存数据库")
    return re.sub(r", which lets everybody make up an address$", " (等于任何人都能伪造地址)", text)


def _hint(found: str) -> str:
    found = re.sub(r"; did you mean (\S+)\?", r"; 是不是 \1?", found)
    return re.sub(
        r"; it belongs into (.+)$", lambda m: f"; 它属于 {m[1].replace(' or ', ' 或 ')}", found
    )


_FORMS: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"cannot be read: (.+)", lambda m: f"无法读取: {_OS.get(m[1], m[1])}"),
    (r"expected UTF-8 text, byte (\d+) is not", lambda m: f"应为 UTF-8 文本, 第 {m[1]} 字节不是"),
    (r"not valid TOML: (.+)", lambda m: f"不是有效的 TOML: {m[1]}"),
    (r"section (\[\S+\]) is not known(.*)", lambda m: f"没有 {m[1]} 这一节{_hint(m[2])}"),
    (r"(\S+) is not known(.*)", lambda m: f"没有 {m[1]} 这个选项{_hint(m[2])}"),
    (r"(\[\S+\] \S+) is not an option(.*)", lambda m: f"没有 {m[1]} 这个选项{_hint(m[2])}"),
    (
        r"(.+?): expected (.+?), got (.+)",
        lambda m: f"{m[1]}: 应为{_expected(m[2])}, 实际为 {_got(m[3])}",
    ),
    (r"(.+?): expected (.+)", lambda m: f"{m[1]}: 应为{_expected(m[2])}"),
)


def config_zh(problem: str) -> str:
    """Return a sentence of :class:`gateway.config.source.ConfigError` in Chinese."""
    place, _, rest = problem.partition(": ")
    place = re.sub(r", line (\d+)$", r" 第 \1 行", place)
    place = re.sub(r"^environment (\S+)$", r"环境变量 \1", place)
    place = "默认值" if place == "defaults" else place
    for pattern, words in _FORMS:
        if found := re.fullmatch(pattern, rest, re.DOTALL):
            return f"{place}: {words(found)}"
    return problem
