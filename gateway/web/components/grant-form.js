// The dialogs that ask for access or answer: apply, emergency, approve. (Those with a remark only are in grant-acts.js.)

import { api } from "../lib/api.js";
import { h } from "../lib/element.js";
import { day, timeOfDay, words } from "../lib/i18n.js";
import { isLocal } from "../lib/session.js";
import { button, field, notice, segmented } from "../lib/ui.js";
import { formError, openDialog } from "./dialog.js";
import { ACTIONS, actionText, objectsText } from "./sharing-words.js";
import { spoken } from "./spoken.js";
import { subjectFields } from "./subject-field.js";
import "./selector.js";

export const strings = {
  zh: {
    "apply": "申请共享", "apply.go": "提交申请", "emergency": "应急调阅授权", "emergency.go": "立即授权", "emergency.intro": "立即生效，到时自动结束，并列为“未复核”直到有人复核。请仅在来不及走申请流程时使用。", "approve": "批准申请", "approve.go": "批准", "approve.less": "可比申请更短、更少；不能更多。",
    "who": "为谁", "actions": "操作", "objects": "哪些通道", "purpose": "事由", "purpose.hint": "写明用途；审批人和审计都会看到。", "ticket": "工单号", "from": "开始时间", "from.hint": "留空：批准后立即", "until": "截止时间", "days": "有效期", "day.7": "7 天", "day.30": "30 天", "day.90": "90 天", "day.365": "1 年",
    "minutes": "时长", "min.15": "15 分钟", "min.60": "1 小时", "min.240": "4 小时", "min.1440": "24 小时", "obligations": "附带条件", "sub_stream": "只给子码流", "mask_position": "隐藏位置", "notify_owner": "通知所属部门", "max_streams": "同时路数上限", "max_streams.hint": "留空：不限",
    "mask_name": "名称显示为", "mask_name.hint": "留空：原名", "remark": "答复意见", "remark.hint": "申请人会看到。", "none.actions": "请至少选择一种操作", "none.purpose": "请填写事由", "none.who": "请选择为谁", "wrong.until": "截止时间须晚于现在和开始时间", "narrow": "修改通道范围", "asked": "申请的范围",
  },
  en: {
    "apply": "Apply for access", "apply.go": "Apply", "emergency": "Emergency access", "emergency.go": "Grant now",
    "emergency.intro": "Holds at once, ends by itself, and is listed until somebody has reviewed it. For when there is no time to apply.",
    "approve": "Approve the application", "approve.go": "Approve", "approve.less": "It may be for shorter or for less, never for more.", "who": "For whom", "actions": "Actions",
    "objects": "Which channels", "purpose": "Purpose", "purpose.hint": "What it is for; whoever answers and the audit see it.", "ticket": "Ticket", "from": "From",
    "from.hint": "Empty: as soon as approved", "until": "Until", "days": "For", "day.7": "7 days", "day.30": "30 days", "day.90": "90 days", "day.365": "1 year", "minutes": "For",
    "min.15": "15 min", "min.60": "1 h", "min.240": "4 h", "min.1440": "24 h", "obligations": "Conditions", "sub_stream": "Sub stream only", "mask_position": "Hide positions",
    "notify_owner": "Tell the owner", "max_streams": "Streams at once", "max_streams.hint": "Empty: no limit", "mask_name": "Show names as", "mask_name.hint": "Empty: as they are",
    "remark": "Remark", "remark.hint": "The applicant sees it.", "none.actions": "Choose one action at least", "none.purpose": "Say what it is for", "none.who": "Say for whom",
    "wrong.until": "The end must be later than now and than the begin", "narrow": "Change the channels", "asked": "Asked for",
  },
};
const t = words(strings);

const DAY = 86_400_000; // milliseconds
const inputTime = (date) => `${day(date)}T${timeOfDay(date, { seconds: false })}`;

/** A department's or our own application; resolves with the grant, or null. */
export function applyForGrant(parties) {
  const state = fresh({ until: inputTime(new Date(Date.now() + 30 * DAY)) });
  return grantDialog(state, { title: () => t("apply"), go: "apply.go", parties, parts: ["actions", "objects", "times", "purpose"], send: (body) => api.post("grants", body) });
}

/** Access given at once, for minutes. */
export function grantEmergency(parties) {
  const state = fresh({ minutes: 60 });
  return grantDialog(state, { title: () => t("emergency"), go: "emergency.go", kind: "danger", intro: "emergency.intro", parties, parts: ["actions", "objects", "minutes", "purpose", "obligations"],
    send: (body) => api.post("emergency-grants", body) });
}

/** Say yes to an application, perhaps to less. */
export function approveGrant(grant) {
  const state = fresh({ actions: [...grant.actions], asked: grant, until: inputTime(new Date(grant.until)), untilAsked: inputTime(new Date(grant.until)) });
  return grantDialog(state, { title: () => t("approve"), go: "approve.go", parts: ["actions", "narrow", "times", "obligations", "remark"], intro: "approve.less",
    send: (body) => api.post(`grants/${encodeURIComponent(grant.grant_id)}/approve`, body) });
}

const fresh = (values) => ({
  who: { kind: "department", id: "" }, actions: ["catalog", "live"], selector: {}, from: "", until: "", minutes: null, purpose: "", ticket: "", remark: "", narrow: false,
  obligations: { sub_stream: false, mask_position: false, notify_owner: false, mask_name: "", max_streams: "" }, errors: {}, error: null, busy: false, asked: null, untilAsked: null, ...values,
});

function grantDialog(state, options) {
  return openDialog({ title: options.title, wide: true, render: (close, update) => form(state, options, close, update) });
}

function form(state, options, close, update) {
  const send = async (event) => {
    event.preventDefault();
    if (state.busy) return;
    const selector = event.target.querySelector("gb-selector");
    if (selector) state.selector = selector.selector;
    state.errors = wrong(state, options);
    state.error = null;
    if (!Object.keys(state.errors).length) {
      state.busy = true;
      update();
      try {
        close(await options.send(bodyOf(state, options)));
        return;
      } catch (error) {
        Object.assign(state, { busy: false, error });
      }
    }
    update();
    event.target.querySelector('[aria-invalid="true"]')?.focus();
  };
  return h("form", { class: "dialog-form", onsubmit: send, autocomplete: "off", novalidate: true },
    h("div", { class: "dialog-body" }, options.intro ? h("p", { class: "dialog-intro" }, t(options.intro)) : null,
      options.parties && isLocal() ? h("div", { class: "form-grid" }, subjectFields(state.who, options.parties, { kinds: ["department", "platform", "key", "user"], prefix: "grant", error: state.errors.who,
        change: (changes) => { state.who = { ...state.who, ...changes }; update(); } })) : null,
      options.parts.map((part) => h("div", { key: part, class: "stack" }, PARTS[part](state, update))),
      state.error ? problem(state.error) : null),
    h("footer", { class: "dialog-foot" }, button(t("cancel"), { kind: "ghost", onclick: () => close() }),
      button(t(options.go), { kind: options.kind || "primary", type: "submit", busy: state.busy })));
}

function problem(error) {
  return ["grant_invalid", "policy_invalid"].includes(error.code) ? notice(spoken(error.exact.replace(/^request: /, "")), "bad", { title: error.words.title }) : formError(error);
}

function wrong(state, { parts, parties }) {
  const errors = {};
  if (parties && isLocal() && !state.who.id.trim()) errors.who = t("none.who");
  if (!state.actions.length) errors.actions = t("none.actions");
  if (parts.includes("purpose") && !state.purpose.trim()) errors.purpose = t("none.purpose");
  if (parts.includes("times")) {
    const until = new Date(state.until);
    if (!(until > new Date()) || (state.from && until <= new Date(state.from))) errors.until = t("wrong.until");
  }
  return errors;
}

function bodyOf(state, { parts, parties }) {
  const body = {};
  if (parties && isLocal()) body.subject = { [`${state.who.kind}s`]: [state.who.id.trim()] };
  body.actions = ACTIONS.filter((action) => state.actions.includes(action));
  if (parts.includes("objects") && Object.keys(state.selector).length) body.objects = state.selector;
  if (state.narrow) body.objects = state.selector;
  if (parts.includes("times") && state.until !== state.untilAsked) body.until = new Date(state.until).toISOString();
  if (state.from) body.valid_from = new Date(state.from).toISOString();
  if (parts.includes("minutes")) body.minutes = state.minutes;
  if (parts.includes("purpose")) Object.assign(body, { purpose: state.purpose.trim().replace(/\s+/g, " "), ticket: state.ticket.trim() });
  if (parts.includes("obligations")) {
    const { mask_name: name, max_streams: most, ...flags } = state.obligations;
    body.obligations = { ...flags, mask_name: name.trim() || null, max_streams: most ? Number(most) : null };
  }
  if (parts.includes("remark")) body.remark = state.remark.trim();
  return body;
}

const PARTS = {
  actions: (state, update) => h("fieldset", { class: "plain-set" }, h("legend", { class: "field-label" }, t("actions")),
    h("div", { class: "row row-wrap checks" }, (state.asked ? ACTIONS.filter((action) => state.asked.actions.includes(action)) : ACTIONS).map((action) => h("label", { class: "check" },
      h("input", { type: "checkbox", class: "check-box", name: `action-${action}`, ".checked": state.actions.includes(action), onchange: (event) => {
        state.actions = event.target.checked ? [...state.actions, action] : state.actions.filter((item) => item !== action);
        update();
      } }), h("span", null, actionText(action))))),
    state.errors.actions ? h("p", { class: "field-error", role: "alert" }, state.errors.actions) : null),
  objects: (state) => h("fieldset", { class: "plain-set" }, h("legend", { class: "field-label" }, t("objects")), h("gb-selector", { ".selector": state.selector })),
  narrow: (state, update) => h("fieldset", { class: "plain-set" }, h("legend", { class: "field-label" }, t("objects")), h("p", { class: "muted" }, `${t("asked")}${t("colon")}${objectsText(state.asked.objects)}`),
    field({ label: t("narrow"), name: "narrow", id: "grant-narrow", type: "checkbox", value: state.narrow, onchange: (event) => {
      state.narrow = event.target.checked;
      state.selector = state.asked.objects;
      update();
    } }), state.narrow ? h("gb-selector", { ".selector": state.selector }) : null),
  times: (state, update) => [
    state.asked ? null : h("div", { class: "field" }, h("span", { class: "field-label" }, t("days")), h("div", null, segmented(["7", "30", "90", "365"].map((days) => [days, t(`day.${days}`)]), state.days || "", (days) => {
      const begin = state.from ? new Date(state.from) : new Date();
      Object.assign(state, { days, until: inputTime(new Date(begin.getTime() + Number(days) * DAY)) });
      update();
    }, { label: t("days") }))),
    h("div", { class: "form-grid" },
      state.asked ? null : field({ label: t("from"), name: "from", id: "grant-from", type: "datetime-local", ".value": state.from, hint: t("from.hint"), oninput: (event) => { state.from = event.target.value; } }),
      field({ label: t("until"), name: "until", id: "grant-until", type: "datetime-local", required: true, ".value": state.until, error: state.errors.until, oninput: (event) => { state.until = event.target.value; state.days = ""; } })),
  ],
  minutes: (state, update) => h("div", { class: "field" }, h("span", { class: "field-label" }, t("minutes")), h("div", null, segmented([15, 60, 240, 1440].map((minutes) => [minutes, t(`min.${minutes}`)]), state.minutes, (minutes) => {
    state.minutes = minutes;
    update();
  }, { label: t("minutes") }))),
  purpose: (state) => [
    field({ label: t("purpose"), name: "purpose", id: "grant-purpose", type: "textarea", rows: 2, required: true, maxlength: 500, value: state.purpose, hint: t("purpose.hint"), error: state.errors.purpose, oninput: (event) => { state.purpose = event.target.value; } }),
    field({ label: t("ticket"), name: "ticket", id: "grant-ticket", maxlength: 100, value: state.ticket, oninput: (event) => { state.ticket = event.target.value; } })],
  obligations: (state) => {
    const flag = (name) => field({ label: t(name), name, id: `grant-${name}`, type: "checkbox", value: state.obligations[name], onchange: (event) => { state.obligations[name] = event.target.checked; } });
    const text = (name, extras) => field({ label: t(name), name, id: `grant-${name}`, value: state.obligations[name], hint: t(`${name}.hint`), oninput: (event) => { state.obligations[name] = event.target.value; }, ...extras });
    return h("fieldset", { class: "plain-set" }, h("legend", { class: "field-label" }, t("obligations")),
      h("div", { class: "row row-wrap checks" }, flag("sub_stream"), flag("mask_position"), flag("notify_owner")),
      h("div", { class: "form-grid" }, text("max_streams", { type: "number", min: 1, max: 10000 }), text("mask_name", { maxlength: 64 })));
  },
  remark: (state) => field({ label: t("remark"), name: "remark", id: "grant-remark", maxlength: 500, value: state.remark, hint: t("remark.hint"), oninput: (event) => { state.remark = event.target.value; } }),
};

