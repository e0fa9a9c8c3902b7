// Small models of ONNX, written. Knows protobuf's numbers for them; must never know a pool.

const TYPES = { float32: 1, int32: 6, int64: 7, bool: 9 };

const number = (value) => {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
};
const integer = (field, value) => [...number(field * 8), ...number(value)];
const message = (field, bytes) => [...number(field * 8 + 2), ...number(bytes.length), ...bytes];
const text = (field, value) => message(field, [...new TextEncoder().encode(value)]);
const float = (field, value) => [...number(field * 8 + 5), ...new Uint8Array(Float32Array.of(value).buffer)];

/** `1.5` is a float, `[1]` integers, `{int: 1}` an integer. */
function attribute([name, value]) {
  if (typeof value === 'string') return [...text(1, name), ...text(4, value), ...integer(20, 3)];
  if (typeof value === 'number') return [...text(1, name), ...float(2, value), ...integer(20, 1)];
  if ('int' in value) return [...text(1, name), ...integer(3, value.int), ...integer(20, 2)];
  const strings = typeof value[0] === 'string';
  return [...text(1, name), ...value.flatMap((one) => (strings ? text(9, one) : integer(8, one))), ...integer(20, strings ? 8 : 7)];
}

const node = ({ op, inputs, outputs, attributes = {} }) => [
  ...inputs.flatMap((name) => text(1, name)), ...outputs.flatMap((name) => text(2, name)), ...text(4, op),
  ...Object.entries(attributes).flatMap((one) => message(5, attribute(one))),
];

const port = (name, { type, dims }) => {
  const shape = message(2, dims.flatMap((dim) => message(1, integer(1, dim))));
  return [...text(1, name), ...message(2, message(1, [...integer(1, TYPES[type]), ...shape]))];
};

const constant = (name, { type, dims, data }) => [
  ...dims.flatMap((dim) => integer(1, dim)), ...integer(2, TYPES[type]), ...text(8, name),
  ...message(9, [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]),
];

/** Nodes in order, tensors by name that are fed or constant, and what is known of outputs: their type and how many axes. */
export function written({ nodes, inputs, constants = {}, outputs, opset = 17 }) {
  const graph = [
    ...nodes.flatMap((one) => message(1, node(one))), ...text(2, 'graph'),
    ...Object.entries(constants).flatMap(([name, tensor]) => message(5, constant(name, tensor))),
    ...Object.entries(inputs).flatMap(([name, tensor]) => message(11, port(name, tensor))),
    ...Object.entries(outputs).flatMap(([name, type]) => message(12, [...text(1, name), ...message(2, message(1, integer(1, TYPES[type])))])),
  ];
  return Uint8Array.from([...integer(1, 8), ...message(7, graph), ...message(8, integer(2, opset))]);
}
