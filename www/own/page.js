// The section of the page for a model that somebody brings: from an address or from files to what it takes and gives. Knows its elements;
// must never know what a model computes.

import { feedsOf, freeDimensions, tried } from './model.js';
import { ms } from '../units.js';

const $ = (id) => document.getElementById(id);
const el = (tag, textContent = '', props = {}) => Object.assign(document.createElement(tag), { textContent }, props);
const say = (text) => ($('own-status').textContent = text);
const number = (x) => (Number.isInteger(x) ? String(x) : x.toPrecision(4));

/** What each kind of error means for whoever brought the model. */
const MEANS = {
  'invalid-model': 'This is no ONNX model that can be read',
  unsupported: 'The model needs something that Consort does not do',
  'invalid-input': 'The model does not take these sizes',
  'missing-data': 'A file with weights is missing: choose it together with the model',
  fetch: 'The file could not be fetched; another site must allow that, by CORS',
  'out-of-memory': 'The model takes more memory than there is',
};

const state = { pool: null, session: null, changed: () => {} };

/** One thing at a time; what fails is said in words and in its own. */
async function safely(work) {
  const parts = [...document.querySelectorAll('#own button, #own input')];
  parts.forEach((part) => (part.disabled = true));
  try {
    await work();
  } catch (error) {
    say(`${MEANS[error.kind] ?? 'That failed'} (${error.kind ?? error.name}): ${error.message}`);
  }
  parts.forEach((part) => (part.disabled = false));
}

/** Loads a model in place of the one before, asks for the sizes that it leaves free, and runs it. */
async function load(source, options) {
  say('Opening the pool…');
  const pool = await state.pool;
  await state.session?.release();
  state.session = null;
  $('own-sizes').hidden = true;
  $('own-outputs').replaceChildren();
  const onProgress = ({ phase, done, total }) => say(`Loading: ${phase}${total ? `, ${((done / total) * 100).toFixed(0)} %` : ''}`);
  state.session = await pool.load(source, { ...options, onProgress });
  const free = freeDimensions(state.session);
  const fields = free.map((name) => {
    const label = el('label', `${name} `);
    label.append(el('input', '', { type: 'number', min: 0, value: 1, required: true, name }));
    return label;
  });
  $('own-free').replaceChildren(...fields);
  $('own-sizes').hidden = false;
  await run();
}

/** Runs the model with the sizes in the form, and shows what came out. */
async function run() {
  const { session } = state;
  const sizes = Object.fromEntries([...$('own-free').querySelectorAll('input')].map(({ name, value }) => [name, Number(value)]));
  say(`Running ${session.name}…`);
  const feeds = feedsOf(session, sizes);
  const { lane, why, predictedMs, intervalMs, firstMs, medianMs, outputs } = await tried(await state.pool, session, feeds);
  const [low, high] = intervalMs;
  const given = Object.entries(feeds).map(([name, { type, dims }]) => `${name} ${type} [${dims.join(' × ')}]`);
  say(`${session.name} on ${lane}: forecast ${ms(predictedMs)} (${ms(low)} – ${ms(high)}), took ${ms(medianMs)}, the first time ${ms(firstMs)}. There because: ${why}. Fed with ${given.join(', ')}.`);
  const columns = ['output', 'type', 'shape', 'least', 'greatest', 'NaN or infinite'];
  const row = (cells, tag, props) => {
    const line = el('tr');
    line.append(...cells.map((text) => el(tag, text, props)));
    // Where there is no room for columns a cell says what it is.
    for (const [i, cell] of [...line.children].entries()) if (tag === 'td') cell.dataset.column = columns[i];
    return line;
  };
  const head = el('thead');
  head.append(row(columns, 'th', { scope: 'col' }));
  const body = el('tbody');
  const shown = (value) => (Number.isFinite(value) ? number(value) : '');
  body.append(...outputs.map((o) => row([o.name, o.type, o.dims.join(' × ') || 'a number', shown(o.least), shown(o.most), o.broken ? String(o.broken) : 'none'], 'td')));
  $('own-outputs').replaceChildren(head, body);
  state.changed();
}

/** Files: the model is the one that is called so, or the only one; others are its data, by their names. */
async function loadFiles(files) {
  const model = files.find(({ name }) => name.endsWith('.onnx')) ?? files[0];
  const externalData = {};
  for (const file of files) if (file !== model) externalData[file.name] = await file.arrayBuffer();
  await load(await model.arrayBuffer(), { name: model.name.replace(/\.onnx$/, ''), externalData });
}

/** Makes the section work, with the pool that `promised` resolves to; `changed` is called when the pool has run something. */
export function attach(promised, changed) {
  Object.assign(state, { pool: promised, changed });
  $('own-address').onsubmit = (event) => {
    event.preventDefault();
    safely(() => load(new URL($('own-url').value, document.baseURI).href));
  };
  $('own-sizes').onsubmit = (event) => {
    event.preventDefault();
    safely(run);
  };
  $('own-file').onchange = ({ target }) => {
    const files = [...target.files];
    target.value = '';
    if (files.length) safely(() => loadFiles(files));
  };
  // What is dropped here is a model, whatever the rest of the page reads.
  for (const type of ['dragover', 'drop']) {
    $('own').addEventListener(type, (event) => {
      const { files, types } = event.dataTransfer ?? {};
      if (!types?.includes('Files')) return;
      event.preventDefault();
      event.stopPropagation();
      const dropped = [...files];
      if (type === 'drop' && dropped.length) safely(() => loadFiles(dropped));
    });
  }
}
