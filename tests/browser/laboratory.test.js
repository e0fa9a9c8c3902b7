// The demo page's laboratory: what is forecast and measured of models that run together, why one way was chosen, what is held, and what
// this browser can do.

import { whyThere } from '../why.js';
import { executions, followed, latest } from '../executions.js';
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

test('laboratory: why a session runs where it does, by what it took there and what other lanes have against it', () => {
  const ran = (ms, ...models) => ({ models, measuredMs: ms });
  const told = { gpu: [ran(90, 'a'), ...[31, 29, 30, 33, 32].map((ms) => ran(ms, 'a')), ran(1, 'a', 'b'), ran(2, 'b')], cpu: [ran(8, 'a')], webnn: [] };
  const pool = (...lanes) => ({ capabilities: { lanes }, accuracy: (lane) => ({ history: told[lane] }) });
  const session = (lane, refusals = {}) => ({ name: 'a', lane, refusals });
  equal(whyThere(pool('gpu'), session('gpu')), 'this pool has no other lane', 'one lane');
  equal(whyThere(pool('gpu', 'cpu', 'cpu', 'webnn'), session('cpu')), '8.0\u00a0ms here, 31\u00a0ms on gpu, not tried on webnn', 'three');
  equal(whyThere(pool('gpu', 'cpu'), session('gpu'), 2), '2.0\u00a0ms here, 8.0\u00a0ms on cpu', 'measured by the page');
  equal(whyThere(pool('webnn', 'cpu'), session('webnn', { cpu: 'no LSTM' })), 'not measured yet, cpu may not: no LSTM', 'one that does not take it');
});

test('laboratory: what is executed is told while it goes on, and once more for what is told of late', async () => {
  const history = { gpu: [], cpu: [] };
  const pool = { capabilities: { lanes: ['gpu', 'cpu', 'cpu'] }, accuracy: (lane) => ({ observations: history[lane].length, history: history[lane] }) };
  const ran = (lane, nowMs) => history[lane].push({ nowMs });
  const counts = [];
  let told;
  const came = () => (counts.push(executions(pool).map(({ nowMs, lane }) => `${lane} ${nowMs}`).join()), told?.());
  const word = () => new Promise((done) => (told = done));
  const work = async () => {
    // It goes on only once it was shown what ran.
    for (const [lane, at] of [['cpu', 2], ['gpu', 1]]) {
      const shown = word();
      ran(lane, at);
      await shown;
    }
    ran('gpu', 3);
    return 'done';
  };
  const late = followed(pool, work, came);
  equal(await late, 'done', 'what the work gives');
  await word();
  equal(counts, ['cpu 2', 'gpu 1,cpu 2', 'gpu 1,cpu 2,gpu 3'], 'what was shown');
  let [drawn, free] = [0, undefined];
  const draw = latest(async () => (drawn++, await new Promise((done) => (free = done))));
  const first = draw();
  for (let i = 0; i < 3; i++) draw();
  free();
  await Promise.resolve().then(() => {});
  while (drawn < 2) await new Promise((soon) => setTimeout(soon));
  free();
  await first;
  equal(drawn, 2, 'drawings of four that were asked for');
});

test('laboratory: how a set runs is chosen for a reason, and said beside what it took', async () => {
  const { $, until, frame } = await page();
  frame.contentDocument.querySelector('[data-run=auto]').click();
  await until('a run', () => $('status').textContent === 'Ran 2 models.');
  const cards = [...$('cards').querySelectorAll('li > p')].map(({ textContent }) => textContent).filter((text) => text.startsWith('alone'));
  equal(cards.filter((text) => /^alone: .+ on (cpu|gpu|webnn) \(.+\) · agrees with onnxruntime to /.test(text)).length, 2, `what cards say: ${cards.join('; ')}`);
  assert(/^\w+: predicted .+, took .+ Chosen because .+\.$/.test($('outcome').textContent), $('outcome').textContent);
  return $('outcome').textContent;
});

test('laboratory: strategies are compared, forecast over measurement, as a table and over time, each round as it comes', async () => {
  const { $, until, frame, view } = await page();
  // What the table says of each strategy as it is drawn: nothing measured at first, then the rounds so far.
  const drawn = [];
  const watch = new view.MutationObserver(() => {
    const cells = [...$('strategies').querySelectorAll('[data-column^=measured]')].map(({ textContent }) => textContent);
    if (!$('status').textContent.startsWith('Compared')) drawn.push([...new Set(cells.map((text) => /^[\d.]+\u00a0m?s [\d.]+\u00a0m?s – /.test(text) || text))].join());
  });
  watch.observe($('strategies'), { childList: true });
  frame.contentDocument.querySelector('[data-run=compare]').click();
  await until('a comparison', () => $('status').textContent === 'Compared 2 models.');
  watch.disconnect();
  assert(drawn.length >= 3, `drawn ${drawn.length} times: the forecast, a round, and all`);
  equal([drawn[0], ...new Set(drawn.slice(1))], ['…', 'true'], 'what the table said is measured');
  const rounds = view.driven.lines.filter((line) => line.startsWith('Running every strategy in turn: '));
  equal(rounds, [1, 2, 3, 4, 5].map((round) => `Running every strategy in turn: ${round} of 5 rounds.`), 'rounds that are told');
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
  const observed = [...$('accuracy').textContent.matchAll(/On \w+: (\d+) executions/g)].map(([, count]) => Number(count));
  equal(dots, observed.reduce((a, b) => a + b, 0), 'errors that are drawn, of all lanes');
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
