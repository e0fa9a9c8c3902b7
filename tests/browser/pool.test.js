// The pool: calls from everywhere at once, weights once, bytes as predicted, predictions that learn.

import { Pool } from '../pkg/index.js';
import { assert, equal, test } from './harness.js';
import { distance, entry, feedsOf, load, relativeError, varied } from './models.js';

const batch1 = { freeDimensions: { batch: 1 } };

async function withModels(names, work) {
  const pool = await Pool.create({ lanes: ['gpu'], measure: 'now', records: 'none' });
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

test('a pool measures itself between calls, which all have their answers, and learns from the first warm one on', async () => {
  const pool = await Pool.create({ lanes: ['gpu'], records: 'none' });
  const session = await pool.load(entry('squeezenet1_1').url, batch1);
  const feeds = await feedsOf(entry('squeezenet1_1'));
  const alone = (await session.run(feeds))[session.outputNames[0]].data;
  equal(pool.accuracy().observations, 0, 'observations before a run was warm');
  // Calls one right after the other, beside which something is measured now and then, and with pauses in which that goes on.
  for (let i = 0; i < 40; i++) {
    const output = (await session.run(feeds))[session.outputNames[0]].data;
    equal(distance(output, alone), 0, `call ${i}`);
    if (i > 10) await new Promise((resolve) => setTimeout(resolve, 20 * (i % 20)));
  }
  const { observations } = pool.accuracy();
  assert(observations > 10, `it learned from ${observations} of 40 runs`);
  await pool.close();
});

/** The entry of this adapter in the browser's store, changed by `change` where that is given. */
function kept(fingerprint, change) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open('consort');
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const adapters = opening.result.transaction('adapters', 'readwrite').objectStore('adapters');
      const asked = adapters.get(fingerprint);
      asked.onsuccess = () => {
        if (change) adapters.put(change(asked.result), fingerprint);
        opening.result.close();
        resolve(asked.result);
      };
    };
  });
}

test('a pool goes by what one before it measured on this adapter, and by nothing else', async () => {
  /** Whether a pool measures what kernels reach before it predicts: then it makes them. */
  const measures = async (options) => {
    const pool = await Pool.create({ lanes: ['gpu'], measure: 'asked', ...options });
    const session = await pool.load(entry('squeezenet1_1').url, batch1);
    const feeds = await feedsOf(entry('squeezenet1_1'));
    await session.run(feeds);
    const { createComputePipelineAsync } = GPUDevice.prototype;
    try {
      const made = new Promise((resolve) => {
        GPUDevice.prototype.createComputePipelineAsync = function make(...given) {
          resolve(true);
          return createComputePipelineAsync.apply(this, given);
        };
      });
      const predicted = pool.predict([{ session, feeds }]).then(() => false);
      predicted.catch(() => {});
      return await Promise.race([made, predicted]);
    } finally {
      GPUDevice.prototype.createComputePipelineAsync = createComputePipelineAsync;
      await pool.close();
    }
  };
  const first = await Pool.create({ lanes: ['gpu'], measure: 'now' });
  const { fingerprint } = first.profile;
  await first.close();
  // It is kept beside what the page does next.
  for (let i = 0; i < 100 && !(await kept(fingerprint)); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  const shares = Object.values((await kept(fingerprint)).shares);
  assert(shares.length === 8 && shares.every((s) => s > 0 && s <= 1), `shares of the ceilings: ${shares}`);
  equal(await measures({}), false, 'it measures what is kept');
  equal(await measures({ records: 'none' }), true, 'it measures where nothing is taken from the store');
  for (const other of [{ kernels: 'of another release' }, { shares: null }, { tuning: { accumulators: 1 } }]) {
    const before = await kept(fingerprint, (known) => ({ ...known, ...other }));
    equal(await measures({}), true, `it measures what is ${JSON.stringify(other)}`);
    await kept(fingerprint, () => before);
  }
});

/** What `work` does where the browser never tells how hard the processor is pressed; else it does so within a second, or later. */
async function untold(work) {
  const { PressureObserver } = globalThis;
  delete globalThis.PressureObserver;
  try {
    return await work();
  } finally {
    if (PressureObserver) globalThis.PressureObserver = PressureObserver;
  }
}

const goesOn = 'a pool forecasts from its first call on by what one before it learned on this machine, pressed as it was';
test(goesOn, () => untold(async () => {
  const opened = async () => {
    const pool = await Pool.create({ lanes: ['cpu'], processors: 1, measure: 'now' });
    return { pool, ...(await load(pool, entry('squeezenet1_1'))) };
  };
  const forecast = async ({ pool, session, feeds }) => (await pool.predict([{ session, feeds }])).strategies[0];
  const width = ({ intervalMs: [low, high] }) => high / low;
  // What pools of other tests left is no part of this.
  const before = await opened();
  const { fingerprint } = before.pool.profile;
  await before.pool.close();
  await kept(fingerprint, () => ({}));
  const first = await opened();
  const guess = await forecast(first);
  for (let i = 0; i < 24; i++) await first.session.run(first.feeds);
  const seen = first.pool.accuracy('cpu').observations;
  await first.pool.close();
  const learned = async () => (await kept(fingerprint))?.learned?.observations.length ?? 0;
  for (let i = 0; i < 100 && (await learned()) < seen; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert(seen >= 8 && (await learned()) === seen, `${await learned()} observations of ${seen} are kept`);
  // As if each had taken three times what was guessed, on a processor under pressure: how long they took here is the machine's.
  const tookMs = 3 * guess.predictedMs;
  const pressed = ({ terms, ...more }) => ({
    ...more,
    measuredMs: tookMs,
    terms: { ...terms, conditions: { ...terms.conditions, pressure: 'serious' } },
  });
  await kept(fingerprint, ({ learned: { observations, ...more }, ...known }) => ({
    ...known,
    learned: { ...more, observations: observations.map(pressed) },
  }));
  const second = await opened();
  const again = await forecast(second);
  const off = Math.abs(Math.log(again.predictedMs / tookMs));
  assert(off < Math.log(1.2), `${again.predictedMs} ms at first, though calls took ${tookMs} in the pool before; ${guess.predictedMs} when nothing was known`);
  assert(width(again) < width(guess), `intervals of ${again.intervalMs} after ${guess.intervalMs}`);
  equal(second.pool.accuracy('cpu').observations, 0, 'observations of its own');
  await second.pool.close();
}));

test('a device has what kernels have variants for, and the page its own WebGPU', async () => {
  const pool = await Pool.create({ lanes: ['gpu'], measure: 'asked', records: 'none' });
  const adapter = await navigator.gpu.requestAdapter();
  for (const feature of ['subgroups', 'shader-f16']) {
    equal(pool.capabilities.devices[0].features.includes(feature), adapter.features.has(feature), feature);
  }
  assert(`${GPUAdapter.prototype.requestDevice}`.includes('[native code]'), 'requestDevice is the browser’s');
  await pool.close();
});

test('two sessions of one file hold its weights once, and a release gives its bytes back', async () => {
  const pool = await Pool.create({ lanes: ['gpu'], measure: 'now', records: 'none' });
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

test('weights as float16 take half the memory, beside a session that has them whole', async () => {
  const pool = await Pool.create({ lanes: ['gpu'], measure: 'now', records: 'none' });
  const model = entry('minilm_l6');
  const [whole, feeds] = [await pool.load(model.url), await feedsOf(model)];
  // A call of this length brings constants of its own.
  await whole.run(feeds);
  const exact = pool.memory().weights;
  const half = await pool.load(model.url, { weights: 'float16' });
  const added = pool.memory().weights - exact;
  assert(added > 0 && added < 0.55 * exact, `${added} bytes beside ${exact}`);
  const [a, b] = await Promise.all([whole.run(feeds), half.run(feeds)]);
  const off = [a, b].map((outputs) => relativeError(model, outputs));
  assert(off[0] < 1e-5 && off[1] > 1e-5 && off[1] < 5e-3, `off by ${off}`);
  await half.release();
  equal(pool.memory().weights, exact, 'weights after the release');
  // Whether products take f16 here is the tuner's to say; either way the answer is near, and what is no precision refused.
  const free = await pool.load(model.url, { products: 'float16' });
  const near = relativeError(model, await free.run(feeds));
  assert(near < 5e-3, `off by ${near}`);
  const error = await pool.load(model.url, { products: 'float8' }).then(() => undefined, (e) => e);
  equal(error?.kind, 'invalid-input', 'a precision that is none');
  await pool.close();
});

test('memory is told by session, with the most so far, the least that could be, and who lies where', () =>
  withModels(['squeezenet1_1', 'mobilenet_v2'], async (pool, requests) => {
    await pool.runAll(requests, { strategy: 'parallel' });
    const parallel = pool.memory();
    equal(parallel.total, parallel.weights + parallel.arenas + parallel.staging + parallel.parameters + parallel.tensors);
    const arenas = parallel.sessions.map((s) => s.arena);
    equal(parallel.arenas, arenas[0] + arenas[1], 'arenas of models that overlap');
    assert(parallel.highWater >= parallel.total, 'the most so far');
    equal(parallel.liveBytes, Math.max(...parallel.sessions.map((s) => s.liveBytes)));
    for (const { session } of requests) {
      const { arena, liveBytes, steps, tensors } = session.memoryMap();
      assert(arena >= liveBytes && arena <= liveBytes * 1.1, `an arena of ${arena} bytes for ${liveBytes} alive`);
      assert(tensors.every((t) => t.offset + t.bytes <= arena && t.firstStep <= t.lastStep && t.lastStep < steps), 'inside');
      const together = (a, b) => a !== b && a.firstStep <= b.lastStep && b.firstStep <= a.lastStep;
      const apart = (a, b) => a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
      assert(tensors.every((a) => tensors.every((b) => !together(a, b) || apart(a, b))), 'no byte is used twice at once');
    }
    await requests[0].session.release();
    await requests[1].session.run(requests[1].feeds);
    const one = pool.memory();
    equal(one.arenas, arenas[1], 'the arena of the one that is left');
    equal(one.highWater, parallel.highWater, 'the most so far, later');
  }));

test('predicted bytes are the allocator\'s count within 1 %, and every strategy is predicted and measured', () =>
  withModels(['squeezenet1_1', 'mobilenet_v2'], async (pool, requests) => {
    const rounds = [];
    const comparison = await pool.compare(requests, { repeats: 2, onProgress: (soFar) => rounds.push(soFar) });
    equal(rounds.map(({ repeats, strategies }) => [repeats, strategies.length]), [1, 2].map((round) => [round, comparison.strategies.length]), 'what was told of each round');
    equal(rounds[1], comparison, 'what is told of the last');
    assert(rounds[0].strategies.every((s) => s.measuredMs > 0 && s.measuredTimeline.length > 2), 'what was measured in the first');
    const throws = () => {
      throw new Error('what is told of a round is not wanted');
    };
    equal((await pool.compare(requests, { repeats: 1, onProgress: throws })).repeats, 1, 'a callback that throws');
    // Both are fed the same, so that a little may be in common.
    const asTheyAre = (all) => all.map((s) => s.strategy).filter((strategy) => strategy !== 'batched').sort();
    equal(asTheyAre(comparison.strategies), ['parallel', 'sequential']);
    for (const s of comparison.strategies) {
      const off = Math.abs(s.predictedBytes / s.measuredBytes - 1);
      assert(off <= 0.01, `${s.strategy}: predicted ${s.predictedBytes} bytes, held ${s.measuredBytes}`);
      assert(s.predictedMs > 0 && s.intervalMs[0] <= s.predictedMs && s.predictedMs <= s.intervalMs[1], 'interval');
      for (const timeline of [s.timeline, s.measuredTimeline]) {
        assert(timeline.length > 2 && timeline.every((t) => t.startMs <= t.endMs + 1e-9), 'timeline');
      }
    }
    const prediction = await pool.predict(requests);
    assert(prediction.reason.length > 0 && asTheyAre(prediction.strategies).length === 2, 'a reason and both strategies');
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

test('a model loads from its bytes with its data beside, in no more memory than its weights and 64 MiB', async () => {
  const frame = document.body.appendChild(document.createElement('iframe'));
  try {
    const at = new URL('./bounds.js', import.meta.url).href;
    return await (await frame.contentWindow.eval(`import('${at}')`)).loadsInBounds();
  } finally {
    frame.remove();
  }
});

test('a load tells its progress forwards and ends at the whole', async () => {
  const pool = await Pool.create({ lanes: ['gpu'], measure: 'now', records: 'none' });
  const seen = [];
  await pool.load(entry('squeezenet1_1').url, { ...batch1, onProgress: (p) => seen.push(p) });
  const phases = [...new Set(seen.map((p) => p.phase))];
  equal([phases[0], phases[1], phases.at(-1)], ['download', 'decode', 'ready'], 'order of phases');
  equal([...phases].sort(), ['compile', 'decode', 'download', 'ready', 'upload']);
  for (const phase of phases) {
    const steps = seen.filter((p) => p.phase === phase);
    const { done, total } = steps.at(-1);
    equal(done, total, `${phase} at its end`);
    assert(steps.every((p, i) => i === 0 || p.done >= steps[i - 1].done), `${phase} goes forward`);
  }
  await pool.close();
});

test('a session runs on the lane that is measured to be faster, and every call on the way is right', async () => {
  const model = entry('squeezenet1_1');
  const usual = {};
  const median = (times) => times.toSorted((a, b) => a - b)[times.length >> 1];
  for (const lane of ['gpu', 'cpu']) {
    const pool = await Pool.create({ lanes: [lane], measure: 'asked', records: 'none' });
    const { session, feeds } = await load(pool, model);
    const times = [];
    for (let i = 0; i < 5; i++) {
      const start = performance.now();
      await session.run(feeds);
      times.push(performance.now() - start);
    }
    usual[lane] = median(times.slice(1));
    await pool.close();
  }
  const [faster, slower] = usual.gpu < usual.cpu ? ['gpu', 'cpu'] : ['cpu', 'gpu'];
  // Where both are alike, either is right.
  const clear = usual[faster] * 1.2 < usual[slower];
  const pool = await Pool.create({ lanes: ['gpu', 'cpu'], measure: 'asked', records: 'none' });
  const { session, feeds } = await load(pool, model);
  const holders = () => pool.memory().lanes.filter(({ weights }) => weights > 0).map(({ lane }) => lane);
  const settled = () => holders().length === 1 && (!clear || session.lane === faster);
  const lanes = [];
  const call = async () => {
    lanes.push(session.lane);
    const off = relativeError(model, await session.run(feeds));
    assert(off <= 1e-3, `relative error ${off} in call ${lanes.length} on ${lanes.at(-1)}`);
    // What is made ready beside the calls has a moment between them.
    await new Promise((done) => setTimeout(done, 20));
  };
  // How many calls pass while a lane is made ready is the machine's affair: it has an end, and no number.
  const end = performance.now() + 45_000;
  do await call();
  while (!(settled() && lanes.length >= 16) && performance.now() < end);
  assert(settled(), `${JSON.stringify(usual)}, held on ${holders()}, calls on ${lanes}`);
  for (let i = 0; i < 4; i++) await call();
  if (clear) equal(lanes.slice(-4), Array(4).fill(faster), 'lanes of the last calls');
  equal(holders(), [session.lane], 'lanes that hold its weights');
  await pool.close();
  return `${usual.gpu.toFixed(0)} ms on gpu, ${usual.cpu.toFixed(0)} on cpu; calls on ${lanes.join()}`;
});
