// Calls that are aborted while a processor is at work on them: it stops, and the next caller need not wait for its end.

import { Pool } from '../pkg/index.js';
import { assert, equal, fails, test } from './harness.js';
import { casesOf, entry, load, median, relativeError, varied } from './models.js';

const lanes = ['cpu'];
const LONG = 'whisper_tiny_encoder';
const SHORT = 'face_rnet';
/** Milliseconds after which a long call is aborted, and how often. */
const AFTER_MS = 50;
const ROUNDS = 3;

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

async function ms(work) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** A long and a short model in a pool of one processor, and what a call of the long one takes. */
async function opened(options) {
  const pool = await Pool.create({ lanes, measure: 'asked', explore: false, ...options });
  const [long, short] = [await load(pool, entry(LONG)), await load(pool, entry(SHORT))];
  const whole = [];
  for (let i = 0; i <= ROUNDS; i++) whole.push(await ms(() => long.session.run(long.feeds)));
  await short.session.run(short.feeds);
  return { pool, long, short, wholeMs: median(whole.slice(1)) };
}

/** Fails where `model` does not give its golden. */
async function right({ session, model, feeds }) {
  const error = relativeError(model, await session.run(feeds));
  assert(error <= 1e-3, `${session.name}: relative error ${error}`);
}

for (const [how, options] of [['one thread', { threads: 1 }], ['two threads', { threads: 2 }]]) {
  test(`stop: a call aborted on its way leaves the processor to the next, ${how}`, async () => {
    const { pool, long, short, wholeMs } = await opened(options);
    try {
      const until = [];
      for (let round = 0; round < ROUNDS; round++) {
        const abort = new AbortController();
        const aborted = fails('aborted', [], () => long.session.run(long.feeds, { signal: abort.signal }));
        await wait(AFTER_MS);
        abort.abort();
        until.push(await ms(() => right(short)));
        await aborted;
      }
      // What would be left of the long call, without what the short one takes.
      const left = wholeMs - AFTER_MS;
      const took = Math.min(...until);
      assert(took < left / 2, `the next was answered after ${until.map(Math.round)} ms of ${Math.round(left)} that were left`);
      await right(long);
      return `${took.toFixed(0)} ms, of ${left.toFixed(0)} that were left`;
    } finally {
      await pool.close();
    }
  });

  test(`stop: of calls at random moments aborted none is lost and all others are right, ${how}`, async () => {
    const { pool, long, short, wholeMs } = await opened(options);
    try {
      const cases = (await casesOf(short.model)).filter(({ golden }) => golden);
      let [aborted, answered] = [0, 0];
      for (let round = 0; round < 8; round++) {
        const signals = Array.from({ length: 3 }, () => new AbortController());
        const long1 = long.session.run(long.feeds, { signal: signals[0].signal });
        const long2 = long.session.run(varied(long.feeds, 1), { signal: signals[1].signal });
        const others = cases.map(({ feeds, golden }) => ({ golden, outputs: short.session.run(feeds) }));
        const gone = short.session.run(short.feeds, { signal: signals[2].signal });
        const ends = Promise.allSettled([long1, long2, gone]);
        // Of the two long ones each is aborted alone, both are, or the first while it runs.
        const chosen = [[0], [1, 2], [0, 1], [0, 1, 2]][round % 4];
        await wait((wholeMs * ((round * 7) % 12)) / 24);
        for (const i of chosen) signals[i].abort();
        for (const [i, { status, reason, value }] of (await ends).entries()) {
          if (status === 'rejected') equal([chosen.includes(i), reason.kind], [true, 'aborted'], `round ${round}, call ${i}: ${reason}`);
          if (status === 'rejected') aborted++;
          else answered++;
          if (status === 'fulfilled' && i === 0) assert(relativeError(long.model, value) <= 1e-3, `round ${round}: the long call is wrong`);
        }
        for (const { golden, outputs } of others) {
          const error = relativeError({ golden }, await outputs);
          assert(error <= 1e-3, `round ${round}: relative error ${error}`);
        }
      }
      assert(aborted > 0, 'none was aborted');
      await right(long);
      await right(short);
      return `${aborted} aborted, ${answered} of the others answered`;
    } finally {
      await pool.close();
    }
  });
}
