// Loaded models and their calls.

import type { Answered, Lane, Precision } from './lanes.js';
import type { MemoryMap } from './memory.js';
import type { Goal, Strategy } from './predictions.js';
import type { TensorLocation, TensorType, Tensors } from './tensors.js';

/** Type and shape of a model's input or output; a free dimension is its name, or `''` where the model gives none. */
export interface ValueMetadata {
  name: string;
  type: TensorType;
  shape: readonly (number | string)[];
}

/** How urgent a call is: the words of the Prioritized Task Scheduling API. */
export type Priority = 'user-blocking' | 'user-visible' | 'background';

/** Options of one run. */
export interface RunOptions {
  /**
   * Of the calls that wait for a lane the more urgent run first, however many they are; of equal ones those whose session had least of
   * the lane lately, so that who calls often keeps nobody waiting. Default `'user-visible'`.
   */
  priority?: Priority;
  /**
   * Milliseconds from now within which the answer is needed. A call that would be late in its turn goes before others of its priority; one
   * that cannot be in time, as far as is known, rejects at once with kind `deadline`, before it runs. One that took longer than forecast is
   * answered all the same.
   */
  deadlineMs?: number;
  /** A fired signal rejects the call with kind `aborted`; other calls go on. A processor that computes it for nobody else stops soon. */
  signal?: AbortSignal;
  /** Where the outputs go, all or by name; default `'cpu'`. One on the GPU can be fed to any session of the pool and moves no bytes. */
  outputLocation?: TensorLocation | Readonly<Record<string, TensorLocation>>;
}

/** One loaded model. */
export class Session {
  private constructor();
  readonly name: string;
  /** Where it may run, the preferred first, as of its load. */
  readonly lanes: readonly Lane[];
  /** In what it is computed on those of them that are open, as far as that could be measured, by lane. */
  readonly precisions: Readonly<Partial<Record<Lane, Precision>>>;
  /** Why it may not run on others of the pool's lanes, by lane. */
  readonly refusals: Readonly<Partial<Record<Lane, string>>>;
  /**
   * Where its next call runs. One of shapes that are not built there yet is answered by another lane that is forecast to answer sooner,
   * while they are built beside it; later calls of these shapes run here. Throws with kind `closed` once it was released.
   */
  readonly lane: Lane;
  /** Who answered its last call; `null` before the first. */
  readonly answered: Answered | null;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata: readonly ValueMetadata[];
  readonly outputMetadata: readonly ValueMetadata[];
  /**
   * Runs the model once. Any number of calls may be in flight at once: those of equal shapes that wait together are computed as one
   * call of more rows where the model keeps rows apart and that is measured to take less; outputs may then differ in their last bits.
   */
  run(feeds: Readonly<Tensors>, options?: RunOptions): Promise<Tensors>;
  /** Where the tensors of the shapes that ran last lie in the arena; `null` before anything was compiled. */
  memoryMap(): MemoryMap | null;
  /** Frees what only this session holds; calls in flight still finish. */
  release(): Promise<void>;
}

/** One call of a session. */
export interface Request {
  session: Session;
  feeds: Readonly<Tensors>;
  /** In place of the call's. */
  outputLocation?: RunOptions['outputLocation'];
}

/** A request of which only the shapes matter; `feeds` or `shapes` must be there. */
export interface RequestShape {
  session: Session;
  feeds?: Readonly<Tensors>;
  shapes?: Readonly<Record<string, readonly number[]>>;
}

/** Options of `pool.runAll`. */
export interface RunAllOptions extends RunOptions {
  /** Default `'auto'`. */
  strategy?: Strategy | 'auto';
  goal?: Goal;
}
