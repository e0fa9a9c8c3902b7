// What the page's wasm writes as bytes, as plain objects, and the other way round, by a small wasm that knows both. Must never know
// what it says.

export class Codec {
  #wasm;

  static async create(module) {
    const codec = new Codec();
    codec.#wasm = (await WebAssembly.instantiate(module, {})).exports;
    return codec;
  }

  #through(bytes, name) {
    const wasm = this.#wasm;
    const at = wasm.room(bytes.byteLength);
    new Uint8Array(wasm.memory.buffer, at, bytes.byteLength).set(bytes);
    const done = wasm[name]();
    const out = new Uint8Array(wasm.memory.buffer, wasm.out(), wasm.out_bytes()).slice();
    if (!done) throw new Error(new TextDecoder().decode(out));
    return out;
  }

  told = (head) => JSON.parse(new TextDecoder().decode(this.#through(head, 'decode')));
  written = (answer) => this.#through(new TextEncoder().encode(JSON.stringify(answer)), 'encode');
}
