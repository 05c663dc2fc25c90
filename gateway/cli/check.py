"""Checks of the machine, the configuration and the store for `gateway doctor`."""

import contextlib
import datetime as dt
import errno
import importlib.util
import ipaddress
import os
import resource
import shutil
import socket
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path

from alembic.script import ScriptDirectory

from gateway.cli.machine import clock_synchronised, interfaces
from gateway.config.model import Settings

__all__ = ["Finding", "Level", "check_machine", "migrations"]

MIN_FILES = 4096
MIN_RMEM = 4_194_304
MIN_DISK = 1 << 30
BUILT = 2026
"""No machine whose clock is right runs this software before."""


class Level(StrEnum):
    """How bad."""

    OK = "ok"
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    level: Level
    zh: str
    en: str
    do_zh: str = ""
    do_en: str = ""

    def as_json(self) -> dict[str, object]:
        """Return what `--json` shows."""
        return {
            "check": self.check,
            "level": self.level.value,
            "detail": {"zh": self.zh, "en": self.en},
            "remedy": {"zh": self.do_zh, "en": self.do_en} if self.do_en else None,
        }


def check_machine(settings: Settings, *, running: bool) -> Iterator[Finding]:
    """Check everything that needs no running gateway; blocks.

    Args:
        settings: The configuration in force.
        running: Whether our gateway answers, which then holds the ports and files.
    """
    checks: list[Callable[[], Iterator[Finding]]] = [
        lambda: _ports(settings, running=running),
        lambda: _advertised(settings),
        _clock,
        lambda: _files(settings),
        _receive_buffer,
        lambda: _data_dir(settings),
        lambda: _store(settings),
        _programs,
    ]
    for check in checks:
        yield from check()


def migrations() -> ScriptDirectory:
    """Return the packaged migrations."""
    return ScriptDirectory(str(resources.files("gateway") / "store" / "migrations"))


def _ports(settings: Settings, *, running: bool) -> Iterator[Finding]:
    wanted = [("SIP", socket.SOCK_DGRAM, settings.sip.host, settings.sip.port)]
    if settings.sip.tcp:
        wanted.append(("SIP", socket.SOCK_STREAM, settings.sip.host, settings.sip.port))
    if settings.sip.tls:
        wanted.append(("SIP TLS", socket.SOCK_STREAM, settings.sip.host, settings.sip.tls_port))
    wanted.append(("HTTP", socket.SOCK_STREAM, settings.http.host, settings.http.port))
    if settings.rtsp.enabled:
        host = settings.rtsp.host or settings.http.host
        wanted.append(("RTSP", socket.SOCK_STREAM, host, settings.rtsp.port))
    first, last = settings.rtp.ports
    wanted += [
        ("RTP", socket.SOCK_DGRAM, settings.rtp.host, port)
        for port in (first, (first + last) // 2, last)
    ]
    taken = [item for item in wanted if item[3] and _bind_error(*item[1:])]
    for name, kind, host, port in taken:
        proto = "UDP" if kind == socket.SOCK_DGRAM else "TCP"
        why = os.strerror(_bind_error(kind, host, port) or 0)
        if running:
            continue
        yield Finding(
            "ports",
            Level.FAIL,
            f"{name} {proto} {host}:{port} 不可用: {why}",
            f"{name} {proto} {host}:{port} cannot be had: {why}",
            f"用 ss -lnp | grep :{port} 找出占用者, 或修改配置的端口",
            f"Find who holds it with ss -lnp | grep :{port}, or configure another port",
        )
    if running or not taken:
        words = ("端口由运行中的网关使用", "The ports are held by the running gateway")
        free = ("端口空闲", "The ports are free")
        yield Finding("ports", Level.OK, *(words if running and taken else free))


def _bind_error(kind: int, host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            return exc.errno or errno.EINVAL
    return 0


def _advertised(settings: Settings) -> Iterator[Finding]:
    own = interfaces()
    named = {"[rtp]": settings.rtp.advertise, "[sip]": settings.sip.advertise}
    for section, address in named.items():
        if address:
            yield _advertised_address(section, address, own)
    if not any(named.values()):
        listening = settings.sip.host
        if ipaddress.ip_address(listening).is_loopback:
            yield Finding(
                "advertise",
                Level.WARN,
                f"[sip] host 是 {listening}: 只有本机的设备能注册",
                f"[sip] host is {listening}: only devices on this machine can register",
                "要接入摄像机, 将 [sip] host 和 [rtp] host 设为 0.0.0.0",
                "To take cameras in, set [sip] host and [rtp] host to 0.0.0.0",
            )
        elif len(own) > 1:
            yield Finding(
                "advertise",
                Level.WARN,
                f"本机有多个地址 ({', '.join(own)}), 按设备注册到达的地址应答",
                f"This machine has several addresses ({', '.join(own)}); each device is told the one it "
                "registered at",
                "若设备经 NAT 或容器接入, 请设置 [sip] advertise 和 [rtp] advertise",
                "If devices come through NAT or into a container, set [sip] advertise and [rtp] advertise",
            )
        else:
            shown = own[0] if own else listening
            yield Finding("advertise", Level.OK, f"对外地址 {shown}", f"Advertised address {shown}")


def _advertised_address(section: str, address: str, own: list[str]) -> Finding:
    try:
        resolved = socket.gethostbyname(address)
    except OSError:
        return Finding(
            "advertise",
            Level.FAIL,
            f"{section} advertise = {address} 无法解析",
            f"{section} advertise = {address} does not resolve",
            "改为设备可达的 IP 地址",
            "Enter an IP address that devices can reach",
        )
    if resolved in own or ipaddress.ip_address(resolved).is_loopback:
        return Finding(
            "advertise",
            Level.OK,
            f"{section} 对外地址 {address}",
            f"{section} advertises {address}",
        )
    return Finding(
        "advertise",
        Level.WARN,
        f"{section} advertise = {address} 不是本机地址 (本机: {', '.join(own) or '无'})",
        f"{section} advertise = {address} is no address of this machine (it has {', '.join(own) or 'none'})",
        "只有当 NAT 把 SIP 和 RTP 端口原样转发到本机时才正确",
        "Right only if NAT forwards the SIP and RTP ports unchanged to this machine",
    )


def _clock() -> Iterator[Finding]:
    now = dt.datetime.now().astimezone()
    zone = now.strftime("%Z %z")
    if now.year < BUILT:
        yield Finding(
            "clock",
            Level.FAIL,
            f"系统时间 {now:%Y-%m-%d %H:%M} 不正确",
            f"The clock says {now:%Y-%m-%d %H:%M}, which is wrong",
            "校准时间: 注册应答中的 Date 会把错误时间带给设备",
            "Set it: the Date in our answers carries it to the devices",
        )
        return
    synchronised = clock_synchronised()
    if synchronised is False:
        yield Finding(
            "clock",
            Level.WARN,
            f"系统时间没有 NTP 同步 ({now:%Y-%m-%d %H:%M} {zone})",
            f"The clock is not synchronised by NTP ({now:%Y-%m-%d %H:%M} {zone})",
            "启用 NTP (timedatectl set-ntp true): 设备从网关校时",
            "Enable NTP (timedatectl set-ntp true): devices take their time from the gateway",
        )
        return
    words = ("NTP 同步", "synchronised") if synchronised else ("NTP 状态未知", "NTP state unknown")
    yield Finding(
        "clock",
        Level.OK,
        f"{now:%Y-%m-%d %H:%M} {zone}, {words[0]}",
        f"{now:%Y-%m-%d %H:%M} {zone}, {words[1]}",
    )


def _files(settings: Settings) -> Iterator[Finding]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Two sockets a stream and side, one a viewer, one a TCP device.
    wanted = max(MIN_FILES, 4 * min(settings.limits.max_sessions, 500) + 2048)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        yield Finding(
            "files",
            Level.WARN,
            f"文件描述符上限 {soft}, 建议至少 {wanted}",
            f"The limit of open files is {soft}; at least {wanted} is advised",
            f"ulimit -n {wanted}, 或在 systemd 单元中设置 LimitNOFILE={wanted}",
            f"ulimit -n {wanted}, or LimitNOFILE={wanted} in the systemd unit",
        )
    else:
        yield Finding("files", Level.OK, f"文件描述符上限 {soft}", f"Open files: up to {soft}")


def _receive_buffer() -> Iterator[Finding]:
    try:
        size = int(Path("/proc/sys/net/core/rmem_max").read_text())
    except (OSError, ValueError):
        return
    if size < MIN_RMEM:
        yield Finding(
            "rmem",
            Level.WARN,
            f"net.core.rmem_max = {size}: 多路高码率 UDP 流可能丢包",
            f"net.core.rmem_max = {size}: many UDP streams at high rates may lose packets",
            f"sysctl -w net.core.rmem_max={MIN_RMEM} (写入 /etc/sysctl.d/ 以持久)",
            f"sysctl -w net.core.rmem_max={MIN_RMEM} (and in /etc/sysctl.d/ to keep it)",
        )
    else:
        yield Finding(
            "rmem", Level.OK, f"net.core.rmem_max = {size}", f"net.core.rmem_max = {size}"
        )


def _data_dir(settings: Settings) -> Iterator[Finding]:
    path = settings.data_dir.absolute()
    place = path if path.exists() else next(p for p in path.parents if p.exists())
    if not os.access(place, os.W_OK | os.X_OK) or (path.exists() and not path.is_dir()):
        yield Finding(
            "data_dir",
            Level.FAIL,
            f"数据目录 {path} 不可写",
            f"The data directory {path} cannot be written",
            "把目录交给运行网关的用户 (chown), 或修改 data_dir",
            "Give it to the user that runs the gateway (chown), or change data_dir",
        )
        return
    if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield Finding(
            "data_dir",
            Level.WARN,
            f"数据目录 {path} 可被其他用户访问",
            f"Other users can enter the data directory {path}",
            f"chmod 700 {path}",
            f"chmod 700 {path}",
        )
    free = shutil.disk_usage(place).free
    if free < MIN_DISK:
        yield Finding(
            "disk",
            Level.FAIL if free < MIN_DISK // 10 else Level.WARN,
            f"数据目录所在磁盘只剩 {free >> 20} MiB",
            f"Only {free >> 20} MiB are left on the disk of the data directory",
            "清理磁盘或更换 data_dir",
            "Free some, or move data_dir",
        )
    else:
        yield Finding(
            "disk", Level.OK, f"{path}: 剩余 {free >> 30} GiB", f"{path}: {free >> 30} GiB free"
        )


def _store(settings: Settings) -> Iterator[Finding]:
    url = settings.store_url
    if not url.startswith("sqlite"):
        yield Finding(
            "store", Level.INFO, "PostgreSQL: 启动时检查", "PostgreSQL: checked at the start"
        )
        return
    path = Path(url.partition(":///")[2])
    if not path.exists():
        yield Finding(
            "store", Level.OK, "数据库将在首次启动时创建", "The database is made at the first start"
        )
        return
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        ) as database:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
            (revision,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except (sqlite3.Error, TypeError) as exc:
        verdict, revision = str(exc), ""
    if verdict != "ok":
        yield Finding(
            "store",
            Level.FAIL,
            f"数据库 {path} 有问题: {verdict}",
            f"The database {path} is damaged or not ours: {verdict}",
            "停止网关, 备份该文件后恢复或删除 (设备会重新注册)",
            "Stop the gateway, back the file up, then restore or delete it (devices register again)",
        )
        return
    yield _revision(path, revision)


def _revision(path: Path, revision: str) -> Finding:
    script = migrations()
    head = script.get_current_head()
    if revision == head:
        return Finding(
            "store",
            Level.OK,
            f"{path}: 正常, 版本 {revision}",
            f"{path}: fine, revision {revision}",
        )
    if any(step.revision == revision for step in script.walk_revisions()):
        return Finding(
            "store",
            Level.INFO,
            f"{path}: 版本 {revision}, 下次启动时升级到 {head}",
            f"{path}: revision {revision}, becomes {head} at the next start",
        )
    return Finding(
        "store",
        Level.FAIL,
        f"{path}: 由更新的版本写成 ({revision})",
        f"{path} was written by a newer version ({revision})",
        "安装同样或更新的版本",
        "Install that version or a newer one",
    )


def _programs() -> Iterator[Finding]:
    if importlib.util.find_spec("uvloop") is None:
        yield Finding(
            "uvloop",
            Level.WARN,
            "没有 uvloop: 每包开销约为四倍",
            "uvloop is missing: each packet costs about four times as much",
            "pip install uvloop",
            "pip install uvloop",
        )
    else:
        yield Finding("uvloop", Level.OK, "uvloop 可用", "uvloop is there")
    found = shutil.which("ffmpeg")
    if found is None:
        yield Finding(
            "ffmpeg",
            Level.INFO,
            "没有 ffmpeg 程序: 直播不需要它, 仅 SRT 输出需要",
            "There is no ffmpeg program: live streams do not need it, only SRT output does",
        )
    else:
        yield Finding("ffmpeg", Level.OK, found, found)
