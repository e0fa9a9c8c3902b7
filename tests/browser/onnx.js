// Files of ONNX as far as the tests of single nodes need them: tensors, and a model with some of its inputs as constants. Knows
// protobuf; must never know a pool.

import { Tensor } from '../pkg/index.js';

/** ONNX's element types by number; a page has no others. */
const TYPES = { 1: 'float32', 2: 'uint8', 3: 'int8', 4: 'uint16', 5: 'int16', 6: 'int32', 7: 'int64', 9: 'bool', 10: 'float16', 11: 'float64', 12: 'uint32', 13: 'uint64' };
const ARRAYS = {
  float32: Float32Array, uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array, int32: Int32Array, int64: BigInt64Array,
  bool: Uint8Array, float16: Uint16Array, float64: Float64Array, uint32: Uint32Array, uint64: BigUint64Array,
};

/** Numbers of the fields that are read. */
const MODEL = { graph: 7 };
const GRAPH = { initializer: 5, input: 11, output: 12 };
const VALUE = { name: 1 };
const TENSOR = { dims: 1, type: 2, name: 8, raw: 9 };

/** Reads a number at `at`: it and where it ends. */
function varint(bytes, at) {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    const byte = bytes[at++];
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return [BigInt.asIntN(64, value), at];
  }
}

/** A message's fields in order: number, value (bytes, or a BigInt), and all of its bytes. */
function* fields(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const begin = at;
    let key, value;
    [key, at] = varint(bytes, at);
    const kind = Number(key & 7n);
    if (kind === 0) [value, at] = varint(bytes, at);
    else {
      let size = kind === 1 ? 8n : 4n;
      if (kind === 2) [size, at] = varint(bytes, at);
      value = bytes.subarray(at, (at += Number(size)));
    }
    yield { number: Number(key >> 3n), value, whole: bytes.subarray(begin, at) };
  }
}

const text = (bytes) => new TextDecoder().decode(bytes);
const first = (bytes, number) => [...fields(bytes)].find((field) => field.number === number)?.value;

function written(number) {
  const bytes = [];
  for (; number > 127; number = Math.floor(number / 128)) bytes.push((number % 128) | 128);
  return [...bytes, number];
}

const joined = (parts) => {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
};

/** A field that is a message or text. */
const field = (number, bytes) => joined([written(number * 8 + 2), written(bytes.length), bytes]);

/** A tensor of a file `input_0.pb`; nothing where it is something else, or a page has no such elements. */
export function tensor(bytes) {
  const [dims, found] = [[], {}];
  for (const { number, value } of fields(bytes)) {
    if (number === TENSOR.dims) dims.push(...(typeof value === 'bigint' ? [value] : packed(value)).map(Number));
    else found[number] = value;
  }
  const type = typeof found[TENSOR.type] === 'bigint' ? TYPES[found[TENSOR.type]] : undefined;
  if (!type) return undefined;
  const raw = (found[TENSOR.raw] ?? new Uint8Array()).slice();
  return new Tensor(type, new ARRAYS[type](raw.buffer), dims);
}

function packed(bytes) {
  const numbers = [];
  for (let at = 0; at < bytes.length; ) {
    const [number, next] = varint(bytes, at);
    numbers.push(number);
    at = next;
  }
  return numbers;
}

const graphOf = (model) => first(model, MODEL.graph);
const names = (model, number, name = VALUE.name) =>
  [...fields(graphOf(model))].filter((one) => one.number === number).map(({ value }) => text(first(value, name) ?? new Uint8Array()));

/** Names of a model's inputs, without those that are constants, and outputs in order. */
export function portsOf(model) {
  const constants = names(model, GRAPH.initializer, TENSOR.name);
  return { inputs: names(model, GRAPH.input).filter((name) => !constants.includes(name)), outputs: names(model, GRAPH.output) };
}

/** The model with constants instead of inputs: `tensors` are files by the input's name. */
export function withConstants(model, tensors) {
  const rest = [...fields(graphOf(model))].filter(({ number, value }) => number !== GRAPH.input || !(text(first(value, VALUE.name)) in tensors));
  const named = ([name, bytes]) =>
    joined([...[...fields(bytes)].filter(({ number }) => number !== TENSOR.name).map(({ whole }) => whole), field(TENSOR.name, new TextEncoder().encode(name))]);
  const constants = Object.entries(tensors).map((one) => field(GRAPH.initializer, named(one)));
  const graph = joined([...rest.map(({ whole }) => whole), ...constants]);
  return joined([...fields(model)].map(({ number, whole }) => (number === MODEL.graph ? field(MODEL.graph, graph) : whole)));
}
