// The demo's sound, made by code: somebody says a few vowels, then three notes are plucked. Knows how a voice and a string come about;
// must never know a model or a page.

import { turn } from './turns.js';

/** Seconds at which each part begins and ends, and the notes as MIDI has them: A4, C sharp 5, E5. */
export const SPOKEN = [0.4, 1.48];
export const NOTES = [
  { midi: 69, start: 1.9, end: 2.5 },
  { midi: 73, start: 2.5, end: 3.1 },
  { midi: 76, start: 3.1, end: 3.9 },
];
const SECONDS = 4.1;

/** Where the throat resounds for each vowel: hertz and width of three formants. */
const VOWELS = {
  a: [[730, 80], [1090, 90], [2440, 120]],
  e: [[530, 60], [1840, 100], [2480, 120]],
  i: [[270, 60], [2290, 100], [3010, 120]],
  o: [[570, 70], [840, 80], [2410, 120]],
  u: [[300, 60], [870, 80], [2240, 120]],
};
const SAID = [...'aeioua'];

/** Noise that is the same each time: −1 to 1. */
function* noise() {
  for (let state = 1; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 31 - 1;
  }
}

/** `samples` through a resonance of `hertz` that is `wide` hertz wide. */
function resound(samples, [hertz, wide], rate) {
  const radius = Math.exp((-Math.PI * wide) / rate);
  const [a, b] = [2 * radius * Math.cos((2 * Math.PI * hertz) / rate), -radius * radius];
  let [last, before] = [0, 0];
  return samples.map((sample) => {
    [before, last] = [last, (1 - a - b) * sample + a * last + b * before];
    return last;
  });
}

/** The air that vocal folds let through at `phase` of their round: it opens, closes faster, rests. */
function folds(phase) {
  if (phase < 0.4) return 0.5 * (1 - Math.cos((Math.PI * phase) / 0.4));
  return phase < 0.56 ? Math.cos((Math.PI / 2) * ((phase - 0.4) / 0.16)) : 0;
}

/** Vowels one after another, by a voice that rises and falls. */
async function spoken(rate) {
  const each = Math.floor(((SPOKEN[1] - SPOKEN[0]) * rate) / SAID.length);
  const breath = noise();
  const out = new Float32Array(each * SAID.length);
  let [phase, air] = [0, 0];
  for (let i = 0; i < out.length; i++) {
    const seconds = i / rate;
    phase = (phase + (130 * (1 + 0.12 * Math.sin(2 * Math.PI * 1.3 * seconds) - 0.08 * seconds)) / rate) % 1;
    const now = folds(phase);
    out[i] = ((now - air) * rate) / 16000 + 0.004 * breath.next().value;
    air = now;
  }
  for (const [k, vowel] of SAID.entries()) {
    await turn();
    const part = VOWELS[vowel].reduce((samples, formant) => resound(samples, formant, rate), out.slice(k * each, (k + 1) * each));
    const swell = (i) => Math.min(1, i / (0.03 * rate), (each - i) / (0.04 * rate));
    out.set(part.map((sample, i) => sample * swell(i)), k * each);
  }
  await turn();
  const loudest = out.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  return out.map((sample) => (0.5 * sample) / loudest);
}

export const hertzOf = (midi) => 440 * 2 ** ((midi - 69) / 12);

/** A plucked string: partials that die away, the higher the sooner. */
function plucked({ midi, start, end }, rate) {
  return Float32Array.from({ length: Math.round((end - start) * rate) }, (_, i) => {
    const seconds = i / rate;
    const ends = Math.min(1, i / (0.004 * rate), (end - start - seconds) / 0.03);
    let sample = 0;
    for (let k = 1; k <= 5; k++) sample += (0.3 / k ** 1.5) * Math.exp(-seconds * (1 + 0.7 * k)) * Math.sin(2 * Math.PI * hertzOf(midi) * k * seconds);
    return ends * sample;
  });
}

/** The sound at `rate` samples a second, as `Tensor.fromAudio` takes it. */
export async function sampleSound(rate = 44100) {
  const out = new Float32Array(Math.round(SECONDS * rate));
  out.set(await spoken(rate), Math.round(SPOKEN[0] * rate));
  for (const note of NOTES) {
    await turn();
    out.set(plucked(note, rate), Math.round(note.start * rate));
  }
  return { channels: [out], rate };
}
