/**
 * Consort: several machine-learning models at once in one web page.
 *
 * Times are milliseconds, sizes are bytes. A value that is modelled and not measured says so in its name (`predicted…`).
 */

/** Element types of tensors. */
export type TensorType =
  | 'float32'
  | 'float16'
  | 'float64'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool';

/**
 * The typed array that holds each element type. A model of float16 is computed, and rounded, as float32; float16 is what goes in
 * and comes out. The GPU computes with float32, int32, bool, and int64 of 32 bits; what is of another type, and does more than
 * to be cast to one of these, runs on a processor.
 */
export interface TensorData {
  float32: Float32Array;
  /** `Float16Array`; its bits in a `Uint16Array` where the browser has none. Both may be given. */
  float16: Float16Elements;
  float64: Float64Array;
  int8: Int8Array;
  int16: Int16Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  uint16: Uint16Array;
  uint32: Uint32Array;
  uint64: BigUint64Array;
  /** Each 0 or 1. */
  bool: Uint8Array;
}

/** `Float16Array` where TypeScript knows it. */
export type Float16Elements = Uint16Array | (typeof globalThis extends { Float16Array: { prototype: infer T } } ? T : never);

/** Where a tensor's elements are. */
export type TensorLocation = 'cpu' | 'gpu';

/** What a picture is read from. An `<img>` must have loaded, a `<video>` must have a frame, and the page must be allowed to read it. */
export type ImageSource =
  | ImageData
  | ImageBitmap
  | VideoFrame
  | HTMLImageElement
  | HTMLVideoElement
  | HTMLCanvasElement
  | OffscreenCanvas
  /** An encoded picture, also a File; it is decoded, and turned as its EXIF says. */
  | Blob;

/** The order of a picture's channels; `gray` is the luma of BT.601. */
export type ImageChannels = 'rgb' | 'bgr' | 'rgba' | 'gray';

/** How a picture lies in a tensor. */
export interface ImageForm {
  /** [batch, channels, height, width] (the default) or [batch, height, width, channels]. */
  layout?: 'nchw' | 'nhwc';
  /** Of values from 0 to 1: an element of a float type is (value − mean) ÷ std. One for all channels, or one for each in their order. Default 0. */
  mean?: number | readonly number[];
  /** Default 1; never 0. */
  std?: number | readonly number[];
}

/** Options of `Tensor.fromImage`. */
export interface FromImageOptions extends ImageForm {
  /** Default `'rgb'`. */
  channels?: ImageChannels;
  /** [height, width] of the result in pixels; default: those of the picture, or of the crop. */
  size?: readonly [number, number];
  /** Part of the picture to take, in its pixels. It may reach beyond the picture, where `background` is. */
  crop?: { x: number; y: number; width: number; height: number };
  /** Where the sides' ratio differs: `'stretch'` (the default), all of it in the middle of `background`, or the middle of it everywhere. */
  fit?: 'stretch' | 'contain' | 'cover';
  /** What shows through transparent pixels, and where the picture does not reach: red, green, blue from 0 to 255, or one for all. Default 0. */
  background?: number | readonly number[];
  /** Of a float type 0 to 1 before mean and std (default `'float32'`); of a whole one 0 to 255, and without mean and std. */
  dtype?: 'float32' | 'float64' | 'float16' | 'uint8' | 'int32';
  /**
   * Where the first lane of this pool is a GPU, a picture of float32 goes there without its pixels coming to the processor, and the tensor
   * stays there: feed it to the pool's sessions, and `dispose` of it. Elsewhere (other types, a pool in a worker, a picture larger than a
   * texture, a source that the browser cannot copy) the tensor is as without it.
   */
  pool?: Pool;
}

/** Options of `tensor.toImageData`. */
export interface ToImageOptions extends ImageForm {
  /** Default: by their number: 1 is `gray`, 3 `rgb`, 4 `rgba`. */
  channels?: ImageChannels;
  /** Which of a batch; default 0. */
  index?: number;
}

/** Sound: channels of equal length, −1 to 1, and samples a second. */
export type AudioSource = AudioBuffer | { channels: readonly Float32Array[]; rate: number };

/** Options of `Tensor.fromAudio`. */
export interface FromAudioOptions {
  /** Samples a second of the result, a whole number from 1000 to 768000; default: those of the source. */
  rate?: number;
  /** Whether channels become one, their mean. Default `true`. */
  mono?: boolean;
}

/** A tensor, row-major: in the page's memory, or on the GPU where a call was asked to leave it there. */
export class Tensor<T extends TensorType = TensorType> {
  /** Throws `ConsortError` of kind `invalid-input` where `data` does not have exactly the elements of `dims`. */
  constructor(type: T, data: TensorData[T] | readonly number[] | readonly bigint[], dims: readonly number[]);
  readonly type: T;
  readonly location: TensorLocation;
  /** The elements; throws `invalid-input` where they are on the GPU. */
  readonly data: TensorData[T];
  readonly dims: readonly number[];
  /** Number of elements. */
  readonly size: number;
  /** The elements, read back where they are on the GPU. Rejects with `closed` after `dispose`. */
  getData(): Promise<TensorData[T]>;
  /**
   * A picture as a tensor of one, [1, channels, height, width] unless options say otherwise: in sRGB, the same elements in every browser
   * but for what decoding differs in, and in workers too. A smaller size is an average of the pixels, a larger one linear between them.
   * Rejects with `invalid-input` for what is no picture, has not loaded, is empty or closed, is not for the page to read, and for options
   * that make no sense.
   */
  static fromImage<T extends NonNullable<FromImageOptions['dtype']> = 'float32'>(source: ImageSource, options?: FromImageOptions & { dtype?: T }): Promise<Tensor<T>>;
  /**
   * A sound as a tensor of float32: [1, samples], or [channels, samples] where `mono` is false. Another rate is made by a windowed sinc:
   * up to 0.9 of half of the lower rate it changes amplitudes by less than 0.1 %, and nothing beyond that half comes through by more than
   * −80 dB; before and after the sound there is silence. Works in workers. Rejects with `invalid-input` for what is no sound, and for
   * channels that differ in length, are empty, or have a rate out of bounds.
   */
  static fromAudio(source: AudioSource, options?: FromAudioOptions): Promise<Tensor<'float32'>>;
  /**
   * The picture that [batch, channels, height, width] elements are, or [channels, height, width], the inverse of `fromImage`: floats
   * times std plus mean are 0 to 1, whole types 0 to 255; what lies beyond is cut off. Reads a tensor that is on the GPU. Rejects with
   * `invalid-input` where dims are not those of a picture.
   */
  toImageData(options?: ToImageOptions): Promise<ImageData>;
  /** The same as a data URL: of `type` where the browser writes it (default `image/png`), with `quality` from 0 to 1 where that loses something. */
  toDataURL(options?: ToImageOptions & { type?: string; quality?: number }): Promise<string>;
  /** Gives the GPU's bytes back at once; a tensor that is dropped gives them back when it is collected. */
  dispose(): void;
}

/** Stable names of what can go wrong. */
export type ErrorKind =
  | 'invalid-model'
  | 'unsupported'
  | 'invalid-input'
  | 'missing-data'
  | 'fetch'
  | 'integrity'
  | 'no-webgpu'
  | 'device-lost'
  | 'out-of-memory'
  | 'aborted'
  | 'deadline'
  | 'busy'
  | 'closed'
  | 'internal';

/** Every error that Consort throws or rejects with. */
export class ConsortError extends Error {
  readonly name: 'ConsortError';
  readonly kind: ErrorKind;
  /** The model it belongs to, where one is known. */
  readonly model?: string;
  /** The graph node it belongs to, where one is known. */
  readonly node?: string;
}

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
  lane: Lane;
  /** `null` where it could not be measured. */
  precision: Precision | null;
}

/**
 * How a set of requests is executed: one after another, their dispatches interleaved, split over several lanes or processors that
 * run at once, or batched into fewer calls: requests of one session as rows of one, and what the models of several sessions have in
 * common (weights and nodes, where they are fed the same) computed once. `'batched'` is predicted and compared where the requests
 * have something in common or are short; without their feeds, inputs of different sessions that agree in name, type and shape are
 * taken to be the same.
 */
export type Strategy = 'sequential' | 'parallel' | 'split' | 'batched';

/** What a plan is chosen for. */
export type Goal = 'latency' | 'throughput' | 'memory';

/**
 * A session whose calls run on another lane from now on. A call that was in flight is answered there too: it is not lost. A lane
 * that was lost, a GPU device or a worker, is opened again where its session may run nowhere else. Results of lanes differ in
 * the last bits of float32.
 */
export interface Fallback {
  session: string;
  from: Lane;
  to: Lane;
  /** What was wrong with the other. */
  reason: string;
}

/** Options of `Pool.create`. */
export interface PoolOptions {
  /**
   * Lanes that may be used. Default: `gpu`, or the others where there is none; beside a GPU that may be slower than the processor
   * all that the browser has are opened and measured, and the fastest comes first. An adapter that calls itself a fallback computes on
   * the processor, more slowly than `cpu` does: it is opened where it is named, or where no other lane is left.
   */
  lanes?: readonly Lane[];
  /**
   * The device that the lane `webnn` asks the browser for, `cpu` unless it is said; the browser may give another:
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
  /** Upper bound of the bytes that the pool may hold on each lane. */
  memoryBudget?: number;
  /** Default goal; `'latency'` where absent. */
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

/** Progress of a load; what is said of a file is there in the phase `download` only. */
export interface LoadProgress {
  /**
   * In this order: bytes of the model and its external data, the file read, bytes of weights, pipelines, the end of the load; and
   * `run`, the session's first call, where more may be compiled.
   */
  phase: 'download' | 'decode' | 'upload' | 'compile' | 'ready' | 'run';
  /** Of a download: bytes of all files so far. Less than before where a file had to begin anew. */
  done: number;
  /** 0 where not yet known. Of a download: of the files so far. */
  total: number;
  /** Address of the file. */
  file?: string;
  /** Bytes of it that are there. */
  fileDone?: number;
  /** Bytes of it in all; 0 where its server does not say. */
  fileTotal?: number;
  /** How fast it came within the last 2 s; 0 where nothing can be said yet. */
  bytesPerSecond?: number;
  /** Whether it comes over the network, or was kept by the browser and is as its server has it. */
  source?: 'network' | 'cache';
}

/** What is done about a network that breaks. */
export interface NetworkOptions {
  /**
   * Tries in a row that bring less than a MiB more than there was, after which the load rejects with kind `fetch` and the last try's
   * reason; default 6. A server that has not answered at all is asked 3 times. Statuses 408, 425, 429, 500, 502, 503 and 504 count as
   * such tries, any other but 200 is refused at once.
   */
  tries?: number;
  /** The pause before the second try in milliseconds, default 250; it doubles up to 10 s, and is as long as `Retry-After` asks, up to 30 s. */
  pauseMs?: number;
  /** How long no byte may come before a try is ended, in milliseconds; default 30 000. */
  stallMs?: number;
}

/** What the browser keeps of files. */
export interface CacheOptions {
  /** Most bytes of all kept files, those used longest ago going first; default 2 GiB, and never more than half of the origin's quota. */
  maxBytes?: number;
}

/**
 * Digests of files as Subresource Integrity writes them: `'sha256-…'`, `'sha384-…'` or `'sha512-…'` in base64, several with spaces between:
 * of the strongest among them one must be right.
 */
export interface IntegrityOptions {
  model?: string;
  /** By the path that the model states. Where this is given, external data that it does not name is refused with kind `invalid-input`. */
  externalData?: Readonly<Record<string, string>>;
}

/** From where files come, and how they are checked. */
export interface FileOptions {
  /** External data by the path that the model states; what is not given is fetched beside the model's URL. */
  externalData?: Readonly<Record<string, ModelSource>>;
  /**
   * Digests of the files, a string being the model's. A file whose digest is another rejects with kind `integrity`, and none of it is
   * kept or read. It is in memory once while it is checked. Needs a secure context (https, or localhost): elsewhere kind `unsupported`.
   */
  integrity?: string | IntegrityOptions;
  /**
   * Whether the browser keeps files between pages, in a Cache named `consort-files`. Default `true`: models are long, the browser's own
   * cache drops or refuses long files, and a kept one costs no bytes. 2 GiB are several such models, and a fifth of what browsers give
   * an origin. A kept file is taken unasked while its server says that it is fresh (`max-age`), or its digest is stated and right; else its server
   * is asked whether it changed (`If-None-Match`, `If-Modified-Since`; of another origin by a HEAD request, which needs no leave), and it
   * is fetched again if so. Where that server cannot be reached it serves as it is. What a server says `no-store` of is not kept, and
   * where there is no room, or no Cache as in pages that are not secure, loads go on without.
   */
  cache?: boolean | CacheOptions;
  /**
   * What is done where a connection ends or stalls: the rest is asked for by `Range`, where the server gives parts and names versions
   * (`ETag` or `Last-Modified`), else the file begins anew; it does, too, where it changed meanwhile, so that no two versions are mixed.
   */
  network?: NetworkOptions;
  onProgress?: (progress: LoadProgress) => void;
  /** Ends it at any moment, with kind `aborted`. */
  signal?: AbortSignal;
}

/** A file: where it is, or its bytes. */
export type ModelSource = string | URL | ArrayBuffer | Uint8Array;

/** A model with its external data by the path that the model states. */
export interface ModelWithData {
  model: ModelSource;
  externalData: Readonly<Record<string, ModelSource>>;
}

/** Options of `pool.load`. */
export interface LoadOptions extends FileOptions {
  /** Name in messages and reports; default: the file's name without its ending. */
  name?: string;
  /** Values of free dimensions to compile for at load, by name; every other value still works, compiled when first met. */
  freeDimensions?: Readonly<Record<string, number>>;
  /**
   * How weights of 1024 elements and more lie on the GPU; default `'float32'`. `'float16'` takes half the memory and half
   * of what a product of few rows must read, and rounds each to 11 bits; what that changes is the model's to say. One beyond 65504 is
   * refused with kind `unsupported`. Arithmetic stays in float32, and no feature of the adapter is needed.
   */
  weights?: 'float32' | 'float16';
  /**
   * What matrix products, and convolutions that are one, may multiply; default `'float32'`. `'float16'` lets the GPU round
   * factors and sums of 16 to 11 bits, where it has `shader-f16` and was measured to be faster so; elsewhere nothing changes.
   * Factors beyond 65504 become infinite.
   */
  products?: 'float32' | 'float16';
  /**
   * `'f32'` keeps it away from lanes that were measured to compute in less than float32 has, as WebNN may on a GPU or NPU; default
   * `'any'`. Together with products of `'float16'` it rejects with kind `invalid-input`.
   */
  precision?: 'any' | 'f32';
  /**
   * Lanes that it may run on; default: every lane of the pool. Of several it is loaded onto the first that takes it, and then runs
   * where it is measured to be faster: another lane, of which at most 1.2 times the time is forecast, is tried for three calls.
   * Calls that keep outputs on the device, and pools whose goal is `memory`, try nothing. One lane named is never left.
   */
  lanes?: readonly Lane[];
}

/** Type and shape of a model's input or output; a free dimension is its name, or `''` where the model gives none. */
export interface ValueMetadata {
  name: string;
  type: TensorType;
  shape: readonly (number | string)[];
}

/** Tensors by name. */
export type Tensors = Record<string, Tensor>;

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

/** One stretch of work in a timeline. */
export interface Span {
  /** `host`: recording and submitting; `upload`; `gpu`: dispatches; `readback`: the map of the outputs. */
  kind: 'host' | 'upload' | 'gpu' | 'readback';
  /** Name of the model, or `''` where it belongs to all. */
  model: string;
  /** Where, as `'gpu'` or `'cpu 2'` in the timeline of a split set, or `'thread 2'` where threads run programs side by side. */
  place?: string;
  startMs: number;
  endMs: number;
}

/** What one strategy is expected to cost. */
export interface StrategyPrediction {
  strategy: Strategy;
  predictedMs: number;
  /** 90 % of measurements are expected in here. */
  intervalMs: readonly [number, number];
  /** Requests per second when the same set is run again and again. */
  predictedThroughput: number;
  /** Bytes of the lanes: weights, arenas, parameters and staging that the execution needs. */
  predictedBytes: number;
  timeline: readonly Span[];
}

/** What `pool.predict` returns. */
export interface Prediction {
  /** That of the strategies of one lane. */
  lane: Lane;
  /** `'split'` is among them where several lanes or processors can share the set. */
  strategies: readonly StrategyPrediction[];
  recommended: Strategy;
  /** Why, in words and numbers. */
  reason: string;
}

/** One strategy, predicted and measured. */
export interface StrategyComparison extends StrategyPrediction {
  /** Median of the repeats. */
  measuredMs: number;
  /** Lower and upper quartile of the repeats. */
  spreadMs: readonly [number, number];
  /** The allocator's own count of what the execution held. */
  measuredBytes: number;
  measuredTimeline: readonly Span[];
}

/** What `pool.compare` returns. */
export interface Comparison {
  lane: Lane;
  strategies: readonly StrategyComparison[];
  recommended: Strategy;
  measuredBest: Strategy;
  /** Measured time of the recommended strategy over that of the best, less one. */
  regret: number;
  repeats: number;
}

/**
 * Mean absolute relative errors (0.1 is 10 %) of what was stated before executions ran; `null` where there are none.
 */
export interface ForecastErrors {
  /** Executions that these are of. */
  count: number;
  /** Of the predicted time, against the measured. */
  time: number | null;
  /** Of the predicted requests per second: of as many, in the predicted time and in the measured. */
  throughput: number | null;
  /** Of the bytes that the lane was forecast to hold, against the allocator's count; of those executions of which that is known. */
  bytes: number | null;
}

/** Error of the predictor on observations that its refit did not see. */
export interface Accuracy {
  /** All observations so far. */
  observations: number;
  /** Those kept away from the refit. */
  heldOut: number;
  /** Mean absolute relative error of the probes-only predictor on the held-out observations; `null` while there are none. */
  errorBefore: number | null;
  /** The same of the refitted predictor. */
  errorAfter: number | null;
  /** Share of held-out measurements inside the interval stated before they ran; `null` while there are none. */
  coverage: number | null;
  /** Errors of the last 10, 20 and 50 observations: of forecasts as they were stated. `count` is less where there are fewer. */
  recent: Readonly<Record<10 | 20 | 50, ForecastErrors>>;
  /** The same of all observations that are kept: by strategy, and by the name of a model, each observation under every model in it. */
  by: { strategies: Readonly<Partial<Record<Strategy, ForecastErrors>>>; models: Readonly<Record<string, ForecastErrors>> };
  /** Error of time of the last 20 observations over that of the 20 before: below 1 it gets better. `null` while there are fewer than 40. */
  trend: number | null;
  /**
   * Each observation that is not held out refits the predictor, which is judged by what it had stated before the last 16 of them, beside
   * what the probes alone had: where it is no worse it forecasts (`accepted`), where it becomes worse the probes' model does in its place
   * (`rolledBack`), and while it stays worse (`refused`). The first 15 are on trial, and counted nowhere.
   */
  refits: { accepted: number; refused: number; rolledBack: number };
  /**
   * The observations that are kept, in order: what was predicted before each ran, what was measured. At most 4096: of more, every second of
   * the oldest half goes, so that what was long ago stays, more thinly.
   */
  history: readonly {
    strategy: Strategy;
    models: readonly string[];
    predictedMs: number;
    intervalMs: readonly [number, number];
    measuredMs: number;
    heldOut: boolean;
    /** Absolute relative error of that prediction. */
    error: number;
    /** Bytes that the lane was forecast to hold for it, and the allocator's count; both 0 where that is not known. */
    bytes: readonly [number, number];
    /** How many times as long everything took just then, as far as was known before it ran: what else the machine does. */
    machine: number;
    /** Whether the page was hidden. */
    hidden: boolean;
    /** How hard the processor was pressed, by the Compute Pressure API; `null` where the browser does not tell. */
    pressure: 'nominal' | 'fair' | 'serious' | 'critical' | null;
    /** Whether the machine lived on its battery; `null` where the browser does not tell. */
    onBattery: boolean | null;
    /** How many other executions of the pool were at work meanwhile, on average. */
    busy: number;
    /** When it began, by `performance.now()`. */
    nowMs: number;
  }[];
}

/** Bytes by what they are for. */
export interface HeldBytes {
  weights: number;
  arenas: number;
  staging: number;
  parameters: number;
  /** Tensors that the page keeps. */
  tensors: number;
  total: number;
  /** Most that was ever held at one time; of several lanes, that of each added up. */
  highWater: number;
  /** Lower bound of `arenas` for these sessions one after another: most activation bytes alive at one time. */
  liveBytes: number;
}

/** What one lane holds. */
export interface LaneMemory extends HeldBytes {
  lane: Lane;
}

/** The pool's memory on all lanes. */
export interface MemoryReport extends HeldBytes {
  lanes: readonly LaneMemory[];
  sessions: readonly {
    name: string;
    lane: Lane;
    /** Weights that this session uses. */
    weights: number;
    /** Of these, bytes that other sessions use too. */
    sharedWeights: number;
    parameters: number;
    /** Arena that the largest of its programs needs; sessions that follow each other share one. */
    arena: number;
    /** Most bytes of that arena alive at one time: no plan can be smaller. */
    liveBytes: number;
  }[];
}

/** Who lies where in a session's arena, and when. */
export interface MemoryMap {
  lane: Lane;
  arena: number;
  liveBytes: number;
  /** Step 0 is the upload, then one for each dispatch, the last is the download. */
  steps: number;
  tensors: readonly { name: string; offset: number; bytes: number; firstStep: number; lastStep: number }[];
}

/** What became of records that were imported. */
export interface ImportReport {
  /** Observations that the pool's predictors go on from. */
  taken: number;
  /** Those that they do not. */
  refused: number;
  /** The same by lane. */
  lanes: readonly {
    /** Name of the pool whose records they are. */
    pool: string;
    lane: string;
    /** Of the lane. */
    fingerprint: string;
    taken: number;
    refused: number;
    /** Why some were refused, in words; `null` where none was. */
    reason: string | null;
  }[];
}

/** What a pool measured, what its predictors learned from, and what became of that. */
export interface PoolRecords {
  /**
   * All of it as JSON text: `schema`, its version, 2; `pool`, a name that no other has; `fingerprint` of browser and machine; `timeOrigin`,
   * when its times begin, in milliseconds since 1970; `lanes`, each with its `rates`, its `profile` where that is measured, and
   * - `observations`: what was executed, under which conditions, how long that was forecast to take, with which interval, and how long it
   *   took, in milliseconds; the bytes that were forecast and counted;
   * - `refits`: when (`nowMs`), the `verdict` (`accepted`, `refused`, `rolledBack`), and the mean absolute errors of the logarithm of time
   *   before and after on what it had not seen;
   * - `comparisons`: the models, what each strategy was predicted and measured to take, which was recommended, which was best, the regret;
   * - `recalled`, `recalledRefits`, `recalledComparisons`: the same, as pools before this one left it in the browser's store;
   * and `imported`, documents of other pools as they came. Of observations, refits and comparisons 4096, 1024 and 256 are kept for each
   * lane; of more every second of the oldest half goes.
   */
  export(format?: 'json'): Promise<string>;
  /**
   * The same as a Parquet file, which DuckDB, pandas and others open: one row for each observation, in columns `pool`, `source` (`own`,
   * `kept` by the browser, `imported`), `schema`, `browser_fingerprint`, `lane`, `fingerprint`, `strategy`, `models`, `requests` (their number),
   * `predicted_ms`, `interval_low_ms`, `interval_high_ms`, `measured_ms`, `error` (absolute, relative), `predicted_bytes`,
   * `measured_bytes`, `held_out`, `machine` (how many times as long everything took) and `machine_log` (its logarithm), `hidden`,
   * `pressure`, `on_battery`, `busy`, `now_ms`, `began_at` (UTC) and `terms` (JSON). Rejects with `unsupported` in a service worker, which
   * may import nothing later, and with `fetch` where the file `parquet.min.js` beside this module cannot be had.
   */
  export(format: 'parquet'): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Takes what `export` gave, here, in another pool or in another browser. What lanes of this browser and machine recorded, whose rates are
   * within four times of what they are, is learned from as if an earlier pool had left it, each observation once; the rest is kept and
   * not learned from. All of it, but for records of this pool itself, is in every later export; the store keeps what was learned from.
   * Rejects with `invalid-input` for what are no records, or are of a newer schema, and takes nothing then; in Parquet also as `export`.
   */
  import(records: string | Uint8Array): Promise<ImportReport>;
}

/** A call that has no answer yet. */
export interface QueuedCall {
  /** Names of its sessions, in the order of its requests. */
  sessions: readonly string[];
  lane: Lane;
  state: 'running' | 'waiting';
  priority: Priority;
  /** Since it came to the lane. */
  waitedMs: number;
  /** What it takes of the lane, run by itself. */
  predictedMs: number;
  /** How long until it begins; below zero since it did. */
  predictedStartMs: number;
  /** What is left until its deadline; `null` where it has none. */
  deadlineMs: number | null;
}

/** What `pool.queue` returns. */
export interface QueueReport {
  /** Calls without an answer, those among them whose sessions are made ready first. */
  pending: number;
  /** Those that are on their lanes, by lane, in the order in which they are to run; one over several lanes is on each. */
  calls: readonly QueuedCall[];
}

/** What crossed between page and GPU since the pool was made. */
export interface TrafficReport {
  executions: number;
  /** Bytes of inputs; weights are not counted. */
  uploadedBytes: number;
  /** Buffers mapped to be read: one for each execution with an output for the page. */
  readbacks: number;
  readBackBytes: number;
}

/** Something that a browser may have: what it is like, or why it is not here. */
export type Found<T = object> = ({ readonly available: true } & Readonly<T>) | { readonly available: false; readonly reason: string };

/** A WebNN context of one kind of device. */
export interface WebNNContext {
  /** Operators that it takes, with the data types of each operand that the browser lists (`opSupportLimits`). */
  operators: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  preferredInputLayout?: string;
  /** The most bytes of a tensor. */
  maxTensorBytes?: number;
  /** An MLTensor that was written read back the same. */
  tensor: Found;
  /** It has what shares a tensor with WebGPU; not tried, since in a browser where that fails the page loses every GPU device. */
  exportToGpu: boolean;
  /** The context tells of its loss. */
  lost: boolean;
}

/** What this browser can do on this machine, found out by trying; nothing is taken from its name. */
export interface Capabilities {
  /** The adapter that WebGPU gives for speed: `features` and `limits` are what a device of it may be asked for. */
  readonly webgpu: Found<{
    vendor: string;
    architecture: string;
    device: string;
    description: string;
    isFallbackAdapter: boolean;
    features: readonly string[];
    limits: Readonly<Record<string, number>>;
    /** Threads of a subgroup, at least and at most. */
    subgroupMinSize?: number;
    subgroupMaxSize?: number;
  }>;
  /** The GPU's clock: what all differences between timestamps were a multiple of, in nanoseconds. */
  readonly timestamps: Found<{ resolutionNs: number }>;
  readonly webnn: Found<{ cpu: Found<WebNNContext>; gpu: Found<WebNNContext>; npu: Found<WebNNContext> }>;
  /** Proposals that WebAssembly takes here. */
  readonly wasm: { readonly simd: boolean; readonly relaxedSimd: boolean; readonly threads: boolean; readonly memory64: boolean };
  readonly system: {
    readonly crossOriginIsolated: boolean;
    /** There is a SharedArrayBuffer. */
    readonly sharedMemory: boolean;
    /** Logical processors, as the browser tells them. */
    readonly cores?: number;
    /** Memory of the machine in GiB, as the browser rounds it. */
    readonly deviceMemoryGib?: number;
  };
  readonly storage: Found<{ quotaBytes: number; usageBytes: number }>;
  /** PressureObserver, with what it tells of. */
  readonly pressure: Found<{ sources: readonly string[] }>;
  /** Name of this combination of browser and machine: the same as long as what it can do is the same. */
  readonly fingerprint: string;
  /** How long finding this out took, in milliseconds. */
  readonly detectMs: number;
}

/** Finds out what this browser can do. */
export const Capabilities: {
  /** Asks anew, without a pool and with or without WebGPU. A probe that fails or takes more than 3 s says so in its answer. */
  detect(): Promise<Capabilities>;
};

/** What a pool's lanes run on, and what its browser can do. */
export interface PoolCapabilities extends Capabilities {
  /** Lanes of the pool, the preferred first. */
  readonly lanes: readonly Lane[];
  /** The device of each: `features` and `limits` are those in use. */
  readonly devices: readonly {
    lane: Lane;
    /** Name of this combination of device, features and limits. */
    fingerprint: string;
    vendor: string;
    architecture: string;
    device: string;
    description: string;
    isFallbackAdapter: boolean;
    features: readonly string[];
    limits: Readonly<Record<string, number>>;
  }[];
}

/** The ceilings of a lane and the waits of the browser, measured by `Pool.create`. */
export interface Profile {
  lane: Lane;
  fingerprint: string;
  /** Multiply-adds count as two operations. */
  gflops: number;
  /** Bytes that a copy kernel reads and writes, in GB per second. */
  bandwidthGBps: number;
  dispatchUs: number;
  submitUs: number;
  /** From submit to a mapped 4-byte buffer. */
  readbackMs: number;
  uploadGBps: number;
  readbackGBps: number;
  /** Whether this browser resolves a map sooner when empty submits follow it. */
  nudge: boolean;
  /** How long measuring these took, in milliseconds. */
  probeMs: number;
}

/** A shared pool of GPU memory with the sessions that live on it. */
export class Pool {
  private constructor();
  /** Rejects with kind `no-webgpu` where there is no adapter and no other lane may be used or opens. */
  static create(options?: PoolOptions): Promise<Pool>;
  readonly capabilities: PoolCapabilities;
  /** Of the preferred lane. */
  readonly profile: Profile;
  /** Of every lane, the preferred first. */
  readonly profiles: readonly Profile[];
  /**
   * Loads a model from a URL (its external data beside it), from its bytes, or from both kinds with its external data. Nothing stays
   * of one that fails. Of its files it rejects with `fetch` where one cannot be had, whose length is not what its server states, or in
   * whose place a page of HTML comes, `missing-data` where that is external data beside the model, `invalid-model` for a model that is none, a page
   * of HTML among these, and `integrity` for another digest than stated; the message names the address and what was found.
   */
  load(source: ModelSource | ModelWithData, options?: LoadOptions): Promise<Session>;
  /**
   * Fetches the files of a model into the browser's Cache, and does nothing else: the next load of them in this page asks the network
   * for nothing. Resolves with the bytes of them that are kept, 0 where the browser keeps nothing. Rejects as `load` does.
   */
  preload(source: ModelSource | ModelWithData, options?: FileOptions): Promise<number>;
  /** Runs all requests in one execution; the outputs come in their order. */
  runAll(requests: readonly Request[], options?: RunAllOptions): Promise<Tensors[]>;
  /** What each way of running the set is expected to take, in time and bytes, and which is best for `goal`. Nothing is run. */
  predict(requests: readonly RequestShape[], options?: { goal?: Goal }): Promise<Prediction>;
  /** Runs every strategy in turn, interleaved, `repeats` times (default 5) after one warm-up. */
  compare(requests: readonly Request[], options?: { repeats?: number; goal?: Goal; signal?: AbortSignal }): Promise<Comparison>;
  /** Copies a tensor to the GPU, where it stays: an input that many calls share is uploaded once. */
  upload<T extends TensorType>(tensor: Tensor<T>): Promise<Tensor<T>>;
  /** The calls that have no answer yet, and when each is expected to run. */
  queue(): Promise<QueueReport>;
  readonly records: PoolRecords;
  /** What crossed between page and GPU so far. */
  traffic(): TrafficReport;
  /** What the pool holds now, by purpose, lane and session. */
  memory(): MemoryReport;
  /** On a lane; default: the preferred one. */
  accuracy(lane?: Lane): Accuracy;
  /** Releases every session and the device; calls in flight are rejected with kind `closed`. */
  close(): Promise<void>;
}

/**
 * Loads the wasm file; called by `Pool.create` where it was not called before.
 * `source` is needed only where the file does not stand beside this module.
 */
export function init(source?: string | URL | globalThis.Request | Response | BufferSource | WebAssembly.Module): Promise<void>;
