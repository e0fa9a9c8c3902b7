// The page's charts, drawn by Observable Plot. Knows spans and errors; must never know a pool.

const KINDS = { host: 'host', upload: 'upload', gpu: 'computing', readback: 'readback' };
const COLOURS = ['#8a94a6', '#d08a2e', '#3f62d8', '#2b9a74'];

/** Letters of a chart, in pixels of it. */
const LETTERS = { fontSize: '12px' };

/** Pixels below a chart: the name of what it is over stands below its numbers. */
const BELOW = 40;

/** Pixels that a letter of these takes, in a wide font. */
const LETTER = 7.5;

const scale = (times) => (Math.max(...times) >= 2000 ? { unit: 's', by: 1000 } : { unit: 'ms', by: 1 });

function figure(title, note, chart) {
  const element = document.createElement('figure');
  const caption = document.createElement('figcaption');
  const small = document.createElement('small');
  small.textContent = note;
  caption.append(title, small);
  // Plot names its groups, which nothing reads; a chart is one picture whose words stand in its caption.
  chart.querySelectorAll('[aria-label]').forEach((part) => part.removeAttribute('aria-label'));
  for (const svg of chart.matches('svg') ? [chart] : chart.querySelectorAll(':scope > svg')) {
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', `${title}, ${note}`);
  }
  element.append(caption, chart);
  return element;
}

/** A name of a row in so many pixels; what a bar says of itself has all of it. */
const shortened = (name, pixels) => (name.length * LETTER <= pixels ? name : `${name.slice(0, Math.max(1, Math.floor(pixels / LETTER) - 1))}…`);

/** The measured timeline of one strategy, where there is one, with the predicted one over it. */
export function timeline({ strategy, lane, timeline: predicted, measuredTimeline: measured = [] }, width) {
  const { unit, by } = scale([...predicted, ...measured].map((s) => s.endMs));
  const row = (s) => s.model || (s.kind === 'gpu' ? 'all, interleaved' : 'whole set');
  const spans = (list) =>
    list.map((s) => ({ row: row(s), kind: KINDS[s.kind], x1: s.startMs / by, x2: s.endMs / by, model: s.model }));
  const [was, said] = [spans(measured), spans(predicted)];
  const rows = [...new Set([...was, ...said].map((s) => s.row))];
  const space = Math.min(Math.max(...rows.map((name) => name.length)) * LETTER, width * 0.4);
  const chart = Plot.plot({
    width,
    height: 66 + rows.length * 34,
    style: LETTERS,
    marginBottom: BELOW,
    marginLeft: space + 12,
    x: { label: unit, grid: true },
    y: { label: null, domain: rows, tickFormat: (name) => shortened(name, space) },
    color: { domain: Object.values(KINDS), range: COLOURS, legend: true },
    marks: [
      Plot.barX(was, { x1: 'x1', x2: 'x2', y: 'row', fill: 'kind', fillOpacity: 0.75, insetTop: 3, insetBottom: 3, title: (s) => `${s.row}: ${s.kind}, measured ${(s.x2 - s.x1).toFixed(1)} ${unit}` }),
      Plot.barX(said, { x1: 'x1', x2: 'x2', y: 'row', fill: 'none', stroke: 'currentColor', strokeWidth: 1.3, strokeDasharray: '4 2', title: (s) => `${s.row}: ${s.kind}, predicted ${(s.x2 - s.x1).toFixed(1)} ${unit}` }),
    ],
  });
  return figure(`${strategy}, on ${lane}`, 'filled: measured · dashed outline: predicted', chart);
}

/** Runs that are drawn, the newest: more would keep the page from answering. */
const RUNS = 300;

/** How far off each prediction was, made before its run, in the order of the runs. */
export function errors(history, width) {
  const first = Math.max(0, history.length - RUNS);
  const points = history.slice(first).map((h, i) => ({ run: first + i + 1, error: Math.max(h.error * 100, 0.05), of: h.heldOut ? 'held out' : 'learned from', name: `${h.models.join(' + ')}, ${h.strategy}, on ${h.lane}` }));
  const most = Math.max(100, ...points.map((p) => p.error));
  const chart = Plot.plot({
    width,
    height: 280,
    style: LETTERS,
    marginLeft: 50,
    marginTop: 32,
    marginBottom: BELOW,
    x: { label: 'run', grid: false, domain: [first + 0.5, Math.max(history.length, 8) + 0.5] },
    y: { label: 'error of the prediction made before it, %', type: 'log', grid: true, domain: [0.05, most], ticks: [0.1, 1, 10, 100, 1000, 10_000].filter((tick) => tick <= most), tickFormat: (d) => String(d) },
    color: { domain: ['learned from', 'held out'], range: [COLOURS[2], COLOURS[1]], legend: true },
    marks: [
      Plot.dot(points, { x: 'run', y: 'error', fill: 'of', r: 3.5, title: (p) => `${p.name}: ${p.error.toFixed(1)} %` }),
      ...(points.length < 2 ? [] : [Plot.lineY(points, Plot.windowY({ k: 9, reduce: 'median', anchor: 'end', strict: false }, { x: 'run', y: 'error', stroke: 'currentColor' }))]),
    ],
  });
  return figure('Error, run by run', 'line: median of the last nine', chart);
}

const HELD = { weights: COLOURS[2], arenas: COLOURS[3], staging: COLOURS[1], parameters: COLOURS[0], tensors: '#b04a8f' };

/** How much a pool held for what, from `samples` of `{from, until, bytes}`, bytes in the order of `purposes`. */
export function heldOverTime(samples, purposes, highWater, width) {
  const began = samples[0].from;
  const ends = samples.map(({ until }, i) => samples[i + 1]?.from ?? until);
  const boxes = samples.flatMap(({ from, bytes }, i) => {
    let below = 0;
    return purposes.map((purpose, p) => {
      const [y1, y2] = [below / 1e6, (below += bytes[p]) / 1e6];
      return { x1: (from - began) / 1000, x2: (Math.max(ends[i], from + 1) - began) / 1000, y1, y2, purpose };
    });
  }).filter(({ y1, y2 }) => y2 > y1);
  const there = purposes.filter((purpose) => boxes.some((box) => box.purpose === purpose));
  const chart = Plot.plot({
    width,
    height: 210,
    style: LETTERS,
    marginLeft: 50,
    marginBottom: BELOW,
    x: { label: 's' },
    y: { label: 'MB', grid: true, domain: [0, Math.max(1e-6, ...boxes.map(({ y2 }) => y2))] },
    color: { domain: there, range: there.map((purpose) => HELD[purpose]), legend: true },
    marks: [Plot.rect(boxes, { x1: 'x1', x2: 'x2', y1: 'y1', y2: 'y2', fill: 'purpose', title: (b) => `${b.purpose}: ${(b.y2 - b.y1).toFixed(1)} MB, ${b.x1.toFixed(1)} to ${b.x2.toFixed(1)} s` })],
  });
  return figure('Held over time', `since this pool opened; ${(highWater / 1e6).toFixed(1)} MB at the most`, chart);
}

/** Who lies where in a model's arena, and from which step to which. */
export function memoryMap(name, { arena, liveBytes, steps, tensors }, width) {
  const mega = (bytes) => bytes / 1e6;
  const boxes = tensors.map((t) => ({
    x1: t.firstStep, x2: t.lastStep + 1, y1: mega(t.offset), y2: mega(t.offset + t.bytes), name: t.name || 'between two dispatches', bytes: t.bytes,
  }));
  const chart = Plot.plot({
    width,
    height: 250,
    style: LETTERS,
    marginLeft: 50,
    marginBottom: BELOW,
    x: { label: 'step', domain: [0, steps] },
    y: { label: 'offset, MB', domain: [0, Math.max(mega(arena), 1e-6)], grid: true },
    marks: [
      Plot.rect(boxes, { x1: 'x1', x2: 'x2', y1: 'y1', y2: 'y2', fill: 'var(--blue)', fillOpacity: 0.4, stroke: 'var(--blue)', strokeWidth: 0.6, title: (b) => `${b.name}: ${mega(b.bytes).toFixed(2)} MB, steps ${b.x1} to ${b.x2 - 1}` }),
    ],
  });
  const above = liveBytes ? ((arena / liveBytes - 1) * 100).toFixed(1) : '0.0';
  const held = `${mega(arena).toFixed(1)} MB`;
  const told = `${tensors.length} tensors in ${held}, ${above} % above what is alive at once`;
  return figure(name, tensors.length ? told : `${held}; its lane does not say what lies where`, chart);
}
