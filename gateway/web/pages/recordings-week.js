// Weekly windows of a plan (`Mon-Fri 08:00-18:00`) as a grid of 7 days and 24 hours, and back.

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const CHINESE = "一二三四五六日";
const NAMES = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const WINDOW = /^(.+?)\s+(\d{2}):(\d{2})\s*-\s*(\d{2}):(\d{2})$/;

export const emptyWeek = () => Array.from({ length: 7 }, () => new Array(24).fill(false));

function dayNumber(text) {
  const name = text.trim().toLowerCase();
  return name.startsWith("周") ? CHINESE.indexOf(name[1]) : DAYS.indexOf(name);
}

function daysOf(text) {
  const found = new Set();
  for (const part of text.split(",")) {
    const name = part.trim();
    if (name.toLowerCase() === "daily" || name === "每天") DAYS.forEach((_, day) => found.add(day));
    else {
      const [first, last = first] = name.split("-").map(dayNumber);
      if (first < 0 || last < 0) return null;
      for (let day = first; ; day = (day + 1) % 7) {
        found.add(day);
        if (day === last) break;
      }
    }
  }
  return found;
}

/**
 * Read windows. `exact` is false if some hour is only partly in a window (it is then shown as in it), or is no window.
 * @returns {{week: boolean[][], exact: boolean}}
 */
export function parseWeek(windows) {
  const week = emptyWeek();
  let exact = true;
  for (const text of windows) {
    const parsed = WINDOW.exec(text.trim());
    const days = parsed && daysOf(parsed[1]);
    if (!days) {
      exact = false;
      continue;
    }
    const [h1, m1, h2, m2] = parsed.slice(2).map(Number);
    if (m1 || m2) exact = false;
    const first = h1;
    let last = h2 + (m2 ? 1 : 0);
    if (h2 * 60 + m2 < h1 * 60 + m1) last += 24;
    for (const day of days) {
      for (let hour = first; hour < last; hour += 1) week[(day + Math.floor(hour / 24)) % 7][hour % 24] = true;
    }
  }
  return { week, exact };
}

/** Windows of a grid: days alike share one. */
export function formatWeek(week) {
  const byHours = new Map();
  week.forEach((hours, day) => {
    for (const span of spansOf(hours)) byHours.set(span, [...(byHours.get(span) || []), day]);
  });
  return [...byHours].map(([span, days]) => `${dayText(days)} ${span}`);
}

function spansOf(hours) {
  const spans = [];
  const two = (hour) => `${String(hour).padStart(2, "0")}:00`;
  for (let hour = 0; hour < 24; hour += 1) {
    if (!hours[hour] || (hour && hours[hour - 1])) continue;
    let end = hour;
    while (end < 24 && hours[end]) end += 1;
    spans.push(`${two(hour)}-${two(end)}`);
  }
  return spans;
}

function dayText(days) {
  if (days.length === 7) return "daily";
  const runs = [];
  for (const day of days) {
    const run = runs.at(-1);
    if (run && run.at(-1) === day - 1) run.push(day);
    else runs.push([day]);
  }
  return runs.map((run) => (run.length > 2 ? `${NAMES[run[0]]}-${NAMES[run.at(-1)]}` : run.map((day) => NAMES[day]).join(","))).join(",");
}
