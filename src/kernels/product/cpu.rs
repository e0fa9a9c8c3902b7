//! Products on a processor: weights are packed once, batches over one right operand are rows of one product.
//! Knows shapes and strides; must never know how tiles multiply.

use super::{GemmShapes, gemm, shapes};
use crate::error::Result;
use crate::graph::{Call, TensorId};
use crate::kernels::base::cpu::lowering::Pack;
use crate::kernels::base::cpu::panels::Packed;
use crate::kernels::base::cpu::product::{Addend, Product, Side};
use crate::kernels::base::cpu::tile::{COLUMNS, ROWS};
use crate::kernels::base::cpu::{Chain, Routines, Steps};
use crate::kernels::base::epilogue::Activation;

/// What computes this family on a processor.
pub const ROUTINES: Routines = &[("MatMul", matmul), ("Gemm", lower_gemm)];

/// An operand in panels of `W`, made once, where it is a weight; `strides` are the steps along the inner dimension and along
/// its rows or columns, of which there are `count`.
fn side<const W: usize>(
    steps: &mut Steps<'_>,
    id: TensorId,
    (count, depth): (usize, usize),
    strides: (usize, usize),
) -> (TensorId, Side) {
    if !steps.constant(id) {
        return (id, Side::Strided(strides.0, strides.1));
    }
    let of = Packed { count, depth };
    let form = format!("panels of {W}: {count} {depth} {strides:?}");
    let pack = Pack::moves(move |from| of.pack::<W>(from, 0, strides));
    (steps.pack(id, form, of.floats::<W>(), pack), Side::Packed)
}

fn matmul(call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let s = shapes(call)?;
    let ((a, a_strides), (b, b_strides)) = (steps.before(steps.input(0)?), steps.before(steps.input(1)?));
    let mut batch = s.steps(&a_strides, &b_strides);
    // The strides of a matrix, from its rows and from its columns; a vector is one row, or one column.
    let (a_row, a_col) = match *a_strides.as_slice() {
        [.., row, col] => (row, col),
        _ => (s.k, a_strides[0]),
    };
    let (b_row, b_col) = match *b_strides.as_slice() {
        [.., row, col] => (row, col),
        _ => (b_strides[0], 1),
    };
    let mut m = s.m;
    if let Some(&(size, a_step, 0)) = batch.first()
        && a_step == s.m * a_row
    {
        m *= size;
        batch.remove(0);
    }
    let (y, one) = (steps.output(0)?, batch.is_empty());
    let (a, a_side) = match one {
        true => side::<ROWS>(steps, a, (m, s.k), (a_col, a_row)),
        false => (a, Side::Strided(a_col, a_row)),
    };
    let (b, b_side) = match one {
        true => side::<COLUMNS>(steps, b, (s.n, s.k), (b_row, b_col)),
        false => (b, Side::Strided(b_row, b_col)),
    };
    let mut reads = vec![a, b];
    let bias = steps.optional_input(2);
    reads.extend(bias);
    let activation = Activation::of(call.attributes)?;
    let mut chain = steps.take_chain(&mut reads);
    let mut addend = bias.map(|_| Addend { operand: 2, base: 0, row: 0, col: 1, factor: 1.0 });
    if addend.is_none() && activation == Activation::Identity {
        let sum = chain.take_sum(s.n);
        addend = sum.map(|sum| Addend { operand: sum.operand, base: sum.base, row: 0, col: 1, factor: 1.0 });
    }
    let product = Product { m, n: s.n, k: s.k, batch, a: a_side, b: b_side, alpha: 1.0, addend, activation, chain };
    steps.push(product, reads, vec![y]);
    Ok(true)
}

fn lower_gemm(call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let GemmShapes { m, n, k, a: a_strides, b: b_strides, c: c_strides } = gemm(call)?;
    let (a, b, y) = (steps.input(0)?, steps.input(1)?, steps.output(0)?);
    let (a, a_side) = side::<ROWS>(steps, a, (m, k), (a_strides.1, a_strides.0));
    let (b, b_side) = side::<COLUMNS>(steps, b, (n, k), b_strides);
    let mut reads = vec![a, b];
    let c = steps.optional_input(2);
    reads.extend(c);
    let factor = call.attributes.float("beta", 1.0)?;
    let chain: Chain = steps.take_chain(&mut reads);
    let product = Product {
        m,
        n,
        k,
        batch: vec![],
        a: a_side,
        b: b_side,
        alpha: call.attributes.float("alpha", 1.0)?,
        addend: c.map(|_| Addend { operand: 2, base: 0, row: c_strides.0, col: c_strides.1, factor }),
        activation: Activation::of(call.attributes)?,
        chain,
    };
    steps.push(product, reads, vec![y]);
    Ok(true)
}
