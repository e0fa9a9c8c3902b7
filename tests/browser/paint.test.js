// Pictures that go to the GPU without coming to the processor: the same elements as by the processor, from every kind of source, and fed
// to a model from there.

import { Pool, Tensor } from '../pkg/index.js';
import { assert, equal, fails, test } from './harness.js';
import { catalogue, feedsOf } from '../work.js';

/** Colours of which no two neighbours are alike; `alpha` of each pixel. */
function picture(width, height, alpha = () => 255) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) image.data.set([(i * 37) % 256, (i * 101 + 7) % 256, (i * i) % 256, alpha(i)], i * 4);
  return image;
}

function canvas(image) {
  const made = new OffscreenCanvas(image.width, image.height);
  made.getContext('2d').putImageData(image, 0, 0);
  return made;
}

const FORMS = [
  {},
  { size: [10, 12] },
  { size: [64, 50], mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  { size: [30, 30], fit: 'contain', background: [10, 200, 30], channels: 'bgr' },
  { size: [30, 9], fit: 'contain', background: 90, channels: 'gray', layout: 'nhwc' },
  { size: [16, 16], fit: 'cover', layout: 'nhwc' },
  { crop: { x: -3, y: 4.5, width: 20.25, height: 30 }, size: [11, 13], background: 255 },
  { size: [7, 5], channels: 'rgba' },
];

test('painted pictures have the elements that the processor gives them, in every form', async () => {
  const pool = await Pool.create({ lanes: ['gpu'], measure: 'asked', records: 'none' });
  const image = picture(41, 23);
  const sources = { ImageData: image, OffscreenCanvas: canvas(image), ImageBitmap: await createImageBitmap(image), Blob: await canvas(image).convertToBlob() };
  const before = pool.traffic().uploadedBytes;
  let [painted, tried] = [0, 0];
  for (const [kind, source] of Object.entries(sources)) {
    for (const form of FORMS) {
      const [there, here] = await Promise.all([Tensor.fromImage(source, { ...form, pool }), Tensor.fromImage(source, form)]);
      equal(there.dims, here.dims, `${kind}: dims`);
      tried += 1;
      painted += there.location === 'gpu' ? 1 : 0;
      const [a, b] = [await there.getData(), here.data];
      for (let i = 0; i < b.length; i++) assert(Math.abs(a[i] - b[i]) <= 2e-5 * Math.max(1, Math.abs(b[i])), `${kind} ${JSON.stringify(form)}: element ${i} is ${a[i]}, not ${b[i]}`);
      there.dispose();
    }
  }
  equal(pool.traffic().uploadedBytes, before, 'bytes brought up by the pool');
  // A browser may lack one kind of source; then the elements came by the processor, which is as right.
  assert(painted >= FORMS.length * 3, `only ${painted} of ${tried} were painted`);
  await pool.close();
  return `${painted} of ${tried} on the GPU`;
});

test('painted pictures: alpha is told or shows what lies under', async () => {
  const pool = await Pool.create({ lanes: ['gpu'], measure: 'asked', records: 'none' });
  const glass = picture(9, 8, (i) => (i * 31) % 256);
  for (const form of [{ size: [5, 4], background: 200 }, { size: [4, 4], channels: 'rgba' }]) {
    const [there, here] = [await Tensor.fromImage(glass, { ...form, pool }), await Tensor.fromImage(glass, form)];
    const a = await there.getData();
    // A browser that keeps colours times alpha rounds those of nearly clear pixels.
    const off = a.reduce((most, value, i) => Math.max(most, Math.abs(value - here.data[i])), 0);
    assert(off <= 2 / 255, `${JSON.stringify(form)} is off by ${off}`);
  }
  await pool.close();
});

test('painted pictures are fed to a model from where they are', async () => {
  const pool = await Pool.create({ lanes: ['gpu'], measure: 'asked', records: 'none' });
  const model = (await catalogue()).find(({ name }) => name === 'squeezenet1_1');
  const session = await pool.load(model.url, { name: model.name });
  const [[name, { dims }]] = Object.entries(await feedsOf(model));
  const options = { size: dims.slice(2), mean: 0.5, std: 0.25 };
  const image = picture(100, 80);
  const there = await Tensor.fromImage(image, { ...options, pool });
  const here = await Tensor.fromImage(image, options);
  const [[a], [b]] = [await session.run({ [name]: there }), await session.run({ [name]: here })].map(Object.values);
  const off = a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b.data[i])), 0);
  assert(off <= 1e-3, `the outputs differ by ${off}`);
  there.dispose();
  const bytes = pool.memory();
  await (await Tensor.fromImage(image, { ...options, pool })).dispose();
  equal(pool.memory().tensors, bytes.tensors, 'bytes of tensors after one was let go of');
  await pool.close();
  await fails('closed', [], () => Tensor.fromImage(image, { pool }));
});

test('pictures for pools without a GPU, in a worker, or of other types come by the processor', async () => {
  const image = picture(8, 8);
  for (const options of [{ lanes: ['cpu'] }, { lanes: ['gpu'], worker: true }]) {
    const pool = await Pool.create({ measure: 'asked', records: 'none', ...options });
    equal((await Tensor.fromImage(image, { pool })).location, 'cpu', JSON.stringify(options));
    await pool.close();
  }
  const pool = await Pool.create({ lanes: ['gpu'], measure: 'asked', records: 'none' });
  equal((await Tensor.fromImage(image, { pool, dtype: 'uint8' })).location, 'cpu', 'uint8');
  await pool.close();
  await fails('invalid-input', ['a Pool'], () => Tensor.fromImage(image, { pool: {} }));
});
