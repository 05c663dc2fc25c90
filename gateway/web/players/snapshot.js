// A JPEG of what is shown: made by the gateway from the camera's own picture, else from the screen.

import { api } from "../lib/api.js";
import { PlayError, asPlayError } from "./play-error.js";

const QUALITY = 0.92;
const NOT_BUILT = new Set([404, 405, 406, 501]);

/**
 * Save a snapshot as a file.
 * @param {{desk: object, video: HTMLVideoElement | null, name: string, signal: AbortSignal}} what
 * @returns {Promise<string>} The file's name.
 */
export async function saveSnapshot({ desk, video, name, signal }) {
  const file = `${safe(name)}_${stamp(new Date())}.jpg`;
  save(await picture(desk, video, signal), file);
  return file;
}

async function picture(desk, video, signal) {
  try {
    return await api.get(`${desk.path}/snapshot.jpg`, { signal, headers: desk.headers, as: "blob" });
  } catch (error) {
    const known = asPlayError(error);
    const missing = NOT_BUILT.has(known.status) && known.code !== "channel_unknown";
    // What is denied stays denied, also when it stands on the screen.
    if (!missing && known.status !== 0 && known.status < 500) throw known;
    return await drawn(video, known.status ? known : new PlayError("no_output"));
  }
}

/** What a video shows, as a JPEG; throws `why` if it shows nothing. */
export async function drawn(video, why) {
  if (!video || !video.videoWidth) throw why;
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  return await new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new PlayError("decode_failed"))), "image/jpeg", QUALITY);
  });
}

/** Hand a blob to the browser's downloads. */
export function save(blob, file) {
  const url = URL.createObjectURL(blob);
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = file;
  anchor.hidden = true;
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** 20261121-230509, local time: sorts, and is allowed in file names everywhere. */
export function stamp(date) {
  const two = (value) => String(value).padStart(2, "0");
  return `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}-`
    + `${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
}

/** A name without what file systems forbid. */
export function safe(name) {
  return name.replace(/[\\/:*?"<>|\u0000-\u001f\s]+/g, "_").slice(0, 80) || "snapshot";
}
