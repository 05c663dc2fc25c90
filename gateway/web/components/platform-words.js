// Words of upper platforms: states, reasons, what to do, what happened; and how a platform's state looks.

import { h } from "../lib/element.js";
import { said } from "../lib/codes.js";
import { currentLanguage, day, duration, number, timeOfDay, words } from "../lib/i18n.js";
import { badge, status, technical, timeline } from "../lib/ui.js";

export const strings = {
  zh: {
    "state.disabled": "已停用", "state.connecting": "正在连接", "state.registering": "正在注册", "state.online": "在线", "state.waiting": "未注册",
    "reason.no_answer": "平台没有应答", "reason.unreachable": "连接不上平台", "reason.tls_failed": "TLS 握手失败", "reason.wrong_password": "密码或用户名不正确",
    "reason.no_password": "平台要求密码，但没有配置", "reason.challenge_unusable": "平台的认证方式无法应答", "reason.redirected": "平台要求改到其他地址",
    "reason.connection_lost": "连接断开", "reason.keepalive_missed": "心跳没有应答", "reason.keepalive_refused": "平台拒绝了心跳", "reason.stopped": "链路已停止",
    "reason.internal_error": "网关内部错误", "reason.refused_403": "平台拒绝注册（403）", "reason.refused_404": "平台不认识所用编码（404）",
    "reason.refused_405": "对方不是注册服务器（405）", "reason.refused_423": "平台要求更长的有效期（423）", "reason.refused_480": "平台暂不可用（480）",
    "reason.refused_503": "平台过载或维护中（503）", "reason.refused": "平台拒绝注册（{n}）",
    "do.no_answer": "检查地址、端口和防火墙；确认平台已启动。", "do.unreachable": "检查网络和地址。", "do.tls_failed": "检查证书和 CA 文件，或确认平台支持 TLS。",
    "do.wrong_password": "向上级核对密码和认证用户名。", "do.no_password": "填写上级分配的密码。", "do.redirected": "填写新地址，或把版本设为 2022。",
    "do.refused_403": "确认上级已登记本级编码；有的平台密码错误也回 403。", "do.refused_404": "核对上级编码、本级编码和 SIP 域。", "do.refused_405": "核对地址和端口。",
    "do.refused_423": "加大注册有效期。", "do.connection_lost": "将自动重连；反复断开请检查网络。", "do.keepalive_missed": "检查到平台的网络。",
    "do.keepalive_refused": "平台可能已重启，将自动重新注册。",
    "event.registered": "注册成功", "event.register_failed": "注册失败", "event.offline": "离线", "event.keepalive_missed": "心跳缺失",
    "event.failed_over": "切换地址", "event.queried": "查询", "event.subscribed": "订阅", "event.unsubscribed": "订阅结束", "event.session_ended": "点播异常结束",
    "event.refused": "拒绝请求", "event.message_failed": "消息发送失败", "event.changed": "配置变更", "event.remark": "提示",
    "end.upper_bye": "上级已停止", "end.upper_cancelled": "上级已取消", "end.no_ack": "上级没有确认（ACK）", "end.upper_lost": "与上级的媒体中断",
    "end.source_ended": "摄像机码流结束", "end.refused": "已拒绝", "end.stopped": "已被停止", "end.answer_unusable": "上级的 SDP 无法使用", "end.shutdown": "网关关闭",
    "end.internal_error": "网关内部错误", "end.running": "正在传送",
    "say.registered": "地址 {address}，有效期 {time}", "say.catalog": "目录 {root}：{n} 项，{m} 条消息", "say.subscribed": "{kind}，{root}，有效期 {time}",
    "say.changed": "配置已修改", "say.unsupported": "{what}：不支持", "say.full": "{what}：订阅过多",
    "say.unsubscribed": "{root} 的{kind}", "say.rate": "{what}：过于频繁，每分钟只应答 {n} 次", "say.busy": "{what}：同时进行的过多，未应答",
    "say.refused": "{what}：{why}", "say.large": "消息体 {n} 字节，过大", "say.given_up": "{root} 的目录共 {n} 项，发出 {m} 条消息后放弃", "say.changes": "目录变更未能送达",
    "say.moved": "{from} → {to}", "say.sent_on": "被转到 {to}", "say.granted": "平台给出 {said}，按 {time} 处理", "say.clock": "平台时钟比本机{way} {n} 秒", "way.ahead of": "快", "way.behind": "慢", "say.missed": "第 {n} 次（共允许 {m} 次）", "say.not_shared": "{code}：未共享", "say.ended": "{code}：{reason}",
    "times": "{n} 次，自 {time}", "kind.Catalog": "目录", "kind.Alarm": "报警", "kind.MobilePosition": "位置",
    "step.connect": "连接", "step.register": "注册（REGISTER）", "step.authorize": "认证（带摘要）", "step.keepalive": "心跳", "step.deregister": "注销",
  },
  en: {
    "state.disabled": "Disabled", "state.connecting": "Connecting", "state.registering": "Registering", "state.online": "Online", "state.waiting": "Not registered",
    "reason.no_answer": "The platform does not answer", "reason.unreachable": "The platform cannot be reached", "reason.tls_failed": "TLS handshake failed",
    "reason.wrong_password": "Wrong password or user", "reason.no_password": "It wants a password and none is configured",
    "reason.challenge_unusable": "Its challenge cannot be answered", "reason.redirected": "It sends us to another address",
    "reason.connection_lost": "Connection lost", "reason.keepalive_missed": "Keepalives are not answered", "reason.keepalive_refused": "It refused a keepalive",
    "reason.stopped": "The link was ended", "reason.internal_error": "The gateway met an error of its own",
    "reason.refused_403": "It refuses to register us (403)", "reason.refused_404": "It does not know the code used (404)",
    "reason.refused_405": "No registrar listens there (405)", "reason.refused_423": "It wants a longer interval (423)",
    "reason.refused_480": "It is not available now (480)", "reason.refused_503": "It is overloaded or being maintained (503)",
    "reason.refused": "It refuses to register us ({n})",
    "do.no_answer": "Check address, port and firewall, and that the platform runs.", "do.unreachable": "Check the network and the address.",
    "do.tls_failed": "Check certificate and CA file, and that the platform speaks TLS.", "do.wrong_password": "Ask the upper domain for password and user.",
    "do.no_password": "Enter the password it gave you.", "do.redirected": "Enter the new address, or set edition 2022.",
    "do.refused_403": "Make sure it knows our code; some platforms answer 403 to a wrong password.",
    "do.refused_404": "Check its code, our own code and the SIP domain.", "do.refused_405": "Check address and port.",
    "do.refused_423": "Set a longer registration.", "do.connection_lost": "It is tried again by itself; check the network if this goes on.",
    "do.keepalive_missed": "Check the network to the platform.", "do.keepalive_refused": "It may have restarted; we register anew by ourselves.",
    "event.registered": "Registered", "event.register_failed": "Registration failed", "event.offline": "Went offline",
    "event.keepalive_missed": "Keepalive missed", "event.failed_over": "Went to another address", "event.queried": "Query", "event.subscribed": "Subscription",
    "event.unsubscribed": "Subscription ended", "event.session_ended": "Stream broke off", "event.refused": "Request refused",
    "event.message_failed": "Message failed", "event.changed": "Configuration changed", "event.remark": "Remark",
    "end.upper_bye": "Ended by the platform", "end.upper_cancelled": "Cancelled by the platform", "end.no_ack": "The platform sent no ACK",
    "end.upper_lost": "Media to the platform broke off", "end.source_ended": "The camera's stream ended", "end.refused": "Refused", "end.stopped": "Stopped",
    "end.answer_unusable": "The platform's SDP cannot be used", "end.shutdown": "The gateway was stopping",
    "end.internal_error": "The gateway met an error of its own", "end.running": "Running",
    "say.registered": "at {address}, for {time}", "say.catalog": "Catalogue of {root}: {n} items in {m} messages",
    "say.subscribed": "{kind} of {root}, for {time}", "say.changed": "The configuration was changed", "say.unsupported": "{what}: not supported", "say.full": "{what}: too many subscriptions",
    "say.unsubscribed": "{kind} of {root}", "say.rate": "{what} left alone: {n} a minute are answered", "say.busy": "{what} not answered: too many under way",
    "say.refused": "{what}: {why}", "say.large": "A body of {n} bytes", "say.given_up": "Catalogue of {root}, {n} items: given up after {m} messages", "say.changes": "Catalogue changes did not get through",
    "say.moved": "{from} → {to}", "say.sent_on": "Sent on to {to}", "say.granted": "It grants {said}, taken as {time}", "say.clock": "Its clock is {n} s {way}", "way.ahead of": "ahead of ours", "way.behind": "behind ours", "say.missed": "{n} of {m} allowed",
    "say.not_shared": "{code}: not shared", "say.ended": "{code}: {reason}", "times": "{n} times since {time}",
    "kind.Catalog": "Catalogue", "kind.Alarm": "Alarms", "kind.MobilePosition": "Positions",
    "step.connect": "Connect", "step.register": "REGISTER", "step.authorize": "REGISTER with digest", "step.keepalive": "Keepalive", "step.deregister": "Deregister",
  },
};
export const t = words(strings);

const STATES = { disabled: "neutral", connecting: "warn", registering: "warn", online: "good", waiting: "bad" };
const EVENTS = {
  registered: "good", register_failed: "bad", offline: "bad", keepalive_missed: "warn", failed_over: "warn", queried: "neutral", subscribed: "info",
  unsubscribed: "neutral", session_ended: "warn", refused: "warn", message_failed: "warn", changed: "info", remark: "neutral",
};

/** Why a platform is away, in words; "" if there is no reason. */
export function reasonText(reason) {
  if (!reason) return "";
  if (t.has(`reason.${reason}`)) return t(`reason.${reason}`);
  const refused = /^refused_(\d{3})$/.exec(reason);
  return refused ? t("reason.refused", { n: refused[1] }) : reason;
}

export const remedyText = (reason) => (t.has(`do.${reason}`) ? t(`do.${reason}`) : "");

/** The state of a link: a dot with words, and why. */
export function linkStatus(link) {
  const reason = link.state === "online" || link.state === "disabled" ? "" : reasonText(link.reason);
  const text = t.code("state", link.state);
  return status(reason ? `${text} · ${reason}` : text, link.state === "registering" || link.state === "connecting" ? (link.reason ? "bad" : "warn") : STATES[link.state]);
}

/** Why a stream given to a platform ended. */
export const bridgeEnd = (bridge) => (bridge.end === null
  ? status(t("end.running"), "good") : status(t.code("end", bridge.end), bridge.failure ? "bad" : "neutral"));

export const subscriptionText = (kind) => t.code("kind", kind);

/** Entries of a platform's timeline under their days. */
export function platformEvents(entries) {
  const days = [];
  for (const entry of entries) {
    const date = day(entry.at);
    if (days.at(-1)?.date !== date) days.push({ date, entries: [] });
    days.at(-1).entries.push(entry);
  }
  return h("div", { class: "stack" }, days.map(({ date, entries: list }) => h("section", { class: "stack-tight", key: date },
    h("h3", { class: "small-title muted" }, date), timeline(list.map((entry) => ({
      key: `${entry.first_at || entry.at}/${entry.kind}/${entry.detail}`, at: entry.at, when: timeOfDay(entry.at),
      title: t.code("event", entry.kind), tone: EVENTS[entry.kind], detail: described(entry),
      note: entry.count > 1 ? badge(t("times", { n: number(entry.count), time: timeOfDay(entry.first_at || entry.at) })) : null,
    }))))));
}

const FORMS = [
  ["registered", /^At (.+) for (\d+) s$/, ([, address, time]) => t("say.registered", { address, time: duration(Number(time)) })],
  ["queried", /^Catalog of (\d+): (\d+) items in (\d+) messages$/, ([, root, n, m]) => t("say.catalog", { root, n: number(Number(n)), m: number(Number(m)) })],
  ["subscribed", /^(\w+) of (\d+) for (\d+) s$/, ([, kind, root, time]) =>
    t("say.subscribed", { kind: subscriptionText(kind), root, time: duration(Number(time)) })],
  ["changed", /^The configuration was changed$/, () => t("say.changed")],
  ["keepalive_missed", /^(\d+) of (\d+): (.*)$/s, ([, n, m, rest]) => [t("say.missed", { n, m }), technical({ detail: rest })]],
  ["refused", /^(\d+): not shared$/, ([, code]) => t("say.not_shared", { code })],
  ["refused", /^(.+): not supported$/s, ([, what]) => t("say.unsupported", { what })],
  ["queried", /^(.+): not supported$/s, ([, what]) => t("say.unsupported", { what })],
  ["refused", /^(.+): too many subscriptions$/s, ([, what]) => t("say.full", { what })],
  ["refused", /^(.+) left alone: (\S+) a minute are answered$/s, ([, what, n]) => t("say.rate", { what, n })],
  ["refused", /^(.+) not answered: .*(?:under way|waiting)$/s, ([, what]) => t("say.busy", { what })],
  ["refused", /^A body of (\d+) bytes$/, ([, n]) => t("say.large", { n: number(Number(n)) })],
  ["refused", /^(.+?): ([a-z_]+): (.*)$/s, ([, what, code, rest]) => [t("say.refused", { what, why: said(code) }), technical({ detail: rest })]],
  ["unsubscribed", /^(\w+) of (\w+): (.*)$/s, ([, kind, root, rest]) => [t("say.unsubscribed", { kind: subscriptionText(kind), root }), technical({ detail: rest })]],
  ["message_failed", /^Catalog of (\w+), (\d+) items: given up after (\d+) messages: (.*)$/s, ([, root, n, m, rest]) => [t("say.given_up", { root, n: number(Number(n)), m: number(Number(m)) }), technical({ detail: rest })]],
  ["message_failed", /^Catalogue changes: (.*)$/s, ([, rest]) => [t("say.changes"), technical({ detail: rest })]],
  ["failed_over", /^(.+?) -> (.+)$/s, ([, from, to]) => t("say.moved", { from, to })],
  ["remark", /^Sent on to (.+)$/s, ([, to]) => t("say.sent_on", { to })],
  ["remark", /^It grants (\S+) s, taken as (\S+) s$/, ([, said, taken]) => t("say.granted", { said: duration(Number(said)), time: duration(Number(taken)) })],
  ["remark", /^Its clock is (\S+) s (ahead of|behind) ours$/, ([, n, way]) => t("say.clock", { n, way: t(`way.${way}`) })],
  ["session_ended", /^(\S+): (\w+): (.*)$/s, ([, code, end, rest]) => [t("say.ended", { code, reason: t.code("end", end) }), technical({ detail: rest })]],
];

/** The gateway's sentence in the reader's words where its form is known, else as it is. */
export function described({ kind, detail }) {
  if (kind === "offline" || kind === "register_failed") {
    const [, reason, rest] = /^(\w+): (.*)$/s.exec(detail) || [];
    if (reason) return [reasonText(reason), remedyText(reason) && ` · ${remedyText(reason)}`, technical({ detail: rest })];
  }
  for (const [form, pattern, say] of FORMS) {
    const found = form === kind && pattern.exec(detail);
    if (found) return say(found);
  }
  return currentLanguage() === "en" || /[\u4e00-\u9fff]/.test(detail) ? detail : technical({ detail });
}
