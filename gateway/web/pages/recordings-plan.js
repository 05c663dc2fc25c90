// The dialog of a channel's recording plan: mode, a weekly grid to paint, how long it is kept.

import { openDialog, formError } from "../components/dialog.js";
import { toast } from "../components/toast.js";
import { api } from "../lib/api.js";
import { h } from "../lib/element.js";
import { words } from "../lib/i18n.js";
import { button, field, notice } from "../lib/ui.js";
import { emptyWeek, formatWeek, parseWeek } from "./recordings-week.js";
import { t as page } from "./recordings-words.js";

export const strings = {
  zh: {
    title: "录像计划：{name}", mode: "方式", "mode.off": "不录像", "mode.always": "一直录像", "mode.weekly": "按周计划", "mode.event": "报警时录像",
    grid: "每周时段，拖动涂抹；时间为 {zone}", hour: "周{day} {from}:00–{to}:00", clear: "清空", all: "全选", work: "工作时间",
    inexact: "原计划的时段不在整点，此处按整点显示；保存后以此为准。", empty: "请至少涂抹一个时段", days: "保留天数",
    days_hint: "留空：按网关设置；0：直到需要空间", pre: "报警前（秒）", pre_hint: "大于 0 时摄像机会一直送流；留空：按网关设置",
    post: "报警后（秒）", stream: "码流", main: "主码流", sub: "子码流", saved: "录像计划已保存", no_right: "只有管理员可以修改录像计划",
  },
  en: {
    title: "Recording plan: {name}", mode: "When", "mode.off": "Never", "mode.always": "Always", "mode.weekly": "By the week",
    "mode.event": "On alarms",
    grid: "Hours of the week, painted by dragging; time of {zone}", hour: "{day} {from}:00–{to}:00", clear: "Clear", all: "All", work: "Working hours",
    inexact: "The plan has times between full hours; here they are widened, and saved so.", empty: "Paint one hour at least",
    days: "Days kept", days_hint: "Empty: as the gateway is configured; 0: until space is needed", pre: "Seconds before",
    pre_hint: "Above 0 the camera sends all the time; empty: as configured", post: "Seconds after", stream: "Stream", main: "Main stream",
    sub: "Sub stream", saved: "The plan is saved", no_right: "Only administrators change recording plans",
  },
};
const t = words(strings);
const MODES = ["off", "always", "weekly", "event"];

/** Show and change the plan of {device, channel, name}, null if it has none; resolves with the plan saved, or null. */
export async function editPlan(cell, known, { mayChange }) {
  const path = `recordings/plans/${encodeURIComponent(cell.device)}/${encodeURIComponent(cell.channel)}`;
  const plan = known || { mode: "off", windows: [], zone: Intl.DateTimeFormat().resolvedOptions().timeZone, stream: 0,
    keep_days: null, pre_seconds: null, post_seconds: null };
  const { week, exact } = parseWeek(plan.windows);
  const state = { plan: { ...plan }, week, exact, paint: null, error: null, fault: "", busy: false };
  return await openDialog({
    title: () => t("title", { name: cell.name || cell.channel }), wide: true,
    render: (close, update) => form(state, { mayChange, close, update, path }),
  });
}

function form(state, { mayChange, close, update, path }) {
  const { plan } = state;
  const send = async (event) => {
    event.preventDefault();
    const body = bodyOf(event.target, state);
    state.fault = body.mode === "weekly" && !body.windows.length ? t("empty") : "";
    if (state.fault || state.busy) return update();
    state.busy = true;
    state.error = null;
    update();
    try {
      const saved = await api.put(path, body);
      toast(t("saved"));
      close(saved);
    } catch (error) {
      state.busy = false;
      state.error = error;
      update();
    }
    return undefined;
  };
  return h("form", { class: "dialog-form", onsubmit: send, autocomplete: "off" },
    h("div", { class: "dialog-body" },
      mayChange ? null : notice(t("no_right")),
      field({ label: t("mode"), name: "mode", type: "select", value: plan.mode, disabled: !mayChange,
        options: MODES.map((mode) => [mode, t(`mode.${mode}`)]),
        onchange: (event) => { plan.mode = event.target.value; update(); } }),
      plan.mode === "weekly" ? grid(state, mayChange, update) : null,
      state.fault ? notice(state.fault, "bad") : null,
      plan.mode === "event" ? h("div", { class: "columns" },
        number("pre_seconds", t("pre"), plan.pre_seconds, mayChange, 0, 60, t("pre_hint")),
        number("post_seconds", t("post"), plan.post_seconds, mayChange, 1, 3600)) : null,
      plan.mode === "off" ? null : h("div", { class: "columns" },
        number("keep_days", t("days"), plan.keep_days, mayChange, 0, 36500, t("days_hint")),
        field({ label: t("stream"), name: "stream", type: "select", value: plan.stream, disabled: !mayChange,
          options: [[0, t("main")], [1, t("sub")]] })),
      state.error ? formError(state.error) : null),
    h("footer", { class: "dialog-foot" },
      button(page("cancel"), { kind: "ghost", onclick: () => close() }),
      mayChange ? button(page("save"), { kind: "primary", type: "submit", busy: state.busy }) : null));
}

function number(name, label, value, mayChange, min, max, hint = null) {
  return field({ label, name, type: "number", value, min, max, step: 1, hint, disabled: !mayChange });
}

function bodyOf(element, { plan, week }) {
  const value = (name, fallback) => {
    const control = element.elements.namedItem(name);
    if (!control) return fallback;
    return control.value === "" ? null : Number(control.value);
  };
  return {
    mode: plan.mode,
    windows: plan.mode === "weekly" ? formatWeek(week) : plan.windows,
    zone: plan.zone,
    stream: value("stream", plan.stream) ?? 0,
    keep_days: value("keep_days", plan.keep_days),
    pre_seconds: value("pre_seconds", plan.pre_seconds),
    post_seconds: value("post_seconds", plan.post_seconds),
  };
}

function grid(state, mayChange, update) {
  const { week } = state;
  const put = (fill) => {
    week.forEach((hours, day) => hours.forEach((_, hour) => { hours[hour] = fill(day, hour); }));
    update();
  };
  const paint = (day, hour) => {
    if (state.paint === null || week[day][hour] === state.paint) return;
    week[day][hour] = state.paint;
    update();
  };
  const move = (event, day, hour) => {
    const [down, right] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] || [0, 0];
    if (!down && !right) return;
    event.preventDefault();
    const next = event.currentTarget.closest(".week").querySelector(
      `[data-hour="${Math.min(6, Math.max(0, day + down))}-${Math.min(23, Math.max(0, hour + right))}"]`);
    next.focus();
  };
  return h("div", { class: "stack" },
    state.exact ? null : notice(t("inexact"), "warn"),
    h("p", { class: "field-hint" }, t("grid", { zone: state.plan.zone })),
    h("div", { class: "week", role: "grid", onpointerup: () => { state.paint = null; }, onpointerleave: () => { state.paint = null; } },
      h("div", { class: "week-row week-hours", "aria-hidden": "true" }, h("span", null),
        Array.from({ length: 24 }, (_, hour) => h("span", null, hour % 3 === 0 ? hour : ""))),
      week.map((hours, day) => h("div", { class: "week-row", role: "row" },
        h("span", { class: "week-day", role: "rowheader" }, page(`weekday.${day}`)),
        hours.map((on, hour) => h("button", {
          type: "button", class: ["week-cell", on && "week-on"], role: "gridcell", "aria-pressed": String(on), disabled: !mayChange,
          "data-hour": `${day}-${hour}`, tabindex: day === 0 && hour === 0 ? "0" : "-1",
          "aria-label": t("hour", { day: page(`weekday.${day}`), from: hour, to: hour + 1 }),
          title: t("hour", { day: page(`weekday.${day}`), from: hour, to: hour + 1 }),
          onpointerdown: (event) => {
            event.preventDefault();
            event.currentTarget.releasePointerCapture?.(event.pointerId);
            state.paint = !week[day][hour];
            paint(day, hour);
            event.currentTarget.focus();
          },
          onpointerenter: () => paint(day, hour),
          onkeydown: (event) => {
            if (event.key === " " || event.key === "Enter") {
              event.preventDefault();
              week[day][hour] = !week[day][hour];
              update();
            } else move(event, day, hour);
          },
        }))))),
    mayChange ? h("div", { class: "row row-wrap" },
      button(t("all"), { small: true, onclick: () => put(() => true) }),
      button(t("work"), { small: true, onclick: () => put((day, hour) => day < 5 && hour >= 8 && hour < 18) }),
      button(t("clear"), { small: true, kind: "ghost", onclick: () => put((day, hour) => emptyWeek()[day][hour]) })) : null);
}
