// Components without state of their own: functions that return nodes. Those with state are custom elements in
// components/. Classes are in css/components.css; use these functions rather than the classes.

import { h, newId } from "./element.js";
import { icon } from "./icons.js";
import { t } from "./i18n.js";
import { remedy, said } from "./codes.js";

/** button("Save", {onclick, kind: "primary" | "plain" | "ghost" | "danger", icon, small, busy, disabled, type}) */
export function button(label, { kind = "plain", icon: name, small, busy, disabled, type = "button", ...rest } = {}) {
  return h("button", {
    type, ...rest, disabled: disabled || busy, "aria-busy": busy ? "true" : null,
    class: ["button", `button-${kind}`, small && "button-small", rest.class],
  }, name && icon(name, { size: small ? 16 : 18 }), label && h("span", null, label));
}

/** A button that shows an icon only; its label is read out and shown on hover. */
export function iconButton(name, label, { small, ...rest } = {}) {
  return h("button", {
    type: "button", "aria-label": label, title: label, ...rest,
    class: ["icon-button", small && "icon-button-small", rest.class],
  }, icon(name, { size: small ? 16 : 20 }));
}

/** A link that looks like a button. */
export function linkButton(label, href, { kind = "plain", icon: name, small, ...rest } = {}) {
  return h("a", { href, ...rest, class: ["button", `button-${kind}`, small && "button-small", rest.class] },
    name && icon(name, { size: small ? 16 : 18 }), h("span", null, label));
}

/**
 * A labelled control with hint and error.
 * field({label, name, type, value, hint, error, required, options: [[value, text]...], oninput, ...attributes})
 * type: any of <input>, or "select", "textarea", "checkbox".
 */
export function field({ label, hint, error, type = "text", options, value, id = null, suffix, ...rest }) {
  const own = id || `field-${rest.name || newId()}`;
  const described = [hint && `${own}-hint`, error && `${own}-error`].filter(Boolean).join(" ") || null;
  const common = {
    id: own, ...rest, "aria-describedby": described, "aria-invalid": error ? "true" : null,
    class: ["input", rest.class],
  };
  if (type === "checkbox") {
    return h("div", { class: "field" },
      h("label", { class: "check", for: own },
        h("input", { ...common, type, class: "check-box", checked: Boolean(value) }), h("span", null, label)),
      hint && h("p", { class: "field-hint", id: `${own}-hint` }, hint),
      error && fieldError(own, error));
  }
  let control;
  if (type === "select") {
    control = h("select", { ...common }, (options || []).map(([choice, text]) =>
      h("option", { value: choice, selected: String(choice) === String(value ?? "") }, text)));
  } else if (type === "textarea") control = h("textarea", { ...common }, value ?? "");
  else control = h("input", { ...common, type, value: value ?? null });
  return h("div", { class: "field" },
    h("label", { class: "field-label", for: own }, label,
      rest.required && h("span", { class: "field-required", title: t("required"), "aria-hidden": "true" }, "*")),
    suffix ? h("div", { class: "field-row" }, control, suffix) : control,
    hint && h("p", { class: "field-hint", id: `${own}-hint` }, hint),
    error && fieldError(own, error));
}

function fieldError(id, error) {
  return h("p", { class: "field-error", id: `${id}-error` }, icon("error", { size: 16 }), error);
}

/** A small label; tone: neutral, good, warn, bad, info. */
export function badge(text, tone = "neutral", { icon: name } = {}) {
  return h("span", { class: `badge badge-${tone}` }, name && icon(name, { size: 14 }), text);
}

/** A dot with a word: never colour alone. */
export function status(text, tone = "neutral", { title } = {}) {
  return h("span", { class: `status status-${tone}`, title: title || null },
    h("span", { class: "status-dot", "aria-hidden": "true" }), h("span", { class: "status-text" }, text));
}

/** Online or offline, as a status. */
export function presence(online, reason = null) {
  if (online) return status(t("online"), "good");
  return status(reason ? `${t("offline")} · ${said(reason)}` : t("offline"), reason === "never_registered" ? "neutral" : "bad");
}

/** Nothing there: say so, and what to do. */
export function empty({ title = t("empty.title"), hint = "", icon: name = "info", action = null } = {}) {
  return h("div", { class: "state" }, h("div", { class: "state-icon" }, icon(name, { size: 28 })),
    h("p", { class: "state-title" }, title), hint && h("p", { class: "state-hint" }, hint), action);
}

/** An error with its words, what to do and, folded, its technical detail. retry: a function or null. */
export function errorState(error, { retry = null, compact = false } = {}) {
  const { title, hint } = error?.words || { title: t("error.unexpected"), hint: "" };
  return h("div", { class: ["state", "state-error", compact && "state-compact"], role: "alert" },
    h("div", { class: "state-icon" }, icon(error?.isOffline ? "warning" : "error", { size: compact ? 20 : 28 })),
    h("p", { class: "state-title" }, title),
    hint && h("p", { class: "state-hint" }, hint),
    technical({ detail: hint === error?.detail ? "" : error?.detail || error?.message, code: error?.code }),
    retry && button(t("retry"), { icon: "refresh", onclick: retry }));
}

/** The server's own sentence and code, folded. */
export function technical(error) {
  const lines = [error?.exact || error?.detail || error?.message, error?.code && t("error.reference", { code: error.code })];
  if (!lines.some(Boolean)) return null;
  return h("details", { class: "technical" }, h("summary", null, t("error.detail")),
    lines.filter(Boolean).map((line) => h("p", null, line)));
}

/** A message within a page; tone: info, good, warn, bad. */
export function notice(text, tone = "info", { title = null, action = null } = {}) {
  const name = { info: "info", good: "check", warn: "warning", bad: "error" }[tone];
  return h("div", { class: `notice notice-${tone}`, role: tone === "bad" ? "alert" : "status" }, icon(name, { size: 18 }),
    h("div", { class: "notice-text" }, title && h("strong", null, title), text && h("span", null, text)), action);
}

/** Grey bars while something loads. */
export function skeleton(lines = 3) {
  return h("div", { class: "skeleton", role: "status", "aria-label": t("loading") },
    Array.from({ length: lines }, (_, index) => h("span", { class: "skeleton-line", style: { width: `${90 - (index % 3) * 18}%` } })));
}

/** Terms and values: facts([["Name", node], ...]); a value of null, undefined or "" shows a dash. */
export function facts(pairs, { columns = false } = {}) {
  return h("dl", { class: ["facts", columns && "facts-columns"] }, pairs.filter(Boolean).map(([term, value]) =>
    h("div", { class: "facts-pair" }, h("dt", null, term),
      h("dd", null, value === null || value === undefined || value === "" ? "–" : value))));
}

/** A framed part of a page. */
export function card({ title = null, actions = null, class: extra = "", flush = false, level = 2 } = {}, ...children) {
  return h("section", { class: ["card", extra] },
    (title || actions) && h("header", { class: "card-head" }, title && h(`h${level}`, { class: "card-title" }, title),
      actions && h("div", { class: "card-actions" }, actions)),
    h("div", { class: flush ? "card-body card-flush" : "card-body" }, ...children));
}

/** Head of a page: crumbs [[text, href]...], title, what stands beside it. */
export function pageHead({ crumbs = [], title, aside = null, note = null }) {
  return h("header", { class: "page-head" },
    h("div", { class: "page-head-text" },
      crumbs.length ? h("nav", { class: "crumbs", "aria-label": "breadcrumb" }, crumbs.map(([text, href]) =>
        h("span", { class: "crumb" }, h("a", { href }, text), icon("chevron", { size: 14 })))) : null,
      h("h1", { class: "page-title" }, title), note && h("div", { class: "page-note" }, note)),
    aside && h("div", { class: "page-aside" }, aside));
}

/** Tabs: tabs([["facts", "Facts"]...], current, choose); put what they show into tabPanel(). */
export function tabs(items, current, choose, { label = null } = {}) {
  const move = (event) => {
    const at = items.findIndex(([id]) => id === current);
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -at, End: items.length - 1 - at }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const [next] = items[(at + step + items.length) % items.length];
    choose(next);
    event.currentTarget.querySelector(`[data-tab="${CSS.escape(next)}"]`)?.focus();
  };
  return h("div", { class: "tabs", role: "tablist", "aria-label": label, onkeydown: move }, items.map(([id, text, count]) =>
    h("button", {
      type: "button", role: "tab", class: "tab", id: `tab-${id}`, "data-tab": id, "aria-selected": String(id === current),
      "aria-controls": `panel-${id}`, tabindex: id === current ? "0" : "-1", onclick: () => choose(id),
    }, text, count !== undefined && count !== null && h("span", { class: "tab-count" }, count))));
}

export function tabPanel(id, ...children) {
  return h("div", { class: "tab-panel", role: "tabpanel", id: `panel-${id}`, "aria-labelledby": `tab-${id}`, key: id }, ...children);
}

/** A choice of few: segmented([["all", "All"]...], current, choose, {label}). */
export function segmented(items, current, choose, { label } = {}) {
  return h("div", { class: "segmented", role: "group", "aria-label": label }, items.map(([id, text, name]) =>
    h("button", {
      type: "button", class: "segment", "aria-pressed": String(id === current), onclick: () => choose(id), title: name && text,
      "aria-label": name ? text : null,
    }, name ? icon(name, { size: 18 }) : text)));
}

/** A search field; oninput gets the text. */
export function searchField({ value = "", label = t("search"), placeholder = label, oninput, ...rest }) {
  return h("div", { class: "search", role: "search" }, icon("search", { size: 18, class: "search-icon" }),
    h("input", {
      type: "search", class: "input search-input", "aria-label": label, placeholder, ".value": value, autocomplete: "off",
      spellcheck: "false", oninput: (event) => oninput(event.target.value), ...rest,
    }));
}

/** What happened, newest first: timeline([{at, title, detail, tone, note}...], {when}). */
export function timeline(entries) {
  return h("ol", { class: "timeline" }, entries.map((entry) =>
    h("li", { class: `timeline-entry timeline-${entry.tone || "neutral"}`, key: entry.key ?? null },
      h("span", { class: "timeline-dot", "aria-hidden": "true" }),
      h("div", { class: "timeline-body" },
        h("div", { class: "timeline-head" }, h("span", { class: "timeline-title" }, entry.title), entry.note,
          h("time", { class: "timeline-time", datetime: entry.at }, entry.when)),
        entry.detail && h("div", { class: "timeline-detail" }, entry.detail)))));
}

/** Code or, with lines beginning + - and space, a difference. */
export function code(text, { diff = false, label = null } = {}) {
  if (!diff) return h("pre", { class: "code", tabindex: "0", "aria-label": label }, text);
  const tone = (line) => (line.startsWith("+") ? "diff-add" : line.startsWith("-") ? "diff-remove" : line.startsWith("@") ? "diff-place" : null);
  return h("pre", { class: "code code-diff", tabindex: "0", "aria-label": label },
    String(text).split("\n").map((line) => h("span", { class: ["diff-line", tone(line)] }, `${line}\n`)));
}

/** A number with its word, for overviews. */
export function figure(value, label, { tone = null, href = null, note = null } = {}) {
  const inner = [h("span", { class: "figure-value" }, value), h("span", { class: "figure-label" }, label),
    note && h("span", { class: "figure-note" }, note)];
  const classes = ["figure", tone && `figure-${tone}`];
  return href ? h("a", { class: classes, href }, inner) : h("div", { class: classes }, inner);
}

/** How full something is, in words and as a bar. */
export function meter(share, { label, tone = null } = {}) {
  const value = Math.min(1, Math.max(0, share));
  const own = tone || (value >= 0.95 ? "bad" : value >= 0.85 ? "warn" : "good");
  return h("div", {
    class: `meter meter-${own}`, role: "meter", "aria-label": label, "aria-valuemin": "0", "aria-valuemax": "100",
    "aria-valuenow": String(Math.round(value * 100)),
  }, h("span", { class: "meter-bar", style: { width: `${value * 100}%` } }));
}

export { remedy, said };
