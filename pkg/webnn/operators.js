// ONNX operators by MLGraphBuilder, for shapes that are known: which family's each is. Knows both sides' names; must never know a
// context.

import { cast, chosen, chosenBy, clip, compared, computed, left, named, parametric, power } from './operators/elementwise.js';
import { expanded, gathered, gatheredElements, gatheredSlices, joined, pad, placed, seen, slice, split, transposed, triangle } from './operators/moves.js';
import { recurrent } from './operators/recurrent.js';
import { resize } from './operators/resize.js';
import { ended, gemm, normal, normalBatch, place, product2, reduced, softmax, summed } from './operators/rows.js';
import { convolution, pool, unconvolution } from './operators/windows.js';

export { Unsupported } from './operators/common.js';

/** By name: what a node's outputs are made of. */
export const OPERATORS = {
  Abs: named('abs'), Neg: named('neg'), Sign: named('sign'), Sqrt: named('sqrt'), Exp: named('exp'), Log: named('log'),
  Reciprocal: named('reciprocal'), Floor: named('floor'), Ceil: named('ceil'), Round: named('roundEven'), Sin: named('sin'),
  Cos: named('cos'), Erf: named('erf'), Sigmoid: named('sigmoid'), Tanh: named('tanh'), Relu: named('relu'), Softplus: named('softplus'),
  Softsign: named('softsign'), HardSwish: named('hardSwish'), Not: named('logicalNot'), Identity: named('identity'),
  LeakyRelu: parametric('leakyRelu', { alpha: 0.01 }), Elu: parametric('elu', { alpha: 1 }),
  HardSigmoid: parametric('hardSigmoid', { alpha: 0.2, beta: 0.5 }),
  Add: computed('add'), Sub: computed('sub'), Mul: computed('mul'), Div: computed('div'), Mod: left, Min: chosen('min'), Max: chosen('max'),
  PRelu: chosen('prelu'), Equal: compared('equal'), Greater: compared('greater'), GreaterOrEqual: compared('greaterOrEqual'),
  Less: compared('lesser'), LessOrEqual: compared('lesserOrEqual'), And: compared('logicalAnd'), Or: compared('logicalOr'),
  Xor: compared('logicalXor'), Pow: power, Where: chosenBy, Cast: cast, Clip: clip,
  Conv: ended(convolution), ConvTranspose: unconvolution, MatMul: ended(product2), Gemm: ended(gemm),
  AveragePool: pool('averagePool2d'), MaxPool: pool('maxPool2d'),
  GlobalAveragePool: reduced('reduceMean', true), GlobalMaxPool: reduced('reduceMax', true),
  ReduceMean: reduced('reduceMean'), ReduceSum: reduced('reduceSum'), ReduceMax: reduced('reduceMax'), ReduceMin: reduced('reduceMin'),
  ReduceProd: reduced('reduceProduct'), ReduceL1: reduced('reduceL1'), ReduceL2: reduced('reduceL2'),
  ReduceSumSquare: reduced('reduceSumSquare'),
  Softmax: (n) => softmax(n), LogSoftmax: (n) => n.builder.log(softmax(n)),
  LayerNormalization: normal, BatchNormalization: normalBatch, ArgMax: place('argMax'), ArgMin: place('argMin'),
  Resize: resize, LSTM: recurrent, GRU: recurrent, RNN: recurrent,
  Reshape: seen, Flatten: seen, Squeeze: seen, Unsqueeze: seen, Transpose: transposed, Expand: expanded, Concat: joined, Gather: gathered,
  Slice: slice, Split: split, Pad: pad, Trilu: triangle, CumSum: summed,
  GatherElements: gatheredElements, GatherND: gatheredSlices,
  ScatterElements: placed('scatterElements'), ScatterND: placed('scatterND'),
};
