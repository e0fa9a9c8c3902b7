// A bench, no test: what calls take while their pool measures itself, beside what they take where it does not. Run by
// `cargo verify --web --suites tuner`; times on a busy machine say nothing.

import { Pool } from '../pkg/index.js';
import { test } from './harness.js';
import { entry, load, median } from './models.js';

const CALLS = 40;
const FIRST = 10;
const TURNS = 2;

/** Milliseconds of calls one right after the other, those of the first left out: there nothing is measured yet. */
async function taken(name, measure) {
  const pool = await Pool.create({ records: 'none', lanes: ['gpu'], measure });
  try {
    const { session, feeds } = await load(pool, entry(name));
    const each = [];
    for (let call = 0; call < CALLS; call++) {
      const began = performance.now();
      await session.run(feeds);
      each.push(performance.now() - began);
    }
    return each.slice(FIRST);
  } finally {
    await pool.close();
  }
}

for (const name of ['ocr_cls', 'face_onet']) {
  test(`calls of ${name} while their pool measures itself`, async () => {
    const [idle, asked] = [[], []];
    for (let turn = 0; turn < TURNS; turn++) {
      asked.push(...(await taken(name, 'asked')));
      idle.push(...(await taken(name, 'idle')));
    }
    const [beside, alone] = [idle, asked].map(median);
    return `${alone.toFixed(1)} ms, ${beside.toFixed(1)} while it does: ${(beside / alone).toFixed(2)}x; at most ${Math.max(...asked).toFixed(0)} and ${Math.max(...idle).toFixed(0)} ms`;
  });
}
