// What this browser can do, as a table for a person: what is here, what is not, and what that means for them. Knows the
// fields of Capabilities; must never know how they were found out.

const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
const size = (bytes) => (bytes < 2 ** 20 ? 'less than 1 MiB' : bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(0)} MiB` : `${(bytes / 2 ** 30).toFixed(0)} GiB`);
const list = (names) => names.join(', ');

function gpu({ webgpu }) {
  if (!webgpu.available) return [false, webgpu.reason, 'No model can run on the GPU.'];
  const name = [webgpu.vendor, webgpu.architecture, webgpu.device, webgpu.description].filter(Boolean).join(' ') || 'an adapter without a name';
  return webgpu.isFallbackAdapter
    ? [true, `${name}, in software`, 'Models run, on the processor in place of a GPU: expect a tenth of a GPU’s speed or less.']
    : [true, name, 'Models run on the GPU.'];
}

function half({ webgpu }) {
  const there = webgpu.available && webgpu.features.includes('shader-f16');
  return [there, there ? 'shader-f16' : 'no shader-f16', there ? 'A session may ask for products in half precision.' : 'Products stay in single precision.'];
}

function subgroups({ webgpu }) {
  const there = webgpu.available && webgpu.features.includes('subgroups');
  const sizes = there && webgpu.subgroupMinSize ? [...new Set([webgpu.subgroupMinSize, webgpu.subgroupMaxSize])].join(' to ') : '';
  return [there, there ? `of ${sizes || 'unknown'} threads` : 'no subgroups', there ? 'Kernels for them are tried, and used where they are faster.' : 'Kernels do without.'];
}

function clock({ timestamps }) {
  if (!timestamps.available) return [false, timestamps.reason, 'The GPU’s time is known from waits only.'];
  const ns = timestamps.resolutionNs;
  return [true, ns >= 1000 ? `${ns / 1000} µs` : `${ns} ns`, ns > 10_000 ? 'Too coarse to time one kernel.' : 'Single kernels can be timed.'];
}

function webnn({ webnn: nn }) {
  if (!nn.available) return [false, nn.reason, 'Models do without the system’s own machine-learning runtime.'];
  const here = Object.entries(nn).filter(([, context]) => context?.available);
  if (here.length === 0) return [false, 'no context for any device', 'Models do without the system’s own machine-learning runtime.'];
  const told = here.map(([device, { operators }]) => `${device} (${count(Object.keys(operators).length, 'operator')})`);
  return [true, list(told), 'A pool may be asked to run models on the system’s own runtime.'];
}

function simd({ wasm }) {
  const there = [wasm.simd && 'SIMD', wasm.relaxedSimd && 'relaxed SIMD', wasm.memory64 && '64-bit memory'].filter(Boolean);
  return [wasm.simd, list(there) || 'none', wasm.simd ? 'The processor’s wide instructions can be used.' : 'Work on the processor is several times slower.'];
}

function threads({ wasm, system }) {
  const cores = system.cores ? count(system.cores, 'core') : 'cores unknown';
  if (!wasm.threads) return [false, cores, 'Work on the processor has one thread.'];
  if (!system.crossOriginIsolated) return [false, `${cores}, but the page is not isolated`, 'One thread, until the server sends COOP and COEP headers.'];
  return [true, `${cores}, the page is isolated`, 'Work on the processor can be shared among threads.'];
}

function memory({ system }) {
  const there = system.deviceMemoryGib !== undefined;
  return [there, there ? `${system.deviceMemoryGib} GiB, as the browser rounds it` : 'the browser does not say', there ? 'How large a model may be can be guessed.' : 'Whether a model fits is known once it is loaded.'];
}

function storage({ storage: store }) {
  if (!store.available) return [false, store.reason, 'What was measured is forgotten with the page.'];
  return [true, `${size(store.quotaBytes)}, ${size(store.usageBytes)} of it used`, 'What was measured of this machine is kept for the next visit.'];
}

function pressure({ pressure: load }) {
  return load.available
    ? [true, list(load.sources) || 'no sources', 'The page can learn that the machine is busy.']
    : [false, load.reason, 'That the machine is busy shows in measured times only.'];
}

const ROWS = [
  ['WebGPU', gpu],
  ['Half precision', half],
  ['Subgroups', subgroups],
  ['The GPU’s clock', clock],
  ['WebNN', webnn],
  ['WebAssembly', simd],
  ['Threads', threads],
  ['Memory', memory],
  ['Storage', storage],
  ['Pressure', pressure],
];

/** Fills `table` with what `capabilities` says. */
export function capabilityTable(table, capabilities) {
  const cell = (tag, text, props = {}) => Object.assign(document.createElement(tag), { textContent: text, ...props });
  const row = (...cells) => {
    const line = document.createElement('tr');
    line.append(...cells);
    return line;
  };
  const head = document.createElement('thead');
  head.append(row(...['', 'Here', 'What it is', 'What that means'].map((text) => cell('th', text, { scope: 'col' }))));
  const body = document.createElement('tbody');
  for (const [name, tell] of ROWS) {
    const [there, what, meaning] = tell(capabilities);
    const mark = cell('td', there ? 'yes' : 'no', { className: there ? 'here' : 'missing' });
    body.append(row(cell('th', name, { scope: 'row' }), mark, cell('td', what), cell('td', meaning)));
  }
  const caption = cell('caption', `Found out by trying, in ${capabilities.detectMs.toFixed(0)} ms. This combination of browser and machine goes by ${capabilities.fingerprint}.`);
  table.replaceChildren(caption, head, body);
}
