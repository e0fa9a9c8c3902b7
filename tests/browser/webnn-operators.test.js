// Operators that WebNN has otherwise than ONNX, or not at all, through the lane: each is what the processor computes by its own
// references.

import { Pool, Tensor } from '../pkg/index.js';
import { assert, test } from './harness.js';
import { distance } from './models.js';
import { written } from './onnx-write.js';

let seed = 1;
const random = () => ((seed = (seed * 48271) % 2147483647) / 2147483647) * 2 - 1;
const floats = (...dims) => new Tensor('float32', Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, random), dims);
const whole = (type, dims, values) => new Tensor(type, type === 'int64' ? BigInt64Array.from(values, BigInt) : Int32Array.from(values), dims);

/** Runs a model on both lanes; what it takes is a tensor each, or a constant where its name says so. */
async function agrees(pools, what, { nodes, tensors, outputs, opset }) {
  const split = (constants) => Object.fromEntries(Object.entries(tensors).filter(([name]) => /^[wrb]\d*$/.test(name) === constants));
  const [inputs, constants] = [split(false), split(true)];
  const model = written({ nodes, inputs, constants, outputs, opset });
  const made = [];
  for (const pool of pools) {
    const session = await pool.load(model, { name: what });
    made.push(await session.run(inputs));
    await session.release();
  }
  const [ours, theirs] = made;
  for (const name of Object.keys(outputs)) {
    assert(String(ours[name].dims) === String(theirs[name].dims), `${what}, ${name}: [${ours[name].dims}], not [${theirs[name].dims}]`);
    const off = distance(ours[name].data, theirs[name].data);
    assert(off <= 1e-5, `${what}, ${name}: ${off} off: ${ours[name].data.slice(0, 4)}, not ${theirs[name].data.slice(0, 4)}`);
  }
}

const both = async (work) => {
  const pools = [];
  for (const lane of ['webnn', 'cpu']) pools.push(await Pool.create({ lanes: [lane], threads: 1, measure: 'asked', records: 'none' }));
  try {
    return await work(pools);
  } finally {
    for (const pool of pools) await pool.close();
  }
};

const GATES = { LSTM: 4, GRU: 3, RNN: 1 };
const [STEPS, BATCH, INPUT, HIDDEN] = [5, 2, 3, 4];

/** A recurrent node of random weights. */
function recurrent(op, { direction = 'forward', layout = 0, bias = true, states = true, lengths, peephole, ...more }) {
  const directions = direction === 'bidirectional' ? 2 : 1;
  const rows = GATES[op] * HIDDEN;
  const state = () => (layout ? floats(BATCH, directions, HIDDEN) : floats(directions, BATCH, HIDDEN));
  const tensors = {
    x: layout ? floats(BATCH, STEPS, INPUT) : floats(STEPS, BATCH, INPUT), w: floats(directions, rows, INPUT), r: floats(directions, rows, HIDDEN),
    ...(bias && { b: floats(directions, 2 * rows) }), ...(lengths && { lengths: whole('int32', [BATCH], lengths) }), ...(states && { h: state() }),
    ...(states && op === 'LSTM' && { c: state() }), ...(peephole && { b2: floats(directions, 3 * HIDDEN) }),
  };
  const named = ['x', 'w', 'r', 'b', 'lengths', 'h', 'c', 'b2'].map((name) => (name in tensors ? name : ''));
  while (!named.at(-1)) named.pop();
  const attributes = { hidden_size: { int: HIDDEN }, direction, layout: { int: layout }, ...more };
  const outputs = { y: 'float32', last: 'float32', ...(op === 'LSTM' && { inner: 'float32' }) };
  return { nodes: [{ op, inputs: named, outputs: Object.keys(outputs), attributes }], tensors, outputs };
}

test('webnn operators: LSTM, GRU and RNN with every option', () =>
  both(async (pools) => {
    const common = [
      {}, { bias: false, states: false }, { direction: 'reverse' }, { direction: 'bidirectional' }, { layout: 1, direction: 'bidirectional' },
      { clip: 0.4 }, { lengths: [3, 5] }, { lengths: [5, 5] }, { lengths: [1, 4], direction: 'bidirectional', layout: 1 }, { lengths: [4, 2], direction: 'reverse' },
    ];
    const own = {
      LSTM: [{ peephole: true }, { peephole: true, direction: 'bidirectional' }, { peephole: true, clip: 0.3 }, { activations: ['Sigmoid', 'Relu', 'Tanh'] }],
      GRU: [{ linear_before_reset: { int: 1 } }, { linear_before_reset: { int: 1 }, bias: false }, { linear_before_reset: { int: 1 }, clip: 0.3, direction: 'bidirectional' }, { activations: ['Tanh', 'Relu'] }],
      RNN: [{ activations: ['Relu'] }, { activations: ['Relu', 'Sigmoid'], direction: 'bidirectional' }],
    };
    let count = 0;
    for (const op of Object.keys(GATES)) {
      for (const options of [...common, ...own[op]]) {
        await agrees(pools, `${op} ${JSON.stringify(options)}`, recurrent(op, options));
        count++;
      }
    }
    return `${count} nodes`;
  }));

test('webnn operators: a large constant that is turned, and then seen otherwise', () =>
  both(async (pools) => {
    // Larger than what is turned at load.
    const [rows, columns] = [300, 299];
    for (const order of [['Transpose', 'Reshape'], ['Transpose', 'Unsqueeze'], ['Reshape', 'Transpose', 'Flatten']]) {
      const constants = { w: floats(rows, columns), w1: whole('int64', [2], order.length === 2 ? [rows, columns] : [columns, rows]), w2: whole('int64', [1], [0]) };
      const nodes = order.map((op, i) => ({
        op, inputs: [i === 0 ? 'w' : `t${i}`, ...(op === 'Reshape' ? ['w1'] : op === 'Unsqueeze' ? ['w2'] : [])], outputs: [`t${i + 1}`], attributes: op === 'Transpose' ? { perm: [1, 0] } : {},
      }));
      nodes.push({ op: 'Add', inputs: [`t${order.length}`, 'x'], outputs: ['y'] });
      await agrees(pools, order.join(), { nodes, tensors: { ...constants, x: floats(1) }, outputs: { y: 'float32' } });
    }
  }));

/** Runs `work` with lanes whose pictures have their channels last, or first. */
async function laidOut(last, work) {
  const { Worker } = globalThis;
  globalThis.Worker = class extends Worker {
    constructor(url, options) {
      super(String(url).endsWith('/webnn/worker.js') ? new URL(`./layout-worker.js?last=${last}`, import.meta.url) : url, options);
    }
  };
  try {
    return await both(work);
  } finally {
    globalThis.Worker = Worker;
  }
}

/** What may stand between two convolutions of six channels: a node, further ones and constants, and channels where they are others. */
const BETWEEN = {
  ...Object.fromEntries(['Relu', 'HardSwish', 'Sigmoid', 'LeakyRelu', 'Softplus', 'GlobalAveragePool', 'GlobalMaxPool'].map((op) => [op, { op }])),
  ...Object.fromEntries([1, 2, 3].flatMap((axis) => ['Softmax', 'LogSoftmax'].map((op) => [`${op} of axis ${axis}`, { op, attributes: { axis: { int: axis } } }]))),
  ...Object.fromEntries([0, 1].map((all) => [`AveragePool that counts ${all}`, { op: 'AveragePool', attributes: { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1], count_include_pad: { int: all } } }])),
  MaxPool: { op: 'MaxPool', attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] } },
  'MaxPool beyond the end': { op: 'MaxPool', attributes: { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: { int: 1 } } },
  'MaxPool of taps apart': { op: 'MaxPool', attributes: { kernel_shape: [2, 2], dilations: [2, 2] } },
  Clip: { op: 'Clip', more: ['b', 'b1'], constants: () => ({ b: new Tensor('float32', [0], []), b1: new Tensor('float32', [6], []) }) },
  'Add of itself': { op: 'Add', more: ['c'] },
  'Mul by a number': { op: 'Mul', more: ['b'], constants: () => ({ b: floats(1) }) },
  'Sub of channels': { op: 'Sub', more: ['b'], constants: () => ({ b: floats(1, 6, 1, 1) }) },
  'Add of three axes': { op: 'Add', more: ['b'], constants: () => ({ b: floats(6, 1, 1) }) },
  'Add of columns': { op: 'Add', more: ['b'], constants: () => ({ b: floats(9) }) },
  'Concat of channels': { op: 'Concat', more: ['c', 'c'], attributes: { axis: { int: 1 } }, channels: 18 },
  'Concat of rows': { op: 'Concat', more: ['c'], attributes: { axis: { int: 2 } } },
  Transpose: { op: 'Transpose', attributes: { perm: [0, 1, 3, 2] } },
  Pad: { op: 'Pad', more: ['b'], constants: () => ({ b: whole('int64', [8], [0, 0, 1, 2, 0, 0, 2, 1]) }) },
  Resize: { op: 'Resize', more: ['', 'b'], constants: () => ({ b: new Tensor('float32', [1, 1, 2, 2], [4]) }) },
  'ReduceMax of channels': { op: 'ReduceMax', attributes: { axes: [1], keepdims: { int: 1 } }, channels: 1 },
  'ReduceMean of rows': { op: 'ReduceMean', attributes: { axes: [2], keepdims: { int: 1 } } },
  ConvTranspose: { op: 'ConvTranspose', more: ['b'], attributes: { strides: [2, 2] }, constants: () => ({ b: floats(6, 6, 2, 2) }) },
};

for (const last of [0, 1]) {
  test(`webnn operators: between convolutions, channels ${last ? 'last' : 'first'}`, () =>
    laidOut(last, async (pools) => {
      for (const [name, { op, more = [], attributes = {}, constants = () => ({}), channels = 6 }] of Object.entries(BETWEEN)) {
        const nodes = [
          { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'], attributes: { auto_pad: 'SAME_UPPER', strides: [2, 1] } },
          { op, inputs: ['c', ...more], outputs: ['t'], attributes },
          { op: 'Conv', inputs: ['t', 'w1'], outputs: ['y'] },
        ];
        const tensors = { x: floats(2, 3, 11, 9), w: floats(6, 3, 3, 3), w1: floats(6, channels, 1, 1), ...constants() };
        await agrees(pools, name, { nodes, tensors, outputs: { y: 'float32' } });
      }
      const rows = [
        { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'] },
        { op: 'Softmax', inputs: ['c'], outputs: ['s'] },
        { op: 'Relu', inputs: ['c'], outputs: ['r'] },
        { op: 'Add', inputs: ['s', 'r'], outputs: ['y'] },
      ];
      await agrees(pools, 'a softmax beside', { nodes: rows, tensors: { x: floats(2, 3, 11, 9), w: floats(6, 3, 3, 3) }, outputs: { y: 'float32' } });
      // A gate: what its means say of each channel.
      const gate = [
        { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'], attributes: { pads: [1, 1, 1, 1] } },
        { op: 'GlobalAveragePool', inputs: ['c'], outputs: ['m'] },
        { op: 'Conv', inputs: ['m', 'w1'], outputs: ['g'] },
        { op: 'HardSigmoid', inputs: ['g'], outputs: ['h'] },
        { op: 'Mul', inputs: ['c', 'h'], outputs: ['y'] },
      ];
      await agrees(pools, 'a gate', { nodes: gate, tensors: { x: floats(2, 3, 11, 9), w: floats(6, 3, 3, 3), w1: floats(6, 6, 1, 1) }, outputs: { y: 'float32' } });
      return `${Object.keys(BETWEEN).length + 2} chains`;
    }));
}

/** Nodes that take and place elements by places, the last two without any twice, and those of elements by constant ones: `[what, tensors]`. */
const BY_PLACES = {
  GatherElements: [
    [{ axis: { int: 0 } }, { x: floats(3, 4, 2), w: whole('int64', [2, 4, 1], [0, 1, 2, -1, -3, 2, 1, 0]) }],
    [{ axis: { int: -1 } }, { x: floats(2, 5), w: whole('int32', [2, 6], [0, 1, -5, -1, 4, 4, 3, 2, 1, 0, -2, -3]) }],
    [{ axis: { int: 1 } }, { x: whole('int64', [2, 3], [2 ** 40, -1, 5, 6, 7, -(2 ** 40)]), w: whole('int64', [2, 2], [0, -1, 2, 1]) }],
  ],
  GatherND: [
    [{}, { x: floats(3, 4, 2), i: whole('int64', [2, 1, 1], [-1, 0]) }],
    [{}, { x: floats(3, 4, 2), i: whole('int32', [2, 2, 2], [0, 3, -1, -4, 2, 1, 1, -1]) }],
    [{}, { x: whole('int32', [3, 4], Array.from({ length: 12 }, (_, i) => i)), w: whole('int64', [5, 2], [0, 0, -3, -1, 2, 3, 1, 1, -1, 0]) }],
  ],
  ScatterElements: [
    [{ axis: { int: 0 } }, { x: floats(3, 4, 1), w: whole('int64', [2, 4, 1], [0, 1, 2, -1, 1, -1, -3, 0]), u: floats(2, 4, 1) }],
    [{ axis: { int: -1 } }, { x: floats(2, 5), w: whole('int64', [2, 3], [0, -1, 2, 4, 3, -3]), u: floats(2, 3) }],
  ],
  ScatterND: [
    [{}, { x: floats(4, 2, 3), i: whole('int64', [2, 1], [-1, 1]), u: floats(2, 2, 3) }],
    [{}, { x: floats(4, 2, 3), w: whole('int64', [3, 1, 2], [0, 1, -1, -2, 1, 0]), u: floats(3, 1, 3) }],
    [{}, { x: whole('int32', [3, 4], Array.from({ length: 12 }, (_, i) => i)), i: whole('int64', [2, 2], [2, 3, 0, -2]), u: whole('int32', [2], [-7, 2 ** 30]) }],
  ],
};

test('webnn operators: elements by places, and sums along an axis', () =>
  both(async (pools) => {
    let count = 0;
    const one = async (op, attributes, tensors) => {
      const { x } = tensors;
      const model = { nodes: [{ op, inputs: Object.keys(tensors), outputs: ['y'], attributes }], tensors, outputs: { y: x.type } };
      await agrees(pools, `${op} ${JSON.stringify(attributes)} of ${x.type} [${x.dims}]`, model);
      count++;
    };
    for (const [op, cases] of Object.entries(BY_PLACES)) {
      for (const [attributes, tensors] of cases) await one(op, attributes, tensors);
    }
    for (const [exclusive, reverse, axis] of [[0, 0, 0], [1, 0, 1], [0, 1, -1], [1, 1, -2]]) {
      const attributes = { exclusive: { int: exclusive }, reverse: { int: reverse } };
      for (const x of [floats(3, 4, 2), whole('int32', [2, 3], [1, -2, 3, 2 ** 20, 5, 6])]) await one('CumSum', attributes, { x, w: whole('int64', [], [axis]) });
    }
    return `${count} nodes`;
  }));

test('webnn operators: what divisions of whole numbers leave', () =>
  both(async (pools) => {
    const numbers = [7, -7, 6, -6, 0, 1, 2 ** 30 + 1, -(2 ** 30) - 1];
    const divisors = [3, 3, -3, -3, 5, -2, 7, 7];
    const tensors = { x: whole('int32', [8], numbers), d: whole('int32', [8], divisors) };
    await agrees(pools, 'Mod of int32', { nodes: [{ op: 'Mod', inputs: ['x', 'd'], outputs: ['y'] }], tensors, outputs: { y: 'int32' } });
  }));
