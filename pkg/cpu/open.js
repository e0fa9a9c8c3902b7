// Processors for the page: the build that the browser runs, fetched once, and a worker for each. Knows how requests travel; must
// never know what they say.

const BUILDS = {
  simd: new URL('./simd.wasm', import.meta.url),
  relaxed: new URL('./relaxed.wasm', import.meta.url),
};

let compiled;

/** The module for a browser that takes these proposals of WebAssembly. */
function module({ simd, relaxedSimd }) {
  if (!simd) throw new Error('the browser takes no SIMD');
  const url = relaxedSimd ? BUILDS.relaxed : BUILDS.simd;
  compiled ??= (async () => {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url}: ${response.status}`);
    return WebAssembly.compile(await response.arrayBuffer());
  })().catch((error) => {
    // A later call may try again.
    compiled = undefined;
    throw error;
  });
  return compiled;
}

/** A processor in a worker of its own, for a browser that takes these proposals of WebAssembly. */
export async function open(proposals) {
  const compiling = module(proposals);
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  const waiting = new Map();
  let next = 0;
  const processor = {
    /** Why it answers no more. */
    lost: undefined,
    ask(head, parts) {
      const answer = new Promise((resolve, reject) => {
        if (processor.lost !== undefined) return reject(new Error(processor.lost));
        const id = next++;
        waiting.set(id, { resolve, reject });
        worker.postMessage({ id, head, parts }, [head.buffer, ...parts.map(([, bytes]) => bytes.buffer)]);
      });
      // Some answers nobody waits for.
      answer.catch(() => {});
      return answer;
    },
    close: () => end('it was closed'),
  };
  const end = (why) => {
    worker.terminate();
    processor.lost ??= why;
    for (const { reject } of waiting.values()) reject(new Error(processor.lost));
    waiting.clear();
  };
  try {
    await new Promise((resolve, reject) => {
      worker.onmessage = ({ data: { ready, ended, id, head, parts } }) => {
        if (ready) return resolve();
        if (ended !== undefined) return reject(new Error(ended)), end(ended);
        waiting.get(id)?.resolve({ head, parts });
        waiting.delete(id);
      };
      worker.onerror = (event) => {
        event.preventDefault?.();
        const why = event.message ?? 'its script could not be loaded';
        reject(new Error(why));
        end(why);
      };
      compiling.then((module) => worker.postMessage({ module }), reject);
    });
  } catch (error) {
    end(String(error.message));
    throw error;
  }
  return processor;
}
