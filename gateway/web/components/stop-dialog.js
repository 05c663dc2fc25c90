// The dialog of a forced stop (强制停止): whom, what, why; how many streams that ends; and how many it ended.

import { api } from "../lib/api.js";
import { h } from "../lib/element.js";
import { number, t as common, words } from "../lib/i18n.js";
import { button, field, iconButton, notice, segmented } from "../lib/ui.js";
import { formError, openDialog } from "./dialog.js";
import { loadParties, whoText } from "./parties.js";
import "./channel-picker.js";

export const strings = {
  zh: {
    "title": "强制停止", "intro": "立即结束正在进行的调阅，并拒绝新的请求，直到解除。命令和解除都写入审计。", "who": "对谁", "what": "停什么", "reason": "原因",
    "reason.hint": "写入审计；对外只显示“已被强制停止”。", "who.outside": "所有外部单位和平台", "who.any": "所有人（含本单位）", "who.department": "部门 {name}",
    "who.platform": "平台 {name}", "what.all": "全部通道", "what.some": "选定通道", "pick": "选择通道", "picked": "已选 {n} 个通道", "drop": "去掉 {name}", "none": "请至少选择一个通道",
    "counting": "正在统计受影响的调阅…", "ends": "将立即结束 {n} 路正在进行的调阅", "ends.none": "目前没有受影响的调阅；此后的请求将被拒绝", "uncounted": "无法统计受影响的调阅",
    "unreasoned": "请填写原因", "go": "立即停止", "word": "全部停止", "everything": "这会停止全部对外共享", "everything.any": "这会停止所有人的调阅，包括本单位值班席位",
    "done": "已强制停止", "done.ended": "结束了 {n} 路调阅", "done.none": "当时没有正在进行的调阅", "done.hint": "在“强制停止”标签页解除之前一直有效。",
  },
  en: {
    "title": "Forced stop", "intro": "Ends what is being watched at once and refuses new requests, until it is lifted. Order and lifting are put on record.", "who": "For whom",
    "what": "What", "reason": "Reason", "reason.hint": "For the audit; outsiders only learn that it was stopped by order.", "who.outside": "Everybody outside",
    "who.any": "Everybody, our own people included", "who.department": "Department {name}", "who.platform": "Platform {name}", "what.all": "Every channel", "what.some": "Some channels",
    "pick": "Choose channels", "picked": "{n} channels chosen", "drop": "Drop {name}", "none": "Choose one channel at least", "counting": "Counting what is watched…",
    "ends": "{n} streams will end at once", "ends.none": "Nothing that is watched now is affected; requests will be refused", "uncounted": "What is affected cannot be counted",
    "unreasoned": "Give a reason", "go": "Stop now", "word": "STOP ALL", "everything": "This stops all sharing with others",
    "everything.any": "This stops what everybody watches, our own control room included", "done": "Stopped", "done.ended": "{n} streams were ended",
    "done.none": "Nothing was being watched", "done.hint": "In force until it is lifted on the tab “Forced stops”.",
  },
};
const t = words(strings);

const PAGE = 1000; // accesses of one answer
const MOST = 20; // answers; more accesses than that are said as "at least"

/** What a row of who watches what makes of it: that subject and that channel. */
export function stopOfAccess(access, names) {
  const { subject } = access;
  const [name] = whoText(subject, names);
  const clause = subject.platform ? { platforms: [subject.platform] } : subject.department ? { departments: [subject.department] }
    : subject.key ? { keys: [subject.key] } : subject.user ? { users: [subject.user] } : subject.role ? { roles: [subject.role] } : { any: true };
  const channel = access.channel_id ? [{ device: access.device_id, channel: access.channel_id, name: access.name }] : [];
  return { who: { clause, name }, channels: channel };
}

/** Ask and order; resolves with the order, or null. `given` is {who: {clause, name} | null, channels: [{device, channel, name}]}. */
export function orderStop(given = {}) {
  const state = {
    choices: [], who: "outside", channels: given.channels || [], all: !given.channels?.length,
    running: null, asked: null, busy: false, error: null, fields: {}, done: null,
  };
  if (given.who) state.who = key(given.who.clause);
  return openDialog({
    title: () => t("title"), wide: true,
    render: (close, update) => {
      if (!state.asked) state.asked = begin(state, given, update);
      if (state.done) return finished(state.done, close);
      return form(state, close, update);
    },
  });
}

const key = (clause) => JSON.stringify(clause);

async function begin(state, given, update) {
  const [parties] = await Promise.all([loadParties(), count(state)]);
  state.choices = [
    ...(given.who ? [[key(given.who.clause), given.who.name]] : []), ["outside", t("who.outside")], ["any", t("who.any")],
    ...parties.departments.map((item) => [key({ departments: [item.code] }), t("who.department", { name: item.name })]),
    ...parties.platforms.map((item) => [key({ platforms: [item.platform_id] }), t("who.platform", { name: item.name || item.platform_id })]),
  ].filter(([id], at, list) => list.findIndex(([other]) => other === id) === at);
  update();
}

async function count(state) {
  try {
    const found = [];
    for (let turn = 0; turn < MOST; turn += 1) {
      const page = await api.get("accesses", { query: { limit: PAGE, offset: found.length } });
      found.push(...page.items);
      if (found.length >= page.total || !page.items.length) break;
    }
    state.running = found;
  } catch (error) {
    state.running = error;
  }
}

function clauseOf(who) {
  return who === "outside" ? { outside: true } : who === "any" ? { any: true } : JSON.parse(who);
}

const LOCAL = (subject) => Boolean(subject.role) && !subject.platform && !subject.department && !subject.key;
const FIELDS = { platforms: "platform", departments: "department", keys: "key", users: "user", roles: "role" };

function affected({ running, who, all, channels }) {
  const clause = clauseOf(who);
  return running.filter(({ subject, device_id: device, channel_id: channel }) =>
    (clause.any || (clause.outside ? !LOCAL(subject) : Object.entries(clause).every(([name, values]) => values.includes(subject[FIELDS[name]])))) &&
    (all || channels.some((item) => item.device === device && item.channel === channel)));
}

const isEverything = ({ who, all }) => all && (who === "outside" || who === "any");

function form(state, close, update) {
  const everything = isEverything(state);
  const send = (event) => {
    event.preventDefault();
    if (!state.busy) order(state, event.target, update);
  };
  return h("form", { class: "dialog-form", onsubmit: send, autocomplete: "off", novalidate: true },
    h("div", { class: "dialog-body" }, h("p", { class: "dialog-intro" }, t("intro")),
      field({ label: t("who"), name: "who", type: "select", value: state.who, options: state.choices.length ? state.choices : [[state.who, t("who.outside")]],
        onchange: (event) => { state.who = event.target.value; update(); } }),
      h("div", { class: "field" }, h("span", { class: "field-label" }, t("what")),
        h("div", { class: "row row-wrap" }, segmented([["some", t("what.some")], ["all", t("what.all")]], state.all ? "all" : "some", (id) => {
          state.all = id === "all";
          update();
          if (!state.all && !state.channels.length) pick(state, update);
        }, { label: t("what") }), state.all ? null : button(t("pick"), { small: true, icon: "search", onclick: () => pick(state, update) })),
        state.all ? null : chips(state, update),
        state.fields.channels ? h("p", { class: "field-error", role: "alert" }, state.fields.channels) : null),
      field({ label: t("reason"), name: "reason", required: true, maxlength: 500, hint: t("reason.hint"), error: state.fields.reason, autofocus: true,
        oninput: () => { if (state.fields.reason) { delete state.fields.reason; update(); } } }),
      impact(state),
      everything ? notice(t(state.who === "any" ? "everything.any" : "everything"), "warn") : null,
      everything ? field({ label: common("confirm.type", { word: t("word") }), name: "word", error: state.fields.word, autocomplete: "off" }) : null,
      state.error ? formError(state.error) : null),
    h("footer", { class: "dialog-foot" }, button(common("cancel"), { kind: "ghost", onclick: () => close() }),
      button(t("go"), { kind: "danger", type: "submit", icon: "stop", busy: state.busy })));
}

function impact(state) {
  if (state.running === null) return h("p", { class: "stop-impact muted", role: "status" }, t("counting"));
  if (state.running instanceof Error) return h("p", { class: "stop-impact muted", role: "status" }, t("uncounted"));
  const ends = affected(state).length;
  return h("p", { class: ["stop-impact", ends ? "stop-ends" : "muted"], role: "status" }, ends ? t("ends", { n: number(ends) }) : t("ends.none"));
}

function chips(state, update) {
  return h("ul", { class: "chips" }, state.channels.map((item) => h("li", { class: "chip chip-filter", key: `${item.device}/${item.channel}` },
    h("span", { class: "truncate" }, item.name || item.channel),
    iconButton("close", t("drop", { name: item.name || item.channel }), { small: true, onclick: () => {
      state.channels = state.channels.filter((other) => other !== item);
      update();
    } }))));
}

/** A dialog over this one, so that the focus comes back. */
async function pick(state, update) {
  await openDialog({
    title: () => t("pick"), wide: true, class: "dialog-picker",
    render: (close, again) => [
      h("div", { class: "dialog-body picker-body" }, h("gb-channel-picker", {
        ".marked": new Set(state.channels.map((item) => `${item.device}/${item.channel}`)),
        onpick: ({ detail }) => {
          const known = state.channels.find((item) => item.device === detail.device && item.channel === detail.channel);
          state.channels = known ? state.channels.filter((item) => item !== known) : [...state.channels, detail];
          again();
        },
      })),
      h("footer", { class: "dialog-foot" }, h("span", { class: "grow muted", role: "status" }, t("picked", { n: number(state.channels.length) })),
        button(common("done"), { kind: "primary", onclick: () => close() })),
    ],
  });
  state.fields = {};
  update();
}

async function order(state, element, update) {
  const reason = element.elements.reason.value.trim();
  const fields = {};
  if (!reason) fields.reason = t("unreasoned");
  if (!state.all && !state.channels.length) fields.channels = t("none");
  if (isEverything(state) && element.elements.word?.value.trim() !== t("word")) fields.word = common("confirm.type", { word: t("word") });
  Object.assign(state, { fields, error: null });
  if (Object.keys(fields).length) {
    update();
    element.querySelector('[aria-invalid="true"]')?.focus();
    return;
  }
  state.busy = true;
  update();
  const body = { reason };
  if (state.who !== "outside") body.subject = clauseOf(state.who);
  if (!state.all) body.objects = { channels: state.channels.map((item) => `${item.device}/${item.channel}`) };
  if (isEverything(state)) body.everything = true;
  try {
    state.done = await api.post("stops", body);
  } catch (error) {
    state.error = error;
  }
  state.busy = false;
  update();
}

function finished(done, close) {
  return [
    h("div", { class: "dialog-body" }, notice(done.ended ? t("done.ended", { n: number(done.ended) }) : t("done.none"), "good", { title: t("done") }),
      h("p", { class: "dialog-intro" }, t("done.hint"))),
    h("footer", { class: "dialog-foot" }, button(common("ok"), { kind: "primary", autofocus: true, onclick: () => close(done) })),
  ];
}
