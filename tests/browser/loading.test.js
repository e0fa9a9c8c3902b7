// Loads over a network that breaks, by hosts that lie: resumed, begun anew or refused as said, with the results of an unbroken load;
// digests, what the browser keeps, and what a page is told on the way. `webdriver/src/broken.rs` has the server.

import { Pool } from '../pkg/index.js';
import { assert, equal, fails, test } from './harness.js';
import { distance, entry, feedsOf } from './models.js';

/** Where bytes are cut: another place in every run; one that failed is repeated by `?seed=`. */
const SEED = Number(new URLSearchParams(location.search).get('seed')) || Date.now() % 1e9;

/** Numbers below 1 (mulberry32). */
function randoms(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = randoms(SEED);
const below = (bytes) => 1 + Math.floor(random() * (bytes - 1));
const quick = { pauseMs: 5, stallMs: 250 };
const FILES = 'consort-files';

let next = 0;
/** An address at which `path` breaks as `query` says, and what was asked there. */
function broken(path, query = '', origin = location.origin) {
  const id = `${SEED}-${next++}`;
  const url = `${origin}/broken${path}?id=${id}&${query}`;
  return { url, asked: async () => (await fetch(`/broken/log?id=${id}`)).json() };
}

/** A model by its path: hosts that lie are found by what stands before it. */
const at = (name) => ({ ...entry(name), url: new URL(entry(name).url, location.href).pathname });
const [net, other] = [at('squeezenet1_1'), at('face_rnet')];
const DATA = 'squeezenet1_1.onnx.data';
const length = async (url) => (await (await fetch(url)).arrayBuffer()).byteLength;
const [modelBytes, dataBytes, otherBytes] = await Promise.all([net.url, `${net.url}.data`, other.url].map(length));

const pool = await Pool.create({ lanes: ['cpu'], threads: 1, measure: 'asked', records: 'none' });
const feeds = new Map(await Promise.all([net, other].map(async (model) => [model, await feedsOf(model)])));

async function outputsOf(session, model) {
  const outputs = await session.run(feeds.get(model));
  await session.release();
  return Object.values(outputs).map((tensor) => tensor.data);
}

const plain = { freeDimensions: { batch: 1 }, cache: false, network: quick };
const expected = new Map();
expected.set(net, await outputsOf(await pool.load(net.url, plain), net));
expected.set(other, await outputsOf(await pool.load(other.url, { cache: false }), other));
/** Data of another model, of which the first bytes stand for its own. */
const swap = `${at('mobilenet_v2').url}.data`;
expected.set(swap, await outputsOf(await pool.load(net.url, { ...plain, externalData: { [DATA]: swap } }), net));

async function right(session, model, what = '', of = model) {
  const outputs = await outputsOf(session, model);
  outputs.forEach((data, i) => equal(distance(data, expected.get(of)[i]), 0, `outputs ${what}`));
}

/** Loads the model of two files from where they break. */
const loadNet = (model, data, options) => pool.load(model.url ?? model, { ...plain, externalData: { [DATA]: data.url ?? data }, ...options });

/** `work` leaves nothing: no bytes on the lane, no file that is kept. */
async function nothingLeft(work) {
  const held = async () => [pool.memory().total, (await (await caches.open(FILES)).keys()).length];
  const before = await held();
  await work();
  equal(await held(), before, 'bytes that are held, and files that are kept');
}

test('loading: cut at 20 random bytes, 20 of 20 loads are resumed and compute the same', async () => {
  let parts = 0;
  for (let round = 0; round < 20; round++) {
    // Every fourth server gives no parts, every third breaks twice: so early that what is left is longer than what came.
    const within = round % 3 ? 1 : 1 / 3;
    const [first, second] = [below(modelBytes * within), below(dataBytes * within)];
    const how = `times=${round % 3 ? 1 : 2}${round % 4 ? '' : '&ranges=none'}`;
    const [model, data] = [broken(net.url, `cut=${first}&${how}`), broken(`${net.url}.data`, `cut=${second}&${how}`)];
    const at = `cut at ${first} and ${second}, ${how}, seed ${SEED}`;
    try {
      await right(await loadNet(model, data), net, at);
    } catch (error) {
      throw new Error(`${at}: ${error.message}`);
    }
    const all = await data.asked();
    equal(all.length, round % 3 ? 2 : 3, `requests, ${at}`);
    const [, resumed] = all;
    // What was cut before the page heard of a byte is asked for anew, if need be by what the browser itself kept.
    const anew = resumed.range === null || /^bytes=(\d+)-\1$/.test(resumed.range);
    if (round % 4 && !anew) {
      const from = Number(/^bytes=(\d+)-$/.exec(resumed.range)?.[1]);
      assert(from <= second && resumed.status === 206 && resumed.ifRange, `resumed from ${resumed.range}, ${resumed.status}, ${at}`);
      parts++;
    } else if (resumed.range !== null) {
      equal(resumed.status, 200, `a server that gives no parts, ${at}`);
    }
  }
  assert(parts > 10, `${parts} of 15 resumed by parts, seed ${SEED}`);
  return `${parts} by parts; seed ${SEED}`;
});

test('loading: of 20 faults at random bytes of either file, 20 are resumed or refused as said', async () => {
  /** What each does to a file of so many bytes, and the kinds of errors by which the model and the data are refused; none where they are resumed. */
  const FAULTS = {
    cut: [(bytes) => `cut=${below(bytes)}`],
    stall: [(bytes) => `stall=${below(bytes)}`],
    length: [() => `length=${below(1000)}&times=9`, 'fetch', 'fetch'],
    html: [() => 'html&times=9', 'invalid-model', 'fetch'],
    change: [(bytes, of) => `cut=${below(bytes)}&change=${of === 'model' ? other.url : swap}`],
  };
  const ends = {};
  for (let round = 0; round < 20; round++) {
    const fault = Object.keys(FAULTS)[round % 5];
    const of = random() < 0.5 ? 'model' : 'data';
    const [query, ...kinds] = FAULTS[fault];
    const broke = broken(of === 'model' ? net.url : `${net.url}.data`, query(of === 'model' ? modelBytes : dataBytes, of));
    const load = () => (of === 'model' ? loadNet(broke, `${net.url}.data`) : loadNet(net.url, broke));
    const kind = kinds[of === 'model' ? 0 : 1];
    try {
      if (kind) await nothingLeft(() => fails(kind, [broke.url], load));
      else if (fault === 'change' && of === 'model') await right(await pool.load(broke.url, { cache: false, network: quick }), other);
      else if (fault === 'change') await right(await load(), net, '', swap);
      else await right(await load(), net);
    } catch (error) {
      throw new Error(`round ${round}, ${broke.url}, seed ${SEED}: ${error.message}`);
    }
    ends[fault] = (ends[fault] ?? 0) + 1;
  }
  return `${JSON.stringify(ends)}; seed ${SEED}`;
});

test('loading: a connection that stalls, or never answers, is ended and resumed', async () => {
  const at = below(dataBytes);
  const [model, data] = [broken(net.url, 'silent'), broken(`${net.url}.data`, `stall=${at}`)];
  await right(await loadNet(model, data), net, `stalled at ${at}, seed ${SEED}`);
  equal((await model.asked()).length, 2, 'requests for the model');
  const [, resumed] = await data.asked();
  equal([resumed.range !== null, resumed.status], [true, 206], 'the rest of the data');
  await nothingLeft(async () => {
    const dead = broken(other.url, 'stall=1000&times=99');
    await fails('fetch', [dead.url, 'no byte came for 0.1 s', `of ${otherBytes} bytes came`, '2 tries'], () =>
      pool.load(dead.url, { network: { tries: 2, stallMs: 100, pauseMs: 5 } }));
  });
});

test('loading: statuses that pass are asked again, others are refused at once', async () => {
  const busy = broken(other.url, 'status=503&times=2');
  await right(await pool.load(busy.url, plain), other);
  const denied = broken(other.url, 'status=403');
  await fails('fetch', ['403', denied.url], () => pool.load(denied.url, plain));
  equal((await denied.asked()).length, 1, 'requests');
  await fails('fetch', ['503', '3 tries'], () => pool.load(broken(other.url, 'status=503&times=9').url, { ...plain, network: { ...quick, tries: 3 } }));
});

test('loading: a length that is wrong is refused in words, and nothing stays', () =>
  nothingLeft(async () => {
    const most = { network: { ...quick, tries: 3 } };
    const longer = broken(other.url, 'length=100&times=99');
    await fails('fetch', [longer.url, `states ${otherBytes + 100} bytes and has ${otherBytes}`], () => pool.load(longer.url, { network: { ...quick, tries: 9 } }));
    const always = broken(other.url, 'length=100&times=9&ranges=none');
    // A stream that breaks drops what it had in its queue: how many bytes of the last try came is the browser's.
    const { message } = await fails('fetch', [always.url, `of ${otherBytes + 100} bytes came`, '3 tries'], () => pool.load(always.url, most));
    assert(Number(/(\d+) of \d+ bytes came/.exec(message)[1]) <= otherBytes, message);
    const data = broken(`${net.url}.data`, 'length=100&times=9');
    await fails('fetch', [data.url, `states ${dataBytes + 100}`], () => loadNet(net.url, data, { cache: true }));
    // What is beyond a length that was stated never comes to a page.
    const shorter = broken(other.url, 'length=-100&times=9');
    await fails('invalid-model', [shorter.url, `${otherBytes - 100} bytes`], () => pool.load(shorter.url, most));
    const cut = broken(`${net.url}.data`, 'length=-100&times=9');
    await fails('missing-data', [DATA], () => loadNet(net.url, cut, { cache: true }));
  }));

test('loading: a page of HTML in place of a file is refused in words, and nothing stays', () =>
  nothingLeft(async () => {
    const page = broken(other.url, 'html');
    await fails('invalid-model', [page.url, 'HTML', 'text/html', 'Sign in'], () => pool.load(page.url));
    const data = broken(`${net.url}.data`, 'html');
    await fails('fetch', [data.url, 'HTML'], () => loadNet(net.url, data));
  }));

test('loading: a file that changes while it is fetched is never mixed', async () => {
  for (const ranges of ['', '&ranges=blind', '&ranges=none']) {
    for (const named of ['', '&etag=none', '&etag=weak']) {
      const query = `${ranges}${named}, seed ${SEED}`;
      const model = broken(net.url, `cut=${below(modelBytes)}&change=${other.url}${ranges}${named}`);
      await right(await pool.load(model.url, { cache: false, network: quick }), other, query);
    }
    const data = broken(`${net.url}.data`, `cut=${below(dataBytes)}&change=${swap}${ranges}`);
    await right(await loadNet(net.url, data), net, `of the data that came at last, ${ranges}, seed ${SEED}`, swap);
  }
});

test('loading: an encoded file, and one of another origin, are resumed where that is safe', async () => {
  for (const query of ['gzip', `gzip&cut=${below(100_000)}`]) await right(await pool.load(broken(other.url, query).url, plain), other, query);
  const elsewhere = location.origin.replace('127.0.0.1', 'localhost');
  for (const query of ['cors', 'cors=exposed', 'cors&etag=none', 'cors&modified=none', 'cors&gzip']) {
    const far = broken(other.url, `${query}&cut=${below(200_000)}`, elsewhere);
    await right(await pool.load(far.url, plain), other, `${query}, seed ${SEED}`);
    const all = await far.asked();
    // A condition of ours would have asked for leave first.
    assert(all.every(({ method }) => method === 'GET'), `asked with ${query}: ${JSON.stringify(all)}`);
  }
});

test('loading: a signal ends it at any moment, also in a pause', () =>
  nothingLeft(async () => {
    for (const query of ['silent&times=9', 'stall=1000&times=9', 'status=503&times=9', 'cut=1000&times=9']) {
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 150);
      const since = performance.now();
      const network = { pauseMs: 60_000, stallMs: 60_000 };
      await fails('aborted', [], () => pool.load(broken(other.url, query).url, { signal: abort.signal, network }));
      assert(performance.now() - since < 5000, `${query}: aborted after ${performance.now() - since} ms`);
    }
  }));

/** The digest of what is behind `url`, as a page states it. */
async function integrityOf(url, name = 'sha384') {
  const bytes = await (await fetch(url)).arrayBuffer();
  const digest = await crypto.subtle.digest(name.replace('sha', 'SHA-'), bytes);
  return `${name}-${btoa(String.fromCharCode(...new Uint8Array(digest)))}`;
}

test('loading: files are those whose digests are stated, or are refused and nothing stays', async () => {
  const [model, data] = await Promise.all([integrityOf(net.url), integrityOf(`${net.url}.data`, 'sha512')]);
  const weak = await integrityOf(other.url, 'sha256');
  const stated = { model, externalData: { [DATA]: data } };
  const cut = [broken(net.url, 'cut=1000'), broken(`${net.url}.data`, `cut=${below(dataBytes)}`)];
  await right(await loadNet(...cut, { integrity: stated }), net);
  await right(await pool.load(other.url, { integrity: `sha256-${'A'.repeat(43)}= ${weak}` }), other);
  await nothingLeft(async () => {
    await fails('integrity', [other.url, model, 'sha384-'], () => pool.load(other.url, { integrity: `${weak} ${model}` }));
    const swapped = broken(`${net.url}.data`, `cut=1000&change=${swap}`);
    await fails('integrity', [DATA, swapped.url], () => loadNet(net.url, swapped, { cache: true, integrity: stated }));
    const bytes = new Uint8Array(await (await fetch(other.url)).arrayBuffer());
    await fails('integrity', ['the model'], () => pool.load(bytes, { integrity: model }));
    await fails('invalid-input', ['md5-abc'], () => pool.load(other.url, { integrity: 'md5-abc' }));
    await fails('invalid-input', [DATA, 'odd.data'], () => pool.load(net.url, { integrity: { externalData: { 'odd.data': data } } }));
  });
});

const keys = async () => (await (await caches.open(FILES)).keys()).map(({ url }) => url);

test('loading: what is kept costs no bytes while it is current, and is fetched again once it changed', async () => {
  const kept = broken(other.url);
  const load = async (file, options) => right(await pool.load(file.url, { network: quick, ...options }), other);
  for (let i = 0; i < 3; i++) await load(kept);
  equal((await kept.asked()).map(({ status, bytes }) => [status, bytes]), [[200, otherBytes], [304, 0], [304, 0]]);
  const changes = broken(net.url, `change=${other.url}`);
  const changed = { [DATA]: `${net.url}.data` };
  await right(await pool.load(changes.url, { ...plain, cache: true, externalData: changed }), net);
  for (let i = 0; i < 2; i++) await load(changes);
  equal((await changes.asked()).map(({ status, bytes }) => [status, bytes]), [[200, modelBytes], [200, otherBytes], [304, 0]]);
  const fresh = broken(other.url, 'fresh=60');
  for (let i = 0; i < 2; i++) await load(fresh);
  equal((await fresh.asked()).length, 1, 'requests for a file that is fresh');
  const elsewhere = broken(other.url, 'cors', location.origin.replace('127.0.0.1', 'localhost'));
  for (let i = 0; i < 2; i++) await load(elsewhere);
  equal((await elsewhere.asked()).map(({ method, bytes }) => [method, bytes]), [['GET', otherBytes], ['HEAD', 0]], 'of another origin');
  // A server that names no version is asked for all of it, and one that is gone is not missed.
  const nameless = broken(other.url, 'etag=none&modified=none');
  for (let i = 0; i < 2; i++) await load(nameless);
  equal((await nameless.asked()).map(({ bytes }) => bytes), [otherBytes, otherBytes]);
  const gone = broken(other.url);
  await load(gone);
  const { fetch } = globalThis;
  globalThis.fetch = async () => Promise.reject(new TypeError('no network'));
  await load(gone).finally(() => (globalThis.fetch = fetch));
});

test('loading: what may not be kept is not, nor more than there is room for, and loads go on without a Cache', async () => {
  const held = async (file) => (await keys()).includes(file.url);
  const load = async (file, options) => right(await pool.load(file.url, { network: quick, ...options }), other);
  const [never, off] = [broken(other.url, 'store=none'), broken(other.url)];
  await load(never);
  await load(off, { cache: false });
  equal([await held(never), await held(off)], [false, false], 'no-store, and a page that keeps nothing');
  // The first is used last, so that the second goes.
  const [first, second, third] = [broken(other.url, 'fresh=60'), broken(other.url, 'fresh=60'), broken(other.url, 'fresh=60')];
  for (const file of [first, second, first, third]) {
    await load(file, { cache: { maxBytes: 2.5 * otherBytes } });
    await new Promise((done) => setTimeout(done, 100));
  }
  equal([await held(first), await held(second), await held(third)], [true, false, true], 'the one used longest ago');
  await load(second, { cache: { maxBytes: 1000 } });
  equal(await held(second), false, 'one for which there is no room');
  // Browsers in which nothing is kept: private windows, a disk that is full.
  for (const [owner, name] of [[CacheStorage.prototype, 'open'], [Cache.prototype, 'put'], [Cache.prototype, 'match']]) {
    const given = owner[name];
    owner[name] = async () => Promise.reject(new DOMException('no room', 'QuotaExceededError'));
    try {
      await load(broken(other.url, 'cut=1000'));
    } finally {
      owner[name] = given;
    }
  }
  await fails('invalid-input', ['maxBytes'], () => pool.load(other.url, { cache: { maxBytes: -1 } }));
});

test('loading: a page that is not secure has no digests, and keeps nothing', async () => {
  // What a pool in a worker sees is not this page's.
  if (new URLSearchParams(location.search).has('worker')) return;
  const hidden = [[Crypto.prototype, 'subtle'], [globalThis, 'caches']];
  const given = hidden.map(([owner, name]) => Object.getOwnPropertyDescriptor(owner, name));
  for (const [owner, name] of hidden) Object.defineProperty(owner, name, { value: undefined, configurable: true });
  try {
    await fails('unsupported', ['the model', 'secure context'], () => pool.load(other.url, { integrity: `sha256-${'A'.repeat(43)}=` }));
    await right(await pool.load(broken(other.url, 'cut=1000').url, { network: quick }), other);
    equal(await pool.preload(broken(other.url).url), 0, 'bytes that are kept');
  } finally {
    hidden.forEach(([owner, name], i) => Object.defineProperty(owner, name, given[i]));
  }
});

test('loading: a model that was fetched ahead is loaded without the network', async () => {
  const far = await Pool.create({ lanes: ['cpu'], threads: 1, measure: 'asked', records: 'none', worker: true });
  for (const where of [pool, far]) {
    const [model, data] = [broken(net.url, 'cut=1000'), broken(`${net.url}.data`)];
    const both = { model: model.url, externalData: { [DATA]: data.url } };
    const seen = [];
    equal(await where.preload(both, { network: quick, onProgress: (p) => seen.push(p) }), modelBytes + dataBytes);
    const asked = async () => [(await model.asked()).length, (await data.asked()).length];
    equal(await asked(), [2, 1]);
    await right(await where.load(both, { freeDimensions: { batch: 1 } }), net);
    equal(await asked(), [2, 1], 'requests after the load');
    equal([...new Set(seen.map(({ phase }) => phase))], ['download']);
  }
  await far.close();
  equal(await pool.preload(broken(other.url).url, { cache: false }), 0, 'bytes kept where nothing is');
  await fails('fetch', ['404'], () => pool.preload(broken('/models/none.onnx').url));
});

test('loading: a page is told by phase and file how far it is, and how fast', async () => {
  const [model, data] = [broken(net.url), broken(`${net.url}.data`, `cut=${below(dataBytes)}`)];
  const load = async () => {
    const seen = [];
    await right(await loadNet(model, data, { cache: true, onProgress: (p) => seen.push(p) }), net);
    return seen;
  };
  for (const source of ['network', 'cache']) {
    const seen = await load();
    const phases = [...new Set(seen.map(({ phase }) => phase))];
    equal([phases[0], phases[1], ...phases.slice(-2)], ['download', 'decode', 'ready', 'run'], `phases from ${source}`);
    const downloads = seen.filter(({ phase }) => phase === 'download');
    equal([...new Set(downloads.map(({ file }) => file))], [model.url, data.url], 'files');
    assert(downloads.every((p) => p.source === source && p.bytesPerSecond >= 0), `all from ${source}`);
    assert(downloads.some(({ bytesPerSecond }) => bytesPerSecond > 1e5), 'a speed');
    const { done, total, fileDone, fileTotal } = downloads.at(-1);
    equal([done, total, fileDone, fileTotal], [modelBytes + dataBytes, modelBytes + dataBytes, dataBytes, dataBytes]);
  }
});
