// Every case of the kernels' suites by WebNN: right, or refused with its reason.

import init, { Orders, names } from '../conformance/consort_conformance.js';
import { Context } from '../pkg/webnn/context.js';
import { assert, test } from './harness.js';

await init();
const context = await Context.open('cpu');

/** The last answer to the requests of a case, and its elements. */
async function answered(orders, i) {
  let last;
  for (const [at, [request, types]] of JSON.parse(orders.ask(i)).entries()) {
    last = await context.ask(request, types.map((type, part) => [type, orders.part(at, part)]));
    if (last[0].Failed) break;
  }
  await context.ask({ Forget: { programs: [i], tensors: [] } }, []);
  await context.ask({ Release: i }, []);
  return last;
}

for (const name of names()) {
  test(`webnn kernels: ${name}`, async () => {
    const orders = Orders.of(name);
    const [wrong, refused] = [[], new Map()];
    let taken = 0;
    for (let i = 0; i < orders.count(); i++) {
      const [answer, parts] = await answered(orders, i);
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
