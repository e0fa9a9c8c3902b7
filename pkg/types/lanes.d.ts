// Lanes: where models run, and who answered.

/**
 * Where a model may run: WebGPU, the processor, in a worker, or the browser's own WebNN, on the processor, which takes fewer
 * operators and is opened only where it is asked for.
 */
export type Lane = 'gpu' | 'webnn' | 'cpu';

/**
 * In what a lane computes products of float32, by the significant bits that it keeps of factors and sums, as was measured: all 24, at
 * least the 11 that float16 and TF32 have, or fewer.
 */
export type Precision = 'f32' | 'f16' | 'bf16';

/** Who answered a call. */
export interface Answered {
  /** The lane that computed it. */
  lane: Lane;
  /** In what; `null` where it could not be measured. */
  precision: Precision | null;
}

/**
 * A session whose calls run on another lane from now on. A call that was in flight is answered there too: it is not lost. A lane
 * that was lost, a GPU device, a worker or a WebNN context that does not answer, is opened again where its session may run nowhere
 * else. Results of lanes differ in the last bits of float32.
 */
export interface Fallback {
  /** Name of the session. */
  session: string;
  /** The lane that was lost, or refused it. */
  from: Lane;
  /** The lane that answers from now on. */
  to: Lane;
  /** What was wrong with the other, in words. */
  reason: string;
}
