// A model that nobody here knows: inputs are made of what it says of itself, it is run, and what came out is described. Knows metadata and
// tensors; must never know a page.

import { Tensor } from '../pkg/index.js';
import { turn } from '../read/turns.js';
import { whyThere } from '../why.js';

/** Runs after the first, of which the median is told. */
const REPEATS = 3;
/** Elements that are looked at before the page has its turn. */
const LOOK = 1 << 16;

const nameOf = (input, axis) => input.shape[axis] || `${input.name}, axis ${axis}`;

/** The dimensions that a model leaves free, each once: by their name, or by where they are. */
export function freeDimensions(session) {
  const names = session.inputMetadata.flatMap((input) => input.shape.map((dim, axis) => (typeof dim === 'number' ? undefined : nameOf(input, axis))));
  return [...new Set(names.filter((name) => name !== undefined))];
}

/** Noise that is the same each time, −1 to 1. */
function noise(size) {
  let state = 1;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Elements that most models take: noise where numbers are broken, else ones, which are tokens and masks alike. */
function elements(type, size) {
  if (type === 'float32') return noise(size);
  if (type.startsWith('float')) return [...noise(size)];
  return Array(size).fill(type.endsWith('int64') ? 1n : 1);
}

/** An input for every one that the model has, with free dimensions as `sizes` says by name, or 1. */
export function feedsOf(session, sizes = {}) {
  const made = session.inputMetadata.map((input) => {
    const dims = input.shape.map((dim, axis) => (typeof dim === 'number' ? dim : sizes[nameOf(input, axis)] ?? 1));
    return [input.name, new Tensor(input.type, elements(input.type, dims.reduce((a, b) => a * b, 1)), dims)];
  });
  return Object.fromEntries(made);
}

/** What there is to say of an output: its least and greatest element, and how many are no numbers. */
async function described(name, tensor) {
  let [least, most, broken] = [Infinity, -Infinity, 0];
  for (const [i, element] of tensor.data.entries()) {
    if (i % LOOK === 0) await turn();
    const value = Number(element);
    if (!Number.isFinite(value)) broken++;
    else if (value < least) [least, most] = [value, Math.max(most, value)];
    else if (value > most) most = value;
  }
  return { name, type: tensor.type, dims: tensor.dims, least, most, broken };
}

/** Runs a model with `feeds`: its lane and why it is that, what was forecast, what the first call took, and the median of some more, and its outputs. */
export async function tried(pool, session, feeds) {
  const { strategies, recommended } = await pool.predict([{ session, feeds }]);
  const { predictedMs, intervalMs } = strategies.find(({ strategy }) => strategy === recommended);
  const times = [];
  let outputs;
  for (let i = 0; i <= REPEATS; i++) {
    const began = performance.now();
    outputs = await session.run(feeds);
    times.push(performance.now() - began);
  }
  const [firstMs, ...rest] = times;
  const medianMs = rest.sort((a, b) => a - b)[REPEATS >> 1];
  const told = [];
  for (const name of session.outputNames) told.push(await described(name, outputs[name]));
  return { lane: session.lane, why: whyThere(pool, session, medianMs), predictedMs, intervalMs, firstMs, medianMs, outputs: told };
}
