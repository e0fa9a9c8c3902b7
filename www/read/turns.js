// Turns for the page in the middle of what readers compute themselves, so that it answers meanwhile. Knows time; must never know the work.

/** Milliseconds after which work gives way. */
const SLICE_MS = 10;
let since = 0;

/** Resolves at once while the page had a turn lately, else once it did what waited for it: a message takes its turn behind that. */
export async function turn() {
  if (performance.now() - since < SLICE_MS) return;
  await new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (port1.close(), done());
    port2.postMessage(null);
  });
  since = performance.now();
}
