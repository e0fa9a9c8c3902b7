// Operators that compute each element by itself, by MLGraphBuilder. Knows element types; must never know another family.

import { distinct, floats, widened } from './common.js';

export const named = (name) => (n) => n.builder[name](n.x(0));

const pair = (n) => distinct(n, [n.x(0), n.x(1)]);

/** Of a pair: the same of a wider type where theirs is none for the builder. */
export const chosen = (name) => (n) => {
  const [a, b] = widened(n, name, 'a', pair(n));
  const y = n.builder[name](a, b);
  return y.dataType === n.type(0) ? y : n.builder.cast(y, n.type(0));
};

export const compared = (name) => (n) => n.builder[name](...widened(n, name, 'a', pair(n)));

/** How many numbers of eight bits there are, and how many of them lie below 0. */
const BYTES = 256;
const BELOW = { uint8: 0, int8: 128 };

/** Numbers of eight bits are computed as floats, which hold all results, and what is beyond the type begins again at its other end. */
export const computed = (name) => (n) => {
  const type = n.type(0);
  if (n.takes(name, 'a', type) || !(type in BELOW)) return n.builder[name](...pair(n));
  const { builder } = n;
  const number = (value) => floats(n, [], [value]);
  let y = builder[name](...pair(n).map((x) => builder.cast(x, 'float32')));
  if (name === 'div') y = builder.mul(builder.sign(y), builder.floor(builder.abs(y)));
  const turns = builder.floor(builder.mul(builder.add(y, number(BELOW[type])), number(1 / BYTES)));
  return builder.cast(builder.sub(y, builder.mul(turns, number(BYTES))), type);
};

/** What a division leaves, with the divisor's sign, whichever way the builder's own rounds. */
export function left(n) {
  const [a, b] = widened(n, 'div', 'a', pair(n));
  const rest = (x) => n.builder.sub(x, n.builder.mul(n.builder.div(x, b), b));
  const y = rest(n.builder.add(rest(a), b));
  return y.dataType === n.type(0) ? y : n.builder.cast(y, n.type(0));
}

export const parametric = (name, defaults) => (n) => {
  const options = Object.fromEntries(Object.entries(defaults).map(([key, value]) => [key, n.float(key) ?? value]));
  return n.builder[name](n.x(0), options);
};

export const power = (n) => n.builder.pow(n.x(0), n.type(1) === n.type(0) ? n.x(1) : n.builder.cast(n.x(1), n.type(0)));

export function chosenBy(n) {
  const [a, b] = widened(n, 'where', 'trueValue', [n.x(1), n.x(2)]);
  const y = n.builder.where(n.x(0), a, b);
  return y.dataType === n.type(1) ? y : n.builder.cast(y, n.type(1));
}

export function clip(n) {
  const bound = (i, name) => n.has(i) ? n.known(i)?.[0] : (n.float(name) ?? undefined);
  const [low, high] = [bound(1, 'min'), bound(2, 'max')];
  const known = (!n.has(1) || low !== undefined) && (!n.has(2) || high !== undefined);
  if (known && n.type(0) === 'float32') {
    return n.builder.clamp(n.x(0), { ...(low !== undefined && { minValue: low }), ...(high !== undefined && { maxValue: high }) });
  }
  const lowest = n.has(1) ? n.builder.max(n.x(0), n.x(1)) : n.x(0);
  return n.has(2) ? n.builder.min(lowest, n.x(2)) : n.builder.identity(lowest);
}

export function cast(n) {
  const to = n.typeOf(n.outputs[0]);
  if (n.onnxType(n.outputs[0]) !== 'bool' || n.onnxType(n.inputs[0]) === 'bool') return n.builder.cast(n.x(0), to);
  // Not every platform compares narrow numbers.
  const [x] = widened(n, 'notEqual', 'a', [n.x(0)]);
  return n.builder.notEqual(x, n.builder.cast(floats(n, [], [0]), x.dataType));
}
