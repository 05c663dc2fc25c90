"""What the commands about users and keys say, in Chinese and English."""

from collections.abc import Mapping

__all__ = ["USERS_TEXT"]

USERS_TEXT: Mapping[str, tuple[str, str]] = {
    "users": ("用户", "Users"),
    "user": ("用户", "User"),
    "role": ("角色", "Role"),
    "display_name": ("姓名", "Full name"),
    "last_login": ("最近登录", "Last login"),
    "logged_in": ("在线会话", "Sessions"),
    "must_change": ("须改密码", "must change the password"),
    "no_users": (
        "没有用户。用 gateway users add 用户名 --role admin 添加, 或在浏览器中打开控制台完成初始设置",
        "No user. Add one with gateway users add NAME --role admin, or set up the console in a browser",
    ),
    "user_sessions": ("登录会话", "Sessions"),
    "no_user_sessions": ("{name} 没有登录", "{name} is not logged in"),
    "began": ("登录时间", "Since"),
    "used": ("最近使用", "Last used"),
    "agent": ("浏览器", "Browser"),
    "ask_password": ("{name} 的密码", "Password of {name}"),
    "ask_again": ("再输入一次", "Once more"),
    "no_password": (
        "标准输入中没有密码: 用管道传入一行",
        "Standard input has no password: pipe one line in",
    ),
    "password_set": (
        "{name} 的密码已设置, 原有登录已结束",
        "{name} has a new password; their sessions have ended",
    ),
    "logged_out": ("{name} 的全部登录已结束", "{name} is logged out everywhere"),
    "is_disabled": ("{name} 已停用", "{name} is disabled"),
    "is_enabled": ("{name} 已启用", "{name} is enabled"),
}
