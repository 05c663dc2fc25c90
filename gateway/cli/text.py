"""What the command line says, in Chinese and English."""

import os
from collections.abc import Mapping
from typing import Literal

from gateway.cli.text_codes import CODES_ZH
from gateway.cli.text_config import config_zh
from gateway.cli.text_county import COUNTY_TEXT
from gateway.cli.text_push import PUSH_TEXT
from gateway.cli.text_record import RECORD_TEXT
from gateway.cli.text_sharing import SHARING_TEXT
from gateway.cli.text_snapshot import SNAPSHOT_TEXT
from gateway.cli.text_sources import SOURCE_TEXT
from gateway.cli.text_start import START_TEXT
from gateway.cli.text_timeline import device_zh, platform_zh
from gateway.cli.text_users import USERS_TEXT

__all__ = ["LANGUAGES", "TEXT", "Language", "Say", "language_of"]

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")

_Catalog = Mapping[str, tuple[str, str]]

_TROUBLE: _Catalog = {
    "no_gateway": (
        "连接不上网关 {url}: {why}。网关在运行吗? (gateway serve)",
        "No gateway answers at {url}: {why}. Is it running? (gateway serve)",
    ),
    "no_token": (
        "没有令牌: {path} 读不到 ({why})。请用 --token / GATEWAY_TOKEN, 或用 --data-dir / --config 指明数据目录",
        "No token: {path} cannot be read ({why}). Use --token / GATEWAY_TOKEN, or --data-dir / --config",
    ),
    "refused": ("网关拒绝: {detail} [{code}]", "The gateway refused: {detail} [{code}]"),
    "silent": ("网关 {seconds:g} 秒没有应答", "The gateway did not answer within {seconds:g} s"),
    "not_api": (
        "{url} 的应答不是本网关的 API (HTTP {status})",
        "What answers at {url} is not this gateway's API (HTTP {status})",
    ),
    "bad_config": ("配置有误:", "The configuration cannot be used:"),
    "interrupted": ("已中断", "Interrupted"),
}

_SHOWN: _Catalog = {
    "state_ok": ("正常", "OK"),
    "state_warning": ("有需要注意的问题", "needs attention"),
    "state_error": ("故障", "FAILING"),
    "gateway": ("网关", "Gateway"),
    "up": ("已运行", "up"),
    "listens": ("SIP 监听", "SIP"),
    "devices": ("设备", "Devices"),
    "channels": ("通道", "Channels"),
    "sessions": ("会话", "Sessions"),
    "streams": ("流", "Streams"),
    "viewers": ("观看者", "Viewers"),
    "ports": ("RTP 端口对", "RTP port pairs"),
    "store": ("存储", "Store"),
    "online_of": ("{online} 在线 / 共 {total}", "{online} online of {total}"),
    "sessions_of": (
        "{running} 运行中, {starting} 启动中, 近一小时失败 {failed}",
        "{running} running, {starting} starting, {failed} failed in the last hour",
    ),
    "ports_of": (
        "{leased} 使用, {draining} 释放中 / 共 {total}",
        "{leased} in use, {draining} resting, of {total}",
    ),
    "store_ok": ("正常, {pending} 条待写", "ok, {pending} writes waiting"),
    "store_bad": ("故障: {detail}", "FAILING: {detail}"),
    "wrong_now": ("需要处理", "What is wrong"),
    "nothing_wrong": ("没有发现问题", "Nothing is wrong"),
    "what": ("问题", "What"),
    "subject": ("对象", "Who"),
    "since": ("自", "Since"),
    "count": ("次数", "Count"),
    "detail": ("说明", "Detail"),
    "page_of": ("显示 {shown} / 共 {total}", "{shown} of {total} shown"),
    "ago": ("{time} ({span} 前)", "{time} ({span} ago)"),
    "never": ("从未", "never"),
    "online": ("在线", "online"),
    "offline": ("离线", "offline"),
    "id": ("编码", "ID"),
    "name": ("名称", "Name"),
    "state": ("状态", "State"),
    "address": ("地址", "Address"),
    "keepalive": ("最近心跳", "Last keepalive"),
    "kind": ("类型", "Kind"),
    "device": ("设备", "Device"),
    "channel": ("通道", "Channel"),
    "maker": ("厂商 / 型号", "Maker / model"),
    "when": ("时间", "When"),
    "event": ("事件", "Event"),
    "timeline": ("时间线", "Timeline"),
    "stage": ("阶段", "Stage"),
    "seconds": ("秒", "Seconds"),
    "reason": ("原因", "Reason"),
    "video": ("视频", "Video"),
    "audio": ("音频", "Audio"),
    "rate": ("码率", "Bitrate"),
    "lost": ("丢包", "Lost"),
    "source": ("来源", "Source"),
    "session": ("会话", "Session"),
    "registered": ("注册", "Registered"),
    "settings": ("设置", "Settings"),
    "transport": ("传输", "Transport"),
    "expires": ("有效至", "Valid until"),
}

_EMPTY: _Catalog = {
    "no_devices": (
        """还没有设备注册。在摄像机里填写 SIP 服务器地址 (本机, [sip] port)、SIP 服务器 ID ([sip] id) 和密码。
用 gateway doctor 检查端口和地址""",
        """No device has registered yet. Enter in the camera: SIP server address (this machine, [sip] port),
SIP server ID ([sip] id) and password. Check ports and address with gateway doctor""",
    ),
    "no_match": ("没有符合条件的条目", "Nothing matches"),
    "no_channels": (
        "还没有通道。设备注册后会自动同步目录; 进度见 gateway devices 设备编码",
        "No channels yet. A device's catalogue is fetched when it registers; see gateway devices DEVICE",
    ),
    "no_streams": (
        "没有正在拉取的流。用 gateway play 设备 通道 开始, 或打开流地址",
        "No stream runs. Start one with gateway play DEVICE CHANNEL, or open a stream URL",
    ),
    "no_sessions": (
        "自网关启动以来没有会话",
        "No session since the gateway started",
    ),
    "no_timeline": ("时间线为空", "The timeline is empty"),
}

_PLAY: _Catalog = {
    "playing": ("已开始播放 {stream}", "Playing {stream}"),
    "valid_until": (
        "地址有效至 {time}; 无人观看时网关会停止拉流",
        "The URLs let viewers connect until {time}; the stream stops when nobody watches",
    ),
    "play_failed": ("播放失败: {detail} [{code}]", "No stream: {detail} [{code}]"),
    "which_channel": (
        "设备 {device} 有 {total} 个通道, 请指明一个:",
        "Device {device} has {total} channels; name one:",
    ),
    "nothing_to_play": (
        "设备 {device} 没有通道; 先同步目录",
        "Device {device} has no channels; sync its catalogue first",
    ),
    "failed_stage": ("未到达的阶段: {stage}", "The stage not reached: {stage}"),
    "observed": ("观察到:", "Observed:"),
    "causes": ("可能的原因和处理办法:", "Likely causes and what to do:"),
    "try_player": ("测试页: {url}", "Test page: {url}"),
}

_SERVE: _Catalog = {
    "first_token": (
        "首次启动, 管理令牌 (只显示这一次, 请保存):",
        "First start. The admin token (shown only this once, keep it):",
    ),
    "first_account": (
        "在浏览器中打开 {url}, 用此令牌创建第一个管理员账号",
        "Open {url} in a browser and make the first admin's account with it",
    ),
    "config_ok": ("配置可用", "The configuration is fine"),
    "config_bad": ("配置有 {count} 处错误:", "The configuration has {count} problems:"),
    "sim_started": (
        "模拟 {devices} 台设备, 每台 {channels} 个通道, 向 {server} 注册; Ctrl-C 结束",
        "Simulating {devices} devices with {channels} channels each, registering at {server}; Ctrl-C ends it",
    ),
}

_DEMO: _Catalog = {
    "demo_start": ("启动网关和模拟录像机", "Starting a gateway and a simulated recorder"),
    "demo_gateway": ("网关已启动: HTTP {http}, SIP {sip}", "Gateway up: HTTP {http}, SIP {sip}"),
    "demo_console": (
        "网页控制台: {url} (首次设置用管理令牌 {token})",
        "Console: {url} (set it up with the admin token {token})",
    ),
    "demo_online": ("设备 {device} 已注册上线", "Device {device} registered and is online"),
    "demo_channels": ("目录已同步: {count} 个通道", "Catalogue synchronised: {count} channels"),
    "demo_play": ("请求播放 {stream}", "Asking for {stream}"),
    "demo_stage": ("阶段 {stage}: {ms} 毫秒", "stage {stage}: {ms} ms"),
    "demo_urls": ("流地址", "Stream URLs"),
    "demo_decoded": (
        "{format}: {codec} {size}, {fps} 帧/秒, 音频 {audio}, 解码 {frames} 帧, 首帧 {ms} 毫秒",
        "{format}: {codec} {size}, {fps} fps, audio {audio}, {frames} frames decoded, first picture after {ms} ms",
    ),
    "demo_not_decoded": ("{format}: 没有解码出画面: {why}", "{format}: no picture decoded: {why}"),
    "demo_ok": ("结论: 成功, 画面已解码", "Verdict: it works, frames were decoded"),
    "demo_bad": ("结论: 失败, {why}", "Verdict: it failed, {why}"),
    "demo_running": (
        "继续运行 {seconds:g} 秒 (Ctrl-C 结束)",
        "Running on for {seconds:g} s (Ctrl-C ends it)",
    ),
    "demo_stats": (
        "{left:>4} 秒  {rate:.0f} kbit/s  {frames} 帧  丢包 {lost}  观看者 {viewers}  已解码 {decoded}",
        "{left:>4} s  {rate:.0f} kbit/s  {frames} frames  lost {lost}  viewers {viewers}  decoded {decoded}",
    ),
    "demo_wait_device": ("设备没有上线", "the device did not come online"),
    "demo_wait_channels": ("没有收到目录", "no catalogue arrived"),
    "demo_too_few": ("解码的帧太少: {counts}", "too few frames were decoded: {counts}"),
    "demo_none": ("无", "none"),
}

TEXT: _Catalog = {
    **_TROUBLE,
    **_SHOWN,
    **_EMPTY,
    **_PLAY,
    **_SERVE,
    **_DEMO,
    **SHARING_TEXT,
    **PUSH_TEXT,
    **RECORD_TEXT,
    **SNAPSHOT_TEXT,
    **SOURCE_TEXT,
    **START_TEXT,
    **USERS_TEXT,
    **COUNTY_TEXT,
}


class Say:
    """Looks words up in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._column = LANGUAGES.index(language)

    def __call__(self, key: str, /, **values: object) -> str:
        """Return a sentence with its values filled in."""
        return TEXT[key][self._column].format(**values)

    def code(self, table: str, code: str, /) -> str:
        """Return a stable code in words, as far as the language has them."""
        return CODES_ZH[table].get(code, code) if self.language == "zh" else code

    def problem(self, sentence: str, /) -> str:
        """Return a sentence about a configuration that cannot be used."""
        return config_zh(sentence) if self.language == "zh" else sentence

    def device_event(self, kind: str, detail: str, /) -> str:
        """Return what an entry of a device's timeline says."""
        return device_zh(kind, detail) if self.language == "zh" else detail

    def platform_event(self, kind: str, detail: str, /) -> str:
        """Return what an entry of a platform's timeline says."""
        return platform_zh(kind, detail) if self.language == "zh" else detail

    def pick(self, words: Mapping[str, str]) -> str:
        """Return one of `{"zh": ..., "en": ...}`."""
        return words[self.language]


def language_of(chosen: str | None, environ: Mapping[str, str] | None = None) -> Language:
    """Return the language asked for, else the one of the environment."""
    if chosen is not None:
        return "zh" if chosen.lower().startswith("zh") else "en"
    environ = os.environ if environ is None else environ
    locale = environ.get("LC_ALL") or environ.get("LC_MESSAGES") or environ.get("LANG") or ""
    return "zh" if locale.lower().startswith("zh") else "en"
