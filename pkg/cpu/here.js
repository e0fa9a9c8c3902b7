// A processor where no Worker can be made: it answers in the page itself, in slices between which the page does what else it has to.
// Knows the messages of `worker.js`, and has a worker's face; must never know what they say.

import { breath } from '../breath.js';
import { Processor, buffersOf } from './processor.js';

/** Milliseconds of a slice. */
const SLICE_MS = 12;

export class Here {
  /** As a worker's: what it says comes here. */
  onmessage = () => {};
  #processor;
  /** What was asked last: one answers after another. */
  #last = Promise.resolve();
  #over = false;

  postMessage({ module, id, head, parts, stop }) {
    // It is at work on something, and waits for the page: whoever asked that it stop need not wait for its turn.
    if (stop !== undefined) return this.#processor?.stop(stop);
    this.#last = this.#last.then(async () => {
      if (this.#over) return;
      try {
        if (module) {
          this.#processor = await Processor.create(module);
          return this.#say({ ready: { helpers: [] } });
        }
        let answer = this.#processor.begin(head, parts, SLICE_MS);
        while (answer === undefined) {
          await breath();
          if (this.#over) return;
          answer = this.#processor.more(SLICE_MS);
        }
        this.#say({ id, ...answer, used: buffersOf(parts), memory: this.#processor?.bytes });
      } catch (error) {
        this.#say({ ended: String(error?.message ?? error) });
      }
    });
  }

  #say(data) {
    if (!this.#over) this.onmessage({ data });
  }

  terminate() {
    this.#over = true;
    this.#processor = undefined;
  }
}
