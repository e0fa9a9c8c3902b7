// What the package does behind its classes: the wasm module, errors as callers know them, and a pool of
// wasm as options say. Knows no tensor and no session; imports nothing later, which a service worker may not, nor a worker that a
// bundler makes one file of.

import { able, guessed, open as openProcessor } from './cpu/open.js';
import { filesOf } from './files/open.js';
import wasm, { WasmPool, detect } from './generated/consort.js';
import { comparisonsOf, shelfOf } from './store.js';
import { open as openContext } from './webnn/open.js';

let ready;
/** From where the wasm file was to come: a pool in a worker loads it there again. */
export let wasmSource;

export function init(source) {
  if (!ready) wasmSource = source;
  ready ??= wasm(source === undefined ? undefined : { module_or_path: source }).catch((error) => {
    // A later call may try again, with another source.
    ready = undefined;
    throw new ConsortError('fetch', `the wasm file could not be loaded: ${error.message ?? error}`);
  });
  return ready.then(() => undefined);
}

export class ConsortError extends Error {
  constructor(kind, message, { model, node } = {}) {
    super(message);
    this.kind = kind;
    if (model !== undefined) this.model = model;
    if (node !== undefined) this.node = node;
  }

  get name() {
    return 'ConsortError';
  }
}

/** What wasm threw, as an error that callers know. */
export function known(error) {
  if (error instanceof ConsortError) return error;
  if (typeof error?.kind === 'string') return new ConsortError(error.kind, error.message, error);
  return new ConsortError('internal', String(error?.message ?? error));
}

export async function call(work) {
  try {
    return await work();
  } catch (error) {
    throw known(error);
  }
}

export function refuse(message) {
  throw new ConsortError('invalid-input', message);
}

/**
 * Processors, and the threads of each: several threads where the page is cross-origin isolated, so that they can share memory,
 * which those processors that are at work share out; one elsewhere.
 */
function possible({ threads, processors }, { relaxedSimd, threads: shared }, workers) {
  const count = (n, what) => n === undefined || (Number.isSafeInteger(n) && n > 0) || refuse(`${n} ${what}`);
  count(threads, 'threads');
  count(processors, 'processors');
  const wanted = threads ?? Math.min(navigator.hardwareConcurrency ?? 1, 8);
  if (workers && globalThis.crossOriginIsolated && relaxedSimd && shared) {
    return { threads: wanted, processors: processors ?? Math.min(2, wanted) };
  }
  if (threads > 1) alone();
  // Without workers all are one thread: the page's.
  return { threads: 1, processors: workers ? (processors ?? wanted) : 1 };
}

/** Says once why a processor has one thread although more were asked for. */
let said = false;
function alone() {
  if (!said) console.warn('consort: threads that share a model need a page that is cross-origin isolated, and a browser with relaxed SIMD; each model has one');
  said = true;
}

/** What this browser can do. */
export async function detected() {
  await init();
  return detect();
}

/** The same as pools of this page tell it: the browser is asked once. */
let asked;
export const found = () => (asked ??= detected());

/** What is wrong with options that only JavaScript reads. */
export function check({ records = 'indexeddb', onFallback, webnn, background = 'yield' }) {
  const device = webnn?.deviceType ?? 'cpu';
  if (!['cpu', 'gpu', 'npu'].includes(device)) refuse(`WebNN has no device '${device}'`);
  if (records !== 'indexeddb' && records !== 'none') refuse(`there are no records '${records}'`);
  if (background !== 'yield' && background !== 'work') refuse(`a page in the background does not '${background}'`);
  if (onFallback !== undefined && typeof onFallback !== 'function') refuse('onFallback must be a function');
}

/** Whether the browser's WebGPU, if it has one, computes in software. */
async function weak() {
  try {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
    return !adapter || Boolean(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
  } catch {
    return true;
  }
}

/** The processor that a pool with these options will ask for first, while the page's own wasm still starts; nothing where it may not. */
async function ahead({ lanes, ...plain }) {
  const takes = guessed();
  // An adapter may never answer: once all else is known, nothing is ahead any more.
  const known = () => found().then(() => false);
  if (!takes || !(await able()) || !(lanes ? lanes[0] === 'cpu' : await Promise.race([weak(), known()]))) return undefined;
  const { threads } = possible(plain, takes, true);
  return { threads, processor: await openProcessor(takes, threads) };
}

/** A pool of wasm, here. */
export async function opened(options) {
  check(options);
  const { onFallback, records, worker, background, webnn: asked, ...plain } = options;
  // What goes wrong is said where the pool asks for it itself.
  let first = ahead(plain).catch(() => undefined);
  const early = async (threads) => {
    const begun = first;
    first = undefined;
    const { processor, ...its } = (await begun) ?? {};
    if (its.threads === threads && processor.lost === undefined) return processor;
    processor?.close();
    return undefined;
  };
  try {
    // Before the lanes are measured, not beside that.
    const [{ wasm, webnn, webgpu }, workers] = await Promise.all([found(), able()]);
    const { threads, processors } = possible(plain, wasm, workers);
    const device = asked?.deviceType ?? 'cpu';
    // The wasm of each is fetched when it is asked for.
    const processor = async (lane) => (lane === 'webnn' ? openContext(device) : ((await early(threads)) ?? openProcessor(wasm, threads)));
    // A software adapter computes on the same cores as a processor of ours does, and takes longer; one that did not answer may never.
    const gpu = (!webgpu.available || webgpu.isFallbackAdapter) && workers ? [[], ['gpu']] : [['gpu'], []];
    const there = [...gpu[0], ...(webnn.available && webnn[device].available ? ['webnn'] : []), 'cpu', ...gpu[1]];
    const kept = records === 'none' ? undefined : shelfOf();
    return completed(await call(() => WasmPool.create({ ...plain, there }, onFallback, kept, processor, threads, processors)), kept);
  } finally {
    // Nobody asked for it.
    first?.then((begun) => begun?.processor.close());
  }
}

/** Kinds of errors by which a file shows that it is not what it should be: it is not kept. */
const SPOILT = ['invalid-model', 'missing-data'];

/** `pool`, whose models come over a network that may break, and are kept by the browser, and whose records say when they are of. */
function completed(pool, kept) {
  const { load, preload, compare, records } = WasmPool.prototype;
  const names = new Map();
  const compared = kept?.compared ?? comparisonsOf();
  return Object.assign(pool, {
    // Times of observations are by the clock of where the pool is.
    records() {
      const lanes = records.call(pool).map((lane) => {
        const { refits = [], comparisons = [] } = kept?.left(lane.fingerprint) ?? {};
        return { ...lane, comparisons: compared.of(lane.fingerprint), recalledRefits: refits, recalledComparisons: comparisons };
      });
      return { timeOrigin: performance.timeOrigin, lanes };
    },
    async load(from, options) {
      const files = filesOf(options);
      if (from instanceof Uint8Array) await files.check(from);
      for (const [name, data] of Object.entries(options.externalData ?? {})) {
        if (data instanceof Uint8Array) await files.check(data, name);
      }
      try {
        const loaded = await load.call(pool, from, options, files);
        names.set(loaded.id, loaded.name);
        return loaded;
      } catch (error) {
        if (SPOILT.includes(error?.kind)) await files.refused();
        throw error;
      }
    },
    async compare(requests, options) {
      const found = await compare.call(pool, requests, options);
      const { lane, strategies, recommended, measuredBest, regret } = found;
      const device = pool.capabilities().devices.find((device) => device.lane === lane);
      compared.add(device?.fingerprint, {
        nowMs: performance.now(),
        models: requests.map(({ session }) => names.get(session)),
        strategies: strategies.map(({ strategy, predictedMs, measuredMs }) => ({ strategy, predictedMs, measuredMs })),
        recommended,
        measuredBest,
        regret,
      });
      return found;
    },
    async preload(from, options) {
      const files = filesOf(options, true);
      await preload.call(pool, from, options, files);
      return files.kept();
    },
  });
}
