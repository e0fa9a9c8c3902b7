// What a page's browser says when it is asked: each function asks for one thing, and throws in words what is missing.
// No answer is taken from the user agent's name.

const tried = async (ask) => {
  try {
    return { available: true, ...(await ask()) };
  } catch (error) {
    return { available: false, reason: error?.message || String(error) };
  }
};

const need = (thing, what) => {
  if (thing === undefined || thing === null) throw new Error(what);
  return thing;
};

const secure = () => (globalThis.isSecureContext === false ? ': the page is no secure context' : '');

const gpuAdapter = async () => {
  const gpu = need(globalThis.navigator?.gpu, `there is no navigator.gpu${secure()}`);
  return need(await gpu.requestAdapter({ powerPreference: 'high-performance' }), 'WebGPU gives no adapter here');
};

/** The adapter that a pool would take. */
export async function webgpu() {
  const adapter = await gpuAdapter();
  const info = adapter.info ?? {};
  const limits = {};
  // eslint-disable-next-line guard-for-in -- they are getters of the prototype.
  for (const name in adapter.limits) if (typeof adapter.limits[name] === 'number') limits[name] = adapter.limits[name];
  const size = (value) => (typeof value === 'number' && value > 0 ? value : undefined);
  return {
    vendor: info.vendor ?? '',
    architecture: info.architecture ?? '',
    device: info.device ?? '',
    description: info.description ?? '',
    isFallbackAdapter: Boolean(info.isFallbackAdapter ?? adapter.isFallbackAdapter),
    features: [...adapter.features].sort(),
    limits,
    subgroupMinSize: size(info.subgroupMinSize),
    subgroupMaxSize: size(info.subgroupMaxSize),
  };
}

const gcd = (a, b) => (b === 0n ? a : gcd(b, a % b));

/** What all differences between timestamps of a device of its own are a multiple of, in nanoseconds. */
export async function timestampResolution() {
  const adapter = await gpuAdapter();
  if (!adapter.features.has('timestamp-query')) throw new Error("the adapter has no 'timestamp-query'");
  const device = await adapter.requestDevice({ requiredFeatures: ['timestamp-query'] });
  try {
    const [passes, rounds, enough] = [16, 4, 8];
    const count = passes * 2;
    const querySet = device.createQuerySet({ type: 'timestamp', count });
    const resolved = device.createBuffer({ size: count * 8, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
    const read = device.createBuffer({ size: count * 8, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const code = '@group(0) @binding(0) var<storage, read_write> x: array<u32>; @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) { for (var i = 0u; i < 64u; i++) { x[id.x] += i; } }';
    const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module: device.createShaderModule({ code }) } });
    const x = device.createBuffer({ size: 64 * 4, usage: GPUBufferUsage.STORAGE });
    const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer: x } }] });
    const seen = new Set();
    // A coarse clock shows few times in one round.
    for (let round = 0; round < rounds && seen.size < enough; round++) {
      const encoder = device.createCommandEncoder();
      for (let i = 0; i < passes; i++) {
        const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
        const pass = encoder.beginComputePass({ timestampWrites });
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(1);
        pass.end();
      }
      encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, read, 0, count * 8);
      device.queue.submit([encoder.finish()]);
      await read.mapAsync(GPUMapMode.READ);
      for (const time of new BigUint64Array(read.getMappedRange())) if (time > 0n) seen.add(time);
      read.unmap();
    }
    const times = [...seen].sort((a, b) => (a < b ? -1 : 1));
    if (times.length < 2) throw new Error('all timestamps are the same');
    return Number(times.slice(1).map((time, i) => time - times[i]).reduce(gcd));
  } finally {
    device.destroy();
  }
}

/** Says whether there is WebNN at all. */
export function webnn() {
  need(globalThis.navigator?.ml, `there is no navigator.ml${secure()}`);
}

const tensorWorks = async (context) => {
  need(context.createTensor, 'the context has no createTensor');
  const tensor = await context.createTensor({ dataType: 'float32', shape: [2], readable: true, writable: true });
  context.writeTensor(tensor, new Float32Array([1.5, -2]));
  const [a, b] = new Float32Array(await context.readTensor(tensor));
  tensor.destroy?.();
  if (a !== 1.5 || b !== -2) throw new Error(`a tensor of 1.5 and -2 reads as ${a} and ${b}`);
};

/** The context of a device type, what it supports, and whether its tensors work. */
export async function webnnContext(deviceType) {
  webnn();
  const context = await navigator.ml.createContext({ deviceType });
  const support = context.opSupportLimits?.() ?? {};
  const operators = {};
  for (const [name, limits] of Object.entries(support)) {
    if (limits === null || typeof limits !== 'object') continue;
    const types = Object.entries(limits).filter(([, operand]) => Array.isArray(operand?.dataTypes));
    operators[name] = Object.fromEntries(types.map(([operand, { dataTypes }]) => [operand, [...dataTypes].sort()]));
  }
  const lost = typeof context.lost?.then === 'function';
  const tensor = await tried(() => tensorWorks(context));
  // Not tried: where it fails, as in Chromium 147, every GPU device of the page is lost.
  const exportToGpu = typeof context.createExportableTensor === 'function' && typeof context.exportToGPU === 'function';
  context.destroy?.();
  return {
    operators,
    preferredInputLayout: support.preferredInputLayout,
    maxTensorBytes: typeof support.maxTensorByteLength === 'number' ? support.maxTensorByteLength : undefined,
    tensor,
    exportToGpu,
    lost,
  };
}

/** What the page may use of the machine. */
export function system() {
  const number = (value) => (typeof value === 'number' ? value : undefined);
  return {
    crossOriginIsolated: globalThis.crossOriginIsolated === true,
    sharedMemory: typeof SharedArrayBuffer === 'function',
    cores: number(navigator.hardwareConcurrency),
    deviceMemoryGib: number(navigator.deviceMemory),
  };
}

/** What the page may store. */
export async function storage() {
  const manager = need(navigator.storage?.estimate && navigator.storage, `there is no navigator.storage${secure()}`);
  const { quota, usage } = await manager.estimate();
  return { quotaBytes: quota, usageBytes: usage };
}

/** What PressureObserver tells of. */
export function pressure() {
  const observer = need(globalThis.PressureObserver, `there is no PressureObserver${secure()}`);
  return { sources: [...(observer.knownSources ?? [])].sort() };
}
