// The pool: calls from everywhere at once, weights once, bytes as predicted, predictions that learn.

import { Pool } from '../pkg/index.js';
import { assert, equal, test } from './harness.js';
import { distance, entry, feedsOf, varied } from './models.js';

const batch1 = { freeDimensions: { batch: 1 } };

async function withModels(names, work) {
  const pool = await Pool.create();
  const requests = [];
  for (const name of names) {
    const session = await pool.load(entry(name).url, batch1);
    requests.push({ session, feeds: await feedsOf(entry(name)) });
  }
  await work(pool, requests);
  await pool.close();
}

test('a page of independent callers gets every answer right', () =>
  withModels(['squeezenet1_1', 'mobilenet_v2'], async (pool, requests) => {
    const alone = [];
    for (let i = 0; i < 4; i++) {
      const { session, feeds } = requests[i % 2];
      alone.push((await session.run(varied(feeds, i)))[session.outputNames[0]].data);
    }
    const calls = Array.from({ length: 24 }, (_, i) => {
      const { session, feeds } = requests[i % 2];
      return session.run(varied(feeds, i % 4));
    });
    for (const [i, outputs] of (await Promise.all(calls)).entries()) {
      const error = distance(outputs[requests[i % 2].session.outputNames[0]].data, alone[i % 4]);
      assert(error <= 1e-6, `call ${i} differs from its solo run by ${error}`);
    }
  }));

test('two sessions of one file hold its weights once, and a release gives its bytes back', async () => {
  const pool = await Pool.create();
  const first = await pool.load(entry('squeezenet1_1').url, batch1);
  const one = pool.memory();
  const second = await pool.load(entry('squeezenet1_1').url, batch1);
  equal(pool.memory().weights, one.weights, 'weights of two sessions');
  assert(pool.memory().sessions.every((s) => s.sharedWeights === s.weights), 'both share all their weights');
  await second.release();
  equal(pool.memory().weights, one.weights, 'weights after one release');
  await first.release();
  equal(pool.memory().weights, 0, 'weights after both releases');
  await pool.close();
});

test('predicted bytes are the allocator\'s count within 1 %, and every strategy is predicted and measured', () =>
  withModels(['squeezenet1_1', 'mobilenet_v2'], async (pool, requests) => {
    const comparison = await pool.compare(requests, { repeats: 2 });
    equal(comparison.strategies.map((s) => s.strategy).sort(), ['parallel', 'sequential']);
    for (const s of comparison.strategies) {
      const off = Math.abs(s.predictedBytes / s.measuredBytes - 1);
      assert(off <= 0.01, `${s.strategy}: predicted ${s.predictedBytes} bytes, held ${s.measuredBytes}`);
      assert(s.predictedMs > 0 && s.intervalMs[0] <= s.predictedMs && s.predictedMs <= s.intervalMs[1], 'interval');
      for (const timeline of [s.timeline, s.measuredTimeline]) {
        assert(timeline.length > 2 && timeline.every((t) => t.startMs <= t.endMs + 1e-9), 'timeline');
      }
    }
    const prediction = await pool.predict(requests);
    assert(prediction.reason.length > 0 && prediction.strategies.length === 2, 'a reason and both strategies');
  }));

test('every run is recorded beside its prediction, and the refit is judged on runs that it did not see', () =>
  withModels(['squeezenet1_1'], async (pool, requests) => {
    equal(pool.accuracy().observations, 0, 'observations at first');
    for (let i = 0; i < 8; i++) await pool.runAll(requests, { strategy: ['sequential', 'parallel'][i % 2] });
    const { observations, heldOut, errorBefore, errorAfter, history } = pool.accuracy();
    assert(observations >= 6 && observations <= 8, `8 runs, ${observations} observations`);
    assert(heldOut > 0 && heldOut < observations, `${heldOut} of ${observations} held out`);
    assert(Number.isFinite(errorBefore) && Number.isFinite(errorAfter), 'errors before and after');
    equal(history.length, observations);
  }));

test('a load tells its progress forwards and ends at the whole', async () => {
  const pool = await Pool.create();
  const seen = [];
  await pool.load(entry('squeezenet1_1').url, { ...batch1, onProgress: (p) => seen.push(p) });
  const phases = [...new Set(seen.map((p) => p.phase))];
  equal(phases.sort(), ['compile', 'fetch', 'upload']);
  for (const phase of phases) {
    const steps = seen.filter((p) => p.phase === phase);
    const { done, total } = steps.at(-1);
    equal(done, total, `${phase} at its end`);
    assert(steps.every((p, i) => i === 0 || p.done >= steps[i - 1].done), `${phase} goes forward`);
  }
  await pool.close();
});
