// What differs between two texts, line by line (Myers), as a unified difference with some lines around each place.

const AROUND = 3; // lines of context
const MOST = 4_000; // edits looked for; texts that differ more are told as replaced

/** Steps from a to b: [["=" | "-" | "+", line]...]. */
export function edits(a, b) {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const middle = shortest(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return [...a.slice(0, start).map((line) => ["=", line]), ...middle, ...a.slice(a.length - end).map((line) => ["=", line])];
}

function shortest(a, b) {
  const replaced = () => [...a.map((line) => ["-", line]), ...b.map((line) => ["+", line])];
  if (!a.length || !b.length) return replaced();
  const most = Math.min(a.length + b.length, MOST);
  const reached = new Map([[1, 0]]);
  const trail = [];
  for (let distance = 0; distance <= most; distance += 1) {
    trail.push(new Map(reached));
    for (let diagonal = -distance; diagonal <= distance; diagonal += 2) {
      const down = diagonal === -distance || (diagonal !== distance && (reached.get(diagonal - 1) ?? -1) < (reached.get(diagonal + 1) ?? -1));
      let x = down ? reached.get(diagonal + 1) ?? 0 : (reached.get(diagonal - 1) ?? 0) + 1;
      let y = x - diagonal;
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x += 1;
        y += 1;
      }
      reached.set(diagonal, x);
      if (x >= a.length && y >= b.length) return backwards(a, b, trail);
    }
    // Each step keeps a copy: too many would fill the memory.
    if (distance * distance > 4_000_000) return replaced();
  }
  return replaced();
}

function backwards(a, b, trail) {
  const steps = [];
  let [x, y] = [a.length, b.length];
  for (let distance = trail.length - 1; distance >= 0; distance -= 1) {
    const reached = trail[distance];
    const diagonal = x - y;
    const down = diagonal === -distance || (diagonal !== distance && (reached.get(diagonal - 1) ?? -1) < (reached.get(diagonal + 1) ?? -1));
    const before = down ? diagonal + 1 : diagonal - 1;
    const fromX = reached.get(before) ?? 0;
    const fromY = fromX - before;
    while (x > fromX && y > fromY) {
      steps.push(["=", a[x - 1]]);
      x -= 1;
      y -= 1;
    }
    if (distance === 0) break;
    if (down) steps.push(["+", b[y - 1]]);
    else steps.push(["-", a[x - 1]]);
    [x, y] = [fromX, fromY];
  }
  return steps.reverse();
}

/** {text, added, removed}: the unified difference, "" if there is none, and how many lines came and went. */
export function unified(before, after) {
  const steps = edits(before.split("\n"), after.split("\n"));
  const places = steps.flatMap(([kind], index) => (kind === "=" ? [] : [index]));
  const lines = [];
  let [oldLine, newLine, at] = [1, 1, 0];
  const skip = (to) => {
    for (; at < to; at += 1) {
      if (steps[at][0] !== "+") oldLine += 1;
      if (steps[at][0] !== "-") newLine += 1;
    }
  };
  for (let index = 0; index < places.length;) {
    const from = Math.max(at, places[index] - AROUND);
    let last = index;
    while (last + 1 < places.length && places[last + 1] - places[last] <= 2 * AROUND) last += 1;
    const to = Math.min(steps.length, places[last] + AROUND + 1);
    skip(from);
    const part = steps.slice(from, to);
    const count = (kind) => part.filter(([item]) => item === "=" || item === kind).length;
    lines.push(`@@ -${oldLine},${count("-")} +${newLine},${count("+")} @@`);
    lines.push(...part.map(([kind, line]) => (kind === "=" ? ` ${line}` : kind + line)));
    skip(to);
    index = last + 1;
  }
  const number = (kind) => steps.filter(([item]) => item === kind).length;
  return { text: lines.join("\n"), added: number("+"), removed: number("-") };
}
