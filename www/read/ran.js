// Draws what the pool ran for a reading: of each model when, on which lane, how long, and how long that was forecast to take. Knows SVG and
// the entries of a pool's history; must never know a reader.

import { ms } from '../units.js';
import { fixed, shape } from './svg.js';

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

/** Entries of a history that began after `since`, by the clock of their pool. */
export const after = (history, since) => history.filter(({ nowMs }) => nowMs > since);

/** Marks of a scale from 0 to `most`, at most `count` of them. */
function ticks(most, count) {
  const power = 10 ** Math.floor(Math.log10(most / count));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => most / n <= count);
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step);
}

/** Rows are no higher than so many times their letters. */
const ROW = 4;

/** A row for each of `all` sessions that ran; an execution of several models has a bar in the row of each. */
export function draw(element, executions, all) {
  const { width, height } = element.getBoundingClientRect();
  if (!(width > 0 && height > 0)) return;
  element.setAttribute('viewBox', `0 0 ${width} ${height}`);
  const text = parseFloat(getComputedStyle(element).fontSize);
  const frame = { left: Math.min(text * 11, width * 0.45), right: width - text * 2.2, top: text * 0.5, bottom: height - text * 1.8 };
  const sessions = all.filter(({ name }) => executions.some(({ models }) => models.includes(name)));
  const high = Math.min(text * ROW, (frame.bottom - frame.top) / Math.max(1, sessions.length));
  const began = Math.min(...executions.map(({ nowMs }) => nowMs));
  const most = Math.max(1, ...executions.map(({ nowMs, measuredMs, predictedMs }) => nowMs - began + Math.max(measuredMs, predictedMs)));
  const x = (since) => frame.left + ((frame.right - frame.left) * since) / most;
  const parts = [];
  for (const mark of executions.length ? ticks(most, Math.max(2, Math.floor((frame.right - frame.left) / (text * 5)))) : []) {
    parts.push(shape('path', { class: 'grid', d: `M${fixed(x(mark))} ${fixed(frame.top)}V${fixed(frame.bottom)}` }));
    parts.push(shape('text', { x: fixed(x(mark)), y: fixed(height - text * 0.5), 'text-anchor': 'middle' }, mark ? ms(mark) : '0'));
  }
  for (const [row, { name }] of sessions.entries()) {
    const top = frame.top + row * high;
    const own = executions.filter(({ models }) => models.includes(name));
    parts.push(shape('text', { x: fixed(frame.left - text * 0.6), y: fixed(top + high / 2 + text * 0.35), 'text-anchor': 'end' }, `${name} · ${[...new Set(own.map(({ lane }) => lane))].join(', ')}`));
    for (const { models, strategy, lane, nowMs, measuredMs, predictedMs, intervalMs } of own) {
      const bar = (kind, long, inset) => shape('rect', { class: kind, x: fixed(x(nowMs - began)), y: fixed(top + high * inset), width: fixed(Math.max(1, x(long) - x(0))), height: fixed(high * (1 - 2 * inset)) });
      const measured = bar('measured', measuredMs, 0.2);
      measured.append(shape('title', {}, `${models.join(' + ')}, ${strategy}, on ${lane}: took ${ms(measuredMs)}, forecast ${ms(predictedMs)} (${intervalMs.map(ms).join(' – ')})`));
      const forecast = bar('forecast', predictedMs, 0.08);
      // Where many lie in a few pixels their outlines would hide what was measured.
      forecast.setAttribute('stroke-width', fixed(Math.min(1, Math.max(0.2, (x(predictedMs) - x(0)) / 6))));
      parts.push(measured, forecast);
    }
  }
  element.replaceChildren(...parts);
}

/** What there is to say of them. */
export function described(executions) {
  if (executions.length === 0) return 'Nothing ran yet.';
  const within = executions.filter(({ measuredMs, intervalMs: [low, high] }) => measuredMs >= low && measuredMs <= high).length;
  const off = median(executions.map(({ error }) => error));
  const many = executions.length === 1 ? 'One execution' : `${executions.length} executions`;
  return `${many}, each forecast before it ran: off by ${(off * 100).toFixed(0)} % in the median, ${((100 * within) / executions.length).toFixed(0)} % within the stated interval.`;
}
