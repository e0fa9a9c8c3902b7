// A pool in a worker of its own: the same answers and errors, a main thread that only sends and receives, and an end of the worker
// that every call hears of.

import { Pool } from '../pkg/index.js';
import { assert, equal, fails, test, withWorkers } from './harness.js';
import { distance, entry, load, relativeError } from './models.js';

const far = (options) => Pool.create({ worker: true, measure: 'asked', records: 'none', ...options });

test('worker: four models at once are right, and no task of the main thread is long', async () => {
  const pool = await far({ threads: 1 });
  const progress = [];
  const sessions = [await load(pool, entry('face_onet'), { onProgress: (p) => progress.push(p.phase) })];
  for (const name of ['mobilenet_v2', 'minilm_l6', 'ocr_det_v4']) sessions.push(await load(pool, entry(name)));
  assert(progress.includes('download') && progress.at(-1) === 'ready', `phases: ${progress}`);
  const all = () => Promise.all(sessions.map(({ session, feeds }) => session.run(feeds)));
  for (const [i, outputs] of (await all()).entries()) {
    const { model } = sessions[i];
    assert(relativeError(model, outputs) <= 1e-3, model.name);
    assert(pool.capabilities.lanes.includes(sessions[i].session.lane), 'a lane of the pool');
  }
  const long = [];
  const told = PerformanceObserver.supportedEntryTypes.includes('longtask');
  const observer = new PerformanceObserver((list) => long.push(...list.getEntries().map(({ duration }) => duration)));
  if (told) observer.observe({ type: 'longtask' });
  let rounds = 0;
  for (const end = performance.now() + 2000; performance.now() < end; rounds++) await all();
  await new Promise((done) => setTimeout(done, 200));
  observer.disconnect();
  equal(long, [], `tasks beyond 50 ms in ${rounds} rounds`);
  assert(pool.memory().weights > 0 && pool.traffic().executions > 0, 'what is told at once');
  for (const { session } of sessions) await session.release();
  // One may just have been on its way to another lane.
  for (let waited = 0; pool.memory().weights > 0 && waited < 100; waited++) {
    await new Promise((done) => setTimeout(done, 50));
    await sessions[0].session.release();
  }
  equal(pool.memory().weights, 0, 'bytes of weights after every release');
  await pool.close();
  await fails('closed', [], () => sessions[0].session.run(sessions[0].feeds));
  return told ? `${rounds} rounds` : 'this browser tells of no long tasks';
});

test('worker: an output stays on its lane, is fed to another session and read', async () => {
  const pool = await far({ lanes: ['cpu'] });
  const { session, feeds } = await load(pool, entry('squeezenet1_1'));
  const [name] = session.outputNames;
  const [input] = session.inputNames;
  const here = (await session.run(feeds))[name];
  const there = (await session.run(feeds, { outputLocation: 'gpu' }))[name];
  equal(there.location, 'gpu');
  equal(distance(await there.getData(), here.data), 0, 'the same');
  const brought = await pool.upload(feeds[input]);
  equal(distance((await session.run({ [input]: brought }))[name].data, here.data), 0, 'an input that is there');
  assert(pool.memory().tensors > 0, 'bytes of tensors');
  [there, brought].forEach((tensor) => tensor.dispose());
  await session.run(feeds);
  equal(pool.memory().tensors, 0, 'bytes of tensors after they were disposed of');
  equal(feeds[input].data.length, feeds[input].size, 'what was fed is still there');
  await pool.close();
});

test('worker: errors, and signals, are those of a pool in the page', async () => {
  const pool = await far({ lanes: ['cpu'] });
  const { session, feeds } = await load(pool, entry('face_pnet'));
  const unknown = await fails('invalid-input', ["no input 'y'"], () => session.run({ y: Object.values(feeds)[0] }));
  equal(unknown.model, 'face_pnet');
  await fails('fetch', ['404'], () => pool.load('nothing.onnx'));
  await fails('invalid-input', ['Tensor'], () => pool.upload(undefined));
  await fails('invalid-input', ['strategy'], () => pool.runAll([{ session, feeds }], { strategy: 'none' }));
  await fails('aborted', [], () => session.run(feeds, { signal: AbortSignal.abort() }));
  const abort = new AbortController();
  // What is kept of a model may be there before any timer: its first piece is the moment.
  const onProgress = () => abort.abort();
  await fails('aborted', [], () => load(pool, entry('resnet18'), { signal: abort.signal, onProgress }));
  await fails('unsupported', [], () => far({ lanes: ['none'] }));
  assert(relativeError(entry('face_pnet'), await session.run(feeds)) <= 1e-3, 'the next call');
  await pool.close();
});

test('worker: its end ends every call with an error, and the next pool has another', async () => {
  await withWorkers(async (workers) => {
    const pool = await far({ lanes: ['cpu'] });
    const { session, feeds } = await load(pool, entry('squeezenet1_1'));
    const calls = Array.from({ length: 8 }, () => fails('device-lost', ["the pool's worker is gone"], () => session.run(feeds)));
    workers[0].terminate();
    await Promise.all(calls);
    await fails('device-lost', [], () => session.run(feeds));
    await session.release();
    await pool.close();
  });
  const again = await far({ lanes: ['cpu'] });
  const { session, feeds } = await load(again, entry('squeezenet1_1'));
  assert(relativeError(entry('squeezenet1_1'), await session.run(feeds)) <= 1e-3, 'in a new one');
  await again.close();
});
