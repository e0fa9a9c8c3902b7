// Resize by MLGraphBuilder: by its own operator where that means the same, else axis by axis, as every place is known. Knows places
// along an axis; must never know another family.

import { floats, refuse, taken } from './common.js';

const { floor, ceil, abs, min, max } = Math;

/** The greatest divisor of a scale that is no fraction of sizes. */
const PARTS = 4096;

/** `value` as a fraction of small integers: output over input size where that is it, else by continued fractions. */
function fraction(value, output, input) {
  if (abs((value * input) / output - 1) < 1e-6) return [output, input];
  let [above, below, before, under] = [1, 0, 0, 1];
  for (let rest = value, i = 0; i < 12; i++) {
    const whole = floor(rest);
    const next = [whole * above + before, whole * below + under];
    if (next[1] > PARTS) break;
    [before, under, above, below] = [above, below, ...next];
    if (abs(rest - whole) < 1e-9 || abs(above / below / value - 1) < 1e-9) break;
    rest = 1 / (rest - whole);
  }
  return [max(above, 1), max(below, 1)];
}

/** Where each output element lies along an axis, as fractions of one divisor: `[numerators, divisor]`. */
function places(where, input, output, scale) {
  const [p, q] = fraction(scale, output, input);
  const known = {
    asymmetric: [q, 0, p],
    half_pixel: [2 * q, q - p, 2 * p],
    pytorch_half_pixel: output > 1 ? [2 * q, q - p, 2 * p] : [0, 0, 1],
    align_corners: output > 1 ? [input - 1, 0, output - 1] : [0, 0, 1],
  };
  const [step, shift, parts] = known[where] ?? refuse(`coordinates ${where}`);
  return [Array.from({ length: output }, (_, i) => step * i + shift), parts];
}

/** By `nearest_mode`: the element at `a / d`. */
const NEAREST = {
  floor: (a, d) => floor(a / d),
  ceil: (a, d) => ceil(a / d),
  round_prefer_floor: (a, d) => ceil((2 * a - d) / (2 * d)),
  round_prefer_ceil: (a, d) => floor((2 * a + d) / (2 * d)),
};

function along(n, x, axis, [numerators, divisor], rounded) {
  const inside = (at) => min(max(at, 0), x.shape[axis] - 1);
  if (rounded) return taken(n, x, axis, numerators.map((a) => inside((NEAREST[rounded] ?? refuse(`nearest_mode ${rounded}`))(a, divisor))));
  const lower = numerators.map((a) => floor(a / divisor));
  const share = numerators.map((a, i) => a / divisor - lower[i]);
  const first = taken(n, x, axis, lower.map(inside));
  if (share.every((part) => part === 0)) return first;
  const shape = x.shape.map((_, i) => (i === axis ? share.length : 1));
  const second = taken(n, x, axis, lower.map((at) => inside(at + 1)));
  const [less, more] = [share.map((part) => 1 - part), share].map((weights) => floats(n, shape, weights));
  return n.builder.add(n.builder.mul(first, less), n.builder.mul(second, more));
}

/** The options of the builder's own operator where it means the same; it stretches pixels from their middles. */
function own(n, mode, where, rounded, times) {
  if (n.shape(0).length !== 4) return undefined;
  const sizes = n.result(0).slice(2);
  if (mode === 'linear') {
    const even = where === 'half_pixel' || (where === 'pytorch_half_pixel' && sizes.every((size) => size > 1));
    return even && times.every((factor) => factor >= 1) ? { mode: 'linear', sizes, axes: [2, 3] } : undefined;
  }
  // An element is repeated then, whichever way its place is rounded.
  const repeats = where === 'asymmetric' ? rounded === 'floor' : where.endsWith('half_pixel') && rounded.startsWith('round');
  return repeats && times.every(Number.isInteger) ? { mode: 'nearest-neighbor', sizes, axes: [2, 3] } : undefined;
}

export function resize(n) {
  const [given, result] = [n.shape(0), n.result(0)];
  const old = n.opset < 11;
  const mode = n.string('mode', 'nearest');
  if (mode !== 'nearest' && mode !== 'linear') refuse(`mode ${mode}`);
  const where = n.string('coordinate_transformation_mode', old ? 'asymmetric' : 'half_pixel');
  const rounded = old ? 'floor' : n.string('nearest_mode', 'round_prefer_floor');
  const listed = (i) => (n.has(i) ? n.values(i) : []);
  const [scales, sizes] = old ? [listed(1), []] : [listed(2), listed(3)];
  const times = given.map((size, axis) => (sizes.length ? result[axis] / size : scales[axis]));
  const last = given.map((_, axis) => axis).slice(-2);
  const exact = last.every((axis) => times[axis] * given[axis] === result[axis]);
  const options = exact && own(n, mode, where, rounded, last.map((axis) => times[axis]));
  if (options) return n.builder.resample2d(n.x(0), options);
  // The axis first that leaves less to do.
  const order = last.toSorted((a, b) => result[a] / given[a] - result[b] / given[b]);
  const at = (axis) => places(where, given[axis], result[axis], times[axis]);
  const y = order.reduce((x, axis) => along(n, x, axis, at(axis), mode === 'nearest' && rounded), n.x(0));
  return y === n.x(0) ? n.builder.identity(y) : y;
}
