//! The kernels that compute a product, and the choice among them. A variant is one file, and one line here.
//! Knows them all; must never know which operator asks.

use super::apart::Apart;
use super::dot::Dot;
use super::operands::{Matrix, Product};
use super::quads::Quads;
use super::shared::Shared;
use super::split;
use crate::error::Result;
use crate::kernels::base::map::Map;
use crate::kernels::base::operand::float;
use crate::kernels::base::strides::Strided;
use crate::kernels::base::tuning::QUAD;
use crate::kernels::base::{Lowering, Variant, variant};

/// Those of one dispatch; of equal cost the first is taken.
static WHOLE: &[&dyn Variant<Product>] = &[&Dot, &Shared, &Quads, &Apart];

impl Product {
    /// Appends the dispatches.
    pub fn lower(&self, out: &mut Lowering<'_>) -> Result<()> {
        if Dot.suits(self, out) {
            return self.lower_whole(out);
        }
        let product = self.repacked(out)?;
        if split::lower(&product, Product::lower_whole, out)? { Ok(()) } else { product.lower_whole(out) }
    }

    /// The same as one dispatch.
    pub(in crate::kernels) fn lower_whole(&self, out: &mut Lowering<'_>) -> Result<()> {
        variant::lower(WHOLE, self, out)
    }

    /// The same with columns of b next to each other, where b is a weight: it is moved once, and read in vec4.
    fn repacked(&self, out: &mut Lowering<'_>) -> Result<Product> {
        let b = self.b;
        let whole = out.is_constant(b.tensor) && out.ty(b.tensor).len() == self.k * self.n;
        let apart = b.col != 1 && self.n.is_multiple_of(QUAD) && self.batch.iter().all(|batch| batch.2 == 0);
        if !(out.repacks() && whole && apart && self.window.is_none()) {
            return Ok(self.clone());
        }
        let moved = out.temporary(float(vec![self.k, self.n]));
        let strides = vec![b.row as i64, b.col as i64];
        let operands = vec![Strided { tensor: b.tensor, base: 0, strides }];
        Map { moves: true, expression: "u".to_owned(), functions: "", operands, output: moved, flops: 0.0 }
            .lower(out)?;
        Ok(Product { b: Matrix { tensor: moved, row: self.n, col: 1 }, ..self.clone() })
    }
}
