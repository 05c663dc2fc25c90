// Who watches what now; ends one access, or orders a forced stop (强制停止); the orders; how much each party uses.

import { View, define, h } from "../lib/element.js";
import { api } from "../lib/api.js";
import { number, words } from "../lib/i18n.js";
import { go, link } from "../lib/route.js";
import { may } from "../lib/session.js";
import { badge, button, empty, notice, pageHead, searchField, tabPanel, tabs } from "../lib/ui.js";
import { confirm, formDialog } from "../components/dialog.js";
import { loadParties, namesOf, viaText, whoCell, whoText } from "../components/parties.js";
import { actionText, labelText, obligationTexts, objectsText, ruleText, subjectText } from "../components/sharing-words.js";
import { since } from "../components/since.js";
import { orderStop, stopOfAccess } from "../components/stop-dialog.js";
import { toast } from "../components/toast.js";
import "../components/table.js";

export const strings = {
  zh: {
    "title": "调阅监控", "now": "正在调阅", "stops": "强制停止", "usage": "用量", "count": "{n} 路正在调阅", "find": "按用户、单位、通道、地址、事由或工单号搜索", "via": "方式", "via.all": "全部方式",
    "col.who": "谁", "col.what": "通道", "col.how": "方式", "col.since": "自", "col.why": "事由 / 工单", "col.rule": "依据", "ticket": "工单 {id}", "from": "来自 {address}",
    "end": "结束", "end.title": "结束这路调阅？", "end.text": "{who} 正在调阅 {channel}。结束后对方可以再次请求；要禁止请用强制停止。", "ended": "已结束", "gone": "这路调阅已经结束", "stop": "强制停止", "order": "强制停止",
    "empty": "现在没有人在调阅", "empty.hint": "任何单位、平台或用户一开始调阅视频，就会出现在这里。", "empty.find": "没有符合条件的调阅", "catalog": "目录",
    "in_force": "{n} 项强制停止正在生效", "see": "查看", "col.whom": "对谁", "col.objects": "停什么", "col.reason": "原因", "col.state": "状态", "col.ordered": "下达", "force": "生效中", "lifted": "已解除",
    "by": "{who}", "lift": "解除", "lift.title": "解除强制停止？", "lift.text": "{who} 将可以再次按共享策略调阅：{what}。", "lift.reason": "原因", "lift.done": "强制停止已解除",
    "stops.empty": "没有下达过强制停止", "stops.empty.hint": "强制停止立即结束调阅并拒绝新的请求，直到解除。", "col.party": "单位或平台", "col.streams": "正在调阅", "col.allowed": "允许次数", "col.denied": "拒绝次数", "col.last": "最近",
    "usage.note": "自网关启动以来", "usage.empty": "启动以来还没有外部单位或平台调阅",
  },
  en: {
    "title": "Who watches", "now": "Now", "stops": "Forced stops", "usage": "Usage", "count": "Watched now: {n}", "find": "Find by user, department, channel, address, purpose or ticket",
    "via": "Face", "via.all": "Every face", "col.who": "Who", "col.what": "Channel", "col.how": "How", "col.since": "Since", "col.why": "Purpose / ticket", "col.rule": "Allowed by",
    "ticket": "Ticket {id}", "from": "from {address}", "end": "End", "end.title": "End this access?",
    "end.text": "{who} watches {channel}. They may ask again; to forbid that, order a forced stop.", "ended": "Ended", "gone": "This access has ended already", "stop": "Forced stop",
    "order": "Forced stop", "empty": "Nobody watches now", "empty.hint": "Whoever begins to watch, inside or outside, appears here.", "empty.find": "No access fits", "catalog": "Catalogue",
    "in_force": "Forced stops in force: {n}", "see": "Show", "col.whom": "For whom", "col.objects": "What", "col.reason": "Reason", "col.state": "State", "col.ordered": "Ordered",
    "force": "In force", "lifted": "Lifted", "by": "{who}", "lift": "Lift", "lift.title": "Lift this forced stop?", "lift.text": "{who} may again have what the policy allows: {what}.",
    "lift.reason": "Reason", "lift.done": "The forced stop is lifted", "stops.empty": "No forced stop was ever ordered",
    "stops.empty.hint": "A forced stop ends what is watched at once and refuses new requests, until it is lifted.", "col.party": "Department or platform", "col.streams": "Streams now",
    "col.allowed": "Allowed", "col.denied": "Refused", "col.last": "Last", "usage.note": "Since the gateway started", "usage.empty": "Nobody outside has watched since the start",
  },
};
const t = words(strings);

const EVERY = 2_000; // milliseconds
const WAIT = 150; // milliseconds without a key before searching
const FACES = ["sip", "http", "webrtc", "rtsp", "push"];

export default define("page-watching", class extends View {
  #q = "";
  #timer = null;
  #asked = null;
  #load = null;
  #total = null;
  #stops = null; // in force
  #names = new Map();

  start() {
    this.#q = this.route.query.q || "";
    this.every(EVERY, () => this.#countStops());
    loadParties(this.signal).then((parties) => {
      this.#names = namesOf(parties);
      this.update();
    });
  }

  stop() {
    clearTimeout(this.#timer);
  }

  routed() {
    this.update();
  }

  get #tab() {
    const { tab } = this.route.query;
    return ["stops", "usage"].includes(tab) ? tab : "now";
  }

  #change(changes) {
    go(link("watching", { ...this.route.query, ...changes }), { replace: true });
  }

  async #countStops() {
    try {
      const { total } = await api.get("stops", { query: { lifted: "false", limit: 1 }, signal: this.signal });
      if (total === this.#stops) return;
      this.#stops = total;
      this.update();
    } catch { /* the table says what is wrong */ }
  }

  #loader(path, query) {
    const asked = JSON.stringify([path, query]);
    if (asked !== this.#asked) {
      this.#asked = asked;
      this.#load = ({ offset, limit, signal }) => api.get(path, { query: { ...query, offset, limit }, signal });
    }
    return this.#load;
  }

  render() {
    const tab = this.#tab;
    return h("div", { class: "page" },
      pageHead({
        title: t("title"), note: this.#total === null ? null : h("span", { role: "status" }, t("count", { n: number(this.#total) })),
        aside: may("operator") && button(t("order"), { kind: "danger", icon: "stop", onclick: () => this.#order({}) }),
      }),
      this.#stops && tab !== "stops" ? notice(t("in_force", { n: number(this.#stops) }), "warn", {
        action: button(t("see"), { small: true, onclick: () => this.#change({ tab: "stops" }) }) }) : null,
      tabs([["now", t("now")], ["stops", t("stops"), this.#stops || null], ["usage", t("usage")]], tab,
        (id) => this.#change({ tab: id === "now" ? null : id }), { label: t("title") }),
      tabPanel(tab, tab === "now" ? this.#now() : tab === "stops" ? this.#orders() : this.#usage()));
  }

  #now() {
    const { q, via = "" } = this.route.query;
    return [
      h("div", { class: "toolbar" },
        searchField({ value: this.#q, label: t("find"), oninput: (text) => {
          this.#q = text;
          clearTimeout(this.#timer);
          this.#timer = setTimeout(() => this.#change({ q: text.trim() }), WAIT);
        } }),
        h("select", { class: "input toolbar-select", "aria-label": t("via"), onchange: (event) => this.#change({ via: event.target.value }) },
          ["", ...FACES].map((face) => h("option", { value: face, selected: face === via }, face ? viaText(face) : t("via.all"))))),
      h("div", { class: "card" }, h("gb-table", {
        key: "now", ".label": t("now"), ".live": EVERY, ".load": this.#loader("accesses", { q, via }), ".keyOf": (row) => row.access_id,
        ".columns": this.#columns(), onloaded: (event) => this.#counted(event.detail.total, q || via),
        ".empty": () => (q || via ? empty({ title: t("empty.find"), icon: "search", action: button(t("clear"), { onclick: () => {
          this.#q = "";
          this.#change({ q: null, via: null });
        } }) }) : empty({ title: t("empty"), hint: t("empty.hint"), icon: "eye" })),
      })),
    ];
  }

  #counted(total, filtered) {
    if (filtered || total === this.#total) return;
    this.#total = total;
    this.update();
  }

  #columns() {
    const names = this.#names;
    return [
      { id: "who", title: t("col.who"), class: "wide", cell: (row) => whoCell(row.subject, names) },
      { id: "what", title: t("col.what"), class: "wide", cell: (row) => h("div", { class: "cell-main" },
        row.channel_id ? h("a", { class: "cell-title", href: link("channels", row.device_id, row.channel_id) }, row.name || row.channel_id)
          : h("span", { class: "cell-title" }, row.object_id || t("catalog")),
        h("span", { class: "cell-note mono" }, row.channel_id || row.object_id)) },
      { id: "how", title: t("col.how"), cell: (row) => h("div", { class: "cell-main" },
        h("span", { class: "nowrap" }, viaText(row.via), " · ", actionText(row.action)),
        row.source && h("span", { class: "cell-note mono" }, row.source)) },
      { id: "since", title: t("col.since"), cell: (row) => h("span", { class: "nowrap" }, since(row.since)) },
      { id: "why", title: t("col.why"), cell: (row) => (row.purpose || row.ticket ? h("div", { class: "cell-main" },
        row.purpose && h("span", null, row.purpose), row.ticket && h("span", { class: "cell-note" }, t("ticket", { id: row.ticket }))) : h("span", { class: "muted" }, "–")) },
      { id: "rule", title: t("col.rule"), cell: (row) => h("div", { class: "cell-main" }, h("span", null, ruleText(row.decision.rule)),
        obligationTexts(row.decision.obligations).length ? h("span", { class: "cell-note" }, obligationTexts(row.decision.obligations).join(" · ")) : null) },
      may("operator") && { id: "acts", title: "", class: "cell-acts", cell: (row) => h("div", { class: "row acts" },
        button(t("end"), { small: true, onclick: () => this.#end(row) }),
        button(t("stop"), { small: true, kind: "ghost", class: "button-bad", icon: "stop", onclick: () => this.#order(stopOfAccess(row, names)) })) },
    ].filter(Boolean);
  }

  async #end(row) {
    const [who] = whoText(row.subject, this.#names);
    let gone = false;
    const yes = await confirm({
      title: t("end.title"), text: t("end.text", { who, channel: row.name || row.channel_id || row.object_id }), yes: t("end"), danger: true,
      act: async () => {
        try {
          await api.delete(`accesses/${encodeURIComponent(row.access_id)}`);
        } catch (error) {
          if (error.status !== 404) throw error;
          gone = true;
        }
      },
    });
    if (!yes) return;
    toast(t(gone ? "gone" : "ended"), gone ? "info" : "good");
    this.querySelector("gb-table")?.reload({ quiet: true });
  }

  async #order(given) {
    if (!(await orderStop(given))) return;
    this.#countStops();
    this.querySelector("gb-table")?.reload({ quiet: true });
  }

  #orders() {
    return h("div", { class: "card" }, h("gb-table", {
      key: "stops", ".label": t("stops"), ".live": EVERY, ".load": this.#loader("stops", {}), ".keyOf": (row) => row.stop_id,
      ".empty": () => empty({ title: t("stops.empty"), hint: t("stops.empty.hint"), icon: "stop" }),
      ".columns": [
        { id: "whom", title: t("col.whom"), class: "wide", cell: (row) => h("span", { class: "cell-title" }, subjectText(row.subject, this.#names)) },
        { id: "objects", title: t("col.objects"), class: "wide", cell: (row) => objectsText(row.objects) },
        { id: "reason", title: t("col.reason"), cell: (row) => row.reason },
        { id: "ordered", title: t("col.ordered"), cell: (row) => h("div", { class: "cell-main" }, h("span", { class: "nowrap" }, since(row.ordered_at)),
          h("span", { class: "cell-note" }, labelText(row.ordered_by))) },
        { id: "state", title: t("col.state"), cell: (row) => (row.in_force ? badge(t("force"), "bad", { icon: "stop" })
          : h("div", { class: "cell-main" }, h("span", null, badge(t("lifted"))), h("span", { class: "cell-note" }, labelText(row.lifted_by), " · ", since(row.lifted_at)))) },
        may("admin") && { id: "acts", title: "", class: "cell-acts", cell: (row) => (row.in_force ? button(t("lift"), { small: true, onclick: () => this.#lift(row) }) : null) },
      ].filter(Boolean),
    }));
  }

  async #lift(row) {
    const done = await formDialog({
      title: () => t("lift.title"), intro: () => t("lift.text", { who: subjectText(row.subject, this.#names), what: objectsText(row.objects) }), submit: t("lift"),
      fields: () => [{ name: "reason", label: t("lift.reason"), maxlength: 500 }],
      save: (values) => api.post(`stops/${encodeURIComponent(row.stop_id)}/lift`, values),
    });
    if (!done) return;
    toast(t("lift.done"));
    this.#countStops();
    this.querySelector("gb-table")?.reload({ quiet: true });
  }

  #usage() {
    return [h("p", { class: "muted" }, t("usage.note")), h("div", { class: "card" }, h("gb-table", {
      key: "usage", ".label": t("usage"), ".live": EVERY, ".load": this.#usageLoader(), ".keyOf": (row) => row.party,
      ".empty": () => empty({ title: t("usage.empty"), icon: "eye" }),
      ".columns": [
        { id: "party", title: t("col.party"), class: "wide", cell: (row) => {
          const code = row.party.slice(row.party.indexOf(":") + 1);
          return h("div", { class: "cell-main" }, h("span", { class: "cell-title" }, this.#names.get(code) || labelText(row.party)),
            this.#names.has(code) && h("span", { class: "cell-note mono" }, code));
        } },
        { id: "streams", title: t("col.streams"), class: "right", cell: (row) => number(row.streams) },
        { id: "allowed", title: t("col.allowed"), class: "right", cell: (row) => number(row.allowed) },
        { id: "denied", title: t("col.denied"), class: "right", cell: (row) => number(row.denied) },
        { id: "last", title: t("col.last"), cell: (row) => (row.last_at ? since(row.last_at) : "–") },
      ],
    }))];
  }

  /** All of it comes in one answer. */
  #usageLoader() {
    if (this.#asked !== "usage") {
      this.#asked = "usage";
      this.#load = async ({ offset, limit, signal }) => {
        const { items, total } = await api.get("usage", { signal });
        return { items: items.slice(offset, offset + limit), total };
      };
    }
    return this.#load;
  }
});
