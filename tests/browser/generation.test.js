// Tensors that stay on the GPU, and generation with a key/value cache there.

import { Pool, Tensor } from '../pkg/index.js';
import { generate, passOver } from '../generate.js';
import { assert, equal, test } from './harness.js';
import { entry, load } from './models.js';

const TOKENS = 64;
const PROMPT = [17, 4021, 99];

test(`${TOKENS} tokens with the cache on the GPU are those made without one, and only tokens and logits move`, async () => {
  const pool = await Pool.create({ lanes: ['gpu'], records: 'none' });
  const { session } = await load(pool, entry('gpt2_small_kv'));
  const made = [];
  let before = pool.traffic();
  for await (const token of generate(session, PROMPT, TOKENS)) {
    const now = pool.traffic();
    const positions = made.length === 0 ? PROMPT.length : 1;
    equal(now.readbacks - before.readbacks, 1, 'one readback for each token');
    equal(now.uploadedBytes - before.uploadedBytes, positions * 4, 'bytes up: the tokens');
    equal(now.readBackBytes - before.readBackBytes, positions * 8192 * 4, 'bytes down: their logits');
    before = now;
    made.push(token);
  }
  equal(made.length, TOKENS);
  equal(pool.memory().tensors, 0, 'bytes of the cache after its end');
  // Position by position: what a run without a cache makes of the same tokens so far.
  const without = await passOver(session, [...PROMPT, ...made.slice(0, -1)]);
  equal(made, without.slice(PROMPT.length - 1), 'tokens');
  await pool.close();
});

test('an output on the GPU is fed to another session, read, and disposed of', async () => {
  const pool = await Pool.create({ lanes: ['gpu'], records: 'none' });
  const [first, second] = [await load(pool, entry('squeezenet1_1')), await load(pool, entry('squeezenet1_1'))];
  const image = await pool.upload(first.feeds.input);
  equal([image.location, image.dims], ['gpu', first.feeds.input.dims]);
  const plain = await first.session.run(first.feeds);
  const [name] = first.session.outputNames;
  const before = pool.traffic();
  const [a, b] = await pool.runAll([
    { session: first.session, feeds: { input: image }, outputLocation: 'gpu' },
    { session: second.session, feeds: { input: image } },
  ]);
  equal(pool.traffic().uploadedBytes, before.uploadedBytes, 'bytes up for two runs of one image on the GPU');
  equal([a[name].location, b[name].location], ['gpu', 'cpu']);
  equal(Array.from(await a[name].getData()), Array.from(plain[name].data), 'kept and read');
  equal(Array.from(b[name].data), Array.from(plain[name].data), 'read at once');
  let kinds = [];
  const kindOf = async (work) => kinds.push(await work().then(() => 'none', (e) => e.kind));
  await kindOf(async () => a[name].data);
  a[name].dispose();
  a[name].dispose();
  await kindOf(() => a[name].getData());
  image.dispose();
  await kindOf(() => first.session.run({ input: image }));
  await kindOf(() => first.session.run(first.feeds, { outputLocation: { nothing: 'gpu' } }));
  await kindOf(() => first.session.run(first.feeds, { outputLocation: 'moon' }));
  const other = await Pool.create({ lanes: ['gpu'], records: 'none' });
  const foreign = await other.upload(new Tensor('float32', new Float32Array(4), [4]));
  await kindOf(() => first.session.run({ input: foreign }));
  equal(kinds, ['invalid-input', 'closed', 'closed', 'invalid-input', 'invalid-input', 'invalid-input']);
  equal(pool.memory().tensors, 0, 'bytes kept');
  assert((await first.session.run(first.feeds))[name].size === plain[name].size, 'the pool goes on');
  await other.close();
  await pool.close();
});
