"""A page that watches by WHEP with nothing but the browser's own API, and measures what it shows."""

import json

from gateway.simulator.picture import _BITMAPS, PictureLayout

__all__ = ["WHEP_SCRIPT", "WS_SCRIPT", "clock_reader"]

# `whep(url)` resolves at the first picture to {video, peer, location, status}; `level(view)` to the loudest sound in a
# second; `sums(view)` to the picture's sums by a coarse raster.
WHEP_SCRIPT = """
window.whep = async (url, headers = {}) => {
  const peer = new RTCPeerConnection({bundlePolicy: "max-bundle"});
  for (const kind of ["video", "audio"]) peer.addTransceiver(kind, {direction: "recvonly"});
  const stream = new MediaStream();
  peer.ontrack = ({track, receiver}) => {
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
    stream.addTrack(track);
  };
  await peer.setLocalDescription(await peer.createOffer());
  const began = performance.now();
  const answer = await fetch(url, {
    method: "POST", body: peer.localDescription.sdp,
    headers: {"Content-Type": "application/sdp", ...headers}});
  if (answer.status !== 201) return {status: answer.status, problem: await answer.json()};
  const sdp = await answer.text();
  const video = document.createElement("video");
  video.muted = false; video.autoplay = true; video.playsInline = true;
  document.body.append(video);
  video.srcObject = stream;
  const first = new Promise((resolve) => { video.onloadeddata = resolve; });
  await peer.setRemoteDescription({type: "answer", sdp});
  video.play().catch(() => {});
  await first;
  window.view = {video, peer, stream, sdp, location: answer.headers.get("Location")};
  return {status: 201, location: window.view.location, sdp, first_ms: performance.now() - began,
          width: video.videoWidth, height: video.videoHeight};
};
window.level = async () => {
  const context = new AudioContext();
  await context.resume();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(view.stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let loudest = 0;
  for (let i = 0; i < 100 && loudest < 0.01; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    analyser.getFloatTimeDomainData(samples);
    loudest = Math.max(loudest, ...samples.map(Math.abs));
  }
  return loudest;
};
window.sums = () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [view.video.videoWidth, view.video.videoHeight];
  const context = canvas.getContext("2d");
  context.drawImage(view.video, 0, 0);
  const found = [];
  for (let y = 0; y < canvas.height; y += 40) for (let x = 0; x < canvas.width; x += 40)
    found.push(context.getImageData(x, y, 40, 40).data.reduce((sum, value) => sum + value, 0));
  return found;
};
window.stats = async () => {
  const found = {};
  for (const item of (await view.peer.getStats()).values())
    if (item.type === "inbound-rtp") found[item.kind] = item;
  return found;
};
"""


_CLOCK_SCRIPT = """
window.clocks = (video, count) => new Promise((resolve) => {
  const {left, scale, bitmaps} = LAYOUT, length = 12;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [left * 2 + 72 * scale, left + 8 * scale];
  const context = canvas.getContext("2d", {willReadFrequently: true});
  const found = [];
  const bits = (n) => { let count = 0; for (; n; n = Math.floor(n / 2)) count += n % 2; return count; };
  const read = () => {
    const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
    let text = "";
    for (let at = 0; at < length; at++) {
      let dots = 0n;
      for (let row = 0; row < 7; row++) for (let column = 0; column < 5; column++) {
        const x = left + (at * 6 + column) * scale + (scale >> 1), y = left + row * scale + (scale >> 1);
        dots = dots * 2n + (data[4 * (y * canvas.width + x) + 1] > 128 ? 1n : 0n);
      }
      let best = "?", least = 3;
      for (const [character, bitmap] of Object.entries(bitmaps)) {
        const wrong = bits(Number(dots ^ BigInt(bitmap)));
        if (wrong < least) [best, least] = [character, wrong];
      }
      text += best;
    }
    return text;
  };
  const look = (now, {expectedDisplayTime}) => {
    context.drawImage(video, 0, 0);
    found.push([performance.timeOrigin + expectedDisplayTime, read()]);
    if (found.length < count) video.requestVideoFrameCallback(look); else resolve(found);
  };
  video.requestVideoFrameCallback(look);
});
"""


def clock_reader(layout: PictureLayout) -> str:
    """Return a script that defines `clocks(video, count)`: [UNIX ms at which shown, clock text] of so many pictures.

    The clock stands in the picture as characters of 5 by 7 dots (`gateway.simulator.picture`); the middle of each dot
    is looked at.
    """
    facts = {"left": layout.margin, "scale": layout.scale, "bitmaps": _BITMAPS}
    return _CLOCK_SCRIPT.replace("LAYOUT", json.dumps(facts))


# `wsfmp4(url)`: the same picture as fMP4 over WebSocket into Media Source Extensions, kept near the live edge.
WS_SCRIPT = """
window.wsfmp4 = (url) => new Promise((resolve, reject) => {
  const began = performance.now(), video = document.createElement("video");
  video.muted = true; video.autoplay = true;
  document.body.append(video);
  const source = new MediaSource(), queue = [];
  let buffer = null;
  const pump = () => {
    if (!buffer || buffer.updating || !queue.length) return;
    buffer.appendBuffer(queue.shift());
  };
  video.src = URL.createObjectURL(source);
  source.onsourceopen = () => {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({data}) => {
      if (typeof data === "string") {
        const info = JSON.parse(data);
        buffer = source.addSourceBuffer(info.mime);
        buffer.onupdateend = () => {
          const ranges = video.buffered;
          if (ranges.length && ranges.end(ranges.length - 1) - video.currentTime > 0.3)
            video.currentTime = ranges.end(ranges.length - 1) - 0.1;
          pump();
        };
      } else { queue.push(data); pump(); }
    };
    socket.onclose = ({reason}) => reject(new Error(reason));
  };
  window.view = {video};
  video.onloadeddata = () => { video.play(); resolve({first_ms: performance.now() - began}); };
});
"""
