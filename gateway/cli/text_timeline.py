"""Sentences of timelines in Chinese, as far as their form is known; what is not known stays as it is.

The gateway keeps them in English. The console has the same forms in `components/device-said.js` and
`components/platform-words.js`; one list of sentences tests both.
"""

import re
from collections.abc import Callable, Iterable

from gateway.cli.text_codes import CODES_ZH
from gateway.http.words_zh import DENIED_ZH, FAILED_ZH, OTHER_ZH

__all__ = ["device_zh", "platform_zh"]

_AUTH = {
    "wrong password": "密码错误",
    "no password is set for this device": "没有为此设备设置密码",
    "malformed Authorization": "Authorization 头格式错误",
    "not Digest": "认证方式不是 Digest",
    "username is not the device id": "用户名不是设备编码",
    "wrong realm": "SIP 域 (realm) 不符",
    "algorithm was not offered": "使用了未提供的算法",
    "nonce has expired": "nonce 已过期",
    "nonce was not issued to this device": "nonce 不是发给此设备的",
    "nonce was used before": "nonce 已被使用过 (重放)",
    "REGISTER without Contact": "REGISTER 缺少 Contact",
}
_SUBSCRIBED = {"Catalog": "目录", "Alarm": "报警", "MobilePosition": "位置"}
_FATES = {"removed": "减少 {gone}: {list}", "missing": "应答不完整, 保留未出现的 {gone} 个: {list}"}


_WHY = {**OTHER_ZH, **FAILED_ZH, **DENIED_ZH}


def _reason(code: str) -> str:
    if refused := re.fullmatch(r"refused_(\d+)", code):
        return f"平台拒绝注册 ({refused[1]})"
    return CODES_ZH["reason"].get(code, code)


_VALUES: dict[str, Callable[[str], str]] = {
    "auth": lambda text: _AUTH.get(text, text),
    "bridge": lambda code: CODES_ZH["bridge"].get(code, code),
    "end": lambda code: CODES_ZH["end"].get(code, code),
    "offline": lambda code: CODES_ZH["trouble"].get(code, code),
    "reason": _reason,
    "stage": lambda code: CODES_ZH["stage"].get(code, code),
    "sub": lambda kind: _SUBSCRIBED.get(kind, kind),
    "total": lambda text: text if text.isdigit() else "?",
    "why": lambda code: _WHY.get(code, code),
    "way": {"ahead of": "快", "behind": "慢"}.__getitem__,
    "who": lambda text: "设备自身" if text == "the device itself" else text,
    "set": {"set": "已设置", "removed": "已取消"}.__getitem__,
    "values": lambda text: "全部恢复默认" if text == "all defaults" else text,
    "rest": lambda text: f": {text}" if text else "",
}
"""How what stands in the groups of these names is said."""

_Form = tuple[str, str, str]
_COUNTS = r"(?P<all>\d+) channels, (?P<new>\d+) new, (?P<changed>\d+) changed"
_COUNTS_ZH = "{all} 个通道, 新增 {new}, 变更 {changed}"
_REST = r"(?:: ?(?P<rest>.*))?"

_DEVICE: tuple[_Form, ...] = (
    ("session_ended", rf"(?P<channel>\S+): (?P<end>\w+) after (?P<stage>\w+){_REST}", "{channel} · {end} (到达阶段: {stage}){rest}"),
    ("offline", rf"(?P<offline>\w+){_REST}", "{offline}{rest}"),
    ("registered", r"from (?P<address>.+) for (?P<s>\d+) s", "来自 {address}, 有效期 {s} 秒"),
    ("refreshed", r"for (?P<s>\d+) s", "有效期 {s} 秒"),
    ("rebooted", r"for (?P<s>\d+) s", "有效期 {s} 秒"),
    ("catalog_synced", _COUNTS, _COUNTS_ZH),
    *(("catalog_shrunk", rf"{_COUNTS}, (?P<gone>\d+) {fate}[^:]*: (?P<list>.*)", f"{_COUNTS_ZH}, {words}") for fate, words in _FATES.items()),
    ("catalog_failed", r"received only (?P<n>\d+) of (?P<total>.+?) items.*", "只收到 {n} / {total} 项, 设备随后没有再发"),
    ("catalog_failed", r"received (?P<n>\d+) of (?P<total>.+?) items, too slowly.*", "只收到 {n} / {total} 项, 速度太慢, 不再等待"),
    ("catalog_failed", r"the device acknowledged the query.*", "设备应答了查询, 但没有发送目录"),
    ("catalog_failed", r"the device says that its catalogue is empty.*", "设备称目录为空"),
    ("catalog_failed", r"the device sent more than (?P<n>\d+) items.*", "设备发送的目录超过 {n} 项, 其余已丢弃"),
    ("catalog_failed", r"ended after (?P<n>\d+) items because the device went away.*", "收到 {n} 项后设备离线"),
    ("auth_failed", r"(?P<auth>.+) \(from (?P<address>[^()]+)\)", "{auth} (来自 {address})"),
    ("address_refused", r"(?P<old>.+?) -> (?P<new>.+?): only a REGISTER.*", "{old} → {new}: 只有重新注册才能改变设备地址"),
    ("address_changed", r"(?P<old>.+?) -> (?P<new>.+?)(?: \(\w+\))?", "{old} → {new}"),
    ("keepalive_missed", r"(?P<n>\d+) of (?P<m>\d+) in a row, one is due every (?P<s>\S+) s", "连续缺失 {n} 次 (允许 {m} 次), 应每 {s} 秒一次"),
    ("keepalive_fault", r"fault reported: (?P<who>.+)", "故障项: {who}"),
    ("subscription", r"(?P<sub>\w+) subscribed for (?P<s>\S+) s", "{sub}: 已订阅, 有效期 {s} 秒"),
    ("subscription", rf"(?P<sub>\w+) ended{_REST}", "{sub}: 订阅已结束{rest}"),
    ("subscription", rf"(?P<sub>\w+) failed, again in (?P<s>\d+) s{_REST}", "{sub}: 订阅失败, {s} 秒后重试{rest}"),
    ("subscription", rf"(?P<sub>\w+) not offered{_REST}", "{sub}: 设备不支持订阅{rest}"),
    ("settings_changed", r"secret (?P<set>set|removed)", "{set}专用密码"),
    ("settings_changed", r"settings: (?P<values>.*)", "设置: {values}"),
    ("source_changed", r"(?P<channel>\S+): a publisher came from (?P<host>.+)", "{channel}: 推流方 {host} 已连接"),
    ("source_changed", rf"(?P<channel>\S+): (?P<end>\w+){_REST}", "{channel}: {end}{rest}"),
)  # fmt: skip

_PLATFORM: tuple[_Form, ...] = (
    ("registered", r"At (?P<address>.+) for (?P<s>\d+) s", "地址 {address}, 有效期 {s} 秒"),
    *((kind, rf"(?P<reason>\w+){_REST}", "{reason}{rest}") for kind in ("offline", "register_failed")),
    ("queried", r"Catalog of (?P<root>\d+): (?P<n>\d+) items in (?P<m>\d+) messages", "目录 {root}: {n} 项, {m} 条消息"),
    ("subscribed", r"(?P<sub>\w+) of (?P<root>\d+) for (?P<s>\d+) s", "{sub}, {root}, 有效期 {s} 秒"),
    ("unsubscribed", rf"(?P<sub>\w+) of (?P<root>\w+){_REST}", "{root} 的{sub}{rest}"),
    ("changed", r"The configuration was changed", "配置已修改"),
    ("keepalive_missed", rf"(?P<n>\d+) of (?P<m>\d+){_REST}", "第 {n} 次 (共允许 {m} 次){rest}"),
    ("refused", r"(?P<code>\d+): not shared", "{code}: 未共享"),
    *((kind, r"(?P<what>.+): not supported", "{what}: 不支持") for kind in ("refused", "queried")),
    ("refused", r"(?P<what>.+): too many subscriptions", "{what}: 订阅过多"),
    ("refused", r"(?P<what>.+) left alone: (?P<n>\S+) a minute are answered", "{what}: 过于频繁, 每分钟只应答 {n} 次"),
    ("refused", r"(?P<what>.+) not answered: .*(?:under way|waiting)", "{what}: 同时进行的过多, 未应答"),
    ("refused", r"A body of (?P<n>\d+) bytes", "消息体 {n} 字节, 过大"),
    ("refused", rf"(?P<what>.+?): (?P<why>[a-z_]+){_REST}", "{what}: {why}{rest}"),
    ("message_failed", rf"Catalog of (?P<root>\w+), (?P<n>\d+) items: given up after (?P<m>\d+) messages{_REST}", "{root} 的目录共 {n} 项, 发出 {m} 条消息后放弃{rest}"),
    ("message_failed", rf"Catalogue changes{_REST}", "目录变更未能送达{rest}"),
    ("failed_over", r"(?P<old>.+?) -> (?P<new>.+)", "{old} → {new}"),
    ("remark", r"Sent on to (?P<to>.+)", "被转到 {to}"),
    ("remark", r"It grants (?P<said>\S+) s, taken as (?P<s>\S+) s", "平台给出 {said} 秒, 按 {s} 秒处理"),
    ("remark", r"Its clock is (?P<n>\S+) s (?P<way>ahead of|behind) ours", "平台时钟比本机{way} {n} 秒"),
    ("session_ended", rf"(?P<code>\S+): (?P<bridge>\w+){_REST}", "{code}: {bridge}{rest}"),
)  # fmt: skip


def device_zh(kind: str, detail: str) -> str:
    """Return what an entry of a device's timeline says, in Chinese."""
    return _said(_DEVICE, kind, detail)


def platform_zh(kind: str, detail: str) -> str:
    """Return what an entry of the timeline of a link to an upper platform says, in Chinese."""
    return _said(_PLATFORM, kind, detail)


def _said(forms: Iterable[_Form], kind: str, detail: str) -> str:
    for form, pattern, words in forms:
        if form == kind and (found := re.fullmatch(pattern, detail, re.DOTALL)):
            return words.format(
                **{
                    name: _VALUES.get(name, str)(value or "")
                    for name, value in found.groupdict().items()
                }
            )
    return detail
