// A worker with a processor in it, which answers requests one after another, or with a thread that helps one. What takes long is done
// in slices, between which it hears that an execution is to stop; where threads share a memory a word of that tells it. Knows
// messages; must never know what they say.

import { hold } from '../lives.js';
import { Processor, buffersOf } from './processor.js';

/** Milliseconds of a slice. */
const SLICE_MS = 20;
/** Nothing was asked for so many milliseconds: what comes next is still on its way to the page. */
const IDLE_MS = 10;

/** Nothing here can be trusted any more. */
function ended(error) {
  postMessage({ ended: String(error?.message ?? error) });
  close();
}

let processor;
/** Of what it does: all at once, where it is told otherwise that it is to stop. */
let slice = SLICE_MS;
/** What came while it was at work on something. */
const waiting = [];
let busy = false;
/** Whether it may still become faster by what it does while nothing is asked, and when it does that next. */
let cold = true;
let idle;

const { port1, port2 } = new MessageChannel();
/** Resolves once what waited was heard. */
const turn = () => new Promise((done) => ((port1.onmessage = done), port2.postMessage(null)));

onmessage = ({ data }) => {
  if (data.stop !== undefined) return processor?.stop(data.stop);
  if (busy) waiting.push(data);
  else take(data);
};

async function take({ module, threads, memory, helper, lock, id, head, parts }) {
  busy = true;
  clearTimeout(idle);
  try {
    // It comes to be while the browser is asked for the lock.
    const coming = module && !helper && Processor.create(module, threads);
    if (lock) {
      await hold(lock);
      postMessage({ lives: lock });
    }
    if (helper) return await Processor.help(module, memory, helper);
    if (module) {
      processor = await coming;
      const helpers = Array.from({ length: threads - 1 }, (_, i) => processor.helper(i + 1));
      if (processor.memory) slice = Infinity;
      postMessage({ ready: { memory: processor.memory, stopAt: processor.stopAt, helpers } });
      return rest();
    }
    let answer = processor.begin(head, parts, slice);
    while (answer === undefined) {
      await turn();
      answer = processor.more(slice);
    }
    // What carried the request may carry another: new memory is dear.
    const used = buffersOf(parts);
    postMessage({ id, ...answer, used, memory: processor.bytes }, [answer.head.buffer, ...buffersOf(answer.parts), ...used]);
    rest();
  } catch (error) {
    ended(error);
  }
}

/** Goes on with what waited. */
function rest() {
  busy = false;
  if (waiting.length > 0) take(waiting.shift());
  else if (cold) idle = setTimeout(warm, IDLE_MS);
}

/** Uses a time in which nothing is asked, such as that in which a model is fetched. */
function warm() {
  try {
    cold = processor.warm();
  } catch (error) {
    return ended(error);
  }
  if (cold) idle = setTimeout(warm);
}
