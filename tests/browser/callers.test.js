// A page of three page readers and a model that tells file types, asked by everybody at once.

import { Pool } from '../pkg/index.js';
import { assert, test } from './harness.js';
import { casesOf, distance, entry, load, relativeError } from './models.js';

const CALLS = 100;
/** The finder of text at its own size takes seconds on a software adapter: here it looks at smaller windows. */
const CASES = { ocr_det_v4: [2], ocr_cls: [0, 1, 2], ocr_rec_v4: [2], file_type: [1] };

test(`${CALLS} calls at once from independent callers of four real models are all right`, async (say) => {
  const pool = await Pool.create({ lanes: ['gpu'] });
  const cases = [];
  for (const [name, which] of Object.entries(CASES)) {
    const { session, model } = await load(pool, entry(name));
    const all = await casesOf(model);
    for (const i of which) cases.push({ session, ...all[i], alone: await session.run(all[i].feeds) });
  }
  say(`  …     ${cases.length} cases of ${Object.keys(CASES).length} models ran alone`);
  let answered = 0;
  // Nobody waits for anybody: each caller looks at its own answer.
  const caller = async (i) => {
    const { session, feeds, golden, alone } = cases[i % cases.length];
    const outputs = await session.run(feeds);
    if (++answered % 20 === 0) say(`  …     ${answered} of ${CALLS} calls are answered`);
    const error = relativeError({ golden }, outputs);
    assert(error <= 1e-3, `call ${i}, ${session.name}: relative error ${error}`);
    for (const name of session.outputNames) {
      const off = distance(outputs[name].data, alone[name].data);
      assert(off <= 1e-6, `call ${i}, ${session.name}: differs from its solo run by ${off}`);
    }
  };
  const answers = await Promise.allSettled(Array.from({ length: CALLS }, (_, i) => caller(i)));
  const wrong = answers.filter((a) => a.status === 'rejected').map((a) => a.reason.message);
  assert(wrong.length === 0, `${wrong.length} of ${CALLS} calls: ${wrong.slice(0, 3).join('; ')}`);
  await pool.close();
});
