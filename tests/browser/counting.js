// How many graphs of WebNN this realm has built and not let go of, and how many it was asked for, told to whoever listens. Those that
// have an output of `?fail=` rows cannot be built, and all wait from `held` on until it is over, as is answered. With `?halves` products are those of float16. Must
// be imported before what builds them.

const told = new BroadcastChannel('graphs');
const asked = new URL(location.href).searchParams;
const fail = Number(asked.get('fail') ?? NaN);
const live = new Set();
let failed = 0;
const say = (change) => {
  change();
  told.postMessage({ now: live.size, failed });
};

let goOn = Promise.resolve();
let release;
told.onmessage = ({ data: { held } }) => {
  if (held) goOn = new Promise((resolve) => (release = resolve));
  else release?.();
  told.postMessage({ holds: held, now: live.size, failed });
};

const { build, cast, matmul } = MLGraphBuilder.prototype;
MLGraphBuilder.prototype.build = async function (outputs) {
  if (Object.values(outputs).some(({ shape }) => shape.includes(fail))) {
    say(() => failed++);
    throw new DOMException('no such graph', 'OperationError');
  }
  await goOn;
  const graph = await build.call(this, outputs);
  say(() => live.add(graph));
  return graph;
};

if (asked.has('halves')) {
  MLGraphBuilder.prototype.matmul = function (a, b, options) {
    const half = (x) => cast.call(this, cast.call(this, x, 'float16'), 'float32');
    return half(matmul.call(this, half(a), half(b), options));
  };
}

const { destroy } = MLGraph.prototype;
MLGraph.prototype.destroy = function () {
  say(() => live.delete(this));
  return destroy?.call(this);
};
