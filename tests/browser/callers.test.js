// A page of three page readers and a model that tells file types, asked by everybody at once.

import { Pool } from '../pkg/index.js';
import { assert, test } from './harness.js';
import { casesOf, distance, entry, load, median, relativeError, varied } from './models.js';

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

const CALLERS = 16;
const ROUNDS = 40;

for (const [name, lane] of [['face_rnet', 'cpu'], ['voice_vad', 'cpu'], ['face_rnet', 'gpu']]) {
  test(`${CALLERS} callers of ${name} on ${lane} are answered together, each as if it were alone`, async () => {
    const pool = await Pool.create({ lanes: [lane], records: 'none', measure: 'asked' });
    try {
      const { session, feeds } = await load(pool, entry(name));
      const all = Array.from({ length: CALLERS }, (_, i) => varied(feeds, i));
      const timed = async (run) => {
        const began = performance.now();
        const outputs = await run();
        return [performance.now() - began, outputs];
      };
      const oneByOne = async () => {
        const outputs = [];
        for (const feeds of all) outputs.push(await session.run(feeds));
        return outputs;
      };
      const atOnce = () => Promise.all(all.map((feeds) => session.run(feeds)));
      const [, alone] = await timed(oneByOne);
      const times = { apart: [], together: [] };
      for (let round = 0; round < ROUNDS; round++) {
        const [together, outputs] = await timed(atOnce);
        times.together.push(together);
        times.apart.push((await timed(oneByOne))[0]);
        for (const [i, mine] of outputs.entries()) {
          for (const output of session.outputNames) {
            const off = distance(mine[output].data, alone[i][output].data);
            assert(off <= 1e-5, `round ${round}, caller ${i}: ${output} differs from its solo run by ${off}`);
          }
        }
      }
      // The first rounds are those in which it is found out.
      const [apart, together] = [times.apart, times.together].map((times) => median(times.slice(ROUNDS / 2)));
      return `${apart.toFixed(1)} ms one by one, ${together.toFixed(1)} together: ${(apart / together).toFixed(2)}x`;
    } finally {
      await pool.close();
    }
  });
}
