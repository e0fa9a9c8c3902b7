//! A product with too few results to keep many cores busy: its k is split, and the parts are added up by a second kernel.
//! Knows products; must never know which operator asks.

use super::operands::{BATCH_RANK, Product};
use crate::error::Result;
use crate::kernels::base::epilogue::{Activation, FINISH};
use crate::kernels::base::lean;
use crate::kernels::base::limits::word;
use crate::kernels::base::operand::float;
use crate::kernels::base::rows::{GROUP, spread};
use crate::kernels::base::{Binding, Class, Element, KernelCall, Lowering, Shader, Slot};

const SLOTS: &[Slot] = &[Slot::read("t"), Slot::write("y")];
const SLOTS_BIAS: &[Slot] = &[Slot::read("t"), Slot::write("y"), Slot::read("c")];

const fn shader(name: &'static str, class: Class, slots: &'static [Slot]) -> Shader {
    Shader { name, class, source: lean!("join.wgsl"), slots }
}

/// Without a bias and with one, of products and of convolutions.
static SHADERS: [[Shader; 2]; 2] = [
    [shader("product-join", Class::Matmul, SLOTS), shader("product-join-bias", Class::Matmul, SLOTS_BIAS)],
    [shader("conv-join", Class::Conv, SLOTS), shader("conv-join-bias", Class::Conv, SLOTS_BIAS)],
];

/// Elements of k that a part has at least: its sums are stored and read again.
const PART: usize = 64;
/// Parts at most: more are as much work for the second kernel.
const MOST: usize = 16;
/// Results that one thread computes, where there are few of them.
const EACH: usize = 4;

/// Into how many parts to split k: one where there are results enough, or where it does not come out even.
fn parts(product: &Product, out: &Lowering<'_>) -> usize {
    let tuning = out.tuning();
    let batches = product.batches();
    let threads = (product.m * product.n * batches).div_ceil(EACH);
    let able = tuning.barriers
        && product.window.is_none()
        && product.y_row == product.n
        && product.batch.len() < BATCH_RANK
        && threads > 0;
    let even = |&parts: &usize| {
        // Vec4 stay whole.
        let enough = threads.saturating_mul(parts) <= 2 * tuning.threads;
        product.k.is_multiple_of(parts * EACH) && product.k / parts >= PART && enough
    };
    if able { (2..=MOST).rev().find(even).unwrap_or(1) } else { 1 }
}

/// Appends a product as one dispatch.
type Whole = fn(&Product, &mut Lowering<'_>) -> Result<()>;

/// Appends `product` as several of its parts, by `whole`, and their sum; says whether that is worth while.
pub(super) fn lower(product: &Product, whole: Whole, out: &mut Lowering<'_>) -> Result<bool> {
    let parts = parts(product, out);
    if parts == 1 {
        return Ok(false);
    }
    let batches = product.batches();
    let (size, k) = (product.m * product.n * batches, product.k / parts);
    let t = out.temporary(float(vec![parts, batches, product.m, product.n]));
    let mut batch = product.batch.clone();
    batch.push((parts, k * product.a.col, k * product.b.row));
    let part = Product { k, batch, y: t, bias: None, alpha: 1.0, activation: Activation::Identity, ..product.clone() };
    whole(&part, out)?;
    let (c_row, c_col) = product.bias.map_or((0, 0), |c| (c.row, c.col));
    let workgroups = spread(size.div_ceil(GROUP))?;
    let bias = " + params.beta * c[i / params.n % params.m * params.c_row + i % params.n * params.c_col]";
    let mut params = vec![word(size)?, word(parts)?, word(product.n)?, word(product.m)?];
    params.extend([product.alpha.to_bits(), product.beta.to_bits(), word(c_row)?, word(c_col)?, workgroups[0]]);
    let tensors = [t, product.y].into_iter().chain(product.bias.map(|c| c.tensor));
    let bindings: Vec<_> = tensors.map(|tensor| Binding { tensor, element: Element::F32 }).collect();
    out.dispatch(KernelCall {
        shader: &SHADERS[usize::from(product.class == Class::Conv)][usize::from(product.bias.is_some())],
        snippets: vec![
            ("bias", if product.bias.is_some() { bias.to_owned() } else { String::new() }),
            ("activation", product.activation.wgsl("f32")),
            ("more", String::new()),
            ("finish", FINISH.to_owned()),
        ],
        constants: vec![],
        params,
        workgroups,
        flops: (size * parts) as f64,
        bytes: bindings.iter().map(|b| out.bytes(b.tensor)).sum(),
        bindings,
    });
    Ok(true)
}
