// Verifying the audit, exporting a part of it, and one record in full.

import { api } from "../lib/api.js";
import { h } from "../lib/element.js";
import { dateTime, duration, number, t as common, words } from "../lib/i18n.js";
import { link } from "../lib/route.js";
import { badge, button, facts, field, notice, technical } from "../lib/ui.js";
import { readable } from "../lib/codes.js";
import { actionText, faultText, kindText, placeText, objectText, reasonText, resultText, resultTone } from "./audit-words.js";
import { formDialog, formError, openDialog } from "./dialog.js";
import { viaText, whoText } from "./parties.js";
import { copyField } from "./secret.js";
import { ruleText } from "./sharing-words.js";
import { toast } from "./toast.js";

export const strings = {
  zh: {
    "verify": "校验审计", "verify.intro": "重新计算全部记录的 SM3 哈希链并核对签名。记录很多时需要几分钟。", "expect": "另行记下的锚点（可选）", "expect.hint": "格式 序号:哈希。可证明从那时起没有被整体替换或截断。", "go": "开始校验",
    "running": "正在校验 {n} 条记录…", "sound": "审计完好", "sound.text": "{n} 条记录的哈希链和签名全部正确。", "anchored": "另行记下的锚点 {anchor} 也在其中。", "faulty": "审计有 {n} 处问题", "faulty.text": "请保留现场，导出审计并查明原因。",
    "lines": "行数", "records": "记录", "files": "文件", "removed": "按期清理的记录", "signed": "最后签名", "signed.at": "签名时间", "unsigned": "签名之后的行", "keys": "签名公钥指纹", "gaps": "磁盘写入失败的缺口",
    "gap": "记录 {seq}：缺 {n} 条", "proven": "已证明的范围", "unsigned.note": "签名之后的 {n} 行尚不能证明未被改动，下次签名后即可。", "note.anchor": "校验后请另行记下最后签名，以后可用作锚点。",
    "export": "导出审计", "export.intro": "导出所选时间的记录和校验所需的一切（ZIP），无需运行中的网关即可核验。", "since": "从", "until": "到", "download": "下载", "exported": "审计已导出", "anytime": "留空表示不限",
    "detail": "审计记录 {seq}", "at": "时间", "kind": "类别", "who": "谁", "action": "操作", "object": "对象", "channel": "通道", "result": "结果", "rule": "依据", "reason": "原因", "text": "说明", "purpose": "事由", "ticket": "工单号",
    "source": "来源地址", "via": "方式", "lasted": "时长", "ended": "如何结束", "open": "正在进行", "chain": "哈希链", "seq": "序号", "hash": "本行哈希 (SM3)", "segment": "文件", "entry": "记录编号", "identity": "用户身份",
    "gateways": "经由网关", "watch": "在调阅监控中查看",
  },
  en: {
    "verify": "Verify the audit", "verify.intro": "Computes the SM3 chain of all records anew and checks the signatures. With many records this takes minutes.", "expect": "Anchor noted elsewhere (optional)",
    "expect.hint": "SEQ:HASH. Proves that since then nothing was replaced as a whole or cut off.", "go": "Verify now", "running": "{n} records are being verified…", "sound": "The audit is sound",
    "sound.text": "Chain and signatures of all {n} records are right.", "anchored": "The anchor noted elsewhere, {anchor}, is among them.", "faulty": "The audit is not sound: faults {n}", "faulty.text": "Leave all as it is, export the audit, and find out why.",
    "lines": "Lines", "records": "Records", "files": "Files", "removed": "Removed by retention", "signed": "Last signature", "signed.at": "Signed at", "unsigned": "Lines after it", "keys": "Keys that signed", "gaps": "Records the disk refused",
    "gap": "Record {seq}: {n} missing", "proven": "Proven", "unsigned.note": "That none of the {n} lines after the last signature was changed can be proven after the next one.",
    "note.anchor": "Note the last signature elsewhere: it is the anchor of later verifications.", "export": "Export the audit",
    "export.intro": "The records of a period with all that is needed to verify them, as a zip; no running gateway is needed for that.", "since": "From", "until": "To", "download": "Download", "exported": "Exported", "anytime": "Empty: no limit",
    "detail": "Record {seq}", "at": "Time", "kind": "Kind", "who": "Who", "action": "What", "object": "Object", "channel": "Channel", "result": "Result", "rule": "Decided by", "reason": "Reason", "text": "Detail", "purpose": "Purpose",
    "ticket": "Ticket", "source": "Came from", "via": "Face", "lasted": "Lasted", "ended": "How it ended", "open": "It lasts now", "chain": "Chain", "seq": "Number", "hash": "Hash of the line (SM3)", "segment": "File", "entry": "Record",
    "identity": "Identity", "gateways": "Through gateways", "watch": "See it in who watches",
  },
};
const t = words(strings);

const LONG = 600_000; // milliseconds; years of records are read

/** <input type="datetime-local"> and back. */
export const localTime = (iso) => {
  if (!iso) return "";
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? "" : new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};
export const isoTime = (local) => (local ? new Date(local).toISOString() : "");

/** Verify everything; `records` is how many there are. */
export function verifyAudit(records) {
  const state = { busy: false, report: null, error: null, expect: "" };
  return openDialog({
    title: () => t("verify"), wide: true,
    render: (close, update) => {
      if (state.report) {
        return [h("div", { class: "dialog-body" }, report(state.report, state.expect)),
          h("footer", { class: "dialog-foot" }, button(common("close"), { kind: "primary", autofocus: true, onclick: () => close(state.report) }))];
      }
      const send = async (event) => {
        event.preventDefault();
        if (state.busy) return;
        state.expect = event.target.elements.expect.value.trim();
        Object.assign(state, { busy: true, error: null });
        update();
        try {
          state.report = await api.post("audit/verify", { expect: state.expect }, { timeout: LONG });
        } catch (error) {
          state.error = error;
        }
        state.busy = false;
        update();
      };
      return h("form", { class: "dialog-form", onsubmit: send, autocomplete: "off" },
        h("div", { class: "dialog-body" }, h("p", { class: "dialog-intro" }, t("verify.intro")),
          field({ label: t("expect"), name: "expect", hint: t("expect.hint"), class: "mono", maxlength: 100, spellcheck: "false", readonly: state.busy }),
          state.busy ? h("div", { class: "progress", role: "status" }, h("span", { class: "progress-bar" }), h("span", null, t("running", { n: number(records) }))) : null,
          state.error && formError(state.error)),
        h("footer", { class: "dialog-foot" }, button(common("cancel"), { kind: "ghost", onclick: () => close() }),
          button(t("go"), { kind: "primary", type: "submit", icon: "check", busy: state.busy })));
    },
  });
}

function report(found, expect) {
  const anchor = (line) => (line ? `${line.seq}:${line.hash}` : null);
  return [
    found.ok ? notice([t("sound.text", { n: number(found.records) }), found.anchored && t("anchored", { anchor: expect.split(":")[0] })].filter(Boolean).join(" "), "good", { title: t("sound") })
      : notice(t("faulty.text"), "bad", { title: t("faulty", { n: number(found.fault_count) }) }),
    found.faults.length ? h("ol", { class: "faults" }, found.faults.slice(0, 100).map((fault) => h("li", { class: "fault" },
      h("span", { class: "cell-title" }, faultText(fault.code)), h("span", { class: "cell-note" }, placeText(fault)), h("span", { class: "cell-note" }, fault.detail)))) : null,
    facts([
      [t("records"), number(found.records)], [t("lines"), number(found.lines)], [t("files"), number(found.segments)],
      found.removed_records ? [t("removed"), number(found.removed_records)] : null,
      [t("proven"), found.proven.map((range) => `${range.first_seq}–${range.last_seq}`).join(", ")],
      [t("signed.at"), found.signed_at && dateTime(found.signed_at, { full: true })], [t("unsigned"), number(found.unsigned)],
      found.gaps.length ? [t("gaps"), found.gaps.map((gap) => t("gap", { seq: gap.seq, n: number(gap.lost) })).join("; ")] : null,
      [t("keys"), h("span", { class: "mono" }, found.keys.join(" "))],
    ]),
    found.unsigned ? h("p", { class: "muted" }, t("unsigned.note", { n: number(found.unsigned) })) : null,
    found.signed && copyField(t("signed"), anchor(found.signed), { name: "anchor", hint: t("note.anchor") }),
  ];
}

/** Ask for the period and save the zip. */
export async function exportAudit({ since = "", until = "" } = {}) {
  const done = await formDialog({
    title: () => t("export"), intro: () => t("export.intro"), submit: t("download"),
    fields: () => [
      { name: "since", label: t("since"), type: "datetime-local", value: localTime(since), hint: t("anytime") },
      { name: "until", label: t("until"), type: "datetime-local", value: localTime(until), hint: t("anytime") },
    ],
    save: async (values) => {
      const file = await api.get("audit/export", { query: { since: isoTime(values.since), until: isoTime(values.until) }, as: "blob", timeout: LONG });
      const address = URL.createObjectURL(file);
      h("a", { href: address, download: "audit.zip" }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
      return true;
    },
  });
  if (done) toast(t("exported"));
}

/** One record with all its fields. */
export function showRecord(row, names) {
  const [who, note] = Object.keys(row.subject).length ? whoText(row.subject, names) : ["", ""];
  return openDialog({
    title: () => t("detail", { seq: row.seq }), wide: true,
    render: (close) => [h("div", { class: "dialog-body" },
      facts([
        [t("at"), dateTime(row.at, { full: true })], [t("kind"), kindText(row.kind)], [t("who"), [who, note].filter(Boolean).join(" · ")],
        row.subject.identity ? [t("identity"), h("span", { class: "mono" }, row.subject.identity)] : null,
        row.subject.gateways ? [t("gateways"), h("span", { class: "mono" }, row.subject.gateways)] : null,
        [t("action"), actionText(row.action)], [t("object"), row.object_id && (objectText(row.object_id) !== row.object_id ? objectText(row.object_id) : h("span", { class: "mono" }, row.object_id))],
        row.channel_id ? [t("channel"), h("a", { class: "mono", href: link("channels", row.device_id, row.channel_id) }, `${row.device_id}/${row.channel_id}`)] : null,
        [t("result"), row.result && badge(resultText(row.result), resultTone(row.result))],
        row.reason && row.reason !== "allowed" ? [t("reason"), reasonText(row)] : null, row.rule ? [t("rule"), ruleText(row.rule)] : null, row.detail ? [t("text"), readable(row.detail) || technical({ detail: row.detail })] : null,
        row.purpose ? [t("purpose"), row.purpose] : null, row.ticket ? [t("ticket"), row.ticket] : null,
        [t("source"), row.source && h("span", { class: "mono" }, row.source)], row.via ? [t("via"), viaText(row.via)] : null,
        row.open ? [t("ended"), h("a", { href: link("watching", { q: row.channel_id }) }, t("open"))] : row.ended ? [t("ended"), [resultText(row.ended), row.end_detail].filter(Boolean).join(" · ")] : null,
        row.duration_s !== null ? [t("lasted"), duration(row.duration_s)] : null,
      ]),
      h("h3", { class: "small-title" }, t("chain")),
      facts([[t("seq"), number(row.seq)], [t("segment"), number(row.segment)], [t("entry"), h("span", { class: "mono" }, row.entry_id)], [t("hash"), h("span", { class: "mono" }, row.hash)]])),
    h("footer", { class: "dialog-foot" }, button(common("close"), { kind: "primary", autofocus: true, onclick: () => close() }))],
  });
}
