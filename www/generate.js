// Text generation with a model that takes `past_key_values.*` and gives `present.*`: the cache stays on the GPU.

import { Tensor } from './pkg/index.js';

const PAST = 'past_key_values';

/** Whether a session is such a model. */
export const generates = (session) => session.inputNames.some((name) => name.startsWith(`${PAST}.`));

/** The cache before the first token: no positions yet. */
function empty(session) {
  const past = session.inputMetadata.filter(({ name }) => name.startsWith(`${PAST}.`));
  // Shape [batch, heads, positions, size]: batch 1, positions 0, the rest as the model says.
  const shape = ({ shape }) => shape.map((dim, axis) => (axis === 0 ? 1 : typeof dim === 'number' ? dim : 0));
  return Object.fromEntries(past.map((input) => [input.name, new Tensor(input.type, [], shape(input))]));
}

/** The likeliest token after each position of logits [1, positions, tokens]. */
export function likeliest({ data, dims }) {
  const [, positions, tokens] = dims;
  return Array.from({ length: positions }, (_, p) => {
    let best = 0;
    for (let i = 1; i < tokens; i++) if (data[p * tokens + i] > data[p * tokens + best]) best = i;
    return best;
  });
}

/** One pass over `ids` without a cache: the likeliest token after each. */
export async function passOver(session, ids) {
  const feeds = { ...empty(session), input_ids: new Tensor('int64', ids.map(BigInt), [1, ids.length]) };
  return likeliest((await session.run(feeds)).logits);
}

/**
 * Yields `count` tokens after `prompt`, the likeliest each time. Between calls only the new token goes to the GPU and
 * only its logits come back.
 */
export async function* generate(session, prompt, count, { signal } = {}) {
  const outputLocation = Object.fromEntries(session.outputNames.map((n) => [n, n === 'logits' ? 'cpu' : 'gpu']));
  let cache = empty(session);
  let ids = prompt;
  try {
    for (let i = 0; i < count; i++) {
      const feeds = { ...cache, input_ids: new Tensor('int64', ids.map(BigInt), [1, ids.length]) };
      const outputs = await session.run(feeds, { outputLocation, signal });
      const token = likeliest(outputs.logits).at(-1);
      for (const [name, tensor] of Object.entries(cache)) {
        tensor.dispose();
        cache[name] = outputs[name.replace(PAST, 'present')];
      }
      ids = [token];
      yield token;
    }
  } finally {
    for (const tensor of Object.values(cache)) tensor.dispose();
  }
}
