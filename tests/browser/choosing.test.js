// What the loop of forecasting, choosing and learning costs the page: a bench, which judges answers and prints times. Knows which
// functions lead into the page's wasm, and out of it.

import { Pool } from '../pkg/index.js';
import { assert, test } from './harness.js';
import { entry, load, median, relativeError } from './models.js';

const REPEATS = 200;
const ROUNDS = 100;
const EIGHT = ['squeezenet1_1', 'mobilenet_v2', 'minilm_l6', 'vit_tiny', 'face_pnet', 'face_rnet', 'face_onet', 'ocr_cls'];
const RUN = ['squeezenet1_1', 'minilm_l6', 'mobilenet_v2'];

/** Milliseconds in the page's wasm, without those in which it moves elements and messages. */
let inside = 0;
let within = false;

/** A function that leads in; what it leads to may lead out and in again. */
const entering = (work) =>
  function (...given) {
    if (within) return work.apply(this, given);
    within = true;
    const since = performance.now();
    try {
      return work.apply(this, given);
    } finally {
      inside += performance.now() - since;
      within = false;
    }
  };

/** A function that leads out, to what is no bookkeeping. */
const leaving = (work) =>
  function (...given) {
    const since = performance.now();
    try {
      return work.apply(this, given);
    } finally {
      if (within) inside -= performance.now() - since;
    }
  };

/** What copies elements, and what is asked of a processor. */
const MOVES = /^(apply|prototypesetcall|set_call|new_from_slice)/;

const wrapped = (all, by, which) =>
  Object.fromEntries(Object.entries(all).map(([name, of]) => [name, typeof of === 'function' && which(name) ? by(of) : of]));

// Whatever is instantiated from here on with imports of the glue's is the page's.
for (const name of ['instantiate', 'instantiateStreaming']) {
  const own = WebAssembly[name];
  WebAssembly[name] = async (source, imports) => {
    const glue = Object.keys(imports ?? {}).find((module) => module.endsWith('consort_bg.js'));
    if (!glue) return own.call(WebAssembly, source, imports);
    const made = await own.call(WebAssembly, source, { ...imports, [glue]: wrapped(imports[glue], leaving, (name) => MOVES.test(name)) });
    const exported = (instance) => Object.create(instance, { exports: { value: wrapped(instance.exports, entering, () => true) } });
    return made.instance ? { ...made, instance: exported(made.instance) } : exported(made);
  };
}

const lanes = new URLSearchParams(location.search).get('lanes')?.split(',') ?? ['cpu'];

async function opened(use) {
  const pool = await Pool.create({ lanes, records: 'none', measure: 'now' });
  try {
    return await use(pool);
  } finally {
    await pool.close();
  }
}

test('one choice for 8 sessions over all strategies', () =>
  opened(async (pool) => {
    const requests = [];
    for (const name of EIGHT) {
      const { session, feeds } = await load(pool, entry(name));
      await session.run(feeds);
      requests.push({ session, feeds });
    }
    const times = [];
    let strategies;
    for (let i = 0; i < REPEATS; i++) {
      inside = 0;
      ({ strategies } = await pool.predict(requests));
      times.push(inside);
    }
    assert(strategies.length > 1 && inside > 0, `${strategies.length} strategies in ${inside} ms`);
    const names = strategies.map(({ strategy }) => strategy).join(', ');
    return `${median(times).toFixed(3)} ms in wasm, request and report read and written: ${names}`;
  }));

for (const name of RUN) {
  test(`bookkeeping of ${name}`, () =>
    opened(async (pool) => {
      const model = entry(name);
      const { session, feeds } = await load(pool, model);
      for (let i = 0; i < ROUNDS; i++) await session.run(feeds);
      const [own, all] = [[], []];
      for (let i = 0; i < ROUNDS; i++) {
        inside = 0;
        const began = performance.now();
        const outputs = await session.run(feeds);
        all.push(performance.now() - began);
        own.push(inside);
        const off = relativeError(model, outputs);
        assert(off < 1e-3, `${name} is off by ${off}`);
      }
      assert(inside > 0, 'nothing was measured');
      const [a, b] = [own, all].map(median);
      return `${a.toFixed(3)} ms in the page's wasm of ${b.toFixed(2)}: ${((100 * a) / b).toFixed(2)} %`;
    }));
}
