// A browser without WebGPU.

import { Pool, Tensor } from '../pkg/index.js';
import { equal, fails, test } from './harness.js';

test('Pool.create says that there is no WebGPU, every time', async () => {
  for (let i = 0; i < 2; i++) await fails('no-webgpu', ['WebGPU'], () => Pool.create());
});

test('tensors work without a GPU', async () => {
  equal(Array.from(new Tensor('float32', [1, 2], [2]).data), [1, 2]);
});
