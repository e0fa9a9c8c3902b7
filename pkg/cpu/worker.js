// A worker with a processor in it: it answers requests one after another. Knows messages; must never know what they say.

import { Processor } from './processor.js';

let processor;

onmessage = async ({ data: { module, id, head, parts } }) => {
  try {
    if (module) {
      processor = await Processor.create(module);
      postMessage({ ready: true });
      return;
    }
    const answer = processor.ask(head, parts);
    postMessage({ id, ...answer }, [answer.head.buffer, ...answer.parts.map(([, bytes]) => bytes.buffer)]);
  } catch (error) {
    // Nothing here can be trusted any more.
    postMessage({ ended: String(error?.message ?? error) });
    close();
  }
};
