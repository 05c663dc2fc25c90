// Taking a time away as a file: with its progress, and a way to give up.

import { api } from "../lib/api.js";
import { request } from "../lib/farewell.js";
import { reasonHeaders } from "../players/desk.js";
import { problemOf } from "../players/play-error.js";
import { save } from "../players/snapshot.js";

const IN_MEMORY = 512 * 1024 * 1024; // bytes up to which the file is put together here, to show how far it is

/**
 * Export a time of a channel.
 * @param {{device: string, channel: string, begin: Date, end: Date, reason: {purpose: string, ticket: string}}} what
 * @param {{signal: AbortSignal, onProgress: (done: number, total: number) => void}} options
 * @returns {Promise<{name: string, large: boolean, size: number, next: string | null}>}
 */
export async function exportClip({ device, channel, begin, end, reason }, { signal, onProgress }) {
  const path = `recordings/${encodeURIComponent(device)}/${encodeURIComponent(channel)}/play`;
  const headers = reasonHeaders(reason);
  const query = { start: begin.toISOString(), end: end.toISOString() };
  const clip = await api.get(path, { query, headers, signal });
  const next = clip.next && Date.parse(clip.next) < end.getTime() ? clip.next : null;
  if (clip.bytes > IN_MEMORY) {
    const anchor = document.createElement("a");
    anchor.href = clip.download_url;
    anchor.download = "";
    anchor.click();
    return { name: "", large: true, size: clip.bytes, next };
  }
  const answer = await request(clip.download_url, { headers, signal, cache: "no-store" });
  if (!answer.ok) throw await problemOf(answer);
  const total = Number(answer.headers.get("Content-Length")) || clip.bytes;
  const [, name] = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") || "") || [null, `${channel}.mp4`];
  const pieces = [];
  let done = 0;
  const reader = answer.body.getReader();
  for (;;) {
    const { done: over, value } = await reader.read();
    if (over) break;
    pieces.push(value);
    done += value.byteLength;
    onProgress(done, total);
  }
  save(new Blob(pieces, { type: "video/mp4" }), name);
  return { name, large: false, size: done, next };
}
