// The onnx package's tests, most of them of single nodes, by one lane, through the package as people import it: right, refused with its reason, or
// wrong, which none may be. `?lane=` names the lane.

import { Pool } from '../pkg/index.js';
import { assert, test } from './harness.js';
import { portsOf, tensor, withConstants } from './onnx.js';
import { numbers } from './types.js';

const lane = new URLSearchParams(location.search).get('lane') ?? 'webnn';

/** How far onnx itself lets an implementation be off. */
const [RELATIVE, ABSOLUTE] = [1e-3, 1e-7];
const SAID_EVERY = 400;
/** Of the reasons for refusals so many are said, the most frequent first. */
const REASONS = 20;

/** Tests whose answers are not what ONNX's text says: what is wrong by them, and why. */
const DISPUTED = {
  test_resize_downsample_scales_linear_align_corners: ['is 4, not 3.142857074737549', 'places are spread over 2.4 elements, which is what 4 times 0.6 is before it becomes a size'],
};

/** What a refusal is called; that of a model which is in order should be called the first. */
const REFUSALS = ['unsupported', 'invalid-model', 'invalid-input'];

/** What is wrong with an output; nothing where it is right. */
function off(have, want, name) {
  if (`${have.type} [${have.dims}]` !== `${want.type} [${want.dims}]`) return `'${name}' is ${have.type} [${have.dims}], not ${want.type} [${want.dims}]`;
  const [a, b] = [have, want].map(({ type, data }) => numbers(type, data));
  const near = (x, y) => x === y || (Number.isNaN(x) && Number.isNaN(y)) || Math.abs(Number(x) - Number(y)) <= ABSOLUTE + RELATIVE * Math.abs(Number(y));
  const at = b.findIndex((y, i) => !near(a[i], y));
  return at < 0 ? undefined : `element ${at} of '${name}' is ${a[at]}, not ${b[at]}`;
}

/** Runs a model whose inputs are those files, in order. */
async function run(pool, { name }, model, inputs, outputs) {
  const session = await pool.load(model, { name });
  try {
    const ports = portsOf(model);
    const feeds = Object.fromEntries(ports.inputs.map((port, i) => [port, tensor(inputs[i])]));
    const made = await session.run(feeds);
    for (const [i, port] of ports.outputs.entries()) {
      const wrong = off(made[port], tensor(outputs[i]), port);
      if (wrong) return wrong;
    }
    return undefined;
  } finally {
    await session.release();
  }
}

/** Right, refused, or wrong, and why. */
async function judged(pool, one, bytes) {
  const [model, inputs, outputs] = [bytes(one.model), one.inputs.map(bytes), one.outputs.map(bytes)];
  const told = (error) => (REFUSALS.includes(error.kind) ? ['refused', error.message, error.kind] : ['wrong', `${error.kind ?? error.name}: ${error.message}`]);
  const end = (wrong) => (wrong ? ['wrong', wrong] : ['right']);
  try {
    return end(await run(pool, one, model, inputs, outputs));
  } catch (error) {
    const refusal = told(error);
    const { inputs: ports } = portsOf(model);
    if (refusal[0] === 'wrong' || ports.length < 2 || ports.length !== inputs.length) return refusal;
    // What decides a shape is an input of these tests and a constant of people's models.
    const constants = Object.fromEntries(ports.map((port, i) => [port, inputs[i]]).slice(1));
    try {
      const wrong = await run(pool, one, withConstants(model, constants), inputs.slice(0, 1), outputs);
      return wrong ? ['wrong', `its inputs as constants: ${wrong}`] : ['right', 'its inputs as constants'];
    } catch (again) {
      return told(again);
    }
  }
}

/** A message without what differs from node to node. */
const kindOf = (why) => why.replace(/'[^']*'/g, '…').replace(/[[(]?\d[\d, .\])]*/g, '…').slice(0, 100);

test(`node tests: every one of the onnx package is right on ${lane}, or refused with its reason`, async (say) => {
  const file = async (name) => {
    const response = await fetch(`/node-tests/${name}`);
    assert(response.ok, `${response.status}: ${name}`);
    return response;
  };
  const all = await (await file('index.json')).json();
  const stored = await (await file('all.bin')).arrayBuffer();
  const bytes = ([begin, size]) => new Uint8Array(stored, begin, size).slice();
  const opened = () => Pool.create({ lanes: [lane], measure: 'asked', records: 'none' });
  let pool = await opened();
  const [counts, reasons, wrong, misnamed] = [{ right: 0, constant: 0, refused: 0, disputed: 0 }, new Map(), [], []];
  for (const [i, one] of all.entries()) {
    const [end, why, kind] = await judged(pool, one, bytes);
    const [by, because] = DISPUTED[one.name] ?? [];
    if (end === 'wrong' && by && why.endsWith(by)) {
      say(`  ${one.name} is not counted: ${because}`);
      counts.disputed++;
    } else if (end === 'wrong') {
      wrong.push(`${one.name}: ${why}`);
      // What became of the lane must not be another test's fault.
      await pool.close();
      pool = await opened();
    } else counts[end]++;
    if (end === 'refused' && kind !== REFUSALS[0]) misnamed.push(one.name);
    if (end === 'right' && why) counts.constant++;
    if (end === 'refused') reasons.set(kindOf(why), [...(reasons.get(kindOf(why)) ?? []), one.name]);
    if ((i + 1) % SAID_EVERY === 0) say(`  ${i + 1} of ${all.length} node tests on ${lane}`);
  }
  await pool.close();
  const sorted = [...reasons].sort(([, a], [, b]) => b.length - a.length);
  for (const [reason, names] of sorted.slice(0, REASONS)) say(`  ${names.length}x ${reason}`);
  say(`  refused as if the model or its inputs were not in order: ${misnamed.join(', ')}`);
  const told = `${counts.right} of ${all.length} right, of these ${counts.constant} with all inputs but the first as constants, ${counts.refused} refused (${misnamed.length} as if the model or its inputs were not in order), ${counts.disputed} not counted, ${wrong.length} wrong`;
  assert(wrong.length === 0, `${told}:\n\n${wrong.join('\n')}`);
  assert(counts.right > 0, told);
  return told;
});
