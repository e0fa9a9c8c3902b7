// A graph for one set of shapes, as `processor::wire` orders it, built by MLGraphBuilder. Knows tensors and nodes; must never know
// who asked for it.

import { fused } from './fuse.js';
import { OPERATORS, Unsupported } from './operators.js';
import { reshaped, steady } from './operators/common.js';
import { FIRST, LAST, pictured } from './operators/pictures.js';

/** ONNX's element types by the numbers under which they travel, and what WebNN calls them; nothing where it has none. */
export const TYPES = ['float32', 'int64', 'int32', 'bool', 'uint8', 'int8', 'uint16', 'int16', 'uint32', 'uint64', 'float16', 'float64'];
const OURS = { bool: 'uint8', uint16: undefined, int16: undefined, float64: undefined };
export const typeOf = (type) => (type in OURS ? OURS[type] : type);
const BYTES = { float32: 4, int64: 8, int32: 4, bool: 1, uint8: 1, int8: 1, uint16: 2, int16: 2, uint32: 4, uint64: 8, float16: 2, float64: 8 };
const ARRAYS = { float32: Float32Array, int64: BigInt64Array, int32: Int32Array, bool: Uint8Array, uint8: Uint8Array, int8: Int8Array, uint32: Uint32Array, uint64: BigUint64Array };

export const length = (shape) => shape.reduce((a, b) => a * b, 1);
export const bytesOf = ({ dtype, shape }) => length(shape) * BYTES[dtype];
export const hex = (hash) => hash.map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** The name of a weight among those that are held: each type lies as it is. */
export const weightName = ([first, ...rest], dtype) => hex([first ^ ({ int64: 1, bool: 2 }[dtype] ?? 0), ...rest]);

/** Chromium 147 drops the transposes before and after these, its own around convolutions, too, and leaves the axis. */
const APART = ['Softmax', 'LogSoftmax'];

/** A node as its operator sees it. */
class Node {
  constructor(building, { inputs, outputs }, source) {
    Object.assign(this, { builder: building.builder, inputs, outputs, name: source.name, op: source.op_type });
    this.opset = building.order.opset[source.domain] ?? 1;
    this.building = building;
    this.attributes = source.attributes;
  }

  has = (i) => (this.inputs[i] ?? null) !== null;
  x = (i) => (APART.includes(this.op) ? this.building.apart(this.inputs[i]) : this.building.operand(this.inputs[i]));
  shape = (i) => this.building.tensors[this.inputs[i]].ty.shape;
  result = (i) => this.building.tensors[this.outputs[i]].ty.shape;
  onnxType = (id) => this.building.tensors[id].ty.dtype;
  typeOf = (id) => typeOf(this.onnxType(id));
  type = (i) => this.typeOf(this.inputs[i]);
  known = (i) => this.building.numbers(this.inputs[i]);
  /** Whether the builder's operator takes such elements as that operand, as far as the context says. */
  takes = (name, operand, type) => this.building.limits[name]?.[operand]?.dataTypes.includes(type) ?? true;

  values(i) {
    return this.known(i) ?? this.building.refuse(`input ${i} is only known while running`);
  }

  #attribute(name, kind, value) {
    const given = this.attributes[name];
    return given && kind in given ? given[kind] : value;
  }

  int = (name, value) => this.#attribute(name, 'Int', value);
  ints = (name, value) => this.#attribute(name, 'Ints', value);
  float = (name) => this.#attribute(name, 'Float');
  floats = (name) => this.#attribute(name, 'Floats');
  string = (name, value) => this.#attribute(name, 'String', value);
  strings = (name) => this.#attribute(name, 'Strings');
}

export class Building {
  #operands = new Map();
  /** Those pictures that have their channels last; what reads them otherwise has them turned. */
  #last = new Map();
  #channelsLast;

  /** `weights`: those that are held, by name; `channelsLast`: whether convolutions make pictures of channels last. */
  constructor(context, order, weights, channelsLast) {
    this.#channelsLast = channelsLast;
    this.builder = new MLGraphBuilder(context);
    this.limits = context.opSupportLimits();
    this.order = order;
    this.tensors = order.special.tensors;
    this.weights = weights;
    /** Names of the weights that it is made of. */
    this.used = new Set();
    /** Nodes that are built. */
    this.live = [];
  }

  refuse(why) {
    throw new Unsupported(why);
  }

  /** How MLGraphBuilder describes a tensor. */
  described({ dtype, shape }) {
    if (length(shape) === 0) this.refuse(`a tensor of shape [${shape}], which has no elements`);
    return { dataType: typeOf(dtype) ?? this.refuse(`elements of ${dtype}`), shape };
  }

  none = (id) => length(this.tensors[id].ty.shape) === 0;

  /** The elements of a constant; nothing where they are not at hand. */
  #bytes({ ty, source }) {
    const [hash, value] = source.Constant ?? [];
    if (!hash) return undefined;
    return value ? Uint8Array.from(value.data[1]) : this.weights.get(weightName(hash, ty.dtype))?.bytes;
  }

  /** The same as numbers. */
  numbers(id) {
    const tensor = this.tensors[id];
    const [bytes, array] = [this.#bytes(tensor), ARRAYS[tensor.ty.dtype]];
    return bytes && array && Array.from(new array(bytes.buffer, bytes.byteOffset, length(tensor.ty.shape)), Number);
  }

  operand(id) {
    if (!this.#operands.has(id)) {
      const last = this.#last.get(id);
      this.#operands.set(id, last ? this.builder.transpose(last, { permutation: FIRST }) : this.#made(id));
    }
    return this.#operands.get(id);
  }

  /** An operand that no transpose is moved over. */
  apart(id) {
    const operand = this.operand(id);
    return operand.shape.length === 4 ? this.builder.reshape(operand, operand.shape) : operand;
  }

  /** A picture with its channels last. */
  #turned(id) {
    if (!this.#last.has(id)) this.#last.set(id, this.builder.transpose(this.operand(id), { permutation: LAST }));
    return this.#last.get(id);
  }

  /** What a node makes with its channels last; nothing where it is to be made as ever. */
  #pictured(node, operator) {
    const there = { isLast: (i) => this.#last.has(node.inputs[i]), last: (i) => this.#turned(node.inputs[i]) };
    const made = this.#channelsLast && pictured(node, there, operator);
    if (!made) return false;
    const { ty, name } = this.tensors[node.outputs[0]];
    const want = LAST.map((axis) => ty.shape[axis]);
    if (String(made.shape) !== String(want)) this.refuse(`'${name}' would be [${made.shape}], not [${want}]`);
    this.#last.set(node.outputs[0], made);
    return true;
  }

  #made(id) {
    const tensor = this.tensors[id];
    const { ty, source } = tensor;
    const described = this.described(ty);
    if (source.Input !== undefined) return this.builder.input(`i${this.order.special.inputs.indexOf(id)}`, described);
    if (!source.Constant) throw new Error(`'${tensor.name}' is computed by no node`);
    const name = weightName(source.Constant[0], ty.dtype);
    const weight = this.weights.get(name);
    if (!weight) return steady(this.builder.constant(described, this.#bytes(tensor)));
    this.used.add(name);
    if (weight.ty.dtype !== ty.dtype) this.refuse(`'${tensor.name}', whose bits are also ${weight.ty.dtype}`);
    const constant = steady(weight.tensor ? this.builder.constant(weight.tensor) : this.builder.constant(this.described(weight.ty), weight.bytes));
    return String(weight.ty.shape) === String(ty.shape) ? constant : reshaped(this, constant, ty.shape);
  }

  /**
   * Describes the graph to the builder: its inputs as `i0` and so on. What it returns builds it, with outputs as `o0` and so on;
   * nothing where none has elements.
   */
  composed() {
    const { nodes, inputs, outputs } = this.order.special;
    const { found, gone } = fused(this.order);
    for (const [index, special] of nodes.entries()) {
      // What has no elements is not computed.
      if (gone.has(index) || special.outputs.every((id) => id === null || this.none(id))) continue;
      this.live.push(special);
      const one = found.get(index);
      if (one) {
        const there = this.#last.has(one.x) ? this.#last : this.#operands;
        there.set(special.outputs[0], this.builder[one.op](this.#last.get(one.x) ?? this.operand(one.x)));
        continue;
      }
      const source = this.order.nodes[special.node];
      const node = new Node(this, special, source);
      try {
        const operator = OPERATORS[source.op_type] ?? this.refuse('there is no such operator');
        if (this.#pictured(node, operator)) continue;
        const made = [operator(node)].flat();
        special.outputs.forEach((id, i) => {
          if (id === null || this.none(id)) return;
          const { ty, name } = this.tensors[id];
          const [shape, type] = [made[i]?.shape, made[i]?.dataType];
          if (String(shape) !== String(ty.shape) || type !== typeOf(ty.dtype)) {
            this.refuse(`'${name}' would be ${type} [${shape}], not ${ty.dtype} [${ty.shape}]`);
          }
          this.#operands.set(id, made[i]);
        });
      } catch (error) {
        throw Object.assign(new Unsupported(`${source.op_type} by WebNN: ${error.message}`), { node: source.name });
      }
    }
    const named = {};
    outputs.forEach((id, i) => {
      if (this.none(id)) return;
      const plain = this.tensors[id].source === 'Node' && outputs.indexOf(id) === i;
      named[`o${i}`] = plain ? this.operand(id) : this.builder.identity(this.operand(id));
    });
    /** Those inputs that somebody reads. */
    this.read = inputs.map((id) => this.#operands.has(id));
    if (Object.keys(named).length === 0) return async () => undefined;
    return () => this.builder.build(named).catch((error) => this.refuse(`WebNN builds no such graph: ${error.message}`));
  }
}
