// Addresses: `#/devices/34020000001180000001?tab=timeline`. Hash, so that the server knows one page only.

/** The address now: {path, segments, query}. */
export function currentRoute() {
  const hash = location.hash.startsWith("#/") ? location.hash.slice(2) : "";
  const [path, search = ""] = hash.split("?", 2);
  const segments = path.split("/").filter(Boolean).map(decode);
  return { path, segments, query: Object.fromEntries(new URLSearchParams(search)) };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The href of a page: link("devices", id, {tab: "channels"}). */
export function link(...parts) {
  const last = parts.at(-1);
  const query = last && typeof last === "object" ? parts.pop() : null;
  const path = parts.map((part) => encodeURIComponent(part)).join("/");
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query || {})) {
    if (value !== null && value !== undefined && value !== "") search.set(name, value);
  }
  // Slashes in values stay readable: #/live?c=device/channel
  const text = search.toString().replaceAll("%2F", "/");
  return `#/${path}${text ? `?${text}` : ""}`;
}

/** Go somewhere; `replace` leaves no step for the back button (a search as it is typed). */
export function go(href, { replace = false } = {}) {
  if (replace) {
    history.replaceState(null, "", href);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = href.slice(1);
}

/** Match segments against "devices/:device": the parameters, or null. */
export function matched(pattern, segments) {
  const parts = pattern.split("/");
  if (parts.length !== segments.length) return null;
  const params = {};
  for (const [index, part] of parts.entries()) {
    if (part.startsWith(":")) params[part.slice(1)] = segments[index];
    else if (part !== segments[index]) return null;
  }
  return params;
}
