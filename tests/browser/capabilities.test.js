// What the browser can do, field by field: what this one is known to have, and of the rest that it is of its form.

import { Capabilities, Pool } from '../pkg/index.js';
import { assert, equal, test } from './harness.js';

const asked = new URLSearchParams(location.search);
const [browser, webgpu] = [asked.get('browser'), asked.get('webgpu') === 'true'];
const chromium = browser !== 'firefox';

const sorted = (list) => list.every((name, i) => typeof name === 'string' && (i === 0 || list[i - 1] < name));

/** It is not here, and says why with `part` in it. */
function missing(found, part, what) {
  equal(Object.keys(found).sort(), ['available', 'reason'], what);
  equal(found.available, false, what);
  assert(found.reason.includes(part), `${what}: '${found.reason}' does not say '${part}'`);
}

test('the adapter is told, or why there is none', async () => {
  const { webgpu: gpu } = await Capabilities.detect();
  // Firefox has the object and gives no adapter, or has none; Chromium without its service gives none.
  if (!webgpu) return missing(gpu, 'WebGPU' in globalThis || navigator.gpu ? 'adapter' : 'navigator.gpu', 'WebGPU');
  equal(gpu.available, true, 'available');
  equal([gpu.vendor, gpu.architecture], chromium ? ['google', 'swiftshader'] : ['', ''], 'vendor and architecture');
  equal([gpu.device, gpu.description], ['', ''], 'device and description');
  equal(gpu.isFallbackAdapter, true, 'isFallbackAdapter');
  assert(sorted(gpu.features) && gpu.features.includes('timestamp-query'), `features: ${gpu.features}`);
  equal(gpu.features.includes('subgroups'), chromium, 'subgroups');
  equal(gpu.features.includes('shader-f16'), !chromium, 'shader-f16');
  const own = await navigator.gpu.requestAdapter();
  equal(gpu.features, [...own.features].sort(), 'features');
  for (const name of ['maxBufferSize', 'maxStorageBufferBindingSize', 'maxComputeWorkgroupStorageSize', 'maxBindGroups']) {
    equal(gpu.limits[name], own.limits[name], name);
  }
  assert(Object.keys(gpu.limits).length >= 30, `limits: ${Object.keys(gpu.limits)}`);
  equal([gpu.subgroupMinSize, gpu.subgroupMaxSize], chromium ? [4, 4] : [4, 128], 'sizes of a subgroup');
});

test('the clock of the GPU is measured', async () => {
  const { timestamps } = await Capabilities.detect();
  if (!webgpu) return assert(timestamps.available === false && timestamps.reason.length > 0, 'a clock without a GPU');
  equal(timestamps.available, true, timestamps.reason);
  assert(Number.isInteger(timestamps.resolutionNs) && timestamps.resolutionNs >= 1, `${timestamps.resolutionNs} ns`);
});

test('WebNN is told for each kind of device, or why there is none', async () => {
  const { webnn } = await Capabilities.detect();
  if (browser !== 'chromium-webnn') return missing(webnn, 'navigator.ml', 'WebNN');
  equal(webnn.available, true, 'available');
  for (const device of ['cpu', 'gpu', 'npu']) {
    const context = webnn[device];
    equal(context.available, true, `${device}: ${context.reason}`);
    const names = Object.keys(context.operators);
    for (const name of ['conv2d', 'matmul', 'gemm', 'softmax', 'add', 'layerNormalization', 'quantizeLinear', 'lstm']) {
      assert(names.includes(name), `${device} lacks ${name}`);
    }
    equal(context.operators.conv2d.input, ['float16', 'float32'], `${device}: types of conv2d`);
    equal(Object.keys(context.operators.conv2d).sort(), ['bias', 'filter', 'input', 'output'], 'operands of conv2d');
    equal(context.preferredInputLayout, 'nhwc', `${device}: layout`);
    equal(context.maxTensorBytes, 2 ** 31 - 1, `${device}: bytes`);
    equal(context.tensor, { available: true }, `${device}: MLTensor`);
    equal([context.exportToGpu, context.lost], [true, true], `${device}: exportToGPU, lost`);
  }
});

test('the proposals of WebAssembly are told', async () => {
  const { wasm } = await Capabilities.detect();
  equal(wasm, { simd: true, relaxedSimd: true, threads: true, memory64: true }, 'wasm');
});

test('what the page may use of the machine is told', async () => {
  const { system, storage, pressure } = await Capabilities.detect();
  equal([system.crossOriginIsolated, system.sharedMemory], [true, true], 'isolation');
  equal(system.cores, navigator.hardwareConcurrency, 'cores');
  equal(system.deviceMemoryGib, chromium ? navigator.deviceMemory : undefined, 'memory');
  equal(storage.available, true, 'storage');
  assert(storage.quotaBytes > 1e6 && storage.usageBytes >= 0 && storage.usageBytes < storage.quotaBytes, 'storage');
  if (chromium) equal(pressure, { available: true, sources: ['cpu'] }, 'pressure');
  else missing(pressure, 'PressureObserver', 'pressure');
});

test('the name of it all is the same when asked again', async () => {
  const [a, b] = [await Capabilities.detect(), await Capabilities.detect()];
  assert(/^[0-9a-f]{16}$/.test(a.fingerprint), a.fingerprint);
  equal(a.fingerprint, b.fingerprint, 'fingerprint');
  assert(a.detectMs > 0 && a.detectMs < 3000, `${a.detectMs} ms`);
});

test('asking takes nothing from a pool, whose capabilities are the browser’s with its lanes', async () => {
  if (!webgpu) return;
  const pool = await Pool.create({ lanes: ['gpu'], measure: 'asked', records: 'none' });
  const { lanes, devices, ...rest } = pool.capabilities;
  equal(lanes, ['gpu'], 'lanes');
  equal(devices.map((d) => [d.lane, d.fingerprint]), [['gpu', pool.profile.fingerprint]], 'devices');
  assert(devices[0].features.every((f) => rest.webgpu.features.includes(f) || f === 'core-features-and-limits'), 'features');
  const now = await Capabilities.detect();
  for (const name of ['webgpu', 'webnn', 'wasm', 'system', 'fingerprint']) equal(rest[name], now[name], name);
  equal(Object.keys(rest).sort(), Object.keys(now).sort(), 'fields');
  // The device is as it was.
  const tensor = await pool.upload(await import('../pkg/index.js').then(({ Tensor }) => new Tensor('float32', [1, 2], [2])));
  equal(Array.from(await tensor.getData()), [1, 2], 'a tensor after asking');
  await pool.close();
});
