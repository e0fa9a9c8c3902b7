// A page in TypeScript at its strictest: what the package's types allow, and what they must not. Is compiled, never run.

import { Capabilities, ConsortError, Pool, Tensor, init } from 'consort-ml';
import type { ErrorKind, Fallback, Lane, PoolOptions, Prediction, Session } from 'consort-ml';

const options: PoolOptions = { lanes: ['cpu'], worker: true, onFallback: ({ from, to }: Fallback) => [from, to] satisfies Lane[] };

export async function page(model: URL, signal: AbortSignal): Promise<Float32Array> {
  await init();
  const { webgpu } = await Capabilities.detect();
  const pool = await Pool.create(webgpu.available ? {} : options);
  const session: Session = await pool.load(model, { signal, onProgress: ({ done, total }) => done / total });
  const feeds = { image: new Tensor('float32', new Float32Array(4), [1, 4]) };
  const prediction: Prediction = await pool.predict([{ session, feeds }]);
  const [outputs] = await pool.runAll([{ session, feeds }], { strategy: prediction.recommended });
  const data = await outputs?.['scores']?.getData();
  return data instanceof Float32Array ? data : new Float32Array();
}

export const kind = (error: unknown): ErrorKind | undefined => (error instanceof ConsortError ? error.kind : undefined);

// @ts-expect-error: an element type has its own array.
new Tensor('float32', new Int32Array(4), [4]);
// @ts-expect-error: there is no such lane.
Pool.create({ lanes: ['tpu'] });
