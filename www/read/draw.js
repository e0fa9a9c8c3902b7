// Draws what was found: boxes, text and features over a picture, speech and notes over time. Knows SVG and the forms of answers; must
// never know a model.

import { hertzOf } from './voice.js';
import { noteName } from './pitch.js';
import { fixed, shape } from './svg.js';

/** An empty drawing over a picture of that size. */
export function clear(overlay, width, height) {
  overlay.setAttribute('viewBox', `0 0 ${width} ${height}`);
  overlay.replaceChildren();
}

/** Letters are at least so high, in pixels of the page: less so above lines, which lie close together. */
const LEGIBLE = { line: 9, face: 11 };
/** A line's label is no longer than this many times the line. */
const LONGEST = 1.6;

/** What a pixel of the page is in the overlay's units. */
export const unit = (overlay) => 1 / (overlay.getScreenCTM()?.a || 1);

/** A line's box with its text above it, or below where there is no room; none where it would be longer than its line. `pixel` is the overlay's unit. */
export function line(overlay, { corners, text }, pixel) {
  const group = shape('g', { class: 'line' });
  group.append(shape('polygon', { points: corners.map((point) => point.map(fixed).join()).join(' ') }));
  // The label runs as one reads: of the long sides the upper, from its left end.
  const upper = corners[0][0] <= corners[1][0] ? [corners[0], corners[1]] : [corners[2], corners[3]];
  const [[x, y], [u, v]] = upper;
  const high = Math.hypot(corners[0][0] - corners[3][0], corners[0][1] - corners[3][1]);
  const size = Math.max(LEGIBLE.line * pixel, high * 0.5);
  const turn = (Math.atan2(v - y, u - x) * 180) / Math.PI;
  const drop = y - size < 2 ? high + size : -size * 0.25;
  // A letter is about half as wide as high.
  const fits = text.length * size * 0.5 <= LONGEST * Math.hypot(u - x, v - y);
  if (fits) group.append(shape('text', { transform: `translate(${fixed(x)} ${fixed(y)}) rotate(${fixed(turn)})`, y: fixed(drop), 'font-size': fixed(size), 'stroke-width': fixed(size / 3.5) }, text));
  overlay.append(group);
  return group;
}

/** A face's box with its features. */
export function face(overlay, { left, top, right, bottom, score, features }, pixel) {
  const group = shape('g', { class: 'face' });
  group.append(shape('rect', { x: fixed(left), y: fixed(top), width: fixed(right - left), height: fixed(bottom - top), rx: fixed((right - left) / 16) }));
  const size = Math.max(LEGIBLE.face * pixel, (right - left) / 9);
  for (const [x, y] of Object.values(features)) group.append(shape('circle', { cx: fixed(x), cy: fixed(y), r: fixed(Math.max(1.5 * pixel, (right - left) / 36)) }));
  const label = { x: fixed(left), y: fixed(top - size < 2 ? top + size * 1.2 : top - size * 0.3), 'font-size': fixed(size), 'stroke-width': fixed(size / 3.5) };
  group.append(shape('text', label, `face, ${(score * 100).toFixed(0)} %`));
  overlay.append(group);
  return group;
}

/** The loudest of each of `count` parts of a sound. */
function envelope(samples, count) {
  return Array.from({ length: count }, (_, i) => {
    let most = 0;
    for (let at = Math.floor((i * samples.length) / count); at < ((i + 1) * samples.length) / count; at++) most = Math.max(most, Math.abs(samples[at]));
    return most;
  });
}

/** Keys that the drawing shows: an octave at the least, with room around what is heard. */
function range(notes, curve) {
  const keys = [...notes.map(({ midi }) => midi), ...curve.map(({ hertz }) => 69 + 12 * Math.log2(hertz / 440))];
  if (keys.length === 0) return [57, 81];
  const [low, high] = [Math.floor(Math.min(...keys)) - 3, Math.ceil(Math.max(...keys)) + 3];
  return high - low >= 12 ? [low, high] : [low - 6, high + 6];
}

/**
 * A sound over time: how loud it is, spans of speech, notes as bars from the lowest key up, and the curve of its pitch. What is not known
 * yet is left out.
 */
export function score(element, { sound, spans = [], notes = [], curve = [] }) {
  const { width, height } = element.getBoundingClientRect();
  if (!(width > 0 && height > 0)) return;
  element.setAttribute('viewBox', `0 0 ${width} ${height}`);
  const text = parseFloat(getComputedStyle(element).fontSize);
  const frame = { left: text * 2.8, right: width - text * 1.3, top: text * 1.8, bottom: height - text * 1.9 };
  const [samples] = sound.channels;
  const seconds = samples.length / sound.rate;
  const [low, high] = range(notes, curve);
  const x = (time) => frame.left + ((frame.right - frame.left) * time) / seconds;
  const y = (midi) => frame.bottom - ((frame.bottom - frame.top) * (midi - low)) / (high - low);
  const of = (hertz) => y(69 + 12 * Math.log2(hertz / 440));
  const parts = [];

  for (const [start, end] of spans) {
    parts.push(shape('rect', { class: 'speech', x: fixed(x(start)), y: fixed(frame.top), width: fixed(x(end) - x(start)), height: fixed(frame.bottom - frame.top) }));
    parts.push(shape('text', { class: 'speech', x: fixed((x(start) + x(end)) / 2), y: fixed(frame.top - text * 0.4), 'text-anchor': 'middle' }, 'speech'));
  }
  const middle = (frame.top + frame.bottom) / 2;
  const steps = Math.max(1, Math.floor((frame.right - frame.left) / 3));
  const loud = envelope(samples, steps).map((most, i) => `M${fixed(x(((i + 0.5) * seconds) / steps))} ${fixed(middle - (most * (frame.bottom - frame.top)) / 2)}V${fixed(middle + (most * (frame.bottom - frame.top)) / 2 + 0.5)}`);
  parts.push(shape('path', { class: 'loud', d: loud.join('') }));
  for (let octave = Math.ceil(low / 12) * 12; octave <= high; octave += 12) {
    parts.push(shape('path', { class: 'grid', d: `M${fixed(frame.left)} ${fixed(y(octave))}H${fixed(frame.right)}` }));
    parts.push(shape('text', { x: fixed(frame.left - text * 0.5), y: fixed(y(octave) + text * 0.35), 'text-anchor': 'end' }, noteName(octave)));
  }
  // A mark for each second, or for so many that they keep apart.
  const every = [0.5, 1, 2, 5, 10, 20].find((n) => x(n) - x(0) > text * 3.5) ?? 60;
  for (let time = 0; time <= seconds + 1e-9; time += every) {
    parts.push(shape('text', { x: fixed(x(time)), y: fixed(height - text * 0.5), 'text-anchor': 'middle' }, `${time} s`));
  }
  const thick = Math.max(6, ((frame.bottom - frame.top) / (high - low)) * 0.9);
  const labels = [];
  for (const { midi, start, end } of notes) {
    parts.push(shape('rect', { class: 'note', x: fixed(x(start)), y: fixed(y(midi) - thick / 2), width: fixed(Math.max(2, x(end) - x(start))), height: fixed(thick), rx: 3 }));
    const label = [x(start), y(midi) - thick / 2 - text * 0.3];
    // One that would lie on another is left to the list.
    if (labels.some(([u, v]) => Math.abs(u - label[0]) < text * 2.4 && Math.abs(v - label[1]) < text)) continue;
    labels.push(label);
    parts.push(shape('text', { class: 'note', x: fixed(label[0]), y: fixed(label[1]) }, noteName(midi)));
  }
  parts.push(shape('path', { class: 'curve', d: curve.map(({ time, hertz }) => `M${fixed(x(time))} ${fixed(of(hertz))}h1`).join('') }));
  element.replaceChildren(...parts);
}

/** A note for people. */
export function noteText({ midi, hertz, start, end }) {
  const cents = Math.round(1200 * Math.log2(hertz / hertzOf(midi)));
  const off = cents === 0 ? 'in tune' : `${Math.abs(cents)} cents ${cents > 0 ? 'sharp' : 'flat'}`;
  return `${noteName(midi)}, ${hertz.toFixed(1)} Hz, ${off}, from ${start.toFixed(1)} to ${end.toFixed(1)}\u00a0s`;
}
