// A pool in a worker of its own, for the page: what wasm's pool does, by messages. What is told at once, as the memory, is as of the
// last answer; elements that callers give are copied, what they are given is moved.

import { workable, worker as made } from '../workers.js';

const make = () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });

const lost = (why) => ({ kind: 'device-lost', message: `the pool's worker is gone: ${why}` });

const none = (why) => ({ kind: 'unsupported', message: `a pool in a worker of its own needs workers, which do not begin here: ${why}` });

/** Where what `value` names is, whoever asks. */
const at = (value) => (typeof value === 'string' || value instanceof URL ? new URL(value, globalThis.document?.baseURI ?? location.href).href : value);

/** Opens one; `source` is from where the wasm file comes. */
export async function open({ onFallback, ...options }, source) {
  if (!(await workable(make))) throw none('there are none, or a policy forbids them');
  const worker = made(make);
  const waiting = new Map();
  const over = new AbortController();
  let next = 0;
  let why;
  let state = {};
  let heard = false;

  const end = (reason) => {
    worker.terminate();
    over.abort();
    why ??= reason;
    for (const { reject } of waiting.values()) reject(why);
    waiting.clear();
  };
  worker.onerror = (event) => {
    event.preventDefault?.();
    const what = event.message ?? 'its script could not be loaded';
    end(heard ? lost(what) : none(what));
  };
  worker.onmessage = ({ data }) => {
    heard = true;
    if (data.lives) {
      const { signal } = over;
      // Whoever holds the lock has ended when it can be had.
      return void navigator.locks.request(data.lives, { signal }, () => end(lost('it ended'))).catch(() => {});
    }
    if (data.fallback) return onFallback?.(data.fallback);
    Object.assign(state, data.state);
    const asked = waiting.get(data.id);
    if (!asked) return;
    if (data.progress) {
      try {
        asked.onProgress?.(data.progress);
      } catch {
        // What a callback throws is no fault of the call.
      }
      return;
    }
    waiting.delete(data.id);
    if (data.error) asked.reject(data.error);
    else asked.resolve(data.value);
  };
  const ask = (message, { signal, onProgress } = {}) =>
    new Promise((resolve, reject) => {
      if (why) return reject(why);
      const id = next++;
      waiting.set(id, { resolve, reject, onProgress });
      worker.postMessage({ id, ...message, progresses: onProgress !== undefined });
      const abort = () => worker.postMessage({ abort: id });
      if (signal?.aborted) abort();
      else signal?.addEventListener('abort', abort, { once: true });
    });
  const called = (name, ...args) => ask({ name, args });
  /** A call with what only a page can hold of its options apart. */
  const told = (name, first, { signal, onProgress, ...plain } = {}) => ask({ name, args: [first, plain] }, { signal, onProgress });
  /** Options of a load whose external data is found from anywhere. */
  const placed = ({ externalData = {}, ...options }) => {
    const others = Object.entries(externalData).map(([name, value]) => [name, at(value)]);
    return { ...options, externalData: Object.fromEntries(others) };
  };
  /** Tensors as plain values. */
  const plain = ({ type, data, dims, resident }) => (resident === undefined ? { type, data, dims } : { resident });
  const fed = (requests) =>
    requests.map(({ feeds, ...rest }) => {
      const each = feeds === null || typeof feeds !== 'object' ? feeds : Object.entries(feeds);
      const value = (tensor) => (tensor !== null && typeof tensor === 'object' ? plain(tensor) : tensor);
      return { ...rest, feeds: Array.isArray(each) ? Object.fromEntries(each.map(([name, t]) => [name, value(t)])) : each };
    });
  /** What is known of a session or a lane; refused as wasm refuses what is not there. */
  const of = (all, key, kind, message) => {
    if (!all.has(key)) throw { kind, message };
    return all.get(key);
  };
  const released = 'the session was released, or is of another pool';

  const pool = {
    capabilities: () => state.capabilities,
    profiles: () => state.profiles,
    memory: () => state.memory,
    traffic: () => state.traffic,
    lane: (session) => of(state.lanes, session, 'closed', released),
    answered: (session) => of(state.answered, session, 'closed', released),
    memoryMap: (session) => of(state.maps, session, 'closed', released),
    accuracy(lane = state.capabilities.lanes[0]) {
      return of(new Map(Object.entries(state.accuracy)), lane, 'invalid-input', `this pool has no lane '${lane}'`);
    },
    load: (from, options) => told('load', at(from), placed(options)),
    preload: (from, options) => told('preload', at(from), placed(options)),
    runAll: (requests, options) => told('runAll', fed(requests), options),
    compare: (requests, options) => told('compare', fed(requests), options),
    predict: (requests, options) => called('predict', requests, options),
    queue: () => called('queue'),
    records: () => called('records'),
    import: (lanes) => called('import', lanes),
    upload: (tensor) => called('upload', plain(tensor)),
    read: (tensor) => called('read', tensor),
    // What nobody waits for may fail where the worker is gone: then there is nothing left to let go of, or to tell.
    told: (...machine) => void called('told', ...machine).catch(() => {}),
    dispose: (tensor) => void called('dispose', tensor).catch(() => {}),
    release: (session) => called('release', session).catch(() => {}),
    async close() {
      await called('close').catch(() => {});
      end({ kind: 'closed', message: 'the pool is closed' });
    },
  };
  // A page that is not secure has no locks: there a worker's end is known only where the worker says so itself.
  const lock = globalThis.navigator?.locks && `consort pool ${crypto.randomUUID()}`;
  try {
    state = await ask({ begin: { source: at(source), options, listens: onFallback !== undefined, lock } });
  } catch (error) {
    end(error);
    throw error;
  }
  return pool;
}
