// Pictures and sound into tensors and back: exact pixels through every kind of source that the browser has, sines through the filter.

import { Pool, Tensor } from '../pkg/index.js';
import { assert, equal, fails, test } from './harness.js';

/** 2 rows of 3 opaque pixels, no two channels alike. */
const PIXELS = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30], [200, 100, 50], [255, 255, 255]];
const rgba = (list) => Uint8ClampedArray.from(list.flatMap((pixel) => (pixel.length === 4 ? pixel : [...pixel, 255])));
const picture = (list = PIXELS, width = 3) => new ImageData(rgba(list), width);
const plane = (c, list = PIXELS) => list.map((pixel) => pixel[c]);
const bytes = async (source, options) => Array.from((await Tensor.fromImage(source, { dtype: 'uint8', ...options })).data);

function canvas(kind = OffscreenCanvas, image = picture()) {
  const made = kind === OffscreenCanvas ? new OffscreenCanvas(image.width, image.height) : document.createElement('canvas');
  Object.assign(made, { width: image.width, height: image.height });
  made.getContext('2d').putImageData(image, 0, 0);
  return made;
}

function near(actual, expected, bound, what) {
  equal(actual.length, expected.length, `${what}: length`);
  for (let i = 0; i < expected.length; i++) assert(Math.abs(actual[i] - expected[i]) <= bound, `${what}: element ${i} is ${actual[i]}, not ${expected[i]}`);
}

const png = () => canvas().convertToBlob({ type: 'image/png' });

async function image() {
  const element = new Image();
  element.src = URL.createObjectURL(await png());
  await element.decode();
  return element;
}

/** A video of one colour: what a codec leaves of it is near, not equal. */
async function video(colour) {
  const made = document.createElement('canvas');
  Object.assign(made, { width: 64, height: 32 });
  const context = made.getContext('2d');
  context.fillStyle = `rgb(${colour})`;
  const element = Object.assign(document.createElement('video'), { muted: true, srcObject: made.captureStream(30) });
  // A stream has a frame for each time that its canvas is drawn on.
  const drawing = setInterval(() => context.fillRect(0, 0, 64, 32), 20);
  try {
    await element.play();
    for (let i = 0; element.readyState < 2 && i < 100; i++) await new Promise((done) => setTimeout(done, 20));
  } finally {
    clearInterval(drawing);
  }
  return element;
}

test('pictures: every kind of source gives the same pixels', async () => {
  const wanted = [0, 1, 2].flatMap((c) => plane(c));
  const kinds = {
    ImageData: async () => picture(),
    ImageBitmap: () => createImageBitmap(picture()),
    OffscreenCanvas: async () => canvas(),
    HTMLCanvasElement: async () => canvas(HTMLCanvasElement),
    HTMLImageElement: image,
    Blob: png,
    File: async () => new File([await png()], 'six.png'),
  };
  if (globalThis.VideoFrame) kinds.VideoFrame = async () => new VideoFrame(rgba(PIXELS), { format: 'RGBA', codedWidth: 3, codedHeight: 2, timestamp: 0 });
  for (const [kind, make] of Object.entries(kinds)) {
    const tensor = await Tensor.fromImage(await make(), { dtype: 'uint8' });
    equal([tensor.type, tensor.dims, Array.from(tensor.data)], ['uint8', [1, 3, 2, 3], wanted], kind);
  }
  const element = await video([200, 40, 90]);
  const tensor = await Tensor.fromImage(element, { layout: 'nhwc' });
  equal(tensor.dims, [1, 32, 64, 3], 'a video');
  near(Array.from(tensor.data.slice(0, 3)), [200, 40, 90].map((v) => v / 255), 0.03, 'a video');
  element.srcObject.getTracks().forEach((track) => track.stop());
  return Object.keys(kinds).join(', ');
});

test('pictures: layouts, channels and types lay the same pixels out', async () => {
  equal(await bytes(picture(), { layout: 'nhwc' }), PIXELS.flat(), 'nhwc');
  equal(await bytes(picture(), { channels: 'bgr' }), [2, 1, 0].flatMap((c) => plane(c)), 'bgr');
  const grey = PIXELS.map(([r, g, b]) => Math.round(0.299 * r + 0.587 * g + 0.114 * b));
  equal(await bytes(picture(), { channels: 'gray' }), grey, 'gray');
  const whole = await Tensor.fromImage(picture(), { channels: 'rgba', layout: 'nhwc', dtype: 'int32' });
  equal([whole.dims, Array.from(whole.data)], [[1, 2, 3, 4], Array.from(rgba(PIXELS))], 'rgba, int32');
  const plain = await Tensor.fromImage(picture());
  equal([plain.type, plain.dims], ['float32', [1, 3, 2, 3]], 'what it is unless told otherwise');
  equal(Array.from(plain.data), Array.from(Float32Array.from([0, 1, 2].flatMap((c) => plane(c)), (v) => v / 255)), '0 to 1');
  if (globalThis.Float16Array) {
    const half = await Tensor.fromImage(picture(), { dtype: 'float16' });
    equal([half.type, half.data[3], Array.from((await half.toImageData()).data)], ['float16', Math.f16round(10 / 255), Array.from(rgba(PIXELS))], 'float16');
  }
  equal(Array.from((await Tensor.fromImage(picture(), { dtype: 'float64' })).data.slice(3, 4)), [10 / 255], 'float64');
});

test('pictures: mean and std are taken, and given back by toImageData', async () => {
  const [mean, std] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
  for (const layout of ['nchw', 'nhwc']) {
    for (const channels of ['rgb', 'bgr']) {
      const form = { layout, channels, mean, std };
      const tensor = await Tensor.fromImage(picture(), form);
      // The fifth pixel's first channel in the order.
      const [value] = channels === 'rgb' ? PIXELS[4] : PIXELS[4].toReversed();
      near([tensor.data[layout === 'nchw' ? 4 : 12]], [(value / 255 - mean[0]) / std[0]], 1e-6, `${layout} ${channels}`);
      const back = await tensor.toImageData(form);
      equal([back.width, back.height, Array.from(back.data)], [3, 2, Array.from(rgba(PIXELS))], `${layout} ${channels} and back`);
    }
  }
  const [first] = (await Tensor.fromImage(picture(), { mean: 0.5, std: 0.5 })).data;
  equal(first, 1, 'one number for all channels');
});

test('pictures: a smaller one is an average, a larger one linear, a crop its own part', async () => {
  const grey = (list, width) => picture(list.map((v) => [v, v, v]), width);
  const ramp = grey([0, 40, 80, 120, 160, 200, 240, 255], 4);
  equal(await bytes(ramp, { channels: 'gray', crop: { x: 1, y: 1, width: 2, height: 1 } }), [200, 240], 'crop');
  equal(await bytes(grey([0, 100], 2), { channels: 'gray', size: [1, 4] }), [0, 25, 75, 100], 'larger');
  equal(await bytes(grey([10, 30, 50, 70], 2), { channels: 'gray', size: [1, 1] }), [40], 'smaller');
  // A triangle of two steps: 1, 3, 3, 1 of 8 in the middle; at the ends what is there.
  equal(await bytes(grey([0, 0, 80, 80, 160, 160], 6), { channels: 'gray', size: [1, 3] }), [11, 80, 149], 'a triangle');
  equal(await bytes(grey([90], 1), { channels: 'gray', crop: { x: -1, y: -1, width: 3, height: 3 }, background: 7 }), [7, 7, 7, 7, 90, 7, 7, 7, 7], 'beyond');
});

test('pictures: fit is stretched, contained or covers', async () => {
  const wide = picture([[255, 0, 0], [0, 255, 0], [0, 255, 0], [0, 0, 255]], 4);
  const fitted = (fit, size) => bytes(wide, { fit, size, layout: 'nhwc', background: [1, 2, 3] });
  equal(await fitted('contain', [3, 4]), [...Array(4).fill([1, 2, 3]), [255, 0, 0], [0, 255, 0], [0, 255, 0], [0, 0, 255], ...Array(4).fill([1, 2, 3])].flat(), 'contain');
  const tall = await bytes(picture([[255, 0, 0], [0, 0, 255]], 1), { fit: 'contain', size: [2, 3], channels: 'gray', background: 9 });
  equal(tall, [9, 76, 9, 9, 29, 9], 'contain, at the sides');
  equal(await fitted('cover', [1, 2]), [[0, 255, 0], [0, 255, 0]].flat(), 'cover');
  equal(await fitted('stretch', [2, 4]), [[255, 0, 0], [0, 255, 0], [0, 255, 0], [0, 0, 255], [255, 0, 0], [0, 255, 0], [0, 255, 0], [0, 0, 255]].flat(), 'stretch');
});

test('pictures: what is transparent shows its background, or says so', async () => {
  const glass = picture([[200, 100, 50, 128], [9, 9, 9, 0]], 2);
  equal(await bytes(glass, { layout: 'nhwc' }), [100, 50, 25, 0, 0, 0], 'over black');
  equal(await bytes(glass, { layout: 'nhwc', background: 255 }), [227, 177, 152, 255, 255, 255], 'over white');
  equal(await bytes(glass, { layout: 'nhwc', channels: 'rgba' }), [200, 100, 50, 128, 0, 0, 0, 0], 'with alpha');
  // A canvas keeps colours times alpha: half of them may be off by one.
  near(await bytes(canvas(OffscreenCanvas, glass), { layout: 'nhwc' }), [100, 50, 25, 0, 0, 0], 1, 'from a canvas');
});

test('pictures: a tensor becomes a data URL and the same tensor again, also from the GPU’s place', async () => {
  const tensor = await Tensor.fromImage(picture());
  const url = await tensor.toDataURL();
  assert(url.startsWith('data:image/png;base64,'), url.slice(0, 40));
  const again = await Tensor.fromImage(await (await fetch(url)).blob());
  equal(Array.from(again.data), Array.from(tensor.data), 'again');
  assert((await tensor.toDataURL({ type: 'image/webp', quality: 0.5 })).startsWith('data:image/webp;'), 'WebP');
  const pool = await Pool.create({ lanes: ['cpu'], measure: 'asked', records: 'none' });
  const held = await pool.upload(tensor);
  equal(Array.from((await held.toImageData()).data), Array.from(rgba(PIXELS)), 'read first');
  held.dispose();
  await fails('closed', ['disposed'], () => held.toImageData());
  await pool.close();
  const two = new Tensor('uint8', [1, 2, 3, 4], [2, 1, 1, 2]);
  equal(Array.from((await two.toImageData({ index: 1 })).data), [3, 3, 3, 255, 4, 4, 4, 255], 'the second of a batch');
});

test('pictures: what is no picture is refused', async () => {
  const refused = (part, source, options) => fails('invalid-input', [part], () => Tensor.fromImage(source, options));
  for (const nothing of [null, undefined, 'cat.png', {}, new Uint8Array(4)]) await refused('a picture comes from', nothing);
  await refused('has not loaded', new Image());
  await refused('has not loaded', Object.assign(new Image(), { src: '/nothing.png' }));
  await refused('no frame yet', document.createElement('video'));
  await refused('0 × 5 pixels', Object.assign(document.createElement('canvas'), { width: 0, height: 5 }));
  const bitmap = await createImageBitmap(picture());
  bitmap.close();
  await refused('0 × 0 pixels', bitmap);
  await refused('no picture that this browser reads', new Blob(['no picture']));
  await refused('of another origin', await tainted());
  for (const [part, options] of [
    ['size [0,4]', { size: [0, 4] }], ['size [4]', { size: [4] }], ['layout', { layout: 'hwc' }], ["'rbg'", { channels: 'rbg' }],
    ['fit', { fit: 'fill' }], ["'int8'", { dtype: 'int8' }], ['std has a 0', { std: [1, 0, 1] }], ['3 of them', { mean: [0.5, 0.5] }],
    ['not for uint8', { dtype: 'uint8', std: 2 }], ['a crop is', { crop: { x: 0, y: 0, width: 0, height: 1 } }], ['background', { background: 'red' }],
  ]) await refused(part, picture(), options);
  const back = (part, dims, options, type = 'float32') => fails('invalid-input', [part], () => new Tensor(type, Array(dims.reduce((a, b) => a * b, 1)).fill(0), dims).toImageData(options));
  await back('not those of a picture', [4, 4]);
  await back('2 channels', [1, 2, 3, 3]);
  await back('no picture 1', [1, 3, 2, 2], { index: 1 });
  await back('rgba has 4', [3, 2, 2], { channels: 'rgba' });
  await back('no pixels', [1, 3, 0, 2]);
  await back('bool', [1, 3, 1, 1], {}, 'bool');
});

/** A canvas that was drawn on with a picture of another origin, which may be seen and not read. */
async function tainted() {
  const other = Object.assign(new Image(), { src: `http://localhost:${location.port}/tests/pixel.svg` });
  await other.decode();
  const made = Object.assign(document.createElement('canvas'), { width: 4, height: 4 });
  made.getContext('2d').drawImage(other, 0, 0);
  return made;
}

const sine = (frequency, rate, seconds, amplitude = 1) =>
  Float32Array.from({ length: rate * seconds }, (_, i) => amplitude * Math.sin((2 * Math.PI * frequency * i) / rate));

test('sound: sines of other rates are the same sines', async () => {
  let worst = 0;
  for (const [from, to, frequency] of [[44100, 16000, 440], [48000, 16000, 7000], [8000, 22050, 3500], [44100, 22050, 9900], [22050, 44100, 9900], [44101, 16000, 1000]]) {
    const tensor = await Tensor.fromAudio({ channels: [sine(frequency, from, 1)], rate: from }, { rate: to });
    equal([tensor.type, tensor.dims], ['float32', [1, to]], `${from} to ${to}`);
    const wanted = sine(frequency, to, 1);
    // At the ends there is silence beyond.
    for (let i = Math.round(to / 10); i < to * 0.9; i++) worst = Math.max(worst, Math.abs(tensor.data[i] - wanted[i]));
  }
  assert(worst <= 1e-3, `off by ${worst}`);
  const high = await Tensor.fromAudio({ channels: [sine(8050, 44100, 1)], rate: 44100 }, { rate: 16000 });
  const loudest = high.data.slice(1600, 14400).reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  assert(loudest <= 1e-4, `${loudest} of what 16 kHz cannot hold`);
  return `off by ${worst.toExponential(1)}, ${loudest.toExponential(1)} of what cannot be held`;
});

test('sound: channels become one, or stay; an AudioBuffer is one of its rate', async () => {
  const channels = [Float32Array.of(1, 0, 0.5), Float32Array.of(0, 0.5, 0.5)];
  const mono = await Tensor.fromAudio({ channels, rate: 8000 });
  equal([mono.dims, Array.from(mono.data)], [[1, 3], [0.5, 0.25, 0.5]], 'mono');
  const both = await Tensor.fromAudio({ channels, rate: 8000 }, { mono: false });
  equal([both.dims, Array.from(both.data)], [[2, 3], [1, 0, 0.5, 0, 0.5, 0.5]], 'both');
  const buffer = new AudioBuffer({ length: 4410, numberOfChannels: 2, sampleRate: 44100 });
  buffer.getChannelData(0).fill(0.5);
  const level = await Tensor.fromAudio(buffer, { rate: 16000 });
  equal(level.dims, [1, 1600], 'an AudioBuffer');
  near([level.data[800]], [0.25], 1e-6, 'its level');
});

test('sound: what is no sound is refused', async () => {
  const refused = (part, source, options) => fails('invalid-input', [part], () => Tensor.fromAudio(source, options));
  const one = { channels: [new Float32Array(8)], rate: 8000 };
  for (const nothing of [null, 'song.mp3', new Float32Array(8), {}]) await refused('a sound comes from', nothing);
  await refused('empty', { channels: [], rate: 8000 });
  await refused('empty', { channels: [new Float32Array(0)], rate: 8000 });
  await refused('differ in length: 8, 9', { channels: [new Float32Array(8), new Float32Array(9)], rate: 8000 });
  await refused('Float32Arrays', { channels: [[1, 2]], rate: 8000 });
  for (const rate of [0, 22050.5, NaN, 1e9]) await refused(`not ${rate}`, one, { rate });
  await refused('not undefined', { channels: one.channels });
});

test('a worker makes the same of pictures and sound', async () => {
  const code = `import { Tensor } from ${JSON.stringify(new URL('../pkg/index.js', import.meta.url).href)};
    onmessage = async ({ data: [blob, sound] }) => {
      try {
        const picture = await Tensor.fromImage(blob, { size: [4, 5] });
        postMessage([picture.data, await picture.toDataURL(), (await Tensor.fromAudio(sound, { rate: 16000 })).data]);
      } catch (error) {
        postMessage([[], error.message, []]);
      }
    };
    postMessage('ready');`;
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })), { type: 'module' });
  const next = () => new Promise((done, failed) => Object.assign(worker, { onmessage: (e) => done(e.data), onerror: (e) => failed(new Error(e.message)) }));
  await next();
  const [blob, sound] = [await png(), { channels: [sine(440, 44100, 1)], rate: 44100 }];
  worker.postMessage([blob, sound]);
  const [pixels, url, samples] = await next();
  const here = await Tensor.fromImage(blob, { size: [4, 5] });
  equal(url, await here.toDataURL(), 'data URL');
  equal(Array.from(pixels), Array.from(here.data), 'pixels');
  equal(Array.from(samples), Array.from((await Tensor.fromAudio(sound, { rate: 16000 })).data), 'samples');
  worker.terminate();
});
