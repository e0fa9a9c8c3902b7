// A browser without WebGPU.

import { Pool, Tensor } from '../pkg/index.js';
import { assert, equal, fails, test } from './harness.js';
import { index, load, relativeError } from './models.js';

test('a pool that is to have the gpu lane says that there is no WebGPU, every time', async () => {
  for (let i = 0; i < 2; i++) await fails('no-webgpu', ['WebGPU'], () => Pool.create({ lanes: ['gpu'] }));
});

test('a pool that may have any lane computes on the processor', async () => {
  const pool = await Pool.create();
  equal(pool.capabilities.lanes, ['cpu'], 'lanes');
  const { session, feeds } = await load(pool, index[0]);
  const error = relativeError(index[0], await session.run(feeds));
  assert(error <= 1e-3, `relative error ${error}`);
  await pool.close();
});

test('tensors work without a GPU', async () => {
  equal(Array.from(new Tensor('float32', [1, 2], [2]).data), [1, 2]);
});
