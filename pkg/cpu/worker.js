// A worker with a processor in it, which answers requests one after another, or with a thread that helps one. Knows messages;
// must never know what they say.

import { hold } from '../lives.js';
import { Processor } from './processor.js';

/** Nothing was asked for so many milliseconds: what comes next is still on its way to the page. */
const IDLE_MS = 10;

let processor;
let idle;

/** Uses a time in which nothing is asked, such as that in which a model is fetched. */
function warm() {
  try {
    if (processor.warm()) idle = setTimeout(warm);
    else idle = undefined;
  } catch (error) {
    ended(error);
  }
}

/** Nothing here can be trusted any more. */
function ended(error) {
  postMessage({ ended: String(error?.message ?? error) });
  close();
}

onmessage = async ({ data: { module, threads, memory, helper, lock, id, head, parts } }) => {
  try {
    if (lock) {
      await hold(lock);
      postMessage({ lives: lock });
    }
    if (helper) return await Processor.help(module, memory, helper);
    if (module) {
      processor = await Processor.create(module, threads);
      const helpers = Array.from({ length: threads - 1 }, (_, i) => processor.helper(i + 1));
      idle = setTimeout(warm, IDLE_MS);
      return postMessage({ ready: { memory: processor.memory, helpers } });
    }
    const answer = processor.ask(head, parts);
    if (idle !== undefined) {
      clearTimeout(idle);
      idle = setTimeout(warm, IDLE_MS);
    }
    // What carried the request may carry another: new memory is dear.
    const used = parts.map(([, bytes]) => bytes.buffer);
    postMessage({ id, ...answer, used, memory: processor.bytes }, [answer.head.buffer, ...answer.parts.map(([, bytes]) => bytes.buffer), ...used]);
  } catch (error) {
    ended(error);
  }
};
