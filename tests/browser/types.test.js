// Every element type in and out, on each lane, against onnxruntime's answers (`tests/element_types.py`).

import { Pool, Tensor } from '../pkg/index.js';
import { assert, equal, fails, test } from './harness.js';

const cases = await (await fetch('/tests/element-types.json')).json();
const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const ARRAYS = {
  float32: Float32Array, float64: Float64Array, int8: Int8Array, int16: Int16Array, int32: Int32Array, int64: BigInt64Array,
  uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, uint64: BigUint64Array, bool: Uint8Array,
};
/** A digit of float16 has 11 bits; the peer rounds between operators, we at the end. */
const DIGITS = { float16: 2e-3, float32: 1e-5, float64: 1e-12 };

/** The float of 16 bits. */
function half(bits) {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size = exponent === 0 ? fraction * 2 ** -24 : exponent === 31 ? (fraction ? NaN : Infinity) : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}

const elements = (type, bytes) => new (ARRAYS[type] ?? Uint16Array)(bytes.buffer, bytes.byteOffset, bytes.byteLength / (ARRAYS[type] ?? Uint16Array).BYTES_PER_ELEMENT);
const numbers = (type, data) => Array.from(data, (x) => (type === 'float16' && data instanceof Uint16Array ? half(x) : x));

const feedsOf = ({ inputs }) =>
  Object.fromEntries(inputs.map(({ name, type, dims, data }) => [name, new Tensor(type, elements(type, bytesOf(data)), dims)]));

async function agrees(pool, one) {
  const session = await pool.load(bytesOf(one.onnx), { name: one.name });
  const outputs = await session.run(feedsOf(one));
  for (const { name, type, dims, data } of one.outputs) {
    const have = outputs[name];
    equal(`${have.type} [${have.dims}]`, `${type} [${dims}]`, name);
    const [a, b] = [numbers(type, have.data), numbers(type, elements(type, bytesOf(data)))];
    equal(a.length, b.length, name);
    const off = a.findIndex((x, i) => (DIGITS[type] ? !(Math.abs(x - b[i]) <= DIGITS[type] * Math.max(1, Math.abs(b[i]))) : x !== b[i]));
    assert(off < 0, `${one.name}: element ${off} of '${name}' is ${a[off]}, not ${b[off]}`);
  }
  await session.release();
}

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
