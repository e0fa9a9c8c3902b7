// Turned boxes of a picture as level strips, in the form that models of printed lines take. Knows pixels; must never know a page or a pool.

import { Tensor } from '../pkg/index.js';
import { turn } from './turns.js';

/** A line this many times as high as wide is written downwards: its strip is turned to lie. */
const UPRIGHT = 1.5;

/** The box of a line with its text along its width. */
export function lying(box) {
  if (box.height < UPRIGHT * box.width) return box;
  const { width, height, along: [ux, uy] } = box;
  return { ...box, width: height, height: width, along: [-uy, ux] };
}

/** The same box, read from its other end. */
export const turned = (box) => ({ ...box, along: box.along.map((v) => -v) });

/** A pixel of `{data, width, height}` between the middles of four, the nearest at the edges, added to `sum`. */
function add(sum, { data, width, height }, x, y) {
  const u = Math.min(Math.max(x - 0.5, 0), width - 1);
  const v = Math.min(Math.max(y - 0.5, 0), height - 1);
  const [left, top] = [Math.floor(u), Math.floor(v)];
  const [right, bottom] = [Math.min(left + 1, width - 1), Math.min(top + 1, height - 1)];
  const [p, q] = [u - left, v - top];
  for (let c = 0; c < 3; c++) {
    const at = (i, j) => data[(j * width + i) * 4 + c];
    sum[c] += (at(left, top) * (1 - p) + at(right, top) * p) * (1 - q) + (at(left, bottom) * (1 - p) + at(right, bottom) * p) * q;
  }
}

/**
 * The strip of `box`: a tensor [1, 3, `height`, `width`] of blue, green and red from −1 to 1, as the models were taught. The line keeps
 * its form unless it is too long; what it leaves is 0.
 */
export async function strip(picture, box, height, width) {
  const used = Math.min(width, Math.ceil((height * box.width) / box.height));
  const data = new Float32Array(3 * height * width);
  const [ux, uy] = box.along;
  // Enough samples that no pixel of the picture is skipped.
  const fine = Math.max(1, Math.ceil(Math.max(box.width / used, box.height / height)));
  for (let j = 0; j < height; j++) {
    await turn();
    for (let i = 0; i < used; i++) {
      const sum = [0, 0, 0];
      for (let s = 0; s < fine * fine; s++) {
        const u = ((i + ((s % fine) + 0.5) / fine) / used - 0.5) * box.width;
        const v = ((j + (Math.floor(s / fine) + 0.5) / fine) / height - 0.5) * box.height;
        add(sum, picture, box.x + u * ux - v * uy, box.y + u * uy + v * ux);
      }
      for (let c = 0; c < 3; c++) data[(2 - c) * height * width + j * width + i] = sum[c] / (fine * fine) / 127.5 - 1;
    }
  }
  return new Tensor('float32', data, [1, 3, height, width]);
}
