// Applications for access: what waits for an answer, what holds, emergencies to be reviewed. A department sees its own and applies.

import { View, define, h } from "../lib/element.js";
import { api, isAbort } from "../lib/api.js";
import { dateTime, number, words } from "../lib/i18n.js";
import { go, link } from "../lib/route.js";
import { isLocal, may } from "../lib/session.js";
import { badge, button, card, empty, notice, pageHead, tabPanel, tabs } from "../lib/ui.js";
import { loadAll } from "../components/catalog-items.js";
import { applyForGrant, grantEmergency } from "../components/grant-form.js";
import { answerText, grantBadges, grantState, lastsText } from "../components/grant-words.js";
import { actionsText, labelText, objectsText, subjectText } from "../components/sharing-words.js";
import { loadParties } from "../components/subject-field.js";
import { toast, toastError } from "../components/toast.js";
import "../components/table.js";

export const strings = {
  zh: {
    "title": "共享申请", "tabs": "申请", "waiting": "待答复", "active": "有效授权", "emergency": "应急", "over": "已结束", "apply": "申请共享", "grant": "应急授权", "applied": "申请已提交", "granted": "应急授权已生效", "overdue": "有 {n} 项申请逾期未答复",
    "unreviewed": "有 {n} 项应急授权未复核", "see": "查看", "stops": "有 {n} 项强制停止生效，相关授权暂不起作用", "col.who": "申请方", "col.actions": "操作", "col.what": "内容", "col.purpose": "事由", "col.at": "申请时间", "col.answer": "答复期限", "col.until": "有效至", "col.state": "状态", "col.given": "授权人",
    "empty.waiting": "没有待答复的申请", "empty.waiting.hint": "部门提交的申请会出现在这里，逾期的排在最前。", "empty.mine": "没有待答复的申请", "empty.mine.hint": "需要调阅更多通道时，可在此提交申请。", "empty.active": "没有有效的授权", "empty.emergency": "没有应急授权", "empty.over": "没有已结束的申请",
    "ticket": "工单 {ticket}",
  },
  en: {
    "title": "Applications", "tabs": "Applications", "waiting": "Waiting", "active": "In force", "emergency": "Emergencies", "over": "Over", "apply": "Apply for access", "grant": "Emergency access",
    "applied": "The application is on its way", "granted": "The emergency access holds", "overdue": "{n} applications are overdue", "unreviewed": "{n} emergency accesses are not reviewed",
    "see": "Show", "stops": "{n} forced stops are in force: grants they cover give nothing now", "col.who": "For", "col.actions": "Actions", "col.what": "What", "col.purpose": "Purpose", "col.at": "Applied",
    "col.answer": "To be answered", "col.until": "Until", "col.state": "State", "col.given": "Given by", "empty.waiting": "No application waits",
    "empty.waiting.hint": "What departments ask for appears here, overdue ones first.", "empty.mine": "No application waits", "empty.mine.hint": "Apply here when you need more channels.",
    "empty.active": "No grant is in force", "empty.emergency": "There was no emergency access", "empty.over": "Nothing is over yet", "ticket": "Ticket {ticket}",
  },
};
const t = words(strings);

const EVERY = 5_000; // milliseconds
const MOST = 2_000; // waiting applications are never more
const OVER = ["refused", "revoked", "expired", "withdrawn"];

export default define("page-applications", class extends View {
  #counts = null;
  #parties = { departments: [], platforms: [], names: new Map() };
  #loads = new Map();

  get #tab() {
    const { state } = this.route.query;
    return ["active", "emergency", "over"].includes(state) && (state !== "emergency" || isLocal()) ? state : "waiting";
  }

  start() {
    if (isLocal()) this.#loadParties();
    this.every(EVERY, () => this.#count());
  }

  routed() {
    this.update();
  }

  async #loadParties() {
    try {
      this.#parties = await loadParties(this.signal);
      this.update();
    } catch (error) {
      toastError(error);
    }
  }

  async #count() {
    const ask = (query) => api.get("grants", { query: { limit: 1, ...query }, signal: this.signal }).then((page) => page.total);
    try {
      const [waiting, overdue, active, unreviewed, stops] = await Promise.all([ask({ state: "applied" }), ask({ overdue: true }), ask({ state: "active" }), ask({ emergency: true, reviewed: false }),
        isLocal() ? api.get("stops", { query: { lifted: false, limit: 1 }, signal: this.signal }).then((page) => page.total) : 0]);
      this.#counts = { waiting, overdue, active, unreviewed, stops };
    } catch (error) {
      if (isAbort(error)) return;
    }
    this.update();
  }

  #loader(tab) {
    if (!this.#loads.has(tab)) {
      this.#loads.set(tab, async ({ offset, limit, signal }) => {
        const ask = (query) => (page) => api.get("grants", { query: { ...query, ...page }, signal });
        if (tab === "waiting") {
          const { items } = await loadAll(ask({ state: "applied" }), MOST);
          items.sort((one, other) => new Date(one.answer_by) - new Date(other.answer_by));
          return { items: items.slice(offset, offset + limit), total: items.length };
        }
        if (tab === "over") {
          const { items } = await loadAll(ask({}), 2 * MOST);
          const over = items.filter((item) => OVER.includes(item.state));
          return { items: over.slice(offset, offset + limit), total: over.length };
        }
        if (tab === "emergency") {
          const { items } = await loadAll(ask({ emergency: true }), 2 * MOST);
          items.sort((one, other) => Boolean(one.reviewed_by) - Boolean(other.reviewed_by) || new Date(other.applied_at) - new Date(one.applied_at));
          return { items: items.slice(offset, offset + limit), total: items.length };
        }
        return api.get("grants", { query: { state: "active", offset, limit }, signal });
      });
    }
    return this.#loads.get(tab);
  }

  async #apply() {
    const grant = await applyForGrant(this.#parties);
    if (!grant) return;
    toast(t("applied"));
    go(link("applications", grant.grant_id));
  }

  async #emergency() {
    const grant = await grantEmergency(this.#parties);
    if (!grant) return;
    toast(t("granted"), "warn");
    go(link("applications", grant.grant_id));
  }

  render() {
    const tab = this.#tab;
    const counts = this.#counts;
    const local = isLocal();
    return h("div", { class: "page" },
      pageHead({ title: t("title"), aside: [
        may("admin") && button(t("grant"), { icon: "warning", onclick: () => this.#emergency() }),
        button(t("apply"), { kind: local ? "plain" : "primary", icon: "plus", onclick: () => this.#apply() }),
      ] }),
      counts?.overdue && local && tab !== "waiting" ? notice("", "bad", { title: t("overdue", { n: number(counts.overdue) }), action: this.#show("waiting") }) : null,
      counts?.unreviewed && local && tab !== "emergency" ? notice("", "warn", { title: t("unreviewed", { n: number(counts.unreviewed) }), action: this.#show("emergency") }) : null,
      counts?.stops ? notice("", "warn", { title: t("stops", { n: number(counts.stops) }), action: button(t("see"), { small: true, onclick: () => go(link("watching", { tab: "stops" })) }) }) : null,
      tabs([["waiting", t("waiting"), counts && number(counts.waiting)], ["active", t("active"), counts && number(counts.active)], local && ["emergency", t("emergency"), counts?.unreviewed || null], ["over", t("over")]].filter(Boolean), tab,
        (id) => this.#choose(id), { label: t("tabs") }),
      tabPanel(tab, card({ flush: true }, h("gb-table", {
        key: tab, ".label": t(tab), ".live": EVERY, ".load": this.#loader(tab), ".keyOf": (row) => row.grant_id, ".hrefOf": (row) => link("applications", row.grant_id), ".columns": this.#columns(tab, local),
        ".empty": () => (tab === "waiting" ? empty({ title: t(local ? "empty.waiting" : "empty.mine"), hint: t(local ? "empty.waiting.hint" : "empty.mine.hint"), icon: "inbox" }) : empty({ title: t(`empty.${tab}`), icon: "inbox" })),
      }))));
  }

  #show(tab) {
    return button(t("see"), { small: true, onclick: () => this.#choose(tab) });
  }

  #choose(tab) {
    go(link("applications", { state: tab === "waiting" ? null : tab }), { replace: true });
  }

  #columns(tab, local) {
    const waiting = tab === "waiting";
    return [
      { id: "who", title: t(local ? "col.who" : "col.actions"), class: "wide", cell: (row) => h("div", { class: "cell-main" },
        h("a", { class: "cell-title", href: link("applications", row.grant_id) }, local ? subjectText(row.subject, this.#parties.names) : actionsText(row.actions)),
        h("span", { class: "row row-wrap badges" }, grantBadges(row), local && row.ticket ? badge(t("ticket", { ticket: row.ticket })) : null)) },
      { id: "what", title: t("col.what"), class: "wide", cell: (row) => h("div", { class: "cell-main" }, local ? h("span", null, actionsText(row.actions)) : null, h("span", { class: local ? "cell-note" : "" }, objectsText(row.objects))) },
      { id: "purpose", title: t("col.purpose"), cell: (row) => h("span", { class: "cell-break purpose" }, row.purpose) },
      waiting ? { id: "at", title: t("col.at"), hide: "phone", cell: (row) => h("span", { class: "nowrap" }, dateTime(row.applied_at)) } : null,
      waiting ? { id: "answer", title: t("col.answer"), cell: answerText } : { id: "until", title: t("col.until"), cell: lastsText },
      tab === "emergency" ? { id: "given", title: t("col.given"), cell: (row) => labelText(row.decided_by) } : null,
      { id: "state", title: t("col.state"), cell: grantState },
    ].filter(Boolean);
  }
});
