// The wall: 1, 4, 9 or 16 channels at once, chosen from a list at the side, moved by the pad on the other.

import { confirm } from "../components/dialog.js";
import { toast } from "../components/toast.js";
import "../components/channel-picker.js";
import "../components/ptz.js";
import { api } from "../lib/api.js";
import { View, define, h } from "../lib/element.js";
import { go, link } from "../lib/route.js";
import { may } from "../lib/session.js";
import { iconButton, segmented } from "../lib/ui.js";
import { wayNames } from "../players/viewing.js";
import { handleKey, keysHelp } from "./live-keys.js";
import {
  LAYOUTS, PATROL, PLACES, pageCount, placeFor, put, readQuery, relayout, remember, remembered, same, tidy, writeQuery,
} from "./live-plan.js";
import "./live-tile.js";
import { t } from "./live-words.js";

const WAY = "gb.live.way";
const PICKER = "gb.live.picker";
const NARROW = "(max-width: 56rem)";

function stored(key, known) {
  try {
    const value = localStorage.getItem(key);
    return known.includes(value) ? value : known[0];
  } catch {
    return known[0];
  }
}

function store(key, value) {
  try { localStorage.setItem(key, value); } catch { /* lasts for this page */ }
}

export default define("page-live", class extends View {
  plan = { n: 4, page: 0, cells: [] };
  focused = 0;
  big = false;
  ptz = false; // the pad is shown
  ptzKeys = false; // and the keyboard moves
  help = false;
  #way = "auto";
  #picker = true;
  #patrol = 0;
  #patrolTimer = 0;

  start() {
    this.plan = readQuery(this.route.query) || remembered();
    this.focused = this.plan.page * this.plan.n;
    const ways = ["auto", ...wayNames];
    this.#way = ways.includes(this.route.query.way) ? this.route.query.way : stored(WAY, ways);
    this.#picker = !matchMedia(NARROW).matches && stored(PICKER, ["shown", "hidden"]) === "shown";
    const { signal } = this;
    for (const type of ["keydown", "keyup"]) document.addEventListener(type, (event) => handleKey(this, event), { signal });
    document.addEventListener("fullscreenchange", () => this.update(), { signal });
    this.#keep();
    void this.#learnNames();
  }

  stop() {
    clearInterval(this.#patrolTimer);
  }

  /** The address changed under us: by the back button, or a link to a channel. */
  routed() {
    const plan = readQuery(this.route.query);
    if (!plan || same(plan, this.plan)) return;
    const names = new Map(this.plan.cells.filter(Boolean).map((cell) => [`${cell.device}/${cell.channel}`, cell]));
    plan.cells = plan.cells.map((cell) => cell && (names.get(`${cell.device}/${cell.channel}`) || cell));
    this.plan = plan;
    this.focused = plan.page * plan.n;
    this.big = false;
    remember(plan);
    void this.#learnNames();
    this.update();
  }

  get first() {
    return this.plan.page * this.plan.n;
  }

  get cell() {
    return this.plan.cells[this.focused] || null;
  }

  /** The tile of a place in sight. */
  tile(place = this.focused) {
    return [...this.querySelectorAll("gb-tile")].find((tile) => tile.place === place) || null;
  }

  #keep() {
    remember(this.plan);
    // Not go(): what is on the wall is no step for the back button.
    const query = { ...writeQuery(this.plan), ...(this.route.query.way ? { way: this.route.query.way } : {}) };
    const href = link("live", query);
    if (location.hash !== href) go(href, { replace: true });
  }

  change(plan) {
    this.plan = plan;
    const last = this.first + plan.n - 1;
    if (this.focused < this.first || this.focused > last) this.focused = this.first;
    if (this.big && !this.cell) this.big = false;
    if (this.ptz && !this.cell) this.ptz = this.ptzKeys = false;
    this.#keep();
    this.update();
  }

  focus(place) {
    if (place === this.focused) return;
    this.focused = place;
    this.update();
  }

  layout(n) {
    this.big = false;
    this.change(relayout(this.plan, n, this.focused));
  }

  turn(step) {
    const count = pageCount(this.plan);
    this.focused = 0;
    this.change(tidy({ ...this.plan, page: (this.plan.page + step + count) % count }));
  }

  /** What tiles and keys ask for. */
  act(what, place = this.focused, detail = null) {
    switch (what) {
      case "drop":
        this.focused = place;
        this.change(put(this.plan, place, detail.cell, detail.from));
        break;
      case "remove":
        this.change(put(this.plan, place, null));
        break;
      case "big":
        this.focused = place;
        this.big = !this.big && Boolean(this.cell);
        this.update();
        break;
      case "ptz":
        this.ptz = !(this.ptz && place === this.focused);
        this.focused = place;
        this.ptzKeys = this.ptz;
        this.update();
        break;
      default:
        throw new Error(`unknown act ${what}`);
    }
  }

  #pick(cell) {
    const place = placeFor(this.plan, this.focused);
    if (place >= PLACES) return toast(t("full", { n: PLACES }), "warn");
    this.change(put(this.plan, place, cell));
    this.focused = place;
    // On a phone the list covers the wall.
    if (matchMedia(NARROW).matches) this.#picker = false;
    this.update();
    return undefined;
  }

  async #learnNames() {
    for (const cell of this.plan.cells) {
      if (!cell || (cell.name && cell.ptzType !== null)) continue;
      try {
        const path = `channels/${encodeURIComponent(cell.device)}/${encodeURIComponent(cell.channel)}`;
        const found = await api.get(path, { signal: this.signal, quiet: true });
        cell.name = found.name;
        cell.ptzType = found.ptz_type ?? 0;
      } catch {
        if (this.signal?.aborted !== false) return; // the tile itself says what is wrong with the channel
      }
    }
    remember(this.plan);
    this.update();
  }

  #setPatrol(seconds) {
    clearInterval(this.#patrolTimer);
    this.#patrol = seconds;
    if (seconds && pageCount(this.plan) < 2) toast(t("patrol.none"), "info");
    if (seconds) {
      this.#patrolTimer = setInterval(() => {
        if (!document.hidden && !this.big && !this.ptz && pageCount(this.plan) > 1) this.turn(1);
      }, seconds * 1000);
    }
    this.update();
  }

  #setWay(way) {
    this.#way = way;
    store(WAY, way);
    delete this.route.query.way;
    this.#keep();
    this.update();
  }

  #togglePicker() {
    this.#picker = !this.#picker;
    if (!matchMedia(NARROW).matches) store(PICKER, this.#picker ? "shown" : "hidden");
    this.update();
  }

  async #clear() {
    const n = this.plan.cells.filter(Boolean).length;
    if (!await confirm({ title: t("clear.title"), text: t("clear.text", { n }), yes: t("clear") })) return;
    this.change({ ...this.plan, page: 0, cells: [] });
  }

  #muteAll() {
    for (const video of this.querySelectorAll("gb-video")) if (!video.muted) video.toggleSound();
  }

  fullscreenWall() {
    if (document.fullscreenElement) return void document.exitFullscreen();
    return void this.querySelector(".wall-stage").requestFullscreen?.().catch(() => {});
  }

  render() {
    return h("div", { class: ["wall", this.#picker && "wall-with-picker", this.ptz && "wall-with-ptz"] },
      this.#picker ? h("aside", { class: "wall-picker", key: "picker", "aria-label": t("picker") },
        h("gb-channel-picker", {
          onpick: (event) => this.#pick(event.detail),
          ".marked": new Set(this.plan.cells.filter(Boolean).map((cell) => `${cell.device}/${cell.channel}`)),
        })) : null,
      h("section", { class: "wall-stage", key: "stage", "aria-label": t("wall") }, this.#toolbar(), this.#grid()),
      this.ptz ? h("aside", { class: "wall-ptz", key: "ptz", "aria-label": t("ptz_panel") },
        h("header", { class: "wall-ptz-head" },
          h("h2", { class: "card-title truncate" }, this.cell ? this.cell.name || this.cell.channel : t("ptz_panel")),
          iconButton("close", t("close"), { small: true, onclick: () => this.act("ptz") })),
        h("gb-ptz", {
          ".target": this.cell, ".keys": this.ptzKeys,
          ".why": () => this.tile()?.video?.viewing?.desk.reason || {},
        })) : null,
      this.help ? keysHelp(this) : null);
  }

  rendered() {
    for (const tile of this.querySelectorAll("gb-tile")) tile.update();
    this.querySelector("gb-ptz")?.update();
  }

  #toolbar() {
    const { plan } = this;
    const count = pageCount(plan);
    return h("div", { class: "wall-tools", role: "toolbar", "aria-label": t("wall") },
      iconButton("sidebar", t(this.#picker ? "hide" : "picker"), {
        "aria-pressed": String(this.#picker), onclick: () => this.#togglePicker(), "data-act": "picker",
      }),
      segmented(LAYOUTS.map((n) => [n, t(`layout.${n}`), `grid${n}`]), plan.n, (n) => this.layout(n), { label: t("layout") }),
      count > 1 ? h("span", { class: "wall-pages" },
        iconButton("chevron", t("previous"), { small: true, class: "flip", onclick: () => this.turn(-1) }),
        h("span", { class: "number" }, t("page", { n: plan.page + 1, of: count })),
        iconButton("chevron", t("next"), { small: true, onclick: () => this.turn(1) })) : null,
      h("select", { class: "input wall-select", "aria-label": t("patrol"), title: t("patrol"),
        onchange: (event) => this.#setPatrol(Number(event.target.value)) },
      [0, ...PATROL].map((n) => h("option", { value: n, selected: n === this.#patrol }, n ? t("patrol.n", { n }) : t("patrol.off")))),
      h("select", { class: "input wall-select", "aria-label": t("way"), title: t("way"),
        onchange: (event) => this.#setWay(event.target.value) },
      ["auto", ...wayNames].map((way) => h("option", { value: way, selected: way === this.#way }, t(`way.${way}`)))),
      h("span", { class: "grow" }),
      iconButton("mute", t("mute_all"), { onclick: () => this.#muteAll() }),
      iconButton("trash", t("clear"), { disabled: !plan.cells.some(Boolean), onclick: () => void this.#clear() }),
      iconButton("keyboard", t("keys"), { class: "wall-keys-button", "aria-pressed": String(this.help), onclick: () => { this.help = !this.help; this.update(); } }),
      document.fullscreenEnabled ? iconButton("fullscreen", t("fullscreen"), { onclick: () => this.fullscreenWall() }) : null);
  }

  #grid() {
    const { plan } = this;
    const seen = new Map();
    const tiles = [];
    for (let place = this.first; place < this.first + plan.n; place += 1) {
      const cell = plan.cells[place] || null;
      // By channel, so that one that is moved goes on playing.
      let key = cell ? `${cell.device}/${cell.channel}` : `free-${place}`;
      seen.set(key, (seen.get(key) || 0) + 1);
      if (seen.get(key) > 1) key += `#${seen.get(key)}`;
      const focused = place === this.focused;
      tiles.push(h("gb-tile", {
        key, class: this.big && !focused ? "tile-aside" : null, tabindex: focused ? "0" : "-1", role: "group", "data-place": place,
        "aria-label": t("place", { n: place + 1, name: cell ? cell.name || cell.channel : t("empty") }),
        "aria-current": focused ? "true" : null,
        ".cell": cell, ".place": place, ".way": this.#way, ".focused": focused, ".big": this.big && focused,
        ".canPtz": may("ptz"), ".ptz": this.ptz && focused, ".act": (...what) => this.act(...what),
        onpointerdown: () => this.focus(place), onfocusin: () => this.focus(place),
        ondblclick: (event) => { if (cell && !event.target.closest("button, input, form, summary")) this.act("big", place); },
        onclick: () => { if (!cell && matchMedia(NARROW).matches && !this.#picker) this.#togglePicker(); },
      }));
    }
    return h("div", { class: ["wall-grid", `wall-${this.big ? 1 : plan.n}`, this.big && "wall-big"] }, tiles);
  }
});
