"""What `gateway snapshot` says, in Chinese and English."""

from collections.abc import Mapping

__all__ = ["SNAPSHOT_TEXT"]

SNAPSHOT_TEXT: Mapping[str, tuple[str, str]] = {
    "snapshot_saved": (
        "已保存截图 {path} ({width}x{height}, {size} 字节)",
        "Saved {path} ({width}x{height}, {size} bytes)",
    ),
    "snapshot_unwritable": (
        "无法写入 {path}: {why}",
        "{path} cannot be written: {why}",
    ),
    "snapshot_which": (
        "{total} 台设备有通道 {channel}, 请写成 设备/通道:",
        "{total} devices have a channel {channel}; say DEVICE/CHANNEL:",
    ),
    "snapshot_no_jpeg": (
        "网关返回的不是 JPEG",
        "What the gateway sent is no JPEG",
    ),
}
