// Native <dialog>: forms and questions. Escape and the cancel button resolve with null.

import { h, morph, newId } from "../lib/element.js";
import { button, field, iconButton, technical } from "../lib/ui.js";
import { t } from "../lib/i18n.js";
import { ApiError } from "../lib/api.js";

/** Open a dialog: openDialog({title, render: (close, update) => nodes, wide, modal}) -> promise of what close() got. */
export function openDialog({ title, render, wide = false, locked = false, class: extra = "" }) {
  const titleId = newId("dialog");
  const before = document.activeElement;
  return new Promise((resolve) => {
    const dialog = h("dialog", { class: ["dialog", wide && "dialog-wide", extra], "aria-labelledby": titleId });
    const close = (value = null) => {
      if (!dialog.isConnected) return;
      window.removeEventListener("gb-language", update);
      window.removeEventListener("hashchange", leave);
      dialog.close();
      dialog.remove();
      back(before);
      resolve(value);
    };
    const update = () => {
      const heading = typeof title === "function" ? title() : title;
      morph(dialog, h("header", { class: "dialog-head" }, h("h2", { id: titleId, class: "dialog-title" }, heading),
        !locked && iconButton("close", t("close"), { onclick: () => close(), small: true })),
      render(close, update));
    };
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      if (!locked) close();
    });
    // A press that began on the backdrop, so that selecting text over the edge does not close it.
    dialog.addEventListener("pointerdown", (event) => {
      if (event.target === dialog && !locked && outside(dialog, event)) close();
    });
    // A link inside leads to another page: the dialog belongs to this one.
    const leave = () => !locked && close();
    window.addEventListener("hashchange", leave);
    window.addEventListener("gb-language", update);
    update();
    document.body.append(dialog);
    dialog.showModal();
    (dialog.querySelector("[autofocus]") || dialog.querySelector(".dialog-body input, .dialog-body select, .dialog-body textarea") ||
      dialog.querySelector(".button-primary, .button-danger, button"))?.focus();
  });
}

/** Focus what had it; anew, for the caret that close() restores while the page is still inert takes no text. */
function back(element) {
  if (!element?.isConnected || element === document.body) return;
  document.body.getBoundingClientRect();
  element.blur();
  element.focus({ preventScroll: true });
}

function outside(dialog, event) {
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

/**
 * A form: formDialog({title, intro, fields: [{name, label, ...as field()}], submit: "Save", save: async (values) => result})
 * Resolves with what save() returned (or the values), null if it was given up. Errors of save() are shown inside:
 * those of an API error's fields beside them. `check(values)` may return {field: message}.
 */
export function formDialog({ title, intro = null, fields, submit = null, kind = "primary", save = null, check = null, wide = false }) {
  const state = { busy: false, error: null, fields: {} };
  return openDialog({ title, wide, render: (close, update) => {
    const list = typeof fields === "function" ? fields() : fields;
    const send = async (event) => {
      event.preventDefault();
      if (state.busy) return;
      const values = formValues(event.target, list);
      Object.assign(state, { error: null, fields: check?.(values) || {} });
      if (Object.keys(state.fields).length) {
        update();
        event.target.querySelector('[aria-invalid="true"]')?.focus();
        return;
      }
      state.busy = true;
      update();
      try {
        close(save ? (await save(values)) ?? values : values);
      } catch (error) {
        Object.assign(state, { busy: false, error, fields: error instanceof ApiError ? error.fields : {} });
        update();
      }
    };
    return h("form", { class: "dialog-form", onsubmit: send, autocomplete: "off" },
      h("div", { class: "dialog-body" }, intro && h("p", { class: "dialog-intro" }, typeof intro === "function" ? intro() : intro),
        list.map((item) => field({ ...item, error: state.fields[item.name] || item.error })),
        state.error && formError(state.error)),
      h("footer", { class: "dialog-foot" }, button(t("cancel"), { kind: "ghost", onclick: () => close() }),
        button(submit || t("save"), { kind, type: "submit", busy: state.busy })));
  } });
}

/** What a form holds, by the types of its fields: numbers as numbers or null, check boxes as booleans. */
export function formValues(form, fields) {
  const values = {};
  for (const item of fields) {
    const control = form.elements.namedItem(item.name);
    if (!control) continue;
    if (item.type === "checkbox") values[item.name] = control.checked;
    else if (item.type === "number") values[item.name] = control.value === "" ? null : Number(control.value);
    else values[item.name] = control.value;
  }
  return values;
}

/** An error inside a form. */
export function formError(error) {
  const { title, hint } = error.words || { title: t("error.unexpected"), hint: "" };
  return h("div", { class: "notice notice-bad", role: "alert" },
    h("div", { class: "notice-text" }, h("strong", null, title), hint && h("span", null, hint), technical(error)));
}

/** A question: resolves true or false. `word`: must be typed first (for what cannot be undone). */
export async function confirm({ title, text, yes, danger = false, word = null, act = null }) {
  const done = await formDialog({
    title, intro: text, submit: yes || t("ok"), kind: danger ? "danger" : "primary",
    fields: word ? [{ name: "word", label: t("confirm.type", { word }), autocomplete: "off" }] : [],
    check: (values) => (word && values.word !== word ? { word: t("confirm.type", { word }) } : {}),
    save: async () => {
      await act?.();
      return true;
    },
  });
  return done === true;
}
