// A worker with a WebNN context in it, which answers requests one after another. Knows messages; must never know what they say.

import { hold } from '../lives.js';
import { Codec } from './codec.js';
import { Context } from './context.js';

let begun;
let last = Promise.resolve();

async function begin({ module, deviceType, lock }) {
  if (lock) {
    await hold(lock);
    postMessage({ lives: lock });
  }
  const [codec, context] = await Promise.all([Codec.create(module), Context.open(deviceType)]);
  context.lost.then((why) => (postMessage({ ended: why }), close()));
  return { codec, context };
}

async function answer({ id, head, parts }) {
  const { codec, context } = await begun;
  const [told, elements = []] = await context.ask(codec.told(head), parts);
  const reply = codec.written(told);
  postMessage({ id, head: reply, parts: elements }, [reply.buffer, ...elements.map(([, bytes]) => bytes.buffer)]);
}

onmessage = ({ data }) => {
  if (data.destroy) return void begun.then(({ context }) => context.close());
  if (data.module) {
    begun = begin(data);
    begun.then(() => postMessage({ ready: true }), (error) => postMessage({ ended: String(error?.message ?? error) }));
    return;
  }
  last = last.then(() => answer(data)).catch((error) => {
    // Nothing here can be trusted any more.
    postMessage({ ended: String(error?.message ?? error) });
    close();
  });
};
