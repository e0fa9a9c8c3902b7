// Why a session's next call runs where it does, in words: what was measured there and elsewhere, and what other lanes have against it.
// Knows what a pool tells of sessions and executions; must never know a page.

import { ms } from './units.js';
import { median } from './work.js';

/** Executions of which the median is told: those before may have been cold, or of other shapes. */
const RECENT = 5;

/** What the last executions of that model by itself took on a lane; nothing where none was kept. */
function took(pool, lane, name) {
  const alone = pool.accuracy(lane).history.filter(({ models }) => models.length === 1 && models[0] === name);
  return alone.length ? median(alone.slice(-RECENT).map(({ measuredMs }) => measuredMs)) : undefined;
}

/** Why `session` runs on its lane, of those that `pool` has; `here` is what a call takes there, where the page measured that itself. */
export function whyThere(pool, { name, lane, refusals }, here = took(pool, lane, name)) {
  const others = [...new Set(pool.capabilities.lanes)].filter((other) => other !== lane);
  if (others.length === 0) return 'this pool has no other lane';
  const told = others.map((other) => {
    if (refusals[other]) return `${other} may not: ${refusals[other]}`;
    const there = took(pool, other, name);
    return there === undefined ? `not tried on ${other}` : `${ms(there)} on ${other}`;
  });
  return [here === undefined ? 'not measured yet' : `${ms(here)} here`, ...told].join(', ');
}
