// What a node costs, in operations and bytes, as the predictor sees it. Knows shapes; must never know a time.

import { bytesOf, length } from './graph.js';

const MOVES = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Identity', 'Transpose', 'Expand', 'Concat', 'Gather', 'GatherElements', 'GatherND', 'ScatterElements', 'ScatterND', 'Slice', 'Split', 'Pad', 'Trilu', 'Cast']);
const REDUCES = /^(Reduce|Global|Softmax|LogSoftmax|LayerNormalization|Arg)/;

/** A product of so many rows at most takes what its matrix takes to be read. */
const FEW = 4;
const product = (rows) => (rows <= FEW ? 'gemv' : 'matmul');

/** The class, floating-point operations and bytes of a node of an order. */
export function costOf({ nodes, special: { tensors } }, { node, inputs, outputs }) {
  const { op_type: op, attributes } = nodes[node];
  const types = (ids) => ids.filter((id) => id !== null).map((id) => tensors[id].ty);
  const [read, written] = [types(inputs), types(outputs)];
  const bytes = [...read, ...written].reduce((sum, ty) => sum + bytesOf(ty), 0);
  const made = written.reduce((sum, { shape }) => sum + length(shape), 0);
  const given = read.reduce((sum, { shape }) => sum + length(shape), 0);
  const of = (cls, flops) => ({ class: cls, flops, bytes });
  const [x, w] = read;
  switch (op) {
    case 'MatMul':
      return of(product(length(x.shape.slice(0, -1))), 2 * made * x.shape.at(-1));
    case 'Gemm': {
      const [rows, inner] = attributes.transA?.Int ? [x.shape[1], x.shape[0]] : x.shape;
      return of(product(rows), 2 * made * inner);
    }
    case 'LSTM':
    case 'GRU':
    case 'RNN':
      return of('matmul', 2 * x.shape[0] * x.shape[1] * (length(w.shape) + length(read[2].shape)));
    case 'Conv':
      // One filter a channel is bound by memory.
      return of(w.shape[1] === 1 ? 'depthwise' : 'conv', 2 * made * length(w.shape.slice(1)));
    case 'ConvTranspose':
      return of('conv', 2 * length(x.shape) * length(w.shape.slice(1)));
    case 'AveragePool':
    case 'MaxPool':
      return of('pool', made * length(attributes.kernel_shape?.Ints ?? [1]));
    default:
      return MOVES.has(op) ? of('movement', 0) : REDUCES.test(op) ? of('reduce', 4 * given) : of('elementwise', made);
  }
}
