// Operators on pictures whose channels come last, as some contexts prefer them: convolutions begin a chain of such, what follows goes
// along, and what is none of these is computed of the picture turned back. Knows axes of pictures; must never know a context.

import { distinct } from './common.js';
import { ended } from './rows.js';
import { convolution, pool } from './windows.js';

/** Axes of channels first as those of channels last, and the other way round. */
export const LAST = [0, 2, 3, 1];
export const FIRST = [0, 3, 1, 2];

const EACH = new Set([
  'Abs', 'Neg', 'Sqrt', 'Exp', 'Log', 'Sigmoid', 'Tanh', 'Relu', 'Softplus', 'HardSwish', 'Identity', 'LeakyRelu', 'Elu', 'HardSigmoid', 'Clip',
]);
const PAIRS = { Add: 'add', Sub: 'sub', Mul: 'mul', Div: 'div', Max: 'max', Min: 'min' };

const product = (sizes) => sizes.reduce((a, b) => a * b, 1);

/** `n` whose first input is this operand. */
const of = (n, picture) => Object.assign(Object.create(n), { x: (i) => (i === 0 ? picture : n.x(i)) });

/** Both operands of a pair; nothing where one is no picture and more than a number. */
function pair(n, last) {
  const each = [0, 1].map((i) => {
    const shape = n.shape(i);
    return shape.length === 4 ? last(i) : product(shape) === 1 && n.x(i);
  });
  return each.every(Boolean) ? each : undefined;
}

/**
 * What a node makes, with its channels last, or nothing. `isLast(i)`: whether that input is there so; `last(i)` gives it so, turned
 * where it is not; `plain` is how the operator is made of a picture that it need not know the axes of.
 */
export function pictured(n, { isLast, last }, plain) {
  if (n.outputs.length !== 1 || n.result(0).length !== 4 || n.type(0) !== 'float32') return undefined;
  if (n.op === 'Conv') return ended((node) => convolution(node, last(0)))(n);
  const those = n.inputs.map((_, i) => i).filter(n.has);
  if (!those.some(isLast)) return undefined;
  if (EACH.has(n.op)) return isLast(0) ? plain(of(n, last(0))) : undefined;
  if (n.op in PAIRS) {
    const operands = those.length === 2 && pair(n, last);
    return operands ? n.builder[PAIRS[n.op]](...distinct(n, operands)) : undefined;
  }
  switch (n.op) {
    case 'GlobalAveragePool':
      return n.builder.reduceMean(last(0), { axes: [1, 2], keepDimensions: true });
    case 'MaxPool':
    case 'AveragePool':
      // Taps that lie apart are taken one by one.
      if (n.ints('dilations', []).some((dilation) => dilation > 1)) return undefined;
      return pool(n.op === 'MaxPool' ? 'maxPool2d' : 'averagePool2d')(n, last(0));
    case 'Concat':
      return n.int('axis', 0) === 1 && those.every((i) => product(n.shape(i)) > 0) ? n.builder.concat(distinct(n, those.map(last)), 3) : undefined;
    default:
      return undefined;
  }
}
