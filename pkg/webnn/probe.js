// What a WebNN context reaches: small graphs, timed. Knows the context; must never know a model.

const REPEATS = 7;

/** Seconds that a graph takes from dispatch until its result was read: the median. `make` gives its output from a builder. */
async function seconds(context, shape, make) {
  const builder = new MLGraphBuilder(context);
  const described = { dataType: 'float32', shape };
  const y = make(builder, builder.input('x', described));
  const graph = await builder.build({ y });
  const x = await context.createTensor({ ...described, writable: true });
  context.writeTensor(x, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5));
  const out = await context.createTensor({ dataType: 'float32', shape: y.shape, readable: true });
  const times = [];
  for (let i = 0; i < REPEATS; i++) {
    const began = performance.now();
    context.dispatch(graph, { x }, { y: out });
    await context.readTensor(out);
    times.push((performance.now() - began) / 1e3);
  }
  for (const one of [x, out]) one.destroy();
  graph.destroy?.();
  return times.sort((a, b) => a - b)[REPEATS >> 1];
}

const filled = (builder, shape) =>
  builder.constant({ dataType: 'float32', shape }, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.01));

/** What is left of a result: its first element, so that reading it back takes nothing. */
const one = (builder, y) => builder.slice(y, y.shape.map(() => 0), y.shape.map(() => 1));

const SIDE = 512;
const LONG = 1 << 20;

/** Ceilings, as `wire::Answer::Ceilings` tells them. */
export async function ceilings(context) {
  const least = await seconds(context, [1], (builder, x) => builder.relu(x));
  const products = await seconds(context, [SIDE, SIDE], (builder, x) => one(builder, builder.matmul(x, filled(builder, [SIDE, SIDE]))));
  const sums = await seconds(context, [LONG], (builder, x) => one(builder, builder.relu(x)));
  const rest = (all) => Math.max(all - least, all / 10);
  return { flops_per_s: (2 * SIDE ** 3) / rest(products), bytes_per_s: (8 * LONG) / rest(sums), dispatch_s: Math.max(least / 20, 1e-9) };
}

/** Of each class a graph: its input's shape, what it computes, operations and bytes. */
const SMALL = {
  matmul: [[256, 256], (b, x) => b.matmul(x, filled(b, [256, 256])), 2 * 256 ** 3, 12 * 256 ** 2],
  conv: [[1, 64, 28, 28], (b, x) => b.conv2d(x, filled(b, [64, 64, 3, 3]), { padding: [1, 1, 1, 1] }), 2 * 64 * 784 * 576, 8 * 64 * 784],
  depthwise: [[1, 64, 28, 28], (b, x) => b.conv2d(x, filled(b, [64, 1, 3, 3]), { padding: [1, 1, 1, 1], groups: 64 }), 2 * 64 * 784 * 9, 8 * 64 * 784],
  pool: [[1, 64, 28, 28], (b, x) => b.maxPool2d(x, { windowDimensions: [3, 3], padding: [1, 1, 1, 1] }), 64 * 784 * 9, 8 * 64 * 784],
  elementwise: [[1 << 16], (b, x) => b.sigmoid(x), 1 << 16, 8 << 16],
  movement: [[256, 256], (b, x) => b.transpose(x), 0, 8 << 16],
  reduce: [[256, 256], (b, x) => b.softmax(x, 1), 4 << 16, 8 << 16],
  gemv: [[1, 1024], (b, x) => b.matmul(x, filled(b, [1024, 512])), 2 << 19, 4 << 19],
};

/** The share of its ceilings that a class reaches. */
export async function reached(context, cls, { flops_per_s, bytes_per_s }) {
  const [shape, make, flops, bytes] = SMALL[cls];
  const least = await seconds(context, [1], (builder, x) => builder.relu(x));
  const all = await seconds(context, shape, (builder, x) => one(builder, make(builder, x)));
  const took = Math.max(all - least, all / 20);
  return Math.min(1, Math.max(1e-3, Math.max(flops / flops_per_s, bytes / bytes_per_s) / took));
}
