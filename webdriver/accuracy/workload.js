// The workload of one lane: each model alone at several shapes, pairs, triples, quadruples, many callers of one model and what may be
// fewer calls, in a random order and by every strategy that the pool predicts for it, again and again until the time is over; then with
// other work on the machine. What it took is in the pool's records.

import { Pool } from '../pkg/index.js';
import { catalogue, feedsOf, load, relativeError } from '../work.js';
import { mixes } from './mixes.js';

/** The models that are made for the workload; the published ones are for the split over families. */
export const MODELS = ['squeezenet1_1', 'mobilenet_v2', 'resnet18', 'minilm_l6', 'vit_tiny', 'clip_tiny', 'gpt2_small_kv', 'whisper_tiny_encoder'];
/** Of three and of four models so many sets are drawn. */
const TRIPLES = 10;
const QUADRUPLES = 5;
/** Callers of the model that takes least. */
const CALLERS = 8;
/** Rounds of all sets at least, and at most; the last part of the time is for the machine's other work. */
const ROUNDS = [4, 8];
const LOADED_SHARE = 0.15;

/** Numbers that are the same in every run: between 0 and 1. */
export function random(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export function shuffled(list, next) {
  const out = [...list];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

/** Sets of `count` different ones of `list`, no two the same. */
export function drawn(list, count, sets, next) {
  const found = new Map();
  for (let tries = 0; found.size < sets && tries < sets * 50; tries++) {
    const set = shuffled(list, next).slice(0, count);
    found.set(set.map((of) => list.indexOf(of)).sort().join(), set);
  }
  return [...found.values()];
}

/** Other work on the machine: a worker that computes for nobody, until it is ended. */
export function otherWork() {
  const source = 'for (;;) Math.sqrt(Math.random());';
  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
  return () => worker.terminate();
}

/** The models that are here, each loaded, with its feeds at its own shape and at others. */
async function cases(pool, say) {
  const all = [];
  for (const model of (await catalogue()).filter(({ name }) => MODELS.includes(name))) {
    const { session, feeds } = await load(pool, model);
    const error = relativeError(model, await session.run(feeds));
    if (!(error < 1e-3)) throw new Error(`${model.name} is off by ${error}`);
    const others = await Promise.all(model.shapes.map(({ inputs }) => feedsOf({ inputs })));
    all.push({ name: model.name, session, feeds, others });
    say(`  ${session.lane}: ${model.name} is loaded`);
  }
  return all;
}

/** By what one lane can run `requests`, as its pool predicts it. */
async function strategiesOf(pool, requests) {
  const { strategies } = await pool.predict(requests);
  return strategies.filter(({ strategy }) => strategy !== 'split').map(({ strategy }) => strategy);
}

export async function recorded(lane, ms, say) {
  const pool = await Pool.create({ lanes: [lane], processors: 1, records: 'none', measure: 'now' });
  const models = await cases(pool, say);
  const next = random(20261128);
  const one = ({ session, feeds }) => ({ session, feeds });
  const alone = models.flatMap(({ session, feeds, others }) => [feeds, ...others].map((feeds) => [{ session, feeds }]));
  const pairs = models.flatMap((a, i) => models.slice(i + 1).map((b) => [a, b].map(one)));
  const more = [...drawn(models, 3, TRIPLES, next), ...drawn(models, 4, QUADRUPLES, next)].map((set) => set.map(one));
  const took = new Map();
  const run = async ([set, strategy]) => {
    const since = performance.now();
    await pool.runAll(set, { strategy });
    return performance.now() - since;
  };
  // Programs, arenas and what a browser compiles by the way are made before anything is counted.
  for (const set of alone) {
    for (let i = 0; i < 2; i++) took.set(set, await run([set, 'sequential']));
  }
  const [least] = [...alone].sort((a, b) => took.get(a) - took.get(b));
  const together = [...pairs, ...more, Array.from({ length: CALLERS }, () => least[0])];
  const time = (set) => set.reduce((sum, request) => sum + took.get(alone.find(([of]) => of.feeds === request.feeds)), 0);
  // What may be fewer calls is always among them, by all that the pool predicts for it.
  const mixed = [];
  let mixedMs = 0;
  for (const [, set] of await mixes(pool, say)) {
    // What elements decide is known once they were fed.
    await run([set, 'sequential']);
    for (const strategy of await strategiesOf(pool, set)) {
      await run([set, strategy]);
      mixedMs += await run([set, strategy]);
      mixed.push([set, strategy]);
    }
  }
  // What a round takes decides how many there are, and where there is too much how many sets.
  const began = performance.now();
  const budget = ms * (1 - LOADED_SHARE);
  const soloMs = alone.reduce((sum, set) => sum + took.get(set), 0);
  let sets = shuffled(together, next);
  const ways = await strategiesOf(pool, pairs[0]);
  const round = () => soloMs + mixedMs + sets.reduce((sum, set) => sum + time(set) * ways.length, 0);
  while (sets.length > 8 && round() * ROUNDS[0] > budget) sets = sets.slice(1);
  say(`  ${lane}: ${alone.length} solos, ${sets.length} of ${together.length} sets and ${mixed.length} ways of mixes, about ${(round() / 1000).toFixed(1)} s a round`);
  const work = [...alone.map((set) => [set, 'sequential']), ...sets.flatMap((set) => ways.map((how) => [set, how])), ...mixed];
  for (const [set] of work) await run([set, 'parallel']);
  let rounds = 0;
  while (rounds < ROUNDS[0] || (rounds < ROUNDS[1] && performance.now() - began < budget)) {
    for (const each of shuffled(work, next)) await run(each);
    say(`  ${lane}: round ${++rounds} is over`);
  }
  // The same again while the machine has other work, and after.
  const load = { fromMs: performance.now() };
  const end = otherWork();
  const runs = async () => {
    const since = performance.now();
    for (let i = 0; i < 60 && (i < 25 || performance.now() - since < (ms * LOADED_SHARE) / 2); i++) {
      await run(work[Math.floor(next() * work.length)]);
    }
  };
  await runs();
  end();
  load.toMs = performance.now();
  await runs();
  const records = JSON.parse(await pool.records.export());
  const accuracy = pool.accuracy(lane);
  const solo = Object.fromEntries(models.map(({ name, session, feeds }) => [name, took.get(alone.find(([of]) => of.session === session && of.feeds === feeds))]));
  await pool.close();
  return { lane, rounds, load, solo, records: records.lanes.find((of) => of.lane === lane), coverage: accuracy.coverage };
}
