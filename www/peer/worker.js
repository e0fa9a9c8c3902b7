// onnxruntime-web in a worker of its own: its settings, its failures and its end are not the page's. Knows its API; must never know what a
// model is for, or a page.

/** What of its package each provider takes; the binary lies beside. */
const FILES = { wasm: 'ort.wasm.bundle.min.mjs', webgpu: 'ort.webgpu.bundle.min.mjs', webnn: 'ort.webgpu.bundle.min.mjs' };

let ort;
let provider;
const sessions = [];

const WORK = {
  /** Its version. */
  async open({ provider: chosen, threads }) {
    ort = await import(`../vendor/onnxruntime-web/${FILES[chosen]}`);
    ort.env.wasm.numThreads = threads;
    ort.env.logLevel = 'error';
    provider = chosen;
    return ort.env.versions.web;
  },
  /** A session by its number, with the names of what it takes and gives. */
  async load({ url }) {
    const session = await ort.InferenceSession.create(url, { executionProviders: [provider], logSeverityLevel: 3 });
    return { number: sessions.push(session) - 1, inputNames: [...session.inputNames], outputNames: [...session.outputNames] };
  },
  /** Tensors as `{type, data, dims}`, by name. */
  async run({ number, feeds }) {
    const given = Object.entries(feeds).map(([name, { type, data, dims }]) => [name, new ort.Tensor(type, data, dims)]);
    const outputs = await sessions[number].run(Object.fromEntries(given));
    const read = async ([name, tensor]) => [name, { type: tensor.type, data: await tensor.getData(), dims: [...tensor.dims] }];
    return Object.fromEntries(await Promise.all(Object.entries(outputs).map(read)));
  },
};

addEventListener('message', async ({ data: { id, work, ...given } }) => {
  try {
    postMessage({ id, value: await WORK[work](given) });
  } catch (error) {
    postMessage({ id, error: String(error?.message ?? error) });
  }
});
addEventListener('unhandledrejection', ({ reason }) => postMessage({ lost: String(reason?.message ?? reason) }));
