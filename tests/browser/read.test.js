// The demo's readers on the demo's samples, with all their models in one pool: what is printed, whose faces, which type, which notes;
// and the page that shows it.

import { Pool } from '../pkg/index.js';
import { boxesOf, corners } from '../read/boxes.js';
import { lying, strip, turned } from '../read/cut.js';
import { findFaces, surest } from '../read/faces.js';
import { fileType, seen } from '../read/file-type.js';
import { decoded, decodedSound, SAMPLE, wave } from '../read/files.js';
import { hearPitch, noteName } from '../read/pitch.js';
import { lanesOf, MODELS, openReaders } from '../read/readers.js';
import { hearSpeech, spans } from '../read/speech.js';
import { readText, spelled } from '../read/text.js';
import { hertzOf, NOTES, sampleSound, SPOKEN } from '../read/voice.js';
import { demoPage } from './demo.js';
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
/** The sample's lines; the last one hangs upside down. */
const PRINTED = [
  'Notice board', 'Choir practice moves to room 12', 'Friday, 21 March, 19:30', 'Tickets cost 14.50 EUR each', 'Bring your own tea!',
  'This line hangs upside down',
];
/** Loads are not what a reader takes. */
const timed = async (work) => {
  const began = performance.now();
  const result = await work();
  return [result, `${Math.round(performance.now() - began)} ms`];
};

test('read: boxes around what a map marks: grown, turned, in the order of reading, none where it is unsure', async () => {
  const [columns, rows] = [200, 100];
  const map = new Float32Array(columns * rows);
  const mark = (inside, value) => map.forEach((_, i) => inside(i % columns, Math.floor(i / columns)) && (map[i] = value));
  const between = (n, from, to) => n >= from && n < to;
  mark((x, y) => between(x, 120, 180) && between(y, 18, 28), 0.9);
  mark((x, y) => between(x, 20, 80) && between(y, 20, 30), 0.9);
  mark((x, y) => between(x, 20, 80) && between(y, 85, 95), 0.4);
  mark((x, y) => between(x, 130, 160) && between(y, 50, 58), 0.9);
  mark((x, y) => between(x, 166, 196) && between(y, 52, 60), 0.9);
  mark((x, y) => between(x, 150, 151) && between(y, 80, 81), 0.9);
  // A line that rises by one in three.
  mark((x, y) => between(x, 30, 120) && Math.abs(y - 75 + x / 3) < 5, 0.9);
  const boxes = await boxesOf(map, columns, rows, columns * 2, rows * 2);
  const [left, right] = boxes;
  const rising = boxes.find(({ along }) => along[1] !== 0);
  equal(boxes.filter((box) => box !== rising).map(({ x }) => Math.round(x / 10)), [10, 30, 29, 36], 'boxes');
  equal([left, right].map(({ x, y }) => [Math.round(x), Math.round(y)]), [[100, 50], [300, 46]], 'middles');
  // 60 × 10 pixels, grown by 1.6 times area over outline on each side, twice as large.
  const grown = (2 * 1.6 * 600) / 140;
  assert(Math.abs(left.width / 2 - 60 - grown) < 2.5 && Math.abs(left.height / 2 - 10 - grown) < 2.5, `${left.width} × ${left.height}`);
  assert(Math.abs(rising.along[1] / rising.along[0] + 1 / 3) < 0.03, `along ${rising.along}`);
  const [begin, end] = corners(rising);
  assert(begin[0] < end[0] && begin[1] > end[1], 'the upper side rises');
});

test('read: a box is cut out level, blue first, and padded with 0', async () => {
  // Red on the left, blue on the right, 4 × 2 pixels each in a picture of green.
  const picture = new ImageData(12, 6);
  for (let i = 0; i < 72; i++) {
    const [x, y] = [i % 12, Math.floor(i / 12)];
    const inside = y >= 2 && y < 4 && x >= 2 && x < 10;
    picture.data.set(inside ? (x < 6 ? [255, 0, 0, 255] : [0, 0, 255, 255]) : [0, 255, 0, 255], i * 4);
  }
  const box = { x: 6, y: 3, width: 8, height: 2, along: [1, 0] };
  const colours = ({ data, dims }, x) => [0, 1, 2].map((c) => data[c * dims[2] * dims[3] + x]);
  const cut = await strip(picture, box, 2, 10);
  equal([cut.dims, colours(cut, 1), colours(cut, 6), colours(cut, 9)], [[1, 3, 2, 10], [-1, -1, 1], [1, -1, -1], [0, 0, 0]], 'as it lies');
  equal(colours(await strip(picture, turned(box), 2, 8), 1), [1, -1, -1], 'from its other end');
  const upright = lying({ x: 6, y: 3, width: 2, height: 8, along: [0, -1] });
  equal([upright.width, upright.height, upright.along], [8, 2, [1, 0]], 'one that is written downwards lies');
  const halves = await strip(picture, box, 1, 2);
  // Between the middles of pixels it is linear: an eighth is of the green beside.
  equal([colours(halves, 0), colours(halves, 1)], [[-1, -0.75, 0.75], [0.75, -0.75, -1]], 'the mean where it becomes smaller');
});

test('read: likelihoods are spelled: runs once, spaces by the sum over a gap', () => {
  const told = (steps) => ({ data: Float32Array.from(steps.flat()), dims: [1, steps.length, 4] });
  const [none, a, b] = [[1, 0, 0, 0], [0, 0.8, 0.1, 0.1], [0, 0, 1, 0]];
  equal(spelled(told([none, a, a, b, none, b]), ['a', 'b']).text, 'abb', 'runs');
  equal(spelled(told([[0, 0, 0, 1], a, [0.7, 0, 0, 0.3], [0.8, 0, 0, 0.2], b, [0.7, 0, 0, 0.3], b, [0, 0, 0, 1]]), ['a', 'b']).text, 'a bb', 'spaces');
  assert(Math.abs(spelled(told([a, b]), ['a', 'b']).score - 0.9) < 1e-6, 'how sure');
});

test('read: of boxes that overlap the surest stays', () => {
  const box = (left, score, right = left + 10) => ({ left, right, top: 0, bottom: 10, score });
  const scores = (boxes, ...rest) => surest(boxes, ...rest).map(({ score }) => score);
  equal(scores([box(0, 0.5), box(2, 0.9), box(30, 0.7)], 0.5), [0.9, 0.7], 'over both');
  equal(scores([box(0, 0.5), box(6, 0.9)], 0.5), [0.9, 0.5], 'less than half');
  equal([scores([box(0, 0.9, 40), box(0, 0.5)], 0.5), scores([box(0, 0.9, 40), box(0, 0.5)], 0.5, true)], [[0.9, 0.5], [0.9]], 'over the smaller');
});

test('read: frames of speech overlap, and each is given the memory of the one before', async () => {
  const calls = [];
  const session = {
    run: async (feeds) => {
      calls.push(feeds);
      const state = feeds.state.data.map(() => calls.length);
      return { output: { data: [0] }, stateN: { data: state } };
    },
  };
  const samples = Float32Array.from({ length: 1200 }, (_, i) => (i + 1) / 2000);
  await hearSpeech(session, { channels: [samples], rate: 16000 });
  equal(calls.map(({ state }) => state.data[0]), [0, 1, 2], 'memories');
  const given = calls.map(({ input: { data, dims } }) => [dims, data[63] * 2000, data[64] * 2000, data[575] * 2000].flat().map(Math.round));
  equal(given, [[1, 576, 0, 1, 512], [1, 576, 512, 513, 1024], [1, 576, 1024, 1025, 0]], 'samples');
});

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
  equal(lines.map(({ text }) => text), PRINTED, 'lines');
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
  const sound = await sampleSound();
  const [{ spans: spoken, likely }, time] = await timed(() => hearSpeech(sessions.speech, sound));
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
  const sound = await sampleSound();
  const [{ notes, curve }, time] = await timed(() => hearPitch(sessions.pitch, sound));
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
  const sound = await sampleSound();
  const { channels, rate } = await decodedSound(wave(sound));
  equal([channels.length, rate, channels[0].length], [1, 44100, sound.channels[0].length], 'form');
  const off = channels[0].reduce((most, sample, i) => Math.max(most, Math.abs(sample - sound.channels[0][i])), 0);
  assert(off < 1e-4, `off by ${off}`);
});

test('read: the pool is closed', async () => {
  const { pool } = await readers();
  await pool.close();
});

/** The demo page in a frame, once its buttons work. */
const page = (form) => demoPage(($) => $('read-sample') && !$('read-sample').disabled, form);

test('read: the page shows what is found, as a drawing and in words, and nothing on it moves', async () => {
  const { frame, $, until, texts: entries, drop } = await page();
  const places = () => ['overlay', 'lines', 'score', 'speech', 'laboratory'].map((id) => Math.round($(id).getBoundingClientRect().top));
  const before = places();
  $('read-sample').click();
  await until('the picture', () => /The sample picture: .* in/.test($('read-status').textContent));
  assert($('read-status').textContent.includes('6 lines of text, 2 faces'), $('read-status').textContent);
  equal(entries('lines'), PRINTED.with(-1, `${PRINTED.at(-1)} (upside down)`), 'the lines in words');
  equal(entries('faces').length, 2, 'faces');
  equal([...$('overlay').querySelectorAll('.line text')].map((text) => text.textContent), PRINTED, 'labels');
  equal(['polygon', '.face rect', 'circle'].map((part) => $('overlay').querySelectorAll(part).length), [6, 2, 10], 'drawn');
  assert(/^ocr_det_v4.* on (cpu|gpu|webnn).*: /.test($('lines-by').textContent), `lanes: ${$('lines-by').textContent}`);
  assert($('type').textContent.includes('image/webp'), $('type').textContent);
  // What ran, beside its forecast: a bar of each for every model that had work. The first time of anything, on each processor, is none.
  const bars = (kind) => $('ran').querySelectorAll(`rect.${kind}`);
  const wanted = ['face_onet', 'face_pnet', 'face_rnet', 'file_type', 'ocr_cls', 'ocr_det_v4', 'ocr_rec_v4'];
  const ran = new Set();
  // Executions are shown as they come, not when what they are of is done.
  const early = new Set();
  new frame.contentWindow.MutationObserver(() => {
    if ($('lines-by').textContent === '') for (const { textContent } of bars('measured')) early.add(textContent.split(', ')[0]);
  }).observe($('ran'), { childList: true });
  for (let reading = 0; reading < 8 && ran.size < wanted.length; reading++) {
    $('read-sample').click();
    await until('the picture again', () => $('read-status').textContent.startsWith('Reading'));
    await until('the picture again', () => /The sample picture: .* in/.test($('read-status').textContent));
    for (const bar of bars('measured')) bar.textContent.split(', ')[0].split(' + ').forEach((name) => ran.add(name));
  }
  assert(/^\d+ executions, each forecast before it ran: off by \d+ % in the median, \d+ % within/.test($('ran-by').textContent), $('ran-by').textContent);
  equal([...ran].sort(), wanted, 'who ran');
  equal(bars('measured').length, bars('forecast').length, 'bars');
  assert([...early].some((name) => name.startsWith('ocr_')), `shown before the lines were read: ${[...early].join('; ')}`);
  assert([...$('ran').querySelectorAll('text')].some(({ textContent }) => /^ocr_\w+ · (cpu|gpu|webnn)/.test(textContent)), 'rows');
  const reasons = entries('ran-why');
  equal(reasons.length, 9, `why each of the nine runs where it does: ${reasons.join('; ')}`);
  for (const one of reasons) assert(/^\w+ on (cpu|gpu|webnn): (this pool has no other lane|[\d.]+\sm?s here, .+|not measured yet, .+)$/.test(one), one);
  $('hear-sample').click();
  await until('the sound', () => /The sample sound: .* in/.test($('read-status').textContent));
  equal(entries('speech').length, 1, 'heard');
  const plucked = entries('notes').slice(-NOTES.length).map((text) => /^(\S+), ([\d.]+) Hz, /.exec(text));
  equal(plucked.map(([, name]) => name), NOTES.map(({ midi }) => noteName(midi)), 'notes');
  for (const [i, [text, , hertz]] of plucked.entries()) assert(Math.abs(1200 * Math.log2(hertz / hertzOf(NOTES[i].midi))) < 15, text);
  assert($('score').querySelectorAll('rect.note').length >= 3 && $('score').querySelector('.curve').getAttribute('d').length > 100, 'drawn');
  assert($('score').getAttribute('aria-label').includes('1 stretch of speech'), $('score').getAttribute('aria-label'));
  equal(places(), before, 'places on the page');
  // The arena of each reader's model, over the steps of a run.
  const arenas = () => [...$('map-of').options].map(({ value }) => value);
  await until('the arenas', () => arenas().length === 9);
  equal(arenas().toSorted(), Object.values(MODELS).toSorted(), 'arenas');
  for (const name of arenas()) {
    $('map-of').value = name;
    $('map-of').dispatchEvent(new frame.contentWindow.Event('change'));
    const said = $('map').querySelector('figcaption').textContent;
    assert(said.startsWith(name), `the arena of ${name}: ${said}`);
    assert($('map').querySelector('rect') || said.includes('does not say what lies where'), `drawn for ${name}: ${said}`);
  }

  // What is dropped: a picture of one line, a file that only has a type, a picture that is none.
  const view = frame.contentWindow;
  drop([new view.File([RUST], 'count.rs')]);
  await until('a source', () => $('read-status').textContent.startsWith('count.rs: '));
  assert($('type').textContent.includes('Rust source'), $('type').textContent);
  drop([new view.File(['no picture'], 'cat.png', { type: 'image/png' })]);
  await until('no picture', () => $('read-status').textContent.startsWith('That failed'));
  const canvas = new OffscreenCanvas(400, 80);
  const context = canvas.getContext('2d');
  context.fillStyle = 'white';
  context.fillRect(0, 0, 400, 80);
  Object.assign(context, { fillStyle: 'black', font: '40px sans-serif' }).fillText('Good morning', 40, 55);
  drop([new view.File([await canvas.convertToBlob()], 'morning.png', { type: 'image/png' })]);
  await until('another picture', () => $('read-status').textContent.startsWith('morning.png: '));
  equal([entries('lines'), entries('faces')], [['Good morning'], ['No face.']], 'of another picture');
  equal(frame.contentWindow.driven.error, null, 'errors of the page');
  frame.remove();
});

test('read: the page fits a narrow window', async () => {
  const { frame, $ } = await page({ width: 360, height: 640 });
  const root = frame.contentDocument.documentElement;
  assert(root.scrollWidth <= 360, `the page is ${root.scrollWidth} pixels wide`);
  for (const part of $('read').querySelectorAll('button, .stage, .told, audio')) {
    const { left, right } = part.getBoundingClientRect();
    assert(left >= 0 && right <= 360, `${part.id || part.className} lies from ${left} to ${right}`);
  }
  frame.remove();
});

/** As long as the sound that a Chromium's microphone plays again and again, and some more. */
const RECORDED_MS = 6000;

test('read: what the microphone hears is recorded, heard and drawn', async () => {
  const { frame, $, until, texts } = await page();
  assert(!$('record').disabled, 'there is no microphone');
  $('record').click();
  await until('a recording', () => $('read-status').textContent === 'Recording…');
  await new Promise((done) => setTimeout(done, RECORDED_MS));
  equal($('record').textContent, 'Stop recording', 'the button');
  $('record').click();
  await until('the recording', () => $('read-status').textContent.startsWith('The recording: '));
  const notes = texts('notes').map((text) => text.match(/^(\S+), ([\d.]+) Hz/)).filter(Boolean);
  const off = notes.filter(([, name]) => name === 'A4').map(([, , hertz]) => 1200 * Math.log2(Number(hertz) / 440));
  assert(off.length > 0 && Math.abs(off[0]) < 15, `notes: ${texts('notes').join('; ')}`);
  if (new URLSearchParams(location.search).get('browser') === 'firefox') equal(texts('speech'), ['Nobody speaks.'], 'of a tone');
  else {
    for (const name of ['C♯5', 'E5']) assert(notes.some((note) => note[1] === name), `${name}: ${texts('notes').join('; ')}`);
    assert(texts('speech').some((text) => text.startsWith('Somebody speaks from ')), `speech: ${texts('speech').join('; ')}`);
  }
  assert($('score').querySelector('.curve').getAttribute('d').length > 100 && $('score').querySelector('rect.note'), 'nothing is drawn');
  equal([$('record').textContent, $('player').src.startsWith('blob:')], ['Record', true], 'the button, and what can be played');
  frame.remove();
  return `${notes.length} notes, A4 off by ${off[0].toFixed(1)} cents`;
});

test('read: a microphone that is refused is said to be, and the page goes on', async () => {
  const { frame, $, until, texts } = await page({ allow: "microphone 'none'" });
  $('record').click();
  await until('a refusal', () => $('read-status').textContent.startsWith('That failed'));
  equal($('read-status').textContent, 'That failed: this page may not use the microphone. Allow it in the browser’s settings for this page, then record again.', 'what is said');
  equal([$('record').textContent, $('record').disabled], ['Record', false], 'the button');
  $('hear-sample').click();
  await until('the sound', () => /The sample sound: .* in/.test($('read-status').textContent));
  assert(texts('speech')[0].startsWith('Somebody speaks'), texts('speech').join('; '));
  frame.remove();
});
