//! MatMul and Gemm: shapes, references, and the strides with which [`Product`] computes them; `variants.rs` chooses among
//! the kernels. Knows where operands lie; must never know another family.

mod apart;
pub mod cpu;
mod dot;
mod gather;
mod operands;
mod quads;
mod shared;
mod split;
mod stored;
mod tile;
mod tiled;
mod variants;
mod window;

pub use operands::{Matrix, Product};
pub(in crate::kernels) use stored::stored_apart;
pub(in crate::kernels) use tile::SWAPS;
pub use window::Window;

use self::operands::BATCH_RANK;
use crate::error::{Error, Kind, Result};
use crate::graph::{Call, HostTensor, Operator, TensorType};
use crate::kernels::base::epilogue::{ACTIVATION, ACTIVATION_PARAMS, Activation};
use crate::kernels::base::operand::{broadcast, float_shape, optional_values, real, result, values};
use crate::kernels::base::placed::Placed;
use crate::kernels::base::strides::contiguous;
use crate::kernels::base::{Class, Entry, Kernel, Lowering};

/// The operators of this family.
pub const OPERATORS: &[&[&Entry]] = &[&[&MatMul, &Gemm]];

/// Product of matrices with broadcast batch dimensions. A fusion pass may give a bias of the columns as third input.
#[derive(Debug)]
pub struct MatMul;

/// `alpha · a·b + beta · c` of matrices, each transposed at will.
#[derive(Debug)]
pub struct Gemm;

/// The shapes of a MatMul, vectors made matrices.
struct Shapes {
    m: usize,
    n: usize,
    k: usize,
    /// Batch dimensions of each operand as given, and of both.
    a: Vec<usize>,
    b: Vec<usize>,
    batch: Vec<usize>,
    output: Vec<usize>,
}

fn shapes(call: &Call<'_>) -> Result<Shapes> {
    let (a, b) = (float_shape(call, 0)?, float_shape(call, 1)?);
    let mismatch = || Error::new(Kind::InvalidInput, format!("a product of shapes {a:?} and {b:?}"));
    let (m, ka, batch_a) = match a {
        [] => return Err(mismatch()),
        [k] => (1, *k, &[][..]),
        [batch @ .., m, k] => (*m, *k, batch),
    };
    let (kb, n, batch_b) = match b {
        [] => return Err(mismatch()),
        [k] => (*k, 1, &[][..]),
        [batch @ .., k, n] => (*k, *n, batch),
    };
    if ka != kb {
        return Err(mismatch());
    }
    let batch = broadcast(batch_a, batch_b).map_err(|_| mismatch())?;
    let mut output = batch.clone();
    output.extend((a.len() > 1).then_some(m));
    output.extend((b.len() > 1).then_some(n));
    if let Some(bias) = call.optional(2)
        && bias.ty.shape != [n]
    {
        return Err(Error::new(Kind::InvalidInput, format!("a bias of shape {:?} for {n} columns", bias.ty.shape)));
    }
    Ok(Shapes { m, n, k: ka, a: batch_a.to_vec(), b: batch_b.to_vec(), batch, output })
}

impl Shapes {
    /// Sizes of the batch dimensions with the elements that one step moves in a and in b, innermost first; `a` and `b` are
    /// the strides of the operands' own axes.
    fn steps(&self, a: &[usize], b: &[usize]) -> Vec<(usize, usize, usize)> {
        let stride =
            |shape: &[usize], strides: &[usize], i: usize| match (i + shape.len()).checked_sub(self.batch.len()) {
                Some(at) if shape[at] != 1 => strides[at],
                _ => 0,
            };
        let dims = (0..self.batch.len()).rev().map(|i| (self.batch[i], stride(&self.a, a, i), stride(&self.b, b, i)));
        let mut merged: Vec<(usize, usize, usize)> = vec![];
        for dim in dims.filter(|d| d.0 != 1) {
            match merged.last_mut() {
                // A dimension that goes on where the one inside it ends is one with it.
                Some(last) if dim.1 == last.1 * last.0 && dim.2 == last.2 * last.0 => last.0 *= dim.0,
                _ => merged.push(dim),
            }
        }
        merged
    }
}

impl Operator for MatMul {
    fn op_type(&self) -> &'static str {
        "MatMul"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &[ACTIVATION, ACTIVATION_PARAMS]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Activation::of(call.attributes)?;
        Ok(vec![real(call, shapes(call)?.output)])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        let rank = shapes(call).ok()?.output.len();
        // Vectors have no such axes.
        [0, 1].iter().all(|&i| call.input(i).is_ok_and(|operand| operand.ty.shape.len() > 1)).then_some(())?;
        let from_last = |i: usize| Some(call.input(i).ok()?.ty.shape.len() - axes[i]?);
        // The axes of a that are no rows of a product, and those of b.
        match (from_last(0), from_last(1)) {
            (Some(2), None) => Some(vec![rank - 2]),
            (None, Some(1)) => Some(vec![rank - 1]),
            (Some(3..), _) | (_, Some(3..)) if [0, 1].iter().all(|&i| from_last(i).is_none_or(|at| at > 2)) => {
                Some(vec![call.aligned(&axes[..2], rank)?])
            }
            _ => None,
        }
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let s = shapes(call)?;
        let (a, b, bias) = (values(inputs, 0)?, values(inputs, 1)?, optional_values(inputs, 2));
        let activation = Activation::of(call.attributes)?;
        let dense = |batch: &[usize], matrix: [usize; 2]| -> Vec<usize> {
            contiguous(&[batch, &matrix].concat()).into_iter().map(|s| s.unsigned_abs() as usize).collect()
        };
        let steps = s.steps(&dense(&s.a, [s.m, s.k]), &dense(&s.b, [s.k, s.n]));
        let mut y = Vec::with_capacity(s.output.iter().product());
        for index in 0..s.batch.iter().product() {
            let (mut rest, mut a_at, mut b_at) = (index, 0, 0);
            for &(size, a_step, b_step) in &steps {
                a_at += rest % size * a_step;
                b_at += rest % size * b_step;
                rest /= size;
            }
            for i in 0..s.m {
                for j in 0..s.n {
                    let sum: f64 = (0..s.k).map(|q| a[a_at + i * s.k + q] * b[b_at + q * s.n + j]).sum();
                    y.push(activation.apply(sum + bias.as_ref().map_or(0.0, |c| c[j])));
                }
            }
        }
        Ok(vec![result(call, s.output, &y)?])
    }
}

impl Kernel for MatMul {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let s = shapes(call)?;
        let (a, b, y) = (out.input(0)?, out.input(1)?, out.output(0)?);
        // A vector is one row, or one column.
        let (a_back, b_back) = (out.ty(a).shape.len().min(2), out.ty(b).shape.len().min(2));
        let (mut a, mut b) = (Placed::before(a, 1, out), Placed::before(b, 1, out));
        let mut batch = s.steps(&a.strides, &b.strides);
        if batch.len() > BATCH_RANK {
            (a, b) = (Placed::here(out.input(0)?, out), Placed::here(out.input(1)?, out));
            batch = s.steps(&a.strides, &b.strides);
        }
        let a_matrix = Matrix { tensor: a.tensor, row: if a_back == 2 { a.stride(2) } else { s.k }, col: a.stride(1) };
        let b_matrix = match b_back {
            2 => Matrix { tensor: b.tensor, row: b.stride(2), col: b.stride(1) },
            _ => Matrix { tensor: b.tensor, row: 1, col: 1 },
        };
        let mut m = s.m;
        // Batches of a over one b are rows of one product.
        if let Some(&(size, a_step, 0)) = batch.first()
            && a_step == s.m * a_matrix.row
        {
            m *= size;
            batch.remove(0);
        }
        if batch.len() > BATCH_RANK {
            return Err(Error::new(Kind::Unsupported, format!("a product of shapes {:?} and {:?}", s.a, s.b)));
        }
        for moved in [a.moved, b.moved].into_iter().flatten() {
            out.take_back(moved);
        }
        let product = Product {
            class: Class::Matmul,
            m,
            n: s.n,
            k: s.k,
            batch,
            a: a_matrix,
            b: b_matrix,
            window: None,
            bias: out.optional_input(2).map(|tensor| Matrix { tensor, row: 0, col: 1 }),
            y,
            y_row: s.n,
            alpha: 1.0,
            beta: 1.0,
            activation: Activation::of(call.attributes)?,
        };
        product.lower(out)
    }
}

/// The sizes of a Gemm and the strides of its operands.
struct GemmShapes {
    m: usize,
    n: usize,
    k: usize,
    a: (usize, usize),
    b: (usize, usize),
    c: (usize, usize),
}

fn gemm(call: &Call<'_>) -> Result<GemmShapes> {
    let (a, b) = (float_shape(call, 0)?, float_shape(call, 1)?);
    let mismatch = || Error::new(Kind::InvalidInput, format!("a Gemm of shapes {a:?} and {b:?}"));
    let (&[a0, a1], &[b0, b1]) = (a, b) else { return Err(mismatch()) };
    let (m, ka, a_strides) = if call.attributes.int("transA", 0)? == 0 { (a0, a1, (a1, 1)) } else { (a1, a0, (1, a1)) };
    let (kb, n, b_strides) = if call.attributes.int("transB", 0)? == 0 { (b0, b1, (b1, 1)) } else { (b1, b0, (1, b1)) };
    if ka != kb {
        return Err(mismatch());
    }
    let mut c = (0, 0);
    if call.optional(2).is_some() {
        let shape = float_shape(call, 2)?;
        if shape.len() > 2 || broadcast(shape, &[m, n])? != [m, n] {
            return Err(Error::new(Kind::InvalidInput, format!("a Gemm of {m}×{n} with C of shape {shape:?}")));
        }
        let dim = |back: usize| shape.len().checked_sub(back).map_or(1, |i| shape[i]);
        c = (if dim(2) == 1 { 0 } else { dim(1) }, usize::from(dim(1) != 1));
    }
    Ok(GemmShapes { m, n, k: ka, a: a_strides, b: b_strides, c })
}

impl Operator for Gemm {
    fn op_type(&self) -> &'static str {
        "Gemm"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["alpha", "beta", "transA", "transB", ACTIVATION, ACTIVATION_PARAMS]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Activation::of(call.attributes)?;
        let s = gemm(call)?;
        Ok(vec![real(call, [s.m, s.n])])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        let rows = usize::from(call.attributes.int("transA", 0).ok()? != 0);
        let one = call.optional(2).is_none_or(|c| c.ty.shape.len() < 2 || c.ty.shape[0] == 1);
        (call.only_first(axes)? == rows && one).then(|| vec![0])
    }

    fn foldable(&self) -> bool {
        // Nobody has this of constants; the page goes without the reference.
        false
    }

    #[cfg(feature = "references")]
    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let s = gemm(call)?;
        let (alpha, beta) = (call.attributes.float("alpha", 1.0)?, call.attributes.float("beta", 1.0)?);
        let activation = Activation::of(call.attributes)?;
        let (a, b, c) = (values(inputs, 0)?, values(inputs, 1)?, optional_values(inputs, 2));
        let mut y = Vec::with_capacity(s.m * s.n);
        for i in 0..s.m {
            for j in 0..s.n {
                let product = |q: usize| a[i * s.a.0 + q * s.a.1] * b[q * s.b.0 + j * s.b.1];
                let sum: f64 = (0..s.k).map(product).sum();
                let bias = c.as_ref().map_or(0.0, |c| c[i * s.c.0 + j * s.c.1]);
                y.push(activation.apply(f64::from(alpha) * sum + f64::from(beta) * bias));
            }
        }
        Ok(vec![result(call, [s.m, s.n], &y)?])
    }
}

impl Kernel for Gemm {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let s = gemm(call)?;
        let (a, b, y) = (out.input(0)?, out.input(1)?, out.output(0)?);
        let product = Product {
            class: Class::Matmul,
            m: s.m,
            n: s.n,
            k: s.k,
            batch: vec![],
            a: Matrix { tensor: a, row: s.a.0, col: s.a.1 },
            b: Matrix { tensor: b, row: s.b.0, col: s.b.1 },
            window: None,
            bias: out.optional_input(2).map(|tensor| Matrix { tensor, row: s.c.0, col: s.c.1 }),
            y,
            y_row: s.n,
            alpha: call.attributes.float("alpha", 1.0)?,
            beta: call.attributes.float("beta", 1.0)?,
            activation: Activation::of(call.attributes)?,
        };
        product.lower(out)
    }
}
