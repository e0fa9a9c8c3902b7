// The cpu lane, where there is WebGPU and where there is none: every model against its golden and at other shapes; several at
// once; what its worker costs and gives back.

import { Pool } from '../pkg/index.js';
import { assert, equal, test, withWorkers } from './harness.js';
import { casesOf, distance, entry, index, load, relativeError, varied } from './models.js';

const ROUNDS = 20;
const lanes = ['cpu'];

let shared;
for (const model of index) {
  test(`cpu: ${model.name} is within 1e-3 of its golden, at every shape`, async () => {
    shared ??= await Pool.create({ lanes });
    const { session } = await load(shared, model);
    equal(session.lanes, lanes);
    const cases = await casesOf(model);
    for (const { feeds, golden } of cases) {
      const error = relativeError({ golden }, await session.run(feeds));
      assert(error <= 1e-3, `relative error ${error}`);
    }
    await session.release();
    return `${cases.length} shapes`;
  });
}

test(`cpu: ${ROUNDS} rounds of three models at once, other inputs each, equal their solo outputs`, async () => {
  const sessions = [];
  for (const name of ['squeezenet1_1', 'mobilenet_v2', 'minilm_l6']) sessions.push(await load(shared, entry(name)));
  for (let round = 0; round < ROUNDS; round++) {
    const requests = sessions.map(({ session, feeds }) => ({ session, feeds: varied(feeds, round) }));
    const together = await Promise.all(requests.map(({ session, feeds }) => session.run(feeds)));
    for (const [i, { session, feeds }] of requests.entries()) {
      const alone = await session.run(feeds);
      for (const name of session.outputNames) {
        equal(distance(together[i][name].data, alone[name].data), 0, `round ${round}, ${session.name}, ${name}`);
      }
    }
  }
  for (const { session } of sessions) await session.release();
  equal(shared.memory().lanes[0].weights, 0, 'bytes of weights after every release');
});

test('cpu: no task of the main thread is long while four models run', async () => {
  if (!PerformanceObserver.supportedEntryTypes.includes('longtask')) return 'this browser tells of none';
  // One thread beside the page's own: a page that has to wait for a core has long tasks whatever it does.
  const pool = await Pool.create({ lanes, threads: 1, measure: 'asked' });
  const sessions = [];
  for (const name of ['mobilenet_v2', 'minilm_l6', 'ocr_det_v4', 'face_onet']) sessions.push(await load(pool, entry(name)));
  const all = () => Promise.all(sessions.map(({ session, feeds }) => session.run(feeds)));
  await all();
  const long = [];
  const observer = new PerformanceObserver((list) => long.push(...list.getEntries().map(({ duration }) => duration)));
  observer.observe({ type: 'longtask' });
  let rounds = 0;
  for (const end = performance.now() + 2000; performance.now() < end; rounds++) await all();
  // What was seen last is told later.
  await new Promise((done) => setTimeout(done, 200));
  observer.disconnect();
  await pool.close();
  equal(long, [], `tasks beyond 50 ms in ${rounds} rounds`);
  return `${rounds} rounds`;
});

test('cpu: a model that no GPU takes goes to a processor, which is opened for it', async () => {
  const told = [];
  const pool = await Pool.create({ measure: 'asked', records: 'none', onFallback: (fallback) => told.push(fallback) });
  const { session, feeds } = await load(pool, entry('voice_vad'));
  assert(relativeError(entry('voice_vad'), await session.run(feeds)) <= 1e-3, 'the answer');
  equal([session.lane, session.lanes], ['cpu', ['cpu']]);
  if (pool.capabilities.lanes.includes('gpu')) {
    assert(session.refusals.gpu?.includes('LSTM'), `why not on gpu: ${JSON.stringify(session.refusals)}`);
  }
  assert(told.every(({ to, reason }) => to === 'cpu' && reason.includes('LSTM')), JSON.stringify(told));
  // Another rate is another branch of it.
  const [, , slow] = await casesOf(entry('voice_vad'));
  assert(relativeError({ golden: slow.golden }, await session.run(slow.feeds)) <= 1e-3, 'the answer at 8 kHz');
  await pool.close();
});

/** How often a worker is ended under load. */
const ENDS = 20;

test(`cpu: a worker that is ended ${ENDS} times under load loses no call`, async () => {
  return withWorkers(async (workers) => {
    for (const threads of [1, 2]) {
      const told = [];
      const pool = await Pool.create({ lanes, threads, measure: 'asked', onFallback: (fallback) => told.push(fallback) });
      const [one, two] = [await load(pool, entry('face_onet')), await load(pool, entry('music_pitch'))];
      for (let end = 1; end <= ENDS / 2; end++) {
        const flying = [one, two, one, two].map(({ session, feeds }) => session.run(feeds));
        const victim = workers.slice(-threads)[end % threads];
        setTimeout(() => victim.terminate(), Math.random() * 40);
        for (const [i, outputs] of (await Promise.all(flying)).entries()) {
          const off = relativeError(entry(i % 2 ? 'music_pitch' : 'face_onet'), outputs);
          assert(off <= 1e-3, `relative error ${off} after ${end} ends`);
        }
      }
      await one.session.release();
      await two.session.release();
      equal([told.length, pool.memory().lanes[0].weights], [0, 0], 'fallbacks, and bytes of weights after every release');
      await pool.close();
    }
    return `${workers.length} workers`;
  });
});

test('cpu: a processor whose sessions were released gives its memory back, and comes again when it is asked', async () => {
  const held = async () => (await navigator.locks.query()).held.map(({ name }) => name).filter((name) => name.startsWith('consort worker'));
  // Those of pools of other tests are theirs.
  const others = new Set(await held());
  /** Workers of this pool that live, by the locks that they hold. */
  const living = async () => (await held()).filter((name) => !others.has(name)).length;
  const rests = async () => {
    for (let waited = 0; (await living()) > 0; waited++) {
      // A worker that was ended while its threads waited for each other may be long gone before its browser says so.
      assert(waited < 600, `it never rests: ${await living()} workers beside ${others.size}`);
      await new Promise((done) => setTimeout(done, 100));
    }
  };
  const pool = await Pool.create({ lanes, threads: 2, processors: 1, measure: 'asked' });
  const names = ['mobilenet_v2', 'minilm_l6', 'face_rnet', 'ocr_cls', 'music_pitch'];
  for (let round = 0; round < 4; round++) {
    const sessions = [];
    for (const name of names) sessions.push(await load(pool, entry(name)));
    const all = await Promise.all(sessions.map(({ session, feeds }) => session.run(feeds)));
    for (const [i, outputs] of all.entries()) assert(relativeError(entry(names[i]), outputs) <= 1e-3, `${names[i]} in round ${round}`);
    equal(await living(), 2, 'workers while sessions live: a processor of two threads');
    for (const { session } of sessions) await session.release();
    equal(pool.memory().lanes[0].weights, 0, 'bytes of weights after every release');
    // Every second time it is asked again before it rests.
    if (round % 2) continue;
    await rests();
  }
  await pool.close();
});

test('cpu: each wasm of its workers is fetched once, and by no pool that has no such lane', async () => {
  const files = () => performance.getEntriesByType('resource').filter(({ name }) => /\/cpu\/\w+\.wasm$/.test(name)).length;
  await (await Pool.create({ lanes })).close();
  equal(files(), 2, 'files of wasm that were fetched: one for each build, that of one thread and that of several');
  await shared.close();
});

test('cpu: an adapter that never answers keeps no pool waiting', async () => {
  // A page of its own, whose first pool it is: what the browser can do is not known there yet.
  const frame = document.createElement('iframe');
  const script = `
    if (navigator.gpu) GPU.prototype.requestAdapter = () => new Promise(() => {});
    const { Pool } = await import('${new URL('../pkg/index.js', import.meta.url)}');
    const pool = await Pool.create({ records: 'none' }).catch((error) => ({ error }));
    parent.postMessage({ never: pool.error ? String(pool.error) : pool.capabilities.lanes }, '*');`;
  frame.srcdoc = `<script type="module">${script}</${'script'}>`;
  try {
    const told = new Promise((resolve) => {
      addEventListener('message', function heard({ data }) {
        if (data?.never === undefined) return;
        removeEventListener('message', heard);
        resolve(data.never);
      });
    });
    document.body.append(frame);
    const late = new Promise((resolve) => setTimeout(resolve, 60_000, 'no pool'));
    const lanes = await Promise.race([told, late]);
    assert(lanes.includes('cpu'), `${lanes}`);
  } finally {
    frame.remove();
  }
});
