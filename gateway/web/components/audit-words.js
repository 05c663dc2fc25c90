// Words of the audit: kinds, what was done, results, faults and their places.

import { denied, said } from "../lib/codes.js";
import { words } from "../lib/i18n.js";
import { t as sharing } from "./sharing-words.js";

export const strings = {
  zh: {
    "kind.access": "调阅", "kind.end": "调阅结束", "kind.policy": "共享策略", "kind.grant": "申请与授权", "kind.stop": "强制停止", "kind.platform": "上级平台", "kind.key": "密钥与部门", "kind.user": "用户",
    "list.tree": "目录树", "list.channels": "通道列表", "list.sessions": "会话列表", "list.recordings/channels": "录像列表", "list.policy": "共享策略",
    "kind.push": "转推", "kind.audit": "审计自身",
    "do.create": "新建", "do.disable": "停用", "do.change": "修改", "do.delete": "删除", "do.rotate": "更换密钥", "do.order": "下达", "do.lift": "解除", "do.login": "登录", "do.logout": "退出登录", "do.authenticate": "认证", "do.search": "检索",
    "do.export": "导出", "do.started": "启动", "do.stopped": "停止", "do.retention": "按期清理", "do.apply": "生效", "do.approve": "批准", "do.reject": "驳回", "do.revoke": "撤销", "do.withdraw": "撤回", "do.emergency": "应急授权",
    "do.review": "复核", "do.expire": "到期", "do.password": "修改密码", "do.setup": "初始设置", "do.gap": "缺口",
    "result.allow": "允许", "result.deny": "拒绝", "result.ok": "成功", "result.failed": "失败", "result.interrupted": "网关中断", "result.viewer_left": "观看者离开", "result.closed": "已关闭", "result.bye": "对方挂断", "result.done": "完成",
    "fault.malformed": "有一行不是有效记录", "fault.changed": "内容被改动", "fault.missing": "缺少记录", "fault.out_of_order": "记录被插入、重复或调换", "fault.unlinked": "与前一行不衔接，其中之一被替换",
    "fault.signature": "签名错误或来自未知密钥", "fault.segment_missing": "缺少整个文件", "fault.header": "文件开头不正确", "fault.unsealed": "旧文件没有封存", "fault.seal": "封存信息与文件不符", "fault.stub": "清理后的残留不符",
    "fault.truncated": "末尾被截断", "fault.checkpoint": "最新签名的副本缺失或损坏", "fault.anchor": "与另行记下的锚点不符", "fault.manifest": "导出清单损坏", "fault.key": "没有公钥", "fault.recorded_damage": "网关启动时发现并记录了损坏",
    "fault.unreadable": "文件无法读取", "place": "文件 {segment} 第 {line} 行，记录 {seq}", "place.segment": "文件 {segment}", "place.seq": "记录 {seq}", "place.line": "文件 {segment} 第 {line} 行", "place.all": "整个审计",
  },
  en: {
    "kind.access": "Access", "kind.end": "End of access", "kind.policy": "Policy", "kind.grant": "Grants", "kind.stop": "Forced stop", "kind.platform": "Platform", "kind.key": "Keys, departments", "kind.user": "Users",
    "list.tree": "The tree", "list.channels": "List of channels", "list.sessions": "List of sessions", "list.recordings/channels": "List of recordings", "list.policy": "The policy",
    "kind.push": "Push", "kind.audit": "The audit itself",
    "do.create": "Made", "do.disable": "Disabled", "do.change": "Changed", "do.delete": "Deleted", "do.rotate": "Key changed", "do.order": "Ordered", "do.lift": "Lifted", "do.login": "Login", "do.logout": "Logout", "do.authenticate": "Authentication",
    "do.search": "Searched", "do.export": "Exported", "do.started": "Started", "do.stopped": "Stopped", "do.retention": "Retention", "do.apply": "Applied", "do.approve": "Approved", "do.reject": "Rejected", "do.revoke": "Revoked",
    "do.withdraw": "Withdrawn", "do.emergency": "Emergency", "do.review": "Reviewed", "do.expire": "Expired", "do.password": "Password changed", "do.setup": "Set-up", "do.gap": "Gap",
    "result.allow": "Allowed", "result.deny": "Refused", "result.ok": "Done", "result.failed": "Failed", "result.interrupted": "Gateway broke off", "result.viewer_left": "Viewer left", "result.closed": "Closed", "result.bye": "Hung up",
    "result.done": "Done", "fault.malformed": "A line is no record", "fault.changed": "A record was changed", "fault.missing": "Records are missing", "fault.out_of_order": "A record was inserted, repeated or swapped",
    "fault.unlinked": "A record does not follow from the one before: one was replaced", "fault.signature": "A signature is wrong or by an unknown key", "fault.segment_missing": "A whole file is missing",
    "fault.header": "A file begins wrongly", "fault.unsealed": "An older file is not sealed", "fault.seal": "A seal does not fit its file", "fault.stub": "What retention left does not fit", "fault.truncated": "The end was cut off",
    "fault.checkpoint": "The copy of the newest signature is missing or damaged", "fault.anchor": "It is not what was noted elsewhere", "fault.manifest": "The list of an export is damaged", "fault.key": "There is no public key",
    "fault.recorded_damage": "The gateway found damage when it started, and put that on record", "fault.unreadable": "A file cannot be read", "place": "File {segment}, line {line}, record {seq}", "place.segment": "File {segment}",
    "place.seq": "Record {seq}", "place.line": "File {segment}, line {line}", "place.all": "The audit as a whole",
  },
};
export const t = words(strings);

export const KINDS = ["access", "policy", "grant", "stop", "platform", "key", "user", "push", "audit"];
export const kindText = (kind) => t.code("kind", kind);

/** What was done: an action of the policy, or a change. */
export function actionText(action) {
  if (!action) return "";
  return sharing.has(`action.${action}`) ? sharing(`action.${action}`) : t.code("do", action);
}

/** How it came out. */
export function resultText(result) {
  if (!result) return "";
  return t.has(`result.${result}`) ? t(`result.${result}`) : said(result);
}

/** Why it came out so. */
export const reasonText = (row) => (row.result === "deny" ? denied(row.reason) : said(row.reason));

/** What was looked at or changed; lists have words, all else is its code. */
export const objectText = (object) => (t.has(`list.${object}`) ? t(`list.${object}`) : object);

export const resultTone = (result) => ({ allow: "good", ok: "good", deny: "bad", failed: "bad" })[result] || "neutral";
export const faultText = (code) => t.code("fault", code);

/** Where a fault is. */
export function placeText({ segment, line, seq }) {
  if (segment !== null && line !== null && seq !== null) return t("place", { segment, line, seq });
  if (segment !== null && line !== null) return t("place.line", { segment, line });
  if (segment !== null) return t("place.segment", { segment });
  return seq !== null ? t("place.seq", { seq }) : t("place.all");
}
