// What the pages of `cargo peers` share: time, a limit to it, and realms for peers.

/** A peer that takes longer for its first answer is listed as such. */
export const FIRST_MS = 60_000;

export const timed = async (what) => {
  const start = performance.now();
  const value = await what();
  return [performance.now() - start, value];
};

/** Each is called so often in a row, in turns with the other. */
const ROW = 5;
/** A row begins so long after the other's: threads that ended their work look for more for a while, and hold a core. */
const REST_MS = 20;

/** The times of a row of calls; the first wakes what rested and does not count. */
export async function row(call) {
  await new Promise((done) => setTimeout(done, REST_MS));
  await call();
  const times = [];
  while (times.length < ROW) times.push((await timed(call))[0]);
  return times;
}

/** Fails after `ms`, whatever `promise` does. */
export const within = (ms, promise) => {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

/** A fresh realm with one peer in it. */
export async function realm(name) {
  const frame = document.createElement('iframe');
  frame.src = `./peer.html?peer=${encodeURIComponent(name)}`;
  const ready = new Promise((resolve) => addEventListener('message', resolve, { once: true }));
  document.body.append(frame);
  await within(FIRST_MS, ready);
  return { frame, make: frame.contentWindow.peer };
}

/** Between what nine of ten lie. */
export const middle = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  return [0.05, 0.95].map((q) => sorted[Math.round(q * (sorted.length - 1))]);
};
