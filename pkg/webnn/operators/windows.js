// Convolutions and pools by MLGraphBuilder. Knows windows and how they move; must never know another family.

import { floats, part, product, refuse, reshaped, turned } from './common.js';

const { max, floor, ceil } = Math;

/** `sizes` with one more of 1 at the end: a row is a picture of one column. */
const wide = (sizes) => [...sizes, 1];

/** How a window moves along each axis, as ONNX says it: `[before, after]` of each, strides and dilations. */
function window(n, sizes, kernel, output) {
  const ones = sizes.map(() => 1);
  const [strides, dilations] = [n.ints('strides', ones), n.ints('dilations', ones)];
  const auto = n.string('auto_pad', 'NOTSET');
  let pads = n.ints('pads', [...ones, ...ones].fill(0));
  if (auto.startsWith('SAME')) {
    const all = sizes.map((size, i) => max(0, (ceil(size / strides[i]) - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - size));
    const less = all.map((pad) => (auto === 'SAME_UPPER' ? floor(pad / 2) : ceil(pad / 2)));
    pads = [...less, ...all.map((pad, i) => pad - less[i])];
  } else if (auto === 'VALID') pads = pads.map(() => 0);
  if (output && pads.some((pad) => pad < 0)) refuse('pads below 0');
  return { strides, dilations, padding: sizes.map((_, i) => [pads[i], pads[i + sizes.length]]) };
}

/** What `of` makes of pictures, made of rows where the operand has one axis less. */
function pictures(n, of) {
  const shape = n.shape(0);
  if (shape.length === 4) return of(n.x(0), (i) => n.x(i), (sizes) => sizes, (pairs) => pairs.flat());
  if (shape.length !== 3) refuse(`${shape.length} axes`);
  const more = (list, one) => [...list, one];
  const widened = (i) => reshaped(n, n.x(i), wide(n.shape(i)));
  const y = of(widened(0), widened, (sizes) => more(sizes, 1), (pairs) => more(pairs, [0, 0]).flat());
  return reshaped(n, y, n.result(0));
}

/** `last`: its picture, where that has its channels last; the result has, too. */
export function convolution(n, last) {
  const sizes = n.shape(0).slice(2);
  const { strides, dilations, padding } = window(n, sizes, n.shape(1).slice(2));
  const options = { groups: n.int('group', 1), ...(n.has(2) && { bias: n.x(2) }), label: n.name };
  if (last) return n.builder.conv2d(last, n.x(1), { padding: padding.flat(), strides, dilations, inputLayout: 'nhwc', ...options });
  return pictures(n, (x, other, two, pads) =>
    n.builder.conv2d(x, other(1), {
      padding: pads(padding), strides: two(strides), dilations: two(dilations), ...options,
    }));
}

/** A picture with `stride - 1` zeros between its rows, or its columns. */
function apart(n, x, axis, stride) {
  if (stride === 1) return x;
  const [all, channels, ...sizes] = x.shape;
  const size = sizes[axis];
  const rows = [all * channels, product(sizes.slice(0, axis + 1)), 1, product(sizes.slice(axis + 1))];
  const padded = n.builder.pad(reshaped(n, x, rows), [0, 0, 0, 0], [0, 0, stride - 1, 0], { value: 0 });
  const long = [all, channels, ...sizes.with(axis, size * stride)];
  return part(n, reshaped(n, padded, long), axis + 2, 0, (size - 1) * stride + 1);
}

/** A transposed convolution as a convolution of a picture with zeros in it, by windows that are turned around. */
function backwards(n, x, w, { strides, dilations, kernel, before, result, groups }) {
  const [given, each] = w.shape;
  const parts = reshaped(n, w, [groups, given / groups, each, product(kernel)]);
  const across = reshaped(n, turned(n, parts, [0, 2, 1, 3]), [groups * each, given / groups, ...kernel]);
  const filter = n.builder.reverse(across, { axes: [2, 3] });
  const spread = strides.reduce((y, stride, axis) => apart(n, y, axis, stride), x);
  const first = strides.map((_, i) => (kernel[i] - 1) * dilations[i] - before[i]);
  const last = strides.map((_, i) => result[i] + before[i] - spread.shape[i + 2]);
  if ([...first, ...last].some((pad) => pad < 0)) refuse('pads beyond its windows');
  const padded = n.builder.pad(spread, [0, 0, ...first], [0, 0, ...last], { value: 0 });
  return n.builder.conv2d(padded, filter, { dilations, groups, ...(n.has(2) && { bias: n.x(2) }), label: n.name });
}

export function unconvolution(n) {
  const sizes = n.shape(0).slice(2);
  const kernel = n.shape(1).slice(2);
  const { strides, dilations } = window(n, sizes, kernel);
  const added = n.ints('output_padding', sizes.map(() => 0));
  const result = n.result(0).slice(2);
  const auto = n.string('auto_pad', 'NOTSET');
  let before = n.ints('pads', [...sizes, ...sizes].fill(0)).slice(0, sizes.length);
  if (auto.startsWith('SAME') || n.ints('output_shape', []).length) {
    const all = sizes.map((size, i) => max(0, (size - 1) * strides[i] + added[i] + (kernel[i] - 1) * dilations[i] + 1 - result[i]));
    before = all.map((pad) => (auto === 'SAME_UPPER' ? floor(pad / 2) : ceil(pad / 2)));
  }
  const groups = n.int('group', 1);
  return pictures(n, (x, other, two) => {
    const ones = (list) => [...list, 1].slice(0, 2);
    const nones = (list) => [...list, 0].slice(0, 2);
    // Not every platform takes these.
    if (groups > 1 || dilations.some((dilation) => dilation > 1)) {
      const axes = { strides: ones(strides), dilations: ones(dilations), kernel: ones(kernel), before: nones(before), result: ones(result) };
      return backwards(n, x, other(1), { ...axes, groups });
    }
    // Chromium 147 builds some paddings only, and gives zeros for others: all is computed, and cut.
    const whole = sizes.map((size, i) => (size - 1) * strides[i] + kernel[i]);
    const beyond = result.map((size, i) => max(0, before[i] + size - whole[i]));
    const y = n.builder.convTranspose2d(x, other(1), {
      strides: two(strides), filterLayout: 'iohw', outputPadding: nones(beyond), ...(n.has(2) && { bias: n.x(2) }), label: n.name,
    });
    const want = [...y.shape.slice(0, 2), ...ones(result)];
    return String(want) === String(y.shape) ? y : n.builder.slice(y, [0, 0, ...nones(before)], want);
  });
}

/** How many taps of a window, of which the first begins at `-before`, lie in `[low, high)`, for each place along an axis. */
const taps = (before, [low, high], kernel, stride, dilation, count) =>
  Array.from({ length: count }, (_, o) =>
    Array.from({ length: kernel }, (_, k) => o * stride - before + k * dilation).filter((at) => at >= low && at < high).length);

/** What no element is below. */
const LEAST = -3.4028234663852886e38;

/** A window's elements one after another: what a pool is where its taps do not lie side by side. */
function tapped(n, x, average, kernel, strides, dilations, result) {
  const at = (i, j) => {
    const sizes = result.map((count, axis) => (count - 1) * strides[axis] + 1);
    return n.builder.slice(x, [0, 0, i * dilations[0], j * dilations[1]], [...x.shape.slice(0, 2), ...sizes], { strides: [1, 1, ...strides] });
  };
  let y;
  for (let i = 0; i < kernel[0]; i++) {
    for (let j = 0; j < kernel[1]; j++) y = y ? n.builder[average ? 'add' : 'max'](y, at(i, j)) : at(i, j);
  }
  return average ? n.builder.mul(y, floats(n, [], [1 / product(kernel)])) : y;
}

/** `picture`: that of the node, where it has its channels last; the result has, too. */
export const pool = (name) => (n, picture) => {
  const kernel = n.ints('kernel_shape', []);
  const sizes = n.shape(0).slice(2);
  const { strides, dilations, padding } = window(n, sizes, kernel, true);
  const result = n.result(0).slice(2);
  const average = name === 'averagePool2d';
  // Not every platform leaves out what it pads with: the picture is padded here, and an average corrected.
  const beyond = result.map((count, i) => max(0, (count - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - sizes[i] - padding[i][0]));
  const before = padding.map(([first]) => first);
  // A list of all axes of one for those of a picture.
  const placed = ([a, c, ...rest]) => (picture ? [a, ...rest, c] : [a, c, ...rest]);
  const made = (x, _, two) => {
    const around = [...before, ...beyond].some((size) => size > 0);
    const [first, last] = [before, beyond].map((list) => placed([0, 0, ...list, ...(list.length === 1 ? [0] : [])]));
    const padded = around ? n.builder.pad(x, first, last, { value: average ? 0 : LEAST }) : x;
    const want = two(result);
    let y;
    if (dilations.some((dilation) => dilation > 1)) y = tapped(n, padded, average, two(kernel), two(strides), two(dilations), want);
    else {
      y = n.builder[name](padded, { windowDimensions: two(kernel), strides: two(strides), layout: picture ? 'nhwc' : 'nchw', label: n.name });
      const whole = placed([...n.result(0).slice(0, 2), ...want]);
      if (String(y.shape) !== String(whole)) y = n.builder.slice(y, [0, 0, 0, 0], whole);
    }
    if (!average || !around) return y;
    const counted = n.int('count_include_pad', 0) === 1;
    const inside = (i) => (counted ? [-padding[i][0], sizes[i] + padding[i][1]] : [0, sizes[i]]);
    const places = sizes.map((_, i) => taps(before[i], inside(i), kernel[i], strides[i], dilations[i], result[i]));
    const [rows, columns] = places.length === 1 ? [places[0], [1]] : places;
    const all = product(kernel);
    return n.builder.mul(y, floats(n, placed([1, 1, rows.length, columns.length]), rows.flatMap((row) => columns.map((column) => all / (row * column)))));
  };
  return picture ? made(picture, undefined, (list) => list) : pictures(n, made);
};
