// What a pool executed, on all its lanes, and word of more as it comes. Knows a pool's histories; must never know a page.

/** How often one looks for more: a pool in a worker tells of its executions a tenth of a second behind them. */
const LOOK_MS = 150;

/** All executions of `pool` that are kept, with the lane of each, in the order in which they began. */
export function executions(pool) {
  const all = [...new Set(pool.capabilities.lanes)].flatMap((lane) => pool.accuracy(lane).history.map((one) => ({ ...one, lane })));
  return all.sort((a, b) => a.nowMs - b.nowMs);
}

/** Has `draw` run to its end, and once more where it was asked for meanwhile. */
export function latest(draw) {
  let running;
  let again = false;
  return () => {
    again = true;
    running ??= (async () => {
      while (again) {
        again = false;
        await draw();
      }
    })().finally(() => (running = undefined));
    return running;
  };
}

/**
 * What `work()` gives. While it goes on, and for what is told of late after it, `came` is called whenever `pool` has executed more since it
 * was called last.
 */
export async function followed(pool, work, came) {
  // How many and when the last began: of many, old ones are thinned.
  const state = () => [...new Set(pool.capabilities.lanes)].map((lane) => pool.accuracy(lane)).map(({ observations, history }) => `${observations} ${history.at(-1)?.nowMs}`).join();
  let [known, over] = [state(), false];
  const done = work().finally(() => (over = true));
  const look = async () => {
    for (let last = false; !last; ) {
      last = over;
      await new Promise((soon) => setTimeout(soon, LOOK_MS));
      const now = state();
      if (now === known) continue;
      known = now;
      await came();
    }
  };
  look().catch((error) => console.warn(`what the pool executed is not shown: ${error.message}`));
  return done;
}
