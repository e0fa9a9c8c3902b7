// A worker with a WebNN context in it, which answers requests one after another; what is being built is waited for by nobody else. Knows messages; must never know what they say.

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
  const reply = ([told, elements = []]) => {
    const head = codec.written(told);
    postMessage({ id, head, parts: elements }, [head.buffer, ...elements.map(([, bytes]) => bytes.buffer)]);
  };
  const answer = await context.ask(codec.told(head), parts);
  if (answer.later) answer.later.then(reply).catch(fallen);
  else reply(answer);
}

/** Nothing here can be trusted any more. */
function fallen(error) {
  postMessage({ ended: String(error?.message ?? error) });
  close();
}

onmessage = ({ data }) => {
  if (data.destroy) return void begun.then(({ context }) => context.close());
  if (data.module) {
    begun = begin(data);
    begun.then(() => postMessage({ ready: true }), (error) => postMessage({ ended: String(error?.message ?? error) }));
    return;
  }
  last = last.then(() => answer(data)).catch(fallen);
};
