// A form in a dialog, its fields side by side where there is room; which fields there are may depend on what is chosen.
//
//   await gridForm({title, intro, fields: (values) => [{name, label, wide, ...as field()}], submit, save, check})
//
// As formDialog() otherwise. A field of type "checks" is a list of check boxes: {options: [[value, text]...], value: [...]}.

import { h } from "../lib/element.js";
import { t } from "../lib/i18n.js";
import { button, field } from "../lib/ui.js";
import { ApiError } from "../lib/api.js";
import { formError, formValues, openDialog } from "./dialog.js";

export function gridForm({ title, intro = null, fields, submit = null, save, check = null }) {
  const state = { busy: false, error: null, fields: {}, values: {} };
  return openDialog({ title, wide: true, render: (close, update) => {
    const list = fields(state.values);
    const read = (form) => ({
      ...formValues(form, list.filter((item) => item.type !== "checks")),
      ...Object.fromEntries(list.filter((item) => item.type === "checks").map((item) =>
        [item.name, [...form.querySelectorAll(`[data-checks="${item.name}"]:checked`)].map((box) => box.value)])),
    });
    const send = async (event) => {
      event.preventDefault();
      if (state.busy) return;
      const values = read(event.target);
      Object.assign(state, { error: null, fields: check?.(values) || {} });
      if (Object.keys(state.fields).length) {
        update();
        queueMicrotask(() => event.target.querySelector('[aria-invalid="true"]')?.focus());
        return;
      }
      state.busy = true;
      update();
      try {
        close((await save(values)) ?? values);
      } catch (error) {
        Object.assign(state, { busy: false, error, fields: error instanceof ApiError ? error.fields : {} });
        update();
      }
    };
    return h("form", { class: "dialog-form", onsubmit: send, autocomplete: "off", onchange: (event) => {
      state.values = read(event.currentTarget);
      // What was wrong may be right now; it is judged anew when it is sent.
      delete state.fields[event.target.name || event.target.dataset.checks];
      update();
    } },
    h("div", { class: "dialog-body" }, intro && h("p", { class: "dialog-intro" }, typeof intro === "function" ? intro() : intro),
      h("div", { class: "form-grid" }, list.map(({ wide, ...item }) => h("div", { key: item.name, class: (wide || item.type === "checks") && "form-wide" },
        item.type === "checks" ? checks(item, state.fields[item.name]) : field({ ...item, error: state.fields[item.name] })))),
      state.error && formError(state.error)),
    h("footer", { class: "dialog-foot" }, button(t("cancel"), { kind: "ghost", onclick: () => close() }),
      button(submit || t("save"), { kind: "primary", type: "submit", busy: state.busy })));
  } });
}

function checks({ name, label, options, value = [], hint }, error) {
  return h("fieldset", { class: "field checks-field", "aria-invalid": error ? "true" : null }, h("legend", { class: "field-label" }, label),
    h("div", { class: "row row-wrap checks" }, options.map(([choice, text]) => h("label", { class: "check", key: choice },
      h("input", { type: "checkbox", class: "check-box", value: choice, "data-checks": name, checked: value.includes(choice) }), h("span", null, text)))),
    hint && h("p", { class: "field-hint" }, hint), error && h("p", { class: "field-error", role: "alert" }, error));
}
