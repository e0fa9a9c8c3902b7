// Operators over whole rows, by MLGraphBuilder: matrix products and what is done to their results at once, sums, places of the greatest,
// softmax and normalisations. Knows axes; must never know another family.

import { constant, floats, from, product, refuse, reshaped, taken } from './common.js';
import { backwards } from './moves.js';

/** What sums of no elements are. */
const zeros = (n) => n.builder.expand(n.builder.cast(floats(n, [], [0]), n.typeOf(n.outputs[0])), n.result(0));

export function product2(n) {
  const [a, b] = [n.shape(0), n.shape(1)];
  const left = () => (a.length === 1 ? reshaped(n, n.x(0), [1, ...a]) : n.x(0));
  const right = () => (b.length === 1 ? reshaped(n, n.x(1), [...b, 1]) : n.x(1));
  const plain = a.at(-1) === 0 ? undefined : n.builder.matmul(left(), right(), { label: n.name });
  const y = !plain ? zeros(n) : a.length === 1 || b.length === 1 ? reshaped(n, plain, n.result(0)) : plain;
  return n.has(2) ? n.builder.add(y, n.x(2)) : y;
}

export function gemm(n) {
  return n.builder.gemm(n.x(0), n.x(1), {
    ...(n.has(2) && { c: n.x(2) }), alpha: n.float('alpha') ?? 1, beta: n.float('beta') ?? 1,
    aTranspose: n.int('transA', 0) === 1, bTranspose: n.int('transB', 0) === 1, label: n.name,
  });
}

/** What a product or convolution names to be done to its results. */
export function ended(of) {
  return (n) => {
    const y = of(n);
    const [low, high] = n.floats('activation_params') ?? [];
    const name = n.string('activation', '');
    if (name === 'Clip') return n.builder.clamp(y, { minValue: low, maxValue: high });
    return name === 'Relu' ? n.builder.relu(y) : name ? refuse(`activation ${name}`) : y;
  };
}

const SUMS = ['reduceSum', 'reduceL1', 'reduceL2', 'reduceSumSquare'];

export const reduced = (name, whole) => (n) => {
  if (product(n.shape(0)) === 0 && SUMS.includes(name)) return zeros(n);
  const rank = n.shape(0).length;
  const asked = whole ? [] : (n.ints('axes') ?? (n.has(1) ? n.values(1) : []));
  if (!whole && !asked.length && n.int('noop_with_empty_axes', 0)) return n.builder.identity(n.x(0));
  const every = Array.from({ length: rank }, (_, i) => i);
  const axes = whole ? every.slice(2) : asked.length ? asked.map((axis) => from(axis, rank)) : every;
  return n.builder[name](n.x(0), { axes, keepDimensions: whole || n.int('keepdims', 1) === 1, label: n.name });
};

export const summed = (n) =>
  n.builder.cumulativeSum(n.x(0), from(n.values(1)[0], n.shape(0).length), { exclusive: n.int('exclusive', 0) !== 0, reversed: n.int('reverse', 0) !== 0 });

/** Where along an axis the greatest or least element lies, the first or last of equal ones. */
export const place = (name) => (n) => {
  const axis = from(n.int('axis', 0), n.shape(0).length);
  const options = { keepDimensions: n.int('keepdims', 1) === 1, outputDataType: 'int64' };
  const last = n.int('select_last_index', 0) !== 0;
  const size = n.shape(0)[axis];
  const x = last ? taken(n, n.x(0), axis, backwards(size)) : n.x(0);
  const first = () => {
    if (n.takes(name, 'input', n.type(0))) return n.builder[name](x, axis, options);
    // Which elements are the greatest or least says the same in a type that is taken.
    const best = n.builder[name === 'argMax' ? 'reduceMax' : 'reduceMin'](x, { axes: [axis], keepDimensions: true });
    return n.builder.argMax(n.builder.equal(x, best), axis, options);
  };
  return last ? n.builder.sub(constant(n, 'int64', [], BigInt64Array.of(BigInt(size - 1))), first()) : first();
};

export function softmax(n, x = n.x(0)) {
  const shape = n.shape(0);
  if (n.opset >= 13) return n.builder.softmax(x, from(n.int('axis', -1), shape.length));
  // Before, all axes from this one on were one.
  const axis = from(n.int('axis', 1), shape.length);
  if (axis === shape.length - 1) return n.builder.softmax(x, axis);
  const rows = reshaped(n, x, [product(shape.slice(0, axis)), product(shape.slice(axis))]);
  return reshaped(n, n.builder.softmax(rows, 1), shape);
}

export function normal(n) {
  const rank = n.shape(0).length;
  const axis = from(n.int('axis', -1), rank);
  const axes = Array.from({ length: rank - axis }, (_, i) => axis + i);
  return n.builder.layerNormalization(n.x(0), {
    axes, scale: n.x(1), epsilon: n.float('epsilon') ?? 1e-5, ...(n.has(2) && { bias: n.x(2) }), label: n.name,
  });
}

export const normalBatch = (n) =>
  n.builder.batchNormalization(n.x(0), n.x(3), n.x(4), { scale: n.x(1), bias: n.x(2), axis: 1, epsilon: n.float('epsilon') ?? 1e-5 });
