// A picture into a tensor that is on the GPU, without its pixels coming to the processor: the browser copies it into a texture, and two
// passes scale it, with the weights that `picture.js` scales with, and lay it out. Knows WebGPU; must never know a pool or a model.

import { GREY, beyond, taps } from './picture.js';

const SCALE = /* wgsl */ `
struct Scale { width: u32, first: u32, rows: u32, columns: u32 }
@group(0) @binding(0) var picture: texture_2d<f32>;
@group(0) @binding(1) var<storage, read> taps: array<u32>;
@group(0) @binding(2) var<storage, read_write> lines: array<vec4f>;
@group(0) @binding(3) var<uniform> p: Scale;
// Colours times alpha, and alpha, 0 to 255, of each row that is needed.
@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.columns || id.y >= p.rows) { return; }
  let begin = bitcast<i32>(taps[id.x * 3u]);
  let at = taps[id.x * 3u + 1u];
  var sum = vec4f();
  for (var k = 0u; k < taps[id.x * 3u + 2u]; k++) {
    let x = begin + i32(k);
    if (x < 0 || x >= i32(p.width)) { continue; }
    let pixel = textureLoad(picture, vec2i(x, i32(p.first + id.y)), 0) * 255.0;
    let alpha = bitcast<f32>(taps[at + k]) * pixel.w;
    sum += vec4f(pixel.xyz * (alpha / 255.0), alpha);
  }
  lines[id.y * p.columns + id.x] = sum;
}`;

const LAY = /* wgsl */ `
struct Lay {
  under: vec4f, mean: vec4f, spread: vec4f, beyond: vec4f,
  order: vec4u,
  columns: u32, rows: u32, left: u32, top: u32,
  inner_columns: u32, inner_rows: u32, first: u32, height: u32,
  count: u32, step: u32, apart: u32, grey: u32,
}
@group(0) @binding(0) var<storage, read> taps: array<u32>;
@group(0) @binding(1) var<storage, read> lines: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> tensor: array<f32>;
@group(0) @binding(3) var<uniform> p: Lay;
@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.columns || id.y >= p.rows) { return; }
  let to = (id.y * p.columns + id.x) * p.step;
  let at = vec2u(id.x - p.left, id.y - p.top);
  // What lies left of the place or above wraps around to far beyond it.
  if (at.x >= p.inner_columns || at.y >= p.inner_rows) {
    for (var c = 0u; c < p.count; c++) { tensor[to + c * p.apart] = p.beyond[c]; }
    return;
  }
  var sum = vec4f();
  for (var k = 0u; k < taps[at.y * 3u + 2u]; k++) {
    let y = bitcast<i32>(taps[at.y * 3u]) + i32(k) - i32(p.first);
    if (y < 0 || y >= i32(p.height)) { continue; }
    sum += bitcast<f32>(taps[taps[at.y * 3u + 1u] + k]) * lines[u32(y) * p.inner_columns + at.x];
  }
  let alpha = sum.w / 255.0;
  var colour = vec4f(sum.xyz + (1.0 - alpha) * p.under.xyz, sum.w);
  if (p.count == 4u) { colour = vec4f(select(vec3f(), sum.xyz / alpha, alpha > 0.0), sum.w); }
  if (p.grey == 1u) { colour = vec4f(dot(colour.xyz, vec3f(${GREY.join(', ')}))); }
  for (var c = 0u; c < p.count; c++) {
    tensor[to + c * p.apart] = (colour[p.order[c]] / 255.0 - p.mean[c]) / p.spread[c];
  }
}`;

/** Pipelines by device. */
const made = new WeakMap();

function pipelines(device) {
  if (!made.has(device)) {
    const one = (code) => device.createComputePipelineAsync({ layout: 'auto', compute: { module: device.createShaderModule({ code }) } });
    made.set(device, Promise.all([one(SCALE), one(LAY)]));
  }
  return made.get(device);
}

/** Taps as words: where each begins, where its weights are, how many; then the weights. */
function words(list) {
  const out = new ArrayBuffer(4 * list.reduce((sum, { weights }) => sum + 3 + weights.length, 0));
  const [whole, floats] = [new Int32Array(out), new Float32Array(out)];
  let at = list.length * 3;
  for (const [i, { first, weights }] of list.entries()) {
    whole.set([first, at, weights.length], i * 3);
    floats.set(weights, at);
    at += weights.length;
  }
  return out;
}

/** Writes `asked`, what `picture.js` makes of the options, of `source` into `buffer` of `device`: whether it could. */
export async function painted(source, asked, device, buffer) {
  const { width, height, place, rows, columns, form, background } = asked;
  const { limits } = device;
  const across = taps(place.region.x, place.region.x + place.region.width, place.columns);
  const down = taps(place.region.y, place.region.y + place.region.height, place.rows);
  const first = Math.min(Math.max(0, down[0].first), height - 1);
  const last = Math.max(first, Math.min(height - 1, down.at(-1).first + down.at(-1).weights.length - 1));
  const lines = (last - first + 1) * place.columns * 16;
  if (Math.max(width, height) > limits.maxTextureDimension2D || lines > limits.maxStorageBufferBindingSize) return false;
  const [scale, lay] = await pipelines(device);
  const held = [];
  const hold = (usage, data, size = data.byteLength) => {
    const one = device.createBuffer({ size: Math.ceil(size / 16) * 16, usage });
    held.push(one);
    if (data) device.queue.writeBuffer(one, 0, data);
    return { buffer: one };
  };
  const { STORAGE, UNIFORM, COPY_DST } = GPUBufferUsage;
  const { TEXTURE_BINDING, RENDER_ATTACHMENT, COPY_DST: PASTED } = GPUTextureUsage;
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  let thrown;
  try {
    const texture = device.createTexture({ size: [width, height], format: 'rgba8unorm', usage: TEXTURE_BINDING | RENDER_ATTACHMENT | PASTED });
    held.push(texture);
    device.queue.copyExternalImageToTexture({ source }, { texture, colorSpace: 'srgb', premultipliedAlpha: false }, [width, height]);
    const { order, grey, rows: interleaved, mean, std } = form;
    const count = order.length;
    const [step, apart] = interleaved ? [count, 1] : [1, rows * columns];
    const four = (list) => [...list, 0, 0, 0, 0].slice(0, 4);
    const numbers = new ArrayBuffer(128);
    const reals = [background, mean, std, beyond(asked)].flatMap(four);
    new Float32Array(numbers, 0, 16).set(reals);
    const { left, top } = place;
    const whole = [columns, rows, left, top, place.columns, place.rows, first, last - first + 1, count, step, apart, grey ? 1 : 0];
    new Uint32Array(numbers, 64).set([...four(order), ...whole]);
    const between = hold(STORAGE, undefined, lines);
    const sizes = Uint32Array.of(width, first, last - first + 1, place.columns);
    const passes = [
      [scale, [texture.createView(), hold(STORAGE | COPY_DST, words(across)), between, hold(UNIFORM | COPY_DST, sizes)], [place.columns, last - first + 1]],
      [lay, [hold(STORAGE | COPY_DST, words(down)), between, { buffer }, hold(UNIFORM | COPY_DST, numbers)], [columns, rows]],
    ];
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const [pipeline, bound, size] of passes) {
      const entries = bound.map((resource, binding) => ({ binding, resource }));
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
      pass.dispatchWorkgroups(...size.map((n) => Math.ceil(n / 8)));
    }
    pass.end();
    device.queue.submit([encoder.finish()]);
  } catch (error) {
    thrown = error;
  } finally {
    // What was submitted keeps what it needs.
    held.forEach((one) => one.destroy());
  }
  const errors = [await device.popErrorScope(), await device.popErrorScope()];
  // A picture of another origin is refused as it is elsewhere, where its pixels are asked for.
  return thrown === undefined && errors.every((error) => error === null);
}
