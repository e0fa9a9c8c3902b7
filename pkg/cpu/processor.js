// A processor in wasm: requests and the elements that they speak of go in as bytes, answers come out as such. Knows the functions
// that the wasm has; must never know what a message says.

/** A memory of several threads, in pages of 64 KiB: as the wasm was linked for. */
const SHARED = { initial: 128, maximum: 32768, shared: true };

/** Bytes after which what comes next in a buffer may begin. */
export const aligned = (bytes) => Math.ceil(bytes / 8) * 8;

/** The buffers that parts of a message lie in, each once. */
export const buffersOf = (parts) => [...new Set(parts.map(([, bytes]) => bytes.buffer))];

export class Processor {
  #wasm;
  /** What it said before it ended. */
  #last;

  /** Where all its threads compute; nothing where it has one only. */
  memory;

  /** A processor of a compiled module, for so many threads: `shared` says whether the module is of shared memory, as it is for several. */
  static async create(module, threads = 1, shared = threads > 1) {
    const processor = new Processor();
    await processor.#instantiate(module, shared ? new WebAssembly.Memory(SHARED) : undefined);
    processor.#wasm.begin(threads);
    return processor;
  }

  /** Helps the processor whose memory that is, as the thread of that number: it never ends. */
  static async help(module, memory, { thread, top }) {
    const processor = new Processor();
    await processor.#instantiate(module, memory);
    const wasm = processor.#wasm;
    wasm.__stack_pointer.value = top;
    wasm.__wasm_init_tls(top);
    wasm.help(thread);
  }

  /** What a helper needs to know: its stack's end, and its own memory above. */
  helper(thread) {
    const wasm = this.#wasm;
    return { thread, top: wasm.helper_memory(wasm.__tls_size.value) };
  }

  async #instantiate(module, memory) {
    const consort = {
      now: () => performance.now(),
      ended: (at, bytes) => (this.#last = new TextDecoder().decode(this.#taken(at, bytes))),
    };
    const instance = await WebAssembly.instantiate(module, { consort, env: { memory } });
    this.memory = memory;
    // A module that was given none has its own.
    this.#wasm = { memory, ...instance.exports };
  }

  /** A copy of some bytes. */
  #taken(at, bytes) {
    return new Uint8Array(this.#wasm.memory.buffer, at, bytes).slice();
  }

  /** Bytes of its memory. */
  get bytes() {
    return this.#wasm.memory.buffer.byteLength;
  }

  /** What is answered to `head`: its bytes, and elements as pairs of type and buffer. Throws where the processor ended. */
  ask(head, parts) {
    return this.#orEnded(() => {
      this.#fed(head, parts);
      this.#wasm.answer();
      return this.#answered();
    });
  }

  /** The same, but nothing where what is asked takes longer than so many milliseconds: `more` goes on with it, and nothing else may be
   * asked before. */
  begin(head, parts, ms) {
    return this.#orEnded(() => {
      this.#fed(head, parts);
      return this.#wasm.begin_slices(ms) ? this.#answered() : undefined;
    });
  }

  /** Goes on for so many milliseconds: what is answered, once that is there. */
  more(ms) {
    return this.#orEnded(() => (this.#wasm.more(ms) ? this.#answered() : undefined));
  }

  /** Has the execution of that number end where it goes on next. */
  stop(number) {
    this.#wasm.stop(number);
  }

  /** Where in its memory that number may be written to the same end, while it computes. */
  get stopAt() {
    return this.#wasm.stop_word();
  }

  /** Spends a few milliseconds on being fast later: whether a few more are of use. */
  warm() {
    return this.#orEnded(() => Boolean(this.#wasm.warm()));
  }

  #orEnded(work) {
    try {
      return work();
    } catch (error) {
      throw new Error(this.#last ?? String(error?.message ?? error));
    }
  }

  #fed(head, parts) {
    const wasm = this.#wasm;
    this.#fill(wasm.request(head.byteLength), head);
    for (const [type, bytes] of parts) this.#fill(wasm.part(type, bytes.byteLength), bytes);
  }

  #answered() {
    const wasm = this.#wasm;
    const head = this.#taken(wasm.reply(), wasm.reply_bytes());
    const lengths = Array.from({ length: wasm.reply_parts() }, (_, i) => wasm.reply_part_bytes(i));
    // In one buffer: each that a message carries takes it time.
    const all = new Uint8Array(lengths.reduce((sum, length) => sum + aligned(length), 0));
    let at = 0;
    const parts = lengths.map((length, i) => {
      const part = all.subarray(at, at + length);
      part.set(new Uint8Array(wasm.memory.buffer, wasm.reply_part(i), length));
      at += aligned(length);
      return [wasm.reply_part_type(i), part];
    });
    const answer = { head, parts };
    wasm.done();
    return answer;
  }

  #fill(at, bytes) {
    if (at === 0) throw new RangeError(`there is no memory for ${bytes.byteLength} bytes`);
    new Uint8Array(this.#wasm.memory.buffer, at, bytes.byteLength).set(bytes);
  }
}
