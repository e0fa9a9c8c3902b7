// The demo's readers on the demo's samples, with all their models in one pool: what is printed, whose faces, which type, which notes;
// and the page that shows it.

import { Pool } from '../pkg/index.js';
import { findFaces } from '../read/faces.js';
import { fileType, seen } from '../read/file-type.js';
import { decoded, SAMPLE } from '../read/picture.js';
import { hearPitch, noteName } from '../read/pitch.js';
import { lanesOf, MODELS, openReaders } from '../read/readers.js';
import { decodedSound, wave } from '../read/sound-file.js';
import { hearSpeech, spans } from '../read/speech.js';
import { readText } from '../read/text.js';
import { hertzOf, NOTES, sampleSound, SPOKEN } from '../read/voice.js';
import { assert, equal, test } from './harness.js';

let opened;
/** All models in one pool, on whichever lanes it chooses. */
async function readers() {
  opened ??= (async () => {
    const pool = await Pool.create({ records: 'none' });
    return { pool, ...(await openReaders(pool)) };
  })();
  return opened;
}
const sample = async () => decoded(await (await fetch(SAMPLE)).blob());
/** Loads are not what a reader takes. */
const timed = async (work) => {
  const began = performance.now();
  const result = await work();
  return [result, `${Math.round(performance.now() - began)} ms`];
};

test('read: all models are in one pool', async () => {
  const { pool, sessions } = await readers();
  equal(pool.memory().sessions.map((s) => s.name).sort(), Object.values(MODELS).sort(), 'sessions');
  return lanesOf(sessions).map(({ name, lane }) => `${name} ${lane}`).join(', ');
});

test('read: the sample’s lines, one askew and one upside down', async () => {
  const { sessions, facts } = await readers();
  equal(facts.characters.length, 6623, 'characters');
  const picture = await sample();
  const [lines, time] = await timed(() => readText(sessions, facts.characters, picture));
  equal(lines.map(({ text }) => text), [
    'Notice board', 'Choir practice moves to room 12', 'Friday, 21 March, 19:30', 'Tickets cost 14.50 EUR each', 'Bring your own tea!',
    'This line hangs upside down',
  ], 'lines');
  equal(lines.map((line) => line.turned), [false, false, false, false, false, true], 'turned');
  const [[left, top], [right]] = lines[1].corners;
  assert(Math.abs(left - 65) < 6 && Math.abs(top - 154) < 6 && Math.abs(right - 592) < 6, `corners ${lines[1].corners}`);
  const [begin, end] = lines[4].corners;
  const angle = (Math.atan2(end[1] - begin[1], end[0] - begin[0]) * 180) / Math.PI;
  assert(Math.abs(angle + 7) < 1.5, `askew by ${angle}`);
  assert(lines[5].corners[0][0] > lines[5].corners[1][0], 'the text of the last line begins at its right end');
  return time;
});

test('read: the sample’s two faces, with their features, and none where there is none', async () => {
  const { sessions } = await readers();
  const picture = await sample();
  const [faces, time] = await timed(() => findFaces(sessions, picture));
  equal(faces.length, 2, `faces: ${JSON.stringify(faces)}`);
  const [upper, lower] = faces.toSorted((a, b) => a.top - b.top);
  for (const [face, top] of [[upper, 20], [lower, 330]]) {
    assert(face.score > 0.9, `sure by ${face.score}`);
    // As they were drawn: eyes 27 to each side of the middle, 138 down.
    for (const [name, x, y] of [['left eye', 773, 138], ['right eye', 827, 138], ['nose', 800, 175], ['left corner of the mouth', 778, 203]]) {
      const [u, v] = face.features[name];
      assert(Math.hypot(u - x, v - top - y) < 14, `${name} at ${u}, ${v - top}`);
    }
    assert(face.left > 690 && face.right < 910 && face.bottom - face.top > 120, `box ${JSON.stringify(face)}`);
  }
  equal(await findFaces(sessions, new ImageData(200, 100)), [], 'faces of nothing');
  equal(await findFaces(sessions, new ImageData(8, 8)), [], 'a picture smaller than a window');
  return time;
});

const RUST = `use std::collections::BTreeMap;\n
/// Counts words.
pub fn count(text: &str) -> BTreeMap<&str, usize> {
    let mut words = BTreeMap::new();
    for word in text.split_whitespace() {
        *words.entry(word).or_default() += 1;
    }
    words
}\n`;

test('read: the types of files by their bytes', async () => {
  const { sessions, facts } = await readers();
  equal(facts.types.target_labels_space.length, 214, 'types');
  const canvas = new OffscreenCanvas(32, 32);
  canvas.getContext('2d').fillRect(4, 4, 20, 9);
  const url = (path) => async () => (await fetch(new URL(path, import.meta.url))).blob();
  const files = {
    webp: url(SAMPLE),
    png: () => canvas.convertToBlob(),
    javascript: url('./harness.js'),
    html: url('./index.html'),
    json: url('./element-types.json'),
    wasm: url('../pkg/generated/consort_bg.wasm'),
    svg: url('./pixel.svg'),
    onnx: url('../models/face_pnet.onnx'),
    rust: async () => new Blob([RUST]),
    wav: async () => wave({ channels: [new Float32Array(16000)], rate: 16000 }),
    empty: async () => new Blob([]),
    txt: async () => new Blob(['tea']),
    unknown: async () => new Blob([Uint8Array.of(0xff, 0xfe, 0xfd)]),
  };
  const [told, time] = await timed(() => Promise.all(Object.values(files).map(async (make) => (await fileType(sessions.type, facts, await make())).label)));
  equal(told, Object.keys(files), 'types');
  const { name, mime, text } = await fileType(sessions.type, facts, new Blob([RUST]));
  equal([name, mime, text], ['Rust source', 'application/x-rust', true], 'what is known of it');
  const { beg_size, end_size } = facts.types;
  const bytes = Uint8Array.from(' \nab c \t', (letter) => letter.charCodeAt(0));
  const short = Array.from(seen(bytes, bytes, facts.types));
  equal([short.slice(0, 7), short.slice(-7), short.length], [[97, 98, 32, 99, 32, 9, 256], [256, 32, 10, 97, 98, 32, 99], beg_size + end_size], 'what the model sees');
  return time;
});

test('read: when the sample speaks', async () => {
  const { sessions } = await readers();
  const [{ spans: spoken, likely }, time] = await timed(() => hearSpeech(sessions.speech, sampleSound()));
  equal(likely.length, Math.ceil((4.1 * 16000) / 512), 'frames');
  equal(spoken.length, 1, `spans: ${JSON.stringify(spoken)}`);
  for (const [i, edge] of SPOKEN.entries()) assert(Math.abs(spoken[0][i] - edge) < 0.15, `speech from ${spoken[0]}`);
  // Less sure, and unsure for one frame, is still speech; two frames end it, and one alone is none.
  equal(spans([0, 0.6, 0.4, 0.4, 0.3, 0.4, 0.6, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1], 0.0625), [[0.0625, 0.4375]], 'spans');
  equal(spans([0.9, 0.9, 0.9, 0.9, 0.9], 0.0625), [[0, 0.3125]], 'speech to the end');
  return time;
});

test('read: the notes of the sample, and their pitch', async () => {
  const { sessions } = await readers();
  const [{ notes, curve }, time] = await timed(() => hearPitch(sessions.pitch, sampleSound()));
  const plucked = notes.filter(({ start }) => start > SPOKEN[1]);
  equal(plucked.map(({ midi }) => midi), NOTES.map(({ midi }) => midi), `notes: ${JSON.stringify(notes)}`);
  const off = [];
  for (const [i, note] of plucked.entries()) {
    const cents = 1200 * Math.log2(note.hertz / hertzOf(NOTES[i].midi));
    off.push(cents);
    assert(Math.abs(cents) < 15, `${noteName(note.midi)} is off by ${cents} cents`);
    assert(Math.abs(note.start - NOTES[i].start) < 0.06 && Math.abs(note.end - NOTES[i].end) < 0.2, `${note.start} to ${note.end}`);
    const during = curve.filter(({ time: at }) => at > note.start + 0.05 && at < note.end - 0.1);
    assert(during.length > 20 && during.every(({ hertz }) => Math.abs(12 * Math.log2(hertz / hertzOf(note.midi))) < 0.5), 'the curve');
  }
  equal(plucked.map(({ midi }) => noteName(midi)), ['A4', 'C♯5', 'E5'], 'names');
  return `${time}, off by ${off.map((cents) => cents.toFixed(1)).join(', ')} cents`;
});

test('read: a sound is written, and decoded, as it was', async () => {
  const sound = sampleSound();
  const { channels, rate } = await decodedSound(wave(sound));
  equal([channels.length, rate, channels[0].length], [1, 44100, sound.channels[0].length], 'form');
  const off = channels[0].reduce((most, sample, i) => Math.max(most, Math.abs(sample - sound.channels[0][i])), 0);
  assert(off < 1e-4, `off by ${off}`);
});

test('read: the pool is closed', async () => {
  const { pool } = await readers();
  await pool.close();
});

/** The demo page in a frame of that size, once its buttons work; `until` waits for what it shows. */
async function page(width, height) {
  const frame = Object.assign(document.createElement('iframe'), { src: '/?models=none', style: `width: ${width}px; height: ${height}px` });
  document.body.append(frame);
  const $ = (id) => frame.contentDocument.getElementById(id);
  const until = async (what, ready) => {
    for (const end = performance.now() + 50_000; !ready(); ) {
      assert(performance.now() < end && !frame.contentWindow.driven?.error, `${what}: ${frame.contentWindow.driven?.error ?? $('read-status')?.textContent}`);
      await new Promise((done) => setTimeout(done, 50));
    }
  };
  await until('the page', () => $('read-sample') && !$('read-sample').disabled);
  return { frame, $, until };
}

test('read: the page shows what is found, as a drawing and in words, and nothing on it moves', async () => {
  const { frame, $, until } = await page(1000, 800);
  const entries = (id) => [...$(id).children].map((entry) => entry.textContent);
  const places = () => ['overlay', 'lines', 'score', 'speech', 'laboratory'].map((id) => Math.round($(id).getBoundingClientRect().top));
  const before = places();
  $('read-sample').click();
  await until('the picture', () => /The sample picture: .* in/.test($('read-status').textContent));
  assert($('read-status').textContent.includes('6 lines of text, 2 faces'), $('read-status').textContent);
  equal(entries('lines').at(-1), 'This line hangs upside down (upside down)', 'the last line');
  equal([entries('lines').length, entries('faces').length], [6, 2], 'entries');
  equal([...$('overlay').querySelectorAll('.line text')].map((text) => text.textContent)[1], 'Choir practice moves to room 12', 'a label');
  equal(['polygon', '.face rect', 'circle'].map((part) => $('overlay').querySelectorAll(part).length), [6, 2, 10], 'drawn');
  assert(/^ocr_det_v4.* on (cpu|gpu).*: /.test($('lines-by').textContent), `lanes: ${$('lines-by').textContent}`);
  assert($('type').textContent.includes('image/webp'), $('type').textContent);
  $('hear-sample').click();
  await until('the sound', () => /The sample sound: .* in/.test($('read-status').textContent));
  equal([entries('speech').length, entries('notes').at(-1).slice(0, 2)], [1, 'E5'], 'heard');
  assert($('score').querySelectorAll('rect.note').length >= 3 && $('score').querySelector('.curve').getAttribute('d').length > 100, 'drawn');
  assert($('score').getAttribute('aria-label').includes('1 stretch of speech'), $('score').getAttribute('aria-label'));
  equal(places(), before, 'places on the page');

  // What is dropped: a picture of one line, a file that only has a type, a picture that is none.
  const view = frame.contentWindow;
  const drop = async (file) => {
    const dataTransfer = new view.DataTransfer();
    dataTransfer.items.add(file);
    view.dispatchEvent(new view.DragEvent('drop', { dataTransfer, cancelable: true }));
  };
  drop(new view.File([RUST], 'count.rs'));
  await until('a source', () => $('read-status').textContent.startsWith('count.rs: '));
  assert($('type').textContent.includes('Rust source'), $('type').textContent);
  drop(new view.File(['no picture'], 'cat.png', { type: 'image/png' }));
  await until('no picture', () => $('read-status').textContent.startsWith('That failed'));
  const canvas = new OffscreenCanvas(400, 80);
  const context = canvas.getContext('2d');
  context.fillStyle = 'white';
  context.fillRect(0, 0, 400, 80);
  Object.assign(context, { fillStyle: 'black', font: '40px sans-serif' }).fillText('Good morning', 40, 55);
  drop(new view.File([await canvas.convertToBlob()], 'morning.png', { type: 'image/png' }));
  await until('another picture', () => $('read-status').textContent.startsWith('morning.png: '));
  equal([entries('lines'), entries('faces')], [['Good morning'], ['No face.']], 'of another picture');
  equal(frame.contentWindow.driven.error, null, 'errors of the page');
  frame.remove();
});

test('read: the page fits a narrow window', async () => {
  const { frame, $ } = await page(360, 640);
  const root = frame.contentDocument.documentElement;
  assert(root.scrollWidth <= 360, `the page is ${root.scrollWidth} pixels wide`);
  for (const part of $('read').querySelectorAll('button, .stage, .told, audio')) {
    const { left, right } = part.getBoundingClientRect();
    assert(left >= 0 && right <= 360, `${part.id || part.className} lies from ${left} to ${right}`);
  }
  frame.remove();
});
