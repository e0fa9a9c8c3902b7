// Calls that wait for one lane: the urgent first, nobody kept waiting by who calls often, deadlines told at once, and no more than may.

import { Pool } from '../pkg/index.js';
import { assert, equal, fails, test } from './harness.js';
import { distance, entry, load } from './models.js';

const options = { lanes: ['cpu'], processors: 1, records: 'none', measure: 'asked' };

/** A pool with a session that is warm, its feeds and what it gives. */
async function opened(more = {}) {
  const pool = await Pool.create({ ...options, ...more });
  const { session, feeds } = await load(pool, entry('squeezenet1_1'));
  const alone = await session.run(feeds);
  const right = (outputs) => equal(distance(outputs[session.outputNames[0]].data, alone[session.outputNames[0]].data), 0);
  return { pool, session, feeds, right };
}

test('of calls that wait the urgent are answered first', async () => {
  const { pool, session, feeds, right } = await opened();
  const order = [];
  const call = async (priority, name = priority) => {
    right(await session.run(feeds, { priority }));
    order.push(name);
  };
  // While the first runs the others come.
  const first = call('user-blocking', 'first');
  await Promise.all([first, call('background'), call(undefined, 'none'), call('user-visible'), call('user-blocking')]);
  equal(order, ['first', 'user-blocking', 'none', 'user-visible', 'background']);
  await fails('invalid-input', ['urgent'], () => session.run(feeds, { priority: 'urgent' }));
  await pool.close();
});

test('who calls once is not kept waiting by who calls often', async () => {
  const { pool, session, feeds } = await opened();
  const other = (await load(pool, entry('squeezenet1_1'))).session;
  await other.run(feeds);
  const order = [];
  // Of a strategy each is an execution of its own.
  const call = async (session, who) => {
    await pool.runAll([{ session, feeds }], { strategy: 'sequential' });
    order.push(who);
  };
  await Promise.all([...Array.from({ length: 12 }, () => call(session, 'often')), call(other, 'once')]);
  assert(order.indexOf('once') <= 2, `answered in the order ${order}`);
  await pool.close();
});

test('a call that cannot be in time is told so at once, and one that can is answered', async () => {
  const { pool, session, feeds, right } = await opened();
  const { executions } = pool.traffic();
  const since = performance.now();
  await fails('deadline', ["'squeezenet1_1'", 'in time'], () => session.run(feeds, { deadlineMs: 0.01 }));
  const told = performance.now() - since;
  right(await session.run(feeds, { deadlineMs: 60_000 }));
  const took = performance.now() - since - told;
  equal(pool.traffic().executions - executions, 1, 'executions');
  assert(told < took, `it took ${told} ms to say so, a run ${took} ms`);
  await fails('invalid-input', ['deadline'], () => session.run(feeds, { deadlineMs: NaN }));
  await pool.close();
});

test('no more calls wait than may, and the queue shows them', async () => {
  const { pool, session, feeds, right } = await opened({ maxPending: 3 });
  const calls = Promise.allSettled(Array.from({ length: 5 }, () => session.run(feeds)));
  const { pending, calls: seen } = await pool.queue();
  const results = await calls;
  equal(results.map(({ reason }) => reason?.kind), [undefined, undefined, undefined, 'busy', 'busy']);
  results.slice(0, 3).forEach(({ value }) => right(value));
  equal(pending, 3);
  assert(seen.every((call) => call.sessions[0] === 'squeezenet1_1' && call.lane === 'cpu' && call.predictedMs > 0), seen);
  equal(await pool.queue(), { pending: 0, calls: [] });
  right(await session.run(feeds));
  await pool.close();
});
