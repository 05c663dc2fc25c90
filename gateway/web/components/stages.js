// <gb-stages .session=SessionOut>: how far a session came, as a horizontal diagram with the time of each stage,
// the stage that was not reached, and the end in words. `.compact` for tiles.

import { View, define, h } from "../lib/element.js";
import { icon } from "../lib/icons.js";
import { duration, words } from "../lib/i18n.js";
import { codes, remedy } from "../lib/codes.js";
import { technical } from "../lib/ui.js";

export const strings = {
  zh: { "label": "会话阶段", "at": "{stage}：{time}", "missing": "{stage}：未达到", "waiting": "{stage}：进行中",
    "pending": "{stage}：尚未开始" },
  en: { "label": "Stages of the session", "at": "{stage}: {time}", "missing": "{stage}: not reached",
    "waiting": "{stage}: under way", "pending": "{stage}: not begun" },
};
const t = words(strings);

export const STAGES = ["requested", "port_leased", "invited", "trying", "answered", "connected", "first_packet",
  "decodable", "first_output"];
// A session may pass over these: not every device answers 100, and UDP has no connection.
const OPTIONAL = new Set(["trying", "connected"]);

/** What the diagram shows: [{stage, at, state: done | now | failed | skipped | pending}]. */
export function stagesOf(session) {
  const reached = STAGES.reduce((last, stage, index) => (stage in session.stages ? index : last), 0);
  const running = !session.ended;
  let next = reached + 1;
  while (next < STAGES.length && OPTIONAL.has(STAGES[next])) next += 1;
  const failed = session.ended?.failure && reached < STAGES.indexOf("decodable");
  return STAGES.flatMap((stage, index) => {
    if (stage in session.stages) return [{ stage, at: session.stages[stage], state: "done" }];
    if (OPTIONAL.has(stage)) return [];
    if (index < reached) return [{ stage, at: null, state: "skipped" }];
    if (index === next && failed) return [{ stage, at: null, state: "failed" }];
    if (index === next && running) return [{ stage, at: null, state: "now" }];
    return [{ stage, at: null, state: "pending" }];
  });
}

const SAID = { done: "at", failed: "missing", skipped: "missing", now: "waiting", pending: "pending" };

export class Stages extends View {
  #session = null;
  compact = false;

  set session(value) {
    this.#session = value;
    if (this.isConnected) this.update();
  }

  render() {
    const session = this.#session;
    if (!session) return null;
    const steps = stagesOf(session);
    const ended = session.ended;
    return h("div", { class: ["stages", this.compact && "stages-compact"] },
      h("ol", { class: "stages-line", "aria-label": t("label") }, steps.map(({ stage, at, state }, index) => {
        const name = codes.code("stage", stage);
        const before = steps.slice(0, index).findLast((item) => item.at !== null);
        const gap = at !== null && before ? at - before.at : null;
        return h("li", { class: `stage stage-${state}`, title: t(SAID[state], { stage: name, time: duration(at) }) },
          h("span", { class: "stage-mark", "aria-hidden": "true" },
            state === "done" ? icon("check", { size: 12 }) : state === "failed" ? icon("close", { size: 12 }) : null),
          h("span", { class: "stage-name" }, name),
          h("span", { class: "stage-time" }, at === null ? "–" : index === 0 ? duration(0) : `+${duration(gap ?? at)}`));
      })),
      ended && h("div", { class: ["stages-end", ended.failure ? "stages-failed" : "stages-ordinary"] },
        icon(ended.failure ? "error" : "info", { size: 18 }),
        h("div", { class: "stages-words" },
          h("strong", null, codes.code("end", ended.reason), ended.sip_status ? ` (SIP ${ended.sip_status})` : ""),
          ended.failure && remedy(ended.reason) && h("span", null, remedy(ended.reason)),
          !this.compact && ended.detail && technical({ detail: ended.detail, code: ended.reason }))));
  }
}

define("gb-stages", Stages);

/** stages(session): the element. */
export const stages = (session, { compact = false } = {}) => h("gb-stages", { ".session": session, ".compact": compact });
