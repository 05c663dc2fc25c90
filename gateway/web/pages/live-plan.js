// What the wall shows: layout, channels by place, and how it is kept in the address and in the browser.

export const LAYOUTS = [1, 4, 9, 16];
export const PLACES = 64; // four pages of sixteen
export const PATROL = [10, 15, 30, 60]; // seconds per page

const STORED = "gb.live";
const ID = /^[\w.-]{1,64}$/;

/** {n, page, cells: [{device, channel, name, ptzType} | null]} */
export function emptyPlan() {
  return { n: 4, page: 0, cells: [] };
}

/** The plan of an address, or null if it says nothing: `?n=4&c=device/channel,,device/channel&p=1`. */
export function readQuery(query) {
  if (!query.n && !query.c) return null;
  const plan = emptyPlan();
  plan.cells = (query.c || "").split(",").slice(0, PLACES).map(readCell);
  // A link to a channel names no layout: as small a one as shows all.
  const fitting = LAYOUTS.find((n) => n >= plan.cells.length) || LAYOUTS.at(-1);
  plan.n = LAYOUTS.includes(Number(query.n)) ? Number(query.n) : fitting;
  plan.page = Number.isInteger(Number(query.p)) ? Math.max(0, Number(query.p)) : 0;
  return tidy(plan);
}

function readCell(text) {
  const [device, channel, rest] = text.split("/");
  return rest === undefined && ID.test(device) && ID.test(channel || "") ? { device, channel, name: "", ptzType: null } : null;
}

/** The query of an address for a plan. */
export function writeQuery({ n, page, cells }) {
  const list = cells.map((cell) => (cell ? `${cell.device}/${cell.channel}` : "")).join(",");
  return { n, c: list || null, p: page || null };
}

/** The plan of last time. */
export function remembered() {
  try {
    const { n, page, cells } = JSON.parse(localStorage.getItem(STORED)) || {};
    const known = (cells || []).slice(0, PLACES).map((cell) =>
      (cell && ID.test(cell.device) && ID.test(cell.channel)
        ? { device: cell.device, channel: cell.channel, name: String(cell.name || ""), ptzType: cell.ptzType ?? null } : null));
    return tidy({ n: LAYOUTS.includes(n) ? n : 4, page: Number.isInteger(page) ? page : 0, cells: known });
  } catch {
    return emptyPlan();
  }
}

export function remember({ n, page, cells }) {
  try { localStorage.setItem(STORED, JSON.stringify({ n, page, cells })); } catch { /* the address has it */ }
}

/** No empty places at the end, and a page that exists. */
export function tidy(plan) {
  const cells = [...plan.cells];
  while (cells.length && !cells.at(-1)) cells.pop();
  return { n: plan.n, cells, page: Math.min(Math.max(0, plan.page), pageCount({ n: plan.n, cells }) - 1) };
}

export const pageCount = ({ n, cells }) => Math.max(1, Math.ceil(cells.length / n));

/** Put a channel into a place, or into the first free one; what was there is moved on if it came from the wall. */
export function put(plan, place, cell, from = null) {
  const cells = [...plan.cells];
  while (cells.length <= Math.max(place, from ?? 0)) cells.push(null);
  const there = cells[place];
  cells[place] = cell;
  if (from !== null && from !== place) cells[from] = there;
  return tidy({ ...plan, cells });
}

/** The place a channel picked from the list goes to: the chosen one if it is empty, else a free one in sight, else the chosen. */
export function placeFor(plan, focused) {
  const first = plan.page * plan.n;
  if (!plan.cells[focused]) return focused;
  for (let place = first; place < first + plan.n; place += 1) if (!plan.cells[place]) return place;
  return focused;
}

/** The same plan in another layout, still showing the focused place. */
export function relayout(plan, n, focused) {
  return tidy({ ...plan, n, page: Math.floor(focused / n) });
}

/** Whether two plans show the same. */
export function same(one, other) {
  const text = (plan) => JSON.stringify([plan.n, plan.page, plan.cells.map((cell) => cell && [cell.device, cell.channel])]);
  return text(one) === text(other);
}
