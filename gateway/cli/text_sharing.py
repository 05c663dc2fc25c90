"""What the commands about platforms, sharing, policy, grants, audit and PTZ say, in Chinese and English."""

from collections.abc import Mapping

__all__ = ["SHARING_TEXT"]

_Catalog = Mapping[str, tuple[str, str]]

_OPTIONS: _Catalog = {
    "bad_subject": (
        "主体 {text} 无法识别: 用 department:编码, platform:编码, key:标识, user:姓名 或 role:角色",
        "{text} is no subject: use department:CODE, platform:CODE, key:ID, user:NAME or role:ROLE",
    ),
    "bad_objects": (
        "对象 {text} 无法识别: 用 字段=值[,值], 例如 civil_codes=3713",
        "{text} is no selection: use FIELD=VALUE[,VALUE], e.g. civil_codes=3713",
    ),
    "bad_time": (
        "时间 {text} 无法识别: 用 2026-12-01T08:00 或 +2h, +3d",
        "{text} is no time: use 2026-12-01T08:00, or +2h, +3d",
    ),
    "bad_setting": (
        "设置 {text} 无法识别: 用 名称=值",
        "{text} is no setting: use NAME=VALUE",
    ),
    "bad_address": (
        "地址 {text} 无法识别: 用 主机:端口",
        "{text} is no address: use HOST:PORT",
    ),
    "no_file": ("读不到文件 {path}: {why}", "{path} cannot be read: {why}"),
    "not_written": ("写不了文件 {path}: {why}", "{path} cannot be written: {why}"),
    "denied_by": ("依据规则: {rule}", "Decided by: {rule}"),
    "done": ("完成", "Done"),
    "deleted": ("已删除 {name}", "{name} is deleted"),
}

_PLATFORM: _Catalog = {
    "platforms": ("上级平台", "Upper platforms"),
    "platform": ("平台", "Platform"),
    "no_platforms": (
        "没有上级平台。用 gateway platforms add 编码 --address 主机:端口 添加",
        "No upper platform. Add one with gateway platforms add CODE --address HOST:PORT",
    ),
    "edition": ("版本", "Edition"),
    "next_try": ("下次尝试", "Next try"),
    "items": ("目录项", "Items"),
    "subscriptions": ("订阅", "Subscriptions"),
    "password": ("密码", "Password"),
    "set": ("已设置", "set"),
    "unset": ("未设置", "not set"),
    "zone": ("网络区域", "Zone"),
    "tree": ("目录结构", "Tree"),
    "id_mode": ("编码方式", "Codes"),
    "platform_exists": (
        "平台 {name} 已存在; 用 gateway platforms edit 修改",
        "Platform {name} exists; change it with gateway platforms edit",
    ),
    "saved": ("已保存 {name}", "{name} is saved"),
    "trial_ok": ("注册测试成功", "The registration works"),
    "trial_bad": ("注册测试失败", "The registration does not work"),
    "step": ("步骤", "Step"),
    "result": ("结果", "Result"),
    "granted_for": ("授予有效期 {seconds} 秒", "Granted for {seconds} s"),
    "clock_off": (
        "平台时钟与本机相差 {seconds:+.1f} 秒",
        "The platform's clock differs from ours by {seconds:+.1f} s",
    ),
    "catalog": ("将发送的目录", "Catalogue that would be sent"),
    "empty_catalog": (
        "目录为空: 检查策略 (gateway policy would-see --for platform:编码)",
        "The catalogue is empty: look at the policy (gateway policy would-see --for platform:CODE)",
    ),
    "parent": ("上级节点", "Parent"),
    "shared_code": ("平台所见编码", "Code there"),
    "own_code": ("本域编码", "Our code"),
    "shared_now": ("当前共享", "Shared now"),
    "no_codes": ("还没有分配编码", "No code was given out yet"),
    "bridges": ("送往上级平台的流", "Streams to upper platforms"),
    "no_bridges": ("没有送往上级平台的流", "No stream to an upper platform since the start"),
    "running": ("运行中", "running"),
    "nodes": ("自定义节点", "Nodes"),
    "select": ("选择", "Selects"),
}

_SHARE: _Catalog = {
    "departments": ("部门", "Departments"),
    "department": ("部门", "Department"),
    "no_departments": (
        "没有部门。用 gateway share department 编码 --name 名称 添加",
        "No department. Add one with gateway share department CODE --name NAME",
    ),
    "contact": ("联系人", "Contact"),
    "keys": ("API 密钥", "API keys"),
    "key": ("密钥", "Key"),
    "owner": ("所有者", "Owner"),
    "scopes": ("权限范围", "Scopes"),
    "quota": ("配额", "Quota"),
    "quota_of": ("{rate} 次/分, {streams} 路", "{rate}/min, {streams} streams"),
    "no_keys": (
        "没有密钥。用 gateway share key-add --department 编码 --scope live 添加",
        "No key. Add one with gateway share key-add --department CODE --scope live",
    ),
    "key_once": (
        "密钥只显示这一次, 请保存:",
        "The secret is shown only this once, keep it:",
    ),
    "usable": ("可用", "usable"),
    "disabled": ("停用", "disabled"),
    "expired": ("过期", "expired"),
    "webhooks": ("回调", "Webhooks"),
    "no_webhooks": ("没有回调", "No webhook"),
    "url": ("地址", "URL"),
    "events": ("事件", "Events"),
    "waiting": ("待发", "Waiting"),
    "delivered": ("已发", "Delivered"),
    "failing": ("失败 {count} 次: {error}", "failed {count} times: {error}"),
    "accesses": ("正在访问", "Watching now"),
    "access": ("访问", "Access"),
    "who": ("主体", "Who"),
    "action": ("动作", "Action"),
    "purpose": ("事由", "Purpose"),
    "nobody_watches": ("当前没有人在访问", "Nobody watches anything now"),
    "ended": ("已结束 {name}", "{name} is ended"),
    "usage": ("用量", "Usage"),
    "no_usage": ("还没有访问", "No access since the start"),
    "allowed": ("允许", "Allowed"),
    "denied": ("拒绝", "Denied"),
    "last": ("最近", "Last"),
}

_POLICY: _Catalog = {
    "policy": ("共享策略", "Sharing policy"),
    "version": ("版本", "Version"),
    "no_policy": (
        "没有应用过策略: 只有内置规则有效, 域外一律拒绝",
        "No policy was ever applied: only built-in rules hold, everybody outside is refused",
    ),
    "rules": ("规则", "Rules"),
    "grants_and_stops": (
        "{grants} 个授权生效, {stops} 个强制停止",
        "{grants} grants in force, {stops} forced stops",
    ),
    "policy_problem": ("策略未生效: {why}", "The policy is not in force: {why}"),
    "remark": ("提示: 第 {line} 行 {key} {reason}", "Note: line {line} {key} {reason}"),
    "policy_ok": ("策略可用: {rules} 条规则", "The policy is fine: {rules} rules"),
    "policy_bad": (
        "策略有 {count} 处错误, 未采用:",
        "The policy has {count} mistakes and was not taken:",
    ),
    "applied": ("版本 {number} 已生效", "Version {number} is in force"),
    "author": ("作者", "Author"),
    "comment": ("说明", "Comment"),
    "active": ("生效", "Active"),
    "size": ("大小", "Size"),
    "no_versions": ("没有版本", "No versions"),
    "diff_of": ("版本 {before} → {after}", "Version {before} → {after}"),
    "no_difference": ("没有差别", "Nothing differs"),
    "added": ("新增", "added"),
    "removed": ("删除", "removed"),
    "changed": ("修改", "changed"),
    "would_see": (
        "{who} 可见 {allowed} 个, 不可见 {denied} 个",
        "{who} would see {allowed} channels and not see {denied}",
    ),
    "decision": ("决定", "Decision"),
    "rule": ("规则", "Rule"),
    "yes": ("允许", "allowed"),
    "no": ("拒绝", "denied"),
    "effect": ("效果", "Effect"),
    "matches": ("是否匹配", "Matches"),
    "line": ("行", "Line"),
    "decides": ("决定", "decides"),
    "why_not": ("不匹配之处", "What does not match"),
    "facts": ("判断依据", "What rules look at"),
    "nothing_changes": ("没有通道的权限变化", "Nothing changes for anybody"),
    "changes_of": ("{count} 处变化", "{count} changes"),
}

_GRANT: _Catalog = {
    "grants": ("授权", "Grants"),
    "grant": ("授权", "Grant"),
    "no_grants": ("没有授权申请", "No grants or applications"),
    "objects": ("对象", "Objects"),
    "every_channel": ("全部通道", "every channel"),
    "until": ("截止", "Until"),
    "from": ("开始", "From"),
    "applicant": ("申请人", "Applicant"),
    "answer_by": ("答复期限", "Answer by"),
    "overdue": ("逾期未答复", "overdue"),
    "emergency": ("应急", "emergency"),
    "reviewed": ("已复核", "reviewed"),
    "decided": ("决定人", "Decided by"),
    "obligations": ("义务", "Obligations"),
    "ticket": ("工单", "Ticket"),
    "stops": ("强制停止", "Forced stops"),
    "stop": ("强制停止", "Forced stop"),
    "no_stops": ("没有强制停止", "No forced stop"),
    "in_force": ("有效", "in force"),
    "lifted": ("已解除", "lifted"),
    "ordered": (
        "强制停止 {name} 已生效, 结束 {count} 个访问",
        "Stop {name} is in force, {count} accesses ended",
    ),
    "say_what": (
        "指明停止谁 (--for) 或什么 (-o), 或用 --everything 停止全部",
        "Say whom (--for) or what (-o) to stop, or --everything",
    ),
}

_AUDIT: _Catalog = {
    "audit": ("审计", "Audit"),
    "no_records": ("没有符合条件的记录", "No record matches"),
    "more_records": ("还有更多: --offset {offset}", "There are more: --offset {offset}"),
    "not_complete": (
        "只查到 {time} 为止; 继续用 --until {time}",
        "Searched back to {time} only; go on with --until {time}",
    ),
    "object": ("对象", "Object"),
    "duration": ("时长", "Duration"),
    "lasting": ("进行中", "lasting"),
    "exported": ("已导出 {size} 字节到 {path}", "{size} bytes are in {path}"),
    "verify_ok": (
        "审计完整: {lines} 行, {records} 条记录",
        "The audit is sound: {lines} lines, {records} records",
    ),
    "verify_bad": ("审计有 {count} 处问题", "The audit has {count} faults"),
    "no_audit": ("{path} 不存在", "{path} does not exist"),
    "bad_anchor": ("期望的记录应为 序号:散列", "An expected line is SEQ:HASH"),
    "anchored": ("期望的记录在链上", "The line that was expected stands there"),
    "proven": ("已证明", "Proven"),
    "unsigned_lines": (
        "最后一次签名之后有 {count} 行, 仅凭这些文件不能证明其完整",
        "{count} lines follow the last signature; these files alone do not prove them",
    ),
    "signed_at": ("最后签名", "Last signed"),
    "anchor_now": ("锚点 (请另存)", "Anchor (note it elsewhere)"),
    "fingerprint": ("签名密钥", "Signing key"),
    "gaps": ("缺口", "Gaps"),
    "lost_records": (
        "{lost} 条记录未写入 ({since} - {until})",
        "{lost} records lost ({since} to {until})",
    ),
    "segments": ("文件", "Files"),
    "records": ("记录", "Records"),
    "first_record": ("最早记录", "First record"),
    "audit_bad": ("审计不可用: {why}", "Nothing is recorded: {why}"),
}

_PTZ: _Catalog = {
    "sent": ("已发送 {frame}", "Sent {frame}"),
    "stops_after": (", {seconds:g} 秒后自动停止", ", stops by itself after {seconds:g} s"),
    "control_sent": ("已发送", "Sent"),
    "control_answer": ("设备应答: {result}", "The device answered {result}"),
    "control_failed": ("设备应答失败: {result}", "The device refused: {result}"),
    "no_motion": ("至少给出一个方向", "Name at least one direction"),
}

SHARING_TEXT: _Catalog = {
    **_OPTIONS,
    **_PLATFORM,
    **_SHARE,
    **_POLICY,
    **_GRANT,
    **_AUDIT,
    **_PTZ,
}
