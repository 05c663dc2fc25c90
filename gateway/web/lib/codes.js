// Words for the stable codes that the server speaks: ends, stages, offline reasons, problems, kinds.
//
//   codes.code("end", "no_packet")      what happened
//   codes.code("do", "no_packet", …)    what to do (only where codes.has(`do.${code}`))
//   problemWords(error)                 {title, hint} of an ApiError

import { currentLanguage, words } from "./i18n.js";
import { strings } from "./codes-strings.js";

export { strings };
export const codes = words(strings);

/** What to do about a code, or "". */
export function remedy(code) {
  return codes.has(`do.${code}`) ? codes(`do.${code}`) : "";
}

/** The words of a trouble, an end or a problem, whichever table has them. */
export function said(code) {
  for (const prefix of ["end", "offline", "trouble", "denied", "problem"]) {
    if (codes.has(`${prefix}.${code}`)) return codes(`${prefix}.${code}`);
  }
  return code;
}

/** The words of a denial: some codes mean another thing where a session ends ("stopped"). */
export function denied(code) {
  return codes.has(`denied.${code}`) ? codes(`denied.${code}`) : said(code);
}

/** A sentence of the gateway for a reader: not an English one among Chinese words. */
export function readable(sentence) {
  return sentence && (currentLanguage() === "en" || /[\u4e00-\u9fff]/.test(sentence)) ? sentence : "";
}

/** {title, hint} of an ApiError, in the reader's language. */
export function problemWords(error) {
  const { code, status, detail } = error;
  const known = status === 403 ? denied(code) : said(code);
  // The server says precisely what it wanted; in Chinese only for codes that it has Chinese words for.
  const sentence = readable(detail);
  const general = codes.has(`http.${status}`) ? codes(`http.${status}`) : codes("http.other");
  const title = known !== code ? known : sentence && sentence.length <= 60 ? sentence : general;
  const todo = codes.has(`httpdo.${status}`) ? codes(`httpdo.${status}`) : "";
  const hint = remedy(code) || (sentence !== title ? sentence : "") || (title === general ? todo : "");
  return { title, hint };
}
