// Every kernel against its CPU reference, on this browser's adapter.

import init, { names, run } from '../conformance/consort_conformance.js';
import { assert, test } from './harness.js';

await init();

/** What no GPU has a kernel for. */
const ELSEWHERE = ['recurrent'];

for (const name of names().filter((name) => !ELSEWHERE.includes(name))) {
  test(`kernels: ${name}`, async () => {
    const count = await run(name);
    assert(count > 10, `only ${count} cases`);
    return `${count} cases`;
  });
}
