// What callers get wrong, and what files and servers do to them: a typed error that names what and where, and nothing
// lost: the session beside it answers as before.

import { Pool, Tensor } from '../pkg/index.js';
import { assert, equal, fails, test, withWorkers } from './harness.js';
import { loadedThroughLosses } from './losses.js';
import { distance, entry, feedsOf, load, relativeError } from './models.js';

const model = entry('squeezenet1_1');
const pool = await Pool.create({ lanes: ['gpu'], measure: 'now', records: 'none' });
const feeds = await feedsOf(model);
const session = await pool.load(model.url, { freeDimensions: { batch: 1 } });
const [output] = session.outputNames;
const [input] = session.inputNames;
const expected = (await session.run(feeds))[output].data;
const bytes = new Uint8Array(await (await fetch(model.url)).arrayBuffer());

/** Text inside the model's bytes, exchanged for other text of the same length. */
function patched(from, to) {
  const text = Array.from(bytes, (b) => String.fromCharCode(b)).join('').replaceAll(from, to);
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

function harmless(name, work) {
  test(name, async () => {
    const before = pool.memory().total;
    const beside = session.run(feeds);
    await work();
    equal(distance((await beside)[output].data, expected), 0, 'the call beside it');
    equal(distance((await session.run(feeds))[output].data, expected), 0, 'the call after it');
    equal(pool.memory().total, before, 'bytes on the GPU');
  });
}

harmless('a truncated file', () =>
  fails('invalid-model', ["'cut'"], () => pool.load(bytes.slice(0, bytes.length / 2), { name: 'cut' })));

harmless('a file that is not ONNX', () =>
  fails('invalid-model', ["'index'"], () => pool.load('/tests/index.html', { name: 'index' })));

harmless('an operator that nobody knows', () =>
  fails('unsupported', ['Relq', "'odd'", 'node'], () => pool.load(patched('Relu', 'Relq'), {
    name: 'odd', externalData: { 'squeezenet1_1.onnx.data': `${model.url}.data` },
  })));

harmless('a file that is not there', () =>
  fails('fetch', ['404', '/models/none.onnx', "'none'"], () => pool.load('/models/none.onnx')));

harmless('external data that is not there', () =>
  fails('missing-data', ['squeezenet1_1.onnx.dat4'], () =>
    pool.load(URL.createObjectURL(new Blob([patched('.onnx.data', '.onnx.dat4')])), { name: 'bare' })));

harmless('external data that was not given', () =>
  fails('missing-data', ['squeezenet1_1.onnx.data', "'bytes'"], () => pool.load(bytes, { name: 'bytes' })));

harmless('external data that is too short', () =>
  fails('missing-data', ['squeezenet1_1.onnx.data'], () =>
    pool.load(bytes, { externalData: { 'squeezenet1_1.onnx.data': new Uint8Array(1000) } })));

harmless('a feed of another name', () =>
  fails('invalid-input', ["'picture'", `'${session.name}'`, input], () => session.run({ picture: feeds[input] })));

harmless('a feed that is missing', () =>
  fails('invalid-input', [`'${input}'`, `'${session.name}'`], () => session.run({})));

harmless('a feed of another type', () =>
  fails('invalid-input', [`'${input}'`, 'float32', 'int32'], () =>
    session.run({ [input]: new Tensor('int32', Int32Array.from(feeds[input].data), feeds[input].dims) })));

harmless('a feed of another shape', () =>
  fails('invalid-input', [`'${input}'`, '1, 3, 224, 223', '224'], () =>
    session.run({ [input]: new Tensor('float32', new Float32Array(3 * 224 * 223), [1, 3, 224, 223]) })));

harmless('a tensor whose data does not fill its dims', () =>
  fails('invalid-input', ['[2,2]', '3'], () => new Tensor('float32', [1, 2, 3], [2, 2])));

harmless('a strategy, a goal and a precision that are none', async () => {
  await fails('invalid-input', ["'quick'"], () => pool.runAll([{ session, feeds }], { strategy: 'quick' }));
  await fails('invalid-input', ["'fun'"], () => pool.predict([{ session, feeds }], { goal: 'fun' }));
  await fails('invalid-input', ['float8'], () => pool.load(model.url, { weights: 'float8' }));
});

harmless('a signal that has fired, before and while', async () => {
  await fails('aborted', [], () => session.run(feeds, { signal: AbortSignal.abort() }));
  const late = new AbortController();
  setTimeout(() => late.abort(), 1);
  await fails('aborted', [], () => session.run(feeds, { signal: late.signal }));
  await fails('aborted', [], () => pool.load(model.url, { signal: AbortSignal.abort() }));
});

for (const phase of ['download', 'decode', 'upload', 'compile']) {
  harmless(`a load aborted while in phase ${phase} leaves nothing behind`, async () => {
    const resnet = entry('resnet18');
    const abort = new AbortController();
    const onProgress = (p) => p.phase === phase && abort.abort();
    await fails('aborted', [], () => pool.load(resnet.url, { signal: abort.signal, onProgress }));
  });
}

harmless('one bad request of a set fails the set, and no other call', () =>
  fails('invalid-input', [`'${input}'`], () => pool.runAll([{ session, feeds }, { session, feeds: {} }])));

test('a released session and a closed pool refuse further calls', async () => {
  const other = await Pool.create({ lanes: ['gpu'], measure: 'now', records: 'none' });
  const gone = await other.load(model.url, { freeDimensions: { batch: 1 } });
  await fails('invalid-input', ['another pool'], () => pool.runAll([{ session: gone, feeds }]));
  await gone.release();
  await fails('closed', [], () => gone.run(feeds));
  const open = await other.load(model.url, { freeDimensions: { batch: 1 } });
  const flying = open.run(feeds).then(() => 'ok', (e) => e.kind);
  await other.close();
  assert(['ok', 'closed'].includes(await flying), `a call in flight ended with ${await flying}`);
  await fails('closed', [], () => open.run(feeds));
  await fails('closed', [], () => other.load(model.url));
  equal(distance((await session.run(feeds))[output].data, expected), 0, 'the other pool');
});

/** Runs `work` with a list that has every device that is made meanwhile: the package hands them to nobody. */
async function withDevices(work) {
  const { requestDevice } = GPUAdapter.prototype;
  const devices = [];
  GPUAdapter.prototype.requestDevice = async function (...given) {
    devices.push(await requestDevice.apply(this, given));
    return devices.at(-1);
  };
  try {
    return await work(devices);
  } finally {
    GPUAdapter.prototype.requestDevice = requestDevice;
  }
}

/** How often the device is lost under load. */
const LOSSES = 20;

test(`a device that is lost ${LOSSES} times under load loses no call, and no other pool notices`, async () => {
  await withDevices(async (devices) => {
    const other = await Pool.create({ lanes: ['gpu'], measure: 'asked', records: 'none' });
    const small = entry('face_rnet');
    const { session: doomed, feeds } = await load(other, small);
    const destroyed = new Set();
    for (let rounds = 0; destroyed.size < LOSSES; rounds++) {
      assert(rounds < 10 * LOSSES, `${destroyed.size} losses`);
      const flying = Array.from({ length: 6 }, () => doomed.run(feeds));
      // One that was destroyed is not lost again.
      const destroy = () => (destroyed.add(devices.at(-1)), devices.at(-1).destroy());
      const lost = new Promise((done) => setTimeout(() => done(destroy()), Math.random() * 30));
      for (const outputs of await Promise.all(flying)) {
        const off = relativeError(small, outputs);
        assert(off <= 1e-3, `relative error ${off} after ${destroyed.size} losses`);
      }
      await lost;
    }
    equal(doomed.lane, 'gpu', 'the lane, which is the only one that the pool may use');
    // The last loss may have come after the last answer.
    assert(relativeError(small, await doomed.run(feeds)) <= 1e-3, 'the call after the last loss');
    await other.close();
  });
  equal(distance((await session.run(feeds))[output].data, expected), 0, 'the other pool');
});

test('a device that is lost in the middle of loads loses none of them', () =>
  withDevices(async (devices) => {
    const other = await Pool.create({ lanes: ['gpu'], measure: 'asked', records: 'none' });
    const lanes = await loadedThroughLosses(other, entry('face_rnet'), () => devices.at(-1).destroy());
    equal([...new Set(Object.values(lanes))], ['gpu'], 'the lane, which is the only one that the pool may use');
    equal(other.memory().lanes[0].weights, 0, 'bytes of weights after every release');
    await other.close();
    return `${Object.keys(lanes).length} moments, ${devices.length} devices`;
  }));

test('loads go on on the processor where the pool may use it, and on its next worker where that is ended', async () => {
  const told = [];
  await withDevices(async (devices) => {
    const other = await Pool.create({ measure: 'asked', records: 'none', lanes: ['gpu', 'cpu'], onFallback: (f) => told.push(f) });
    await loadedThroughLosses(other, entry('face_rnet'), () => devices.at(-1).destroy(), [['upload', 0]]);
    // Where the next call runs may be the GPU again.
    equal([told.length, told[0]?.session, told[0]?.from, told[0]?.to], [1, 'face_rnet', 'gpu', 'cpu']);
    await other.close();
  });
  return withWorkers(async (workers) => {
    const other = await Pool.create({ measure: 'asked', records: 'none', lanes: ['cpu'], threads: 1 });
    const lanes = await loadedThroughLosses(other, entry('squeezenet1_1'), () => workers.forEach((worker) => worker.terminate()));
    equal([...new Set(Object.values(lanes))], ['cpu']);
    await other.close();
    return `${told[0].reason}; ${Object.keys(lanes).length} moments, ${workers.length} workers`;
  });
});

test('calls in flight on a device that is lost go to the processor where the pool may use it', () =>
  withDevices(async (devices) => {
    const told = [];
    const other = await Pool.create({ measure: 'asked', records: 'none', lanes: ['gpu', 'cpu'], onFallback: (f) => told.push(f) });
    const small = entry('face_rnet');
    const { session: doomed, feeds } = await load(other, small);
    equal(doomed.lane, 'gpu');
    const flying = Array.from({ length: 6 }, () => doomed.run(feeds));
    devices.at(-1).destroy();
    for (const outputs of await Promise.all(flying)) assert(relativeError(small, outputs) <= 1e-3, 'a call in flight');
    equal([doomed.lane, told.length, told[0]?.session, told[0]?.from, told[0]?.to], ['cpu', 1, 'face_rnet', 'gpu', 'cpu']);
    await other.close();
    return told[0].reason;
  }));
