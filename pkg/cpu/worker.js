// A worker with a processor in it, which answers requests one after another, or with a thread that helps one. Knows messages;
// must never know what they say.

import { Processor } from './processor.js';

let processor;

onmessage = async ({ data: { module, threads, memory, helper, id, head, parts } }) => {
  try {
    if (helper) return await Processor.help(module, memory, helper);
    if (module) {
      processor = await Processor.create(module, threads);
      const helpers = Array.from({ length: threads - 1 }, (_, i) => processor.helper(i + 1));
      return postMessage({ ready: { memory: processor.memory, helpers } });
    }
    const answer = processor.ask(head, parts);
    postMessage({ id, ...answer }, [answer.head.buffer, ...answer.parts.map(([, bytes]) => bytes.buffer)]);
  } catch (error) {
    // Nothing here can be trusted any more.
    postMessage({ ended: String(error?.message ?? error) });
    close();
  }
};
