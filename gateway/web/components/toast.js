// Short messages at the edge of the window, read out to screen readers.

import { h } from "../lib/element.js";
import { icon } from "../lib/icons.js";
import { iconButton } from "../lib/ui.js";
import { t } from "../lib/i18n.js";
import { isAbort } from "../lib/api.js";

const SHOWN = { info: 4_000, good: 4_000, warn: 8_000, bad: 12_000 }; // milliseconds
const MOST = 4;

function shelf() {
  let found = document.querySelector(".toasts");
  if (!found) {
    found = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(found);
  }
  // In front of an open dialog, which is in the top layer.
  const host = [...document.querySelectorAll("dialog[open]")].at(-1) || document.body;
  if (found.parentNode !== host) host.append(found);
  return found;
}

/** Show a message; tone: info, good, warn, bad. */
export function toast(text, tone = "good", { hint = "" } = {}) {
  const place = shelf();
  const name = { info: "info", good: "check", warn: "warning", bad: "error" }[tone];
  const message = h("div", { class: `toast toast-${tone}` }, icon(name, { size: 18 }),
    h("div", { class: "toast-text" }, h("span", null, text), hint && h("span", { class: "toast-hint" }, hint)),
    iconButton("close", t("close"), { small: true, onclick: () => message.remove() }));
  place.append(message);
  while (place.children.length > MOST) place.firstChild.remove();
  setTimeout(() => message.remove(), SHOWN[tone] ?? SHOWN.info);
}

/** Tell of an error; one that came from leaving the page is none. */
export function toastError(error) {
  if (isAbort(error)) return;
  const { title, hint } = error.words || { title: t("error.unexpected"), hint: String(error?.message || "") };
  toast(title, "bad", { hint });
}
