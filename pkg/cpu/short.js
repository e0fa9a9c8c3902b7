// Programs that are over sooner than a message has gone to a worker and back run where they are asked for: what carries the message takes
// as much of this thread as they do. Knows what requests are about, and times; must never know what they say.

import { breath } from '../breath.js';

/** What a request is about, as `src/js/workers.rs` says it. */
const [BRINGS, RUNS, FREES] = [1, 2, 3];

/** Bytes of what a program is made of, and of what it is fed, at most; and of all that is kept of such. */
const MOST_BYTES = 2 << 20;
const KEPT_BYTES = 8 << 20;
/** Milliseconds that one may take of this thread, and its share of what it takes with the way to a worker and back. */
const MOST_MS = 0.5;
const OF_THE_WAY = 0.6;
/** What takes longer with that way is not looked at. */
const WAY_MS = 2;
/** Calls of which the mean counts, as a clock may be coarse; fewer at first, as a lane may be tried for a few calls only; and such windows
 * until it is hopeless. */
const WINDOW = 8;
const FIRST = 3;
const HOPELESS = 16;
/** So often one is run, each time a while later, for the engine to make it fast; and no longer than that at a time. */
const ROUNDS = 12;
const LATER_MS = 20;
const ROUND_MS = 6;
/** After so long others have a turn in this thread. */
const TURN_MS = 8;
/** One that is too slow in so many windows in a row goes: in one, something else may have had the processor. It may come again so often. */
const SLOW = 3;
const RETURNS = 2;

const later = () => new Promise((done) => setTimeout(done, LATER_MS));
const size = (head, parts) => parts.reduce((sum, [, bytes]) => sum + bytes.byteLength, head.byteLength);
const copy = (head, parts) => [head.slice(), parts.map(([type, bytes]) => [type, bytes.slice()])];

/** Whether two lists of elements are the same to the bit. */
const same = (a, b) =>
  a.length === b.length &&
  a.every(([type, bytes], i) => type === b[i][0] && bytes.byteLength === b[i][1].byteLength && bytes.every((byte, at) => byte === b[i][1][at]));

/** The mean of windows of times. */
class Mean {
  #calls = 0;
  #ms = 0;
  #window;

  constructor(window = WINDOW) {
    this.#window = window;
  }

  /** The mean of the window that this ends, if it ends one. */
  took(ms) {
    this.#ms += ms;
    if (++this.#calls < this.#window) return undefined;
    const mean = this.#ms / this.#calls;
    this.#calls = this.#ms = 0;
    this.#window = WINDOW;
    return mean;
  }
}

/** What is known of a program. */
class Known {
  /** The requests that bring it; nothing where these are too long. */
  made = [];
  bytes = 0;
  /** Whether it was brought here, and whether it runs here. */
  brought = false;
  here = false;
  /** Whether it is coming, or never will. */
  settled = false;
  windows = 0;
  /** Windows in a row of which it took too long here, and how often it went for that. */
  slow = 0;
  returns = 0;
  /** The least mean of what it takes by way of the worker. */
  way = Infinity;
  times = new Mean(FIRST);
}

export class Short {
  #open;
  #opening;
  #processor;
  #programs = new Map();
  /** Since when nothing else had a turn here, and what tells that it had. */
  #since;
  #turns;

  /** Opens a processor here with `open`, once there is a program for it. */
  constructor(open) {
    this.#open = open;
  }

  /** Bytes of what was brought here and is with the worker, too. */
  get bytes() {
    return [...this.#programs.values()].reduce((sum, { brought, bytes }) => sum + (brought ? bytes : 0), 0);
  }

  /** Hears of a request: the answer where that is to be had here. */
  hear(about, number, head, parts) {
    if (about === RUNS) return this.#run(number, head, parts);
    if (about === BRINGS) this.#brought(number, head, parts);
    if (about === FREES) this.#freed(number, head, parts);
  }

  /** A copy of a request that runs a program, for `took`, where the next answer decides whether it comes here. */
  sample(about, number, head, parts) {
    const known = about === RUNS && this.#programs.get(number);
    const wanted = known?.made && !known.settled && known.windows > 0 && known.way <= WAY_MS;
    return wanted && size(head, parts) <= MOST_BYTES ? copy(head, parts) : undefined;
  }

  /** The worker answered a request, alone, in so many milliseconds; `sample` is a copy of it, if there is one. */
  took(about, number, ms, parts, sample) {
    const known = about === RUNS && this.#programs.get(number);
    if (!known?.made || known.settled) return;
    if (sample) {
      known.settled = true;
      // Whoever awaits the answer may move its elements on.
      return this.#come(known, sample, copy(new Uint8Array(), parts)[1]).catch(() => this.end());
    }
    const mean = known.times.took(ms);
    if (mean === undefined) return;
    known.way = Math.min(known.way, mean);
    if (++known.windows > HOPELESS) known.made = undefined;
  }

  /** Nothing is here any more. */
  end() {
    this.#programs.clear();
    this.#turns?.port1.close();
    this.#processor = this.#opening = this.#turns = this.#since = undefined;
  }

  #brought(number, head, parts) {
    const known = this.#programs.get(number) ?? new Known();
    this.#programs.set(number, known);
    known.bytes += size(head, parts);
    const kept = [...this.#programs.values()].reduce((sum, { made, bytes }) => sum + (made ? bytes : 0), 0);
    if (known.bytes > MOST_BYTES || kept > KEPT_BYTES) known.made = undefined;
    known.made?.push(copy(head, parts));
    known.brought = false;
  }

  #freed(number, head, parts) {
    this.#programs.delete(number);
    try {
      this.#processor?.ask(head, parts);
    } catch {
      this.end();
    }
  }

  /** Has a program come, of which a request had these results; it is here where it is fast enough after a while. */
  async #come(known, [head, parts], results) {
    const most = Math.min(MOST_MS, OF_THE_WAY * known.way);
    const there = () => [...this.#programs.values()].includes(known);
    await later();
    const processor = await (this.#opening ??= this.#open());
    // What ended meanwhile has none.
    if (!there()) return;
    this.#processor = processor;
    // A weight that several are made of came with the first.
    for (const one of this.#programs.values()) {
      if (one.made && !one.brought) {
        one.made.forEach((request) => this.#processor.ask(...request));
        one.brought = true;
      }
      if (one === known) break;
    }
    if (!same(this.#processor.ask(head, parts).parts, results)) return (known.made = undefined);
    for (let round = 0; round < ROUNDS; round++) {
      await later();
      if (!there()) return;
      const began = performance.now();
      let calls = 0;
      let ms = 0;
      while (calls < WINDOW && ms < ROUND_MS) {
        this.#processor.ask(head, parts);
        calls++;
        ms = performance.now() - began;
      }
      if (calls === WINDOW && ms / calls <= most) {
        known.here = true;
        known.times = new Mean();
        return;
      }
    }
    known.made = undefined;
  }

  #run(number, head, parts) {
    const known = this.#programs.get(number);
    if (!known?.here) return undefined;
    const began = performance.now();
    let answer;
    try {
      answer = this.#processor.ask(head, parts);
    } catch {
      // The worker has all that it needs.
      this.end();
      return undefined;
    }
    const ms = performance.now() - began;
    const mean = known.times.took(ms);
    if (mean !== undefined) known.slow = mean > MOST_MS ? known.slow + 1 : 0;
    if (known.slow === SLOW) {
      Object.assign(known, { here: false, settled: ++known.returns > RETURNS, slow: 0, windows: 0, way: Infinity });
    }
    // Whoever awaits one after another may never come back to the page.
    if (this.#since === undefined) {
      this.#since = began;
      this.#turns ??= new MessageChannel();
      this.#turns.port1.onmessage = () => (this.#since = undefined);
      this.#turns.port2.postMessage(null);
    }
    return began - this.#since < TURN_MS ? Promise.resolve(answer) : breath().then(() => answer);
  }
}
