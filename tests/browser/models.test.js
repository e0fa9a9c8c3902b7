// Every model against its golden; the first three while all run at once.

import { Pool } from '../pkg/index.js';
import { assert, test } from './harness.js';
import { distance, index, load, relativeError, varied } from './models.js';

const ROUNDS = 20;

let goldens;
for (const model of index.filter(({ processor }) => !processor)) {
  test(`${model.name} is within 1e-3 of its golden`, async () => {
    goldens ??= await Pool.create({ lanes: ['gpu'] });
    const { session, feeds } = await load(goldens, model);
    const error = relativeError(model, await session.run(feeds));
    assert(error <= 1e-3, `relative error ${error}`);
    await session.release();
  });
}

test(`${ROUNDS} rounds of three models at once, other inputs each, equal their solo outputs`, async () => {
  await goldens?.close();
  const pool = await Pool.create({ lanes: ['gpu'] });
  const sessions = [];
  for (const model of index.slice(0, 3)) sessions.push(await load(pool, model));
  for (let round = 0; round < ROUNDS; round++) {
    const requests = sessions.map(({ session, feeds }) => ({ session, feeds: varied(feeds, round) }));
    // In turn: calls from independent callers, one set in parallel, one in sequence.
    const strategy = ['parallel', 'sequential'][round % 3];
    const together = strategy
      ? await pool.runAll(requests, { strategy })
      : await Promise.all(requests.map(({ session, feeds }) => session.run(feeds)));
    for (const [i, { session, feeds }] of requests.entries()) {
      const alone = await session.run(feeds);
      for (const name of session.outputNames) {
        const error = distance(together[i][name].data, alone[name].data);
        assert(error <= 1e-6, `round ${round}, ${session.name}, ${name}: differs from its solo run by ${error}`);
      }
    }
  }
  await pool.close();
});
