// Sentences of a device's timeline in the reader's words, as far as their form is known; else folded as they came.

import { currentLanguage, duration, number, words } from "../lib/i18n.js";
import { codes } from "../lib/codes.js";
import { technical } from "../lib/ui.js";

export const strings = {
  zh: {
    "session": "{channel} · {reason}（到达阶段：{stage}）", "from": "来自 {address}，有效期 {time}", "for": "有效期 {time}",
    "synced": "{total} 个通道，新增 {added}，变更 {changed}", "removed": "，减少 {gone}：{list}", "kept": "，应答不完整，{gone} 个未出现的通道予以保留：{list}",
    "secret.set": "已设置专用密码", "secret.removed": "已取消专用密码", "settings": "设置：{list}", "settings.none": "全部恢复默认",
    "auth": "{why}（来自 {address}）", "auth.wrong password": "密码错误", "auth.no password is set for this device": "没有为此设备设置密码",
    "auth.malformed Authorization": "Authorization 头格式错误", "auth.not Digest": "认证方式不是 Digest", "auth.username is not the device id": "用户名不是设备编码",
    "auth.wrong realm": "SIP 域（realm）不符", "auth.algorithm was not offered": "使用了未提供的算法", "auth.nonce has expired": "nonce 已过期",
    "auth.nonce was not issued to this device": "nonce 不是发给此设备的", "auth.nonce was used before": "nonce 已被使用过（重放）", "auth.REGISTER without Contact": "REGISTER 缺少 Contact",
    "moved": "{from} → {to}", "moved.refused": "{from} → {to}：只有重新注册才能改变设备地址", "missed": "连续缺失 {n} 次（允许 {m} 次），应每 {time} 一次",
    "fault": "故障项：{list}", "fault.self": "设备自身", "sub.begun": "{kind}：已订阅，有效期 {time}", "sub.ended": "{kind}：订阅已结束", "sub.failed": "{kind}：订阅失败，{time}后重试", "sub.none": "{kind}：设备不支持订阅",
    "sub.Catalog": "目录", "sub.Alarm": "报警", "catalog.short": "只收到 {n} / {m} 项，设备随后没有再发", "catalog.none": "设备应答了查询，但没有发送目录", "catalog.empty": "设备称目录为空",
    "catalog.slow": "只收到 {n} / {m} 项，速度太慢，不再等待", "catalog.many": "设备发送的目录超过 {n} 项，其余已丢弃", "catalog.gone": "收到 {n} 项后设备离线",
    "publisher.came": "{channel}：推流方 {host} 已连接", "source": "{channel}：{reason}",
  },
  en: {
    "session": "{channel} · {reason} (reached: {stage})", "from": "from {address}, for {time}", "for": "for {time}",
    "synced": "{total} channels, {added} new, {changed} changed", "removed": ", {gone} gone: {list}", "kept": ", {gone} missing in an incomplete answer and kept: {list}",
    "secret.set": "Its own password was set", "secret.removed": "Its own password was removed", "settings": "Settings: {list}", "settings.none": "all defaults",
    "auth": "{why} (from {address})", "auth.wrong password": "wrong password", "auth.no password is set for this device": "no password is set for this device",
    "auth.malformed Authorization": "malformed Authorization", "auth.not Digest": "not Digest", "auth.username is not the device id": "the user name is not the device's code",
    "auth.wrong realm": "wrong realm", "auth.algorithm was not offered": "the algorithm was not offered", "auth.nonce has expired": "the nonce has expired",
    "auth.nonce was not issued to this device": "the nonce was not issued to this device", "auth.nonce was used before": "the nonce was used before (replay)", "auth.REGISTER without Contact": "REGISTER without Contact",
    "moved": "{from} → {to}", "moved.refused": "{from} → {to}: only a REGISTER may move the device", "missed": "{n} in a row of {m} allowed; one is due every {time}",
    "fault": "Faulty: {list}", "fault.self": "the device itself", "sub.begun": "{kind}: subscribed, for {time}", "sub.ended": "{kind}: subscription ended", "sub.failed": "{kind}: failed, again in {time}", "sub.none": "{kind}: the device does not offer it",
    "sub.Catalog": "Catalogue", "sub.Alarm": "Alarms", "catalog.short": "only {n} of {m} items came, then the device fell silent", "catalog.none": "the device acknowledged the query but sent no catalogue", "catalog.empty": "the device says that its catalogue is empty",
    "catalog.slow": "{n} of {m} items, too slowly to wait for the rest", "catalog.many": "more than {n} items; the rest was dropped", "catalog.gone": "the device went away after {n} items",
    "publisher.came": "{channel}: a publisher came from {host}", "source": "{channel}: {reason}",
  },
};
const t = words(strings);

const time = (seconds) => duration(Number(seconds));
const kindOf = (kind) => t.code("sub", kind);
const more = (sentence) => sentence && technical({ detail: sentence });

const FORMS = [
  ["session_ended", /^(\S+): (\w+) after (\w+): ?(.*)$/s, ([, channel, reason, stage, rest]) => [t("session", { channel, reason: codes.code("end", reason), stage: codes.code("stage", stage) }), more(rest)]],
  ["offline", /^(\w+): ?(.*)$/s, ([, reason, rest]) => [codes.code("offline", reason), more(rest)]],
  ["registered", /^from (.+) for (\d+) s$/, ([, address, seconds]) => t("from", { address, time: time(seconds) })],
  ["refreshed", /^for (\d+) s$/, ([, seconds]) => t("for", { time: time(seconds) })],
  ["rebooted", /^for (\d+) s$/, ([, seconds]) => t("for", { time: time(seconds) })],
  ["catalog_synced", /^(\d+) channels, (\d+) new, (\d+) changed$/, ([, ...n]) => synced(n)],
  ["catalog_shrunk", /^(\d+) channels, (\d+) new, (\d+) changed, (\d+) (removed|missing)[^:]*: (.*)$/s,
    ([, total, added, changed, gone, fate, list]) => synced([total, added, changed]) + t(fate === "removed" ? "removed" : "kept", { gone: number(Number(gone)), list })],
  ["catalog_failed", /^received only (\d+) of (.+?) items/, ([, n, m]) => t("catalog.short", { n, m: /^\d+$/.test(m) ? m : "?" })],
  ["catalog_failed", /^received (\d+) of (.+?) items, too slowly/, ([, n, m]) => t("catalog.slow", { n, m: /^\d+$/.test(m) ? m : "?" })],
  ["catalog_failed", /^the device acknowledged the query/, () => t("catalog.none")],
  ["catalog_failed", /^the device says that its catalogue is empty/, () => t("catalog.empty")],
  ["catalog_failed", /^the device sent more than (\d+) items/, ([, n]) => t("catalog.many", { n: number(Number(n)) })],
  ["catalog_failed", /^ended after (\d+) items because the device went away/, ([, n]) => t("catalog.gone", { n })],
  ["auth_failed", /^(.+) \(from ([^()]+)\)$/s, ([, why, address]) => t("auth", { why: t.code("auth", why), address })],
  ["address_refused", /^(.+?) -> (.+?): only a REGISTER/, ([, from, to]) => t("moved.refused", { from, to })],
  ["address_changed", /^(.+?) -> (.+?)(?: \(\w+\))?$/, ([, from, to]) => t("moved", { from, to })],
  ["keepalive_missed", /^(\d+) of (\d+) in a row, one is due every (\S+) s$/, ([, n, m, every]) => t("missed", { n, m, time: time(every) })],
  ["keepalive_fault", /^fault reported: (.+)$/s, ([, list]) => t("fault", { list: list === "the device itself" ? t("fault.self") : list })],
  ["subscription", /^(\w+) subscribed for (\S+) s$/, ([, kind, seconds]) => t("sub.begun", { kind: kindOf(kind), time: time(seconds) })],
  ["subscription", /^(\w+) ended: (.*)$/s, ([, kind, rest]) => [t("sub.ended", { kind: kindOf(kind) }), more(rest)]],
  ["subscription", /^(\w+) failed, again in (\d+) s: (.*)$/s, ([, kind, seconds, rest]) => [t("sub.failed", { kind: kindOf(kind), time: time(seconds) }), more(rest)]],
  ["subscription", /^(\w+) not offered: (.*)$/s, ([, kind, rest]) => [t("sub.none", { kind: kindOf(kind) }), more(rest)]],
  ["settings_changed", /^secret (set|removed)$/, ([, what]) => t(`secret.${what}`)],
  ["settings_changed", /^settings: (.*)$/s, ([, list]) => t("settings", { list: list === "all defaults" ? t("settings.none") : list })],
  ["source_changed", /^(\S+): a publisher came from (.+)$/s, ([, channel, host]) => t("publisher.came", { channel, host })],
  ["source_changed", /^(\S+): (\w+): ?(.*)$/s, ([, channel, reason, rest]) => [t("source", { channel, reason: codes.code("end", reason) }), more(rest)]],
];

const synced = ([total, added, changed]) => t("synced", { total: number(Number(total)), added: number(Number(added)), changed: number(Number(changed)) });

/** The form of a sentence that is known, else null. */
export function formOf(kind, detail) {
  for (const [form, pattern, say] of FORMS) {
    const found = form === kind && pattern.exec(detail);
    if (found) return () => say(found);
  }
  return null;
}

/** What an entry says, for reading. */
export function said({ kind, detail }) {
  const form = formOf(kind, detail);
  if (form) return form();
  return currentLanguage() === "en" || /[\u4e00-\u9fff]/.test(detail) ? detail : more(detail);
}
