// A processor where no Worker can be made: it answers in the page itself, in slices between which the page does what else it has to.
// Knows the messages of `worker.js`, and has a worker's face; must never know what they say.

import { breath } from '../breath.js';
import { Processor } from './processor.js';

/** Milliseconds of a slice. */
const SLICE_MS = 12;

export class Here {
  /** As a worker's: what it says comes here. */
  onmessage = () => {};
  #processor;
  /** What was asked last: one answers after another. */
  #last = Promise.resolve();
  #over = false;

  postMessage({ module, id, head, parts }) {
    this.#last = this.#last.then(async () => {
      if (this.#over) return;
      try {
        if (module) {
          this.#processor = await Processor.create(module);
          return this.#say({ ready: { helpers: [] } });
        }
        const answer = await this.#processor.askInSlices(head, parts, SLICE_MS, breath);
        this.#say({ id, ...answer, used: parts.map(([, bytes]) => bytes.buffer), memory: this.#processor?.bytes });
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
