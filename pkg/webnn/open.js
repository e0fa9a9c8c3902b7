// The page's end of a WebNN context in a worker of its own. Knows how requests travel; must never know what they say.

import { lock, watch } from '../lives.js';
import { workable, worker as made } from '../workers.js';
import { within } from './within.js';

const CODEC = new URL('./codec.wasm', import.meta.url);
const make = () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
let codec;

/** A context that is not there by then does not come: as for a graph, another lane is there sooner. */
const OPENED_MS = 30_000;

async function module() {
  codec ??= (async () => {
    const response = await fetch(CODEC);
    if (!response.ok) throw new Error(`${CODEC}: ${response.status}`);
    return WebAssembly.compile(await response.arrayBuffer());
  })();
  // A later call may try again.
  codec.catch(() => (codec = undefined));
  return codec;
}

/** A context of a device of that type: `cpu`, `gpu` or `npu`. */
export async function open(deviceType = 'cpu') {
  if (!globalThis.navigator?.ml || !(await workable(make))) throw new Error('this browser has no WebNN');
  const worker = made(make);
  const waiting = new Map();
  const over = new AbortController();
  let next = 0;
  let began;
  const ready = new Promise((resolve, reject) => (began = { resolve, reject }));
  // It may fail before anybody waits for it.
  ready.catch(() => {});
  const end = (why) => {
    over.abort();
    worker.terminate();
    context.lost ??= why;
    const error = new Error(context.lost);
    began.reject(error);
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  worker.onerror = (event) => {
    event.preventDefault?.();
    end(event.message ?? 'its script could not be loaded');
  };
  worker.onmessage = ({ data }) => {
    if (data.ended !== undefined) return end(data.ended);
    if (data.lives) return watch(data.lives, over.signal, () => end('it ended'));
    if (data.ready) return began.resolve();
    waiting.get(data.id)?.resolve(data);
    waiting.delete(data.id);
  };
  const context = {
    /** Why it answers no more. */
    lost: undefined,
    /** So many bytes to be asked with. */
    carrier: (length) => new Uint8Array(length),
    ask(head, parts) {
      const answer = new Promise((resolve, reject) => {
        if (context.lost !== undefined) return reject(new Error(context.lost));
        const id = next++;
        waiting.set(id, { resolve, reject });
        worker.postMessage({ id, head, parts }, [head.buffer, ...parts.map(([, bytes]) => bytes.buffer)]);
      });
      // Some answers nobody waits for.
      answer.catch(() => {});
      return answer;
    },
    /** It holds nothing any more; what it has is the browser's. */
    rest() {},
    close: () => end('it was closed'),
  };
  worker.postMessage({ module: await module(), deviceType, lock: lock() });
  await within(OPENED_MS, ready, () => new Error(`no context within ${OPENED_MS / 1e3} s`)).catch((error) => {
    end(error.message);
    throw error;
  });
  return context;
}
