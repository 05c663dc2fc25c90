// One application: what was asked for, by whom and why, what became of it, and the answers that can be given.

import { View, define, h } from "../lib/element.js";
import { api, isAbort } from "../lib/api.js";
import { dateTime, words } from "../lib/i18n.js";
import { link } from "../lib/route.js";
import { isLocal, may } from "../lib/session.js";
import { button, card, errorState, facts, notice, pageHead, skeleton, timeline } from "../lib/ui.js";
import { confirm, formDialog } from "../components/dialog.js";
import { approveGrant } from "../components/grant-form.js";
import { answerText, grantBadges, grantState, lastsText } from "../components/grant-words.js";
import { actionBadges, actionsText, labelText, objectsText, obligationTexts, subjectText } from "../components/sharing-words.js";
import { loadParties } from "../components/subject-field.js";
import { since } from "../components/since.js";
import { toast } from "../components/toast.js";

export const strings = {
  zh: {
    "crumb": "共享申请", "asked": "申请内容", "history": "经过", "who": "为谁", "actions": "操作", "objects": "通道", "purpose": "事由", "ticket": "工单号", "from": "开始", "from.now": "批准后立即", "until": "有效至", "answer": "答复期限", "obligations": "附带条件", "no.obligations": "无", "id": "编号",
    "remark": "答复意见", "approve": "批准…", "refuse": "拒绝", "revoke": "撤销授权", "review": "复核", "withdraw": "撤回申请", "refuse.title": "拒绝申请？", "refuse.why": "理由", "refuse.hint": "申请人会看到。", "revoke.title": "撤销授权？", "revoke.text": "立即生效：正在观看的画面会中断。", "revoke.why": "理由",
    "review.title": "复核应急授权", "review.intro": "确认这次应急授权有正当理由，或写明问题。复核写入审计。", "review.why": "复核意见", "withdraw.title": "撤回申请？", "withdraw.text": "撤回后需要时可重新申请。", "done.approve": "已批准", "done.refuse": "已拒绝", "done.revoke": "授权已撤销", "done.review": "已复核", "done.withdraw": "申请已撤回",
    "is.overdue": "此申请已逾期", "is.overdue.do": "请尽快答复。", "to.review": "此应急授权尚未复核", "to.review.do": "请核对事由后复核。", "event.applied": "{who} 提交申请", "event.emergency": "{who} 应急授权", "event.approved": "{who} 批准", "event.refused": "{who} 拒绝", "event.ended": "{who} 结束", "event.withdrawn": "{who} 撤回",
    "event.revoked": "{who} 撤销", "event.expired": "到期结束", "event.reviewed": "{who} 复核", "none.why": "请填写理由",
  },
  en: {
    "crumb": "Applications", "asked": "What is asked for", "history": "History", "who": "For whom", "actions": "Actions", "objects": "Channels", "purpose": "Purpose", "ticket": "Ticket",
    "from": "From", "from.now": "as soon as approved", "until": "Until", "answer": "To be answered", "obligations": "Conditions", "no.obligations": "None", "id": "Number", "remark": "Remark",
    "approve": "Approve…", "refuse": "Refuse", "revoke": "Revoke", "review": "Review", "withdraw": "Take back", "refuse.title": "Refuse the application?", "refuse.why": "Reason",
    "refuse.hint": "The applicant sees it.", "revoke.title": "Revoke the grant?", "revoke.text": "At once: what is being watched ends.", "revoke.why": "Reason",
    "review.title": "Review the emergency access", "review.intro": "Confirm that there was good reason, or say what was not right. It goes on record.", "review.why": "Remark",
    "withdraw.title": "Take the application back?", "withdraw.text": "You can apply again.", "done.approve": "Approved", "done.refuse": "Refused", "done.revoke": "The grant is revoked",
    "done.review": "Reviewed", "done.withdraw": "Taken back", "is.overdue": "This application is overdue", "is.overdue.do": "Answer it now.", "to.review": "This emergency access is not reviewed",
    "to.review.do": "Look at its purpose and review it.", "event.applied": "{who} applied", "event.emergency": "{who} granted it in an emergency", "event.approved": "{who} approved it",
    "event.refused": "{who} refused it", "event.ended": "{who} ended it", "event.withdrawn": "{who} took it back", "event.revoked": "{who} revoked it", "event.expired": "It expired",
    "event.reviewed": "{who} reviewed it", "none.why": "Give a reason",
  },
};
const t = words(strings);

const EVERY = 5_000; // milliseconds

export default define("page-application", class extends View {
  #grant = null;
  #error = null;
  #names = new Map();

  get #path() {
    return `grants/${encodeURIComponent(this.route.params.grant)}`;
  }

  start() {
    if (isLocal()) loadParties(this.signal).then(({ names }) => { this.#names = names; this.update(); }, () => {});
    this.every(EVERY, () => this.#load());
  }

  routed() {
    if (this.#grant?.grant_id !== this.route.params.grant) this.#grant = null;
    this.#load();
  }

  async #load() {
    try {
      this.#grant = await api.get(this.#path, { signal: this.signal });
      this.#error = null;
    } catch (error) {
      if (isAbort(error)) return;
      this.#error = error;
    }
    this.update();
  }

  #done(what, grant) {
    if (!grant) return;
    toast(t(`done.${what}`));
    this.#load();
  }

  async #remark(what, { required = false, kind = "primary", intro = null } = {}) {
    const done = await formDialog({
      title: t(`${what}.title`), intro, submit: t(what), kind,
      fields: () => [{ name: "remark", id: "remark", label: t(`${what}.why`), maxlength: 500, required, hint: what === "refuse" ? t("refuse.hint") : null }],
      check: ({ remark }) => (required && !remark.trim() ? { remark: t("none.why") } : {}), save: ({ remark }) => api.post(`${this.#path}/${what}`, { remark: remark.trim() }),
    });
    this.#done(what, done);
  }

  async #withdraw() {
    const yes = await confirm({ title: t("withdraw.title"), text: t("withdraw.text"), yes: t("withdraw"), act: () => api.post(`${this.#path}/withdraw`) });
    this.#done("withdraw", yes);
  }

  render() {
    const grant = this.#grant;
    const crumbs = [[t("crumb"), link("applications")]];
    if (!grant) return h("div", { class: "page" }, pageHead({ crumbs, title: this.route.params.grant }), this.#error ? errorState(this.#error, { retry: () => this.#load() }) : skeleton(8));
    const unreviewed = grant.emergency && !grant.reviewed_by;
    return h("div", { class: "page" },
      pageHead({
        crumbs, title: `${isLocal() ? subjectText(grant.subject, this.#names) : actionsText(grant.actions)}`, note: [grantState(grant), grantBadges(grant), since(grant.applied_at)], aside: this.#answers(grant, unreviewed),
      }),
      grant.overdue && isLocal() ? notice(t("is.overdue.do"), "bad", { title: t("is.overdue") }) : null,
      unreviewed && isLocal() ? notice(t("to.review.do"), "warn", { title: t("to.review") }) : null,
      grant.remark && grant.state !== "applied" ? notice(grant.remark, grant.state === "active" ? "good" : "info", { title: t("remark") }) : null,
      h("div", { class: "columns" }, this.#asked(grant), card({ title: t("history") }, timeline(history(grant)))));
  }

  #answers(grant, unreviewed) {
    const admin = may("admin");
    return [
      grant.state === "applied" && admin && button(t("approve"), { kind: "primary", icon: "check", onclick: async () => this.#done("approve", await approveGrant(grant)) }),
      grant.state === "applied" && admin && button(t("refuse"), { icon: "close", onclick: () => this.#remark("refuse", { required: true }) }),
      grant.state === "applied" && !isLocal() && button(t("withdraw"), { icon: "close", onclick: () => this.#withdraw() }),
      unreviewed && admin && button(t("review"), { kind: "primary", icon: "check", onclick: () => this.#remark("review", { intro: t("review.intro") }) }),
      grant.state === "active" && admin && button(t("revoke"), { kind: "danger", icon: "stop", onclick: () => this.#remark("revoke", { required: true, kind: "danger", intro: t("revoke.text") }) }),
    ];
  }

  #asked(grant) {
    const duties = obligationTexts(grant.obligations);
    return card({ title: t("asked") }, facts([
      [t("who"), subjectText(grant.subject, this.#names)],
      [t("actions"), actionBadges(grant.actions)],
      [t("objects"), objectsText(grant.objects)],
      [t("purpose"), grant.purpose],
      [t("ticket"), grant.ticket],
      [t("from"), grant.valid_from ? dateTime(grant.valid_from, { full: true }) : t("from.now")],
      [t("until"), lastsText(grant)],
      grant.state === "applied" && [t("answer"), h("span", null, dateTime(grant.answer_by, { full: true }), " · ", answerText(grant))],
      [t("obligations"), duties.join(" · ") || t("no.obligations")],
      [t("id"), h("span", { class: "mono" }, grant.grant_id)],
    ]));
  }
});

/** What happened, newest first. */
function history(grant) {
  const entry = (at, key, who, tone, detail = "") => ({ at, key, when: dateTime(at, { full: true }), title: t(`event.${key}`, { who: labelText(who) }), tone, detail });
  const found = [grant.emergency ? entry(grant.applied_at, "emergency", grant.applicant, "warn", grant.purpose) : entry(grant.applied_at, "applied", grant.applicant, "info", grant.purpose)];
  if (grant.decided_at && !grant.emergency) found.push(entry(grant.decided_at, grant.state === "refused" ? "refused" : "approved", grant.decided_by, grant.state === "refused" ? "bad" : "good"));
  if (grant.ended_at) {
    const key = { withdrawn: "withdrawn", revoked: "revoked", expired: "expired" }[grant.state] || "ended";
    found.push(entry(grant.ended_at, key, grant.ended_by, key === "revoked" ? "bad" : "neutral"));
  }
  if (grant.reviewed_at) found.push(entry(grant.reviewed_at, "reviewed", grant.reviewed_by, "good"));
  return found.sort((one, other) => new Date(other.at) - new Date(one.at));
}
