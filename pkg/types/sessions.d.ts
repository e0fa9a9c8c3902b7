// Loaded models and their calls.

import type { Answered, Lane, Precision } from './lanes.js';
import type { MemoryMap } from './memory.js';
import type { Goal, Strategy } from './predictions.js';
import type { TensorLocation, TensorType, Tensors } from './tensors.js';

/** Type and shape of a model's input or output; a free dimension is its name, or `''` where the model gives none. */
export interface ValueMetadata {
  /** Name in the model. */
  name: string;
  /** Type of the elements. */
  type: TensorType;
  /** Elements along each axis, the outermost first: a number, or the free dimension's name. */
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
  /** Name in messages and reports, as the load gave it, or the file's without its ending; `'model'` for bytes. */
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
  /** Who answered its last call; `null` before the first. Throws with kind `closed` once it was released. */
  readonly answered: Answered | null;
  /** Names of the inputs that `run` is fed, in the model's order. */
  readonly inputNames: readonly string[];
  /** Names of the outputs that `run` gives, in the model's order. */
  readonly outputNames: readonly string[];
  /** Type and shape of each input, in the order of `inputNames`. */
  readonly inputMetadata: readonly ValueMetadata[];
  /** Type and shape of each output, in the order of `outputNames`. */
  readonly outputMetadata: readonly ValueMetadata[];
  /**
   * Runs the model once. Any number of calls may be in flight at once: those of equal shapes that wait together are computed as one call of
   * more rows where the model keeps rows apart and that is measured to take less; outputs may then differ in their last bits. Rejects with
   * `invalid-input` for feeds or options that do not fit, `unsupported` for shapes that no lane of it takes, `busy`, `deadline`, `aborted`,
   * `out-of-memory`, `closed`, and `device-lost` where a lane was lost and no other answers.
   */
  run(feeds: Readonly<Tensors>, options?: RunOptions): Promise<Tensors>;
  /**
   * Where the tensors of the shapes that ran last lie in the arena; `null` before anything was compiled. Throws with kind `closed` once it was
   * released.
   */
  memoryMap(): MemoryMap | null;
  /** Frees what only this session holds; calls in flight still finish. Never rejects, and may be called again. */
  release(): Promise<void>;
}

/** One call of a session. */
export interface Request {
  /** A session of this pool. */
  session: Session;
  /** A tensor for each of its inputs, by name. */
  feeds: Readonly<Tensors>;
  /** Where this request's outputs go, in place of what the call says. */
  outputLocation?: RunOptions['outputLocation'];
}

/** A request of which only the shapes matter; `feeds` or `shapes` must be there. */
export interface RequestShape {
  /** A session of this pool. */
  session: Session;
  /** Tensors by input name, of which only `dims` are read. */
  feeds?: Readonly<Tensors>;
  /** Dims by input name; where they are given `feeds` is not read. */
  shapes?: Readonly<Record<string, readonly number[]>>;
}

/** Options of `pool.runAll`. */
export interface RunAllOptions extends RunOptions {
  /** How the set is executed; `'auto'`, the default, takes what is best for `goal`. */
  strategy?: Strategy | 'auto';
  /** What `'auto'` chooses for; default: the pool's. */
  goal?: Goal;
}
