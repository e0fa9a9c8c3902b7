// Operators that move elements and change none, by MLGraphBuilder. Knows axes and places; must never know another family.

import { constant, distinct, from, moved, product, refuse, reshaped, taken, turned, widened } from './common.js';

const { min, max } = Math;

export const seen = (n) => reshaped(n, n.x(0), n.result(0));

export const transposed = (n) => moved(n, 'transpose', n.x(0), (x) => turned(n, x, n.ints('perm', backwards(n.shape(0).length))));

export const expanded = (n) => n.builder.expand(n.x(0), n.result(0));

export const gathered = (n) =>
  moved(n, 'gather', n.x(0), (x) => n.builder.gather(x, n.x(1), { axis: from(n.int('axis', 0), n.shape(0).length) }));

/** Along which axis indices count, for those operators that look at one. */
const along = (n) => ({ axis: from(n.int('axis', 0), n.shape(0).length) });

/** Indices in a type that the operator takes; no axis is so long that they are others then. */
function indices(n, name) {
  if (n.takes(name, 'indices', n.type(1))) return n.x(1);
  const known = n.known(1);
  return known ? constant(n, 'int32', n.shape(1), Int32Array.from(known)) : n.builder.cast(n.x(1), 'int32');
}

/** What lies at the indices, which need not reach as far along the other axes: the rest is cut off first. */
export function gatheredElements(n) {
  const { axis } = along(n);
  const sizes = n.shape(0).map((size, i) => (i === axis ? size : n.shape(1)[i]));
  const cut = (x) => (String(sizes) === String(x.shape) ? x : n.builder.slice(x, sizes.map(() => 0), sizes));
  return moved(n, 'gatherElements', n.x(0), (x) => n.builder.gatherElements(cut(x), indices(n, 'gatherElements'), { axis }));
}

export const gatheredSlices = (n) => moved(n, 'gatherND', n.x(0), (x) => n.builder.gatherND(x, indices(n, 'gatherND')));

export const placed = (name) => (n) => {
  const [x, updates] = widened(n, name, 'input', [n.x(0), n.x(2)]);
  const y = n.builder[name](x, indices(n, name), updates, along(n));
  return y.dataType === n.type(0) ? y : n.builder.cast(y, n.type(0));
};

export const triangle = (n) =>
  moved(n, 'triangular', n.x(0), (x) => n.builder.triangular(x, { upper: n.int('upper', 1) === 1, diagonal: n.has(1) ? n.values(1)[0] : 0 }));

export function slice(n) {
  const shape = n.shape(0);
  const old = n.ints('starts');
  const starts = old ?? n.values(1);
  const ends = old ? n.ints('ends') : n.values(2);
  const axes = old ? n.ints('axes', starts.map((_, i) => i)) : n.has(3) ? n.values(3) : starts.map((_, i) => i);
  const steps = !old && n.has(4) ? n.values(4) : starts.map(() => 1);
  const [first, sizes, strides, reversed] = [shape.map(() => 0), [...shape], shape.map(() => 1), []];
  let x = n.x(0);
  axes.forEach((given, i) => {
    const axis = from(given, shape.length);
    const size = shape[axis];
    const place = (at, lowest, highest) => min(max(at < 0 ? at + size : at, lowest), highest);
    let [begin, end] = steps[i] > 0 ? [place(starts[i], 0, size), place(ends[i], 0, size)] : [place(starts[i], -1, size - 1), place(ends[i], -1, size - 1)];
    if (steps[i] < 0) {
      reversed.push(axis);
      [begin, end] = [size - 1 - begin, size - 1 - end];
    }
    [first[axis], sizes[axis], strides[axis]] = [begin, max(0, end - begin), Math.abs(steps[i])];
  });
  if (reversed.length) {
    const whole = n.takes('reverse', 'input', n.type(0));
    x = whole ? n.builder.reverse(x, { axes: reversed }) : reversed.reduce((y, axis) => taken(n, y, axis, backwards(shape[axis])), x);
  }
  return n.builder.slice(x, first, sizes, { strides, label: n.name });
}

/** The places along an axis of so many elements, from its end. */
export const backwards = (size) => Array.from({ length: size }, (_, i) => size - 1 - i);

export function split(n) {
  const axis = from(n.int('axis', 0), n.shape(0).length);
  const sizes = n.outputs.map((_, i) => n.result(i)[axis]);
  // A part of no elements is none.
  const parts = n.builder.split(n.x(0), sizes.filter((size) => size > 0), { axis });
  return sizes.map((size) => (size > 0 ? parts.shift() : undefined));
}

/** By mode: which of `size` elements lies at `at`, which may be before the first or after the last. */
const PADS = {
  edge: (at, size) => min(max(at, 0), size - 1),
  // The axis and its mirror image, over and over: an axis of one element has none.
  reflect: (at, size) => {
    const period = max(2 * (size - 1), 1);
    const inside = ((at % period) + period) % period;
    return min(inside, period - inside);
  },
  wrap: (at, size) => ((at % size) + size) % size,
};

export function pad(n) {
  const pads = n.ints('pads') ?? n.values(1);
  const [shape, result] = [n.shape(0), n.result(0)];
  const axes = n.has(3) ? n.values(3).map((axis) => from(axis, shape.length)) : shape.map((_, i) => i);
  const [before, after] = [shape.map(() => 0), shape.map(() => 0)];
  axes.forEach((axis, i) => ([before[axis], after[axis]] = [pads[i], pads[i + axes.length]]));
  const mode = n.string('mode', 'constant');
  if (mode !== 'constant') {
    // Not every platform has these modes, but each can say which element lies where.
    const source = PADS[mode] ?? refuse(`mode ${mode}`);
    const y = result.reduce((x, size, axis) => taken(n, x, axis, Array.from({ length: size }, (_, i) => source(i - before[axis], shape[axis]))), n.x(0));
    return y === n.x(0) ? n.builder.identity(y) : y;
  }
  const value = n.has(2) ? n.values(2)[0] : (n.float('value') ?? 0);
  const left = shape.map((size, axis) => size + min(before[axis], 0) + min(after[axis], 0));
  return moved(n, 'pad', n.x(0), (x) => {
    if (left.some((size) => size <= 0)) {
      const one = constant(n, 'float32', [], Float32Array.of(value));
      return n.builder.expand(n.builder.cast(one, x.dataType), result);
    }
    const cut = left.some((size, axis) => size !== shape[axis]);
    const rest = cut ? n.builder.slice(x, before.map((size) => max(-size, 0)), left) : x;
    return n.builder.pad(rest, before.map((size) => max(size, 0)), after.map((size) => max(size, 0)), { mode, value });
  });
}

export function joined(n) {
  // What has no elements, as an empty cache, is no operand here.
  const parts = n.inputs.map((_, i) => i).filter((i) => product(n.shape(i)) > 0).map((i) => n.x(i));
  return parts.length === 1 ? n.builder.identity(parts[0]) : n.builder.concat(distinct(n, parts), from(n.int('axis', 0), n.result(0).length));
}
