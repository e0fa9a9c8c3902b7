// In how many bits a WebNN context multiplies and adds: products whose exact results need all of a float32. Knows the context; must
// never know a model.

const SIDE = 32;
/** Significant bits of a float32. */
const FLOAT32 = 24;
/** Sums of 1 and these powers of 2 are exact in so many bits and one more. */
const POWERS = [7, 10, 12, 16, 20, 23];

const at = (row, column) => row * SIDE + column;

/** Row `k` has one factor of `k + 1` bits, later ones two summands; times `WEIGHTS` these are elements and sums of rows. */
const FACTORS = new Float32Array(SIDE ** 2);
for (let k = 1; k < FLOAT32; k++) FACTORS[at(k, k)] = 1 + 2 ** -k;
POWERS.forEach((power, i) => FACTORS.set([2 ** power, 1], at(FLOAT32 + i, FLOAT32)));

const LAST = SIDE - 1;
const WEIGHTS = new Float32Array(SIDE ** 2);
for (let i = 0; i < SIDE; i++) {
  WEIGHTS[at(i, i)] = 1;
  WEIGHTS[at(i, LAST)] = 1;
}

const constant = (builder, shape, data) => builder.constant({ dataType: 'float32', shape }, data);

/** The product of both, as graphs make it. */
export const PRODUCTS = {
  matmul: (builder, x) => builder.matmul(x, constant(builder, [SIDE, SIDE], WEIGHTS)),
  conv: (builder, x) => {
    const filter = WEIGHTS.map((_, i) => WEIGHTS[at(i % SIDE, Math.floor(i / SIDE))]);
    const picture = builder.reshape(builder.transpose(x, { permutation: [1, 0] }), [1, SIDE, SIDE, 1]);
    const y = builder.conv2d(picture, constant(builder, [SIDE, SIDE, 1, 1], filter));
    return builder.transpose(builder.reshape(y, [SIDE, SIDE]), { permutation: [1, 0] });
  },
};

/** Significant bits that `make`'s product keeps of factors and of sums. */
export async function bitsOf(context, make) {
  const builder = new MLGraphBuilder(context);
  const described = { dataType: 'float32', shape: [SIDE, SIDE] };
  const graph = await builder.build({ y: make(builder, builder.input('x', described)) });
  const x = await context.createTensor({ ...described, writable: true });
  const out = await context.createTensor({ ...described, readable: true });
  context.writeTensor(x, FACTORS);
  context.dispatch(graph, { x }, { y: out });
  const y = new Float32Array(await context.readTensor(out));
  for (const one of [x, out]) one.destroy();
  graph.destroy?.();
  let factors = 1;
  while (factors < FLOAT32 && y[at(factors, factors)] === 1 + 2 ** -factors) factors++;
  const wrong = POWERS.findIndex((power, i) => y[at(FLOAT32 + i, LAST)] !== 2 ** power + 1);
  const sums = wrong < 0 ? FLOAT32 : wrong === 0 ? 1 : POWERS[wrong - 1] + 1;
  return Math.min(factors, sums);
}

/** By name: what it computes in float32, and what in fewer bits. */
export async function precision(context) {
  const told = [];
  for (const [name, make] of Object.entries(PRODUCTS)) {
    const bits = await bitsOf(context, make).catch(() => undefined);
    if (bits !== undefined) told.push(bits === FLOAT32 ? `${name}-float32` : `${name}-${bits}-bits`);
  }
  return told;
}
