// The webnn lane, in a browser that has WebNN: every model that it takes against its golden and at other shapes, and what it does
// not take refused with its reason.

import { Pool, Tensor } from '../pkg/index.js';
import { PRODUCTS, bitsOf } from '../pkg/webnn/precision.js';
import { assert, equal, fails, test, withWorkers } from './harness.js';
import { loadedThroughLosses } from './losses.js';
import { casesOf, distance, entry, index, load, relativeError, varied } from './models.js';
import { agrees, cases } from './types.js';

const lanes = ['webnn'];
let shared;
let taken = 0;

for (const model of index) {
  test(`webnn: ${model.name} is within 1e-3 of its golden at every shape, or refused with its reason`, async () => {
    shared ??= await Pool.create({ lanes, records: 'none' });
    let session;
    try {
      ({ session } = await load(shared, model));
      equal(session.lanes, lanes);
      const cases = await casesOf(model);
      for (const { feeds, golden } of cases) {
        const error = relativeError({ golden }, await session.run(feeds));
        assert(error <= 1e-3, `relative error ${error}`);
      }
      taken++;
      return `${cases.length} shapes`;
    } catch (error) {
      assert(error.kind === 'unsupported', String(error));
      return `refused: ${error.message}`;
    } finally {
      await session?.release();
    }
  });
}

test('webnn: all 17 models are taken', async () => {
  assert(taken >= 17, `only ${taken}`);
  equal(shared.memory().lanes[0].weights, 0, 'bytes of weights after every release');
  return `${taken} of ${index.length}`;
});

test('webnn: every element type is right, or refused with its reason', async () => {
  const [refused, all] = [[], cases.map(({ name }) => name)];
  for (const one of cases) {
    await agrees(shared, one).catch((error) => {
      assert(error.kind === 'unsupported', `${one.name}: ${error.stack ?? error}`);
      refused.push(error.message);
      all.splice(all.indexOf(one.name), 1);
    });
  }
  for (const kind of ['a picture of uint8', 'float16', 'uint8', 'int8', 'int32']) assert(all.some((name) => name.startsWith(kind)), `${kind}: ${refused.join('; ')}`);
  return refused.join('; ');
});

test('webnn: what a call takes is forecast, from what every class of kernels was measured to reach', async () => {
  const pool = await Pool.create({ lanes, records: 'none', measure: 'asked' });
  try {
    const { session, feeds } = await load(pool, entry('face_rnet'));
    const [{ predictedMs }] = (await pool.predict([{ session, feeds }])).strategies;
    assert(predictedMs > 0 && predictedMs < 1000, `${predictedMs} ms`);
  } finally {
    await pool.close();
  }
});

/** Sessions called at once, other inputs each time: every answer is the one that the session gives alone. */
async function atOnce(sessions, rounds) {
  const inputs = Array.from({ length: 4 }, (_, seed) => sessions.map(({ feeds }) => varied(feeds, seed)));
  const alone = [];
  for (const each of inputs) {
    const outputs = [];
    for (const [i, { session }] of sessions.entries()) outputs.push(await session.run(each[i]));
    alone.push(outputs);
  }
  for (let round = 0; round < rounds; round++) {
    const at = round % inputs.length;
    const together = await Promise.all(sessions.map(({ session }, i) => session.run(inputs[at][i])));
    for (const [i, { session }] of sessions.entries()) {
      for (const name of session.outputNames) {
        equal(distance(together[i][name].data, alone[at][i][name].data), 0, `round ${round}, ${session.name}, ${name}`);
      }
    }
  }
}

test('webnn: five sessions called at once, 200 rounds, are all answered, each with its own', async () => {
  const sessions = [];
  for (const name of ['face_pnet', 'face_onet', 'ocr_cls', 'mobilenet_v2', 'voice_vad']) sessions.push(await load(shared, entry(name)));
  await atOnce(sessions, 200);
  for (const { session } of sessions) await session.release();
  await shared.close();
});

test('webnn: three lanes at once, 100 rounds, are all answered, each with its own', async () => {
  const pool = await Pool.create({ lanes: ['gpu', 'webnn', 'cpu'], threads: 1, measure: 'asked', records: 'none' });
  const sessions = [];
  for (const [name, lane] of [['face_rnet', 'gpu'], ['minilm_l6', 'webnn'], ['squeezenet1_1', 'cpu']]) {
    sessions.push(await load(pool, entry(name), { lanes: [lane] }));
  }
  equal(sessions.map(({ session }) => session.lane), ['gpu', 'webnn', 'cpu']);
  await atOnce(sessions, 100);
  await pool.close();
});

test('webnn: a model that is called again while it computes leaves the inputs of others alone', async () => {
  const pool = await Pool.create({ lanes, records: 'none', measure: 'asked' });
  const [long, short] = [await load(pool, entry('mobilenet_v2')), await load(pool, entry('ocr_cls'))];
  const requests = [
    { session: long.session, feeds: varied(long.feeds, 1) }, { session: long.session, feeds: varied(long.feeds, 2) },
    { session: short.session, feeds: varied(short.feeds, 3) },
  ];
  const alone = [];
  for (const { session, feeds } of requests) alone.push(await session.run(feeds));
  const same = async (outputs, way) => {
    for (const [i, { session: { outputNames } }] of requests.entries()) {
      for (const name of outputNames) {
        const off = distance(await outputs[i][name].getData(), alone[i][name].data);
        assert(off <= 1e-5, `request ${i} ${way}, ${name}: off by ${off}`);
        outputs[i][name].dispose();
      }
    }
  };
  await same(await pool.runAll(requests, { strategy: 'sequential' }), 'at once');
  // Of what stays nobody waits for the end.
  const stays = requests.map(({ session, feeds }) => session.run(feeds, { outputLocation: 'gpu' }));
  await same(await Promise.all(stays), 'with outputs that stay');
  await pool.close();
});

test('webnn: what stays on the lane is fed to the next model, and read when it is asked for', async () => {
  const pool = await Pool.create({ lanes, measure: 'asked', records: 'none' });
  const { session, feeds } = await load(pool, entry('gpt2_small_kv'));
  const [first] = session.outputNames;
  const want = (await session.run(feeds))[first];
  const kept = (await session.run(feeds, { outputLocation: 'gpu' }))[first];
  equal(kept.location, 'gpu');
  assert(pool.memory().tensors > 0, 'bytes of tensors that stay');
  equal(distance(await kept.getData(), want.data), 0, 'what was read back');
  kept.dispose();
  await pool.close();
});

test('webnn: shapes of no elements are answered, and nothing is told of them', async () => {
  const told = [];
  const pool = await Pool.create({ lanes: ['webnn', 'cpu'], measure: 'asked', records: 'none', onFallback: (fallback) => told.push(fallback) });
  const { session, feeds } = await load(pool, entry('face_onet'));
  equal([session.lane, session.lanes], ['webnn', ['webnn', 'cpu']]);
  const [[name, { type, dims }]] = Object.entries(feeds);
  for (let i = 0; i < 2; i++) {
    const nothing = await session.run({ [name]: new Tensor(type, [], [0, ...dims.slice(1)]) });
    for (const output of session.outputNames) equal([nothing[output].dims[0], nothing[output].size], [0, 0], output);
  }
  equal(told.length, 0, 'fallbacks');
  assert(relativeError(entry('face_onet'), await session.run(feeds)) <= 1e-3, 'the answer');
  equal(session.lane, 'webnn');
  await pool.close();
});

test('webnn: a pool in a worker of its own has it, too', async () => {
  const pool = await Pool.create({ lanes, worker: true, measure: 'asked', records: 'none' });
  const { session, feeds } = await load(pool, entry('ocr_cls'));
  for (let i = 0; i < 3; i++) assert(relativeError(entry('ocr_cls'), await session.run(feeds)) <= 1e-3, 'the answer');
  equal(session.lane, 'webnn');
  await pool.close();
});

test('webnn: other devices may be asked for, and what is none is refused', async () => {
  await fails('invalid-input', ["'tpu'"], () => Pool.create({ lanes, webnn: { deviceType: 'tpu' } }));
  const told = [];
  for (const deviceType of ['gpu', 'npu']) {
    try {
      const pool = await Pool.create({ lanes, measure: 'asked', records: 'none', webnn: { deviceType } });
      const { session, feeds } = await load(pool, entry('face_onet'));
      assert(relativeError(entry('face_onet'), await session.run(feeds)) <= 2e-2, deviceType);
      const [{ description, features }] = pool.capabilities.devices;
      told.push(`${description}: ${features.join(', ')}`);
      await pool.close();
    } catch (error) {
      assert(error.kind === 'unsupported', String(error.stack));
      told.push(error.message);
    }
  }
  return told.join('; ');
});

test('webnn: a context says in how many bits it computes', async () => {
  const pool = await Pool.create({ lanes, measure: 'asked', records: 'none' });
  const [{ features }] = pool.capabilities.devices;
  await pool.close();
  for (const name of Object.keys(PRODUCTS)) assert(features.some((feature) => new RegExp(`^${name}-(float32|\\d+-bits)$`).test(feature)), `${name}: ${features}`);
  const context = await navigator.ml.createContext({ deviceType: 'cpu' });
  const halves = (builder, x) => builder.cast(builder.cast(PRODUCTS.matmul(builder, builder.cast(builder.cast(x, 'float16'), 'float32')), 'float16'), 'float32');
  equal([await bitsOf(context, PRODUCTS.matmul), await bitsOf(context, PRODUCTS.conv), await bitsOf(context, halves)], [24, 24, 11], 'bits of a product, a convolution, and a product of halves');
  context.destroy();
  return features.join(', ');
});

test('webnn: a pool that nobody tells its lanes has it beside the processor, and a GPU that is one', async () => {
  const pool = await Pool.create({ records: 'none' });
  const { webgpu } = pool.capabilities;
  // A software adapter computes on the processor's cores.
  const weak = webgpu.available && !webgpu.isFallbackAdapter ? ['gpu'] : [];
  equal([...pool.capabilities.lanes].sort(), ['cpu', ...weak, 'webnn']);
  const { session, feeds } = await load(pool, entry('file_type'));
  for (let i = 0; i < 20; i++) assert(relativeError(entry('file_type'), await session.run(feeds)) <= 1e-3, `run ${i}`);
  const lane = session.lane;
  await pool.close();
  return `file_type on ${lane}`;
});

/** How often a context is destroyed, or its worker ended, under load. */
const ENDS = 20;

test(`webnn: a context that is lost ${ENDS} times under load loses no call`, () =>
  withWorkers(async (workers) => {
    const told = [];
    const pool = await Pool.create({ lanes, measure: 'asked', records: 'none', onFallback: (fallback) => told.push(fallback) });
    const [one, two] = [await load(pool, entry('face_onet')), await load(pool, entry('music_pitch'))];
    for (let end = 1; end <= ENDS; end++) {
      const flying = [one, two, one, two].map(({ session, feeds }) => session.run(feeds));
      const victim = workers.at(-1);
      setTimeout(() => (end % 2 ? victim.postMessage({ destroy: true }) : victim.terminate()), Math.random() * 60);
      for (const [i, outputs] of (await Promise.all(flying)).entries()) {
        const off = relativeError(entry(i % 2 ? 'music_pitch' : 'face_onet'), outputs);
        assert(off <= 1e-3, `relative error ${off} after ${end} ends`);
      }
    }
    await one.session.release();
    await two.session.release();
    equal([told.length, pool.memory().lanes[0].weights], [0, 0], 'fallbacks, and bytes of weights after every release');
    await pool.close();
    return `${workers.length} contexts`;
  }));

test('webnn: a context that is lost in the middle of loads loses none of them', async () => {
  const ends = [(worker) => worker.postMessage({ destroy: true }), (worker) => worker.terminate()];
  const told = [];
  for (const [i, end] of ends.entries()) {
    await withWorkers(async (workers) => {
      const pool = await Pool.create({ lanes, measure: 'asked', records: 'none' });
      const answered = await loadedThroughLosses(pool, entry(i ? 'music_pitch' : 'face_onet'), () => end(workers.at(-1)));
      equal([[...new Set(Object.values(answered))], pool.memory().lanes[0].weights], [lanes, 0], 'lanes, and bytes of weights after every release');
      told.push(`${Object.keys(answered).length} moments, ${workers.length} contexts`);
      await pool.close();
    });
  }
  return told.join('; ');
});

test('webnn: a load whose context is lost goes on on the processor where the pool may use it', () =>
  withWorkers(async (workers) => {
    const told = [];
    const pool = await Pool.create({ lanes: ['webnn', 'cpu'], threads: 1, measure: 'asked', records: 'none', onFallback: (fallback) => told.push(fallback) });
    const answered = await loadedThroughLosses(pool, entry('face_onet'), () => workers[0].postMessage({ destroy: true }), [['upload', 0]]);
    equal([Object.values(answered), told.length, told[0]?.session, told[0]?.from, told[0]?.to], [['cpu'], 1, 'face_onet', 'webnn', 'cpu']);
    await pool.close();
    return told[0].reason;
  }));

/** Workers of the lane whose contexts answer no more once `silence` was called. */
async function withSilent(work) {
  const { Worker } = globalThis;
  const channel = new BroadcastChannel('silence');
  const silence = () => new Promise((resolve) => {
    channel.onmessage = resolve;
    channel.postMessage('be silent');
  });
  globalThis.Worker = class extends Worker {
    constructor(url, options) {
      super(String(url).endsWith('/webnn/worker.js') ? new URL('./silent-worker.js', import.meta.url) : url, options);
    }
  };
  try {
    return await work(silence);
  } finally {
    globalThis.Worker = Worker;
    channel.close();
  }
}

test('webnn: a context that never answers is lost, and another lane answers its calls', () =>
  withSilent(async (silence) => {
    const told = [];
    const pool = await Pool.create({ lanes: ['webnn', 'cpu'], measure: 'asked', records: 'none', onFallback: (fallback) => told.push(fallback) });
    const [one, two] = [await load(pool, entry('face_onet')), await load(pool, entry('music_pitch'))];
    equal([one, two].map(({ session }) => session.lane), ['webnn', 'webnn']);
    await silence();
    const outputs = await Promise.all([one, two].map(({ session, feeds }) => session.run(feeds)));
    for (const [i, name] of ['face_onet', 'music_pitch'].entries()) assert(relativeError(entry(name), outputs[i]) <= 1e-3, name);
    // Where their next calls run may be a context that was opened since.
    for (const { from, to, reason } of told) equal([from, to, /has not answered 'Execute' for \d+ s/.test(reason)], ['webnn', 'cpu', true], reason);
    const answered = [one, two].map(({ session }) => session.answered.lane);
    equal(told.map((fallback) => fallback.session).sort(), ['face_onet', 'music_pitch'], `fallbacks, answered on ${answered}`);
    await pool.close();
    return told[0].reason;
  }));
