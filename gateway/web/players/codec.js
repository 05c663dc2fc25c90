// Names of codecs.

const NAMES = [
  [/^avc[13]/, "H.264"], [/^h264$/i, "H.264"], [/^(hvc|hev)1/, "H.265"], [/^(h265|hevc)$/i, "H.265"],
  [/^mp4a/, "AAC"], [/^pcma$/i, "G.711 A"], [/^pcmu$/i, "G.711 µ"],
];

/** `avc1.64001f` -> `H.264 (avc1.64001f)`: the name for people, the string for whoever looks closer. */
export function codecName(text) {
  if (!text) return "";
  const known = NAMES.find(([pattern]) => pattern.test(text));
  if (!known) return text;
  return /[.]/.test(text) ? `${known[1]} (${text})` : known[1];
}
