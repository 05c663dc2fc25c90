// Words of applications and grants, and how one looks.

import { h } from "../lib/element.js";
import { dateTime, duration, words } from "../lib/i18n.js";
import { isLocal } from "../lib/session.js";
import { badge, status } from "../lib/ui.js";

export const strings = {
  zh: {
    "state.applied": "待答复", "state.active": "有效", "state.refused": "已拒绝", "state.revoked": "已撤销", "state.expired": "已到期", "state.withdrawn": "已撤回", "overdue": "逾期 {time}", "left": "还剩 {time}", "emergency": "应急",
    "unreviewed": "未复核", "ends": "{time}后结束", "not.yet": "尚未开始",
  },
  en: {
    "state.applied": "Waits for an answer", "state.active": "In force", "state.refused": "Refused", "state.revoked": "Revoked", "state.expired": "Expired", "state.withdrawn": "Taken back",
    "overdue": "{time} overdue", "left": "{time} left", "emergency": "Emergency", "unreviewed": "Not reviewed", "ends": "ends in {time}", "not.yet": "not begun yet",
  },
};
const t = words(strings);

const TONES = { applied: "warn", active: "good", refused: "bad", revoked: "bad", expired: "neutral", withdrawn: "neutral" };
const rough = (seconds) => duration(seconds < 3600 ? Math.max(60, Math.floor(seconds / 60) * 60) : Math.floor(seconds / 3600) * 3600);

export const grantState = (grant) => status(t.code("state", grant.state), grant.overdue ? "bad" : TONES[grant.state]);

/** Badges that must not be overlooked. */
export const grantBadges = (grant) => [
  grant.emergency ? badge(t("emergency"), "warn", { icon: "warning" }) : null,
  grant.emergency && !grant.reviewed_by && isLocal() ? badge(t("unreviewed"), "bad") : null,
];

/** How much time there is to answer. */
export function answerText(grant) {
  const seconds = (new Date(grant.answer_by) - Date.now()) / 1000;
  return seconds < 0 ? h("strong", { class: "late" }, t("overdue", { time: rough(-seconds) })) : h("span", { class: "nowrap" }, t("left", { time: rough(seconds) }));
}

/** How long it lasts. */
export function lastsText(grant) {
  const now = Date.now();
  const seconds = (new Date(grant.until) - now) / 1000;
  const note = grant.state !== "active" ? null : grant.valid_from && new Date(grant.valid_from) > now ? t("not.yet") : seconds > 0 ? t("ends", { time: rough(seconds) }) : null;
  return h("span", { class: "cell-main" }, h("span", { class: "nowrap" }, dateTime(grant.until, { full: true })), note ? h("span", { class: "cell-note" }, note) : null);
}
