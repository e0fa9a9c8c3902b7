// What several callers at once gain over one after another on the same lane, all answers the same: a bench, which judges answers
// and prints times.

import { Pool } from '../pkg/index.js';
import { assert, test } from './harness.js';
import { distance, entry, load, median, varied } from './models.js';

const ROUNDS = 30;
const LANES = new URLSearchParams(location.search).get('lanes')?.split(',') ?? ['cpu', 'gpu'];

/** Requests one after another against all at once, in turns; the first rounds are those in which it is found out what is worth it. */
async function compared(requests, rounds = ROUNDS) {
  const apart = async () => {
    const outputs = [];
    for (const { session, feeds } of requests) outputs.push(await session.run(feeds));
    return outputs;
  };
  const together = () => Promise.all(requests.map(({ session, feeds }) => session.run(feeds)));
  const alone = await apart();
  const timed = async (run) => {
    const began = performance.now();
    const outputs = await run();
    const took = performance.now() - began;
    for (const [i, { session }] of requests.entries()) {
      for (const name of session.outputNames) {
        const off = distance(outputs[i][name].data, alone[i][name].data);
        assert(off <= 1e-5, `${session.name}, request ${i}: ${name} differs from its solo run by ${off}`);
      }
    }
    return took;
  };
  const times = [];
  for (let round = 0; round < rounds; round++) times.push([await timed(apart), await timed(together)]);
  const late = times.slice(rounds / 2);
  const ratios = late.map(([a, b]) => a / b).sort((a, b) => a - b);
  const quarter = (q) => ratios[Math.floor((ratios.length - 1) * q)].toFixed(2);
  const [a, b] = [0, 1].map((i) => median(late.map((both) => both[i])).toFixed(1));
  return `${a} ms one by one, ${b} at once: ${median(ratios).toFixed(2)}x (${quarter(0.25)}–${quarter(0.75)})`;
}

const KINDS = {
  '16 callers of face_rnet': (pool) => callers(pool, 'face_rnet'),
  '16 callers of voice_vad': (pool) => callers(pool, 'voice_vad'),
  '16 callers of squeezenet1_1': (pool) => callers(pool, 'squeezenet1_1'),
  '4 heads on the backbone of mobilenet_v2': heads,
  '8 small models': small,
};

async function callers(pool, name) {
  const { session, feeds } = await load(pool, entry(name));
  return Array.from({ length: 16 }, (_, i) => ({ session, feeds: varied(feeds, i) }));
}

/** Sessions of one model with classifiers of their own: its weights are the first in its file. */
async function heads(pool) {
  const { session, feeds } = await load(pool, entry('mobilenet_v2'));
  const url = new URL('../models/mobilenet_v2.onnx', import.meta.url);
  const [bytes, data] = await Promise.all([url, `${url}.data`].map(async (u) => (await fetch(u)).arrayBuffer()));
  const sessions = [session];
  for (let head = 1; head < 4; head++) {
    const own = data.slice(0);
    new Float32Array(own, 0, 1000 * 1280).forEach((x, i, all) => (all[i] = x * Math.cos(i * head)));
    const externalData = { 'mobilenet_v2.onnx.data': new Uint8Array(own) };
    sessions.push(await pool.load({ model: new Uint8Array(bytes), externalData }, { name: `head ${head}` }));
  }
  return sessions.map((session) => ({ session, feeds }));
}

async function small(pool, lane) {
  const requests = [];
  for (const name of ['face_pnet', 'face_rnet', 'face_onet', lane === 'gpu' ? 'face_rnet' : 'voice_vad']) {
    for (const seed of [0, 1]) {
      const { session, feeds } = await load(pool, entry(name));
      requests.push({ session, feeds: varied(feeds, seed) });
    }
  }
  return requests;
}

for (const lane of LANES) {
  for (const [name, requests] of Object.entries(KINDS)) {
    // An LSTM runs on processors only.
    if (lane === 'gpu' && name.includes('voice_vad')) continue;
    test(`${name} on ${lane}`, async () => {
      const pool = await Pool.create({ lanes: [lane], records: 'none', measure: 'asked' });
      try {
        return await compared(await requests(pool, lane), name.includes('squeezenet') && lane === 'gpu' ? 14 : ROUNDS);
      } finally {
        await pool.close();
      }
    });
  }
}
