// Where no Worker can be made: the processor answers in the page, and lets it breathe.

import { Pool } from '../pkg/index.js';
import { assert, equal, test } from './harness.js';
import { entry, load, relativeError } from './models.js';

/** Of the time in which models run no more than this share may be tasks that the browser calls long: a busy machine may hold up a few. */
const LONG_SHARE = 0.25;

/** Runs `work` where there is no Worker. */
async function withoutWorkers(work) {
  const { Worker } = globalThis;
  globalThis.Worker = undefined;
  try {
    return await work();
  } finally {
    globalThis.Worker = Worker;
  }
}

/** Runs `work` and lists tasks of the main thread that the browser calls long, where it tells. */
async function longTasks(work) {
  if (!PerformanceObserver.supportedEntryTypes.includes('longtask')) return (await work(), []);
  const seen = [];
  const observer = new PerformanceObserver((list) => seen.push(...list.getEntries()));
  observer.observe({ entryTypes: ['longtask'] });
  try {
    await work();
    await new Promise((done) => setTimeout(done, 50));
    seen.push(...observer.takeRecords());
  } finally {
    observer.disconnect();
  }
  return seen.map(({ duration }) => Math.round(duration));
}

test('here: without workers models run in the page, two at once, in slices', () =>
  withoutWorkers(async () => {
    const pool = await Pool.create({ lanes: ['cpu'], threads: 2, measure: 'asked' });
    // One of its steps alone takes longer than a slice.
    const names = ['file_type', 'resnet18', 'face_rnet'];
    const sessions = [];
    for (const name of names) sessions.push(await load(pool, entry(name)));
    const all = () => Promise.all(sessions.map(({ session, feeds }) => session.run(feeds)));
    await all();
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 1);
    const began = performance.now();
    const long = await longTasks(async () => {
      for (let round = 0; round < 5; round++) {
        for (const [i, outputs] of (await all()).entries()) {
          const error = relativeError(entry(names[i]), outputs);
          assert(error <= 1e-3, `${names[i]}: relative error ${error}`);
        }
      }
    });
    clearInterval(ticking);
    const all_ms = performance.now() - began;
    const long_ms = long.reduce((sum, ms) => sum + ms, 0);
    assert(long_ms <= LONG_SHARE * all_ms, `of ${Math.round(all_ms)} ms long tasks took ${long}`);
    assert(ticks > 10, `the page's timer came to its turn ${ticks} times only`);
    for (const { session } of sessions) await session.release();
    equal(pool.memory().lanes[0].weights, 0, 'bytes of weights after every release');
    await pool.close();
    return `${ticks} turns of the page's timer, long tasks [${long}]`;
  }));
