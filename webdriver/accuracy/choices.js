// What a pool with all lanes chooses for sets that it never ran, beside what each strategy then takes there.

import { Pool } from '../pkg/index.js';
import { catalogue, load } from '../work.js';
import { mixes } from './mixes.js';
import { MODELS, drawn, random } from './workload.js';

const REPEATS = 5;
/** Runs of each model alone before. */
const SOLOS = 5;
const [PAIRS, TRIPLES, QUADRUPLES] = [16, 8, 4];
const CALLERS = 8;

export async function chosen(lanes, ms, say) {
  const pool = await Pool.create({ lanes, records: 'none', measure: 'now' });
  const models = [];
  for (const model of (await catalogue()).filter(({ name }) => MODELS.includes(name))) models.push(await load(pool, model));
  const mixed = (await mixes(pool, say)).map(([, set]) => set);
  const solo = new Map();
  for (const { session, feeds } of [...models, ...mixed.flat()]) {
    if (solo.has(session)) continue;
    const times = [];
    for (let i = 0; i < SOLOS; i++) {
      const since = performance.now();
      await session.run(feeds);
      times.push(performance.now() - since);
    }
    solo.set(session, Math.min(...times));
  }
  const next = random(7);
  const least = [...models].sort((a, b) => solo.get(a.session) - solo.get(b.session))[0];
  const sets = [
    Array.from({ length: CALLERS }, () => least),
    ...drawn(models, 2, PAIRS, next),
    ...drawn(models, 3, TRIPLES, next),
    ...drawn(models, 4, QUADRUPLES, next),
  ];
  const began = performance.now();
  const results = [];
  // Large and small ones in turn, so that a short time sees some of each; what may be fewer calls is always among them.
  const order = [...mixed, ...sets.map((set, i) => [i % 7, i, set]).sort(([a, i], [b, j]) => a - b || i - j).map(([, , set]) => set)];
  for (const set of order) {
    if (performance.now() - began > ms) break;
    const requests = set.map(({ session, feeds }) => ({ session, feeds }));
    const { recommended, measuredBest, regret, strategies } = await pool.compare(requests, { repeats: REPEATS });
    results.push({
      models: set.map(({ session }) => session.name).sort(),
      lanes: set.map(({ session }) => session.lane),
      recommended,
      measuredBest,
      regret,
      // What a page would forecast that knows each model alone only.
      sumOfSolosMs: set.reduce((sum, { session }) => sum + solo.get(session), 0),
      strategies: strategies.map(({ timeline, measuredTimeline, ...rest }) => rest),
    });
  }
  say(`  ${results.length} of ${order.length} sets are compared`);
  await pool.close();
  return results;
}
