// A processor in wasm: requests and the elements that they speak of go in as bytes, answers come out as such. Knows the functions
// that the wasm has; must never know what a message says.

/** Bytes of an element, by the number of its type. */
const WIDTHS = [4, 8, 4, 1];

export class Processor {
  #wasm;
  /** What it said before it ended. */
  #last;

  /** A processor of a compiled module. */
  static async create(module) {
    const processor = new Processor();
    const consort = {
      now: () => performance.now(),
      ended: (at, bytes) => (processor.#last = new TextDecoder().decode(new Uint8Array(processor.#wasm.memory.buffer, at, bytes))),
    };
    const instance = await WebAssembly.instantiate(module, { consort });
    processor.#wasm = instance.exports;
    processor.#wasm.begin();
    return processor;
  }

  /** What is answered to `head`: its bytes, and elements as pairs of type and buffer. Throws where the processor ended. */
  ask(head, parts) {
    try {
      return this.#ask(head, parts);
    } catch (error) {
      throw new Error(this.#last ?? String(error?.message ?? error));
    }
  }

  #ask(head, parts) {
    const wasm = this.#wasm;
    this.#fill(wasm.request(head.byteLength), head);
    for (const [type, bytes] of parts) this.#fill(wasm.part(type, bytes.byteLength / WIDTHS[type]), bytes);
    wasm.answer();
    const taken = (at, bytes) => wasm.memory.buffer.slice(at, at + bytes);
    const answer = {
      head: new Uint8Array(taken(wasm.reply(), wasm.reply_bytes())),
      parts: Array.from({ length: wasm.reply_parts() }, (_, i) => [
        wasm.reply_part_type(i),
        new Uint8Array(taken(wasm.reply_part(i), wasm.reply_part_bytes(i))),
      ]),
    };
    wasm.done();
    return answer;
  }

  #fill(at, bytes) {
    if (at === 0) throw new RangeError(`there is no memory for ${bytes.byteLength} bytes`);
    new Uint8Array(this.#wasm.memory.buffer, at, bytes.byteLength).set(bytes);
  }
}
