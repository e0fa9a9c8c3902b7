// Whether a context computes pictures sooner whose channels come last: where it prefers them so, and a small graph of both kinds took
// less. Knows the context; must never know a model.

const [SIDE, CHANNELS, REPEATS] = [24, 32, 15];
const FIRST = { sizes: [1, CHANNELS, SIDE, SIDE], axes: [2, 3], layout: 'nchw' };
const LAST = { sizes: [1, SIDE, SIDE, CHANNELS], axes: [1, 2], layout: 'nhwc' };

/** A block as models have it: a convolution, a gate of its means, and their product. */
function block(builder, x, { axes, layout }) {
  const filled = (shape) => builder.constant({ dataType: 'float32', shape }, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.01));
  const convolved = (of, side) => builder.conv2d(of, filled([CHANNELS, CHANNELS, side, side]), { padding: Array(4).fill(side >> 1), inputLayout: layout, filterLayout: 'oihw' });
  const y = builder.hardSwish(convolved(x, 3));
  const means = builder.reduceMean(y, { axes, keepDimensions: true });
  return builder.mul(y, builder.hardSigmoid(convolved(means, 1), { alpha: 0.2, beta: 0.5 }));
}

/** A graph of some blocks, ready to run: a function that gives what a run took. */
async function prepared(context, kind) {
  const builder = new MLGraphBuilder(context);
  const described = { dataType: 'float32', shape: FIRST.sizes };
  const turned = kind === LAST;
  let y = builder.input('x', described);
  if (turned) y = builder.transpose(y, { permutation: [0, 2, 3, 1] });
  for (let i = 0; i < 4; i++) y = block(builder, y, kind);
  if (turned) y = builder.transpose(y, { permutation: [0, 3, 1, 2] });
  const graph = await builder.build({ y });
  const x = await context.createTensor({ ...described, writable: true });
  const out = await context.createTensor({ ...described, readable: true });
  context.writeTensor(x, new Float32Array(SIDE * SIDE * CHANNELS).fill(0.5));
  const run = async () => {
    const began = performance.now();
    context.dispatch(graph, { x }, { y: out });
    await context.readTensor(out);
    return performance.now() - began;
  };
  return { run, end: () => [x, out].forEach((tensor) => tensor.destroy()) || graph.destroy?.() };
}

/** Whether pictures are to have their channels last. */
export async function channelsLast(context) {
  if (context.opSupportLimits().preferredInputLayout !== 'nhwc') return false;
  const both = [];
  try {
    for (const kind of [FIRST, LAST]) both.push(await prepared(context, kind));
    // In turns: whatever else the machine does is in both.
    const saved = [];
    for (let i = 0; i < REPEATS; i++) {
      const [first, last] = [await both[0].run(), await both[1].run()];
      saved.push(first - last);
    }
    return saved.sort((a, b) => a - b)[REPEATS >> 1] > 0;
  } catch {
    // What cannot be built so is not.
    return false;
  } finally {
    both.forEach(({ end }) => end());
  }
}
