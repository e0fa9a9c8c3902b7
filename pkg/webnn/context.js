// A WebNN context that answers what is asked of a processor (`processor::wire`), one request after another. Knows requests and the
// context; must never know how they travel.

import { costOf } from './cost.js';
import { Building, TYPES, bytesOf, hex, length, typeOf } from './graph.js';
import { channelsLast } from './layout.js';
import { OPERATORS, Unsupported } from './operators.js';
import { precision } from './precision.js';
import { ceilings, reached } from './probe.js';
import { within } from './within.js';

const failed = (kind, message, node) => ({ Failed: { kind, message, model: null, node: node ?? null } });

/** The answer that tells of an error. */
function told(error) {
  const kind = error instanceof Unsupported ? 'unsupported' : error instanceof RangeError ? 'out-of-memory' : 'internal';
  return [failed(kind, String(error?.message ?? error), error?.node)];
}

/** A graph that is not built by then is refused: another lane answers sooner. */
const BUILT_MS = 30_000;

/** Resolves as `build` does, or refuses after `BUILT_MS`; what comes later is let go of. */
async function inTime(build) {
  try {
    return await within(BUILT_MS, build, () => new Unsupported(`WebNN builds it for more than ${BUILT_MS / 1e3} s`));
  } catch (error) {
    build.then((graph) => graph?.destroy?.(), () => {});
    throw error;
  }
}

/** A request has so long, and so many times what it takes at the context's ceilings: one that takes longer is never answered. */
const ANSWER_MS = 10_000;
const ANSWER_TIMES = 100;

/** The context does not answer any more. */
class Silent extends Error {}

export class Context {
  #context;
  #device;
  /** In what it computes, as was found by computing. */
  #precision;
  /** Weights by name: what they are, where they lie, who holds them, and for which programs they were brought. */
  #weights = new Map();
  #programs = new Map();
  /** Programs whose graphs are being built, whether they are still wanted, and whether their holder still holds. */
  #building = new Set();
  #tensors = new Map();
  #ceilings;
  /** Whether pictures have their channels last, once a graph has such. */
  #channelsLast;
  /** Whether it has tensors that never change, as far as is known. */
  #constants = true;

  /** `last`: whether pictures have their channels last; measured where it is not said. */
  static async open(deviceType, last) {
    if (!globalThis.navigator?.ml) throw new Error('this browser has no WebNN');
    const opened = new Context();
    opened.#context = await navigator.ml.createContext({ deviceType });
    opened.#device = deviceType;
    opened.#precision = await precision(opened.#context);
    opened.#channelsLast = last;
    return opened;
  }

  /** Resolves with why once the context is lost. */
  get lost() {
    return this.#context.lost.then(({ message }) => message || 'the context was lost');
  }

  close() {
    this.#context.destroy();
  }

  /**
   * An answer, and elements as pairs of type and buffer. Where it is `{ later }`, that comes to be one, and the next request need not
   * wait for it.
   */
  async ask(request, parts) {
    const [name, of] = typeof request === 'string' ? [request, undefined] : Object.entries(request)[0];
    try {
      const ms = ANSWER_MS + ANSWER_TIMES * this.#leastMs(of, parts);
      const late = () => new Silent(`the context has not answered '${name}' for ${Math.round(ms / 1e3)} s`);
      const answer = await within(ms, this[`_${name}`](of, parts), late);
      return answer.later ? { later: answer.later.catch(told) } : answer;
    } catch (error) {
      // It is as good as lost.
      if (error instanceof Silent) throw error;
      return told(error);
    }
  }

  /** What a request takes at the ceilings, in milliseconds: its elements on their way, and the programs that it runs. */
  #leastMs(of, parts) {
    const bytes = parts.reduce((sum, [, { byteLength }]) => sum + byteLength, 0);
    const programs = (of?.runs ?? []).map(({ program }) => this.#programs.get(program)?.leastMs ?? 0);
    return programs.reduce((a, b) => a + b, this.#atCeilings([{ flops: 0, bytes }]));
  }

  /** What steps of these costs take at the ceilings, in milliseconds; 0 as long as those are not known. */
  #atCeilings(costs) {
    if (!this.#ceilings) return 0;
    const { flops_per_s, bytes_per_s, dispatch_s } = this.#ceilings;
    return costs.reduce((sum, { flops, bytes }) => sum + 1e3 * (dispatch_s + Math.max(flops / flops_per_s, bytes / bytes_per_s)), 0);
  }

  _Greet() {
    const limits = this.#context.opSupportLimits();
    const types = TYPES.filter((type) => limits.input.dataTypes.includes(typeOf(type)));
    // What was asked for is a wish; what the context is it may say itself.
    const { accelerated } = this.#context;
    const features = accelerated === undefined ? this.#precision : [accelerated ? 'accelerated' : 'not accelerated', ...this.#precision];
    return [{ Here: { threads: 1, features, device: `WebNN, asked for ${this.#device}`, takes: { operators: Object.keys(OPERATORS), types } } }];
  }

  async #brought({ shape }, [[type, bytes]]) {
    const ty = { dtype: TYPES[type], shape };
    const described = { dataType: typeOf(ty.dtype), shape };
    return { ty, described, bytes };
  }

  async _Weight({ program, hash, shape }, parts) {
    const { ty, described, bytes } = await this.#brought({ shape }, parts);
    const weight = { ty, size: bytes.byteLength, holders: new Set(), programs: new Set([program]) };
    if (described.dataType === undefined) throw new Unsupported(`elements of ${ty.dtype}`);
    // A tensor is part of many graphs; what a context has none for is copied into each. Whole numbers are looked at, too.
    if (ty.dtype === 'float32') weight.tensor = await this.#constant(described, bytes);
    if (!weight.tensor) weight.bytes = bytes;
    this.#weights.set(hex(hash), Object.assign(weight, { hash }));
    return ['Done'];
  }

  async #constant(described, bytes) {
    if (!this.#constants) return undefined;
    try {
      return await this.#context.createConstantTensor(described, bytes);
    } catch (error) {
      if (error.name !== 'NotSupportedError' && error.name !== 'TypeError') throw error;
      this.#constants = false;
      return undefined;
    }
  }

  async _Prepare({ program, holder, order }) {
    if (order.nodes.some(({ op_type: op }) => op === 'Conv')) this.#channelsLast ??= await channelsLast(this.#context);
    const building = new Building(this.#context, order, this.#weights, this.#channelsLast);
    const build = building.composed();
    const underWay = { program, holder, wanted: true, held: true };
    this.#building.add(underWay);
    return { later: this.#built(underWay, order, building, build).finally(() => this.#building.delete(underWay)) };
  }

  /** The answer to an order once its graph is built, which others' requests do not wait for. */
  async #built(underWay, order, building, build) {
    const graph = await inTime(build());
    const { inputs, outputs, tensors } = order.special;
    const port = (id) => tensors[id].ty;
    const [given, made] = [inputs.map(port), outputs.map(port)];
    const costs = building.live.map((node) => costOf(order, node));
    const program = { graph, read: building.read, given, made, leastMs: this.#atCeilings(costs), idle: undefined };
    if (underWay.wanted) this.#programs.set(underWay.program, program);
    else graph?.destroy?.();
    const held = [...building.used].filter((name) => this.#weights.has(name)).map((name) => {
      const weight = this.#weights.get(name);
      if (underWay.held) weight.holders.add(underWay.holder);
      return [weight.hash, weight.size];
    });
    const arena = [...given, ...made].reduce((sum, ty) => sum + bytesOf(ty), 0);
    return [{ Prepared: { costs, arena, scratch: 0, live: arena, layout: [], held, known: held.map(([hash]) => hash) } }];
  }

  #tensor({ dtype, shape }) {
    return this.#context.createTensor({ dataType: typeOf(dtype), shape, readable: true, writable: true });
  }

  async _Execute({ runs }, parts) {
    const began = performance.now();
    const waiting = [];
    let next = 0;
    for (const { program, inputs, kept } of runs) {
      const begin = performance.now() - began;
      const ready = this.#programs.get(program);
      const { graph, read, given, made } = ready;
      const own = this.#taken(ready);
      const { feeds, results } = own;
      const [fed, left] = [{}, {}];
      for (const [i, input] of inputs.entries()) {
        const [, bytes] = input.Part ? parts[next++] : [];
        if (!read[i]) continue;
        if (input.Kept !== undefined) fed[`i${i}`] = this.#tensors.get(input.Kept).tensor;
        else {
          feeds[i] ??= await this.#tensor(given[i]);
          this.#context.writeTensor(feeds[i], bytes);
          fed[`i${i}`] = feeds[i];
        }
      }
      for (const [i, ty] of made.entries()) {
        if (length(ty.shape) === 0) kept[i] !== null && this.#tensors.set(kept[i], { ty });
        else if (kept[i] !== null) this.#tensors.set(kept[i], { ty, tensor: (left[`o${i}`] = await this.#tensor(ty)) });
        else left[`o${i}`] = results[i] ??= await this.#tensor(ty);
      }
      if (graph) this.#context.dispatch(graph, fed, left);
      const back = made.map((ty, i) => kept[i] === null && this.#elements({ ty, tensor: left[`o${i}`] }));
      // Of what stays nobody tells when it is done with.
      const known = !graph || made.some((_, i) => kept[i] === null && left[`o${i}`]);
      if (!known) this.#emptied(own);
      waiting.push(Promise.all(back.filter(Boolean)).then((read) => {
        if (known) this.#left(program, ready, own);
        return { read, span: [begin, performance.now() - began] };
      }));
    }
    const done = await Promise.all(waiting);
    return [{ Executed: [done.map(({ span }) => span), []] }, done.flatMap(({ read }) => read)];
  }

  /**
   * Tensors that a run of a program is fed by and gives, which no other run is at work on: where one is still to be read, Chromium 147
   * writes to it later, and what is written to others meanwhile takes the elements that were meant for it.
   */
  #taken(ready) {
    const own = ready.idle ?? { feeds: [], results: [] };
    ready.idle = undefined;
    return own;
  }

  /** That run is over. */
  #left(program, ready, own) {
    if (ready.idle || this.#programs.get(program) !== ready) return this.#emptied(own);
    ready.idle = own;
  }

  /** What a tensor has, with its type. */
  async #elements({ ty, tensor }) {
    return [TYPES.indexOf(ty.dtype), new Uint8Array(tensor ? await this.#context.readTensor(tensor) : 0)];
  }

  _Profile() {
    return [failed('unsupported', 'WebNN does not tell what its steps take')];
  }

  async _Keep({ tensor, shape }, parts) {
    const { ty, described, bytes } = await this.#brought({ shape }, parts);
    if (described.dataType === undefined) throw new Unsupported(`a tensor of ${ty.dtype} [${shape}]`);
    const made = length(shape) === 0 ? undefined : await this.#tensor(ty);
    if (made) this.#context.writeTensor(made, bytes);
    this.#tensors.set(tensor, { ty, tensor: made });
    return ['Done'];
  }

  async _Read(number) {
    return ['Done', [await this.#elements(this.#tensors.get(number))]];
  }

  _Forget({ programs, tensors }) {
    for (const one of this.#building) one.wanted &&= !programs.includes(one.program);
    for (const number of programs) {
      this.#emptied(this.#programs.get(number)?.idle);
      this.#programs.get(number)?.graph?.destroy?.();
      this.#programs.delete(number);
    }
    for (const number of tensors) {
      this.#tensors.get(number)?.tensor?.destroy();
      this.#tensors.delete(number);
    }
    for (const { programs: brought } of this.#weights.values()) programs.forEach((number) => brought.delete(number));
    this.#freed();
    return ['Done'];
  }

  _Release(holder) {
    for (const one of this.#building) one.held &&= one.holder !== holder;
    for (const { holders } of this.#weights.values()) holders.delete(holder);
    this.#freed();
    return ['Done'];
  }

  /** Lets go of weights that nobody holds and that were brought for nobody that is still to be made ready. */
  #freed() {
    for (const [name, { holders, programs, tensor }] of this.#weights) {
      if (holders.size || programs.size) continue;
      tensor?.destroy();
      this.#weights.delete(name);
    }
  }

  #emptied(own) {
    for (const list of own ? [own.feeds, own.results] : []) list.forEach((tensor) => tensor?.destroy());
  }

  _Trim() {
    for (const program of this.#programs.values()) this.#emptied(this.#taken(program));
    return ['Done'];
  }

  async _Measure() {
    this.#ceilings = await ceilings(this.#context);
    return [{ Ceilings: this.#ceilings }];
  }

  async _Utilisation(cls) {
    this.#ceilings ??= await ceilings(this.#context);
    return [{ Reached: await reached(this.#context, cls, this.#ceilings) }];
  }
}
