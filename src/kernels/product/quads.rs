//! A product whose threads of a quad lend each other what they read.
//! Knows tiles; must never know which operator asks.

use super::operands::{BATCH_RANK, Product};
use super::tiled::{Form, shaders};
use crate::error::Result;
use crate::kernels::base::lean;
use crate::kernels::base::limits::rounds;
use crate::kernels::base::tuning::QUAD;
use crate::kernels::base::{Class, Lowering, Shader, Variant};

pub(super) const SOURCE: &str = lean!("head.wgsl", "quads.wgsl");
static MATMUL: [Shader; 2] = shaders(["product-quads", "product-quads-bias"], Class::Matmul, SOURCE);
static CONV: [Shader; 2] = shaders(["conv-1x1-quads", "conv-1x1-quads-bias"], Class::Conv, SOURCE);

/// Quads that lend.
pub(super) struct Quads;

impl Variant<Product> for Quads {
    fn suits(&self, product: &Product, out: &Lowering<'_>) -> bool {
        product.lends(out) && product.window.is_none()
    }

    fn lower(&self, product: &Product, out: &mut Lowering<'_>) -> Result<()> {
        let (tile, wide) = product.tile(out);
        let at_once = if product.k.is_multiple_of(2 * QUAD) { 2 * QUAD } else { QUAD };
        rounds(product.k / at_once + BATCH_RANK)?;
        let form = Form {
            shaders: if product.class == Class::Conv { &CONV } else { &MATMUL },
            deep: 1,
            at_once,
            rows: tile.rows,
            snippets: vec![("step", tile.quad_step(at_once))],
        };
        let call = product.tiled(tile, wide, form, out)?;
        out.dispatch(call);
        Ok(())
    }
}
