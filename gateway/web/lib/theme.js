// Light or dark; theme.js sets it before the first paint, this one while the page lives.

const STORED = "gb.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** "light", "dark" or "system". */
export function currentTheme() {
  let choice = null;
  try { choice = localStorage.getItem(STORED); } catch { /* storage may be forbidden */ }
  return choice === "light" || choice === "dark" ? choice : "system";
}

export function setTheme(choice) {
  try {
    if (choice === "system") localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, choice);
  } catch { /* lasts for this page then */ }
  show(choice);
}

function show(choice) {
  document.documentElement.dataset.theme = choice === "system" ? (system.matches ? "dark" : "light") : choice;
}

system.addEventListener("change", () => show(currentTheme()));
