// What a pool does about its machine: a hidden page and other work on the processor stand in the observations, and forecasts follow
// both within ten runs.

import { assert, test } from './harness.js';
import { entry, load } from './models.js';
import { Pool } from '../pkg/index.js';

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** How far the forecasts of some runs were from what they took. */
const off = (runs) => median(runs.map((r) => r.error));

/** How far they may be: twice as far as what the runs took is from its own median, and a fifth. */
function bound(runs) {
  const times = runs.map((r) => r.measuredMs);
  return 0.2 + 2 * median(times.map((ms) => Math.abs(ms / median(times) - 1)));
}

/** Tens of runs that a forecast may be wrong in: other tests come and go beside, and each is one more change to follow. */
const TENS = 10;

/** Runs until forecasts have followed: the ten in which they did, after the ten in which they may. */
async function followed(runs, what) {
  const seen = [...(await runs(10))];
  for (let ten = 1; ten <= TENS; ten++) {
    const now = await runs(10);
    seen.push(...now);
    if (off(now) < bound(now)) return { now, seen, ten };
  }
  throw new Error(`${what}, forecasts are ${off(seen.slice(-10))} off after ${seen.length} runs`);
}

const told = (all) => `forecasts ${all.map(({ now, ten }) => `${(off(now) * 100).toFixed(0)} % off after ${10 * ten} runs`).join(', ')}`;

/** Has the driver hide or show the page's window, and waits until that is so. */
async function visibility(wish) {
  const wanted = wish === 'hide' ? 'hidden' : 'visible';
  globalThis.driven.wish = wish;
  for (let tries = 0; document.visibilityState !== wanted; tries++) {
    assert(tries < 100, `the page is not ${wanted} after 10 s`);
    await sleep(100);
  }
}

/** A session that is warm, and what runs it so often: the observations of that. */
async function runner(options) {
  const pool = await Pool.create({ records: 'none', lanes: ['cpu'], ...options });
  const { session, feeds } = await load(pool, entry('squeezenet1_1'));
  // Not every run is one: what the browser tells may change in the middle of it.
  const runs = async (count) => {
    const before = pool.accuracy('cpu').observations;
    for (let i = 0; i < count; i++) await session.run(feeds);
    for (let tries = 0; tries < 10; tries++) {
      // A pool in a worker tells a moment later.
      await sleep(300);
      const { observations, history } = pool.accuracy('cpu');
      if (observations >= before + count) return history.slice(before - observations);
      for (let i = observations; i < before + count; i++) await session.run(feeds);
    }
    throw new Error(`${count} runs are no observations`);
  };
  await runs(20);
  return { pool, runs };
}

test('a hidden page computes by one thread, that stands in its observations, and forecasts follow', async () => {
  const { pool, runs } = await runner({ measure: 'asked' });
  try {
    const before = await runs(10);
    await visibility('hide');
    const then = await followed(runs, 'hidden');
    await visibility('show');
    await runs(1);
    const after = await followed(runs, 'seen again');
    assert(then.seen.every(({ hidden }) => hidden), 'a run of a hidden page is not told to be one');
    assert([...before, ...after.seen].every(({ hidden }) => !hidden), 'a run of a page that is seen is told to be hidden');
    const ms = (of) => median(of.map((r) => r.measuredMs)).toFixed(1);
    return `${ms(before)} ms seen, ${ms(then.now)} hidden, ${ms(after.now)} seen again; ${told([then, after])}`;
  } finally {
    await visibility('show');
    await pool.close();
  }
});

test('other work on the processor is seen in the observations, and forecasts follow when it comes and when it goes', async () => {
  const { pool, runs } = await runner({ measure: 'asked' });
  const url = URL.createObjectURL(new Blob(['for (;;);'], { type: 'text/javascript' }));
  let busy = [];
  try {
    const before = await runs(10);
    busy = Array.from({ length: navigator.hardwareConcurrency }, () => new Worker(url));
    await sleep(500);
    const loaded = await followed(runs, 'under the load');
    busy.forEach((worker) => worker.terminate());
    await sleep(500);
    const after = await followed(runs, 'after it');
    const ms = (of) => median(of.map((r) => r.measuredMs));
    const seen = median(loaded.now.map((r) => r.machine));
    return `${ms(before).toFixed(1)} ms, ${ms(loaded.now).toFixed(1)} beside the load (machine ${seen.toFixed(2)}x), ${ms(after.now).toFixed(1)} after it; ${told([loaded, after])}`;
  } finally {
    busy.forEach((worker) => worker.terminate());
    URL.revokeObjectURL(url);
    await pool.close();
  }
});
