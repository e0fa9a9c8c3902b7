// Every model at other batches, lengths and sizes than its own, and shapes that a model cannot take.

import { Pool, Tensor } from '../pkg/index.js';
import { assert, fails, test } from './harness.js';
import { entry, feedsOf, index, relativeError } from './models.js';

/** Each of its batches is 36 GFLOP: batches of two and three are left to `cargo soak`. */
const HEAVY = 'whisper_tiny_encoder';
/** Whether this page does the long runs. */
const soaking = (new URLSearchParams(location.search).get('suites') ?? '').includes('soak');

let pool;
for (const model of index.filter(({ name, processor }) => !processor && (soaking || name !== HEAVY))) {
  test(`${model.name} is within 1e-3 of onnxruntime at other batches, lengths and sizes`, async () => {
    pool ??= await Pool.create({ lanes: ['gpu'] });
    const session = await pool.load(model.url);
    const told = [];
    for (const { inputs, golden } of model.shapes) {
      const shapes = inputs.map(({ dims }) => `[${dims}]`).slice(0, 3);
      let outputs;
      try {
        outputs = await session.run(await feedsOf({ inputs }));
      } catch (error) {
        // Only what no binding of this adapter can hold may be refused, and must say so.
        const limit = pool.capabilities.devices[0].limits.maxStorageBufferBindingSize;
        const needed = Number(/a tensor of (\d+) bytes/.exec(error.message)?.[1]);
        assert(error.kind === 'out-of-memory' && needed > limit, error.stack ?? String(error));
        told.push(`${shapes} needs a tensor of ${needed} bytes, above this adapter's ${limit}`);
        continue;
      }
      const error = relativeError({ golden }, outputs);
      assert(error <= 1e-3, `shapes ${shapes}: relative error ${error}`);
    }
    assert(told.length < model.shapes.length, told.join('; '));
    await session.release();
    return told.join('; ');
  });
}

test('a shape that a model cannot take is refused with both shapes named', async () => {
  const session = await pool.load(entry('minilm_l6').url, { name: 'text' });
  const ids = (batch, length) => new Tensor('int64', new Array(batch * length).fill(1n), [batch, length]);
  const feeds = (mask) => ({ input_ids: ids(2, 8), attention_mask: mask, token_type_ids: ids(2, 8) });
  await fails('invalid-input', ["'text'", "'attention_mask'", '[2, 9]', '[batch, seq]'], () => session.run(feeds(ids(2, 9))));
  await fails('invalid-input', ["'attention_mask'", '[2]', '[batch, seq]'], () =>
    session.run(feeds(new Tensor('int64', [1n, 1n], [2]))));
  await session.run(feeds(ids(2, 8)));
  await pool.close();
});
