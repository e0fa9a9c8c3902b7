// The package's entry point: the classes of index.d.ts over the wasm module. Checks and names; decides nothing.

import { open as openFar } from './far/open.js';
import { explained } from './errors.js';
import { ConsortError, call, check, detected, found, known, opened, refuse, wasmSource } from './inside.js';
import { watch } from './machine.js';
import { painted } from './paint.js';
import { fromImage, toDataURL, toImageData } from './picture.js';
import { recordsOf } from './records.js';
import { fromAudio } from './sound.js';

export { ConsortError, init } from './inside.js';

const ARRAYS = {
  float32: Float32Array,
  float16: globalThis.Float16Array ?? Uint16Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

/** Only this module makes pools and sessions. */
const inside = Symbol('consort');

/** A tensor that is dropped without `dispose` gives its bytes back when the browser collects it. */
const dropped = new FinalizationRegistry(({ pool, id }) => pool.dispose(id));

/** What wasm needs of a tensor that `pool` is fed. */
let fedTo;
/** A tensor on the GPU from wasm's description of it. */
let onGpu;

/** The wasm behind a pool. */
let wasmOf;

/** Paints pictures into tensors of `pool`, where its first lane has such that the page may write; one in a worker has not. */
const painter = (pool) =>
  pool.blank &&
  (async (source, asked) => {
    const [id, device, buffer] = (await pool.blank(asked.dims)) ?? [];
    if (id === undefined) return undefined;
    if (await painted(source, asked, device, buffer).catch(() => false)) return id;
    pool.dispose(id);
    return undefined;
  });

export class Tensor {
  #data;
  /** Where it stays on the GPU: `{pool, id}`. */
  #held;

  static {
    fedTo = (tensor, pool) => {
      if (!(tensor instanceof Tensor) || tensor.#held === undefined) return tensor;
      if (tensor.#held === null) throw new ConsortError('closed', 'the tensor was disposed of');
      if (tensor.#held.pool !== pool) refuse('the tensor is on the GPU of another pool');
      return { resident: tensor.#held.id };
    };
    onGpu = (pool, { type, dims, resident }) => {
      const held = { held: inside, pool, id: resident };
      const tensor = new Tensor(type, held, dims);
      dropped.register(tensor, { ...held }, tensor);
      return tensor;
    };
  }

  constructor(type, data, dims) {
    const kind = ARRAYS[type] ?? refuse(`there is no tensor type '${type}': ${Object.keys(ARRAYS).join(', ')}`);
    const shape = Array.from(dims ?? []);
    if (!shape.every((d) => Number.isSafeInteger(d) && d >= 0)) refuse(`dims [${shape}] are not whole numbers`);
    const size = shape.reduce((a, b) => a * b, 1);
    // Only this module gives a pool for the elements.
    const held = data?.held === inside ? data : undefined;
    if (!held && data?.length !== size) refuse(`dims [${shape}] take ${size} elements, not ${data?.length}`);
    // Older browsers have no array of float16: its bits stand for it there, and may everywhere.
    const bits = type === 'float16' && data instanceof Uint16Array;
    if (type === 'float16' && !held && !bits && kind === Uint16Array) {
      refuse('this browser has no Float16Array: give the bits in a Uint16Array');
    }
    if (ArrayBuffer.isView(data) && !(data instanceof kind) && !bits) {
      refuse(`a ${type} tensor takes a ${kind.name}, not a ${data.constructor.name}`);
    }
    this.type = type;
    this.dims = Object.freeze(shape);
    this.size = size;
    this.location = held ? 'gpu' : 'cpu';
    this.#held = held;
    if (!held) this.#data = data instanceof kind ? data : bits ? new kind(data.buffer, data.byteOffset, size) : kind.from(data);
    Object.freeze(this);
  }

  static async fromImage(source, options) {
    const pool = options?.pool && wasmOf(options.pool);
    const { type, data, there, dims } = await call(() => fromImage(source, options, pool && painter(pool)));
    return there === undefined ? new Tensor(type, data, dims) : onGpu(pool, { type, dims, resident: there });
  }

  static async fromAudio(source, options) {
    const { type, data, dims } = await call(async () => fromAudio(source, options));
    return new Tensor(type, data, dims);
  }

  async toImageData(options) {
    const data = await this.getData();
    return call(async () => toImageData(this, data, options));
  }

  async toDataURL(options) {
    const picture = await this.toImageData(options);
    return call(async () => toDataURL(picture, options));
  }

  get data() {
    return this.#data ?? refuse('the tensor is on the GPU: await its getData()');
  }

  async getData() {
    if (this.#data) return this.#data;
    if (this.#held === null) throw new ConsortError('closed', 'the tensor was disposed of');
    return (await call(() => this.#held.pool.read(this.#held.id))).data;
  }

  dispose() {
    if (!this.#held) return;
    dropped.unregister(this);
    this.#held.pool.dispose(this.#held.id);
    this.#held = null;
  }
}

/** Outputs as wasm gives them, as tensors. */
function tensors(outputs, pool) {
  const tensor = (t) => (t.resident === undefined ? new Tensor(t.type, t.data, t.dims) : onGpu(pool, t));
  return Object.fromEntries(Object.entries(outputs).map(([name, t]) => [name, tensor(t)]));
}

/** Feeds as wasm takes them. */
function fed(feeds, pool) {
  if (feeds === null || typeof feeds !== 'object') return feeds;
  return Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, fedTo(tensor, pool)]));
}

/** What wasm keeps on the GPU for an `outputLocation`. */
function kept(location) {
  if (location === undefined || location === 'cpu') return false;
  if (location === 'gpu') return true;
  if (location === null || typeof location !== 'object') refuse(`there is no output location '${location}': 'cpu', 'gpu'`);
  return Object.keys(location).filter((name) => kept(location[name]));
}

function bytesOrUrl(value, what) {
  if (value instanceof URL) return value.href;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  return refuse(`${what} must be a URL, an ArrayBuffer or a Uint8Array`);
}

/** A model and the options of its load as wasm takes them. */
function filesFrom(source, options = {}) {
  const together = source !== null && typeof source === 'object' && 'model' in source;
  if (together) [source, options] = [source.model, { ...options, externalData: { ...source.externalData, ...options.externalData } }];
  const external = Object.entries(options.externalData ?? {});
  const externalData = Object.fromEntries(external.map(([n, v]) => [n, bytesOrUrl(v, `external data '${n}'`)]));
  return [bytesOrUrl(source, 'a model'), { ...options, externalData }];
}

/** The number by which wasm knows a session of `pool`. */
let idOf;

/** Tells of a session's first call, whatever the page does of it. */
function firstRun(onProgress) {
  if (typeof onProgress !== 'function') return () => {};
  let begun = false;
  return (done) => {
    if (done === 0 && begun) return false;
    begun = true;
    try {
      onProgress({ phase: 'run', done, total: 1 });
    } catch {
      // A callback that throws must not stop the call.
    }
    return true;
  };
}

export class Session {
  #pool;
  #id;
  #first;

  static {
    idOf = (session, pool) => {
      if (!(session instanceof Session)) refuse('a request needs a session');
      if (session.#pool !== pool) refuse(`session '${session.name}' is of another pool`);
      return session.#id;
    };
  }

  constructor(token, pool, loaded, onProgress) {
    if (token !== inside) throw new TypeError('a Session comes from pool.load');
    this.#pool = pool;
    this.#id = loaded.id;
    this.#first = firstRun(onProgress);
    this.name = loaded.name;
    this.lanes = Object.freeze(loaded.lanes);
    this.precisions = Object.freeze(loaded.precisions);
    this.refusals = Object.freeze(loaded.refusals);
    this.inputMetadata = Object.freeze(loaded.inputs);
    this.outputMetadata = Object.freeze(loaded.outputs);
    this.inputNames = Object.freeze(loaded.inputs.map((i) => i.name));
    this.outputNames = Object.freeze(loaded.outputs.map((o) => o.name));
    Object.freeze(this);
  }

  async run(feeds, options) {
    return call(async () => {
      const request = { session: this.#id, feeds: fed(feeds, this.#pool), keep: kept(options?.outputLocation) };
      const { signal, priority, deadlineMs } = options ?? {};
      const first = this.#first(0);
      const [outputs] = await this.#pool.runAll([request], { signal, priority, deadlineMs });
      if (first) this.#first(1);
      return tensors(outputs, this.#pool);
    });
  }

  get lane() {
    try {
      return this.#pool.lane(this.#id);
    } catch (error) {
      throw known(error);
    }
  }

  get answered() {
    try {
      return this.#pool.answered(this.#id) ?? null;
    } catch (error) {
      throw known(error);
    }
  }

  memoryMap() {
    try {
      return this.#pool.memoryMap(this.#id) ?? null;
    } catch (error) {
      throw known(error);
    }
  }

  async release() {
    await this.#pool.release(this.#id);
  }
}

/** What wasm needs to predict a request. */
function shapesOf({ feeds, shapes }) {
  const given = shapes ?? Object.fromEntries(Object.entries(feeds ?? {}).map(([name, t]) => [name, t?.dims]));
  return Object.fromEntries(Object.entries(given).map(([name, dims]) => [name, Array.from(dims ?? [])]));
}

export const Capabilities = Object.freeze({ detect: async () => Object.freeze(await detected()) });

/** A pool of wasm in a worker of its own. */
async function openedFar(options) {
  check(options);
  return call(() => openFar(options, wasmSource));
}

export class Pool {
  #pool;
  #unwatch;

  static {
    wasmOf = (pool) => (pool instanceof Pool ? pool.#pool : refuse('a picture goes to a Pool'));
  }

  constructor(token, pool, detected, background) {
    if (token !== inside) throw new TypeError('a Pool comes from Pool.create');
    this.#pool = pool;
    this.#unwatch = watch(({ hidden, pressure, onBattery }) => pool.told(hidden, pressure, onBattery, background !== 'work'));
    this.capabilities = Object.freeze({ ...detected, ...pool.capabilities() });
    this.profiles = Object.freeze(pool.profiles().map(Object.freeze));
    this.profile = this.profiles[0];
    this.records = recordsOf(pool, this.capabilities.fingerprint);
    Object.freeze(this);
  }

  static async create(options) {
    const pool = await (options?.worker ? openedFar : opened)(options ?? {});
    return new Pool(inside, pool, await found(), options?.background);
  }

  async load(source, options) {
    const loaded = await call(() => this.#pool.load(...filesFrom(source, options)));
    return new Session(inside, this.#pool, loaded, options?.onProgress);
  }

  async preload(source, options) {
    return call(() => this.#pool.preload(...filesFrom(source, options)));
  }

  async runAll(requests, options) {
    return call(async () => {
      const outputs = await this.#pool.runAll(this.#requests(requests, options?.outputLocation), options);
      return outputs.map((o) => tensors(o, this.#pool));
    });
  }

  async predict(requests, options) {
    const list = Array.from(requests, (r) => ({ session: idOf(r.session, this.#pool), shapes: shapesOf(r) }));
    return call(() => this.#pool.predict(list, options));
  }

  async compare(requests, options) {
    return call(() => this.#pool.compare(this.#requests(requests), options));
  }

  async upload(tensor) {
    if (!ArrayBuffer.isView(tensor?.data)) refuse('what is uploaded is a Tensor whose data is in the page');
    const id = await call(() => this.#pool.upload(tensor));
    return onGpu(this.#pool, { type: tensor.type, dims: tensor.dims, resident: id });
  }

  async queue() {
    return call(() => this.#pool.queue());
  }

  traffic() {
    return this.#pool.traffic();
  }

  memory() {
    return this.#pool.memory();
  }

  accuracy(lane) {
    try {
      return explained(this.#pool.accuracy(lane));
    } catch (error) {
      throw known(error);
    }
  }

  async close() {
    this.#unwatch();
    await this.#pool.close();
  }

  #requests(requests, location) {
    return Array.from(requests, ({ session, feeds, outputLocation }) => ({
      session: idOf(session, this.#pool),
      feeds: fed(feeds, this.#pool),
      keep: kept(outputLocation ?? location),
    }));
  }
}
