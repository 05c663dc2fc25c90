// The keyboard of the recordings page.

const ELSEWHERE = "input, textarea, select, [contenteditable], dialog, [role=tree], [role=listbox], [role=menu], [role=slider], [role=grid]";

/** Take a keydown of the document: space, arrows, comma and full stop for single pictures, S and F. */
export function handlePlaybackKey(page, event) {
  const { player } = page;
  const target = event.target instanceof Element ? event.target : document.body;
  if (!player?.video || event.ctrlKey || event.metaKey || event.altKey || target.closest(ELSEWHERE)) return;
  if ((event.key === " " || event.key === "Enter") && target.closest("button, a, summary")) return;
  const work = {
    " ": () => player.toggle(), k: () => player.toggle(), ArrowLeft: () => page.skip(-10), ArrowRight: () => page.skip(10),
    ",": () => player.step(-1), ".": () => player.step(1), s: () => void page.snapshot(), m: () => player.toggleSound(),
    f: () => player.toggleFullscreen(),
  }[event.key];
  if (!work) return;
  event.preventDefault();
  work();
}
