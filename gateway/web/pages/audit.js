// The audit: finding records, one in full, verifying, exporting, and what of it is to be noted elsewhere.

import { View, define, h } from "../lib/element.js";
import { api, isAbort } from "../lib/api.js";
import { dateTime, duration, number, words } from "../lib/i18n.js";
import { go, link } from "../lib/route.js";
import { may } from "../lib/session.js";
import { badge, button, card, empty, errorState, facts, field, notice, pageHead, skeleton } from "../lib/ui.js";
import { exportAudit, isoTime, localTime, showRecord, verifyAudit } from "../components/audit-acts.js";
import { KINDS, actionText, kindText, objectText, reasonText, resultText, resultTone } from "../components/audit-words.js";
import { loadParties, namesOf, viaText, whoCell } from "../components/parties.js";
import { copyField } from "../components/secret.js";
import { ACTIONS } from "../components/sharing-words.js";

export const strings = {
  zh: {
    "title": "审计", "verify": "校验", "export": "导出", "since": "从", "until": "到", "kind": "类别", "subject": "主体", "subject.hint": "编码，或 platform:编码、department:编码、user:名称", "action": "操作", "result": "结果",
    "object": "对象", "object.hint": "通道或设备编码", "text": "任意文字", "search": "检索", "reset": "清除条件", "any": "全部", "result.allow": "允许", "result.deny": "拒绝", "result.ok": "成功", "result.failed": "失败",
    "col.at": "时间", "col.who": "谁", "col.what": "做了什么", "col.object": "对象", "col.result": "结果", "open": "进行中", "open.record": "记录 {seq} 的详情", "more": "继续加载更早的记录", "further": "继续向前查找（已查到 {time}）",
    "shown": "已显示 {n} 条", "all": "已全部显示", "empty": "没有符合条件的记录", "empty.hint": "放宽时间或条件后再试。", "admin": "只有管理员可以检索、校验和导出审计。每次检索和导出都会写入审计。", "on.record": "检索和导出本身也写入审计。",
    "status": "状态", "recording": "正在记录", "not.recording": "没有在记录：{why}", "records": "记录", "first": "最早", "files": "文件", "running": "进行中的调阅", "lost": "丢失", "fingerprint": "签名公钥指纹",
    "anchor": "最后签名（锚点）", "anchor.hint": "请定期抄录或复制到别处：此前的记录从此无法不留痕迹地删改。", "unsigned": "尚未签名", "key": "下载公钥",
  },
  en: {
    "title": "Audit", "verify": "Verify", "export": "Export", "since": "From", "until": "To", "kind": "Kind", "subject": "Who", "subject.hint": "A code, or platform:CODE, department:CODE, user:NAME", "action": "What was done", "result": "Result",
    "object": "Object", "object.hint": "Code of a channel or device", "text": "Any text", "search": "Search", "reset": "Clear", "any": "Any", "result.allow": "Allowed", "result.deny": "Refused", "result.ok": "Done", "result.failed": "Failed",
    "col.at": "Time", "col.who": "Who", "col.what": "What", "col.object": "Object", "col.result": "Result", "open": "Lasts", "open.record": "Record {seq} in full", "more": "Earlier records", "further": "Look further back (so far {time})",
    "shown": "{n} shown", "all": "These are all", "empty": "No record fits", "empty.hint": "Try a longer time or fewer conditions.", "admin": "Only administrators search, verify and export the audit. Each search and export is put on record.",
    "on.record": "Searches and exports are put on record, too.", "status": "Status", "recording": "Recording", "not.recording": "Nothing is recorded: {why}", "records": "Records", "first": "Since", "files": "Files",
    "running": "Accesses that last", "lost": "Lost", "fingerprint": "Signing key", "anchor": "Last signature (anchor)", "anchor.hint": "Note it elsewhere from time to time: nothing before it can then be changed or removed unnoticed.",
    "unsigned": "Not signed yet", "key": "Public key",
  },
};
const t = words(strings);

const PAGE = 50; // records asked for at once
const EVERY = 10_000; // milliseconds
const FIELDS = ["since", "until", "kind", "subject", "action", "result", "object_id", "text"];

export default define("page-audit", class extends View {
  #status = null;
  #fault = null; // of the status
  #names = new Map();
  #found = null; // {rows, more, back_to}
  #error = null;
  #busy = false;
  #asking = null;

  start() {
    this.every(EVERY, () => this.#ask());
    if (!may("admin")) return;
    loadParties(this.signal).then((parties) => {
      this.#names = namesOf(parties);
      this.update();
    });
    this.#search();
  }

  routed() {
    this.#search();
  }

  async #ask() {
    try {
      this.#status = await api.get("audit/status", { signal: this.signal });
      this.#fault = null;
    } catch (error) {
      if (isAbort(error)) return;
      this.#fault = error;
    }
    this.update();
  }

  /** Find anew, or go on after what is shown. */
  async #search({ on = false } = {}) {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    this.signal.addEventListener("abort", () => asking.abort(), { once: true });
    const { query } = this.route;
    const before = on ? this.#found : { rows: [], offset: 0, until: query.until };
    this.#busy = true;
    this.#error = null;
    this.update();
    try {
      const page = await api.get("audit", { query: { ...query, until: before.until, limit: PAGE, offset: before.offset }, signal: asking.signal, timeout: 60_000 });
      this.#found = {
        // Records that were added meanwhile shift the pages: what is shown already is not shown again.
        rows: [...before.rows, ...page.items.filter((row) => !before.rows.some((known) => known.seq === row.seq))], more: page.more, back: page.complete ? null : page.back_to,
        // After a search that took too long it goes on before where it stood; new records do not shift that.
        ...(page.complete ? { offset: before.offset + page.items.length, until: before.until || page.items[0] && after(page.items[0].at) }
          : { offset: 0, until: page.back_to }),
      };
    } catch (error) {
      if (isAbort(error)) return;
      this.#error = error;
    }
    this.#busy = false;
    this.update();
  }

  #send(event) {
    event.preventDefault();
    const values = Object.fromEntries(FIELDS.map((name) => [name, event.target.elements[name].value.trim()]));
    const asked = link("audit", { ...values, since: isoTime(values.since), until: isoTime(values.until) });
    if (location.hash === asked) this.#search();
    else go(asked);
  }

  render() {
    const admin = may("admin");
    return h("div", { class: "page" },
      pageHead({
        title: t("title"), note: admin ? t("on.record") : null,
        aside: admin && [button(t("export"), { icon: "download", onclick: () => exportAudit(this.route.query) }),
          button(t("verify"), { kind: "primary", icon: "check", onclick: () => verifyAudit(this.#status?.records || 0).then((done) => done && this.#ask()) })],
      }),
      this.#head(),
      admin ? [this.#form(), this.#list()] : notice(t("admin")));
  }

  #head() {
    if (this.#fault && !this.#status) return errorState(this.#fault, { retry: () => this.#ask(), compact: true });
    const status = this.#status;
    if (!status) return h("div", { class: "card table-waiting" }, skeleton(2));
    return card({ title: t("status"), actions: [badge(status.ok ? t("recording") : t("not.recording", { why: status.detail }), status.ok ? "good" : "bad", { icon: status.ok ? "check" : "error" }),
      h("a", { class: "button button-plain button-small", href: "/api/v1/audit/public-key", download: "audit-public-key.pem" }, t("key"))] },
    h("div", { class: "columns" },
      facts([[t("records"), number(status.records)], [t("first"), status.first_at && dateTime(status.first_at, { full: true })], [t("running"), number(status.open)],
        status.lost ? [t("lost"), badge(number(status.lost), "bad", { icon: "error" })] : null, [t("fingerprint"), h("span", { class: "mono" }, status.fingerprint)]]),
      status.signed ? copyField(t("anchor"), `${status.signed.seq}:${status.signed.hash}`, { name: "status-anchor", hint: t("anchor.hint") }) : h("p", { class: "muted" }, t("unsigned"))));
  }

  #form() {
    const { query } = this.route;
    const choices = (values, text) => [["", t("any")], ...values.map((value) => [value, text(value)])];
    return h("form", { class: "card audit-form", onsubmit: (event) => this.#send(event), autocomplete: "off", role: "search", key: JSON.stringify(query) },
      field({ label: t("since"), name: "since", type: "datetime-local", value: localTime(query.since) }),
      field({ label: t("until"), name: "until", type: "datetime-local", value: localTime(query.until) }),
      field({ label: t("kind"), name: "kind", type: "select", value: query.kind, options: choices(KINDS, kindText) }),
      field({ label: t("action"), name: "action", type: "select", value: query.action, options: choices([...ACTIONS, "login", "logout", "authenticate", "create", "change", "delete", "order", "lift", "apply"], actionText) }),
      field({ label: t("result"), name: "result", type: "select", value: query.result, options: choices(["allow", "deny", "ok", "failed"], (value) => t(`result.${value}`)) }),
      field({ label: t("subject"), name: "subject", value: query.subject, placeholder: t("subject.hint"), title: t("subject.hint"), maxlength: 300 }),
      field({ label: t("object"), name: "object_id", value: query.object_id, placeholder: t("object.hint"), maxlength: 300 }),
      field({ label: t("text"), name: "text", value: query.text, maxlength: 300 }),
      h("div", { class: "audit-go" }, Object.values(query).some(Boolean) ? button(t("reset"), { kind: "ghost", onclick: () => go(link("audit")) }) : null,
        button(t("search"), { kind: "primary", type: "submit", icon: "search", busy: this.#busy })));
  }

  #list() {
    if (this.#error) return h("div", { class: "card" }, errorState(this.#error, { retry: () => this.#search() }));
    const found = this.#found;
    if (!found) return h("div", { class: "card table-waiting" }, skeleton(8));
    if (!found.rows.length && !found.back) return h("div", { class: "card" }, empty({ title: t("empty"), hint: t("empty.hint"), icon: "audit" }));
    const columns = ["at", "who", "what", "object", "result"].map((id) => t(`col.${id}`));
    return h("div", { class: ["card", this.#busy && "audit-busy"] },
      h("div", { class: "table-scroll" }, h("table", { class: "table", "aria-label": t("title") },
        h("thead", null, h("tr", null, columns.map((title) => h("th", { scope: "col" }, title)))),
        h("tbody", null, found.rows.map((row) => this.#row(row, columns))))),
      h("div", { class: "pager" }, h("span", { class: "pager-text grow", role: "status" }, t("shown", { n: number(found.rows.length) }), found.more || found.back ? "" : ` · ${t("all")}`),
        found.more || found.back ? button(found.back ? t("further", { time: dateTime(found.back, { full: true }) }) : t("more"), { small: true, busy: this.#busy, onclick: () => this.#search({ on: true }) }) : null));
  }

  #row(row, [, who, what, object, result]) {
    const open = (event) => {
      if (!event.target.closest("a") && !String(getSelection())) showRecord(row, this.#names);
    };
    const why = row.reason && row.reason !== "allowed" ? reasonText(row) : row.open ? t("open") : row.duration_s !== null ? duration(row.duration_s) : "";
    return h("tr", { key: row.seq, class: "table-link", onclick: open },
      h("td", null, h("button", { type: "button", class: "cell-button", "aria-label": t("open.record", { seq: row.seq }) },
        h("time", { class: "nowrap", datetime: row.at, title: `#${row.seq}` }, dateTime(row.at)))),
      h("td", { "data-title": who }, Object.keys(row.subject).length ? whoCell(row.subject, this.#names) : h("span", { class: "muted" }, row.source || "–")),
      h("td", { "data-title": what }, h("div", { class: "cell-main" }, h("span", null, actionText(row.action)), h("span", { class: "cell-note" }, [kindText(row.kind), row.via && viaText(row.via)].filter(Boolean).join(" · ")))),
      h("td", { "data-title": object }, h("div", { class: "cell-main" }, h("span", { class: row.channel_id ? "mono" : null }, objectText(row.object_id) || row.channel_id || "–"),
        row.purpose || row.ticket ? h("span", { class: "cell-note" }, [row.purpose, row.ticket].filter(Boolean).join(" · ")) : null)),
      h("td", { "data-title": result }, h("div", { class: "cell-main" }, h("span", null, row.result ? badge(resultText(row.result), resultTone(row.result)) : "–"), why ? h("span", { class: "cell-note" }, why) : null)));
  }
});

/** A moment after a time, not included by `until`: the next second, so that pages do not shift while records are added. */
const after = (iso) => new Date(Math.floor(new Date(iso).getTime() / 1000) * 1000 + 1000).toISOString();
