// Long runs: all eight workload models together for fifty rounds, and thousands of calls with loads and releases between.

import { Pool, Tensor } from '../pkg/index.js';
import { assert, equal, test } from './harness.js';
import { distance, entry, feedsOf, index, load, varied } from './models.js';

const ROUNDS = 50;
const RUNS = 2000;

const ids = (dims, seed, below) =>
  new Tensor('int64', Array.from({ length: dims[0] * dims[1] }, (_, i) => BigInt((i * 7919 + seed * 104729) % below)), dims);
const full = (dims, value) => new Tensor('int64', new Array(dims[0] * dims[1]).fill(value), dims);
const waves = (dims, seed) =>
  new Tensor('float32', Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 0.37 + seed)), dims);

/** Other numbers each round; other lengths where a model has lengths. */
const ROUND = {
  minilm_l6: (_, r) => {
    const dims = [1 + (r % 2), 8 + ((r * 5) % 40)];
    return { input_ids: ids(dims, r, 30522), attention_mask: full(dims, 1n), token_type_ids: full(dims, 0n) };
  },
  clip_tiny: ({ pixel_values }, r) => {
    const dims = [1 + (r % 3), 4 + ((r * 3) % 24)];
    return { input_ids: ids(dims, r, 49408), attention_mask: full(dims, 1n), ...varied({ pixel_values }, r) };
  },
  gpt2_small_kv: (own, r) => {
    const past = (r * 4) % 24;
    const caches = Object.keys(own).filter((name) => name !== 'input_ids');
    const cache = Object.fromEntries(caches.map((name, i) => [name, waves([1, 6, past, 64], r + i)]));
    return { input_ids: ids([1, 1 + (r % 5)], r, 8192), ...cache };
  },
};

test(`${ROUNDS} rounds of all eight models at once, other inputs and lengths each, equal their solo outputs`, async (say) => {
  const pool = await Pool.create({ lanes: ['gpu'] });
  const loaded = [];
  for (const model of index.slice(0, 8)) loaded.push(await load(pool, model));
  for (let round = 0; round < ROUNDS; round++) {
    const requests = loaded.map(({ model, session, feeds }) => ({
      session,
      feeds: (ROUND[model.name] ?? varied)(feeds, round),
    }));
    const together = await pool.runAll(requests, { strategy: ['auto', 'sequential', 'parallel'][round % 3] });
    for (const [i, { session, feeds }] of requests.entries()) {
      const alone = await session.run(feeds);
      for (const name of session.outputNames) {
        const off = distance(together[i][name].data, alone[name].data);
        assert(off <= 1e-6, `round ${round}, ${session.name}, ${name}: differs from its solo run by ${off}`);
      }
    }
    say(`  …     round ${round + 1} of ${ROUNDS}`);
  }
  await pool.close();
});

test(`${RUNS} runs with loads, releases, faults and aborts between end with the GPU bytes that they began with`, async (say) => {
  const pool = await Pool.create({ lanes: ['gpu'] });
  equal(pool.memory().total, 0, 'bytes before anything is loaded');
  const base = await load(pool, entry('face_pnet'));
  const kept = ({ weights, parameters, tensors }) => ({ weights, parameters, tensors });
  await base.session.run(base.feeds);
  const began = kept(pool.memory());
  const names = ['face_rnet', 'face_onet', 'ocr_cls', 'squeezenet1_1'];
  const feeds = Object.fromEntries(await Promise.all(names.map(async (n) => [n, await feedsOf(entry(n))])));
  let done = 0;
  for (let turn = 0; done < RUNS; turn++) {
    const name = names[turn % names.length];
    const visitor = await load(pool, entry(name));
    const calls = Array.from({ length: 20 }, (_, i) => (i % 4 === 3 ? visitor.session.run(feeds[name]) : base.session.run(base.feeds)));
    const abort = new AbortController();
    const aborted = visitor.session.run(feeds[name], { signal: abort.signal }).catch((e) => e.kind);
    const wrong = visitor.session.run({}).catch((e) => e.kind);
    abort.abort();
    await Promise.all(calls);
    equal([await aborted, await wrong], ['aborted', 'invalid-input']);
    done += calls.length;
    const [output] = visitor.session.outputNames;
    const stays = await visitor.session.run(feeds[name], { outputLocation: { [output]: 'gpu' } });
    stays[output].dispose();
    await visitor.session.release();
    equal(kept(pool.memory()), began, `bytes after ${done} runs, ${name} released`);
    if (turn % 10 === 9) say(`  …     ${done} of ${RUNS} runs`);
  }
  await base.session.release();
  equal(pool.memory().total, 0, 'bytes after all is released');
  await pool.close();
});
