// Hears the notes of a sound: a model tells for windows of two seconds how likely each pitch sounds, and begins, at each moment. Knows
// what the model takes and gives; must never know where it runs or how a page shows it.

import { Tensor } from '../pkg/index.js';
import { turn } from './turns.js';

const RATE = 22050;
/** Samples of a window, and from one moment to the next. */
const WINDOW = 43844;
const HOP = 256;
/** Moments at each end of a window that the neighbouring window knows better. */
const EDGE = 15;
/** Keys from A0 on, and places of the finer scale for each. */
const LOWEST = 21;
const KEYS = 88;
const FINE = 3;
/** So likely a note must sound, begin, and be the pitch of a moment. */
const SOUNDS = 0.3;
const BEGINS = 0.5;
const IS = 0.3;
/** Moments: a shorter note is none, a shorter gap does not end it. */
const SHORTEST = 11;
const GAP = 6;

const NAMES = ['C', 'C♯', 'D', 'D♯', 'E', 'F', 'F♯', 'G', 'G♯', 'A', 'A♯', 'B'];
export const noteName = (midi) => `${NAMES[midi % 12]}${Math.floor(midi / 12) - 1}`;

/** The model's outputs of a window, by what they tell. */
async function windowOf(session, samples, signal) {
  const input = new Tensor('float32', samples, [1, WINDOW, 1]);
  const outputs = await session.run({ [session.inputNames[0]]: input }, { signal });
  const [fine, sounds, begins] = [0, 1, 2].map((i) => outputs[`StatefulPartitionedCall:${i}`].data);
  return { fine, sounds, begins };
}

/** Every moment of a sound: `{time, fine, sounds, begins}`, likelihoods by place and by key. */
async function moments(session, samples, signal) {
  const step = WINDOW - 2 * EDGE * HOP;
  const starts = [];
  // The first window begins before the sound, so that its own edge holds nothing of it.
  for (let start = -EDGE * HOP; start + EDGE * HOP < samples.length; start += step) starts.push(start);
  const told = await Promise.all(starts.map((start) => {
    const part = new Float32Array(WINDOW);
    part.set(samples.subarray(Math.max(0, start), Math.max(0, start + WINDOW)), Math.max(0, -start));
    return windowOf(session, part, signal);
  }));
  const out = [];
  for (const [w, { fine, sounds, begins }] of told.entries()) {
    const count = sounds.length / KEYS;
    for (let i = EDGE; i < count - EDGE; i++) {
      const time = (starts[w] + i * HOP) / RATE;
      if (time * RATE >= samples.length) break;
      const row = (data, wide) => data.subarray(i * wide, (i + 1) * wide);
      out.push({ time, fine: row(fine, KEYS * FINE), sounds: row(sounds, KEYS), begins: row(begins, KEYS) });
    }
  }
  return out;
}

/** The frequency at a place of the finer scale, on which a key is the middle one of its places. */
const hertzAt = (place) => 27.5 * 2 ** ((place - 1) / (12 * FINE));

/** The likeliest place of `fine` between two, and between its neighbours as they weigh; its likelihood. */
function peak(fine, low, high) {
  let best = low;
  for (let i = low + 1; i < high; i++) if (fine[i] > fine[best]) best = i;
  let [sum, weight] = [0, 0];
  for (let i = Math.max(0, best - 1); i <= Math.min(fine.length - 1, best + 1); i++) {
    sum += i * fine[i];
    weight += fine[i];
  }
  return { hertz: hertzAt(weight > 0 ? sum / weight : best), score: fine[best] };
}

/** The notes of one key: each begins where its beginning is likeliest, and ends where it no longer sounds, or begins again. */
function* notesOf(all, key) {
  const begins = (i) => all[i]?.begins[key] ?? 0;
  const starts = (i) => begins(i) >= BEGINS && begins(i) >= begins(i - 1) && begins(i) > begins(i + 1);
  for (let start = 0; start < all.length; start++) {
    if (!starts(start)) continue;
    let [end, last] = [start + 1, start];
    for (; end < all.length && end - last <= GAP && !starts(end); end++) if (all[end].sounds[key] >= SOUNDS) last = end;
    if (last - start < SHORTEST) continue;
    const during = all.slice(start, last + 1);
    const places = [key * FINE - 1, key * FINE + 4].map((place) => Math.min(KEYS * FINE, Math.max(0, place)));
    const heard = during.map(({ fine }) => peak(fine, ...places)).sort((a, b) => a.hertz - b.hertz);
    const mean = during.reduce((sum, { sounds }) => sum + sounds[key], 0) / during.length;
    yield { midi: key + LOWEST, start: all[start].time, end: all[last].time, hertz: heard[heard.length >> 1].hertz, score: mean };
    start = last;
  }
}

/**
 * What is heard: `{notes, curve}`. A note is `{midi, start, end, hertz, score}` in seconds and in the order of their beginnings; the curve
 * has of each moment in which something is heard `{time, hertz, score}`.
 */
export async function hearPitch(session, sound, { signal } = {}) {
  const { data } = await Tensor.fromAudio(sound, { rate: RATE });
  const all = await moments(session, data, signal);
  const notes = [];
  for (let key = 0; key < KEYS; key++) {
    await turn();
    notes.push(...notesOf(all, key));
  }
  await turn();
  const curve = all.map(({ time, fine }) => ({ time, ...peak(fine, 0, fine.length) })).filter(({ score }) => score >= IS);
  await turn();
  return { notes: notes.sort((a, b) => a.start - b.start), curve };
}
