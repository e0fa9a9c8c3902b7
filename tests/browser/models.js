// The workload models as the server has them, and what onnxruntime made of them.

import { Tensor } from '../pkg/index.js';

const READ = { float32: Float32Array, int64: BigInt64Array, int32: Int32Array };

export const index = await (await fetch('/models/index.json')).json();

export const entry = (name) => index.find((m) => m.name === name);

/** A model's free dimensions as `load` takes them. */
export const free = (model) => Object.fromEntries(model.free.map(({ name, size }) => [name, size]));

export async function feedsOf(model) {
  const feeds = {};
  for (const { name, type, dims, url } of model.inputs) {
    feeds[name] = new Tensor(type, new READ[type](await (await fetch(url)).arrayBuffer()), dims);
  }
  return feeds;
}

/** The same feeds with other numbers in them, different for each `seed`. */
export function varied(feeds, seed) {
  const vary = (t) => (t.type === 'float32' ? t.data.map((x, i) => x * (1 - seed / 64) + Math.sin(i + seed) / 8) : t.data);
  return Object.fromEntries(Object.entries(feeds).map(([name, t]) => [name, new Tensor(t.type, vary(t), t.dims)]));
}

/** ‖a − b‖ / ‖b‖. */
export function distance(a, b) {
  let [difference, norm] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += (Number(a[i]) - Number(b[i])) ** 2;
    norm += Number(b[i]) ** 2;
  }
  return a.length === b.length ? Math.sqrt(difference / norm) : Infinity;
}

/** The largest relative error of a model's outputs against its goldens. */
export function relativeError(model, outputs) {
  return Math.max(
    ...model.golden.map(({ name, dims, every, values }) => {
      const { data, dims: found } = outputs[name];
      if (JSON.stringify(found) !== JSON.stringify(dims)) return Infinity;
      return distance(values.map((_, i) => data[i * every]), values);
    }),
  );
}
