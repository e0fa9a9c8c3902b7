// The cpu lane, where there is WebGPU and where there is none: every model against its golden and at other shapes; several at
// once; what its worker costs and gives back.

import { Pool } from '../pkg/index.js';
import { assert, equal, test } from './harness.js';
import { casesOf, distance, entry, index, load, relativeError, varied } from './models.js';

const ROUNDS = 20;
const lanes = ['cpu'];

let shared;
for (const model of index) {
  test(`cpu: ${model.name} is within 1e-3 of its golden, at every shape`, async () => {
    shared ??= await Pool.create({ lanes });
    const { session } = await load(shared, model);
    equal(session.lanes, lanes);
    const cases = await casesOf(model);
    for (const { feeds, golden } of cases) {
      const error = relativeError({ golden }, await session.run(feeds));
      assert(error <= 1e-3, `relative error ${error}`);
    }
    await session.release();
    return `${cases.length} shapes`;
  });
}

test(`cpu: ${ROUNDS} rounds of three models at once, other inputs each, equal their solo outputs`, async () => {
  const sessions = [];
  for (const name of ['squeezenet1_1', 'mobilenet_v2', 'minilm_l6']) sessions.push(await load(shared, entry(name)));
  for (let round = 0; round < ROUNDS; round++) {
    const requests = sessions.map(({ session, feeds }) => ({ session, feeds: varied(feeds, round) }));
    const together = await Promise.all(requests.map(({ session, feeds }) => session.run(feeds)));
    for (const [i, { session, feeds }] of requests.entries()) {
      const alone = await session.run(feeds);
      for (const name of session.outputNames) {
        equal(distance(together[i][name].data, alone[name].data), 0, `round ${round}, ${session.name}, ${name}`);
      }
    }
  }
  for (const { session } of sessions) await session.release();
  equal(shared.memory().lanes[0].weights, 0, 'bytes of weights after every release');
});

test('cpu: the wasm of its workers is fetched once, and by no pool that has no such lane', async () => {
  const files = () => performance.getEntriesByType('resource').filter(({ name }) => /\/cpu\/\w+\.wasm$/.test(name)).length;
  await (await Pool.create({ lanes })).close();
  equal(files(), 1, 'files of wasm that were fetched');
  await shared.close();
});
