"use strict";
// Runs before the first paint, so that nobody in a dark room gets a white flash.
(() => {
  let choice = null;
  try { choice = localStorage.getItem("gb.theme"); } catch { /* storage may be forbidden */ }
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const known = choice === "light" || choice === "dark";
  document.documentElement.dataset.theme = known ? choice : dark ? "dark" : "light";
})();
