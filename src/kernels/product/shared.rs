//! A product whose workgroups bring operands into memory that their threads share; b may be what a window sees then.
//! Knows tiles; must never know which operator asks.

use super::gather::{self, Operands};
use super::operands::Product;
use super::tiled::{Form, WORKGROUP, shaders};
use crate::error::Result;
use crate::kernels::base::lean;
use crate::kernels::base::{Class, Lowering, Shader, Variant};

pub(super) const SOURCE: &str = lean!("head.wgsl", "shared.wgsl");
static MATMUL: [Shader; 2] = shaders(["product-shared", "product-shared-bias"], Class::Matmul, SOURCE);
static CONV: [Shader; 2] = shaders(["conv-1x1-shared", "conv-1x1-shared-bias"], Class::Conv, SOURCE);
static WINDOW: [Shader; 2] = shaders(["conv-implicit", "conv-implicit-bias"], Class::Conv, SOURCE);

/// Workgroups that share.
pub(super) struct Shared;

impl Variant<Product> for Shared {
    fn suits(&self, product: &Product, out: &Lowering<'_>) -> bool {
        product.is_shared(out)
    }

    fn lower(&self, product: &Product, out: &mut Lowering<'_>) -> Result<()> {
        let (tile, wide) = product.tile(out);
        let deep = if product.is_deep(out) { 4 } else { 1 };
        let operands = Operands {
            deep: deep == 4,
            b_along_k: product.b.row == 1 && product.b.col != 1,
            window: product.window.map(|w| w.fetch(wide)),
            halved: out.tuning().halved,
        };
        let form = Form {
            shaders: match (product.window, product.class) {
                (Some(_), _) => &WINDOW,
                (None, Class::Conv) => &CONV,
                _ => &MATMUL,
            },
            deep,
            at_once: deep,
            rows: WORKGROUP * tile.rows,
            snippets: gather::snippets(tile, &operands),
        };
        let call = product.tiled(tile, wide, form, out)?;
        out.dispatch(call);
        Ok(())
    }
}
