// Processors for the page: the build that the browser runs, fetched once, and workers, which come when they are asked. Knows how requests travel; must never know
// what they say.

import { lock, watch } from '../lives.js';
import { workable, worker as made } from '../workers.js';
import { Here } from './here.js';
import { Processor, aligned, buffersOf } from './processor.js';
import { Short } from './short.js';

const BUILDS = {
  simd: new URL('./simd.wasm', import.meta.url),
  relaxed: new URL('./relaxed.wasm', import.meta.url),
  threads: new URL('./threads.wasm', import.meta.url),
};

const make = () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });

/** A module of one relaxed multiply-add, to be validated before there is the wasm that asks for all proposals (`src/browser/detect/`). */
const RELAXED = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0, 65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 11];

/** The proposals that a browser which takes relaxed SIMD takes with it, before it was asked about all; nothing where it does not. */
export function guessed() {
  if (!globalThis.WebAssembly?.validate?.(new Uint8Array(RELAXED))) return undefined;
  return { simd: true, relaxedSimd: true, threads: globalThis.crossOriginIsolated === true };
}

/** Whether processors have workers here. */
export const able = () => workable(make);

/** Builds by name, compiled or on their way. */
const compiled = new Map();

function module(build) {
  if (!compiled.has(build)) {
    const compiling = (async () => {
      const response = await fetch(BUILDS[build]);
      if (!response.ok) throw new Error(`${BUILDS[build]}: ${response.status}`);
      // While it comes, where the host says what it is.
      const streams = response.headers.get('content-type') === 'application/wasm';
      return streams ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
    })();
    // A later call may try again.
    compiling.catch(() => compiled.delete(build));
    compiled.set(build, compiling);
  }
  return compiled.get(build);
}

/** After so many milliseconds in which it is asked nothing a processor that holds nothing gives its memory back, if it is so large. */
const REST_MS = 1000;
const REST_BYTES = 16 << 20;

/** Buffers that are kept to carry what is asked next, and bytes of all of them at most: what is longer is a weight, which comes once. */
const KEPT = 64;
const KEPT_BYTES = 8 << 20;
/** Elements of so many bytes at most go in one buffer: to carry one more takes a message longer than to copy it. */
const TOGETHER_BYTES = 1 << 20;

/** A processor in a worker of its own, or here where there are none, with so many threads, for a browser that takes these proposals. */
export async function open(proposals, threads) {
  if (!proposals.simd) throw new Error('the browser takes no SIMD');
  /** Whether it has workers; of a policy that forbids them only their errors tell. */
  let apart = await able();
  // Threads are workers.
  if (!apart) threads = 1;
  const waiting = new Map();
  /** What is asked while no worker is there yet, in its order. */
  let queued = [];
  /** The worker that answers; none while the processor sleeps or wakes. */
  let leader;
  let waking = false;
  let awake;
  let workers = [];
  let over = new AbortController();
  let next = 0;
  let resting;
  /** Bytes of the processor's memory, which never shrinks. */
  let bytes = 0;
  /** The number of the execution that is to stop, and where its threads look for it, if they do. */
  let stopping = 0;
  let word;

  /** Buffers that came back, the longest unused first. */
  let carriers = [];
  const keep = (used) => {
    carriers.push(...used.filter(({ byteLength }) => byteLength > 0));
    let [from, bytes] = [carriers.length, 0];
    while (from > 0 && carriers.length - from < KEPT && (bytes += carriers[from - 1].byteLength) <= KEPT_BYTES) from--;
    carriers.splice(0, from);
  };
  const carrier = (length) => {
    const at = carriers.findIndex(({ byteLength }) => byteLength === length);
    return at < 0 ? new ArrayBuffer(length) : carriers.splice(at, 1)[0];
  };
  /** The elements of a message where they are several: in one buffer. */
  const together = (parts) => {
    const lengths = parts.map(([, { byteLength }]) => aligned(byteLength));
    const bytes = lengths.reduce((sum, length) => sum + length, 0);
    if (parts.length < 2 || bytes > TOGETHER_BYTES) return parts;
    const buffer = carrier(bytes);
    let at = 0;
    const moved = parts.map(([type, own], i) => {
      const there = new Uint8Array(buffer, at, own.byteLength);
      there.set(own);
      at += lengths[i];
      return [type, there];
    });
    keep(buffersOf(parts));
    return moved;
  };

  const build = () => (threads > 1 ? 'threads' : proposals.relaxedSimd ? 'relaxed' : 'simd');
  /** What need not go to the worker. */
  const short = new Short(async () => Processor.create(await module(build()), 1, threads > 1));

  /** Ends the workers; what they hold is gone. */
  const stop = () => {
    short.end();
    over.abort();
    over = new AbortController();
    workers.forEach((worker) => worker.terminate());
    [leader, workers, bytes, carriers, word] = [undefined, [], 0, [], undefined];
  };
  const end = (why) => {
    stop();
    clearTimeout(resting);
    processor.lost ??= why;
    for (const { reject } of waiting.values()) reject(new Error(processor.lost));
    waiting.clear();
    queued = [];
    awake?.();
  };
  /** A worker of which the end of any ends all, but for one that was never heard of where that is `unheard`. */
  const begun = (answered, unheard = end) => {
    const worker = apart ? made(make) : new Here();
    const { signal } = over;
    let heard = false;
    const ended = (why) => signal.aborted || (heard ? end : unheard)(why);
    worker.onerror = (event) => {
      event.preventDefault?.();
      ended(event.message ?? 'its script could not be loaded');
    };
    worker.onmessage = ({ data }) => {
      heard = true;
      if (data.ended !== undefined) return ended(data.ended);
      if (data.lives) return watch(data.lives, signal, () => ended('it ended'));
      answered(data);
    };
    workers.push(worker);
    return worker;
  };
  /** Begins the work of a worker. */
  const told = (worker, task) => {
    worker.postMessage({ ...task, lock: lock() });
  };
  /** Begins the first worker, which leads the others; where the page lets it not begin, the page itself does. */
  const lead = async () => {
    const here = (why) => {
      if (!apart) return end(why);
      console.warn(`consort: workers do not begin here (${why}): models run in the page itself`);
      stop();
      [apart, threads] = [false, 1];
      return lead().catch((error) => end(String(error.message)));
    };
    const helpers = [];
    let first;
    const answered = ({ ready, id, head, parts, used, memory }) => {
      if (ready) {
        helpers.forEach((worker, i) => told(worker, { module: code, memory: ready.memory, helper: ready.helpers[i] }));
        leader = first;
        if (ready.memory) {
          word = new Int32Array(ready.memory.buffer, ready.stopAt, 1);
          Atomics.store(word, 0, stopping);
        }
        queued.forEach(([message, transfer]) => leader.postMessage(message, transfer));
        queued = [];
        return awake();
      }
      bytes = memory;
      keep(used);
      waiting.get(id)?.resolve({ head, parts });
      waiting.delete(id);
    };
    try {
      first = begun(answered, here);
      // What helps it begins beside it.
      while (helpers.length < threads - 1) helpers.push(begun(() => {}, (why) => (leader ? end : here)(why)));
    } catch (error) {
      return here(String(error.message));
    }
    const code = await module(build());
    told(first, { module: code, threads });
  };
  /** Resolves once the workers are there, or failed. */
  const wake = async () => {
    waking = true;
    try {
      const ready = new Promise((resolve) => (awake = resolve));
      await lead();
      await ready;
    } catch (error) {
      end(String(error.message));
    } finally {
      waking = false;
    }
  };

  const processor = {
    /** Why it answers no more. */
    lost: undefined,
    /** So many bytes to be asked with. */
    carrier: (length) => new Uint8Array(carrier(length)),
    ask(head, parts, about, program) {
      clearTimeout(resting);
      const nearer = apart && processor.lost === undefined ? short.hear(about, program, head, parts) : undefined;
      if (nearer) {
        keep(buffersOf(parts));
        return nearer;
      }
      // What waits behind another says nothing of the way.
      const began = waiting.size === 0 ? performance.now() : NaN;
      const sample = short.sample(about, program, head, parts);
      const answer = new Promise((resolve, reject) => {
        if (processor.lost !== undefined) return reject(new Error(processor.lost));
        const id = next++;
        waiting.set(id, { resolve, reject });
        const carried = together(parts);
        const asked = [{ id, head, parts: carried }, [head.buffer, ...buffersOf(carried)]];
        if (leader) return leader.postMessage(...asked);
        queued.push(asked);
        if (!waking) wake();
      });
      // Some answers nobody waits for.
      answer.then(
        ({ parts }) => waiting.size === 0 && began && short.took(about, program, performance.now() - began, parts, sample),
        () => {},
      );
      return answer;
    },
    /** Nobody waits any more for the execution of that number: it ends, unless it has. */
    stop(number) {
      stopping = number;
      if (word) Atomics.store(word, 0, number);
      else if (leader) leader.postMessage({ stop: number });
      else if (waking) queued.push([{ stop: number }, []]);
    },
    /** It holds nothing any more: its memory goes back, unless it is asked again soon. */
    rest() {
      clearTimeout(resting);
      resting = setTimeout(() => {
        // It hears last that it is to let go, and may be slow to.
        if (waiting.size > 0) return processor.rest();
        short.end();
        if (bytes > REST_BYTES) stop();
      }, REST_MS);
    },
    get twice() {
      return short.bytes;
    },
    close: () => end('it was closed'),
  };
  await wake();
  if (processor.lost !== undefined) throw new Error(processor.lost);
  return processor;
}
