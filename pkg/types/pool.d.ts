// The pool: its options, its queue, and all that it does.

import type { Accuracy } from './accuracy.js';
import type { PoolCapabilities, Profile } from './capabilities.js';
import type { Fallback, Lane } from './lanes.js';
import type { FileOptions, LoadOptions, ModelSource, ModelWithData } from './loading.js';
import type { MemoryReport, TrafficReport } from './memory.js';
import type { CompareOptions, Comparison, Goal, Prediction } from './predictions.js';
import type { PoolRecords } from './records.js';
import type { Priority, Request, RequestShape, RunAllOptions, Session } from './sessions.js';
import type { Tensor, TensorType, Tensors } from './tensors.js';

/** Options of `Pool.create`. */
export interface PoolOptions {
  /**
   * Lanes that may be used. Default: `gpu`, or the others where there is none; beside a GPU that may be slower than the processor
   * all that the browser has are opened and measured, and the fastest comes first. An adapter that calls itself a fallback computes on
   * the processor, more slowly than `cpu` does: it is opened where it is named, or where no other lane is left.
   */
  lanes?: readonly Lane[];
  /**
   * The device that the lane `webnn` asks the browser for, its `deviceType`, `cpu` unless it is said; the browser may give another:
   * `pool.capabilities.devices` has what it says of itself. A `gpu` or `npu` may compute in fewer bits than float32 has.
   */
  webnn?: { deviceType?: 'cpu' | 'gpu' | 'npu' };
  /**
   * Most threads that the lane `cpu` takes; default: as many as the machine has, 8 at most. More than one needs a page that is
   * cross-origin isolated, which the console says once where it is not. Where no Worker can be made it runs in the page itself, by one
   * thread, in slices of about 12 ms.
   */
  threads?: number;
  /**
   * Most processors, each with workers of its own, that the lane `cpu` opens, as sessions come or calls wait: models that are called
   * at once run at once, sharing out `threads`; each has one at least. Default: 2 where a page can share memory among threads, as
   * many as `threads` where it cannot; never more than `threads`.
   */
  processors?: number;
  /**
   * Whether the pool is in a worker of its own: then the page's main thread only sends and receives. Elements that are fed are copied
   * to it, those of outputs moved from it; `memory()`, `traffic()`, `session.lane` and `tensor.dispose()` are as of the last answer,
   * `accuracy()` and `memoryMap()` a moment behind. Rejects with `unsupported` where the page may have no workers. Default `false`.
   */
  worker?: boolean;
  /** Told of each session whose calls run on another lane than before, since that one was lost or does not take it. */
  onFallback?: (fallback: Fallback) => void;
  /**
   * What the pool does while nobody sees the page: it computes by one thread and tunes nothing (`'yield'`, the default), or goes on as
   * ever (`'work'`). A page in a worker of its own making does not know whether it is seen.
   */
  background?: 'yield' | 'work';
  /** Most calls that may be unanswered at a time: one more rejects at once with kind `busy`. Default: any number. */
  maxPending?: number;
  /**
   * Whether calls may now and then run in a way that is not known to be the best, so that it becomes known: by another strategy whose
   * forecast is at most 1.2 times the best's, as fewer calls, on another lane, or there while shapes are being built. Default true. What is asked for is done either way.
   */
  explore?: boolean;
  /** Upper bound of the bytes that the pool may hold on each lane; what would pass it rejects with `out-of-memory`. Default: none. */
  memoryBudget?: number;
  /** What plans are chosen for where a call does not say; default `'latency'`. */
  goal?: Goal;
  /**
   * When the pool measures what kernels reach of the adapter's ceilings, which predictions need: between calls after the
   * first result (`'idle'`, the default), before the pool is there (`'now'`), or when a prediction asks (`'asked'`).
   */
  measure?: 'idle' | 'now' | 'asked';
  /**
   * Where what was measured of an adapter, what the last 256 executions on it took, and the last 64 refits and comparisons are kept for
   * later pools on it, which then measure no more than its ceilings, and forecast from the first call on as this one would: in the
   * browser's IndexedDB (the default), or nowhere, and nothing is taken from there either. Where that store fails (a private window, no
   * room, a value that cannot be read, a newer release's, no answer within 3 s) the pool goes on in memory, which the console says once.
   */
  records?: 'indexeddb' | 'none';
}

/** A call that has no answer yet. */
export interface QueuedCall {
  /** Names of its sessions, in the order of its requests. */
  sessions: readonly string[];
  /** The lane that it is on. */
  lane: Lane;
  /** Whether its lane is at work on it, or others are before it. */
  state: 'running' | 'waiting';
  /** How urgent it is. */
  priority: Priority;
  /** Milliseconds since it came to the lane. */
  waitedMs: number;
  /** Milliseconds that it is forecast to take of the lane, run by itself. */
  predictedMs: number;
  /** In how many milliseconds it is expected to begin; below zero since it did. */
  predictedStartMs: number;
  /** Milliseconds that are left until its deadline, below zero beyond it; `null` where it has none. */
  deadlineMs: number | null;
}

/** What `pool.queue` returns. */
export interface QueueReport {
  /** Calls without an answer, those among them whose sessions are made ready first. */
  pending: number;
  /** Those that are on their lanes, by lane, in the order in which they are to run; one over several lanes is on each. */
  calls: readonly QueuedCall[];
}

/** A shared pool of GPU memory with the sessions that live on it. */
export class Pool {
  private constructor();
  /**
   * Opens the lanes and measures their ceilings. Rejects with kind `no-webgpu` where there is no adapter and no other lane may be used or
   * opens, `unsupported` for lanes, or a worker, that cannot be had here, `invalid-input` for options that make no sense, and `fetch` where
   * the wasm file cannot be had.
   */
  static create(options?: PoolOptions): Promise<Pool>;
  /** What its lanes run on, and what the browser can do. */
  readonly capabilities: PoolCapabilities;
  /** What was measured of the preferred lane. */
  readonly profile: Profile;
  /** What was measured of every lane, the preferred first. */
  readonly profiles: readonly Profile[];
  /**
   * Loads a model from a URL (its external data beside it), from its bytes, or from both kinds with its external data. Nothing stays of one
   * that fails. Of its files it rejects with `fetch` where one cannot be had, whose length is not what its server states, or in whose place a
   * page of HTML comes, `missing-data` where that is external data beside the model, `invalid-model` for a model that is none, a page of HTML
   * among these, and `integrity` for another digest than stated; the message names the address and what was found. Besides, with `unsupported`
   * where no lane takes it, `device-lost` where its lane is lost meanwhile and no other is left, `invalid-input` for options that make no
   * sense, `out-of-memory`, `aborted` and `closed`.
   */
  load(source: ModelSource | ModelWithData, options?: LoadOptions): Promise<Session>;
  /**
   * Fetches the files of a model into the browser's Cache, and does nothing else: the next load of them in this page asks the network
   * for nothing. Resolves with the bytes of them that are kept, 0 where the browser keeps nothing. Rejects as `load` does.
   */
  preload(source: ModelSource | ModelWithData, options?: FileOptions): Promise<number>;
  /** Runs all requests in one execution; the outputs come in their order, by name. Rejects as `session.run` does, as a whole. */
  runAll(requests: readonly Request[], options?: RunAllOptions): Promise<Tensors[]>;
  /**
   * What each way of running the set is expected to take, in time and bytes, and which is best for `goal` (default: the pool's). Nothing is
   * run, but shapes that are new are compiled. Rejects with `invalid-input` for no requests or shapes that do not fit, `unsupported` where
   * no lane takes them, `out-of-memory`, `device-lost` and `closed`.
   */
  predict(requests: readonly RequestShape[], options?: { goal?: Goal }): Promise<Prediction>;
  /**
   * Runs every strategy in turn, interleaved, in rounds after one warm-up, and says which was best. Rejects with `invalid-input` for no requests, other repeats, or feeds that do not fit, `unsupported` where no
   * lane takes them, `out-of-memory`, `device-lost`, `aborted` and `closed`.
   */
  compare(requests: readonly Request[], options?: CompareOptions): Promise<Comparison>;
  /**
   * Copies a tensor to the pool's first lane, where it stays: an input that many calls share is uploaded once. Rejects with
   * `invalid-input` for one that is on the GPU already, `out-of-memory`, `device-lost` and `closed`.
   */
  upload<T extends TensorType>(tensor: Tensor<T>): Promise<Tensor<T>>;
  /**
   * The calls that have no answer yet, and when each is expected to run. Rejects only where the pool's own worker is gone, with `closed` or
   * `device-lost`.
   */
  queue(): Promise<QueueReport>;
  /** What it measured, to be taken out and brought in. */
  readonly records: PoolRecords;
  /** What crossed between page and lanes so far. */
  traffic(): TrafficReport;
  /** What the pool holds now, by purpose, lane and session. */
  memory(): MemoryReport;
  /** How right forecasts were on a lane; default: the preferred one. Throws with kind `invalid-input` where the pool has no such lane. */
  accuracy(lane?: Lane): Accuracy;
  /** Releases every session and the device; calls in flight are rejected with kind `closed`. */
  close(): Promise<void>;
}
