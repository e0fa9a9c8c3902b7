// What a pool remembers, out of it and into others, and how right it says it was; and a browser that keeps none of it.

import { Pool } from '../pkg/index.js';
import { comparisonsOf } from '../pkg/store.js';
import { assert, equal, fails, test, warnings } from './harness.js';
import { entry, load } from './models.js';

const opened = (options) => Pool.create({ lanes: ['cpu'], processors: 1, threads: 1, measure: 'now', records: 'none', ...options });
const documentOf = async (pool) => JSON.parse(await pool.records.export());
const observed = ({ lanes }) => lanes.reduce((sum, lane) => sum + lane.observations.length, 0);

test('records: comparisons are bounded, and thinned where they are old', async () => {
  const all = comparisonsOf();
  for (let i = 0; i < 2000; i++) {
    all.add('an adapter', i);
    const kept = all.of('an adapter');
    assert(kept.length <= 256 && kept[0] === 0 && kept.at(-1) === i, `${kept.length} kept, from ${kept[0]} to ${kept.at(-1)}`);
    const newest = kept.slice(-128);
    equal(newest, Array.from(newest, (_, n) => i - newest.length + 1 + n), 'the newest have no gap');
  }
  const kept = all.of('an adapter');
  assert(kept.every((one, n) => n === 0 || one > kept[n - 1]), 'their order');
  equal(all.of('another'), [], 'what was found of another');
});

let first;
/** A pool that ran some calls, and its records. */
function recorded() {
  first ??= (async () => {
    const pool = await opened();
    const { session, feeds } = await load(pool, entry('squeezenet1_1'));
    for (let i = 0; i < 30; i++) await session.run(feeds);
    const comparison = await pool.compare([{ session, feeds }, { session, feeds }], { repeats: 1 });
    return { pool, session, feeds, comparison, document: await documentOf(pool), parquet: await pool.records.export('parquet') };
  })();
  return first;
}

test('records: what executions took, what became of refits, and what comparisons found', async () => {
  const { pool, document, comparison } = await recorded();
  const [{ lane, observations, refits, comparisons, profile, recalled }] = document.lanes;
  equal([document.schema, lane, recalled, observations.length], [2, 'cpu', [], pool.accuracy('cpu').observations], 'the document');
  assert(observations.length > 20 && observations.every(({ bytes: [predicted, counted] }) => predicted > 0 && counted > 0), 'bytes, as forecast and as counted');
  assert(refits.length > 0 && refits.every(({ nowMs, errorBefore, errorAfter }) => nowMs > 0 && errorBefore > 0 && errorAfter > 0), JSON.stringify(refits));
  const { strategies, recommended, measuredBest, regret } = comparison;
  const plain = strategies.map(({ strategy, predictedMs, measuredMs }) => ({ strategy, predictedMs, measuredMs }));
  const [{ nowMs, ...found }] = comparisons;
  equal(found, { models: ['squeezenet1_1', 'squeezenet1_1'], strategies: plain, recommended, measuredBest, regret }, 'the comparison');
  assert(nowMs > 0 && nowMs < performance.now(), `when: ${nowMs}`);
  assert(Object.values(profile.shares).every((share) => share > 0), 'what was measured');
  return `${observations.length} observations, ${refits.length} refits`;
});

test('records: accuracy tells of late, by strategy and model, of the trend and of refits', async () => {
  const { pool, document } = await recorded();
  const { recent, by, trend, refits, history } = pool.accuracy('cpu');
  const observations = document.lanes[0].observations;
  const near = (a, b, what) => assert(a !== null && Math.abs(a - b) <= 1e-9 * Math.max(1, b), `${what}: ${a} is not ${b}`);
  const mean = (of) => of.reduce((sum, one) => sum + one, 0) / of.length;
  for (const last of [10, 20, 50]) {
    const own = observations.slice(-last);
    equal(recent[last].count, own.length, `the last ${last}`);
    near(recent[last].time, mean(own.map((o) => Math.abs(o.predictedMs / o.measuredMs - 1))), 'time');
    near(recent[last].throughput, mean(own.map((o) => Math.abs(o.measuredMs / o.predictedMs - 1))), 'throughput');
    near(recent[last].bytes, mean(own.map(({ bytes: [predicted, counted] }) => Math.abs(predicted / counted - 1))), 'bytes');
  }
  const counts = Object.values(by.strategies).map(({ count }) => count);
  equal(counts.reduce((a, b) => a + b), history.length, 'every observation has a strategy');
  for (const [strategy, { time }] of Object.entries(by.strategies)) near(time, mean(history.filter((o) => o.strategy === strategy).map(({ error }) => error)), strategy);
  equal(by.models.squeezenet1_1.count, history.length, 'every observation is of the model');
  if (history.length < 40) equal(trend, null, 'there are too few for a trend');
  else near(trend, mean(history.slice(-20).map(({ error }) => error)) / mean(history.slice(-40, -20).map(({ error }) => error)), 'the trend');
  const verdicts = document.lanes[0].refits.map(({ verdict }) => verdict);
  const count = (verdict) => verdicts.filter((own) => own === verdict).length;
  equal(refits, { accepted: count('accepted'), refused: count('refused'), rolledBack: count('rolledBack') }, 'refits');
});

test('records: JSON and Parquet bring all of it into another pool, which learns from it once', async () => {
  const { pool, document, parquet } = await recorded();
  const text = JSON.stringify(document);
  const count = observed(document);
  const own = await pool.records.import(text);
  equal([own.taken, own.refused, own.lanes[0].reason], [0, count, `${count} were known`], 'its own');
  const second = await opened();
  const predicted = async () => {
    const { session, feeds } = await load(second, entry('squeezenet1_1'));
    return (await second.predict([{ session, feeds }])).strategies[0].predictedMs;
  };
  const before = await predicted();
  const came = await second.records.import(parquet);
  equal([came.taken, came.refused, came.lanes.map(({ lane, reason }) => [lane, reason])], [count, 0, [['cpu', null]]], 'by Parquet');
  const after = await predicted();
  assert(after !== before, `it forecasts ${after} ms as it did before`);
  equal(second.accuracy('cpu').observations, 0, 'observations of its own');
  equal((await second.records.import(text)).taken, 0, 'by JSON, again');
  const { imported, ...rest } = document;
  equal([imported, (await documentOf(second)).imported], [[], [rest]], 'what came by Parquet, to the last digit');
  // On from there.
  const third = await opened();
  const { taken } = await third.records.import(await second.records.export('parquet'));
  equal([taken, (await documentOf(third)).imported.find((of) => of.pool === document.pool)], [count, rest], 'at third hand');
  await second.close();
  await third.close();
});

test('records: what is of another machine is kept and not learned from; the first schema is known, a newer one is not', async () => {
  const { document } = await recorded();
  const count = observed(document);
  const [lane] = document.lanes;
  const foreign = [
    [{ ...document, fingerprint: 'of another machine' }, 'another machine or browser measured them'],
    [{ ...document, lanes: [{ ...lane, fingerprint: 'another device' }] }, 'this pool has no such lane'],
    [{ ...document, lanes: [{ ...lane, classes: ['conv'] }] }, 'they are of a release with other kernels'],
    [{ ...document, lanes: [{ ...lane, rates: { ...lane.rates, flopsPerS: lane.rates.flopsPerS * 50 } }] }, 'the lane is not as fast, or as slow, as it was there'],
  ];
  const pool = await opened();
  for (const [i, [other, why]] of foreign.entries()) {
    const { taken, refused, lanes } = await pool.records.import(JSON.stringify({ ...other, pool: `pool ${i}` }));
    equal([taken, refused, lanes[0].reason], [0, count, why], 'what became of it');
  }
  equal((await documentOf(pool)).imported.map((of) => of.pool), foreign.map((_, i) => `pool ${i}`), 'all are kept');
  const { fingerprint, timeOrigin } = document;
  const old = ({ bytes, ...observation }) => observation;
  const one = { schema: 1, fingerprint, timeOrigin, lanes: [{ lane: 'cpu', fingerprint: lane.fingerprint, rates: lane.rates, classes: lane.classes, observations: lane.observations.map(old) }] };
  equal((await pool.records.import(JSON.stringify(one))).taken, count, 'of the first schema');
  const kept = await pool.records.export();
  const { rates, ...unrated } = lane;
  const odd = (change) => JSON.stringify({ ...document, pool: 'odd', lanes: [lane, { ...lane, observations: [{ ...lane.observations[0], ...change }] }] });
  for (const [data, parts] of [
    ['{', ['no records in JSON']],
    ['[]', ['no lanes']],
    [JSON.stringify({ lanes: [] }), ['schema undefined']],
    [JSON.stringify({ ...document, schema: 3 }), ['schema 3', 'knows 2']],
    [JSON.stringify({ ...document, lanes: [unrated] }), ['says not what it is']],
    [JSON.stringify({ ...document, lanes: [{ ...lane, rates: { flopsPerS: 'many' } }] }), ['the records']],
    [odd({ measuredMs: null }), ['number 0', "lane 'cpu'", 'has no times']],
    [odd({ terms: { ...lane.observations[0].terms, waitMs: 'long' } }), ['the records']],
    [new Uint8Array(100), ['no records in Parquet']],
    [new Uint8Array(0), ['no records in Parquet']],
    [7, ['JSON text or']],
  ]) await fails('invalid-input', parts, () => pool.records.import(data));
  await fails('invalid-input', ["'csv'"], () => pool.records.export('csv'));
  equal(await pool.records.export(), kept, 'nothing changed');
  await pool.close();
});

/** Runs a pool that keeps what it measures: what the console warned of. */
async function warned(work = async () => {}) {
  const before = warnings.length;
  const said = () => warnings.slice(before).filter((words) => words.startsWith('consort: '));
  for (let i = 0; i < 2; i++) {
    const pool = await opened({ records: 'indexeddb' });
    const { session, feeds } = await load(pool, entry('squeezenet1_1'));
    for (let run = 0; run < 10; run++) await session.run(feeds);
    assert(pool.accuracy('cpu').observations > 0, 'it learns in memory');
    await work(pool);
    await pool.close();
  }
  // What is kept is kept beside what the page does next.
  for (let i = 0; i < 100 && !said().length; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  return said();
}

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
const cleared = () => done(indexedDB.deleteDatabase('consort'));
/** The database as `version`, with its store, open. */
async function database(version) {
  const opening = indexedDB.open('consort', version);
  opening.onupgradeneeded = () => opening.result.createObjectStore('adapters');
  return done(opening);
}
const one = (said, words) => assert(said.length === 1 && said[0].includes(words) && said[0].includes('in memory'), `said: ${said.join('; ')}`);

test('records: a store that another page blocks has an end, and what the first release kept is gone on from', async () => {
  const { document } = await recorded();
  const { fingerprint, rates, observations, profile } = document.lanes[0];
  await cleared();
  const before = await database(1);
  const store = before.transaction('adapters', 'readwrite').objectStore('adapters');
  const { kernels, tuning, shares } = profile;
  const bare = observations.map(({ bytes, ...old }) => old);
  await done(store.put({ kernels, tuning, shares, learned: { rates, observations: bare } }, fingerprint));
  one(await warned(), 'nothing answers');
  before.close();
  // The upgrade that waited for that is done first.
  (await database()).close();
  const pool = await opened({ records: 'indexeddb' });
  equal((await documentOf(pool)).lanes[0].recalled.length, observations.length, 'observations of the first release');
  await pool.close();
});

test('records: a value that cannot be read is measured again', async () => {
  const { document } = await recorded();
  const { fingerprint } = document.lanes[0];
  await cleared();
  const opening = await database(2);
  await done(opening.transaction('adapters', 'readwrite').objectStore('adapters').put({ kernels: 5, tuning: 'none' }, fingerprint));
  opening.close();
  const again = await warned();
  // Another suite's page may have been told before.
  equal(again.filter((words) => !words.includes('cannot be read')), [], 'said of anything else');
  one(warnings.filter((words) => words.includes('cannot be read')), 'cannot be read');
});

test('records: refits and comparisons of one pool are told by the next', async () => {
  await cleared();
  const told = [];
  equal(await warned(async (pool) => {
    const { session, feeds } = await load(pool, entry('squeezenet1_1'));
    for (let run = 0; run < 20; run++) await session.run(feeds);
    await pool.compare([{ session, feeds }], { repeats: 1 });
    told.push((await documentOf(pool)).lanes[0]);
  }), [], 'said of a store that works');
  const [before, after] = told;
  equal([after.recalledRefits.length, after.recalledComparisons.length], [before.refits.length, 1], 'what the second was left');
  const [{ nowMs, ...found }] = after.recalledComparisons;
  const [{ nowMs: then, ...was }] = before.comparisons;
  equal(found, was, 'the comparison');
  // Both clocks are this page's, but for what Date and performance differ by.
  assert(Math.abs(nowMs - then) < 1000, `${nowMs} instead of ${then}`);
});

test('records: a database of a newer release is left alone', async () => {
  await cleared();
  (await database(7)).close();
  one(await warned(), 'newer release');
  const still = await done(indexedDB.open('consort'));
  equal(still.version, 7, 'its version');
  still.close();
  await cleared();
});

test('records: where there is no room pools go on', async () => {
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = function full(...given) {
    const request = put.apply(this, given);
    Object.defineProperty(this.transaction, 'error', { value: new DOMException('the disk is full', 'QuotaExceededError') });
    this.transaction.abort();
    return request;
  };
  try {
    one(await warned(), 'no room');
  } finally {
    IDBObjectStore.prototype.put = put;
  }
});

test('records: where the browser keeps nothing, as in a private window, pools go on', async () => {
  const own = Object.getOwnPropertyDescriptor(globalThis, 'indexedDB');
  Object.defineProperty(globalThis, 'indexedDB', {
    configurable: true,
    get() {
      throw new DOMException('access is denied', 'SecurityError');
    },
  });
  try {
    one(await warned(), 'private window');
  } finally {
    if (own) Object.defineProperty(globalThis, 'indexedDB', own);
    else delete globalThis.indexedDB;
  }
  const { pool } = await recorded();
  await pool.close();
});
