//! A product whose threads read all that they multiply themselves: what every adapter can do.
//! Knows tiles; must never know which operator asks.

use super::operands::{BATCH_RANK, Product};
use super::tiled::{Form, WORKGROUP, shaders};
use crate::error::Result;
use crate::kernels::base::lean;
use crate::kernels::base::limits::rounds;
use crate::kernels::base::{Class, Lowering, Shader, Variant};

pub(super) const SOURCE: &str = lean!("head.wgsl", "apart.wgsl");
static MATMUL: [Shader; 2] = shaders(["product", "product-bias"], Class::Matmul, SOURCE);
static CONV: [Shader; 2] = shaders(["conv-1x1", "conv-1x1-bias"], Class::Conv, SOURCE);

/// Threads that read apart.
pub(super) struct Apart;

impl Variant<Product> for Apart {
    fn suits(&self, product: &Product, _: &Lowering<'_>) -> bool {
        product.window.is_none()
    }

    fn lower(&self, product: &Product, out: &mut Lowering<'_>) -> Result<()> {
        let (tile, wide) = product.tile(out);
        let deep = if product.is_deep(out) { 4 } else { 1 };
        rounds(product.k / deep + BATCH_RANK)?;
        let form = Form {
            shaders: if product.class == Class::Conv { &CONV } else { &MATMUL },
            deep,
            at_once: deep,
            rows: WORKGROUP * tile.rows,
            snippets: vec![("step", tile.step(deep))],
        };
        let call = product.tiled(tile, wide, form, out)?;
        out.dispatch(call);
        Ok(())
    }
}
