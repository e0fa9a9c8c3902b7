// Runs in a frame, so that no other test grew the wasm module whose size it judges.

import { Pool } from '../pkg/index.js';
import wasm from '../pkg/generated/consort.js';
import { assert, equal } from './harness.js';
import { entry, feedsOf, relativeError } from './models.js';

/** Loads clip_tiny from its bytes and then from its address: the module holds no more than its weights and 64 MiB. */
export async function loadsInBounds() {
  const { memory } = await wasm();
  const pool = await Pool.create({ lanes: ['gpu'], measure: 'now', records: 'none' });
  const { url, inputs, golden } = entry('clip_tiny');
  const bytes = async (from) => new Uint8Array(await (await fetch(from)).arrayBuffer());
  const [model, data] = [await bytes(url), await bytes(`${url}.data`)];
  const session = await pool.load({ model, externalData: { 'clip_tiny.onnx.data': data } }, { name: 'clip' });
  const { weights } = pool.memory();
  assert(weights > 100e6, `${weights} bytes of weights`);
  // The memory of a wasm module never shrinks: its size is the most that it ever held.
  const bounded = (when) => {
    const size = memory.buffer.byteLength;
    assert(size <= weights + 64 * 2 ** 20, `${when}: the module takes ${size} bytes for ${weights} bytes of weights`);
    return size;
  };
  bounded('from bytes');
  assert(relativeError({ golden }, await session.run(await feedsOf({ inputs }))) <= 1e-3, 'outputs');
  await session.release();
  const streamed = await pool.load({ model: url, externalData: { 'clip_tiny.onnx.data': `${url}.data` } });
  const size = bounded('streamed');
  await streamed.release();
  equal(pool.memory().total, 0, 'bytes after both are released');
  await pool.close();
  return `${(size / 1e6).toFixed(0)} MB in all for ${(weights / 1e6).toFixed(0)} MB of weights`;
}
