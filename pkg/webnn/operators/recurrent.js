// LSTM, GRU and RNN by MLGraphBuilder: by its own operators where they mean the same, else step by step. Knows gates and states; must
// never know another family.

import { floats, part, refuse, reshaped, turned } from './common.js';

/** By activation: the builder's name of it. */
const KNOWN = { Sigmoid: 'sigmoid', Tanh: 'tanh', Relu: 'relu' };

/** By cell: how many gates, and what they go through where the node does not say. */
const CELLS = { LSTM: [4, ['Sigmoid', 'Tanh', 'Tanh']], GRU: [3, ['Sigmoid', 'Tanh']], RNN: [1, ['Tanh']] };

/** Steps that are written out at most: each is a dozen operators. */
const STEPS = 512;

/** What a node says, and its operands with the steps first. */
function said(n) {
  if (n.int('input_forget', 0)) refuse('input and forget gates that are one');
  const [gates, usual] = CELLS[n.op];
  const batchFirst = n.int('layout', 0) === 1;
  const first = (x) => (batchFirst ? turned(n, x, [1, 0, 2]) : x);
  const x = first(n.x(0));
  const state = (i) => n.has(i) && first(n.x(i));
  const [directions, , hidden] = n.shape(2);
  const names = (n.strings('activations') ?? Array.from({ length: directions }, () => usual).flat()).map((name) => KNOWN[name] ?? refuse(`activation ${name}`));
  const each = Array.from({ length: directions }, (_, d) => names.slice(d * usual.length, (d + 1) * usual.length));
  const [steps, batch] = x.shape;
  const lengths = n.has(4) && !n.known(4)?.every((length) => length === steps);
  return {
    x, steps, batch, gates, directions, hidden, batchFirst, each, lengths, h: state(5), c: n.op === 'LSTM' && state(6),
    reversed: n.string('direction', 'forward') === 'reverse', clip: n.float('clip'), linear: n.int('linear_before_reset', 0) !== 0,
    bias: n.has(3) && [0, 1].map((half) => part(n, n.x(3), 1, half * gates * hidden, gates * hidden)),
    peephole: n.op === 'LSTM' && n.has(7) && n.x(7),
  };
}

/** The builder's own operator; nothing where it does not mean the same. */
function own(n, { x, steps, directions, hidden, each, lengths, h, c, clip, bias, peephole, linear, reversed }) {
  const [activations, others = activations] = each;
  // In Chromium 147 the output gate's peephole sees the state before the step.
  if (n.op === 'RNN' || lengths || peephole || clip !== undefined || String(activations) !== String(others)) return undefined;
  const options = {
    ...(bias && { bias: bias[0], recurrentBias: bias[1] }), ...(h && { initialHiddenState: h }), activations, returnSequence: true,
    direction: directions === 2 ? 'both' : reversed ? 'backward' : 'forward',
  };
  if (n.op === 'GRU') {
    const [last, y] = n.builder.gru(x, n.x(1), n.x(2), steps, hidden, { ...options, resetAfter: linear, layout: 'zrn' });
    return [y, last];
  }
  const all = { ...options, ...(c && { initialCellState: c }), layout: 'iofg' };
  const [last, inner, y] = n.builder.lstm(x, n.x(1), n.x(2), steps, hidden, all);
  return [y, last, inner];
}

/** One direction, step by step: results of all steps, and the last states. */
function direction(n, all, d) {
  const { builder: b } = n;
  const { x, steps, batch, gates, hidden, each, clip, linear, bias, peephole } = all;
  const [f, g, out] = each[d];
  const bound = (y) => (clip === undefined ? y : b.clamp(y, { minValue: -Math.abs(clip), maxValue: Math.abs(clip) }));
  const through = (name, y) => b[name](bound(y));
  const own = (tensor, shape) => reshaped(n, part(n, tensor, 0, d, 1), shape);
  const [w, r] = [[n.x(1), x.shape[2]], [n.x(2), hidden]].map(([tensor, size]) => turned(n, own(tensor, [gates * hidden, size]), [1, 0]));
  const [given, kept] = bias ? bias.map((half) => own(half, [1, gates * hidden])) : [];
  const plus = (y, more) => (more ? b.add(y, more) : y);
  const gate = (y, i) => part(n, y, 1, i * hidden, hidden);
  const first = (state) => (state ? own(state, [batch, hidden]) : floats(n, [batch, hidden], new Float32Array(batch * hidden)));
  const weights = peephole && [0, 1, 2].map((i) => gate(own(peephole, [1, 3 * hidden]), i));
  const inputs = plus(b.matmul(reshaped(n, x, [steps * batch, x.shape[2]]), w), given);
  const later = all.lengths && reshaped(n, b.cast(n.x(4), 'float32'), [batch, 1]);
  const none = later && floats(n, [batch, hidden], new Float32Array(batch * hidden));
  let [h, c] = [first(all.h), first(all.c)];
  const ys = [];
  for (let i = 0; i < steps; i++) {
    const step = all.reversed || d === 1 ? steps - 1 - i : i;
    const now = part(n, inputs, 0, step * batch, batch);
    const states = plus(b.matmul(h, r), kept);
    const sum = (i) => b.add(gate(now, i), gate(states, i));
    let [next, inner] = [undefined, c];
    if (n.op === 'RNN') next = through(f, b.add(now, states));
    else if (n.op === 'GRU') {
      const [z, reset] = [0, 1].map((i) => through(f, sum(i)));
      const within = linear ? b.mul(reset, gate(states, 2)) : plus(b.matmul(b.mul(reset, h), gate(r, 2)), kept && gate(kept, 2));
      const made = through(g, b.add(gate(now, 2), within));
      next = b.add(made, b.mul(z, b.sub(h, made)));
    } else {
      const seen = (y, i, state) => (weights ? b.add(y, b.mul(weights[i], state)) : y);
      const [input, forget] = [through(f, seen(sum(0), 0, c)), through(f, seen(sum(2), 2, c))];
      inner = b.add(b.mul(forget, c), b.mul(input, through(g, sum(3))));
      next = b.mul(through(f, seen(sum(1), 1, inner)), b[out](inner));
    }
    const goes = later && b.greater(later, floats(n, [], [step]));
    ys[step] = goes ? b.where(goes, next, none) : next;
    [h, c] = goes ? [b.where(goes, next, h), inner === c ? c : b.where(goes, inner, c)] : [next, inner];
  }
  const row = (y) => reshaped(n, y, [1, 1, batch, hidden]);
  return [ys.length > 1 ? b.concat(ys.map(row), 0) : row(ys[0]), ...[h, c].map((state) => reshaped(n, state, [1, batch, hidden]))];
}

function stepped(n, all) {
  if (all.steps > STEPS) refuse(`${all.steps} steps, more than ${STEPS}`);
  const each = Array.from({ length: all.directions }, (_, d) => direction(n, all, d));
  const together = (i, axis) => (each.length === 1 ? each[0][i] : n.builder.concat(each.map((one) => one[i]), axis));
  return [together(0, 1), together(1, 0), together(2, 0)];
}

export function recurrent(n) {
  const all = said(n);
  const [y, ...states] = own(n, all) ?? stepped(n, all);
  const results = [y, ...states].slice(0, n.op === 'LSTM' ? 3 : 2);
  return all.batchFirst ? results.map((result, i) => turned(n, result, i === 0 ? [2, 0, 1, 3] : [1, 0, 2])) : results;
}
