// Sessions of onnxruntime-web with the face of ours, in a worker that goes with them. Knows how they are opened, asked and given up; must
// never know what a model takes.

import { MODELS, modelAt } from '../read/readers.js';

/** Providers by their names, as people know them. */
export const PROVIDERS = { wasm: 'WebAssembly', webgpu: 'WebGPU', webnn: 'WebNN' };

/** How it is asked, the first as our pool is; each next is for where the one before fails. */
const WAYS = [
  { load: 'at once', run: 'at once' },
  { load: 'one after another', run: 'at once' },
  { load: 'one after another', run: 'one after another' },
];

/** The ways of asking `provider`. On WebNN loads that come at once end the whole tab in Chromium 147, which no page lives to tell. */
export const waysOf = (provider) => (provider === 'webnn' ? WAYS.slice(1) : WAYS);

/** What is silent for so many seconds hangs, as calls on WebNN do: a load may have much to compile, of calls at once each is heard. */
const SILENT_S = { open: 30, load: 30, run: 15 };

/** As many threads as a pool takes where nobody says. */
const threads = () => (globalThis.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency || 1) : 1);

/** What a session that is missing fails with. */
class Missing extends Error {}
export const isMissing = (error) => error instanceof Missing;

/** Has each piece of work begin when the one before ended. */
function queue() {
  let last = Promise.resolve();
  return (work) => (last = last.then(work, work));
}

/** A worker with onnxruntime-web in it: `{ask(work, given), end()}`. What it does once nobody asks is told to `lost`. */
function opened(lost, signal) {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'onnxruntime-web' });
  const waiting = new Map();
  let over;
  // Counted, not timed: a browser that is halted meanwhile is not silent.
  let silent = 0;
  const watch = setInterval(() => {
    const [[work] = []] = waiting.values();
    silent = work ? silent + 1 : 0;
    if (silent > SILENT_S[work]) end(new Error(`no answer to '${work}' within ${SILENT_S[work]} s`));
  }, 1000);
  const end = (error) => {
    over ??= error;
    clearInterval(watch);
    worker.terminate();
    signal.removeEventListener('abort', aborted);
    for (const [, , reject] of waiting.values()) reject(error);
    waiting.clear();
  };
  const aborted = () => end(signal.reason);
  signal.addEventListener('abort', aborted);
  worker.onmessage = ({ data: { id, value, error, lost: message } }) => {
    silent = 0;
    if (message !== undefined) return lost(message);
    const [, resolve, reject] = waiting.get(id) ?? [];
    waiting.delete(id);
    if (error === undefined) resolve?.(value);
    else reject?.(new Error(error));
  };
  worker.onerror = (event) => {
    event.preventDefault();
    const message = event.message || 'its worker could not be loaded';
    lost(message);
    // Whether it goes on is not known; who waits would wait for ever.
    end(new Error(message));
  };
  let asked = 0;
  const ask = (work, given) => new Promise((...ends) => {
    signal.throwIfAborted();
    if (over) throw over;
    const id = ++asked;
    waiting.set(id, [work, ...ends]);
    worker.postMessage({ id, work, ...given });
  });
  return { ask, end: () => end(new Error('onnxruntime-web was ended')) };
}

/** A tensor of ours as a message. */
const sent = ([name, { type, data, dims }]) => [name, { type, data, dims: [...dims] }];

/**
 * All models on `provider`: `{sessions, version, threads, close}`, sessions by what they do. `failed(what, message)` is told of each load
 * that fails, and of what fails outside of any call.
 */
export async function openPeer(provider, way, { signal, failed }) {
  const { ask, end } = opened((message) => failed('Outside of any call', message), signal);
  const ordered = (how) => (how === 'at once' ? (work) => work() : queue());
  const [load, run] = [ordered(way.load), ordered(way.run)];
  const loaded = async ([key, name]) => {
    try {
      const { number, ...names } = await load(() => ask('load', { url: modelAt(name) }));
      const feed = (feeds) => run(() => ask('run', { number, feeds: Object.fromEntries(Object.entries(feeds).map(sent)) }));
      return [key, { ...names, name, lane: provider, run: feed }];
    } catch (error) {
      signal.throwIfAborted();
      failed(`Loading ${name}`, error.message);
      const missing = () => Promise.reject(new Missing(`${name} did not load`));
      return [key, { name, missing: true, inputNames: [''], outputNames: [''], run: missing }];
    }
  };
  try {
    const version = await ask('open', { provider, threads: threads() });
    const sessions = Object.fromEntries(await Promise.all(Object.entries(MODELS).map(loaded)));
    return { sessions, version, threads: threads(), close: end };
  } catch (error) {
    end();
    throw error;
  }
}
