// Finds the faces of a picture by a cascade of three models: one proposes windows on a pyramid of smaller pictures, one refines these,
// one settles box and features. Knows what the three take and give; must never know where they run or how a page shows it.

import { Tensor } from '../pkg/index.js';
import { turn } from './turns.js';

/** Pixels a side that the first model sees at once, the steps that it takes, and the smallest picture that has such a window. */
const WINDOW = 12;
const STEP = 2;
/** Each picture of the pyramid has so much of the sides of the one before. */
const SHRINK = 0.709;
/** The smallest face that is looked for, in pixels. */
const SMALLEST = 32;
/** How sure each model must be. */
const SURE = { propose: 0.6, refine: 0.7, settle: 0.7 };
/** Elements are from −1 to 1, by 128. */
const FORM = { layout: 'nhwc', mean: 0.5, std: 128 / 255 };
/** Most windows in one call. */
const BATCH = 32;
const FEATURES = ['left eye', 'right eye', 'nose', 'left corner of the mouth', 'right corner of the mouth'];

/** [batch, a, b, channels] with a and b exchanged: these models take columns before rows. */
function exchanged({ data, dims: [batch, a, b, channels] }) {
  const out = new Float32Array(data.length);
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < a; i++) {
      for (let j = 0; j < b; j++) {
        const [from, to] = [((n * a + i) * b + j) * channels, ((n * b + j) * a + i) * channels];
        for (let c = 0; c < channels; c++) out[to + c] = data[from + c];
      }
    }
  }
  return new Tensor('float32', out, [batch, b, a, channels]);
}

/** A model's outputs by what they have of each window: 2 numbers how likely it is a face, 4 how its box moves, 10 its features. */
async function outputs(session, input) {
  const all = await session.run({ [session.inputNames[0]]: input });
  return Object.fromEntries(Object.values(all).map(({ data, dims }) => [{ 2: 'likely', 4: 'moves', 10: 'features' }[dims.at(-1)], { data, dims }]));
}

/** Area that two boxes share, over that of both, or over that of the smaller. */
function overlap(a, b, ofSmaller) {
  const shared = (low, high) => Math.max(0, Math.min(a[high], b[high]) - Math.max(a[low], b[low]));
  const area = ({ left, top, right, bottom }) => (right - left) * (bottom - top);
  const both = shared('left', 'right') * shared('top', 'bottom');
  return both / (ofSmaller ? Math.min(area(a), area(b)) : area(a) + area(b) - both);
}

/** The surest of boxes that overlap by more than `most`. */
export function surest(boxes, most, ofSmaller = false) {
  const kept = [];
  for (const box of [...boxes].sort((a, b) => b.score - a.score)) {
    if (!kept.some((other) => overlap(box, other, ofSmaller) > most)) kept.push(box);
  }
  return kept;
}

/** A box moved by shares of its sides, as models tell them. */
function moved({ left, top, right, bottom, ...rest }, [l, t, r, b]) {
  const [width, height] = [right - left, bottom - top];
  return { ...rest, left: left + l * width, top: top + t * height, right: right + r * width, bottom: bottom + b * height };
}

/** The square of the longer side around a box's middle, in whole pixels: its corners follow the picture's own. */
function squared({ left, top, right, bottom, ...rest }) {
  const side = Math.max(right - left, bottom - top);
  const [x, y] = [(left + right - side) / 2, (top + bottom - side) / 2].map(Math.trunc);
  return { ...rest, left: x, top: y, right: x + Math.max(1, Math.trunc(side)), bottom: y + Math.max(1, Math.trunc(side)) };
}

/** Windows of one picture of the pyramid that may be faces. */
async function proposed(session, picture, scale) {
  await turn();
  const size = [picture.height, picture.width].map((side) => Math.ceil(side * scale));
  const { likely, moves } = await outputs(session, exchanged(await Tensor.fromImage(picture, { ...FORM, size })));
  const [, columns, rows] = likely.dims;
  const found = [];
  for (let x = 0; x < columns; x++) {
    for (let y = 0; y < rows; y++) {
      const at = x * rows + y;
      const score = likely.data[at * 2 + 1];
      if (score < SURE.propose) continue;
      const edge = (n, more) => Math.trunc((STEP * n + more) / scale);
      const window = { left: edge(x, 1), top: edge(y, 1), right: edge(x, WINDOW), bottom: edge(y, WINDOW), score };
      found.push({ window, moves: moves.data.slice(at * 4, at * 4 + 4) });
    }
  }
  const kept = new Set(surest(found.map(({ window }) => window), 0.5));
  return found.filter(({ window }) => kept.has(window));
}

/** What a model says of each box's part of the picture, made `side` pixels a side: the same boxes with `likely`, `moves`, `features`. */
async function judged(session, picture, boxes, side) {
  const batches = [];
  for (let i = 0; i < boxes.length; i += BATCH) batches.push(boxes.slice(i, i + BATCH));
  const told = await Promise.all(batches.map(async (batch) => {
    const data = new Float32Array(batch.length * side * side * 3);
    for (const [i, { left, top, right, bottom }] of batch.entries()) {
      await turn();
      // Beyond the picture there is black.
      const crop = { x: left, y: top, width: right - left, height: bottom - top };
      data.set((await Tensor.fromImage(picture, { ...FORM, crop, size: [side, side] })).data, i * side * side * 3);
    }
    const all = await outputs(session, exchanged(new Tensor('float32', data, [batch.length, side, side, 3])));
    const part = (name, i, count) => all[name]?.data.slice(i * count, (i + 1) * count);
    return batch.map((box, i) => ({ ...box, score: part('likely', i, 2)[1], moves: part('moves', i, 4), features: part('features', i, 10) }));
  }));
  return told.flat();
}

/** Scales of the pyramid for a picture. */
export function scales({ width, height }) {
  const out = [];
  for (let scale = WINDOW / SMALLEST; Math.min(width, height) * scale >= WINDOW; scale *= SHRINK) out.push(scale);
  return out;
}

/**
 * The faces of an ImageData, the surest first: `{left, top, right, bottom, score, features}` in its pixels, features by name as `[x, y]`.
 * All pictures of the pyramid are asked for at once.
 */
export async function findFaces({ propose, refine, settle }, picture) {
  const pyramid = await Promise.all(scales(picture).map((scale) => proposed(propose, picture, scale)));
  const all = pyramid.flat();
  const kept = new Set(surest(all.map(({ window }) => window), 0.7));
  const first = all.filter(({ window }) => kept.has(window)).map(({ window, moves }) => squared(moved(window, moves)));
  if (first.length === 0) return [];
  const likely = (await judged(refine, picture, first, 24)).filter(({ score }) => score > SURE.refine);
  const second = surest(likely, 0.7).map((box) => squared(moved(box, box.moves)));
  if (second.length === 0) return [];
  const sure = (await judged(settle, picture, second, 48)).filter(({ score }) => score > SURE.settle);
  const settled = sure.map(({ features, ...box }) => ({ ...moved(box, box.moves), features: placed(features, box) }));
  return surest(settled, 0.7, true).map(({ moves, ...face }) => face);
}

/** Features by name: first all their places across, then all down, as shares of the box that was looked at. */
function placed(shares, { left, top, right, bottom }) {
  const place = (i) => [left + shares[i] * (right - left), top + shares[i + 5] * (bottom - top)];
  return Object.fromEntries(FEATURES.map((name, i) => [name, place(i)]));
}
