// ONNX operators by MLGraphBuilder, for shapes that are known. Knows both sides' operators; must never know a context.

const { max, min, floor, ceil } = Math;

/** What a graph cannot be built for. */
export class Unsupported extends Error {}

const refuse = (why) => {
  throw new Unsupported(why);
};

const product = (sizes) => sizes.reduce((a, b) => a * b, 1);
const from = (axis, rank) => (axis < 0 ? axis + rank : axis);
const named = (name) => (n) => n.builder[name](n.x(0));
const paired = (name) => (n) => n.builder[name](n.x(0), n.x(1));

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
  const widened = (i) => n.builder.reshape(n.x(i), wide(n.shape(i)));
  const y = of(widened(0), widened, (sizes) => more(sizes, 1), (pairs) => more(pairs, [0, 0]).flat());
  return n.builder.reshape(y, n.result(0));
}

function convolution(n) {
  const sizes = n.shape(0).slice(2);
  const { strides, dilations, padding } = window(n, sizes, n.shape(1).slice(2));
  return pictures(n, (x, other, two, pads) =>
    n.builder.conv2d(x, other(1), {
      padding: pads(padding), strides: two(strides), dilations: two(dilations), groups: n.int('group', 1),
      ...(n.has(2) && { bias: n.x(2) }), label: n.name,
    }));
}

function transposed(n) {
  const sizes = n.shape(0).slice(2);
  const kernel = n.shape(1).slice(2);
  const { strides, dilations } = window(n, sizes, kernel);
  const added = n.ints('output_padding', sizes.map(() => 0));
  const result = n.result(0).slice(2);
  const auto = n.string('auto_pad', 'NOTSET');
  let pads = n.ints('pads', [...sizes, ...sizes].fill(0));
  if (auto.startsWith('SAME') || n.ints('output_shape', []).length) {
    const all = sizes.map((size, i) => max(0, (size - 1) * strides[i] + added[i] + (kernel[i] - 1) * dilations[i] + 1 - result[i]));
    const less = all.map((pad) => (auto === 'SAME_UPPER' ? floor(pad / 2) : ceil(pad / 2)));
    pads = [...less, ...all.map((pad, i) => pad - less[i])];
  }
  const padding = sizes.map((_, i) => [pads[i], pads[i + sizes.length]]);
  // Not every platform pads both sides otherwise: then all is computed, and cut.
  const cut = padding.some(([before, after]) => before !== after);
  return pictures(n, (x, other, two, flat) => {
    const y = n.builder.convTranspose2d(x, other(1), {
      strides: two(strides), dilations: two(dilations), groups: n.int('group', 1), filterLayout: 'iohw',
      ...(cut ? { outputPadding: flat(added.map((size) => [size])).slice(0, 2) } : { padding: flat(padding), outputSizes: two(result) }),
      ...(n.has(2) && { bias: n.x(2) }), label: n.name,
    });
    const begin = [0, 0, ...padding.map(([before]) => before), 0].slice(0, 4);
    return cut ? n.builder.slice(y, begin, [...y.shape.slice(0, 2), ...two(result)]) : y;
  });
}

/** How many taps of a window, of which the first begins at `-before`, lie in `[low, high)`, for each place along an axis. */
const taps = (before, [low, high], kernel, stride, dilation, count) =>
  Array.from({ length: count }, (_, o) =>
    Array.from({ length: kernel }, (_, k) => o * stride - before + k * dilation).filter((at) => at >= low && at < high).length);

/** What no element is below. */
const LEAST = -3.4028234663852886e38;

const pool = (name) => (n) => {
  const kernel = n.ints('kernel_shape', []);
  const sizes = n.shape(0).slice(2);
  const { strides, dilations, padding } = window(n, sizes, kernel, true);
  const result = n.result(0).slice(2);
  const average = name === 'averagePool2d';
  // Not every platform leaves out what it pads with: the picture is padded here, and an average corrected.
  const beyond = result.map((count, i) => max(0, (count - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - sizes[i] - padding[i][0]));
  const before = padding.map(([first]) => first);
  return pictures(n, (x, _, two) => {
    const around = [...before, ...beyond].some((size) => size > 0);
    const [first, last] = [before, beyond].map((list) => [0, 0, ...list, ...(list.length === 1 ? [0] : [])]);
    const padded = around ? n.builder.pad(x, first, last, { value: average ? 0 : LEAST }) : x;
    const options = { windowDimensions: two(kernel), strides: two(strides), dilations: two(dilations), label: n.name };
    let y = n.builder[name](padded, options);
    const whole = y.shape.slice(2);
    const want = two(result);
    if (whole.some((size, i) => size !== want[i])) y = n.builder.slice(y, [0, 0, 0, 0], [...y.shape.slice(0, 2), ...want]);
    if (!average || !around) return y;
    const counted = n.int('count_include_pad', 0) === 1;
    const inside = (i) => (counted ? [-padding[i][0], sizes[i] + padding[i][1]] : [0, sizes[i]]);
    const places = sizes.map((_, i) => taps(before[i], inside(i), kernel[i], strides[i], dilations[i], result[i]));
    const [rows, columns] = places.length === 1 ? [places[0], [1]] : places;
    const all = product(kernel);
    const factors = Float32Array.from(rows.flatMap((row) => columns.map((column) => all / (row * column))));
    return n.builder.mul(y, n.builder.constant({ dataType: 'float32', shape: [1, 1, rows.length, columns.length] }, factors));
  });
};

function product2(n) {
  const [a, b] = [n.shape(0), n.shape(1)];
  const left = a.length === 1 ? n.builder.reshape(n.x(0), [1, ...a]) : n.x(0);
  const right = b.length === 1 ? n.builder.reshape(n.x(1), [...b, 1]) : n.x(1);
  const plain = n.builder.matmul(left, right, { label: n.name });
  const y = a.length === 1 || b.length === 1 ? n.builder.reshape(plain, n.result(0)) : plain;
  return n.has(2) ? n.builder.add(y, n.x(2)) : y;
}

function softmax(n, x = n.x(0)) {
  const shape = n.shape(0);
  if (n.opset >= 13) return n.builder.softmax(x, from(n.int('axis', -1), shape.length));
  // Before, all axes from this one on were one.
  const axis = from(n.int('axis', 1), shape.length);
  if (axis === shape.length - 1) return n.builder.softmax(x, axis);
  const rows = n.builder.reshape(x, [product(shape.slice(0, axis)), product(shape.slice(axis))]);
  return n.builder.reshape(n.builder.softmax(rows, 1), shape);
}

const reduced = (name, whole) => (n) => {
  const rank = n.shape(0).length;
  const asked = whole ? [] : (n.ints('axes') ?? (n.has(1) ? n.values(1) : []));
  if (!whole && !asked.length && n.int('noop_with_empty_axes', 0)) return n.builder.identity(n.x(0));
  const every = Array.from({ length: rank }, (_, i) => i);
  const axes = whole ? every.slice(2) : asked.length ? asked.map((axis) => from(axis, rank)) : every;
  return n.builder[name](n.x(0), { axes, keepDimensions: whole || n.int('keepdims', 1) === 1, label: n.name });
};

function clip(n) {
  const bound = (i, name) => n.has(i) ? n.known(i)?.[0] : (n.float(name) ?? undefined);
  const [low, high] = [bound(1, 'min'), bound(2, 'max')];
  const known = (!n.has(1) || low !== undefined) && (!n.has(2) || high !== undefined);
  if (known && n.type(0) === 'float32') {
    return n.builder.clamp(n.x(0), { ...(low !== undefined && { minValue: low }), ...(high !== undefined && { maxValue: high }) });
  }
  const lowest = n.has(1) ? n.builder.max(n.x(0), n.x(1)) : n.x(0);
  return n.has(2) ? n.builder.min(lowest, n.x(2)) : n.builder.identity(lowest);
}

function resize(n) {
  const [[, , height, width], result] = [n.shape(0), n.result(0)];
  if (n.shape(0).length !== 4 || result[0] !== n.shape(0)[0] || result[1] !== n.shape(0)[1]) refuse('other axes than the last two');
  const mode = n.string('mode', 'nearest');
  const where = n.string('coordinate_transformation_mode', 'half_pixel');
  const times = [result[2] / height, result[3] / width];
  const repeated = times.every((factor) => Number.isInteger(factor));
  if (mode === 'nearest') {
    // An element is repeated then, whichever way its place is rounded.
    const rounded = n.string('nearest_mode', 'round_prefer_floor');
    const repeats = where === 'asymmetric' ? rounded === 'floor' : where.endsWith('half_pixel') && rounded.startsWith('round');
    if (!repeated || !repeats) refuse(`nearest at these sizes, ${where}, ${rounded}`);
    return n.builder.resample2d(n.x(0), { mode: 'nearest-neighbor', sizes: result.slice(2), axes: [2, 3] });
  }
  const even = where === 'half_pixel' || (where === 'pytorch_half_pixel' && result[2] > 1 && result[3] > 1);
  if (mode !== 'linear' || !even || times.some((factor) => factor < 1)) refuse(`mode ${mode}, ${where}`);
  return n.builder.resample2d(n.x(0), { mode: 'linear', sizes: result.slice(2), axes: [2, 3] });
}

function slice(n) {
  const shape = n.shape(0);
  const old = n.ints('starts');
  const starts = old ?? n.values(1);
  const ends = old ? n.ints('ends') : n.values(2);
  const axes = old ? n.ints('axes', starts.map((_, i) => i)) : n.has(3) ? n.values(3) : starts.map((_, i) => i);
  const steps = !old && n.has(4) ? n.values(4) : starts.map(() => 1);
  const [first, sizes, strides, turned] = [shape.map(() => 0), [...shape], shape.map(() => 1), []];
  let x = n.x(0);
  axes.forEach((given, i) => {
    const axis = from(given, shape.length);
    const size = shape[axis];
    const place = (at, lowest, highest) => min(max(at < 0 ? at + size : at, lowest), highest);
    let [begin, end] = steps[i] > 0 ? [place(starts[i], 0, size), place(ends[i], 0, size)] : [place(starts[i], -1, size - 1), place(ends[i], -1, size - 1)];
    if (steps[i] < 0) {
      turned.push(axis);
      [begin, end] = [size - 1 - begin, size - 1 - end];
    }
    [first[axis], sizes[axis], strides[axis]] = [begin, max(0, end - begin), Math.abs(steps[i])];
  });
  if (turned.length) x = n.builder.reverse(x, { axes: turned });
  return n.builder.slice(x, first, sizes, { strides, label: n.name });
}

function split(n) {
  const axis = from(n.int('axis', 0), n.shape(0).length);
  return n.builder.split(n.x(0), n.outputs.map((_, i) => n.result(i)[axis]), { axis });
}

function pad(n) {
  const pads = n.ints('pads') ?? n.values(1);
  const rank = n.shape(0).length;
  const axes = n.has(3) ? n.values(3).map((axis) => from(axis, rank)) : n.shape(0).map((_, i) => i);
  const [before, after] = [n.shape(0).map(() => 0), n.shape(0).map(() => 0)];
  axes.forEach((axis, i) => ([before[axis], after[axis]] = [pads[i], pads[i + axes.length]]));
  if (pads.some((size) => size < 0)) refuse('pads below 0');
  const mode = { constant: 'constant', edge: 'edge', reflect: 'reflection' }[n.string('mode', 'constant')] ?? refuse('this mode');
  const value = n.has(2) ? n.values(2)[0] : (n.float('value') ?? 0);
  return n.builder.pad(n.x(0), before, after, { mode, ...(mode === 'constant' && { value }) });
}

function joined(n) {
  // What has no elements, as an empty cache, is no operand here.
  const parts = n.inputs.map((_, i) => i).filter((i) => product(n.shape(i)) > 0).map((i) => n.x(i));
  return parts.length === 1 ? n.builder.identity(parts[0]) : n.builder.concat(parts, from(n.int('axis', 0), n.result(0).length));
}

/** What a product or convolution names to be done to its results. */
function ended(of) {
  return (n) => {
    const y = of(n);
    const [low, high] = n.floats('activation_params') ?? [];
    const name = n.string('activation', '');
    if (name === 'Clip') return n.builder.clamp(y, { minValue: low, maxValue: high });
    return name === 'Relu' ? n.builder.relu(y) : name ? refuse(`activation ${name}`) : y;
  };
}

const greatest = (name) => (n) => {
  if (n.int('select_last_index', 0)) refuse('the last of equal elements');
  const axis = from(n.int('axis', 0), n.shape(0).length);
  return n.builder[name](n.x(0), axis, { keepDimensions: n.int('keepdims', 1) === 1, outputDataType: 'int64' });
};

function gemm(n) {
  return n.builder.gemm(n.x(0), n.x(1), {
    ...(n.has(2) && { c: n.x(2) }), alpha: n.float('alpha') ?? 1, beta: n.float('beta') ?? 1,
    aTranspose: n.int('transA', 0) === 1, bTranspose: n.int('transB', 0) === 1, label: n.name,
  });
}

function normal(n) {
  const rank = n.shape(0).length;
  const axis = from(n.int('axis', -1), rank);
  const axes = Array.from({ length: rank - axis }, (_, i) => axis + i);
  return n.builder.layerNormalization(n.x(0), {
    axes, scale: n.x(1), epsilon: n.float('epsilon') ?? 1e-5, ...(n.has(2) && { bias: n.x(2) }), label: n.name,
  });
}

function lstm(n) {
  if (n.has(4) || n.has(7) || n.int('layout', 0) || n.int('input_forget', 0) || n.float('clip') !== undefined) refuse('these options');
  const known = { Sigmoid: 'sigmoid', Tanh: 'tanh', Relu: 'relu' };
  const activations = n.strings('activations')?.slice(0, 3).map((name) => known[name] ?? refuse(`activation ${name}`));
  const [steps] = n.shape(0);
  const [directions, , hidden] = n.shape(2);
  const direction = { forward: 'forward', reverse: 'backward', bidirectional: 'both' }[n.string('direction', 'forward')];
  const half = (at) => n.builder.slice(n.x(3), [0, at * 4 * hidden], [directions, 4 * hidden]);
  const [h, c, y] = n.builder.lstm(n.x(0), n.x(1), n.x(2), steps, hidden, {
    ...(n.has(3) && { bias: half(0), recurrentBias: half(1) }), ...(n.has(5) && { initialHiddenState: n.x(5) }),
    ...(n.has(6) && { initialCellState: n.x(6) }), ...(activations && { activations }), returnSequence: true, direction, layout: 'iofg',
  });
  return [y, h, c];
}

function cast(n) {
  const to = n.typeOf(n.outputs[0]);
  if (n.onnxType(n.outputs[0]) !== 'bool' || n.onnxType(n.inputs[0]) === 'bool') return n.builder.cast(n.x(0), to);
  // Not every platform compares narrow numbers.
  const type = { uint8: 'int32', int8: 'int32', uint32: 'int64' }[n.type(0)] ?? n.type(0);
  return n.builder.notEqual(n.builder.cast(n.x(0), type), n.builder.constant(type, type === 'int64' ? 0n : 0));
}

const seen = (n) => n.builder.reshape(n.x(0), n.result(0));
const parametric = (name, defaults) => (n) => {
  const options = Object.fromEntries(Object.entries(defaults).map(([key, value]) => [key, n.float(key) ?? value]));
  return n.builder[name](n.x(0), options);
};

/** By name: what a node's outputs are made of. */
export const OPERATORS = {
  Abs: named('abs'), Neg: named('neg'), Sign: named('sign'), Sqrt: named('sqrt'), Exp: named('exp'), Log: named('log'),
  Reciprocal: named('reciprocal'), Floor: named('floor'), Ceil: named('ceil'), Round: named('roundEven'), Sin: named('sin'),
  Cos: named('cos'), Erf: named('erf'), Sigmoid: named('sigmoid'), Tanh: named('tanh'), Relu: named('relu'), Softplus: named('softplus'),
  Softsign: named('softsign'), HardSwish: named('hardSwish'), Not: named('logicalNot'), Identity: named('identity'),
  LeakyRelu: parametric('leakyRelu', { alpha: 0.01 }), Elu: parametric('elu', { alpha: 1 }),
  HardSigmoid: parametric('hardSigmoid', { alpha: 0.2, beta: 0.5 }),
  Add: paired('add'), Sub: paired('sub'), Mul: paired('mul'), Div: paired('div'), Min: paired('min'), Max: paired('max'),
  PRelu: paired('prelu'), Equal: paired('equal'), Greater: paired('greater'), GreaterOrEqual: paired('greaterOrEqual'),
  Less: paired('lesser'), LessOrEqual: paired('lesserOrEqual'), And: paired('logicalAnd'), Or: paired('logicalOr'), Xor: paired('logicalXor'),
  Pow: (n) => n.builder.pow(n.x(0), n.type(1) === n.type(0) ? n.x(1) : n.builder.cast(n.x(1), n.type(0))),
  Where: (n) => n.builder.where(n.x(0), n.x(1), n.x(2)),
  Cast: cast, Clip: clip,
  Conv: ended(convolution), ConvTranspose: transposed, MatMul: ended(product2), Gemm: ended(gemm),
  AveragePool: pool('averagePool2d'), MaxPool: pool('maxPool2d'),
  GlobalAveragePool: reduced('reduceMean', true), GlobalMaxPool: reduced('reduceMax', true),
  ReduceMean: reduced('reduceMean'), ReduceSum: reduced('reduceSum'), ReduceMax: reduced('reduceMax'), ReduceMin: reduced('reduceMin'),
  ReduceProd: reduced('reduceProduct'), ReduceL1: reduced('reduceL1'), ReduceL2: reduced('reduceL2'),
  ReduceSumSquare: reduced('reduceSumSquare'),
  Softmax: (n) => softmax(n), LogSoftmax: (n) => n.builder.log(softmax(n)),
  LayerNormalization: normal,
  BatchNormalization: (n) => n.builder.batchNormalization(n.x(0), n.x(3), n.x(4), { scale: n.x(1), bias: n.x(2), axis: 1, epsilon: n.float('epsilon') ?? 1e-5 }),
  Resize: resize, LSTM: lstm, ArgMax: greatest('argMax'), ArgMin: greatest('argMin'),
  Reshape: seen, Flatten: seen, Squeeze: seen, Unsqueeze: seen,
  Transpose: (n) => n.builder.transpose(n.x(0), { permutation: n.ints('perm', n.shape(0).map((_, i) => n.shape(0).length - 1 - i)) }),
  Expand: (n) => n.builder.expand(n.x(0), n.result(0)),
  Concat: joined,
  Gather: (n) => n.builder.gather(n.x(0), n.x(1), { axis: from(n.int('axis', 0), n.shape(0).length) }),
  Slice: slice, Split: split, Pad: pad,
  Trilu: (n) => n.builder.triangular(n.x(0), { upper: n.int('upper', 1) === 1, diagonal: n.has(1) ? n.values(1)[0] : 0 }),
};
