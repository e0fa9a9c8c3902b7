// How many graphs of WebNN this realm has built and not let go of, told to whoever listens. Must be imported before what builds them.

const told = new BroadcastChannel('graphs');
const live = new Set();
const say = (change) => {
  change();
  told.postMessage(live.size);
};

const { build } = MLGraphBuilder.prototype;
MLGraphBuilder.prototype.build = async function (outputs) {
  const graph = await build.call(this, outputs);
  say(() => live.add(graph));
  return graph;
};

const { destroy } = MLGraph.prototype;
MLGraph.prototype.destroy = function () {
  say(() => live.delete(this));
  return destroy?.call(this);
};
