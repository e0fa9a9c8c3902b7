// Operators over whole rows, by MLGraphBuilder: sums, places of the greatest, softmax and normalisations. Knows axes; must never know
// another family.

import { constant, from, product, reshaped, taken } from './common.js';
import { backwards } from './moves.js';

export const reduced = (name, whole) => (n) => {
  const rank = n.shape(0).length;
  const asked = whole ? [] : (n.ints('axes') ?? (n.has(1) ? n.values(1) : []));
  if (!whole && !asked.length && n.int('noop_with_empty_axes', 0)) return n.builder.identity(n.x(0));
  const every = Array.from({ length: rank }, (_, i) => i);
  const axes = whole ? every.slice(2) : asked.length ? asked.map((axis) => from(axis, rank)) : every;
  return n.builder[name](n.x(0), { axes, keepDimensions: whole || n.int('keepdims', 1) === 1, label: n.name });
};

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
