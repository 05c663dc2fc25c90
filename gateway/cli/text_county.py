"""What `gateway demo --county` says, in Chinese and English."""

from collections.abc import Mapping

__all__ = ["COUNTY_TEXT"]

_Catalog = Mapping[str, tuple[str, str]]

_SETUP: _Catalog = {
    "county_title": (
        "县、镇、村三级共享演示: 4 个网关, {departments} 个部门, {cameras} 台模拟摄像机",
        "County, township, villages: 4 gateways, {departments} departments, {cameras} simulated cameras",
    ),
    "county_about": (
        "全部运行在本机这一个进程里: 只用回环地址和空闲端口, 数据在临时目录, 结束后不留痕迹",
        (
            "All of it runs in this one process, on loopback, with free ports and temporary data; "
            "nothing is left behind"
        ),
    ),
    "county_about_kept": (
        "全部运行在本机这一个进程里: 只用回环地址和空闲端口, 数据留在 {folder}",
        "All of it runs in this one process, on loopback, with free ports; its data stays in {folder}",
    ),
    "county_comma": ("、", ", "),
    "county_gateways": ("启动 {count} 个网关", "Starting {count} gateways"),
    "county_wait_start": ("正在启动", "Starting"),
    "county_level": ("网关", "Gateway"),
    "county_code": ("编码", "Code"),
    "county_http": ("HTTP 接口", "HTTP API"),
    "county_sip": ("SIP 端口", "SIP port"),
    "county_cameras": (
        "{count} 台摄像机上线, 挂在本村、本镇的 {recorders} 台录像机和平台下",
        "{count} cameras come online, behind {recorders} recorders and platforms",
    ),
    "county_registered": (
        "{count} 台录像机和平台已注册, {seconds:.1f} 秒",
        "{count} recorders and platforms registered within {seconds:.1f} s",
    ),
    "county_no_recorders": ("录像机没有全部注册", "not all recorders registered"),
    "county_synced": (
        "{level}: 目录已同步, {count} 台摄像机",
        "{level}: catalogue synchronised, {count} cameras",
    ),
    "county_wait_catalog": (
        "{level}: 目录 {count} / {wanted} 台",
        "{level}: {count} of {wanted} cameras catalogued",
    ),
    "county_incomplete": (
        "{level}的目录有 {count} 台摄像机, 应为 {wanted} 台",
        "the catalogue of {level} has {count} cameras, expected {wanted}",
    ),
    "county_cascade": (
        "逐级级联: 下级注册到上级, 上级同步并订阅其目录",
        "Cascade: each level registers at the next, which subscribes to its catalogue",
    ),
    "county_joined": (
        "{lower} → {upper}: {count} 台摄像机, {seconds:.1f} 秒",
        "{lower} → {upper}: {count} cameras within {seconds:.1f} s",
    ),
    "county_held_back": (
        "少 {count} 台: {code} 标为保密 (Secrecy=1), 不出{level}, 无论规则怎么写",
        "{count} fewer: {code} is secret (Secrecy=1) and never leaves {level}, whatever a rule says",
    ),
    "county_departments": (
        "县里登记 {count} 个部门, 共享策略生效",
        "The county: keys for {count} departments, and a policy of who may do what",
    ),
    "county_policy": (
        "策略第 {version} 版, {rules} 条规则; 没有规则允许的一律拒绝",
        "Policy version {version}, {rules} rules; what no rule allows is refused",
    ),
    "county_keys": ("密钥已发给: {names}", "Keys given to: {names}"),
}

_SIGHT: _Catalog = {
    "county_sight": (
        "各部门能得到什么 (用各自的密钥经 HTTP 查询, 单位: 台)",
        "What each department gets (asked over HTTP with its own key; cameras)",
    ),
    "county_department": ("部门", "Department"),
    "county_listed": ("目录", "Listed"),
    "county_live": ("可看", "Watch"),
    "county_silent": ("可看,\n无事由", "Watch,\nno reason"),
    "county_ptz": ("可控", "Move"),
    "county_terms": ("策略", "Policy"),
    "county_blind": ("{names} 什么也看不到", "{names} see nothing at all"),
    "county_leaked": (
        "{name}看到了保密摄像机 {code}",
        "{name} sees the secret camera {code}",
    ),
    "county_told_apart": (
        "请求保密摄像机 {code} 与请求不存在的编码得到不同的应答: {answers}",
        "asking for the secret camera {code} is answered otherwise than asking for nothing: {answers}",
    ),
    "county_secret": (
        "保密摄像机 {code}: 四个部门都看不到; 直接点播得到 {status} {word}, 与不存在的编码完全一样",
        (
            "The secret camera {code} is in nobody's list; asking for it gives {status} {word}, "
            "as for a code that does not exist"
        ),
    ),
    "county_findings": ("县里从目录发现的数据问题", "What the county finds wrong with the data"),
    "county_duplicates": ("重码", "duplicate codes"),
    "county_zeroes": ("坐标为零", "zero coordinates"),
    "county_dead": ("假在线", "offline cameras that claim ON"),
    "county_duplicate": (
        "重码: {levels}各有一台摄像机用了 {code}; 在县里是两个不同的编码, 不会张冠李戴:",
        "Duplicate code: {levels} each have a camera {code}; the county knows them by two codes:",
    ),
    "county_duplicate_code": ("  {level}: {code}", "  {level}: {code}"),
    "county_zero": (
        "坐标为零: {code} {name} 的经纬度是 (0, 0)",
        "Zero coordinates: {code} {name} claims to stand at (0, 0)",
    ),
    "county_dead_one": (
        "假在线: {code} {name} 的目录状态是 {claimed}, 点播时应答 {answer}",
        (
            "Offline but claims ON: {code} {name} is listed as {claimed}, asked for a picture it "
            "answers {answer}"
        ),
    ),
    "county_not_found": (
        "没有发现预先埋下的问题: {names}",
        "not found, though it is there: {names}",
    ),
}

_LIVE: _Catalog = {
    "county_watch": (
        "县里的部门看村里的摄像机, 穿过三级网关",
        "The county's departments watch a village's camera, through three gateways",
    ),
    "county_camera": ("摄像机 {code} {name}", "Camera {code} {name}"),
    "county_stages": (
        "信令: {answered} 毫秒得到摄像机应答, {first_packet} 毫秒收到首包",
        "Signalling: the camera answered after {answered} ms, first packet came after {first_packet} ms",
    ),
    "county_main": ("主码流", "main stream"),
    "county_sub": ("子码流", "sub stream"),
    "county_picture": (
        "{name}: {stream} {codec} {size}, {fps} 帧/秒, 首帧 {seconds:.2f} 秒, 已解码 {frames} 帧",
        "{name}, {stream}: {codec} {size}, {fps} fps, first picture {seconds:.2f} s, {frames} decoded",
    ),
    "county_joined_viewer": (
        "{name}: 加入同一路主码流, 事由 “{purpose}”",
        "{name}: joins the same main stream, saying why: “{purpose}”",
    ),
    "county_no_picture": ("{name}没有得到画面: {why}", "{name} got no picture: {why}"),
    "county_not_sub": (
        "应为子码流, 画面宽 {width}",
        "the sub stream was due, the picture is {width} wide",
    ),
    "county_pulls": (
        "{viewers} 个观看者, 摄像机只送出 {pulls} 路: 主码流和子码流各一路, 逐级只传一份",
        (
            "{viewers} viewers, and the camera sends {pulls} streams: main and sub once each, "
            "relayed once per level"
        ),
    ),
    "county_pulled": (
        "摄像机送出 {pulls} 路, 应为 2 路",
        "the camera sends {pulls} streams, expected 2",
    ),
    "county_move": (
        "云台: 从县里转动村里的摄像机",
        "PTZ: the county moves the village's camera",
    ),
    "county_moved": (
        "{name}: 右转速度 {pan}, 上仰速度 {tilt}, 控制帧 {frame}",
        "{name}: right at speed {pan}, up at speed {tilt}; frame {frame}",
    ),
    "county_received": (
        "摄像机 {ms:.0f} 毫秒后收到 {frame}, 八个字节一模一样",
        "The camera got {frame} after {ms:.0f} ms, the same eight bytes",
    ),
    "county_stood": (
        (
            "{seconds:g} 秒后由 {frame} 停止; 水平角 {pan:.1f}° → {pan_after:.1f}°, "
            "俯仰角 {tilt:.1f}° → {tilt_after:.1f}°"
        ),
        (
            "Stopped {seconds:g} s later by {frame}; pan {pan:.1f}° → {pan_after:.1f}°, "
            "tilt {tilt:.1f}° → {tilt_after:.1f}°"
        ),
    ),
    "county_no_control": ("控制没有到达摄像机", "no control reached the camera"),
    "county_other_frame": (
        "摄像机收到的是另一帧 {frame}",
        "the camera got another frame: {frame}",
    ),
    "county_unmoved": ("摄像机没有转动", "the camera did not move"),
    "county_refuse": ("越权会被拒绝, 并留下记录", "What is not theirs is refused, and on record"),
    "county_try_move": (
        "{name}想转动这台摄像机",
        "{name} tries to move that camera",
    ),
    "county_try_silent": (
        "{name}不填事由就点播",
        "{name} asks for the picture without saying why",
    ),
    "county_refusal": (
        "→ {status} {word}: “{detail}”",
        "→ {status} {word}: “{detail}”",
    ),
    "county_decided": (
        "  只有管理员看得到: 规则 {rule} (策略第 {line} 行), {why}",
        "  For the administrator only: rule {rule} (line {line}), {why}",
    ),
    "county_not_refused": (
        "越权的请求没有被拒绝",
        "a request that is nobody's right was not refused",
    ),
    "county_stop": (
        "强制停止: {level}收回自己的摄像机, 县里正在看",
        "Forced stop: {level} takes back its camera, which the county watches",
    ),
    "county_ordered": (
        "{name}下令停止共享 {code}",
        "{name} orders that {code} is shared no more",
    ),
    "county_last_byte": (
        "县里的观看者: 下令后 {last:.0f} 毫秒收到最后一个字节, {closed:.0f} 毫秒连接关闭 (限 {limit:g} 秒)",
        (
            "The viewer at the county: last byte {last:.0f} ms after the order, closed after "
            "{closed:.0f} ms (limit {limit:g} s)"
        ),
    ),
    "county_no_byte": (
        "县里的观看者: 下令后再没有收到一个字节, {closed:.0f} 毫秒连接关闭 (限 {limit:g} 秒)",
        (
            "The viewer at the county: not one byte after the order, closed after {closed:.0f} ms "
            "(limit {limit:g} s)"
        ),
    ),
    "county_deleted": (
        "县目录 {ms:.0f} 毫秒后删除这台摄像机 (逐级 DEL 通知)",
        "The county's catalogue loses the camera after {ms:.0f} ms (DEL, level by level)",
    ),
    "county_back": (
        "撤销停止: {ms:.0f} 毫秒后回到县目录",
        "The order is lifted: back in the county's catalogue after {ms:.0f} ms",
    ),
    "county_goes_on": (
        "强制停止 {seconds:g} 秒后画面还在",
        "the stream went on {seconds:g} s after the forced stop",
    ),
    "county_kept": (
        "强制停止 {seconds:g} 秒后县目录里还有这台摄像机",
        "the county still listed the camera {seconds:g} s after the forced stop",
    ),
    "county_not_back": (
        "撤销 {seconds:g} 秒后摄像机没有回到县目录",
        "the camera was not back in the county's catalogue {seconds:g} s after the order was lifted",
    ),
    "county_nobody_watches": (
        "没有人在看, 无法演示强制停止",
        "nobody watches, so there is nothing to stop",
    ),
}

_AUDIT: _Catalog = {
    "county_audit": (
        "审计: 谁在何时因何看了什么, 一条不少",
        "Audit: who watched what, when and why",
    ),
    "county_trail": (
        "谁看了 {code}: 每一级各有记录, 经哪些平台、由哪个部门",
        "Who watched {code}, as each level has it on record:",
    ),
    "county_who": ("谁", "Who"),
    "county_rule": ("依据规则", "Rule"),
    "county_why": ("事由", "Reason"),
    "county_end": ("结果", "Ended by"),
    "county_end_refused": ("拒绝", "refused"),
    "county_end_stopped": ("强制停止", "forced stop"),
    "county_end_below": ("下级停送", "level below"),
    "county_end_above": ("上级停看", "level above"),
    "county_end_viewer": ("观看者离开", "viewer left"),
    "county_unrecorded": (
        "{level}没有观看 {code} 的记录",
        "{level} has no record of {code} being watched",
    ),
    "county_verify": ("各网关的审计逐条校验:", "Every record of every gateway, verified:"),
    "county_records": ("记录", "Records"),
    "county_checkpoints": ("签名点", "Checkpoints"),
    "county_unsigned": ("未签名", "Unsigned"),
    "county_verified": ("校验", "Verified"),
    "county_took": ("用时", "Took"),
    "county_ms": ("{ms:.0f} 毫秒", "{ms:.0f} ms"),
    "county_whole": ("完整", "whole"),
    "county_broken": ("有损坏", "BROKEN"),
    "county_made": (
        "这次演示留下 {total} 条记录: 逐条串联, 定期签名",
        "{total} records made by this demo: chained one by one, signed at checkpoints",
    ),
    "county_audit_broken": ("审计校验失败: {what}", "an audit does not stand: {what}"),
    "county_forgery": (
        "在县审计的副本里改一个字符: 离线校验立即指出第 {seq} 条",
        "One character changed in a copy: the offline verifier names record {seq}",
    ),
    "county_forgery_unseen": (
        "改过的审计副本通过了校验",
        "a forged copy of the audit was taken for a whole one",
    ),
}

_END: _Catalog = {
    "county_timeout": ("等待超时", "nothing came in time"),
    "county_step_failed": ("失败: {why}", "Failed: {why}"),
    "county_ok": (
        "结论: 成功。三级贯通, {departments} 个部门各得其所, {cameras} 台摄像机, {records} 条审计记录校验无误, 用时 {seconds:.0f} 秒",
        (
            "Verdict: it works. Three levels as one, {departments} departments with what is theirs, "
            "{cameras} cameras, {records} audit records verified, in {seconds:.0f} s"
        ),
    ),
    "county_bad": ("结论: 失败, {why}", "Verdict: it failed, {why}"),
    "county_wait_end": ("正在停止", "Stopping"),
    "county_left": ("停止后仍占用: {what}", "Still held after the end: {what}"),
    "county_running": (
        "继续运行 {seconds:g} 秒 (Ctrl-C 结束), 可以自己试试",
        "Running on for {seconds:g} s (Ctrl-C ends it): try it yourself",
    ),
    "county_api": (
        "县网关的接口说明 (要带令牌或密钥):",
        "The county's API, described (needs a token or key):",
    ),
    "county_admin_key": ("县管理员令牌:", "The county administrator's token:"),
    "county_console": (
        "县网关的网页控制台 (用上面的令牌创建第一个账号):",
        "The county's console (make the first account with the token above):",
    ),
    "county_key": ("{name}的密钥:", "The key of {name}:"),
    "county_player": (
        "在浏览器里看那台村里的摄像机:",
        "Watch the village's camera in a browser:",
    ),
    "county_try": (
        "换不同部门的密钥代替 KEY, 看到的不一样:",
        "Put a department's key for KEY, and see what differs:",
    ),
    "county_status": (
        "剩 {left:>4} 秒  县目录 {cameras} 台  级联 {online}/3  流 {streams}  访问 {accesses}  审计 {records} 条",
        (
            "{left:>4} s left  {cameras} cameras at the county  {online}/3 links  {streams} streams  "
            "{accesses} accesses  {records} records"
        ),
    ),
}

COUNTY_TEXT: _Catalog = {**_SETUP, **_SIGHT, **_LIVE, **_AUDIT, **_END}
