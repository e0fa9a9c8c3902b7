// Every case of the kernels' suites by WebNN: right, or refused with its reason.

import init, { Orders, names } from '../conformance/consort_conformance.js';
import { Context } from '../pkg/webnn/context.js';
import { fused } from '../pkg/webnn/fuse.js';
import { assert, equal, test } from './harness.js';

await init();
/** By whether pictures have their channels last. */
const contexts = [await Context.open('cpu', false), await Context.open('cpu', true)];
/** Suites in which there are pictures. */
const PICTURES = ['convolutions', 'pooling', 'epilogues', 'planes apart'];

/** The last answer to the requests of a case, and its elements. */
async function answered(context, orders, i) {
  let last;
  for (const [at, [request, types]] of JSON.parse(orders.ask(i)).entries()) {
    const asked = await context.ask(request, types.map((type, part) => [type, orders.part(at, part)]));
    last = await (asked.later ?? asked);
    if (last[0].Failed) break;
  }
  await context.ask({ Forget: { programs: [i], tensors: [] } }, []);
  await context.ask({ Release: i }, []);
  return last;
}

for (const [name, context] of contexts.flatMap((context, last) => names().filter((name) => !last || PICTURES.includes(name)).map((name) => [name, context]))) {
  test(`webnn kernels: ${name}${context === contexts[1] ? ', channels last' : ''}`, async () => {
    const orders = Orders.of(name);
    const [wrong, refused] = [[], new Map()];
    let taken = 0;
    for (let i = 0; i < orders.count(); i++) {
      const [answer, parts] = await answered(context, orders, i);
      if (answer.Failed) {
        const { kind, message } = answer.Failed;
        if (kind !== 'unsupported') wrong.push(`${kind}: ${message}`);
        const reason = message.replace(/[\[\d,\]]+/g, '…').slice(0, 120);
        refused.set(reason, (refused.get(reason) ?? 0) + 1);
        continue;
      }
      const off = orders.wrong(parts.map(([, bytes]) => bytes));
      if (off) wrong.push(off);
      else taken++;
    }
    assert(wrong.length === 0, `${wrong.length} of ${orders.count()} cases are wrong:\n\n${wrong.slice(0, 6).join('\n\n')}`);
    assert(taken * 3 > orders.count(), `only ${taken} of ${orders.count()} cases are taken`);
    const reasons = [...refused].map(([reason, count]) => `${count}x ${reason}`).join('; ');
    return `${taken} of ${orders.count()} right, the rest refused: ${reasons}`;
  });
}

/** Nodes as an order has them, each `[operator, inputs, output]` of tensors by name; a number is a constant. */
function order(nodes, outputs) {
  const names = [];
  const tensors = [];
  const id = (name) => {
    if (!names.includes(name)) {
      names.push(name);
      const bytes = typeof name === 'number' && [...new Uint8Array(Float32Array.of(name).buffer)];
      const source = bytes ? { Constant: [[], { shape: [], data: ['float32', bytes] }] } : name === 'x' ? { Input: 0 } : 'Node';
      tensors.push({ name: String(name), ty: { dtype: 'float32', shape: bytes ? [] : [2, 3] }, source });
    }
    return names.indexOf(name);
  };
  const special = nodes.map(([, inputs, output], node) => ({ node, inputs: inputs.map(id), outputs: [id(output)] }));
  return {
    nodes: nodes.map(([op_type, , , attributes = {}]) => ({ op_type, attributes })),
    special: { tensors, nodes: special, inputs: [id('x')], outputs: outputs.map(id) },
  };
}

test('webnn: GELU and hard swish are found in what exporters write, and nowhere else', () => {
  const erf = [['Div', ['x', Math.SQRT2], 'd'], ['Erf', ['d'], 'e'], ['Add', ['e', 1], 's']];
  const clip = [['Add', ['x', 3], 'a'], ['Clip', ['a', 0, 6], 'c']];
  const cases = [
    ['gelu', [...erf, ['Mul', ['x', 's'], 'm'], ['Mul', ['m', 0.5], 'y']]],
    ['gelu', [...erf, ['Mul', ['x', 0.5], 'm'], ['Mul', ['m', 's'], 'y']]],
    ['gelu', [...erf, ['Mul', [0.5, 's'], 'm'], ['Mul', ['x', 'm'], 'y']]],
    ['gelu', [['Mul', [Math.SQRT1_2, 'x'], 'd'], ...erf.slice(1), ['Mul', ['x', 's'], 'm'], ['Div', ['m', 2], 'y']]],
    ['hardSwish', [...clip, ['Mul', ['x', 'c'], 'm'], ['Div', ['m', 6], 'y']]],
    ['hardSwish', [...clip, ['Div', ['c', 6], 'm'], ['Mul', ['x', 'm'], 'y']]],
    ['hardSwish', [['HardSigmoid', ['x'], 'h', { alpha: { Float: 1 / 6 } }], ['Mul', ['h', 'x'], 'y']]],
    [undefined, [['HardSigmoid', ['x'], 'h'], ['Mul', ['h', 'x'], 'y']]],
    [undefined, [...clip, ['Mul', ['x', 'c'], 'm'], ['Div', ['m', 5], 'y']]],
    [undefined, [...clip, ['Mul', ['c', 'c'], 'm'], ['Div', ['m', 6], 'y']]],
    [undefined, [...clip, ['Mul', ['x', 'c'], 'm'], ['Div', [6, 'm'], 'y']]],
  ];
  for (const [at, [want, nodes]] of cases.entries()) {
    const { found, gone } = fused(order(nodes, ['y']));
    const last = found.get(nodes.length - 1);
    equal([last?.op, gone.size], [want, want ? nodes.length - 1 : 0], `case ${at}`);
    // What somebody else reads stays as it is.
    equal(fused(order(nodes, ['y', nodes[0][2]])).found.size, 0, `case ${at}, seen from outside`);
  }
});
