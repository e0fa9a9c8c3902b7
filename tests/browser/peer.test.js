// The demo page with onnxruntime-web beside ours: answers and times of both, what it fails with as text, and that the page goes on.

import { demoPage } from './demo.js';
import { assert, equal, test } from './harness.js';

/** What any Chromium shows the one that is here for its WebNN need not. */
const elsewhere = new URLSearchParams(location.search).get('browser') === 'chromium-webnn' ? () => {} : test;

let opened;
const page = () => (opened ??= demoPage(($) => $('peer-run') && !$('peer-run').disabled));

/** Rows of the table by name: the lines of both, and what is said of them together. */
const rows = ($) => Object.fromEntries([...$('peer-table').querySelectorAll('tbody tr')].map((row) => {
  const [ours, peer, both] = [...row.querySelectorAll('td')];
  const lines = (cell) => [...cell.children].map(({ textContent }) => textContent);
  return [row.querySelector('th').textContent, { ours: lines(ours), peer: lines(peer), both: both.textContent }];
}));

/** Has `view` count its workers of onnxruntime-web, which are sent what `changed` makes of it: how many there are now. */
function workersOf(view, changed = (message) => message) {
  const alive = new Set();
  const { Worker } = view;
  view.Worker = class extends Worker {
    constructor(url, options) {
      super(url, options);
      if (options?.name === 'onnxruntime-web') alive.add(this);
    }
    postMessage(message, ...rest) {
      super.postMessage(alive.has(this) ? changed(message) : message, ...rest);
    }
    terminate() {
      alive.delete(this);
      super.terminate();
    }
  };
  return { count: () => alive.size, restore: () => (view.Worker = Worker) };
}

/** Runs both to the end: the rows, the failures, the status. */
async function compared({ $, texts, until }, provider) {
  const option = [...$('peer-provider').options].find(({ value }) => value === provider);
  option.disabled = false;
  $('peer-provider').value = provider;
  $('peer-form').requestSubmit($('peer-run'));
  await until(`onnxruntime-web on ${provider}`, () => !$('peer-run').disabled);
  return { shown: rows($), failures: texts('peer-failures'), said: $('peer-status').textContent };
}

const TOOK = /^[\d.]+\sm?s \([\d.]+\sm?s – [\d.]+\sm?s\)$/;

elsewhere('peer: its answers and ours are the same, with the times of both', async () => {
  const demo = await page();
  assert(!demo.view.performance.getEntriesByType('resource').some(({ name }) => name.includes('onnxruntime')), 'it was fetched before anybody asked');
  const { shown, said, failures } = await compared(demo, 'wasm');
  assert(/^Median of \d+ turns: Consort on .*; onnxruntime-web [\d.]+ on WebAssembly.*: [\d.]+\sm?s\.$/.test(said), `${said}: ${failures}`);
  equal(shown.Text.ours.slice(0, -1).at(-1), 'This line hangs upside down', 'the last line');
  equal([shown.Faces.ours[0].slice(0, 7), shown['Type of the file'].ours[0].slice(0, 4)], ['2 faces', 'WebP'], 'ours');
  for (const name of ['Text', 'Faces', 'Type of the file', 'Speech', 'Notes']) {
    const { ours, peer, both } = shown[name];
    equal([peer.slice(0, -1), both], [ours.slice(0, -1), 'the same'], name);
    for (const lines of [ours, peer]) assert(TOOK.test(lines.at(-1)), `${name}: ${lines}`);
  }
  const { ours, peer } = shown['All at once'];
  for (const lines of [ours, peer]) assert(TOOK.test(lines[0]), `all at once: ${lines}`);
  return `${said} ${failures.join('; ')}`;
});

/** Providers beside WASM that this browser has. WebGPU in software takes many minutes for these models. */
async function others({ $, view }) {
  const adapter = await view.navigator.gpu?.requestAdapter();
  const slow = !adapter || (adapter.info?.isFallbackAdapter ?? true);
  return [...$('peer-provider').options].filter(({ value, disabled }) => !disabled && value !== 'wasm' && !(value === 'webgpu' && slow)).map(({ value }) => value);
}

test('peer: each other provider that this browser has is run to its end, and what fails on it is said', async () => {
  const demo = await page();
  const told = [];
  for (const provider of await others(demo)) {
    const { shown, said, failures } = await compared(demo, provider);
    assert(/^Median of \d+ turns: Consort on .*; onnxruntime-web [\d.]+ on Web(NN|GPU), .*: ([\d.]+\sm?s|\d of 5 tasks failed)\.$/.test(said), `${said}: ${failures}`);
    for (const [name, { ours, peer, both }] of Object.entries(shown)) {
      assert(TOOK.test(ours.at(-1)), `${name}: ${ours}`);
      // It answers in its time, or says why not, here and among the failures.
      const answered = TOOK.test(peer.at(-1));
      assert(answered || failures.some((text) => text !== 'Nothing.'), `${name}: ${peer}; ${failures}`);
      equal(/^(not )?the same$/.test(both), answered && name !== 'All at once', `whether the answers are alike, of ${name}`);
    }
    told.push(`${said} ${failures.join('; ')}`);
  }
  return told.join(' ') || 'there is none that is quick enough';
});

elsewhere('peer: what it cannot do is said, and ours goes on', async () => {
  const demo = await page();
  const { $, view } = demo;
  if (!view.navigator.ml) {
    // A provider that this browser has not.
    const absent = await compared(demo, 'webnn');
    assert(absent.said.includes('could not be compared') && absent.failures.some((text) => text.includes('webnn')), `${absent.said}: ${absent.failures}`);
    equal([absent.shown.Text.ours[0], absent.shown.Text.peer.length], ['Notice board', 0], 'ours, and no answer of the peer');
  }
  // A model that is not there for it.
  const workers = workersOf(view, (message) => (message.url ? { ...message, url: message.url.replace('music_pitch', 'nothing') } : message));
  const { shown, said, failures } = await compared(demo, 'wasm');
  workers.restore();
  equal([shown.Notes.peer, shown.Notes.ours.length, shown.Faces.both], [['music_pitch did not load'], 2, 'the same'], 'notes and faces');
  assert(said.includes('1 of 5 tasks failed') && failures.some((text) => text.includes('Loading music_pitch')), `${said}: ${failures}`);
  equal([workers.count(), view.driven.error], [0, null], 'what is left of it');
  return failures.join('; ');
});

test('peer: it stops when it is told to', async () => {
  const { $, until, view, frame } = await page();
  const workers = workersOf(view);
  $('peer-form').requestSubmit($('peer-run'));
  await until('a worker', () => workers.count() === 1);
  $('peer-stop').click();
  await until('the end', () => !$('peer-run').disabled);
  equal([$('peer-status').textContent, $('peer-stop').hidden, workers.count()], ['Stopped.', true, 0], 'what is left of it');
  frame.remove();
});
