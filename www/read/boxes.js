// From a map of how likely each pixel is part of a printed line to a turned box around each line: the second half of a detector by
// differentiable binarisation. Knows geometry; must never know a model, a tensor or a page.

import { turn } from './turns.js';

/** A pixel at least so likely is part of a line; a box, on average over its pixels. */
const PIXEL = 0.3;
const BOX = 0.5;
/** The detector is taught lines that were shrunk; a box grows by this many times its area over its outline. */
const GROWTH = 1.6;
/** Sides of boxes, before and after they grew, below which there is nothing to read. */
const SMALLEST = [3, 5];

/** Whether each pixel, or its neighbour to the left, above, or both, is part of a line: gaps of one pixel close. */
function masked(map, columns, rows) {
  const mask = new Uint8Array(columns * rows);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const at = y * columns + x;
      const left = x > 0 ? 1 : 0;
      const above = y > 0 ? columns : 0;
      mask[at] = map[at] > PIXEL || map[at - left] > PIXEL || map[at - above] > PIXEL || map[at - left - above] > PIXEL ? 1 : 0;
    }
  }
  return mask;
}

/** The pixels of each connected part of `mask`, which is emptied: of every row the first and the last. */
function* parts(mask, columns, rows) {
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start]) continue;
    const ends = new Map();
    const open = [start];
    mask[start] = 0;
    while (open.length > 0) {
      const at = open.pop();
      const [x, y] = [at % columns, Math.floor(at / columns)];
      const row = ends.get(y);
      if (!row) ends.set(y, [x, x]);
      else if (x < row[0]) row[0] = x;
      else if (x > row[1]) row[1] = x;
      for (let v = Math.max(0, y - 1); v <= Math.min(rows - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(columns - 1, x + 1); u++) {
          const next = v * columns + u;
          if (!mask[next]) continue;
          mask[next] = 0;
          open.push(next);
        }
      }
    }
    yield [...ends].flatMap(([y, [first, last]]) => [[first, y], [last, y]]);
  }
}

const cross = ([ax, ay], [bx, by], [cx, cy]) => (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);

/** The convex hull of `points`, in order. */
function hull(points) {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const chain = (list) => {
    const out = [];
    for (const point of list) {
      while (out.length > 1 && cross(out.at(-2), out.at(-1), point) <= 0) out.pop();
      out.push(point);
    }
    return out.slice(0, -1);
  };
  return [...chain(sorted), ...chain(sorted.reverse())];
}

/**
 * The smallest box around a hull: `{x, y, width, height, along}` with its middle and the unit vector along its width, which points to
 * the right: a side of the smallest box lies on a side of the hull.
 */
function smallest(points) {
  let best;
  for (const [i, [ax, ay]] of points.entries()) {
    const [bx, by] = points[(i + 1) % points.length];
    const length = Math.hypot(bx - ax, by - ay);
    if (length === 0) continue;
    const [ux, uy] = [(bx - ax) / length, (by - ay) / length];
    const across = points.map(([x, y]) => x * ux + y * uy);
    const down = points.map(([x, y]) => y * ux - x * uy);
    const [left, right, top, bottom] = [Math.min(...across), Math.max(...across), Math.min(...down), Math.max(...down)];
    const [w, h] = [right - left, bottom - top];
    if (best && best.width * best.height <= w * h) continue;
    const [u, v] = [(left + right) / 2, (top + bottom) / 2];
    best = { x: u * ux - v * uy, y: u * uy + v * ux, width: w, height: h, along: [ux, uy] };
  }
  if (!best) return undefined;
  // Quarter turns until its width runs to the right more than down.
  while (best.along[0] < Math.abs(best.along[1]) - 1e-9) {
    const { width, height, along } = best;
    best = { ...best, width: height, height: width, along: [-along[1], along[0]] };
  }
  return best;
}

/** The mean of `map` over a box. */
function mean(map, columns, rows, { x, y, width, height, along: [ux, uy] }) {
  const [reachX, reachY] = [Math.abs(width * ux) + Math.abs(height * uy), Math.abs(width * uy) + Math.abs(height * ux)].map((v) => v / 2);
  let [sum, count] = [0, 0];
  for (let v = Math.max(0, Math.floor(y - reachY)); v <= Math.min(rows - 1, Math.ceil(y + reachY)); v++) {
    for (let u = Math.max(0, Math.floor(x - reachX)); u <= Math.min(columns - 1, Math.ceil(x + reachX)); u++) {
      const [dx, dy] = [u - x, v - y];
      if (Math.abs(dx * ux + dy * uy) > width / 2 + 0.5 || Math.abs(dy * ux - dx * uy) > height / 2 + 0.5) continue;
      sum += map[v * columns + u];
      count++;
    }
  }
  return count ? sum / count : 0;
}

/** Corners of a box, clockwise from the beginning of its text. */
export function corners({ x, y, width, height, along: [ux, uy] }) {
  return [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([i, j]) => {
    const [u, v] = [(i * width) / 2, (j * height) / 2];
    return [x + u * ux - v * uy, y + u * uy + v * ux];
  });
}

/** Boxes around the lines of `map`, in the order of reading, in units in which the map is `width` × `height`. */
export async function boxesOf(map, columns, rows, width, height) {
  const found = [];
  await turn();
  for (const points of parts(masked(map, columns, rows), columns, rows)) {
    await turn();
    const box = smallest(hull(points));
    if (!box || Math.min(box.width, box.height) < SMALLEST[0]) continue;
    const score = mean(map, columns, rows, box);
    if (score < BOX) continue;
    const grown = (GROWTH * box.width * box.height) / (box.width + box.height);
    const [w, h] = [box.width + grown, box.height + grown];
    if (Math.min(w, h) < SMALLEST[1]) continue;
    // A pixel's middle lies half a pixel in, as far as the mask grew to the right and down. Maps are scaled by nearly the same both ways.
    const [sx, sy] = [width / columns, height / rows];
    const [ux, uy] = [box.along[0] * sx, box.along[1] * sy];
    const stretch = Math.hypot(ux, uy);
    found.push({ x: box.x * sx, y: box.y * sy, width: w * stretch, height: (h * sx * sy) / stretch, along: [ux / stretch, uy / stretch], score });
  }
  return inOrder(found);
}

/** From the top down, and from the left where two lines share their height. */
function inOrder(boxes) {
  const rest = [...boxes].sort((a, b) => a.y - b.y);
  const out = [];
  while (rest.length > 0) {
    const [first] = rest;
    const row = rest.filter((box) => box.y - first.y < Math.min(first.height, box.height) / 2);
    row.sort((a, b) => a.x - b.x);
    out.push(...row);
    for (const box of row) rest.splice(rest.indexOf(box), 1);
  }
  return out;
}
