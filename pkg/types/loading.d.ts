// How models are loaded: their files, the network, what the browser keeps, progress.

import type { Lane } from './lanes.js';

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
  /** Of the model's file; absent: it is not checked. */
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
  /** Told how far the load is, at most once for each percent of a phase; what it throws is ignored. */
  onProgress?: (progress: LoadProgress) => void;
  /** Ends it at any moment, with kind `aborted`. */
  signal?: AbortSignal;
}

/** A file: where it is, or its bytes. */
export type ModelSource = string | URL | ArrayBuffer | Uint8Array;

/** A model with its external data by the path that the model states. */
export interface ModelWithData {
  /** The model's own file. */
  model: ModelSource;
  /** Its external data, as in `FileOptions`; what the options of the load give goes before. */
  externalData: Readonly<Record<string, ModelSource>>;
}

/** Options of `pool.load`. */
export interface LoadOptions extends FileOptions {
  /** Name in messages and reports; default: the file's name without its ending, `'model'` for bytes. */
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
   * where it is measured to be faster: another lane, of which at most twice the time is forecast, is tried for two to eight calls
   * beside others on the first, and for longer where they are short.
   * Calls that keep outputs on the device, and pools whose goal is `memory`, try nothing. One lane named is never left.
   */
  lanes?: readonly Lane[];
}
