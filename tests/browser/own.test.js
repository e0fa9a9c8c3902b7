// The demo page with a model that somebody brings: from an address, dropped, one that is none, one that lacks its weights; and the
// records that it saves.

import { demoPage } from './demo.js';
import { assert, equal, test } from './harness.js';

let opened;
/** The demo page, once its pool is open; files are dropped on the section. */
async function page() {
  opened ??= (async () => {
    const demo = await demoPage((_, view) => view.driven.lines.some((line) => line.startsWith('Ready')), { width: 900, height: 700 });
    return { ...demo, drop: (files) => demo.drop(files, demo.$('own')), said: () => demo.$('own-status').textContent };
  })();
  return opened;
}
const cells = ($) => [...$('own-outputs').querySelectorAll('tbody tr')].map((row) => [...row.children].map((cell) => cell.textContent));
const bytes = async (path) => (await fetch(path)).arrayBuffer();

test('own: a model from an address, whose free dimensions are asked for', async () => {
  const { $, until, said } = await page();
  $('own-url').value = '/models/minilm_l6.onnx';
  $('own-address').requestSubmit();
  await until('the model', () => / on (gpu|webnn|cpu): forecast .* took /.test(said()));
  const fields = [...$('own-free').querySelectorAll('input')];
  assert(fields.length > 0, 'no free dimension is asked for');
  assert(said().includes('[1 × 1]'), said());
  for (const field of fields) field.value = 3;
  $('own-sizes').requestSubmit();
  await until('other sizes', () => / took .*\[3 × 3\]/.test(said()));
  const [[name, type, shape, least, greatest, broken]] = cells($);
  equal([name, type, shape.startsWith('3 × 3'), broken], ['last_hidden_state', 'float32', true, 'none'], 'the output');
  assert(Number(least) < Number(greatest), `${least} to ${greatest}`);
  assert(/\. There because: .+\. Fed with /.test(said()), said());
  return said();
});

test('own: a model that is dropped, with its weights and without, and a file that is none', async () => {
  const { frame, $, until, drop, said } = await page();
  const { File } = frame.contentWindow;
  const model = new File([await bytes('/models/squeezenet1_1.onnx')], 'squeezenet1_1.onnx');
  const [index] = (await (await fetch('/models/index.json')).json()).filter(({ name }) => name === 'squeezenet1_1');
  const data = await Promise.all(index.external.map(async (name) => new File([await bytes(`/models/${name}`)], name)));
  drop([model, ...data]);
  await until('the model', () => said().startsWith('squeezenet1_1 on '));
  equal(cells($).map(([, , shape]) => shape), ['1 × 1000'], 'outputs');
  drop([model]);
  await until('the model without its weights', () => said().startsWith('A file with weights is missing'));
  assert(said().includes('(missing-data)'), said());
  drop([new File(['no model at all'], 'cat.onnx')]);
  await until('no model', () => said().startsWith('This is no ONNX model'));
  assert(said().includes('(invalid-model)') && cells($).length === 0, said());
  assert(!$('read').classList.contains('dragged'), 'the section that reads took it');
});

test('own: what was measured is saved as it is exported', async () => {
  const { frame, $ } = await page();
  const view = frame.contentWindow;
  /** Name and answer of what is saved as `format`. */
  const saved = (format) =>
    new Promise((done) => {
      view.HTMLAnchorElement.prototype.click = async function () {
        done([this.download, await view.fetch(this.href)]);
      };
      frame.contentDocument.querySelector(`[data-save=${format}]`).click();
    });
  assert(!$('learning').hidden, 'nothing was measured');
  const [name, records] = await saved('json');
  const { lanes } = await records.json();
  equal([name, lanes.some(({ observations }) => observations.length > 0)], ['consort-records.json', true], 'what is saved');
  const [table, bytes] = await saved('parquet');
  equal([table, (await bytes.text()).slice(0, 4)], ['consort-records.parquet', 'PAR1'], 'what is saved as Parquet');
  equal(view.driven.error, null, 'errors of the page');
  frame.remove();
});
