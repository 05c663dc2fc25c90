// The keyboard of the wall.

import { h } from "../lib/element.js";
import { iconButton } from "../lib/ui.js";
import { LAYOUTS } from "./live-plan.js";
import { t } from "./live-words.js";

const ELSEWHERE = "input, textarea, select, [contenteditable], dialog, [role=tree], [role=listbox], [role=menu]";
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const HELP = ["arrows", "enter", "m", "s", "f", "p", "i", "delete", "digits", "esc"];

/** Take a keydown or keyup of the document for a wall. */
export function handleKey(wall, event) {
  const target = event.target instanceof Element ? event.target : document.body;
  if (document.querySelector("dialog[open]")) return;
  if (target.closest(ELSEWHERE) && !target.closest(".gbv-volume")) return;
  if (wall.ptz && wall.ptzKeys && wall.querySelector("gb-ptz").key(event)) {
    event.preventDefault();
    return;
  }
  if (event.type !== "keydown" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (pressed(wall, event, target)) event.preventDefault();
}

function pressed(wall, event, target) {
  const onWall = target === document.body || target.closest(".wall-grid, .main") === target || Boolean(target.closest(".wall-grid"));
  if (event.key in STEPS && onWall) return step(wall, STEPS[event.key]);
  if (event.key === "Enter" && !target.closest("button, a, summary") && onWall) {
    if (!wall.cell) return false;
    wall.act("big");
    return true;
  }
  const video = wall.tile()?.video;
  switch (event.key.toLowerCase()) {
    case "m": return run(video, () => video.toggleSound());
    case "s": return run(video, () => void video.snapshot());
    case "f": return run(video, () => video.toggleFullscreen());
    case "i": return run(video, () => video.toggleStats());
    case "p": return run(wall.cell, () => wall.act("ptz"));
    case "delete":
    case "backspace": return onWall && run(wall.cell, () => wall.act("remove"));
    case "escape": return leave(wall);
    case "?": return run(true, () => { wall.help = !wall.help; wall.update(); });
    case "0": return run(true, () => wall.layout(16));
    default:
      return LAYOUTS.includes(Number(event.key)) && run(true, () => wall.layout(Number(event.key)));
  }
}

function run(possible, work) {
  if (!possible) return false;
  work();
  return true;
}

function step(wall, [right, down]) {
  const columns = Math.sqrt(wall.plan.n);
  const at = wall.focused - wall.first;
  const column = (at % columns) + right;
  const row = Math.floor(at / columns) + down;
  if (column < 0 || column >= columns || row < 0 || row >= columns) return false;
  wall.focus(wall.first + row * columns + column);
  wall.tile()?.focus({ preventScroll: true });
  return true;
}

function leave(wall) {
  if (wall.help) wall.help = false;
  else if (wall.ptz) wall.act("ptz");
  else if (wall.big) wall.act("big");
  else return false;
  wall.update();
  return true;
}

/** The list of keys, over the wall. */
export function keysHelp(wall) {
  return h("div", { class: "wall-help card", role: "dialog", "aria-label": t("keys"), key: "help" },
    h("header", { class: "card-head" }, h("h2", { class: "card-title" }, t("keys")),
      iconButton("close", t("close"), { small: true, onclick: () => { wall.help = false; wall.update(); } })),
    h("dl", { class: "wall-keys" }, HELP.map((key) => h("div", { class: "wall-key" },
      h("dt", null, h("kbd", null, t(`key.${key}`))), h("dd", null, t(`key.${key}.do`))))));
}
