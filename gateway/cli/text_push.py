"""What `gateway push` says, in Chinese and English."""

from collections.abc import Mapping

__all__ = ["PUSH_TEXT"]

PUSH_TEXT: Mapping[str, tuple[str, str]] = {
    "pushes": ("转推", "Pushes"),
    "no_pushes": (
        "没有转推。用 gateway push add 设备 通道 --url rtmp://主机/应用/名称 添加",
        "Nothing is pushed. Add a target with gateway push add DEVICE CHANNEL --url rtmp://HOST/APP/NAME",
    ),
    "push_target": ("目标", "Target"),
    "push_tries": ("连续失败", "Failures"),
    "push_next": ("下次尝试", "Next try"),
    "push_sent": ("已发送", "Sent"),
    "push_for": ("接收单位", "Receiver"),
    "push_own": ("本域", "our own"),
    "push_added": (
        "已添加转推 {name}, 用 gateway push show {name} 查看状态",
        "Push {name} is added; gateway push show {name} tells how it is",
    ),
    "push_disabled": ("停用", "disabled"),
    "push_starting": ("启动中", "starting"),
    "push_running": ("推送中", "running"),
    "push_waiting": ("等待重试", "waiting"),
    "push_denied": ("策略不允许", "denied"),
    "push_url_ask": ("目标 URL", "URL of the target"),
}
