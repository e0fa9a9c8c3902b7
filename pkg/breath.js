// Turns for the page in the middle of long work on its own thread. Knows time; must never know what the work is.

/** Milliseconds after which work gives way. */
const SLICE_MS = 12;

/** Resolves once the page did what waited for it: a message takes its turn behind that, which `scheduler.yield` would not. */
export const breath = () =>
  new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (port1.close(), done());
    port2.postMessage(null);
  });

/** A function to await between parts of one work: the page has a turn there, where it had none for a slice. */
export function slices(ms = SLICE_MS) {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < ms) return;
    await breath();
    since = performance.now();
  };
}
