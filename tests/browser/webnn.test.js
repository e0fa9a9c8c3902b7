// The webnn lane, in a browser that has WebNN: every model that it takes against its golden and at other shapes, and what it does
// not take refused with its reason.

import { Pool } from '../pkg/index.js';
import { assert, equal, test } from './harness.js';
import { casesOf, index, load, relativeError } from './models.js';

const lanes = ['webnn'];
let shared;
let taken = 0;

for (const model of index) {
  test(`webnn: ${model.name} is within 1e-3 of its golden at every shape, or refused with its reason`, async () => {
    shared ??= await Pool.create({ lanes, records: 'none' });
    let session;
    try {
      ({ session } = await load(shared, model));
      equal(session.lanes, lanes);
      const cases = await casesOf(model);
      for (const { feeds, golden } of cases) {
        const error = relativeError({ golden }, await session.run(feeds));
        assert(error <= 1e-3, `relative error ${error}`);
      }
      taken++;
      return `${cases.length} shapes`;
    } catch (error) {
      assert(error.kind === 'unsupported', String(error));
      return `refused: ${error.message}`;
    } finally {
      await session?.release();
    }
  });
}

test('webnn: all 17 models are taken', async () => {
  assert(taken >= 17, `only ${taken}`);
  equal(shared.memory().lanes[0].weights, 0, 'bytes of weights after every release');
  return `${taken} of ${index.length}`;
});
