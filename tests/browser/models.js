// The workload models as the demo page takes them, and other inputs for them.

import { Tensor } from '../pkg/index.js';
import { catalogue, feedsOf } from '../work.js';

export { distance, feedsOf, load, median, relativeError } from '../work.js';

export const index = await catalogue();

export const entry = (name) => index.find((m) => m.name === name);

/** A model with its own inputs and goldens, and with those at other shapes: `{feeds, golden}` each. */
export async function casesOf(model) {
  const own = [{ inputs: model.inputs, golden: model.golden }];
  return Promise.all([...own, ...model.shapes].map(async ({ inputs, golden }) => ({ feeds: await feedsOf({ inputs }), golden })));
}

/** The same feeds with other numbers in them, different for each `seed`. */
export function varied(feeds, seed) {
  const vary = (t) => (t.type === 'float32' ? t.data.map((x, i) => x * (1 - seed / 64) + Math.sin(i + seed) / 8) : t.data);
  return Object.fromEntries(Object.entries(feeds).map(([name, t]) => [name, new Tensor(t.type, vary(t), t.dims)]));
}
