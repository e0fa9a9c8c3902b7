// Draws what there is to see. Knows the page's elements; must never know how a model is run.

import { mb, ms, unit } from './units.js';
import { adapterName, top } from './work.js';
import { errors, heldOverTime, memoryMap, timeline } from './charts.js';
import { breath } from './pkg/breath.js';

export const $ = (id) => document.getElementById(id);

const el = (tag, text = '', props = {}) => Object.assign(document.createElement(tag), { textContent: text }, props);

const percent = (x) => (x === null ? 'not known yet' : unit((x * 100).toFixed(1), '%'));

export function say(text) {
  $('status').textContent = text;
  globalThis.driven.lines.push(text);
}

export function machine({ capabilities, profile }) {
  const facts = [
    ['Adapter', adapterName(capabilities.devices[0])],
    ['Arithmetic', `${profile.gflops.toFixed(1)} GFLOP/s`],
    ['Memory', `${profile.bandwidthGBps.toFixed(1)} GB/s`],
    // A processor has hardly any.
    ...[['One dispatch', profile.dispatchUs], ['One submit', profile.submitUs]].filter(([, us]) => us >= 0.5).map(([name, us]) => [name, unit(us.toFixed(0), 'µs')]),
    ['Wait for a result', ms(profile.readbackMs)],
    ['Measured in', ms(profile.probeMs)],
  ];
  $('facts').replaceChildren(
    ...facts.map(([name, value], i) => {
      const group = el('div', '', { className: i ? '' : 'wide' });
      group.append(el('dt', name), el('dd', value));
      return group;
    }),
  );
  $('machine').hidden = false;
}

/** A card for each model; the returned functions fill it. */
export function cards(models) {
  const made = models.map((model) => {
    const item = el('li');
    const state = el('p', `${mb(model.bytes)} to load`);
    const bar = el('progress', '', { max: 1, value: 0, hidden: true });
    bar.setAttribute('aria-label', `loading ${model.name}`);
    const list = el('ol');
    const [head, label] = [el('h3'), el('label')];
    const box = el('input', '', { type: 'checkbox', checked: model.chosen });
    label.append(box, ` ${model.name}`);
    head.append(label);
    item.append(head, state, bar, list);
    return { item, state, bar, list, box };
  });
  $('cards').replaceChildren(...made.map((m) => m.item));
  return made.map(({ state, bar, list, box }, i) => ({
    chosen: () => box.checked,
    /** A loaded model stays. */
    fixed: () => (box.disabled = true),
    progress({ phase, done, total }) {
      bar.hidden = false;
      bar.value = total ? done / total : 0;
      state.textContent = { download: 'downloading', decode: 'reading', ready: 'ready', upload: 'uploading weights', compile: 'compiling kernels', run: 'first run' }[phase];
    },
    idle() {
      bar.hidden = true;
      state.textContent = `${mb(models[i].bytes)} to load`;
    },
    failed(error) {
      bar.hidden = true;
      state.replaceChildren(el('span', error.message, { className: 'bad' }));
    },
    alone({ ms: time, error, lane, why }) {
      bar.hidden = true;
      const right = error <= 1e-3;
      state.replaceChildren(
        `alone: ${ms(time)} on ${lane} (${why}) · `,
        el('span', right ? `agrees with onnxruntime to ${error.toExponential(1)}` : `WRONG by ${error.toExponential(1)}`, { className: right ? 'good' : 'bad' }),
      );
    },
    outputs(session, tensors) {
      const first = tensors[session.outputNames[0]];
      const classes = first.dims.length === 2 && first.size === 1000;
      const lines = classes
        ? top(first).map((t) => el('li', `class ${t.index}: ${percent(t.probability)}`))
        : [el('li', `${session.outputNames[0]} [${first.dims.join(' × ')}]: ${Array.from(first.data.slice(0, 3), (x) => Number(x).toFixed(3)).join(', ')}, …`)];
      list.replaceChildren(...lines);
    },
  }));
}

/** Where there is no room for columns a cell says what it is. */
function columned(cell, column) {
  if (column) cell.dataset.column = column;
  return cell;
}

/** A cell of a text, or of one with a note below it. */
function cellOf(tag, text) {
  if (!Array.isArray(text)) return el(tag, text);
  const [main, note] = text;
  const [cell, both] = [el(tag), el('span', main)];
  if (note) both.append(' ', el('small', note));
  cell.append(both);
  return cell;
}

function table(element, head, rows) {
  const row = (cells, tag) => {
    const tr = el('tr');
    tr.append(...cells.map((c, i) => columned(cellOf(tag, c), tag === 'td' && head[i])));
    return tr;
  };
  const [thead, tbody] = [el('thead'), el('tbody')];
  thead.append(row(head, 'th'));
  tbody.append(...rows.map((r) => row(r, 'td')));
  element.replaceChildren(thead, tbody);
}

/** Pixels of a chart that is as wide as the page: where the page has larger letters, so has the chart, which is drawn smaller and shown larger. */
const chartWidth = () => (document.querySelector('main').clientWidth * 16) / parseFloat(getComputedStyle(document.documentElement).fontSize);

/** Draws a comparison, or a forecast where nothing is measured yet, each chart in a turn of its own: together they would keep the page from answering. */
export async function comparison(c) {
  const rows = c.strategies.map((s) => [
    [s.strategy, [s.strategy === c.recommended && 'recommended', s.strategy === c.measuredBest && 'measured best'].filter(Boolean).join(' · ')],
    [ms(s.predictedMs), s.intervalMs.map(ms).join(' – ')],
    ...(s.measuredMs === undefined ? ['…', '…'] : [[ms(s.measuredMs), s.spreadMs.map(ms).join(' – ')], percent(Math.abs(s.predictedMs / s.measuredMs - 1))]),
    mb(s.predictedBytes),
    s.measuredBytes === undefined ? '…' : mb(s.measuredBytes),
  ]);
  table($('strategies'), ['strategy', 'predicted (interval)', 'measured (quartiles)', 'off by', 'bytes predicted', 'bytes held'], rows);
  const charts = [];
  for (const s of c.strategies) {
    await breath();
    charts.push(timeline({ ...s, lane: c.lane }, chartWidth()));
  }
  $('timelines').replaceChildren(...charts);
}

/** What a lane's predictor says of itself. */
function told({ lane, observations, heldOut, errorBefore, errorAfter, coverage }) {
  const parts = [
    `On ${lane}: ${observations} executions so far, ${heldOut} of them kept away from learning.`,
    `On those, error with the start-up probes alone: ${percent(errorBefore)}; after learning: ${percent(errorAfter)}.`,
    `Inside the interval stated beforehand: ${percent(coverage)}.`,
  ];
  return el('p', parts.join(' '));
}

/** How well each lane is predicted, and how far off each of `history` was, whatever its lane. */
export function accuracy(lanes, history) {
  const seen = lanes.filter(({ observations }) => observations > 0);
  if (seen.length === 0) return;
  $('learning').hidden = false;
  $('accuracy').replaceChildren(...seen.map(told));
  $('errors').replaceChildren(errors(history, chartWidth()));
}

/** Of what was held earlier, so many are kept: every second of the older half goes. */
const SAMPLES = 300;
let samples = [];
const PURPOSES = ['weights', 'arenas', 'staging', 'parameters', 'tensors'];

/** Keeps how much is held, where it is not what it was: it was until just now. */
export function held(m) {
  const bytes = PURPOSES.map((purpose) => m[purpose]);
  const now = performance.now();
  const last = samples.at(-1);
  if (last?.bytes.join() === bytes.join()) last.until = now;
  else samples.push({ from: now, until: now, bytes });
  if (samples.length > SAMPLES) samples = samples.filter((_, i) => i % 2 === 0 || i > SAMPLES / 2);
}

export function memory(m) {
  $('memory').hidden = false;
  held(m);
  $('held').replaceChildren(heldOverTime(samples, PURPOSES, m.highWater, chartWidth()));
  const rows = [
    ['weights', mb(m.weights), ''],
    ['arenas', mb(m.arenas), `${mb(m.liveBytes)} alive at once in the largest model`],
    ['staging', mb(m.staging), ''],
    ['parameters', mb(m.parameters), ''],
    ['tensors kept', mb(m.tensors), ''],
    ['total', mb(m.total), `${mb(m.highWater)} at the most so far`],
  ];
  for (const s of m.sessions) {
    const shared = s.sharedWeights >= 5e4 ? `, ${mb(s.sharedWeights)} of them shared` : '';
    rows.push([s.name, mb(s.weights), `of weights${shared}; an arena of ${mb(s.arena)}`]);
  }
  table($('bytes'), ['purpose', 'bytes', ''], rows);
}

/** Sessions by their names; one of a name that was there before is the laboratory's. */
function named(sessions) {
  const all = new Map();
  for (const session of sessions) all.set(all.has(session.name) ? `${session.name}, in the laboratory` : session.name, session);
  return all;
}

/** The arena of one of `sessions`, chosen by name: those of the readers, then the laboratory's. */
export function arenas(sessions) {
  const select = $('map-of');
  const maps = named(sessions.filter((session) => session.memoryMap()));
  const [names, chosen] = [[...maps.keys()], select.value];
  if ([...select.options].map(({ value }) => value).join() !== names.join()) {
    select.replaceChildren(...names.map((name) => el('option', name, { selected: name === chosen })));
  }
  $('map-choice').hidden = names.length === 0;
  if (names.length) $('map').replaceChildren(memoryMap(select.value, maps.get(select.value).memoryMap(), chartWidth()));
}
