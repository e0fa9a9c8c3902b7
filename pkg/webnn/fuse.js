// Operators that are one for WebNN where ONNX writes several: GELU and hard swish. Knows the nodes of an order; must never know a
// builder.

const near = (a, b) => Math.abs(a - b) <= 1e-4 * Math.abs(b);

class Graph {
  constructor({ nodes, special }) {
    this.special = special;
    this.source = (index) => nodes[special.nodes[index].node];
    this.maker = new Map(special.nodes.flatMap(({ outputs }, index) => outputs.map((id) => [id, index])));
    this.uses = new Map();
    const reads = special.nodes.flatMap(({ inputs }) => inputs);
    for (const id of [...reads, ...special.outputs]) this.uses.set(id, (this.uses.get(id) ?? 0) + 1);
  }

  /** The only element of a constant that is part of the order. */
  number(id) {
    const [, value] = this.special.tensors[id]?.source.Constant ?? [];
    if (value?.data[0] !== 'float32' || value.data[1].length !== 4) return undefined;
    return new DataView(Uint8Array.from(value.data[1]).buffer).getFloat32(0, true);
  }

  /** The node of that operator that makes a tensor which only one other reads. */
  only(id, op) {
    const index = this.maker.get(id);
    if (index === undefined || this.uses.get(id) !== 1 || this.source(index).op_type !== op) return undefined;
    return { index, inputs: this.special.nodes[index].inputs, attributes: this.source(index).attributes };
  }

  /** `[x, number, index]` of a sum or product of a tensor and a number that only one other reads. */
  withNumber(id, op) {
    const { index, inputs: [a, b] = [] } = this.only(id, op) ?? {};
    if (index === undefined) return undefined;
    if (this.number(b) !== undefined) return [a, this.number(b), index];
    return op !== 'Div' && this.number(a) !== undefined ? [b, this.number(a), index] : undefined;
  }

  /** What a node multiplies, through products that nobody else reads: a number, the other factors, and the nodes. */
  factors(index) {
    const found = { number: 1, tensors: [], nodes: [index] };
    const add = (node, first) => {
      const { op_type: op } = this.source(node);
      const [a, b] = this.special.nodes[node].inputs;
      for (const [id, divides] of [[a, false], [b, op === 'Div']]) {
        const number = this.number(id);
        if (number !== undefined && !(op === 'Div' && !divides)) found.number *= divides ? 1 / number : number;
        else if (divides) found.number = NaN;
        else {
          const inner = first < 2 && (this.only(id, 'Mul') ?? this.only(id, 'Div'));
          if (!inner) found.tensors.push(id);
          else {
            found.nodes.push(inner.index);
            add(inner.index, first + 1);
          }
        }
      }
    };
    add(index, 0);
    return found;
  }

  /** The nodes of `1 + erf(x / √2)`. */
  gelu(id, x) {
    const sum = this.withNumber(id, 'Add');
    const erf = sum && near(sum[1], 1) && this.only(sum[0], 'Erf');
    if (!erf) return undefined;
    const [scaled] = erf.inputs;
    const divided = this.withNumber(scaled, 'Div');
    const times = this.withNumber(scaled, 'Mul');
    const fits = divided ? divided[0] === x && near(divided[1], Math.SQRT2) : times?.[0] === x && near(times[1], Math.SQRT1_2);
    return fits ? [sum[2], erf.index, (divided ?? times)[2]] : undefined;
  }

  /** The nodes of `clip(x + 3, 0, 6)`. */
  ramp(id, x) {
    const clip = this.only(id, 'Clip');
    if (!clip) return undefined;
    const bound = (i, name) => (clip.inputs[i] ?? null) === null ? clip.attributes[name]?.Float : this.number(clip.inputs[i]);
    const sum = this.withNumber(clip.inputs[0], 'Add');
    const fits = sum && sum[0] === x && near(sum[1], 3) && bound(1, 'min') === 0 && near(bound(2, 'max') ?? NaN, 6);
    return fits ? [clip.index, sum[2]] : undefined;
  }

  /** The nodes of `clip(x / 6 + 1 / 2, 0, 1)`. */
  sigmoid(id, x) {
    const { index, inputs, attributes } = this.only(id, 'HardSigmoid') ?? {};
    const fits = index !== undefined && inputs[0] === x && near(attributes.alpha?.Float ?? 0.2, 1 / 6) && near(attributes.beta?.Float ?? 0.5, 0.5);
    return fits ? [index] : undefined;
  }
}

/** By the number of the last node of each: the operator and what it is of; and all nodes that go with it. */
export function fused(order) {
  const graph = new Graph(order);
  const [found, gone] = [new Map(), new Set()];
  for (const index of order.special.nodes.keys()) {
    if (!['Mul', 'Div'].includes(graph.source(index).op_type)) continue;
    const { number, tensors, nodes } = graph.factors(index);
    if (tensors.length !== 2) continue;
    for (const [x, other] of [tensors, [...tensors].reverse()]) {
      const [type] = [order.special.tensors[x].ty.dtype];
      const same = String(order.special.tensors[x].ty.shape) === String(order.special.tensors[order.special.nodes[index].outputs[0]].ty.shape);
      if (type !== 'float32' || !same) continue;
      const gelu = near(number, 0.5) && graph.gelu(other, x);
      const swish = (near(number, 1 / 6) && graph.ramp(other, x)) || (near(number, 1) && graph.sigmoid(other, x));
      const inner = gelu || swish;
      if (!inner) continue;
      found.set(index, { op: gelu ? 'gelu' : 'hardSwish', x });
      [...nodes, ...inner].filter((node) => node !== index).forEach((node) => gone.add(node));
      break;
    }
  }
  return { found, gone };
}
