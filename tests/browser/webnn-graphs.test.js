// What the webnn lane builds: it does not keep more than a session needs, and nobody waits for another's.

import { Pool, Tensor } from '../pkg/index.js';
import { Context } from '../pkg/webnn/context.js';
import { assert, equal, fails, test } from './harness.js';
import { distance, entry, load } from './models.js';

/** Forms for which a session keeps its programs, and so many that it is called with. */
const [KEPT, FORMS] = [16, 40];

/** Runs `work` with workers of the lane that count their graphs: how many live, lived at most, and could not be built. */
async function counted(work, query = '') {
  const { Worker } = globalThis;
  const counts = { most: 0, now: 0, failed: 0 };
  const channel = new BroadcastChannel('graphs');
  let holding = () => {};
  counts.hold = (held) => new Promise((resolve) => {
    holding = resolve;
    channel.postMessage({ held });
  });
  channel.onmessage = ({ data: { now, failed, holds } }) => {
    Object.assign(counts, { now, failed, most: Math.max(counts.most, now) });
    if (holds !== undefined) holding();
  };
  globalThis.Worker = class extends Worker {
    constructor(url, options) {
      super(String(url).endsWith('/webnn/worker.js') ? new URL(`./counting-worker.js${query}`, import.meta.url) : url, options);
    }
  };
  try {
    return await work(counts);
  } finally {
    globalThis.Worker = Worker;
    channel.close();
  }
}

test(`webnn graphs: ${FORMS} shapes of one model, and no more than ${KEPT} graphs`, () =>
  counted(async (counts) => {
    const pools = [];
    for (const lane of ['webnn', 'cpu']) pools.push(await Pool.create({ lanes: [lane], threads: 1, measure: 'asked', records: 'none' }));
    const [ours, theirs] = await Promise.all(pools.map((pool) => load(pool, entry('face_pnet'))));
    const [[name, { type, dims }]] = Object.entries(ours.feeds);
    const feeds = (form) => {
      const shape = [1, 20 + form, 24, dims[3]];
      return { [name]: new Tensor(type, Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * (form + 1))), shape) };
    };
    for (let round = 0; round < 2; round++) {
      for (let form = 0; form < FORMS; form++) {
        const [have, want] = await Promise.all([ours, theirs].map(({ session }) => session.run(feeds(form))));
        for (const output of ours.session.outputNames) {
          const off = distance(have[output].data, want[output].data);
          assert(off <= 1e-4, `form ${form}, round ${round}, ${output}: ${off} off`);
        }
      }
    }
    // One is made before another goes.
    assert(counts.most > KEPT / 2 && counts.most <= KEPT + 2, `${counts.most} graphs lived at one time`);
    const { most } = counts;
    await ours.session.release();
    // What is let go of is told after the next answer.
    for (let i = 0; i < 100 && counts.now > 0; i++) await new Promise((next) => setTimeout(next, 20));
    equal(counts.now, 0, 'graphs after the release');
    for (const pool of pools) await pool.close();
    return `${most} at most`;
  }));

test('webnn graphs: one that cannot be built is told once, and its shapes run elsewhere from then on', () =>
  counted(async (counts) => {
    const told = [];
    const pool = await Pool.create({ lanes: ['webnn', 'cpu'], threads: 1, measure: 'asked', records: 'none', onFallback: (fallback) => told.push(fallback) });
    const judge = await Pool.create({ lanes: ['cpu'], threads: 1, measure: 'asked', records: 'none' });
    const [ours, theirs] = await Promise.all([pool, judge].map((one) => load(one, entry('face_pnet'))));
    const [[name, { type, dims }]] = Object.entries(ours.feeds);
    // The rows of its output are 10, and 7, which is none of the graphs.
    for (const rows of [30, 24, 30, 24, 24, 30]) {
      const shape = [1, rows, 40, dims[3]];
      const feeds = { [name]: new Tensor(type, Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i)), shape) };
      const [have, want] = await Promise.all([ours, theirs].map(({ session }) => session.run(feeds)));
      for (const output of ours.session.outputNames) assert(distance(have[output].data, want[output].data) <= 1e-4, `${rows} rows, ${output}`);
    }
    equal([told.length, counts.failed, ours.session.lane], [1, 1, 'webnn'], 'times told, builds that failed, and the lane');
    await pool.close();
    await judge.close();
    return told[0].reason;
  }, '?fail=7'));

/** Sentences of so many words. */
const sentence = (words) => {
  const of = (value) => new Tensor('int64', BigInt64Array.from({ length: words }, (_, i) => BigInt(value(i))), [1, words]);
  return { input_ids: of((i) => 1000 + 7 * i), attention_mask: of(() => 1), token_type_ids: of(() => 0) };
};

test('webnn graphs: nobody waits for a build that another lane answers before, and what comes again is back once it is built', () =>
  counted(async (counts) => {
    const told = [];
    const pools = [];
    for (const lanes of [['webnn', 'cpu'], ['cpu']]) pools.push(await Pool.create({ lanes, measure: 'asked', records: 'none', onFallback: (fallback) => told.push(fallback) }));
    const [ours, theirs] = await Promise.all(pools.map((pool) => pool.load(entry('minilm_l6').url)));
    equal([ours.lane, ours.answered], ['webnn', null]);
    const times = [[], []];
    const call = async (words) => {
      const outputs = [];
      for (const [i, session] of [ours, theirs].entries()) {
        const began = performance.now();
        outputs.push(await session.run(sentence(words)));
        times[i].push(performance.now() - began);
      }
      for (const name of ours.outputNames) {
        const off = distance(outputs[0][name].data, outputs[1][name].data);
        assert(off <= 1e-3, `${words} words, ${name}: ${off} off`);
      }
      return ours.answered;
    };
    // Every build waits until this is over: a call that waited for one would not end.
    await counts.hold(true);
    const built = counts.now;
    for (let words = 20; words < 30; words++) equal(await call(words), { lane: 'cpu', precision: 'f32' }, `${words} words`);
    equal([counts.now, ours.lane], [built, 'webnn'], 'graphs that were built, and where it lives');
    await counts.hold(false);
    const [first, ...rest] = times[0];
    const [, ...alone] = times[1];
    let calls = 0;
    while ((await call(29)).lane !== 'webnn') assert(++calls < 1000, 'these shapes never came back');
    equal([ours.lane, told.length], ['webnn', 0], 'its lane, and fallbacks');
    for (const pool of pools) await pool.close();
    // The first call waited for the weights.
    const most = (each) => `${Math.max(...each).toFixed()} ms`;
    return `${most([first])}, then ${most(rest)} at most, ${most(alone)} on the processor alone; back after ${calls} calls more`;
  }));

test('webnn graphs: a session of float32 is not for a context of fewer bits', () =>
  counted(async () => {
    const pool = await Pool.create({ lanes: ['webnn', 'cpu'], measure: 'asked', records: 'none', explore: false });
    const { features } = pool.capabilities.devices[0];
    assert(features.includes('matmul-11-bits') && features.includes('conv-float32'), String(features));
    const { session: any, feeds } = await load(pool, entry('file_type'));
    const exact = await pool.load(entry('file_type').url, { precision: 'f32' });
    equal([any.lanes, any.precisions], [['webnn', 'cpu'], { cpu: 'f32', webnn: 'f16' }]);
    equal([exact.lanes, exact.precisions], [['cpu'], { cpu: 'f32' }]);
    assert(exact.refusals.webnn.includes('11 bits'), exact.refusals.webnn);
    for (const session of [any, exact]) await session.run(feeds);
    equal([any.answered, exact.answered], [{ lane: 'webnn', precision: 'f16' }, { lane: 'cpu', precision: 'f32' }]);
    await fails('invalid-input', ["'f32'"], () => pool.load(entry('file_type').url, { precision: 'f32', products: 'float16' }));
    await fails('unsupported', ['11 bits'], () => pool.load(entry('file_type').url, { precision: 'f32', lanes: ['webnn'] }));
    await pool.close();
    return exact.refusals.webnn;
  }, '?halves'));

/** The order of a sum, as a program of that number. */
function sum(program, size) {
  const ty = { dtype: 'float32', shape: [size] };
  const tensors = [{ name: 'x', ty, source: { Input: 0 } }, { name: 'y', ty, source: 'Node' }];
  const nodes = [{ name: 'sum', domain: '', op_type: 'Add', attributes: {} }];
  const special = { tensors, inputs: [0], outputs: [1], nodes: [{ node: 0, inputs: [0, 0], outputs: [1] }] };
  return { Prepare: { program, holder: program, order: { opset: { '': 17 }, nodes, special } } };
}

test('webnn graphs: calls are answered while another graph is being built, and what is forgotten meanwhile is let go of', async () => {
  const context = await Context.open('cpu');
  const { build } = MLGraphBuilder.prototype;
  const run = () => context.ask({ Execute: { runs: [{ program: 1, inputs: [{ Part: [4] }], kept: [null] }] } }, [[0, new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer)]]);
  let goOn;
  let destroyed = false;
  try {
    const first = await (await context.ask(sum(1, 4), [])).later;
    assert(first[0].Prepared, JSON.stringify(first[0]));
    MLGraphBuilder.prototype.build = async function (outputs) {
      await new Promise((resolve) => (goOn = resolve));
      const graph = await build.call(this, outputs);
      Object.defineProperty(graph, 'destroy', { value: () => (destroyed = true) });
      return graph;
    };
    const { later } = await context.ask(sum(2, 8), []);
    const [answer, [[, bytes]]] = await run();
    assert(answer.Executed, JSON.stringify(answer));
    equal([...new Float32Array(bytes.buffer)], [2, 4, 6, 8]);
    await context.ask({ Forget: { programs: [2], tensors: [] } }, []);
    assert(!destroyed, 'it is not there yet');
    goOn();
    await later;
    assert(destroyed, 'nobody wants it');
  } finally {
    MLGraphBuilder.prototype.build = build;
    context.close();
  }
});

test('webnn graphs: one that takes too long is refused, and let go of when it comes', async () => {
  const context = await Context.open('cpu');
  const { build } = MLGraphBuilder.prototype;
  const { setTimeout } = globalThis;
  let goOn;
  const gone = new Promise((resolve) => {
    MLGraphBuilder.prototype.build = async function (outputs) {
      await new Promise((next) => (goOn = next));
      const graph = await build.call(this, outputs);
      return Object.defineProperty(graph, 'destroy', { value: resolve });
    };
  });
  try {
    // What is long is over at once.
    globalThis.setTimeout = (what, ms, ...more) => setTimeout(what, ms >= 1000 ? 0 : ms, ...more);
    const [{ Failed: failed }] = await (await context.ask(sum(1, 4), [])).later;
    equal(failed?.kind, 'unsupported');
    goOn();
    await gone;
    return failed.message;
  } finally {
    globalThis.setTimeout = setTimeout;
    MLGraphBuilder.prototype.build = build;
    context.close();
  }
});
