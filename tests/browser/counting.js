// How many graphs of WebNN this realm has built and not let go of, and how many it was asked for, told to whoever listens. Those that
// have an output of `?fail=` rows cannot be built. Must be imported before what builds them.

const told = new BroadcastChannel('graphs');
const fail = Number(new URL(location.href).searchParams.get('fail') ?? NaN);
const live = new Set();
let failed = 0;
const say = (change) => {
  change();
  told.postMessage({ now: live.size, failed });
};

const { build } = MLGraphBuilder.prototype;
MLGraphBuilder.prototype.build = async function (outputs) {
  if (Object.values(outputs).some(({ shape }) => shape.includes(fail))) {
    say(() => failed++);
    throw new DOMException('no such graph', 'OperationError');
  }
  const graph = await build.call(this, outputs);
  say(() => live.add(graph));
  return graph;
};

const { destroy } = MLGraph.prototype;
MLGraph.prototype.destroy = function () {
  say(() => live.delete(this));
  return destroy?.call(this);
};
