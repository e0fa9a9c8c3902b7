// Waits with an end, for what a browser may never answer. Knows time; must never know what is waited for.

/** Time is counted in turns so long: however long a machine sleeps or a browser is halted meanwhile, that is one of them. */
const TURN_MS = 500;

/** Settles as `work` does, or rejects with what `late` makes once that takes more than `ms`. */
export async function within(ms, work, late) {
  let timer;
  const silence = new Promise((_, reject) => {
    const wait = (left) => (timer = setTimeout(() => (left > TURN_MS ? wait(left - TURN_MS) : reject(late())), Math.min(left, TURN_MS)));
    wait(ms);
  });
  try {
    return await Promise.race([work, silence]);
  } finally {
    clearTimeout(timer);
  }
}
