// Several lanes at once: the GPU beside a processor, and processors beside each other. What they give together is what each gives
// alone, and their timelines show that they ran at once.

import { Pool } from '../pkg/index.js';
import { assert, equal, test } from './harness.js';
import { distance, entry, load, relativeError, varied } from './models.js';

const ROUNDS = 100;

/** Milliseconds in which two places of a timeline were both at work. */
function overlap(timeline, [one, other]) {
  const ends = (place) => {
    const spans = timeline.filter((span) => span.place === place && span.kind === 'gpu');
    return [Math.min(...spans.map((span) => span.startMs)), Math.max(...spans.map((span) => span.endMs))];
  };
  const [[a, b], [c, d]] = [ends(one), ends(other)];
  return Math.min(b, d) - Math.max(a, c);
}

const split = (report) => report.strategies.find(({ strategy }) => strategy === 'split');

test(`${ROUNDS} rounds of sessions on gpu and on cpu at once equal their solo outputs, and run at once`, async () => {
  const pool = await Pool.create({ lanes: ['gpu', 'cpu'], threads: 1, measure: 'asked', records: 'none' });
  const face = await load(pool, entry('face_onet'), { lanes: ['gpu'] });
  const words = await load(pool, entry('minilm_l6'), { lanes: ['cpu'] });
  const sessions = [face, words];
  equal(sessions.map(({ session }) => session.lane), ['gpu', 'cpu']);
  equal(sessions.map(({ session }) => session.lanes), [['gpu'], ['cpu']]);
  equal(words.session.refusals, { gpu: 'its load names other lanes' });
  const inputs = Array.from({ length: 4 }, (_, seed) => sessions.map(({ feeds }) => varied(feeds, seed)));
  const alone = [];
  for (const each of inputs) alone.push(await Promise.all(sessions.map(({ session }, i) => session.run(each[i]))));
  for (let round = 0; round < ROUNDS; round++) {
    const each = inputs[round % inputs.length];
    const together = await pool.runAll(sessions.map(({ session }, i) => ({ session, feeds: each[i] })));
    for (const [i, { session }] of sessions.entries()) {
      for (const name of session.outputNames) {
        const off = distance(together[i][name].data, alone[round % inputs.length][i][name].data);
        equal(off, 0, `round ${round}, ${session.name}, ${name}`);
      }
    }
  }
  const report = await pool.compare(sessions.map(({ session, feeds }) => ({ session, feeds })), { repeats: 3 });
  equal(report.strategies.map(({ strategy }) => strategy), ['split'], 'neither may run where the other does');
  const both = overlap(split(report).measuredTimeline, ['gpu', 'cpu']);
  assert(both > 0, `the timeline shows no overlap: ${JSON.stringify(split(report).measuredTimeline)}`);
  await pool.close();
  return `${both.toFixed(1)} of ${split(report).measuredMs.toFixed(1)} ms at once`;
});

test('sessions on two processors run at once: their set is split, and predicted so', async () => {
  const pool = await Pool.create({ lanes: ['cpu'], threads: 1, processors: 2, records: 'none' });
  const sessions = [await load(pool, entry('squeezenet1_1')), await load(pool, entry('mobilenet_v2'))];
  // Twice each, so that both processors can have as much to do.
  const set = [...sessions, ...sessions].map(({ session, feeds }) => ({ session, feeds }));
  for (const outputs of [await pool.runAll(set), await pool.runAll(set, { strategy: 'split' })]) {
    for (const [i, { model }] of sessions.entries()) assert(relativeError(model, outputs[i]) <= 1e-3, model.name);
  }
  const report = await pool.compare(set, { repeats: 9 });
  // Calls of one session may be rows of one, too.
  const strategies = report.strategies.filter(({ strategy }) => strategy !== 'batched');
  equal(strategies.map(({ strategy }) => strategy), ['sequential', 'parallel', 'split']);
  const [sequential, , at_once] = strategies;
  const both = overlap(at_once.measuredTimeline, ['cpu', 'cpu 2']);
  assert(both > 0, `the timeline shows no overlap: ${JSON.stringify(at_once.measuredTimeline)}`);
  equal(pool.memory().lanes.length, 1, 'lanes');
  await pool.close();
  const times = report.strategies.map((s) => `${s.strategy} ${s.measuredMs.toFixed(1)} ms of ${s.predictedMs.toFixed(1)}`);
  return `${times.join(', ')}: ${(sequential.measuredMs / at_once.measuredMs).toFixed(2)}x`;
});

test('a session whose lane is busy is made ready on another processor, and goes there', async () => {
  const pool = await Pool.create({ lanes: ['cpu'], threads: 2, processors: 2, measure: 'asked', records: 'none' });
  const { session, feeds } = await load(pool, entry('squeezenet1_1'));
  const one = pool.memory().weights;
  const [name] = session.outputNames;
  const alone = (await session.run(feeds))[name].data;
  const late = async (ms) => {
    await new Promise((done) => setTimeout(done, ms));
    return session.run(feeds);
  };
  // Its weights are brought there meanwhile.
  for (let round = 0; round < 8 || (pool.memory().weights < 2 * one && round < 200); round++) {
    // The later ones come while the first runs.
    const answers = await Promise.all([session.run(feeds), late(1), late(2)]);
    for (const answer of answers) equal(distance(answer[name].data, alone), 0, `round ${round}`);
  }
  equal(pool.memory().weights, 2 * one, 'its weights are on both');
  await session.release();
  equal(pool.memory().weights, 0, 'after its release');
  await pool.close();
});
