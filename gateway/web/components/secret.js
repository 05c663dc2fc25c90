// What is shown once: a secret, a key, an address with a key; with a button that copies it.

import { h } from "../lib/element.js";
import { t as common, words } from "../lib/i18n.js";
import { button, field, notice } from "../lib/ui.js";
import { openDialog } from "./dialog.js";
import { toast } from "./toast.js";

export const strings = {
  zh: { "once": "只显示这一次，请立即复制保存；关闭后无法再次查看。", "copied": "已复制", "uncopied": "浏览器不允许复制，请手工选中后复制", "saved": "已保存，关闭" },
  en: { "once": "Shown this once: copy and keep it now. It cannot be seen again.", "copied": "Copied",
    "uncopied": "The browser does not let it be copied: select it by hand", "saved": "Kept, close" },
};
const t = words(strings);

/** Put a text on the clipboard, and say so; over plain http browsers have the old way only. */
export async function copyText(text, input = null) {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else {
      input.select();
      if (!document.execCommand("copy")) throw new Error("refused");
    }
    toast(t("copied"));
  } catch {
    input?.select();
    toast(t("uncopied"), "warn");
  }
}

/** A text that is to be copied: read-only field and button. */
export function copyField(label, value, { name, hint = null } = {}) {
  const id = `copy-${name}`;
  return field({
    label, name, id, value, readonly: true, hint, class: "mono", onfocus: (event) => event.target.select(),
    suffix: button(common("copy"), { icon: "copy", "aria-label": `${common("copy")} ${label}`, onclick: () => copyText(value, document.getElementById(id)) }),
  });
}

/** Show secrets once: [{label, value, name, hint}]; closed by its button only, so that nobody loses them by a stray click. */
export function showSecrets({ title, intro = null, secrets }) {
  return openDialog({
    title, locked: true, wide: true,
    render: (close) => [
      h("div", { class: "dialog-body" }, intro && h("p", { class: "dialog-intro" }, intro), notice(t("once"), "warn"),
        secrets.filter((item) => item.value).map((item) => copyField(item.label, item.value, item))),
      h("footer", { class: "dialog-foot" }, button(t("saved"), { kind: "primary", autofocus: true, onclick: () => close(true) })),
    ],
  });
}
