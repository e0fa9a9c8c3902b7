// The section of the page that reads: what is dropped, chosen, recorded or taken as a sample goes to the readers, what they tell into the
// page. Knows its elements; must never know what a model takes.

import { clear, face, line, noteText, score, unit } from './draw.js';
import { findFaces } from './faces.js';
import { fileType } from './file-type.js';
import { decoded, decodedSound, MOST_SECONDS, recorded, SAMPLE, wave } from './files.js';
import { hearPitch } from './pitch.js';
import * as ran from './ran.js';
import { openReaders } from './readers.js';
import { hearSpeech } from './speech.js';
import { readText } from './text.js';
import { turn } from './turns.js';
import { sampleSound } from './voice.js';
import { executions, followed, latest } from '../executions.js';
import { mb, ms } from '../units.js';
import { whyThere } from '../why.js';

const $ = (id) => document.getElementById(id);
const item = (className) => (textContent) => Object.assign(document.createElement('li'), { textContent, className });
const list = (id, texts, none) => $(id).replaceChildren(...(texts.length ? texts.map(item('')) : [item('none')(none)]));
const count = (n, one, many = `${one}s`) => `${n === 0 ? 'no' : n} ${n === 1 ? one : many}`;
const say = (text) => ($('read-status').textContent = text);

let pool;
let readers;
/** Their sessions, once they are loaded. */
let loaded = [];
/** What is shown: a newer picture or sound makes the answers for an older one void. */
const turns = { picture: 0, sound: 0 };
/** The picture that is shown, with its file, and the sound that is drawn, with what is known of it. */
let seen;
let heard;

/** Of the executions on which this page looked back: the last before the reading that is shown, and who may have run. */
const executed = { since: -Infinity, list: [], sessions: [] };
let changed = () => {};

/** Forgets what ran before. */
async function begun({ sessions }) {
  Object.assign(executed, { since: executions(await pool).at(-1)?.nowMs ?? -Infinity, sessions: Object.values(sessions) });
}

/** Shows what ran since then. */
const showRan = latest(async () => {
  const open = await pool;
  await turn();
  executed.list = ran.after(executions(open), executed.since);
  ran.draw($('ran'), executed.list, executed.sessions);
  $('ran-by').textContent = ran.described(executed.list);
  list('ran-why', executed.sessions.map((session) => `${session.name} on ${session.lane}: ${whyThere(open, session)}`));
});

/** Loads the models once. A load that failed is tried again. */
function opened() {
  readers ??= (async () => {
    say('Opening the pool…');
    const bar = $('read-progress');
    bar.classList.add('on');
    try {
      const all = await openReaders(await pool, {
        onProgress: (share, done, of) => {
          bar.value = share;
          if (share < 1) say(`Loading the models: ${done} of ${of}.`);
        },
      });
      loaded = Object.values(all.sessions);
      return all;
    } finally {
      bar.classList.remove('on');
    }
  })().catch((error) => {
    readers = undefined;
    throw error;
  });
  return readers;
}

/** What `work` gives; then under `id` which lane ran what, and how long it all took. */
async function told(id, sessions, work) {
  $(id).textContent = '';
  const began = performance.now();
  const result = await work();
  const lanes = [...new Set(sessions.map(({ lane }) => lane))];
  const by = lanes.map((lane) => `${sessions.filter((s) => s.lane === lane).map(({ name }) => name).join(', ')} on ${lane}`);
  $(id).textContent = `${by.join('; ')}: ${ms(performance.now() - began)}`;
  await showRan();
  return result;
}

async function named(blob, { sessions, facts }) {
  const type = await told('type-by', [sessions.type], () => fileType(sessions.type, facts, blob));
  $('type').textContent = `Type of the file: ${type.name} (${type.mime}), ${(type.score * 100).toFixed(0)} % sure; ${mb(blob.size)}.`;
  return type;
}

/** Shows a picture and reads it: text and faces at once, each shown when it is known. */
async function readPicture(blob, name, { sessions, facts }) {
  const mine = ++turns.picture;
  const current = () => mine === turns.picture;
  const picture = await decoded(blob);
  seen = { blob, picture };
  const image = $('picture');
  if (image.src.startsWith('blob:')) URL.revokeObjectURL(image.src);
  Object.assign(image, { src: URL.createObjectURL(blob), alt: name });
  clear($('overlay'), picture.width, picture.height);
  for (const id of ['lines', 'faces']) list(id, [], 'Looking…');
  const [lines, faces] = await Promise.all([
    told('lines-by', [sessions.detect, sessions.turn, sessions.recognise], () => readText(sessions, facts.characters, picture)).then((lines) => {
      if (!current()) return lines;
      const pixel = unit($('overlay'));
      list('lines', lines.map(({ text, turned }) => (turned ? `${text} (upside down)` : text)), 'No printed line.');
      lines.forEach((one, i) => light(line($('overlay'), one, pixel), $('lines').children[i]));
      return lines;
    }),
    told('faces-by', [sessions.propose, sessions.refine, sessions.settle], () => findFaces(sessions, picture)).then((faces) => {
      if (!current()) return faces;
      const place = ({ left, right, top, bottom }) => `${Math.round((left + right) / 2)} across and ${Math.round((top + bottom) / 2)} down`;
      const pixel = unit($('overlay'));
      list('faces', faces.map((one) => `A face, ${(one.score * 100).toFixed(0)} % sure, ${place(one)}, ${Math.round(one.bottom - one.top)} pixels high`), 'No face.');
      faces.forEach((one, i) => light(face($('overlay'), one, pixel), $('faces').children[i]));
      return faces;
    }),
  ]);
  return `${count(lines.length, 'line')} of text, ${count(faces.length, 'face')}`;
}

/** While one points at an entry, what it is about stands out. */
function light(shape, entry) {
  entry.addEventListener('pointerenter', () => shape.classList.add('on'));
  entry.addEventListener('pointerleave', () => shape.classList.remove('on'));
}

/** Shows a sound of which nothing is known yet. */
function showSound(sound, blob) {
  const player = $('player');
  if (player.src) URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(blob);
  heard = { sound };
  score($('score'), heard);
}

/** Shows a sound and hears it: speech and notes at once. */
async function hearSound(sound, blob, { sessions }) {
  const mine = ++turns.sound;
  const current = () => mine === turns.sound;
  showSound(sound, blob);
  for (const id of ['speech', 'notes']) list(id, [], 'Listening…');
  const show = async (part) => {
    await turn();
    if (!current()) return;
    Object.assign(heard, part);
    score($('score'), heard);
  };
  const [{ spans }, { notes }] = await Promise.all([
    told('speech-by', [sessions.speech], () => hearSpeech(sessions.speech, sound)).then(async (speech) => {
      await show({ spans: speech.spans });
      if (current()) list('speech', speech.spans.map(([start, end]) => `Somebody speaks from ${start.toFixed(1)} to ${end.toFixed(1)}\u00a0s`), 'Nobody speaks.');
      return speech;
    }),
    told('notes-by', [sessions.pitch], () => hearPitch(sessions.pitch, sound)).then(async (pitch) => {
      await show(pitch);
      if (current()) list('notes', pitch.notes.map(noteText), 'No note.');
      return pitch;
    }),
  ]);
  const summary = `${count(spans.length, 'stretch', 'stretches')} of speech, ${count(notes.length, 'note')}`;
  if (current()) $('score').setAttribute('aria-label', `${(sound.channels[0].length / sound.rate).toFixed(1)} s of sound: ${summary}`);
  return summary;
}

/** What a file is decides who reads it; its name is told of every file. What is executed for it is shown as it comes. */
async function readFile(blob, name) {
  const all = await opened();
  await begun(all);
  const came = () => Promise.all([showRan(), changed()]);
  await followed(await pool, () => readWith(all, blob, name), came);
}

async function readWith(all, blob, name) {
  const began = performance.now();
  say(`Reading ${name}…`);
  const type = named(blob, all);
  const read = async () => {
    const kind = blob.type || (await type).mime;
    if (kind.startsWith('image/')) return readPicture(blob, name, all);
    if (/^(audio|video)\//.test(kind)) return hearSound(await decodedSound(blob), blob, all);
    return 'its type is told';
  };
  const [, found] = await Promise.all([type, read()]);
  say(`${name}: ${found}, in ${ms(performance.now() - began)}.`);
}

const samplePicture = async () => (await fetch(SAMPLE)).blob();
const readSample = async () => readFile(await samplePicture(), 'The sample picture');
/** The sample sound, which is made once. */
let made;
const sampled = () => (made ??= sampleSound());
const hearSample = async () => readFile(wave(await sampled()), 'The sample sound');

/** Records until it is stopped, or as much as is heard. */
async function record() {
  const button = $('record');
  let stop;
  const stopped = new Promise((done) => (stop = done));
  button.textContent = 'Stop recording';
  button.onclick = stop;
  const timer = setTimeout(stop, MOST_SECONDS * 1000);
  try {
    say('Waiting for the microphone…');
    return await recorded(stopped, () => say('Recording…'));
  } finally {
    clearTimeout(timer);
    button.textContent = 'Record';
    button.onclick = recordAndHear;
  }
}

/** What fails is said, and the page goes on. */
const safely = (work) => work().catch((error) => say(`That failed: ${error.message}`));
const recordAndHear = () => safely(async () => readFile(await record(), 'The recording'));

/** What the section shows now: `{blob, picture, sound}`. */
async function shown() {
  const blob = seen?.blob ?? (await samplePicture());
  return { blob, picture: seen?.picture ?? (await decoded(blob)), sound: heard?.sound ?? (await sampled()) };
}

/**
 * Makes the section work, with the pool that `promised` resolves to: `samples()` reads both and gives what is said of them, `opened()`
 * loads the readers, `shown()` is what there is to read, `sessions()` are those of the readers that are loaded. `told` is called, again and
 * again, as the pool executes.
 */
export function attach(promised, told = () => {}) {
  pool = promised;
  changed = told;
  // Who asks is told why there is none.
  pool.catch(() => {});
  $('read-sample').onclick = () => safely(readSample);
  $('hear-sample').onclick = () => safely(hearSample);
  $('record').onclick = recordAndHear;
  $('file').onchange = ({ target }) => {
    const [file] = target.files;
    if (file) safely(() => readFile(file, file.name));
    target.value = '';
  };
  for (const id of ['read-sample', 'hear-sample', 'file']) $(id).disabled = false;
  $('record').disabled = !(navigator.mediaDevices?.getUserMedia && globalThis.MediaRecorder);
  for (const [id, none] of [['lines', 'Not read yet.'], ['faces', 'Not looked for yet.'], ['speech', 'Not heard yet.'], ['notes', 'Not heard yet.']]) list(id, [], none);

  const dragged = (on) => (event) => {
    // What is dragged within the page is none of ours.
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    $('read').classList.toggle('dragged', on);
  };
  addEventListener('dragover', dragged(true));
  addEventListener('dragleave', dragged(false));
  addEventListener('drop', (event) => {
    dragged(false)(event);
    const [file] = event.dataTransfer?.files ?? [];
    if (file) safely(() => readFile(file, file.name));
  });
  safely(async () => {
    const sample = await sampled();
    await turn();
    if (heard) return;
    showSound(sample, wave(sample));
    $('score').setAttribute('aria-label', 'The sample sound, not heard yet');
  });
  new ResizeObserver(() => heard && score($('score'), heard)).observe($('score'));
  new ResizeObserver(() => ran.draw($('ran'), executed.list, executed.sessions)).observe($('ran'));
  return {
    opened,
    shown,
    sessions: () => loaded,
    async samples() {
      const said = [];
      for (const read of [readSample, hearSample]) {
        await read();
        said.push($('read-status').textContent);
      }
      return said;
    },
  };
}
