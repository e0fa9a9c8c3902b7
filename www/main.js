// The demo page: loads the models, runs them under each strategy, and shows what was predicted beside what happened.
// With ?drive it does all of that by itself and leaves a report for the driver.

import { capabilityTable } from './capabilities.js';
import { executions, followed, latest } from './executions.js';
import { breath } from './pkg/breath.js';
import { whyThere } from './why.js';
import { $, accuracy, arenas, cards, comparison, held, machine, memory, say } from './view.js';
import { ms } from './units.js';

const parameters = new URLSearchParams(location.search);
const driven = parameters.has('drive');
/** Repeats of a comparison, and rounds of lessons before it when driven. */
const REPEATS = 5;
const ROUNDS = Number(parameters.get('rounds') ?? 2);

/** How often the page looks at how much memory the pool holds. */
const HELD_MS = 500;

const state = { pool: null, work: null, loaded: [], cards: [], solos: [], last: null };

async function start() {
  // The wasm is a module of its own: a page whose package was not built still says what is wrong.
  const { Capabilities, Pool } = await import('./pkg/index.js');
  let opened;
  const promised = new Promise((...ends) => (opened = ends));
  const reader = (state.reader = (await import('./read/page.js')).attach(promised, refresh));
  (await import('./own/page.js')).attach(promised, refresh);
  const peer = (await import('./peer/page.js')).attach(reader);
  state.work = await import('./work.js');
  state.generate = await import('./generate.js');
  capabilityTable($('capability-table'), await Capabilities.detect());
  $('capabilities').hidden = false;
  // In a static build: what keeps files sees all that is fetched.
  await globalThis.offline;
  say('Opening the GPU and measuring it…');
  try {
    state.pool = await openPool(Pool);
  } catch (error) {
    opened[1](error);
    throw error;
  }
  opened[0](state.pool);
  setInterval(() => held(state.pool.memory()), HELD_MS);
  const { webgpu } = state.pool.capabilities;
  if (!webgpu.available) {
    $('no-webgpu').hidden = false;
    $('no-webgpu-reason').textContent = webgpu.reason;
  }
  machine(state.pool);
  const names = parameters.get('models')?.split(',');
  const models = await state.work.catalogue();
  if (names) models.forEach((m) => (m.chosen = names.includes('all') || names.includes(m.name)));
  state.cards = cards(models);
  state.models = models;
  $('models').hidden = false;
  say(`Ready: ${models.filter((m) => m.chosen).length} of ${models.length} models are chosen.`);
  if (driven) await drive(reader, peer);
}

/** A pool in a worker of its own, so that the page answers whatever is loaded; here where it may have no worker. */
const openPool = (Pool) =>
  Pool.create({ worker: true }).catch((error) => {
    if (error.kind !== 'unsupported') throw error;
    return Pool.create();
  });

async function loadAll(signal) {
  for (const [i, model] of state.models.entries()) {
    const card = state.cards[i];
    if (!card.chosen() || state.loaded.some((l) => l.model === model)) continue;
    say(`Loading ${model.name}…`);
    try {
      const loaded = await state.work.load(state.pool, model, { onProgress: card.progress, signal });
      const alone = await state.work.solo(loaded);
      card.fixed();
      card.alone({ ...alone, lane: loaded.session.lane, why: whyThere(state.pool, loaded.session, alone.ms) });
      card.outputs(loaded.session, alone.outputs);
      state.loaded.push(loaded);
      state.solos.push({ ...loaded, ...alone });
      say(`${model.name}: ${ms(alone.ms)} alone, relative error ${alone.error.toExponential(1)}`);
    } catch (error) {
      if (error.kind === 'aborted') card.idle();
      else card.failed(error);
      if (driven) throw error;
      if (error.kind === 'aborted') break;
    }
    await refresh();
  }
  $('load').hidden = state.loaded.length === state.models.length;
  $('together').hidden = state.loaded.length === 0;
  $('generation').hidden = !generator();
  say(`${state.loaded.length} of ${state.models.length} models are loaded.`);
}

const generator = () => state.loaded.find((l) => state.generate.generates(l.session))?.session;

/** Streams tokens into the page until enough are made, or it is stopped. */
async function generate(signal) {
  const prompt = $('prompt').value.trim().split(/\s+/).map(Number);
  const count = Number($('count').value);
  const before = state.pool.traffic();
  const began = performance.now();
  const made = [];
  $('tokens').textContent = '';
  try {
    for await (const token of state.generate.generate(generator(), prompt, count, { signal })) {
      made.push(token);
      $('tokens').append(`${made.length > 1 ? ' ' : ''}${token}`);
      const { uploadedBytes, readBackBytes } = state.pool.traffic();
      const moved = (uploadedBytes - before.uploadedBytes + readBackBytes - before.readBackBytes) / made.length;
      const rate = (made.length * 1000) / (performance.now() - began);
      $('speed').textContent = `${made.length} of ${count} tokens, ${rate.toFixed(1)} a second, ${(moved / 1000).toFixed(1)} kB moved for each.`;
    }
  } catch (error) {
    if (error.kind !== 'aborted') throw error;
  }
  await refresh();
  say(`Made ${made.length} tokens.`);
  return made;
}

const requests = () => state.loaded.map(({ session, feeds }) => ({ session, feeds }));

const sessions = () => [...state.reader.sessions(), ...state.loaded.map((l) => l.session)];

/** Draws what changes with every execution, each chart in a turn of its own: together they would keep the page from answering. */
const refresh = latest(async () => {
  await breath();
  memory(state.pool.memory());
  await breath();
  arenas(sessions());
  await breath();
  const lanes = [...new Set(state.pool.capabilities.lanes)];
  accuracy(lanes.map((lane) => ({ lane, ...state.pool.accuracy(lane) })), executions(state.pool));
});

/** Draws the comparison as far as it is. */
const drawn = latest(() => comparison(state.last));

async function run(how) {
  if (how === 'compare') {
    say('Running every strategy in turn…');
    const forecast = await state.pool.predict(requests());
    state.last = forecast;
    await drawn();
    const onProgress = (soFar) => {
      state.last = soFar;
      $('outcome').textContent = `Running every strategy in turn: ${soFar.repeats} of ${REPEATS} rounds.`;
      say($('outcome').textContent);
      drawn();
    };
    state.last = await state.pool.compare(requests(), { repeats: REPEATS, onProgress });
    await drawn();
    const { recommended, measuredBest, regret } = state.last;
    const verdict = recommended === measuredBest ? 'which was the best' : `${(regret * 100).toFixed(1)} % slower than ${measuredBest}`;
    $('outcome').textContent = `Consort chose ${recommended}, ${verdict}. Forecast before it: ${forecast.reason}.`;
    await refresh();
    say(`Compared ${state.loaded.length} models.`);
  } else if (how === 'learn') {
    const lessons = state.work.lessons(state.loaded, ROUNDS);
    for (const [i, { set, strategy }] of lessons.entries()) {
      say(`Learning, run ${i + 1} of ${lessons.length}: ${set.map((r) => r.session.name).join(' + ')}, ${strategy}`);
      await state.pool.runAll(set, { strategy });
    }
    await refresh();
    say('Learned.');
  } else {
    const prediction = await state.pool.predict(requests());
    const strategy = how === 'auto' ? prediction.recommended : how;
    const { predictedMs } = prediction.strategies.find((s) => s.strategy === strategy);
    say(`Running ${state.loaded.length} models…`);
    const began = performance.now();
    const outputs = await state.pool.runAll(requests(), { strategy: how });
    const took = performance.now() - began;
    outputs.forEach((tensors, i) => state.cards[state.models.indexOf(state.loaded[i].model)].outputs(state.loaded[i].session, tensors));
    const why = how === 'auto' ? ` Chosen because ${prediction.reason}.` : '';
    $('outcome').textContent = `${strategy}: predicted ${ms(predictedMs)}, took ${ms(took)}.${why}`;
    await refresh();
    say(`Ran ${state.loaded.length} models.`);
  }
}

async function drive(reader, peer) {
  if (parameters.get('drive') === 'read') {
    const said = await reader.samples();
    if (parameters.has('peer')) said.push(await peer.beside(parameters.get('peer')));
    globalThis.driven.result = said;
    return;
  }
  await loadAll();
  await lively(() => run('learn'));
  await lively(() => run('compare'));
  if (generator()) await lively(generate);
  // For whoever takes a picture of the page.
  if (parameters.has('read')) await reader.samples();
  const { available, reason } = state.pool.capabilities.webgpu;
  globalThis.driven.result = { ...state.work.report(state.pool, state.solos, state.last), no_webgpu: available ? null : reason };
}

/** Shows what is executed for `work` as it comes. */
const lively = (work) => followed(state.pool, work, refresh);

/** One thing at a time from the buttons; what fails is said and the page goes on. */
async function busy(work) {
  const buttons = document.querySelectorAll('#load, [data-run], #generate .main');
  buttons.forEach((b) => (b.disabled = true));
  try {
    await lively(work);
  } catch (error) {
    say(`That failed: ${error.message}`);
  }
  buttons.forEach((b) => (b.disabled = false));
}

$('load').addEventListener('click', () =>
  busy(async () => {
    const abort = new AbortController();
    $('cancel').hidden = false;
    $('cancel').onclick = () => abort.abort();
    try {
      await loadAll(abort.signal);
    } finally {
      $('cancel').hidden = true;
    }
  }));
$('generate').addEventListener('submit', (event) => {
  event.preventDefault();
  const abort = new AbortController();
  $('stop').hidden = false;
  $('stop').onclick = () => abort.abort();
  busy(() => generate(abort.signal)).finally(() => ($('stop').hidden = true));
});
const TYPES = { json: 'application/json', parquet: 'application/vnd.apache.parquet' };
document.querySelectorAll('[data-save]').forEach((button) =>
  button.addEventListener('click', () =>
    busy(async () => {
      const format = button.dataset.save;
      const url = URL.createObjectURL(new Blob([await state.pool.records.export(format)], { type: TYPES[format] }));
      Object.assign(document.createElement('a'), { href: url, download: `consort-records.${format}` }).click();
      // The browser has begun to save by then.
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    })));
$('map-of').addEventListener('change', () => arenas(sessions()));
document.querySelectorAll('[data-run]').forEach((button) =>
  button.addEventListener('click', () => busy(() => run(button.dataset.run))));

let resized;
addEventListener('resize', () => {
  clearTimeout(resized);
  resized = setTimeout(async () => {
    if (state.last) await drawn();
    if (state.pool) await refresh();
  }, 150);
});

start().catch((error) => {
  say(`The page could not start: ${error.message}`);
  $('read-status').textContent = $('status').textContent;
  globalThis.driven.error = String(error.stack ?? error);
});
