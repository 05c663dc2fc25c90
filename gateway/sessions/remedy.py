"""Tables of a failed session's likely causes and remedies, by end reason and by SIP status."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.session import EndReason

__all__ = ["BY_REASON", "BY_SIP_STATUS", "SUMMARY", "Cause", "Words"]


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence in both languages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Cause:
    """A likely cause and what to do about it."""

    cause: Words
    remedy: Words


def _cause(zh: str, en: str, *, do_zh: str, do_en: str) -> Cause:
    return Cause(Words(zh, en), Words(do_zh, do_en))


SUMMARY: Mapping[EndReason, Words] = {
    EndReason.INVITE_TIMEOUT: Words("设备没有应答 INVITE", "The device never answered the INVITE"),
    EndReason.INVITE_REFUSED: Words("设备拒绝了 INVITE", "The device refused the INVITE"),
    EndReason.ANSWER_UNUSABLE: Words(
        "设备应答的 SDP 无法使用", "The device's answer (SDP) cannot be used"
    ),
    EndReason.CONNECT_FAILED: Words(
        "媒体 TCP 连接没有建立", "The TCP connection for media was not made"
    ),
    EndReason.NO_PACKET: Words(
        "设备已应答, 但没有收到任何 RTP 包", "The device agreed, but no RTP packet arrived"
    ),
    EndReason.NOT_DECODABLE: Words(
        "收到了 RTP, 但没有可解码的关键帧", "RTP arrived, but no decodable key frame"
    ),
    EndReason.SOURCE_LOST: Words("媒体流中断", "The media stream broke off"),
    EndReason.CODEC_UNSUPPORTED: Words(
        "收到的编码或封装不受支持", "The codec or packing that arrived is not supported"
    ),
    EndReason.SOURCE_UNREACHABLE: Words(
        "外部视频源无法连接", "The foreign source cannot be reached"
    ),
    EndReason.SOURCE_REFUSED: Words("外部视频源拒绝了请求", "The foreign source refused"),
    EndReason.NO_PUBLISHER: Words(
        "当前没有推流端向该通道推流", "Nobody publishes to this channel now"
    ),
    EndReason.TOO_MANY_PULLS: Words(
        "同时拉流的外部视频源已达上限", "As many foreign sources as allowed are being fetched"
    ),
    EndReason.PUBLISHER_LEFT: Words("推流端已结束推流", "Whoever published has ended"),
    EndReason.DEVICE_OFFLINE: Words("设备离线", "The device is offline"),
    EndReason.DEVICE_BYE: Words("设备主动结束了会话 (BYE)", "The device ended the session (BYE)"),
    EndReason.INTERNAL_ERROR: Words("网关内部错误", "The gateway met an error of its own"),
    EndReason.NO_READERS: Words("无人观看, 已停止", "Stopped: nobody watched"),
    EndReason.PORTS_EXHAUSTED: Words("RTP 端口已用完", "All RTP ports are in use"),
    EndReason.STOPPED: Words("已按请求停止", "Stopped by request"),
    EndReason.SHUTDOWN: Words("网关正在关闭", "The gateway was stopping"),
}

_FIREWALL_UDP = _cause(
    "防火墙或安全组挡住了 RTP 端口 (默认 UDP 30000-30999)",
    "A firewall or security group blocks the RTP ports (UDP 30000-30999 by default)",
    do_zh="放行 [rtp] port_range 的 UDP 和 TCP, 再用 tcpdump 确认包是否到达",
    do_en="Open UDP and TCP of [rtp] port_range, then check with tcpdump whether packets arrive",
)
_WRONG_ADDRESS = _cause(
    "SDP 中的地址设备访问不到 (多网卡、NAT、容器)",
    "The device cannot reach the address in our SDP (several interfaces, NAT, container)",
    do_zh="设置 [rtp] advertise 为设备可达的地址; 用 gateway doctor 检查",
    do_en="Set [rtp] advertise to an address the device can reach; check with gateway doctor",
)
_TRY_TCP = _cause(
    "网络丢弃大 UDP 包或设备只支持 TCP 媒体",
    "The network drops large UDP packets, or the device sends over TCP only",
    do_zh="将该设备的 media_transport 设为 tcp_passive 后重试",
    do_en="Set the device's media_transport to tcp_passive and try again",
)
_CHANNEL_GONE = _cause(
    "通道不存在、已停用, 或通道 ID 与设备配置不一致",
    "The channel is gone, disabled, or its id differs from the device's configuration",
    do_zh="重新同步目录 (POST devices/{id}/sync) 并核对设备上的通道编码",
    do_en="Sync the catalogue again (POST devices/{id}/sync) and compare the channel codes in the device",
)
_STREAM_LIMIT = _cause(
    "设备的取流路数已达上限, 或上次会话残留未释放",
    "The device is at its limit of streams, or remnants of earlier sessions still hold them",
    do_zh="停止其他平台的点播, 等待一两分钟或重启设备后重试",
    do_en="Stop streams that other platforms take, wait a minute or two or restart the device",
)
_CAMERA_DOWN = _cause(
    "录像机后面的摄像机断线",
    "The camera behind the recorder is disconnected",
    do_zh="在录像机界面确认该通道有画面",
    do_en="Look on the recorder itself whether this channel shows a picture",
)
_SIGNALLING_PATH = _cause(
    "信令到不了设备: NAT 映射已过期或设备换了地址",
    "Signalling does not reach the device: its NAT mapping expired or it moved",
    do_zh="查看设备时间线; 缩短设备心跳间隔 (如 30 秒), 或让设备改用 TCP 注册",
    do_en="Look at the device's timeline; shorten its keepalive interval (30 s), or register over TCP",
)
_OVERLOADED = _cause(
    "设备忙或已死机",
    "The device is overloaded or hangs",
    do_zh="降低并发点播数, 必要时重启设备",
    do_en="Ask for fewer streams at once; restart the device if need be",
)

_PUBLISHER_CAUSE = _cause(
    "推流端未启动、地址或密钥填错, 或网络中断",
    "The publisher is not started, has a wrong address or key, or lost its network",
    do_zh="在推流端核对 RTMP 地址、通道编码和密钥; 用 gateway sources show 查看状态和被拒绝的记录",
    do_en="Compare RTMP address, channel code and key in the publisher; see gateway sources show",
)

BY_REASON: Mapping[EndReason, tuple[Cause, ...]] = {
    EndReason.SOURCE_UNREACHABLE: (
        _cause(
            "地址或端口填错, 源设备断电, 或防火墙挡住",
            "Address or port is wrong, the source is down, or a firewall is in between",
            do_zh="用 gateway sources test 测试; 在网关所在机器上检查到该地址和端口的连通性",
            do_en="Try gateway sources test; check from the gateway's machine that address and port answer",
        ),
    ),
    EndReason.SOURCE_REFUSED: (
        _cause(
            "用户名或密码不对, 或路径不存在",
            "User or password is wrong, or there is no such path",
            do_zh="核对源地址中的路径、用户名和密码; 用 gateway sources test 测试",
            do_en="Check path, user and password of the source's URL; try gateway sources test",
        ),
        _cause(
            "源设备的取流路数已满",
            "The source is at its limit of viewers",
            do_zh="停止其他取流端",
            do_en="Stop others who take streams from it",
        ),
    ),
    EndReason.NO_PUBLISHER: (_PUBLISHER_CAUSE,),
    EndReason.TOO_MANY_PULLS: (
        _cause(
            "同时拉流的外部视频源太多",
            "Too many foreign sources are fetched at once",
            do_zh="加大 [sources] max_pulls, 或停止无人观看的会话",
            do_en="Raise [sources] max_pulls, or stop sessions that nobody needs",
        ),
    ),
    EndReason.PUBLISHER_LEFT: (_PUBLISHER_CAUSE,),
    EndReason.INVITE_TIMEOUT: (
        _SIGNALLING_PATH,
        _OVERLOADED,
        _cause(
            "INVITE 超过 MTU 被分片丢弃",
            "The INVITE exceeded the MTU and a fragment was dropped",
            do_zh="让设备用 TCP 注册",
            do_en="Register the device over TCP",
        ),
        _cause(
            "设备打开码流很慢",
            "The device is slow to open a stream",
            do_zh="加大 [media] invite_timeout (例如 30 秒)",
            do_en="Raise [media] invite_timeout (30 s, for instance)",
        ),
    ),
    EndReason.INVITE_REFUSED: (_CHANNEL_GONE, _STREAM_LIMIT, _CAMERA_DOWN),
    EndReason.ANSWER_UNUSABLE: (
        _cause(
            "设备无法按请求的传输方式发送, 应答了端口 0 或没有媒体行",
            "The device cannot send in the way it was asked to: it answered port 0 or no media line",
            do_zh="更换 media_transport (udp、tcp_passive、tcp_active) 后重试",
            do_en="Try another media_transport (udp, tcp_passive, tcp_active)",
        ),
        _CAMERA_DOWN,
    ),
    EndReason.CONNECT_FAILED: (
        _cause(
            "防火墙挡住了 RTP 端口的 TCP",
            "A firewall blocks TCP to the RTP ports",
            do_zh="放行 [rtp] port_range 的 TCP",
            do_en="Open TCP of [rtp] port_range",
        ),
        _WRONG_ADDRESS,
        _cause(
            "设备在 NAT 后面, 无法主动连接它 (tcp_active)",
            "The device is behind NAT and cannot be dialled (tcp_active)",
            do_zh="改用 tcp_passive",
            do_en="Use tcp_passive instead",
        ),
        _cause(
            "设备不支持 TCP 媒体",
            "The device does not support media over TCP",
            do_zh="改用 udp",
            do_en="Use udp instead",
        ),
    ),
    EndReason.NO_PACKET: (_WRONG_ADDRESS, _FIREWALL_UDP, _TRY_TCP, _CAMERA_DOWN),
    EndReason.NOT_DECODABLE: (
        _cause(
            "关键帧间隔太长",
            "The key frame interval is too long",
            do_zh="在设备上把 I 帧间隔设为 1-2 秒 (25-50 帧)",
            do_en="Set the key frame interval in the device to 1-2 s (25-50 frames)",
        ),
        _cause(
            "丢包严重, 没有完整的关键帧",
            "So many packets are lost that no key frame arrives whole",
            do_zh="看 GET streams 的 lost; 改用 tcp_passive 或加大 net.core.rmem_max",
            do_en="Look at `lost` in GET streams; use tcp_passive, or raise net.core.rmem_max",
        ),
        _cause(
            "码流已加密或为私有格式",
            "The stream is encrypted or in a private format",
            do_zh='在设备上关闭码流加密和 "智能编码"',
            do_en='Switch off stream encryption and "smart codec" in the device',
        ),
    ),
    EndReason.CODEC_UNSUPPORTED: (
        _cause(
            "设备使用 SVAC、MPEG-4 等不支持的编码",
            "The device uses a codec such as SVAC or MPEG-4 that is not supported",
            do_zh="在设备上改为 H.264 或 H.265, 封装为 PS",
            do_en="Set the device to H.264 or H.265 in PS",
        ),
    ),
    EndReason.SOURCE_LOST: (
        _cause(
            "设备断电、断网或重启",
            "The device lost power or network, or restarted",
            do_zh="查看设备时间线",
            do_en="Look at the device's timeline",
        ),
        _cause(
            "网络中断或 NAT 映射过期",
            "The network broke or a NAT mapping expired",
            do_zh="改用 tcp_passive; 检查链路",
            do_en="Use tcp_passive; check the link",
        ),
        _OVERLOADED,
    ),
    EndReason.DEVICE_OFFLINE: (
        _cause(
            "设备没有注册或心跳超时",
            "The device is not registered or its keepalives stopped",
            do_zh="查看设备时间线与离线原因; 核对 SIP 服务器地址、ID 和密码",
            do_en="Look at its timeline and offline reason; check SIP server address, id and password in it",
        ),
    ),
    EndReason.DEVICE_BYE: (_STREAM_LIMIT, _CAMERA_DOWN, _OVERLOADED),
    EndReason.INTERNAL_ERROR: (
        _cause(
            "网关程序缺陷",
            "A defect of the gateway",
            do_zh="查看网关日志中该会话的错误并报告",
            do_en="Look for this session's error in the gateway's log and report it",
        ),
    ),
    EndReason.PORTS_EXHAUSTED: (
        _cause(
            "同时播放的路数超过端口对数",
            "More streams run than there are port pairs",
            do_zh="扩大 [rtp] port_range, 或停止无人观看的会话",
            do_en="Widen [rtp] port_range, or stop sessions that nobody needs",
        ),
    ),
}

BY_SIP_STATUS: Mapping[int, tuple[Cause, ...]] = {
    400: (
        _cause(
            "设备认为请求格式不对",
            "The device finds the request malformed",
            do_zh="更新设备固件; 尝试另一种 media_transport",
            do_en="Update the device's firmware; try another media_transport",
        ),
    ),
    403: (
        _cause(
            "设备不承认本平台的 ID 或域",
            "The device does not accept our platform id or domain",
            do_zh="核对设备中的 SIP 服务器 ID 与 [sip] id 是否一致",
            do_en="Compare the SIP server ID in the device with [sip] id",
        ),
    ),
    404: (_CHANNEL_GONE,),
    480: (_CAMERA_DOWN,),
    481: (_OVERLOADED,),
    486: (_STREAM_LIMIT,),
    488: (
        _cause(
            "设备不支持所请求的媒体参数",
            "The device does not support the requested media parameters",
            do_zh="更换 media_transport; 检查设备的编码设置",
            do_en="Try another media_transport; check the device's codec settings",
        ),
    ),
    500: (_OVERLOADED,),
    503: (_STREAM_LIMIT, _OVERLOADED),
    603: (_STREAM_LIMIT,),
}
