// Processors for the page: the build that the browser runs, fetched once, and workers. Knows how requests travel; must never know
// what they say.

const BUILDS = {
  simd: new URL('./simd.wasm', import.meta.url),
  relaxed: new URL('./relaxed.wasm', import.meta.url),
  threads: new URL('./threads.wasm', import.meta.url),
};

/** Builds by name, compiled or on their way. */
const compiled = new Map();

function module(build) {
  if (!compiled.has(build)) {
    const compiling = (async () => {
      const response = await fetch(BUILDS[build]);
      if (!response.ok) throw new Error(`${BUILDS[build]}: ${response.status}`);
      return WebAssembly.compile(await response.arrayBuffer());
    })();
    // A later call may try again.
    compiling.catch(() => compiled.delete(build));
    compiled.set(build, compiling);
  }
  return compiled.get(build);
}

/** A processor in a worker of its own, with so many threads, for a browser that takes these proposals of WebAssembly. */
export async function open(proposals, threads) {
  if (!proposals.simd) throw new Error('the browser takes no SIMD');
  const build = threads > 1 ? 'threads' : proposals.relaxedSimd ? 'relaxed' : 'simd';
  const waiting = new Map();
  const workers = [];
  let next = 0;
  const processor = {
    /** Why it answers no more. */
    lost: undefined,
    ask(head, parts) {
      const answer = new Promise((resolve, reject) => {
        if (processor.lost !== undefined) return reject(new Error(processor.lost));
        const id = next++;
        waiting.set(id, { resolve, reject });
        workers[0].postMessage({ id, head, parts }, [head.buffer, ...parts.map(([, bytes]) => bytes.buffer)]);
      });
      // Some answers nobody waits for.
      answer.catch(() => {});
      return answer;
    },
    close: () => end('it was closed'),
  };
  const over = new AbortController();
  const end = (why) => {
    over.abort();
    workers.forEach((worker) => worker.terminate());
    processor.lost ??= why;
    for (const { reject } of waiting.values()) reject(new Error(processor.lost));
    waiting.clear();
  };
  /** A worker of which the end of any ends all. */
  const begun = (ended) => {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    worker.onerror = (event) => {
      event.preventDefault?.();
      ended(event.message ?? 'its script could not be loaded');
    };
    worker.onmessage = ({ data }) => {
      if (data.ended !== undefined) return ended(data.ended);
      // Whoever holds the lock has ended when it can be had.
      if (data.lives) return void navigator.locks.request(data.lives, { signal: over.signal }, () => ended('it ended')).catch(() => {});
      answered(data);
    };
    workers.push(worker);
    return worker;
  };
  /** Begins the work of a worker. */
  const told = (worker, task) => {
    // A page that is not secure has no locks: there a worker's end is known only where the worker says so itself.
    const lock = globalThis.navigator?.locks && `consort worker ${crypto.randomUUID()}`;
    worker.postMessage({ ...task, lock });
  };
  let answered;
  try {
    await new Promise((resolve, reject) => {
      const ended = (why) => {
        end(why);
        reject(new Error(why));
      };
      const leader = begun(ended);
      module(build).then((module) => {
        answered = ({ ready, id, head, parts }) => {
          if (!ready) return waiting.get(id)?.resolve({ head, parts }), waiting.delete(id);
          for (const helper of ready.helpers) {
            told(begun(ended), { module, memory: ready.memory, helper });
          }
          resolve();
        };
        told(leader, { module, threads });
      }, reject);
    });
  } catch (error) {
    end(String(error.message));
    throw error;
  }
  return processor;
}
