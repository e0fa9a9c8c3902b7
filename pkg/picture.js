// Pictures into elements of a tensor, and back: reads a source's pixels, scales them, and lays them out as a model wants them. The same
// numbers in every browser: only decoding is theirs. Knows canvases and pixels; must never know a pool or a model.

import { slices } from './breath.js';
import { ConsortError, refuse } from './inside.js';

const CHANNELS = { rgb: [0, 1, 2], bgr: [2, 1, 0], rgba: [0, 1, 2, 3], gray: [0] };
const TYPES = {
  float32: Float32Array,
  float64: Float64Array,
  float16: globalThis.Float16Array,
  uint8: Uint8Array,
  int32: Int32Array,
};
/** What each primary adds to a grey of BT.601, as JPEG has it. */
export const GREY = [0.299, 0.587, 0.114];

const tagOf = (value) => Object.prototype.toString.call(value).slice(8, -1);

/** Width and height of each kind of source, and what is still missing of it. */
const SOURCES = {
  ImageData: (s) => [s.width, s.height],
  ImageBitmap: (s) => [s.width, s.height],
  HTMLCanvasElement: (s) => [s.width, s.height],
  OffscreenCanvas: (s) => [s.width, s.height],
  VideoFrame: (s) => [s.displayWidth, s.displayHeight],
  HTMLImageElement: (s) => (s.complete && s.naturalWidth > 0 ? [s.naturalWidth, s.naturalHeight] : refuse('the image has not loaded: await its decode()')),
  HTMLVideoElement: (s) => (s.readyState >= 2 ? [s.videoWidth, s.videoHeight] : refuse('the video has no frame yet: wait for loadeddata')),
};

function canvasOf(width, height) {
  if (globalThis.OffscreenCanvas) return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement('canvas'), { width, height });
}

/** A canvas's context for `options`; a canvas that is too large has none. */
const contextOf = (canvas, options) => canvas.getContext('2d', options) ?? refuse(`there is no canvas of ${canvas.width} × ${canvas.height} pixels here`);

/** A source as the browser draws it, and its size: `{source, tag, width, height, end}`. */
async function drawable(given) {
  let [source, tag, bitmap] = [given, tagOf(given)];
  if (tag === 'Blob' || tag === 'File') {
    bitmap = await createImageBitmap(source).catch((error) => refuse(`the blob is no picture that this browser reads: ${error.message}`));
    [source, tag] = [bitmap, 'ImageBitmap'];
  }
  const measure = Object.hasOwn(SOURCES, tag) ? SOURCES[tag] : refuse(`a picture comes from ${Object.keys(SOURCES).join(', ')} or Blob, not from ${tag}`);
  const [width, height] = measure(source);
  if (!(width > 0 && height > 0)) refuse(`the ${tag} has ${width} × ${height} pixels: it is empty, closed or detached`);
  return { source, tag, width, height, end: () => bitmap?.close() };
}

/** The pixels of one as 8-bit sRGB with straight alpha: `{data, width, height}`. */
function pixels({ source, tag, width, height }) {
  const direct = tag === 'ImageData' && source.data instanceof Uint8ClampedArray && (source.colorSpace ?? 'srgb') === 'srgb';
  if (direct) return source;
  try {
    const context = contextOf(canvasOf(width, height), { willReadFrequently: true, colorSpace: 'srgb' });
    // ImageData of another colour space or depth is converted as it is put.
    if (tag === 'ImageData') context.putImageData(source, 0, 0);
    else context.drawImage(source, 0, 0, width, height);
    return context.getImageData(0, 0, width, height, { colorSpace: 'srgb' });
  } catch (error) {
    if (error instanceof ConsortError) throw error;
    if (error.name === 'SecurityError') refuse('the picture is of another origin, which does not let it be read: load it with crossOrigin and CORS');
    return refuse(`the pixels of the ${tag} cannot be read: ${error.message}`);
  }
}

const whole = (n) => Number.isSafeInteger(n) && n > 0;
const oneOf = (value, list, what) => (list.includes(value) ? value : refuse(`there is no ${what} '${value}': ${list.join(', ')}`));

/** `value` once for each of `count` channels. */
function each(value, count, what) {
  const list = typeof value === 'number' ? Array(count).fill(value) : Array.from(value ?? []);
  if (list.length !== count || !list.every(Number.isFinite)) refuse(`${what} must be a number, or ${count} of them`);
  return list;
}

/** The options of both directions, checked. */
function form({ channels, layout = 'nchw', mean = 0, std = 1 }) {
  const order = CHANNELS[oneOf(channels, Object.keys(CHANNELS), 'order of channels')];
  const spread = each(std, order.length, 'std');
  if (spread.includes(0)) refuse('std has a 0: nothing can be divided by it');
  return { order, grey: channels === 'gray', rows: oneOf(layout, ['nchw', 'nhwc'], 'layout') === 'nhwc', mean: each(mean, order.length, 'mean'), std: spread };
}

/**
 * Which elements between `low` and `high` make each of `count` results over `from` to `to`, and how much: a triangle as wide as two steps
 * of the coarser side, so that a smaller picture is an average and a larger one a straight line from pixel to pixel.
 */
export function taps(from, to, count) {
  const [low, high] = [Math.floor(from), Math.ceil(to)];
  const step = (to - from) / count;
  const reach = Math.max(1, step);
  return Array.from({ length: count }, (_, i) => {
    const centre = from + (i + 0.5) * step;
    // A pixel whose middle lies at the triangle's end weighs nothing.
    const first = Math.max(low, Math.floor(centre - reach + 0.5));
    const last = Math.min(high - 1, Math.ceil(centre + reach - 0.5) - 1);
    const weights = Array.from({ length: last - first + 1 }, (_, k) => Math.max(0, 1 - Math.abs(first + k + 0.5 - centre) / reach));
    const sum = weights.reduce((a, b) => a + b, 0);
    // A step that is narrower than its one pixel may miss the centres of all.
    return sum > 0 ? { first, weights: Float64Array.from(weights, (w) => w / sum) } : { first: Math.min(high - 1, Math.floor(centre)), weights: Float64Array.of(1) };
  });
}

/**
 * `columns` × `rows` pixels of the region, four numbers each: colours times alpha, and alpha, 0 to 255. Nothing lies beyond the picture.
 * Between rows the page has its turns, by `turn`.
 */
async function scaled({ data, width, height }, { x, y, width: w, height: h }, columns, rows, turn) {
  const across = taps(x, x + w, columns);
  const down = taps(y, y + h, rows);
  const lines = new Map();
  const line = (row) => {
    if (lines.has(row)) return lines.get(row);
    const out = new Float32Array(columns * 4);
    lines.set(row, out);
    if (row < 0 || row >= height) return out;
    for (let i = 0; i < columns; i++) {
      const { first, weights } = across[i];
      let r = 0;
      let g = 0;
      let b = 0;
      let a = 0;
      const end = Math.min(weights.length, width - first);
      for (let k = Math.max(0, -first), at = (row * width + first + k) * 4; k < end; k++, at += 4) {
        const alpha = weights[k] * data[at + 3];
        const part = alpha / 255;
        r += data[at] * part;
        g += data[at + 1] * part;
        b += data[at + 2] * part;
        a += alpha;
      }
      out[i * 4] = r;
      out[i * 4 + 1] = g;
      out[i * 4 + 2] = b;
      out[i * 4 + 3] = a;
    }
    return out;
  };
  const out = new Float32Array(rows * columns * 4);
  for (const [j, { first, weights }] of down.entries()) {
    await turn();
    // Rows are used in order: what lies above is needed no more.
    for (const row of lines.keys()) if (row < first) lines.delete(row);
    const to = j * columns * 4;
    for (const [k, weight] of weights.entries()) {
      const from = line(first + k);
      for (let i = 0; i < from.length; i++) out[to + i] += weight * from[i];
    }
  }
  return out;
}

/** Where a region goes in `[rows, columns]`: the region itself, which `cover` cuts, and the place that it fills. */
function placed(region, [rows, columns], fit) {
  const { x, y, width, height } = region;
  const [across, down] = [columns / width, rows / height];
  if (fit === 'cover') {
    const scale = Math.max(across, down);
    const [w, h] = [columns / scale, rows / scale];
    return { region: { x: x + (width - w) / 2, y: y + (height - h) / 2, width: w, height: h }, left: 0, top: 0, columns, rows };
  }
  if (fit !== 'contain') return { region, left: 0, top: 0, columns, rows };
  const scale = Math.min(across, down);
  const [w, h] = [width * scale, height * scale].map((side) => Math.max(1, Math.round(side)));
  return { region, left: (columns - w) >> 1, top: (rows - h) >> 1, columns: w, rows: h };
}

/** What `options` ask of a picture of that size, checked: where it goes, and in which form. */
function asked(options, { width, height }) {
  const { size, crop, fit = 'stretch', dtype = 'float32', background = 0, channels = 'rgb' } = options;
  const shape = form({ ...options, channels });
  oneOf(fit, ['stretch', 'contain', 'cover'], 'fit');
  oneOf(dtype, Object.keys(TYPES), 'type of elements for a picture');
  if (!TYPES[dtype]) refuse('this browser has no Float16Array');
  const float = dtype.startsWith('float');
  if (!float && (options.mean !== undefined || options.std !== undefined)) refuse(`mean and std are for floats, not for ${dtype}`);
  const under = each(background, 3, 'background');
  const region = crop ?? { x: 0, y: 0, width, height };
  if (!['x', 'y', 'width', 'height'].every((side) => Number.isFinite(region[side])) || region.width <= 0 || region.height <= 0) {
    refuse('a crop is { x, y, width, height } in pixels, and not empty');
  }
  const [rows, columns] = size ?? [region.height, region.width].map((side) => Math.max(1, Math.round(side)));
  if (!whole(rows) || !whole(columns)) refuse(`size [${size}] is not [height, width] in whole pixels`);
  const count = shape.order.length;
  const dims = shape.rows ? [1, rows, columns, count] : [1, count, rows, columns];
  return { form: shape, dtype, float, background: under, width, height, rows, columns, dims, place: placed(region, [rows, columns], fit) };
}

const grey = (of) => GREY[0] * of(0) + GREY[1] * of(1) + GREY[2] * of(2);

/** A colour of 0 to 255 as channel `c` has it. */
const elementOf = ({ form: { mean, std }, float }, c) =>
  float ? (value) => (value / 255 - mean[c]) / std[c] : (value) => Math.min(255, Math.max(0, Math.round(value)));

/** Each channel where the picture does not reach: nothing shows there where alpha is told. */
export function beyond(wanted) {
  const { form: { order, grey: luma }, background } = wanted;
  const colour = (k) => (order.length === 4 ? 0 : luma ? grey((i) => background[i]) : background[k]);
  return order.map((k, c) => elementOf(wanted, c)(colour(k)));
}

/** The elements of a picture's pixels: `{type, data, dims}`. */
async function elements(picture, wanted) {
  const { form: { order, grey: luma, rows: interleaved }, dtype, background: under, rows, columns, place, dims } = wanted;
  const turn = slices();
  const inner = await scaled(picture, place.region, place.columns, place.rows, turn);
  const count = order.length;
  const data = new TYPES[dtype](rows * columns * count);
  // Of transparent pixels the colour is told as it is, where alpha is told, or as it looks over the background.
  const colour = (at, k) => {
    const alpha = inner[at + 3] / 255;
    if (count < 4) return inner[at + k] + (1 - alpha) * under[k];
    return k === 3 ? inner[at + 3] : alpha > 0 ? inner[at + k] / alpha : 0;
  };
  const around = beyond(wanted);
  for (const [c, k] of order.entries()) {
    const element = elementOf(wanted, c);
    const [step, start] = interleaved ? [count, c] : [1, c * rows * columns];
    if (place.rows * place.columns < rows * columns) for (let i = 0; i < rows * columns; i++) data[start + i * step] = around[c];
    for (let row = 0, at = 0; row < place.rows; row++) {
      await turn();
      let to = start + ((row + place.top) * columns + place.left) * step;
      for (let column = 0; column < place.columns; column++, at += 4, to += step) {
        data[to] = element(luma ? grey((i) => colour(at, i)) : colour(at, k));
      }
    }
  }
  return { type: dtype, data, dims };
}

/**
 * What a tensor is made of for a picture: `{type, data, dims}`. Or `{type, there, dims}`, where `paint` wrote it, which is told the source
 * and what is asked of it, and gives what it wrote to, or nothing where it could not.
 */
export async function fromImage(source, options = {}, paint) {
  const drawn = await drawable(source);
  try {
    const wanted = asked(options, drawn);
    const there = wanted.dtype === 'float32' ? await paint?.(drawn.source, wanted) : undefined;
    return there === undefined ? await elements(pixels(drawn), wanted) : { type: wanted.dtype, there, dims: wanted.dims };
  } finally {
    drawn.end();
  }
}

/** The picture that a tensor's elements are. */
export async function toImageData({ type, dims }, data, options = {}) {
  const { index = 0, layout = 'nchw' } = options;
  const shape = dims.length === 3 ? [1, ...dims] : dims;
  if (shape.length !== 4) refuse(`dims [${dims}] are not those of a picture: 3, or 4 with a batch`);
  const [batch, rows, columns, count] = layout === 'nhwc' ? shape : [shape[0], shape[2], shape[3], shape[1]];
  const channels = options.channels ?? { 1: 'gray', 3: 'rgb', 4: 'rgba' }[count] ?? refuse(`dims [${dims}] as ${layout} have ${count} channels, not 1, 3 or 4`);
  const { order, grey, rows: interleaved, mean, std } = form({ ...options, layout, channels });
  if (order.length !== count) refuse(`dims [${dims}] as ${layout} have ${count} channels, and ${channels} has ${order.length}`);
  if (!Number.isSafeInteger(index) || index < 0 || index >= batch) refuse(`there is no picture ${index} in a batch of ${batch}`);
  if (!whole(rows) || !whole(columns)) refuse(`dims [${dims}] have no pixels`);
  // The bits of float16 are no numbers.
  if (type === 'bool' || (type === 'float16' && data instanceof Uint16Array)) refuse(`a picture is not made of ${type}`);
  const float = type.startsWith('float');
  const size = rows * columns;
  const out = new ImageData(columns, rows);
  const turn = slices();
  for (let i = 0; i < size; i++) {
    if (i % columns === 0) await turn();
    out.data[i * 4 + 3] = 255;
    for (let c = 0; c < count; c++) {
      const value = Number(data[index * size * count + (interleaved ? i * count + c : c * size + i)]) * std[c] + mean[c];
      // A clamped array rounds to the nearest.
      out.data[i * 4 + order[c]] = float ? value * 255 : value;
    }
    if (grey) out.data[i * 4 + 1] = out.data[i * 4 + 2] = out.data[i * 4];
  }
  return out;
}

/** A picture as a data URL of `type`, `quality` 0 to 1 where that loses something. */
export async function toDataURL(picture, { type = 'image/png', quality } = {}) {
  const canvas = canvasOf(picture.width, picture.height);
  contextOf(canvas).putImageData(picture, 0, 0);
  if (!canvas.convertToBlob) return canvas.toDataURL(type, quality);
  const bytes = new Uint8Array(await (await canvas.convertToBlob({ type, quality })).arrayBuffer());
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  // What the browser does not write becomes a PNG.
  const png = bytes[0] === 0x89 && bytes[1] === 0x50;
  return `data:${png ? 'image/png' : type};base64,${btoa(text)}`;
}
