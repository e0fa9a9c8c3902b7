// Hears when somebody speaks: a model with a memory goes over the sound frame by frame. Knows what the model takes and gives; must never
// know where it runs or how a page shows it.

import { Tensor } from '../pkg/index.js';

const RATE = 16000;
/** Samples of a frame, and those before it that the model sees again. */
const FRAME = 512;
const AGAIN = 64;
const STATE = [2, 1, 128];
/** Speech begins where the model is so sure of it, and ends where it no longer is as sure as that. */
const BEGINS = 0.5;
const ENDS = 0.35;
/** Seconds: shorter speech is none, shorter silence does not end it. */
const SHORTEST = 0.25;
const PAUSE = 0.1;

/** How likely each frame is speech, 0 to 1. */
async function likelihoods(session, samples, signal) {
  const rate = new Tensor('int64', [BigInt(RATE)], [1]);
  let state = new Tensor('float32', new Float32Array(STATE.reduce((a, b) => a * b)), STATE);
  const out = [];
  for (let at = 0; at < samples.length; at += FRAME) {
    const input = new Float32Array(AGAIN + FRAME);
    // Before the sound, and after it, there is silence.
    const from = at - AGAIN;
    input.set(samples.subarray(Math.max(0, from), at + FRAME), Math.max(0, -from));
    const { output, stateN } = await session.run({ input: new Tensor('float32', input, [1, input.length]), state, sr: rate }, { signal });
    out.push(output.data[0]);
    state = stateN;
  }
  return out;
}

/** Spans of speech in seconds, `[start, end]` each, from how likely each of frames is. */
export function spans(likely, seconds = FRAME / RATE) {
  const found = [];
  let [start, quiet] = [undefined, undefined];
  const close = (end) => {
    if ((end - start) * seconds >= SHORTEST) found.push([start * seconds, end * seconds]);
    [start, quiet] = [undefined, undefined];
  };
  for (const [i, share] of likely.entries()) {
    if (start === undefined) {
      if (share >= BEGINS) start = i;
    } else if (share >= ENDS) quiet = undefined;
    else {
      quiet ??= i;
      if ((i + 1 - quiet) * seconds >= PAUSE) close(quiet);
    }
  }
  if (start !== undefined) close(quiet ?? likely.length);
  return found;
}

/** When somebody speaks in a sound: `{spans, likely, seconds}`, spans as above, how likely each frame is, and how long a frame is. */
export async function hearSpeech(session, sound, { signal } = {}) {
  const { data } = await Tensor.fromAudio(sound, { rate: RATE });
  const likely = await likelihoods(session, data, signal);
  return { spans: spans(likely), likely, seconds: FRAME / RATE };
}
