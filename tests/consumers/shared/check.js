// What every consumer does with the package: a model, alone and in a pool of a worker, against its golden. Knows the package's names as
// a page does; must never know by which tool it was brought here.

/** Largest difference to a golden, by the largest number of that. */
const WORST = 1e-3;

/** Counts workers that answer, of those that are made here; what only tries whether there may be one says 0. */
function counted() {
  const { Worker } = globalThis;
  let answering = 0;
  if (Worker) {
    globalThis.Worker = class extends Worker {
      constructor(...given) {
        super(...given);
        let heard = false;
        this.addEventListener('message', ({ data }) => {
          if (data === 0 || heard) return;
          heard = true;
          answering++;
        });
      }
    };
  }
  return () => {
    if (Worker) globalThis.Worker = Worker;
    return answering;
  };
}

function relativeError({ values, every }, data) {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const off = values.map((value, i) => Math.abs(value - data[i * every]));
  // What is no number must not pass for a small one.
  return off.reduce((most, value) => (value <= most ? most : value), 0) / largest;
}

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response;
}

/** Runs the model at `base` in a pool of these options; throws where its outputs are not the golden. */
async function ran({ Pool, Tensor }, base, options) {
  const { file, inputs, golden } = await (await fetched(new URL('golden.json', base))).json();
  const pool = await Pool.create({ records: 'none', measure: 'asked', ...options });
  try {
    const session = await pool.load(new URL(file, base));
    const feeds = {};
    for (const { name, dims, file } of inputs) {
      const elements = new Float32Array(await (await fetched(new URL(file, base))).arrayBuffer());
      feeds[name] = new Tensor('float32', elements, dims);
    }
    const outputs = await session.run(feeds);
    for (const of of golden) {
      const error = relativeError(of, outputs[of.name].data);
      if (!(error <= WORST)) throw new Error(`${of.name}: relative error ${error}`);
    }
  } finally {
    await pool.close();
  }
}

/**
 * The model at `base` on the processor: where there are workers in them, and then in a pool in a worker, and by WebNN; else here. Says what
 * was found; `workers` is whether there must be any.
 */
export async function check(consort, base, workers = true) {
  const answered = counted();
  let found;
  try {
    await ran(consort, base, { lanes: ['cpu'] });
  } finally {
    found = answered();
  }
  if (workers !== found > 0) throw new Error(`${found} workers answered`);
  if (workers) {
    await ran(consort, base, { lanes: ['cpu'], worker: true });
    if (!globalThis.navigator.ml) return 'in workers';
    await ran(consort, base, { lanes: ['webnn'] });
    return 'in workers, one with WebNN';
  }
  const refused = await consort.Pool.create({ worker: true }).catch((error) => error);
  if (refused.kind !== 'unsupported') throw new Error(`a pool in a worker: ${refused}`);
  return 'in the page';
}

/** Tells the driver what came of `work`. */
export async function drive(work) {
  try {
    driven.result = await work();
  } catch (error) {
    driven.error ??= String(error?.stack ?? error);
    if (error?.message && !driven.error.includes(error.message)) driven.error = `${error.message}\n${driven.error}`;
  }
}
