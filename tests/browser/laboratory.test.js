// The demo page's laboratory: what is forecast and measured of models that run together, why one way was chosen, what is held, and what
// this browser can do.

import { demoPage } from './demo.js';
import { assert, equal, test } from './harness.js';

let opened;
const MODELS = ['squeezenet1_1', 'mobilenet_v2'];
/** The page with both models loaded. */
function page() {
  opened ??= (async () => {
    const ready = (_, view) => view.driven.lines.some((line) => line.startsWith('Ready'));
    const demo = await demoPage(ready, { models: MODELS.join() });
    demo.$('load').click();
    await demo.until('the models', () => /^2 of \d+ models are loaded\.$/.test(demo.$('status').textContent));
    return demo;
  })();
  return opened;
}

test('laboratory: how a set runs is chosen for a reason, and said beside what it took', async () => {
  const { $, until, frame } = await page();
  frame.contentDocument.querySelector('[data-run=auto]').click();
  await until('a run', () => $('status').textContent === 'Ran 2 models.');
  assert(/^\w+: predicted .+, took .+ Chosen because .+\.$/.test($('outcome').textContent), $('outcome').textContent);
  return $('outcome').textContent;
});

test('laboratory: strategies are compared, forecast over measurement, as a table and over time', async () => {
  const { $, until, frame } = await page();
  frame.contentDocument.querySelector('[data-run=compare]').click();
  await until('a comparison', () => $('status').textContent === 'Compared 2 models.');
  assert(/^Consort chose \w+, .+ Forecast before it: .+\.$/.test($('outcome').textContent), $('outcome').textContent);
  const rows = [...$('strategies').querySelectorAll('tbody tr')];
  const charts = [...$('timelines').children];
  equal([rows.length >= 2, charts.length], [true, rows.length], 'strategies and their timelines');
  for (const chart of charts) {
    const told = [...chart.querySelectorAll('title')].map(({ textContent }) => textContent);
    for (const kind of ['measured', 'predicted']) assert(told.some((text) => text.includes(`, ${kind} `)), `${kind}: ${told.join('; ')}`);
    assert(chart.querySelector('svg[role=img]').getAttribute('aria-label').includes('dashed outline: predicted'), 'what the chart says of itself');
  }
});

test('laboratory: errors run by run, what is held over time and in each arena, what the browser can do, and whose the models are', async () => {
  const { $, frame, view } = await page();
  assert(/error with the start-up probes alone: .*; after learning: /.test($('accuracy').textContent), $('accuracy').textContent);
  const dots = $('errors').querySelectorAll('circle').length;
  equal(dots, Number($('accuracy').textContent.match(/^\d+/)[0]), 'errors that are drawn');
  assert($('errors').querySelector('figcaption').textContent.includes('median of the last nine'), 'the line through them');
  const held = [...$('held').querySelectorAll('title')].map(({ textContent }) => textContent);
  for (const purpose of ['weights', 'arenas']) assert(held.some((text) => new RegExp(`^${purpose}: [\\d.]+ MB, [\\d.]+ to [\\d.]+ s$`).test(text)), `${purpose}: ${held.join('; ')}`);
  const before = $('held').querySelectorAll('rect').length;
  assert(before > 1, 'nothing is held over time');
  for (const name of MODELS) {
    $('map-of').value = name;
    $('map-of').dispatchEvent(new view.Event('change'));
    assert($('map').querySelector('figcaption').textContent.startsWith(name) && $('map').querySelectorAll('rect').length > 10, `the arena of ${name}`);
  }
  const licences = await (await view.fetch(frame.contentDocument.querySelector('footer a').href)).text();
  for (const part of ['ocr_det_v4.onnx', 'voice_vad.onnx', 'Apache License', 'Permission is hereby granted']) assert(licences.includes(part), `${part} is not among the licences`);
  const names = [...$('capability-table').querySelectorAll('tbody th')].map(({ textContent }) => textContent);
  equal([names.includes('WebGPU'), names.includes('WebNN'), view.driven.error], [true, true, null], 'capabilities');
  frame.remove();
});
