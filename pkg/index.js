// The package's entry point: the classes of index.d.ts over the wasm module. Checks and names; decides nothing.

import wasm, { WasmPool } from './generated/consort.js';

const ARRAYS = { float32: Float32Array, int64: BigInt64Array, int32: Int32Array, bool: Uint8Array };

/** Only this module makes pools and sessions. */
const inside = Symbol('consort');

let ready;

export function init(source) {
  ready ??= wasm(source === undefined ? undefined : { module_or_path: source }).catch((error) => {
    // A later call may try again, with another source.
    ready = undefined;
    throw new ConsortError('fetch', `the wasm file could not be loaded: ${error.message ?? error}`);
  });
  return ready.then(() => undefined);
}

export class ConsortError extends Error {
  constructor(kind, message, { model, node } = {}) {
    super(message);
    this.kind = kind;
    if (model !== undefined) this.model = model;
    if (node !== undefined) this.node = node;
  }

  get name() {
    return 'ConsortError';
  }
}

/** What wasm threw, as an error that callers know. */
function known(error) {
  if (error instanceof ConsortError) return error;
  if (typeof error?.kind === 'string') return new ConsortError(error.kind, error.message, error);
  return new ConsortError('internal', String(error?.message ?? error));
}

async function call(work) {
  try {
    return await work();
  } catch (error) {
    throw known(error);
  }
}

function refuse(message) {
  throw new ConsortError('invalid-input', message);
}

export class Tensor {
  constructor(type, data, dims) {
    const kind = ARRAYS[type] ?? refuse(`there is no tensor type '${type}': ${Object.keys(ARRAYS).join(', ')}`);
    const shape = Array.from(dims ?? []);
    if (!shape.every((d) => Number.isSafeInteger(d) && d >= 0)) refuse(`dims [${shape}] are not whole numbers`);
    const size = shape.reduce((a, b) => a * b, 1);
    if (data?.length !== size) refuse(`dims [${shape}] take ${size} elements, not ${data?.length}`);
    if (ArrayBuffer.isView(data) && !(data instanceof kind)) {
      refuse(`a ${type} tensor takes a ${kind.name}, not a ${data.constructor.name}`);
    }
    this.type = type;
    this.data = data instanceof kind ? data : kind.from(data);
    this.dims = Object.freeze(shape);
    this.size = size;
    Object.freeze(this);
  }
}

/** Outputs as wasm gives them, as tensors. */
function tensors(outputs) {
  return Object.fromEntries(Object.entries(outputs).map(([name, t]) => [name, new Tensor(t.type, t.data, t.dims)]));
}

function bytesOrUrl(value, what) {
  if (value instanceof URL) return value.href;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  return refuse(`${what} must be a URL, an ArrayBuffer or a Uint8Array`);
}

/** The number by which wasm knows a session of `pool`. */
let idOf;

export class Session {
  #pool;
  #id;

  static {
    idOf = (session, pool) => {
      if (!(session instanceof Session)) refuse('a request needs a session');
      if (session.#pool !== pool) refuse(`session '${session.name}' is of another pool`);
      return session.#id;
    };
  }

  constructor(token, pool, loaded) {
    if (token !== inside) throw new TypeError('a Session comes from pool.load');
    this.#pool = pool;
    this.#id = loaded.id;
    this.name = loaded.name;
    this.lane = loaded.lane;
    this.inputMetadata = Object.freeze(loaded.inputs);
    this.outputMetadata = Object.freeze(loaded.outputs);
    this.inputNames = Object.freeze(loaded.inputs.map((i) => i.name));
    this.outputNames = Object.freeze(loaded.outputs.map((o) => o.name));
    Object.freeze(this);
  }

  async run(feeds, options) {
    const [outputs] = await call(() => this.#pool.runAll([{ session: this.#id, feeds }], { signal: options?.signal }));
    return tensors(outputs);
  }

  async release() {
    this.#pool.release(this.#id);
  }
}

/** What wasm needs to predict a request. */
function shapesOf({ feeds, shapes }) {
  const given = shapes ?? Object.fromEntries(Object.entries(feeds ?? {}).map(([name, t]) => [name, t?.dims]));
  return Object.fromEntries(Object.entries(given).map(([name, dims]) => [name, Array.from(dims ?? [])]));
}

export class Pool {
  #pool;

  constructor(token, pool) {
    if (token !== inside) throw new TypeError('a Pool comes from Pool.create');
    this.#pool = pool;
    this.capabilities = Object.freeze(pool.capabilities());
    this.profile = Object.freeze(pool.profile());
    Object.freeze(this);
  }

  static async create(options) {
    await init();
    return new Pool(inside, await call(() => WasmPool.create(options)));
  }

  async load(source, options = {}) {
    const external = Object.entries(options.externalData ?? {});
    const externalData = Object.fromEntries(external.map(([n, v]) => [n, bytesOrUrl(v, `external data '${n}'`)]));
    const from = bytesOrUrl(source, 'a model');
    const loaded = await call(() => this.#pool.load(from, { ...options, externalData }));
    return new Session(inside, this.#pool, loaded);
  }

  async runAll(requests, options) {
    const outputs = await call(() => this.#pool.runAll(this.#requests(requests), options));
    return outputs.map(tensors);
  }

  async predict(requests, options) {
    const list = Array.from(requests, (r) => ({ session: idOf(r.session, this.#pool), shapes: shapesOf(r) }));
    return call(() => this.#pool.predict(list, options));
  }

  async compare(requests, options) {
    return call(() => this.#pool.compare(this.#requests(requests), options));
  }

  memory() {
    return this.#pool.memory();
  }

  accuracy() {
    return this.#pool.accuracy();
  }

  async close() {
    this.#pool.close();
  }

  #requests(requests) {
    return Array.from(requests, ({ session, feeds }) => ({ session: idOf(session, this.#pool), feeds }));
  }
}
