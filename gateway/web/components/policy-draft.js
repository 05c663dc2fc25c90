// The text of a policy that somebody works on: kept while they look at other pages, shared by the tabs of the policy page.

import { api } from "../lib/api.js";
import { currentSession } from "../lib/session.js";

const EMPTY = "version = 1\n\n";

const draft = { owner: null, text: null, base: null, baseText: "" };

/** {text, base: number of the version it was made from, baseText, isDirty}; text null before it was loaded. */
export const policyDraft = {
  get text() { return draft.text; },
  set text(value) { draft.text = value; },
  get base() { return draft.base; },
  get baseText() { return draft.baseText; },
  get isDirty() { return draft.text !== null && draft.text !== draft.baseText; },

  /** Take the version in force, unless somebody has changed another one here. */
  async load(version, signal, { anew = false } = {}) {
    const owner = currentSession()?.user;
    if (draft.owner !== owner) Object.assign(draft, { owner, text: null, base: null, baseText: "" });
    if (!anew && (this.isDirty || draft.base === version)) return;
    const text = version ? (await api.get("policy/text", { query: { version }, signal })).text : EMPTY;
    Object.assign(draft, { text, base: version, baseText: text });
  },

  /** Begin with another text, as a change of what is in force. */
  replace(text) {
    draft.text = text;
  },

  /** Give up what was changed. */
  discard() {
    draft.text = draft.baseText;
  },
};

// Nobody else's work is shown after a change of user.
window.addEventListener("gb-session", () => {
  if (currentSession()?.user !== draft.owner) Object.assign(draft, { owner: null, text: null, base: null, baseText: "" });
});
