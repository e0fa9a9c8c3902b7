// Ours and onnxruntime-web on the same work in turns: both warm, each first as often as the other. Knows how a comparison is fair; must
// never know what the work is, or a page.

import { median } from '../work.js';
import { isMissing, openPeer, waysOf } from './sessions.js';
import { all } from './tasks.js';

/** Times that each does the work once both are warm. */
const TURNS = 5;
/** Threads that ended their work look for more for a while and hold a core: nobody begins so soon after the other. */
const REST_MS = 50;
const rest = () => new Promise((done) => setTimeout(done, REST_MS));

/** Failures of a run that another way of asking may mend. */
const mendable = ({ told }) => Object.entries(told).filter(([, { error }]) => error && !isMissing(error));

/** The peer as it works best, and the work done once by it. */
async function ready(provider, facts, shown, { signal, failed, say }) {
  const ways = waysOf(provider);
  for (const [i, way] of ways.entries()) {
    const last = i === ways.length - 1;
    let lost = 0;
    say(`Loading onnxruntime-web and the models, ${way.load}…`);
    const peer = await openPeer(provider, way, { signal, failed: (what, message) => (lost++, failed(`${what}, ${way.load}`, message)) });
    // Where one load fails for having come beside another, each alone may do.
    if (lost && way.load === 'at once') {
      peer.close();
      continue;
    }
    if (Object.values(peer.sessions).every(({ missing }) => missing)) {
      peer.close();
      throw new Error('onnxruntime-web loads none of the models');
    }
    say(`Running them, ${way.run}, for the first time…`);
    const first = await all({ sessions: peer.sessions, facts }, shown);
    signal.throwIfAborted();
    for (const [name, { error }] of mendable(first)) failed(`${name}, models run ${way.run}`, error.message);
    if (last || mendable(first).length === 0) return { peer, way, first };
    peer.close();
  }
  throw new Error('there is no way to ask it');
}

/** Of runs of one runtime: for each task and the whole the median, the least and the most, and what it told last. */
export function summary(runs) {
  const of = (times) => ({ ms: median(times), range: [Math.min(...times), Math.max(...times)] });
  const tasks = Object.entries(runs.at(-1).told).map(([name, told]) => [name, { ...told, ...of(runs.map((run) => run.told[name].ms)) }]);
  return { tasks: Object.fromEntries(tasks), whole: of(runs.map(({ ms }) => ms)) };
}

/**
 * Does the work of `shown` by our readers and by onnxruntime-web on `provider`. Yields `{turn, turns, ours, peer, way, version, threads}`
 * with all runs so far, once ours ran, once both did, and after each turn; turn 0 is the first time, which is not counted.
 */
export async function* compared(ours, provider, shown, options) {
  const { signal, say, failed } = options;
  say('Running ours for the first time…');
  const before = await all(ours, shown);
  yield { turn: 0, turns: TURNS, ours: [before], peer: [] };
  const { peer, way, first } = await ready(provider, ours.facts, shown, options);
  const about = { way, turns: TURNS, version: peer.version, threads: peer.threads };
  const runs = { ours: [], peer: [] };
  const who = { ours, peer: { sessions: peer.sessions, facts: ours.facts } };
  try {
    yield { ...about, turn: 0, ours: [before], peer: [first] };
    for (let turn = 1; turn <= TURNS; turn++) {
      say(`Turn ${turn} of ${TURNS}…`);
      for (const one of turn % 2 ? ['ours', 'peer'] : ['peer', 'ours']) {
        await rest();
        const run = await all(who[one], shown);
        signal.throwIfAborted();
        for (const [name, { error }] of one === 'peer' ? mendable(run) : []) failed(`${name}, turn ${turn}`, error.message);
        runs[one].push(run);
      }
      yield { ...about, turn, ...runs };
    }
  } finally {
    peer.close();
  }
}
