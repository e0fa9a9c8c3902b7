// A page in TypeScript at its strictest: what the package's types allow, and what they must not. Is compiled, never run.

import { Capabilities, ConsortError, Pool, Tensor, init } from 'consort-ml';
import type { ErrorKind, Fallback, FileOptions, Lane, LoadProgress, PoolOptions, Prediction, Session } from 'consort-ml';

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

export async function ahead(pool: Pool, model: URL): Promise<number> {
  const files: FileOptions = {
    integrity: { model: 'sha256-AAAA', externalData: { 'model.data': 'sha384-AAAA' } },
    cache: { maxBytes: 1e9 },
    network: { tries: 3, pauseMs: 100, stallMs: 10_000 },
    onProgress: ({ phase, file, bytesPerSecond = 0 }: LoadProgress) => (phase === 'download' ? [file, bytesPerSecond / 1e6] : []),
  };
  await pool.load(model, { ...files, integrity: 'sha512-AAAA', cache: false });
  return pool.preload({ model, externalData: { 'model.data': '/model.data' } }, files);
}

// @ts-expect-error: what is fetched ahead is not placed on a lane.
export const placed = (pool: Pool) => pool.preload('/model.onnx', { lanes: ['cpu'] });

// @ts-expect-error: an element type has its own array.
new Tensor('float32', new Int32Array(4), [4]);
// @ts-expect-error: there is no such lane.
Pool.create({ lanes: ['tpu'] });
