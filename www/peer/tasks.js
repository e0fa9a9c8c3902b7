// What both runtimes are asked: to read the picture and to hear the sound that the page shows, all at once. Knows the readers; must never
// know which runtime has their sessions.

import { findFaces } from '../read/faces.js';
import { fileType } from '../read/file-type.js';
import { hearPitch, noteName } from '../read/pitch.js';
import { hearSpeech } from '../read/speech.js';
import { readText } from '../read/text.js';

const percent = (share) => `${(share * 100).toFixed(0)} %`;
const count = (n, one) => `${n} ${n === 1 ? one : `${one}s`}`;

/** Each with what it does, given sessions, facts and what is shown, and how its answer reads, a line each. */
const TASKS = {
  Text: [
    ({ sessions, facts }, { picture }) => readText(sessions, facts.characters, picture),
    (lines) => lines.map(({ text }) => text),
  ],
  Faces: [
    ({ sessions }, { picture }) => findFaces(sessions, picture),
    (faces) => [`${count(faces.length, 'face')}${faces.length ? `: ${faces.map(({ score }) => percent(score)).join(', ')} sure` : ''}`],
  ],
  'Type of the file': [({ sessions, facts }, { blob }) => fileType(sessions.type, facts, blob), ({ name, score }) => [`${name}, ${percent(score)} sure`]],
  Speech: [
    ({ sessions }, { sound }) => hearSpeech(sessions.speech, sound),
    ({ spans }) => spans.map(([start, end]) => `from ${start.toFixed(1)} to ${end.toFixed(1)} s`),
  ],
  Notes: [({ sessions }, { sound }) => hearPitch(sessions.pitch, sound), ({ notes }) => [notes.map(({ midi, hertz }) => `${noteName(midi)} ${hertz.toFixed(0)} Hz`).join(', ')]],
};

export const NAMES = Object.keys(TASKS);

/** All tasks at once: `{ms, told}`, of each by its name `{ms, lines}` or `{ms, error}`. */
export async function all(readers, shown) {
  const began = performance.now();
  const since = () => performance.now() - began;
  const told = await Promise.all(Object.entries(TASKS).map(async ([name, [work, tell]]) => {
    try {
      const result = await work(readers, shown);
      const lines = tell(result).filter(Boolean);
      return [name, { ms: since(), lines: lines.length ? lines : ['nothing'] }];
    } catch (error) {
      return [name, { ms: since(), error }];
    }
  }));
  return { ms: since(), told: Object.fromEntries(told) };
}
