// What operators of every family are built with. Knows MLGraphBuilder; must never know an operator of ONNX.

/** What a graph cannot be built for. */
export class Unsupported extends Error {}

export const refuse = (why) => {
  throw new Unsupported(why);
};

export const product = (sizes) => sizes.reduce((a, b) => a * b, 1);
export const from = (axis, rank) => (axis < 0 ? axis + rank : axis);

/** A type that every value of another has, too. */
const WIDER = { uint8: 'int32', int8: 'int32', uint32: 'int64' };

export const constant = (n, dataType, shape, data) => steady(n.builder.constant({ dataType, shape }, data));
export const floats = (n, shape, data) => constant(n, 'float32', shape, Float32Array.from(data));

/** The operands in a type that the builder's `name` takes as its `operand`: their own, or one that is wider. */
export function widened(n, name, operand, xs) {
  const [{ dataType: type }] = xs;
  const wider = n.takes(name, operand, type) ? undefined : WIDER[type];
  return wider ? xs.map((x) => n.builder.cast(x, wider)) : xs;
}

/** What `make` makes of an operand and does not change the values of, whatever type the builder's `name` takes. */
export function moved(n, name, x, make) {
  const [wide] = widened(n, name, 'input', [x]);
  const y = make(wide);
  return wide === x ? y : n.builder.cast(y, x.dataType);
}

/** Operands that are constants, and these turned or in another shape; those of them that were turned last. */
const [STEADY, TURNED] = [new WeakSet(), new WeakSet()];

/** Notes that an operand is a constant. */
export function steady(operand) {
  STEADY.add(operand);
  return operand;
}

/** With its axes in another order. */
export function turned(n, x, permutation) {
  const y = n.builder.transpose(x, { permutation });
  if (STEADY.has(x)) TURNED.add(steady(y));
  return y;
}

/** In another shape. Chromium 147 gives a turned constant's elements as if it had not been turned. */
export function reshaped(n, x, shape) {
  const y = n.builder.reshape(TURNED.has(x) ? n.builder.identity(x) : x, shape);
  return STEADY.has(x) && !TURNED.has(x) ? steady(y) : y;
}

/** Operands of which none is another: Chromium 147 ends the page over one that is read twice, where it moves transposes over its reader. */
export const distinct = (n, operands) =>
  operands.map((x, i) => (operands.indexOf(x) < i && x.shape.length === 4 ? n.builder.reshape(x, x.shape) : x));

/** The elements at those places along an axis. */
export function taken(n, x, axis, places) {
  const [first] = places;
  const inARow = places.every((at, i) => at === first + i);
  if (inARow && places.length === x.shape[axis]) return x;
  if (!inARow) return n.builder.gather(x, constant(n, 'int32', [places.length], Int32Array.from(places)), { axis });
  const begin = x.shape.map((_, i) => (i === axis ? first : 0));
  return n.builder.slice(x, begin, x.shape.map((size, i) => (i === axis ? places.length : size)));
}

/** The elements in `[begin, begin + count)` along an axis. */
export const part = (n, x, axis, begin, count) => taken(n, x, axis, Array.from({ length: count }, (_, i) => begin + i));
