// Programs that are over sooner than a message has gone to a worker and back: they run in the page, as long as that is right.

import { Pool } from '../pkg/index.js';
import { Short } from '../pkg/cpu/short.js';
import { assert, equal, test, withWorkers } from './harness.js';
import { written } from './onnx-write.js';

const [BRINGS, RUNS, FREES] = [1, 2, 3];
const SIZE = 32;

/** One small product. */
function product() {
  const data = Float32Array.from({ length: SIZE * SIZE }, (_, i) => (i % 7) - 3);
  const x = { type: 'float32', dims: [1, SIZE], data: new Float32Array(SIZE).fill(1) };
  const model = written({
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
    inputs: { x },
    constants: { w: { type: 'float32', dims: [SIZE, SIZE], data } },
    outputs: { y: 'float32' },
  });
  const sums = Array.from({ length: SIZE }, (_, column) => data.reduce((sum, w, i) => sum + (i % SIZE === column ? w : 0), 0));
  return { model, feeds: { x }, sums };
}

test('short: a program that is over sooner than a message comes and goes runs in the page, and frees it when it is released', () => {
  const posted = [];
  const count = (worker) => {
    const { postMessage } = worker;
    worker.postMessage = (...given) => (posted.push(given[0]), postMessage.apply(worker, given));
  };
  return withWorkers(async () => {
    const pool = await Pool.create({ lanes: ['cpu'], threads: 2, measure: 'asked', records: 'none' });
    const { model, feeds, sums } = product();
    const session = await pool.load(model);
    const weights = pool.memory().lanes[0].weights;
    let [calls, before] = [0, 0];
    // It is here once a call posts nothing.
    for (; calls === 0 || posted.length > before; calls++) {
      assert(calls < 20_000, 'no call stays in the page');
      before = posted.length;
      const { y } = await session.run(feeds);
      equal([...y.data], sums, `the answer of call ${calls}`);
    }
    const other = await session.run({ x: { ...feeds.x, data: new Float32Array(SIZE).fill(2) } });
    equal([...other.y.data], sums.map((sum) => 2 * sum), 'an answer to other elements');
    assert(pool.memory().lanes[0].weights > weights, 'that it is held twice is said');
    // Whoever only ever awaits such calls leaves others their turn.
    let turns = 0;
    const ticking = setInterval(() => turns++, 1);
    for (const end = performance.now() + 500; performance.now() < end; ) await session.run(feeds);
    clearInterval(ticking);
    assert(turns > 10, `the page had ${turns} turns`);
    await session.release();
    equal(pool.memory().lanes[0].weights, 0, 'bytes of weights after the release');
    await pool.close();
    return `after ${calls} calls`;
  }, count);
});

/** What answers as a processor does: to requests of one byte with that byte; `run` is told each. */
function fake(run) {
  const asked = [];
  const ask = (head, parts) => {
    asked.push(head[0]);
    return head[0] === RUNS ? { head, parts: run(asked.length) } : { head, parts: [] };
  };
  return { asked, ask };
}

const head = (about) => Uint8Array.of(about);
const answer = (value) => [[0, Uint8Array.of(value)]];

/** Has a program that takes so long by way of a worker asked for, again and again, until nothing changes: whether it is here. */
async function asked(short, number, { way_ms = 0.4, calls = 40, value = 1 } = {}) {
  for (let call = 0; call < calls; call++) {
    if (short.hear(RUNS, number, head(RUNS), [])) return true;
    await short.took(RUNS, number, way_ms, answer(value), short.sample(RUNS, number, head(RUNS), []));
  }
  return false;
}

const spend = (ms) => {
  for (const end = performance.now() + ms; performance.now() < end; );
};

test('short: only what gives the same results, and soon, runs here', async () => {
  let processor;
  const opened = (run) => {
    processor = fake(run);
    const short = new Short(async () => processor);
    short.hear(BRINGS, 7, head(BRINGS), []);
    return short;
  };
  equal(await asked(opened(() => answer(1)), 7), true, 'one as it should be');
  equal(processor.asked.slice(0, 2), [BRINGS, RUNS], 'it is brought, then run');
  equal(await asked(opened(() => answer(2)), 7), false, 'one whose results differ');
  equal(processor.asked.length, 2, 'it is not tried again');
  equal(await asked(opened(() => []), 7), false, 'one that fails here');
  equal(await asked(opened(() => (spend(3), answer(1))), 7), false, 'one that takes long here');
  equal(await asked(opened(() => answer(1)), 7, { way_ms: 5, calls: 200 }), false, 'one that takes long anywhere');
  equal(processor.asked, [], 'it is not brought');
  equal(await asked(opened(() => answer(1)), 8), false, 'one that nobody brought');
  const long = opened(() => answer(1));
  long.hear(BRINGS, 7, new Uint8Array(3 << 20), []);
  equal([await asked(long, 7), long.bytes], [false, 0], 'one of many bytes');
  const ends = opened(() => {
    throw new Error('it ended');
  });
  equal([await asked(ends, 7), ends.bytes], [false, 0], 'where the processor ends');
});

test('short: what ended, became slow or was freed is left to the worker', async () => {
  let slow = false;
  let ends = false;
  const run = () => {
    if (ends) throw new Error('it ended');
    if (slow) spend(1);
    return answer(1);
  };
  const processor = fake(run);
  const short = new Short(async () => processor);
  const here = async (number) => {
    short.hear(BRINGS, number, head(BRINGS), []);
    assert(await asked(short, number), 'it came');
    return () => short.hear(RUNS, number, head(RUNS), []) !== undefined;
  };
  const first = await here(1);
  slow = true;
  let calls = 0;
  while (first()) assert(++calls < 1000, 'it stays although it is slow');
  assert(calls > 8, 'one slow call alone sends it away');
  slow = false;
  const second = await here(2);
  assert(short.bytes > 0, 'bytes');
  short.hear(FREES, 2, head(FREES), []);
  equal([second(), processor.asked.at(-1)], [false, FREES], 'one that was freed, and that the processor hears of it');
  const third = await here(3);
  ends = true;
  equal([third(), third(), short.bytes], [false, false, 0], 'where the processor ended');
});

test('short: after some of it the page has a turn', async () => {
  const short = new Short(async () => fake(() => (spend(0.1), answer(1))));
  short.hear(BRINGS, 1, head(BRINGS), []);
  assert(await asked(short, 1), 'it came');
  let turn = false;
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => (turn = true);
  port2.postMessage(null);
  let calls = 0;
  for (; !turn; calls++) {
    assert(calls < 1000, 'the page has no turn');
    await short.hear(RUNS, 1, head(RUNS), []);
  }
  port1.close();
  return `after ${calls} calls`;
});
