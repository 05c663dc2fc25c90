"""What `gateway sources` says, in Chinese and English."""

from collections.abc import Mapping

__all__ = ["SOURCE_TEXT"]

SOURCE_TEXT: Mapping[str, tuple[str, str]] = {
    "sources": ("外部视频源", "Foreign sources"),
    "no_sources": (
        """没有外部视频源。用 gateway sources add rtsp://主机/路径 --name 名称 添加;
无人机推流用 gateway sources add --push --name 名称""",
        """No foreign source. Add one with gateway sources add rtsp://HOST/PATH --name NAME,
or gateway sources add --push --name NAME for a drone""",
    ),
    "source_kind": ("方式", "Kind"),
    "source_rate": ("码率", "Bit rate"),
    "source_publisher": ("推流端", "Publisher"),
    "source_publish_to": ("推流地址", "Publish to"),
    "source_checked": ("最近检测", "Looked at"),
    "source_tries": ("连续失败", "Failures"),
    "source_yes": ("是", "yes"),
    "source_no": ("否", "no"),
    "source_always": ("始终拉流", "Always fetched"),
    "source_added": (
        "已添加外部视频源 {name} (设备 {device})",
        "Source {name} is added (device {device})",
    ),
    "source_key_once": (
        "推流密钥只显示这一次, 请保存:",
        "The stream key is shown only this once, keep it:",
    ),
    "source_key": ("密钥", "Stream key"),
    "source_one_field": ("只有一个地址栏时", "With one field"),
    "source_two_fields": ("服务器 / 串流密钥", "Server / stream key"),
    "source_no_rtmp": (
        "提示: [rtmp] enabled = false, 网关现在不接受推流",
        "Note: [rtmp] enabled = false, the gateway takes no publishers now",
    ),
    "source_test_ok": ("可用: {tracks} ({seconds:g} 秒)", "It works: {tracks} ({seconds:g} s)"),
    "source_test_bad": ("不可用: {detail} [{code}]", "It does not work: {detail} [{code}]"),
    "source_url_or_push": (
        "给出 rtsp:// 或 rtmp:// 地址, 或用 --push 等待推流",
        "Give an rtsp:// or rtmp:// URL, or --push to be published to",
    ),
    "source_password_ask": ("源的密码", "Password of the source"),
    "source_disabled": ("停用", "disabled"),
    "source_idle": ("可用, 无人观看", "usable, not watched"),
    "source_connecting": ("连接中", "connecting"),
    "source_running": ("运行中", "running"),
    "source_failed": ("失败", "failed"),
    "source_waiting_publisher": ("等待推流", "waits for a publisher"),
    "source_pull_rtsp": ("拉流 RTSP", "pull RTSP"),
    "source_pull_rtmp": ("拉流 RTMP", "pull RTMP"),
    "source_push_rtmp": ("推流 RTMP", "push RTMP"),
}
