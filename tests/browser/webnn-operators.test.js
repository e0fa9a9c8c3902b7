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
