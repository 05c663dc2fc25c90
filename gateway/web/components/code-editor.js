// <gb-code-editor>: a text area with line numbers and marks at lines. Tab inserts spaces; after Escape it leaves the editor.
//
//   h("gb-code-editor", {".text": "...", ".marks": [{line, tone: "bad" | "warn", title}], ".label": "...", ".readOnly": false,
//     onpick: (event) => event.detail /* the text after each change */})
// `text` is set anew only when it is another one than before; `reveal(line, column)` goes there.

import { View, define, h, newId } from "../lib/element.js";
import { words } from "../lib/i18n.js";

export const strings = {
  zh: { "leave": "按 Tab 缩进；先按 Esc 再按 Tab 可离开编辑器。", "leaving": "再按 Tab 离开编辑器", "place": "第 {line} 行，第 {column} 列，共 {lines} 行" },
  en: { "leave": "Tab indents; Escape, then Tab leaves the editor.", "leaving": "Tab now leaves the editor", "place": "Line {line}, column {column} of {lines} lines" },
};
const t = words(strings);

const INDENT = "  ";

class CodeEditor extends View {
  #text = "";
  #given = null;
  #marks = [];
  #leaving = false;
  #place = { line: 1, column: 1 };
  #id = newId("editor");
  label = "";
  readOnly = false;

  set text(value) {
    if (value === this.#given) return;
    this.#given = value;
    if (value === this.#text) return;
    this.#text = value;
    const area = this.#area;
    if (area) area.value = value;
    if (this.isConnected) this.update();
  }

  get text() {
    return this.#area?.value ?? this.#text;
  }

  set marks(value) {
    this.#marks = value || [];
    if (this.isConnected) this.update();
  }

  get #area() {
    return this.querySelector("textarea");
  }

  /** Put the caret at a line and column (from 1) and bring it into sight. */
  reveal(line, column = 1) {
    const area = this.#area;
    const lines = area.value.split("\n");
    const row = Math.min(Math.max(1, line), lines.length);
    const at = lines.slice(0, row - 1).reduce((sum, text) => sum + text.length + 1, 0);
    const from = at + Math.min(Math.max(0, column - 1), lines[row - 1].length);
    area.focus({ preventScroll: true });
    area.setSelectionRange(from, at + lines[row - 1].length);
    area.scrollTop = Math.max(0, (row - 1) * this.#lineHeight - area.clientHeight / 2);
    area.scrollLeft = 0;
    this.#scrolled();
    this.#moved();
    area.scrollIntoView({ block: "nearest" });
  }

  get #lineHeight() {
    return parseFloat(getComputedStyle(this.#area).lineHeight);
  }

  #changed() {
    this.#text = this.#area.value;
    this.#given = this.#text;
    this.#moved();
    this.dispatchEvent(new CustomEvent("pick", { detail: this.#text }));
  }

  #key(event) {
    const area = event.target;
    if (event.key === "Escape") {
      this.#leaving = true;
      this.update();
    } else if (event.key === "Tab" && !this.#leaving && !this.readOnly && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      this.#indent(area, event.shiftKey);
    } else if (event.key !== "Tab" && event.key !== "Shift" && this.#leaving) {
      this.#leaving = false;
      this.update();
    }
  }

  #indent(area, back) {
    const { selectionStart: from, selectionEnd: to, value } = area;
    const start = value.lastIndexOf("\n", from - 1) + 1;
    if (!back && from === to) {
      insert(area, INDENT);
    } else {
      // What is chosen moves as whole lines; replacing them through the editing command keeps undo.
      const block = value.slice(start, to);
      const moved = block.split("\n").map((line) => (back ? line.replace(/^ {1,2}/, "") : INDENT + line)).join("\n");
      if (moved === block) return;
      area.setSelectionRange(start, to);
      insert(area, moved);
      if (from !== to) area.setSelectionRange(start, start + moved.length);
    }
    this.#changed();
  }

  #moved() {
    const area = this.#area;
    if (!area) return;
    const before = area.value.slice(0, area.selectionStart).split("\n");
    this.#place = { line: before.length, column: before.at(-1).length + 1 };
    this.update();
  }

  #scrolled() {
    const area = this.#area;
    const gutter = this.querySelector(".editor-gutter");
    if (gutter) gutter.scrollTop = area.scrollTop;
  }

  rendered() {
    const area = this.#area;
    // Once only: afterwards what is typed is what holds.
    if (area && area.dataset.filled !== "true") {
      area.value = this.#text;
      area.dataset.filled = "true";
      area.setSelectionRange(0, 0);
      this.update();
    }
    this.#scrolled();
  }

  render() {
    const lines = this.text.split("\n").length;
    const marked = new Map();
    for (const mark of this.#marks) if (marked.get(mark.line)?.tone !== "bad") marked.set(mark.line, mark);
    return [
      h("div", { class: "editor" },
        h("div", { class: "editor-gutter", "aria-hidden": "true" }, numbers(lines, marked)),
        h("textarea", {
          class: "editor-text", "aria-label": this.label, "aria-describedby": `${this.#id}-hint`, spellcheck: "false", autocapitalize: "none", autocomplete: "off", wrap: "off",
          readonly: this.readOnly, "aria-invalid": this.#marks.some((mark) => mark.tone === "bad") ? "true" : null,
          oninput: () => this.#changed(), onkeydown: (event) => this.#key(event), onscroll: () => this.#scrolled(), onkeyup: () => this.#moved(),
          onclick: () => this.#moved(), onblur: () => { this.#leaving = false; this.update(); },
        })),
      h("div", { class: "editor-foot" }, h("span", { id: `${this.#id}-hint` }, t(this.#leaving ? "leaving" : "leave")),
        h("span", null, t("place", { ...this.#place, lines }))),
    ];
  }
}

/** Type a text: the command keeps the browser's undo; where it is not had the text is set. */
function insert(area, text) {
  if (document.execCommand?.("insertText", false, text)) return;
  area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
}

/** The numbers; runs without marks are one text. */
function numbers(lines, marked) {
  const found = [];
  let run = [];
  const flush = () => {
    if (run.length) found.push(h("span", null, `${run.join("\n")}\n`));
    run = [];
  };
  for (let line = 1; line <= lines; line += 1) {
    const mark = marked.get(line);
    if (!mark) run.push(line);
    else {
      flush();
      found.push(h("span", { class: `editor-mark editor-${mark.tone}`, title: mark.title }, `${line}\n`));
    }
  }
  flush();
  return found;
}

define("gb-code-editor", CodeEditor);
