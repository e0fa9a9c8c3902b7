//! A product of few rows with a b that lies along k: dot products, each shared by the threads of a row.
//! Knows rows; must never know which operator asks.

use super::operands::{Matrix, Product};
use super::tile::Tile;
use super::tiled::shaders;
use crate::error::Result;
use crate::kernels::base::epilogue::FINISH;
use crate::kernels::base::lean;
use crate::kernels::base::limits::{rounds, word};
use crate::kernels::base::rows::Rows;
use crate::kernels::base::{Class, Element, Lowering, Shader, Variant};
use std::fmt::Write as _;

const SOURCE: &str = lean!("../base/lanes.wgsl", "dot.wgsl");
static SHADERS: [Shader; 2] = shaders(["product-dot", "product-dot-bias"], Class::Gemv, SOURCE);

/// Rows up to which a product with both operands along k runs as dot products.
const ROWS: usize = 8;

/// Dot products.
pub(super) struct Dot;

impl Variant<Product> for Dot {
    fn suits(&self, product: &Product, out: &Lowering<'_>) -> bool {
        let dense =
            product.a.col == 1 && product.b.row == 1 && product.a.row == product.k && product.b.col == product.k;
        // Each tensor is seen as vec4 or as f32, so the bias must be neither operand.
        let apart = |c: Matrix| !out.same(c.tensor, product.a.tensor) && !out.same(c.tensor, product.b.tensor);
        product.class == Class::Matmul
            && product.batch.is_empty()
            && dense
            && product.m <= ROWS
            && product.k > 1
            && product.k.is_multiple_of(4)
            && product.bias.is_none_or(apart)
    }

    fn lower(&self, product: &Product, out: &mut Lowering<'_>) -> Result<()> {
        let columns = Rows { outer: product.n, len: product.k / 4, inner: 1 };
        let cover = columns.cover(columns.len, 1, out.tuning())?;
        // Each row's sum is joined over the threads.
        rounds(columns.len.div_ceil(cover.lanes) + product.m * cover.lanes)?;
        let mut params = vec![word(product.m)?, word(product.n)?, word(columns.len)?, product.alpha.to_bits()];
        params.extend(product.bias_params(1)?);
        let mut begin = String::from("    let j0 = col;\n");
        let mut step = String::from("        let w = b[col * params.k + q];\n");
        let mut sums = String::new();
        for i in 0..product.m {
            let _ = writeln!(begin, "    let i{i} = {i}u;\n    var s{i}_0 = 0.0;");
            let _ = writeln!(step, "        s{i}_0 += dot(a[i{i} * params.k + q], w);");
            let _ = writeln!(sums, "    s{i}_0 = over_lanes(s{i}_0, thread, false);");
        }
        let snippets = vec![
            ("rows", product.m.to_string()),
            ("begin", begin),
            ("step", step),
            ("sums", sums),
            ("end", product.end(Tile { rows: product.m, cols: 1, wide: 1, across: 1 })),
            ("activation", product.activation.wgsl("y_t")),
            ("more", String::new()),
            ("finish", FINISH.to_owned()),
        ];
        let snippets = snippets.into_iter().chain(cover.snippets("n")).collect();
        let elements = [Element::Vec4F32, Element::Vec4F32, Element::F32];
        let call = product.call(out, &SHADERS, elements, snippets, params, cover.workgroups);
        out.dispatch(call);
        Ok(())
    }
}
