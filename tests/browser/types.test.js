// Every element type in and out, on each lane, against onnxruntime's answers (`tests/element_types.py`).

import { Pool, Tensor } from '../pkg/index.js';
import { equal, fails, test } from './harness.js';
import { agrees, bytesOf, cases, numbers } from './types.js';

const pools = {};
const pool = async (lane) => (pools[lane] ??= await Pool.create({ lanes: [lane], records: 'none' }));

for (const one of cases) {
  test(`${one.name}, on the processor`, async () => agrees(await pool('cpu'), one));
  if (one.gpu) test(`${one.name}, on the GPU`, async () => agrees(await pool('gpu'), one));
}

test('what no GPU has is refused there with the type and the node', async () => {
  const of = (name) => cases.find((one) => one.name.startsWith(name));
  const gpu = await pool('gpu');
  for (const [name, words] of [['float64', ["'x'", 'float64']], ['uint8', ['uint8', 'Transpose']], ['uint64', ["'x'", 'uint64']]]) {
    await fails('unsupported', words, () => gpu.load(bytesOf(of(name).onnx), { name }));
  }
});

test('the bits of float16 may be given as they are, and an array of another type is refused', async () => {
  const one = cases.find(({ name }) => name.startsWith('float16'));
  const session = await (await pool('cpu')).load(bytesOf(one.onnx), { name: 'half' });
  const [{ dims, data }] = one.inputs;
  const bits = new Uint16Array(bytesOf(data).buffer);
  const { y } = await session.run({ x: new Tensor('float16', bits, dims) });
  const typed = await session.run({ x: new Tensor('float16', numbers('float16', bits), dims) });
  equal(numbers('float16', typed.y.data).join(), numbers('float16', y.data).join(), 'from numbers');
  await fails('invalid-input', ['float16', 'Float32Array'], () => new Tensor('float16', new Float32Array(60), dims));
  await fails('invalid-input', ["'x'", 'float16', 'float32'], () => session.run({ x: new Tensor('float32', new Float32Array(60), dims) }));
  // The suites after this one look for workers that live.
  for (const lane in pools) await pools[lane].close();
});
