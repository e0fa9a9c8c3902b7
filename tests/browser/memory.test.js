// What a page is left with: five sessions come and go, again and again, and the browser counts.

import { Pool } from '../pkg/index.js';
import { assert, test, withWorkers } from './harness.js';
import { entry, load, relativeError } from './models.js';

const ROUNDS = 50;
const NAMES = ['squeezenet1_1', 'face_pnet', 'face_rnet', 'face_onet', 'ocr_cls'];
/** More than the page began with it must not end with. */
const LEFT = 10 << 20;

/** Bytes of the page and its workers, as the browser counts them where it does, and of the workers' wasm memories, which it leaves out. */
const counted = async (workers) => {
  const { bytes = 0 } = (await performance.measureUserAgentSpecificMemory?.()) ?? {};
  return bytes + workers.reduce((all, worker) => all + worker.memory, 0);
};

const inMiB = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Keeps at a worker how many bytes it says that its memory has; none once it was ended. */
const watched = (worker) => {
  worker.memory = 0;
  worker.addEventListener('message', ({ data }) => (worker.memory = data.memory?.byteLength ?? data.memory ?? worker.memory));
  worker.terminate = () => {
    worker.memory = 0;
    Object.getPrototypeOf(worker).terminate.call(worker);
  };
};

test(`memory: after ${ROUNDS} rounds of five sessions, loaded, run and released, a page is as small as before`, () =>
  withWorkers(async (workers) => {
    const pool = await Pool.create({ lanes: ['cpu'], threads: 1, measure: 'asked' });
    const before = await counted(workers);
    let most = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const sessions = await Promise.all(NAMES.map((name) => load(pool, entry(name))));
      const all = await Promise.all(sessions.map(({ session, feeds }) => session.run(feeds)));
      for (const [i, outputs] of all.entries()) assert(relativeError(entry(NAMES[i]), outputs) <= 1e-3, `${NAMES[i]} in round ${round}`);
      if (round === 0) most = await counted(workers);
      for (const { session } of sessions) await session.release();
    }
    // A processor that holds nothing ends after a second.
    await new Promise((done) => setTimeout(done, 2500));
    const after = await counted(workers);
    await pool.close();
    const said = `${inMiB(before)} before, ${inMiB(most)} with five sessions, ${inMiB(after)} after`;
    assert(most > before + LEFT, `what five sessions take is not counted: ${said}`);
    assert(after <= before + LEFT, said);
    return said;
  }, watched));
