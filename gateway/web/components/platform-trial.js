// What became of a dry registration: each step with its time, what came and what to do.

import { h } from "../lib/element.js";
import { duration, number, words } from "../lib/i18n.js";
import { badge, notice, skeleton, technical, timeline } from "../lib/ui.js";
import { reasonText, remedyText, t as platform } from "./platform-words.js";

export const strings = {
  zh: {
    "ok": "注册成功，可以保存", "failed": "注册没有成功", "running": "正在试注册：逐个地址连接、注册、心跳、注销…", "granted": "有效期 {time}", "clock": "平台时钟比本机快 {time}",
    "clock.behind": "平台时钟比本机慢 {time}", "clock.do": "请校时：时间不一致会影响认证和录像检索。", "status": "应答 {n}", "challenge": "平台要求认证",
  },
  en: {
    "ok": "Registered: this can be saved", "failed": "The registration failed", "running": "Trying each address: connect, register, keepalive, deregister…",
    "granted": "for {time}", "clock": "Its clock is {time} ahead of ours", "clock.behind": "Its clock is {time} behind ours",
    "clock.do": "Set the clocks: authentication and recordings suffer from it.", "status": "answered {n}", "challenge": "It asks for credentials",
  },
};
const t = words(strings);

const CLOCK = 5; // seconds of difference worth telling

/** The report; null while it is still tried. */
export function trialView(report) {
  if (!report) return h("section", { class: "trial", "aria-busy": "true" }, h("p", { class: "muted" }, t("running")), skeleton(3));
  const offset = report.clock_offset;
  const away = offset !== null && Math.abs(offset) > CLOCK;
  return h("section", { class: "trial" },
    notice(report.ok && report.granted ? t("granted", { time: duration(report.granted) }) : "", report.ok ? "good" : "bad", { title: t(report.ok ? "ok" : "failed") }),
    away ? notice(t("clock.do"), "warn", { title: t(offset > 0 ? "clock" : "clock.behind", { time: duration(Math.abs(offset)) }) }) : null,
    addresses(report.steps).map(([address, steps]) => h("section", { class: "stack-tight", key: address },
      h("h3", { class: "small-title mono" }, address), timeline(steps.map(entry)))));
}

function addresses(steps) {
  const found = new Map();
  for (const step of steps) found.set(step.address, [...(found.get(step.address) || []), step]);
  return [...found];
}

function entry(step, index) {
  const challenge = step.ok && step.status === 401;
  return {
    key: `${step.address}/${index}`, title: platform.code("step", step.name), tone: step.ok ? (challenge ? "info" : "good") : "bad",
    when: `+${number(step.at, 3)} s`, note: step.status ? badge(t("status", { n: step.status }), step.ok ? "neutral" : "bad") : null,
    detail: [
      step.ok ? (challenge ? t("challenge") : null) : h("strong", null, reasonText(step.reason)),
      !step.ok && remedyText(step.reason) ? h("p", null, remedyText(step.reason)) : null,
      step.detail ? technical({ detail: step.detail }) : null,
    ],
  };
}
