// Small models of every element type and onnxruntime's answers to them (`tests/element_types.py`).

import { Tensor } from '../pkg/index.js';
import { assert, equal } from './harness.js';

export const cases = await (await fetch('/tests/element-types.json')).json();
export const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
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
export const numbers = (type, data) => Array.from(data, (x) => (type === 'float16' && data instanceof Uint16Array ? half(x) : x));

const feedsOf = ({ inputs }) =>
  Object.fromEntries(inputs.map(({ name, type, dims, data }) => [name, new Tensor(type, elements(type, bytesOf(data)), dims)]));

/** Loads and runs one, whose answers must be those. */
export async function agrees(pool, one) {
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
