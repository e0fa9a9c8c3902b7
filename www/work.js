// What the demo does with a pool, without a page: load, check, compare, learn, report.

import { Tensor } from './pkg/index.js';

const ARRAYS = { float32: Float32Array, int64: BigInt64Array, int32: Int32Array };

async function got(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: status ${response.status}`);
  return response;
}

/** The models that the server has: url, inputs, golden outputs. Addresses may be relative to this page's folder. */
export async function catalogue() {
  const models = await (await got(new URL('./models/index.json', import.meta.url))).json();
  for (const one of models.flatMap((model) => [model, ...model.inputs])) one.url = new URL(one.url, import.meta.url).href;
  return models;
}

/** A model's free dimensions with the sizes of its inputs, as `pool.load` takes them. */
export const freeDimensions = (model) => Object.fromEntries(model.free.map(({ name, size }) => [name, size]));

/** The inputs for which a model's goldens were made. */
export async function feedsOf(model) {
  const feeds = {};
  for (const { name, type, dims, url } of model.inputs) {
    feeds[name] = new Tensor(type, new ARRAYS[type](await (await got(url)).arrayBuffer()), dims);
  }
  return feeds;
}

/** Loads one model with its inputs; `onProgress` is told the share done by phase. */
export async function load(pool, model, { onProgress, signal, lanes } = {}) {
  const options = { name: model.name, freeDimensions: freeDimensions(model), onProgress, signal, lanes };
  return { model, session: await pool.load(model.url, options), feeds: await feedsOf(model) };
}

/** ‖a − b‖ / ‖b‖; infinite where they differ in length. */
export function distance(a, b) {
  if (a.length !== b.length) return Infinity;
  let [difference, norm] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += (Number(a[i]) - Number(b[i])) ** 2;
    norm += Number(b[i]) ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / norm);
}

/** The largest distance of a model's outputs from its goldens. */
export function relativeError(model, outputs) {
  const off = ({ name, dims, every, values }) => {
    const output = outputs[name];
    if (output?.dims.join() !== dims.join()) return Infinity;
    return distance(values.map((_, i) => output.data[i * every]), values);
  };
  return Math.max(...model.golden.map(off));
}

export const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

/** Runs a loaded model alone: its outputs, their error, the median of `repeats` times. */
export async function solo({ model, session, feeds }, repeats = 3) {
  const outputs = await session.run(feeds);
  const times = [];
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    await session.run(feeds);
    times.push(performance.now() - start);
  }
  return { outputs, error: relativeError(model, outputs), ms: median(times), spread: [Math.min(...times), Math.max(...times)] };
}

/** The `count` largest elements of a tensor with their places; logits also as probabilities. */
export function top(tensor, count = 3) {
  const values = Array.from(tensor.data, Number);
  const most = Math.max(...values);
  const sum = values.reduce((s, v) => s + Math.exp(v - most), 0);
  const order = values.map((value, index) => ({ index, value, probability: Math.exp(value - most) / sum }));
  return order.sort((a, b) => b.value - a.value).slice(0, count);
}

/** Models up to which every pair is a lesson; of more, each is paired with the next only. */
const ALL_PAIRS = 5;

/** Sets of requests that teach the predictor: each model alone, pairs, all, under both strategies in turn. */
export function lessons(loaded, rounds) {
  const requests = loaded.map(({ session, feeds }) => ({ session, feeds }));
  const sets = requests.map((r) => [r]);
  for (let i = 0; i < requests.length; i++) {
    const last = requests.length <= ALL_PAIRS ? requests.length - 1 : Math.min(i + 1, requests.length - 1);
    for (let j = i + 1; j <= last; j++) sets.push([requests[i], requests[j]]);
  }
  if (requests.length > 2) sets.push(requests);
  const out = [];
  for (let round = 0; round < rounds; round++) {
    for (const [i, set] of sets.entries()) {
      out.push({ set, strategy: (i + round) % 2 ? 'parallel' : 'sequential' });
    }
  }
  return out;
}

/** Name of the adapter, as far as the browser tells it. */
export function adapterName({ vendor, architecture, device, description, isFallbackAdapter }) {
  const told = [description, [vendor, architecture, device].filter(Boolean).join(' ')].find(Boolean);
  if (told) return told;
  return isFallbackAdapter ? 'an unnamed software adapter' : 'an adapter that the browser does not name';
}

/** Everything measured, in the form that `cargo demo --json` writes. */
export function report(pool, solos, comparison) {
  const accuracy = pool.accuracy();
  return {
    browser: navigator.userAgent,
    adapter: adapterName(pool.capabilities.devices[0]),
    profile: pool.profile,
    models: solos.map(({ model, session, error, ms, spread }) => ({
      name: model.name, lane: session.lane, relative_error: error, solo_ms: ms, spread_ms: spread,
    })),
    strategies: comparison.strategies.map((s) => ({
      strategy: s.strategy,
      predicted_ms: s.predictedMs,
      interval_ms: s.intervalMs,
      measured_ms: s.measuredMs,
      spread_ms: s.spreadMs,
      predicted_bytes: s.predictedBytes,
      measured_bytes: s.measuredBytes,
    })),
    recommended: comparison.recommended,
    measured_best: comparison.measuredBest,
    regret: comparison.regret,
    memory: pool.memory(),
    refinement: {
      observations: accuracy.observations,
      held_out: accuracy.heldOut,
      error_before: accuracy.errorBefore,
      error_after: accuracy.errorAfter,
      coverage: accuracy.coverage,
    },
  };
}
