// A server that imports the package, as where a page is rendered before it is sent: nothing happens, and whoever asks for more is told.
// Knows no page.

import assert from 'node:assert/strict';
import * as consort from 'consort-ml';

assert.deepEqual(Object.keys(consort).sort(), ['Capabilities', 'ConsortError', 'Pool', 'Session', 'Tensor', 'init']);
assert.equal(new consort.Tensor('int64', [1n, 2n], [2]).size, 2);
await assert.rejects(consort.Pool.create(), (error) => error instanceof consort.ConsortError);
