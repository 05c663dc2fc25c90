// A month in which days with recordings are marked.

import { h } from "../lib/element.js";
import { currentLanguage, day as dayText, duration } from "../lib/i18n.js";
import { iconButton } from "../lib/ui.js";
import { t } from "./recordings-words.js";

/** Midnight of a day, so many days later. */
export function midnight(date, later = 0) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + later);
}

/** First and last day that the calendar of a month shows: whole weeks from Monday. */
export function monthSpan(month) {
  const first = new Date(month.getFullYear(), month.getMonth(), 1);
  const begin = midnight(first, -((first.getDay() + 6) % 7));
  return [begin, midnight(begin, 41)];
}

/**
 * @param {{month: Date, chosen: Date, days: Map<string, {seconds: number, events: boolean, locked: boolean}>,
 *   choose: (day: Date) => void, turn: (months: number) => void}} what days: by `2026-11-21`.
 */
export function calendar({ month, chosen, days, choose, turn }) {
  const [begin] = monthSpan(month);
  const today = midnight(new Date()).getTime();
  const title = new Intl.DateTimeFormat(currentLanguage() === "zh" ? "zh-CN" : "en-GB", { year: "numeric", month: "long" }).format(month);
  return h("div", { class: "calendar" },
    h("div", { class: "calendar-head" },
      iconButton("chevron", t("month_before"), { small: true, class: "flip", onclick: () => turn(-1) }),
      h("strong", { "aria-live": "polite" }, title),
      iconButton("chevron", t("month_after"), { small: true, onclick: () => turn(1) })),
    h("div", { class: "calendar-grid" },
      Array.from({ length: 7 }, (_, index) => h("span", { class: "calendar-weekday", "aria-hidden": "true" }, t(`weekday.${index}`))),
      Array.from({ length: 42 }, (_, index) => {
        const date = midnight(begin, index);
        const name = dayText(date);
        const found = days.get(name);
        const label = found ? t("day_has", { day: name, time: duration(found.seconds) }) : t("day_empty", { day: name });
        return h("button", {
          type: "button", title: label, "aria-label": label, "data-day": name, disabled: date.getTime() > today,
          "aria-pressed": String(date.getTime() === chosen.getTime()), onclick: () => choose(date),
          class: ["calendar-day", date.getMonth() !== month.getMonth() && "calendar-other", found && "calendar-has",
            found?.events && "calendar-events", date.getTime() === today && "calendar-today"],
        }, date.getDate());
      })));
}

/** A date as <input type=datetime-local> writes it. */
export function localTime(date) {
  const two = (value) => String(value).padStart(2, "0");
  return `${dayText(date)}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
