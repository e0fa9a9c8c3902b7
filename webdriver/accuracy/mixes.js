// Requests as they come at once in a page and may be fewer calls: callers of one model, heads on one backbone, tiny models.

import { Tensor } from '../pkg/index.js';
import { catalogue, load } from '../work.js';

const CALLERS = 16;
const HEADS = 4;
const CALLED = 'face_rnet';
const BACKBONE = 'mobilenet_v2';
/** Each twice; the last runs on processors only. */
const TINY = ['face_pnet', 'face_rnet', 'face_onet', 'voice_vad'];

/** The same feeds with other numbers in them, different for each `seed`. */
function varied(feeds, seed) {
  const vary = (t) => (t.type === 'float32' ? t.data.map((x, i) => x * (1 - seed / 64) + Math.sin(i + seed) / 8) : t.data);
  return Object.fromEntries(Object.entries(feeds).map(([name, t]) => [name, new Tensor(t.type, vary(t), t.dims)]));
}

async function callers(pool, entry) {
  const { session, feeds } = await load(pool, entry(CALLED));
  return Array.from({ length: CALLERS }, (_, i) => ({ session, feeds: varied(feeds, i) }));
}

/** Sessions of one model with classifiers of their own, which are the first weights in its file, and one picture for all. */
async function heads(pool, entry) {
  const model = entry(BACKBONE);
  const { feeds } = await load(pool, model);
  const [bytes, data] = await Promise.all([model.url, `${model.url}.data`].map(async (url) => (await fetch(url)).arrayBuffer()));
  const requests = [];
  for (let head = 1; head <= HEADS; head++) {
    const own = data.slice(0);
    new Float32Array(own, 0, 1000 * 1280).forEach((x, i, all) => (all[i] = x * Math.cos(i * head)));
    const externalData = { [`${BACKBONE}.onnx.data`]: new Uint8Array(own) };
    const session = await pool.load({ model: new Uint8Array(bytes), externalData }, { name: `head ${head}` });
    requests.push({ session, feeds });
  }
  return requests;
}

async function tiny(pool, entry) {
  const requests = [];
  for (const name of TINY) {
    for (const seed of [0, 1]) {
      try {
        const { session, feeds } = await load(pool, entry(name));
        requests.push({ session, feeds: varied(feeds, seed) });
      } catch (error) {
        if (error.kind !== 'unsupported') throw error;
        const { session, feeds } = await load(pool, entry(CALLED));
        requests.push({ session, feeds: varied(feeds, 2 + seed) });
      }
    }
  }
  return requests;
}

/** The mixes whose models are here, each with its name. */
export async function mixes(pool, say) {
  const all = await catalogue();
  const entry = (name) => all.find((model) => model.name === name);
  const [called, backbone] = [CALLED, BACKBONE].map(entry);
  const found = [];
  if (called) found.push([`${CALLERS} callers of ${CALLED}`, await callers(pool, entry)]);
  if (backbone) found.push([`${HEADS} heads on the backbone of ${BACKBONE}`, await heads(pool, entry)]);
  if (TINY.every(entry)) found.push([`${2 * TINY.length} tiny models`, await tiny(pool, entry)]);
  if (found.length < 3) say('  models are missing, and with them sets that may be fewer calls');
  return found;
}
