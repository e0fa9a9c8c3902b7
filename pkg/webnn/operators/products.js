// Matrix products by MLGraphBuilder, and what is done to results at once. Knows rows and columns; must never know another family.

import { refuse, reshaped } from './common.js';

export function product2(n) {
  const [a, b] = [n.shape(0), n.shape(1)];
  const left = a.length === 1 ? reshaped(n, n.x(0), [1, ...a]) : n.x(0);
  const right = b.length === 1 ? reshaped(n, n.x(1), [...b, 1]) : n.x(1);
  const plain = n.builder.matmul(left, right, { label: n.name });
  const y = a.length === 1 || b.length === 1 ? reshaped(n, plain, n.result(0)) : plain;
  return n.has(2) ? n.builder.add(y, n.x(2)) : y;
}

export function gemm(n) {
  return n.builder.gemm(n.x(0), n.x(1), {
    ...(n.has(2) && { c: n.x(2) }), alpha: n.float('alpha') ?? 1, beta: n.float('beta') ?? 1,
    aTranspose: n.int('transA', 0) === 1, bTranspose: n.int('transB', 0) === 1, label: n.name,
  });
}

/** What a product or convolution names to be done to its results. */
export function ended(of) {
  return (n) => {
    const y = of(n);
    const [low, high] = n.floats('activation_params') ?? [];
    const name = n.string('activation', '');
    if (name === 'Clip') return n.builder.clamp(y, { minValue: low, maxValue: high });
    return name === 'Relu' ? n.builder.relu(y) : name ? refuse(`activation ${name}`) : y;
  };
}
