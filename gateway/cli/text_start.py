"""What to do when the gateway cannot start, in Chinese and English, by the stable code."""

from collections.abc import Mapping

__all__ = ["START_HINTS", "START_TEXT"]

START_TEXT: Mapping[str, tuple[str, str]] = {
    "cannot_start": ("无法启动: {detail} [{code}]", "Cannot start: {detail} [{code}]"),
    "start_http": (
        "处理: 停止占用此地址的程序 (ss -lntp 可查), 或修改 [http] host、port",
        "What to do: stop what uses it (ss -lntp shows it), or set [http] host and port",
    ),
    "start_sip": (
        "处理: 停止占用此端口的程序 (ss -lnutp 可查), 或修改 [sip] host、port、tls_port",
        "What to do: stop what uses it (ss -lnutp shows it), or set [sip] host, port or tls_port",
    ),
    "start_rtsp": (
        "处理: 停止占用此端口的程序 (ss -lntp 可查), 或修改 [rtsp] host、port",
        "What to do: stop what uses it (ss -lntp shows it), or set [rtsp] host and port",
    ),
    "start_rtmp": (
        "处理: 停止占用此端口的程序 (ss -lntp 可查), 或修改 [rtmp] host、port",
        "What to do: stop what uses it (ss -lntp shows it), or set [rtmp] host and port",
    ),
    "start_certificate": (
        "处理: 核对 [sip] tls_cert 和 tls_key: PEM 格式, 互相匹配, 运行网关的用户可读",
        "What to do: check [sip] tls_cert and tls_key: PEM, a pair, readable by the gateway's user",
    ),
    "start_data_dir": (
        "处理: 修改 data_dir, 或让运行网关的用户可写该目录 (chown); 并检查磁盘空间 (df -h)",
        "What to do: set data_dir, or let the gateway's user write there (chown); see that the disk has room (df -h)",
    ),
    "start_store": (
        "处理: 检查磁盘空间 (df -h)、data_dir 的权限, 用 PostgreSQL 时检查 [store] url",
        "What to do: see that the disk has room (df -h) and data_dir can be written; with PostgreSQL check [store] url",
    ),
    "start_newer": (
        "处理: 启动原来的新版本, 或恢复升级前的备份",
        "What to do: start the newer version again, or restore a backup made before",
    ),
}

START_HINTS: Mapping[str, str] = {
    "http_not_listening": "start_http",
    "sip_port_taken": "start_sip",
    "rtsp_port_taken": "start_rtsp",
    "rtmp_not_listening": "start_rtmp",
    "sip_certificate_unusable": "start_certificate",
    "data_dir_not_writable": "start_data_dir",
    "data_dir_unusable": "start_data_dir",
    "store_unavailable": "start_store",
    "store_newer": "start_newer",
}
"""Which sentence goes with which code."""
