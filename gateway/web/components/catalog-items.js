// The catalogue that a platform would get: its items as a tree, what differs from another one, pages of it.

import { api } from "../lib/api.js";

const PAGE = 1000; // as many as one answer holds

/** Load up to `most` items of a list in pages: {items, total}. */
export async function loadAll(ask, most) {
  let items = [];
  let total = Infinity;
  while (items.length < Math.min(most, total)) {
    const page = await ask({ offset: items.length, limit: Math.min(PAGE, most - items.length) });
    total = page.total;
    if (!page.items.length) break;
    items = items.concat(page.items);
  }
  return { items, total: total === Infinity ? 0 : total };
}

/** The catalogue as kept (body null) or with changes. */
export function loadCatalog(platformId, body, most, signal) {
  const path = `platforms/${encodeURIComponent(platformId)}/preview`;
  return loadAll((query) => (body ? api.post(path, body, { query, signal, timeout: 60_000 }) : api.get(path, { query, signal, timeout: 60_000 })), most);
}

/** Under which code the platform knows which of our channels: Map of code -> {device_id, channel_id, name}. */
export async function loadCodes(platformId, most, signal) {
  const path = `platforms/${encodeURIComponent(platformId)}/codes`;
  const { items } = await loadAll((query) => api.get(path, { query, signal, timeout: 60_000 }), most);
  return new Map(items.map((item) => [item.shared_id, item]));
}

/** What a code stands for: region, group, organisation, platform, device, camera, other. */
export function kindOfCode(code) {
  if (code.length < 20) return "region";
  const type = code.slice(10, 13);
  return { 215: "group", 216: "organisation", 200: "platform", 131: "camera", 132: "camera", 134: "alarm" }[type] ||
    (type >= "111" && type <= "130" ? "device" : "other");
}

/** Items by what they hang under: {roots, below: Map of code -> items, cameras: Map of code -> number}. */
export function treeOf(items) {
  const known = new Set(items.map((item) => item.device_id));
  const below = new Map();
  const roots = [];
  const parents = new Map();
  for (const item of items) {
    const parent = item.parent_id.split("/").find((code) => known.has(code) && code !== item.device_id);
    parents.set(item.device_id, parent);
    if (!parent) roots.push(item);
    else if (below.has(parent)) below.get(parent).push(item);
    else below.set(parent, [item]);
  }
  const cameras = new Map();
  for (const item of items) {
    if (kindOfCode(item.device_id) !== "camera") continue;
    let code = parents.get(item.device_id);
    for (let depth = 0; code && depth < 40; depth += 1) {
      cameras.set(code, (cameras.get(code) || 0) + 1);
      code = parents.get(code);
    }
  }
  return { roots, below, cameras };
}

/** What differs: {added, removed, changed: [[before, after]...], marks: Map of code -> "added" | "changed"}. */
export function difference(before, after) {
  const old = new Map(before.map((item) => [item.device_id, item]));
  const added = [];
  const changed = [];
  const marks = new Map();
  for (const item of after) {
    const was = old.get(item.device_id);
    old.delete(item.device_id);
    if (!was) {
      added.push(item);
      marks.set(item.device_id, "added");
    } else if (JSON.stringify(was) !== JSON.stringify(item)) {
      changed.push([was, item]);
      marks.set(item.device_id, "changed");
    }
  }
  return { added, removed: [...old.values()], changed, marks };
}

/** Names of what is not the same in two items. */
export function changedFields(before, after) {
  const flat = ({ fields, ...rest }) => ({ ...rest, ...fields });
  const [was, now] = [flat(before), flat(after)];
  return [...new Set([...Object.keys(was), ...Object.keys(now)])].filter((name) => was[name] !== now[name])
    .map((name) => [name, was[name] ?? "", now[name] ?? ""]);
}
