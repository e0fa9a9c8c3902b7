// The section that puts onnxruntime-web beside ours: answers, times and failures as they come. Knows its elements; must never know how
// either is run.

import { compared, summary } from './compare.js';
import { PROVIDERS } from './sessions.js';
import { NAMES } from './tasks.js';
import { ms } from '../units.js';

const $ = (id) => document.getElementById(id);
const el = (tag, textContent = '', props = {}) => Object.assign(document.createElement(tag), { textContent }, props);
const say = (text) => ($('peer-status').textContent = text);

/** What one runtime tells of a task, and how long it took after the beginning of all of them. */
function cell(told, counted) {
  const td = el('td');
  if (!told) return Object.assign(td, { textContent: '…', className: 'none' });
  if (told.error) td.append(el('p', told.error.message, { className: 'bad' }));
  else if (told.lines) td.append(...told.lines.map((line) => el('p', line)));
  if (!told.error) td.append(el('p', counted ? `${ms(told.ms)} (${told.range.map(ms).join(' – ')})` : `${ms(told.ms)}, the first time`, { className: 'took' }));
  return td;
}

/** Whether both tell the same. */
function agreement(a, b) {
  if (!a?.lines || !b?.lines) return el('td');
  const same = a.lines.join('\n') === b.lines.join('\n');
  return el('td', same ? 'the same' : 'not the same', { className: same ? 'good' : 'bad' });
}

/** The table of all runs so far. */
function table({ turn, ours, peer }) {
  const [a, b] = [ours, peer].map((runs) => (runs.length ? summary(runs) : undefined));
  const row = (name, left, right, compared) => {
    const line = el('tr');
    line.append(el('th', name, { scope: 'row' }), left, right, compared);
    return line;
  };
  const rows = NAMES.map((name) => row(name, cell(a?.tasks[name], turn > 0), cell(b?.tasks[name], turn > 0), agreement(a?.tasks[name], b?.tasks[name])));
  const whole = b && Object.values(b.tasks).some(({ error }) => error) ? { error: new Error('not all of it was done') } : b?.whole;
  rows.push(row('All at once', cell(a?.whole, turn > 0), cell(whole, turn > 0), el('td')));
  const head = el('tr');
  head.append(...['', 'Consort', 'onnxruntime-web', 'Answers'].map((text) => el('th', text, { scope: 'col' })));
  const [thead, tbody] = [el('thead'), el('tbody')];
  thead.append(head);
  tbody.append(...rows);
  const caption = el('caption', turn ? `Times from the beginning of all to this answer: median of ${turn === 1 ? 'one turn' : `${turn} turns`}, least and most.` : 'Times from the beginning of all to this answer.');
  $('peer-table').replaceChildren(caption, thead, tbody);
  return { ours: a, peer: b };
}

/** Says what failed, as it comes: what fails alike is one entry. */
function failures() {
  const entries = new Map();
  $('peer-failures').replaceChildren(el('li', 'Nothing so far.', { className: 'none' }));
  return (what, message) => {
    const whats = [...(entries.get(message)?.whats ?? []), what];
    const entry = entries.get(message)?.entry ?? el('li');
    entries.set(message, { whats, entry });
    entry.replaceChildren(`${whats.slice(0, 2).join('; ')}${whats.length > 2 ? `; and ${whats.length - 2} more` : ''}: `, el('q', message));
    if (!entry.isConnected) $('peer-failures').append(entry);
    $('peer-failures').querySelector('.none')?.remove();
  };
}

/** One comparison, to its end or until it is stopped. */
async function compare(reader, provider, signal) {
  const name = `onnxruntime-web on ${PROVIDERS[provider]}`;
  say('Loading our readers…');
  const ours = await reader.opened();
  const shown = await reader.shown();
  const failed = failures();
  let last;
  table({ turn: 0, ours: [], peer: [] });
  $('peer-results').hidden = false;
  try {
    for await (const now of compared(ours, provider, shown, { signal, failed, say: (text) => say(`${name}: ${text}`) })) last = { ...now, told: table(now) };
  } catch (error) {
    if (signal.aborted) return say('Stopped.');
    failed(name, error.message);
    return say(`${name} could not be compared: ${error.message}`);
  }
  const { turns, told, version, threads, way } = last;
  const lanes = [...new Set(Object.values(ours.sessions).map(({ lane }) => lane))].join(' and ');
  const about = `onnxruntime-web ${version} on ${PROVIDERS[provider]}${provider === 'wasm' ? `, ${threads} thread${threads === 1 ? '' : 's'}` : ''}, models run ${way.run}`;
  const none = $('peer-failures').querySelector('.none');
  if (none) none.textContent = 'Nothing.';
  const failing = Object.values(told.peer.tasks).filter(({ error }) => error).length;
  const verdict = failing ? `${failing} of ${NAMES.length} tasks failed` : ms(told.peer.whole.ms);
  say(`Median of ${turns} turns: Consort on ${lanes} ${ms(told.ours.whole.ms)}; ${about}: ${verdict}.`);
}

/** Makes the section work, with what `reader` shows. */
export function attach(reader) {
  const options = Object.entries(PROVIDERS).map(([value, name]) => {
    const absent = value === 'webnn' && !navigator.ml;
    return el('option', absent ? `${name} (not in this browser)` : name, { value, disabled: absent });
  });
  $('peer-provider').replaceChildren(...options);
  for (const id of ['peer-provider', 'peer-run']) $(id).disabled = false;
  const run = async () => {
    const abort = new AbortController();
    $('peer-run').disabled = true;
    $('peer-stop').hidden = false;
    $('peer-stop').onclick = () => abort.abort(new Error('stopped'));
    try {
      await compare(reader, $('peer-provider').value, abort.signal);
    } catch (error) {
      say(`That failed: ${error.message}`);
    } finally {
      $('peer-run').disabled = false;
      $('peer-stop').hidden = true;
    }
    return $('peer-status').textContent;
  };
  $('peer-form').onsubmit = (event) => {
    event.preventDefault();
    run();
  };
  return {
    /** Puts `provider` beside ours: what is said of it in the end. */
    beside(provider) {
      $('peer-provider').value = provider;
      return run();
    },
  };
}
