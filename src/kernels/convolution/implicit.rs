//! Convolution as a product of the weights with what its window sees, which lies nowhere: workgroups gather it from the
//! image into memory that their threads share. Knows windows and products; must never know attributes.

use super::{Convolution, Operands};
use crate::error::Result;
use crate::kernels::base::{Class, Lowering};
use crate::kernels::product::{Matrix, Product, Window};

/// Appends the dispatch where workgroups share what they read, and says whether they do.
pub(super) fn lower(conv: &Convolution, operands: Operands, out: &mut Lowering<'_>) -> Result<bool> {
    // What lies between the planes of the result is a column like any other.
    let (plane, pixels) = (out.plane(operands.x), out.plane(operands.y));
    let k = conv.channels * conv.y.kernel * conv.x.kernel;
    let product = Product {
        class: Class::Conv,
        m: conv.filters,
        n: pixels,
        k,
        batch: if conv.batch == 1 { vec![] } else { vec![(conv.batch, 0, conv.channels * plane)] },
        a: Matrix { tensor: operands.w, row: k, col: 1 },
        b: Matrix { tensor: operands.x, row: 0, col: 0 },
        window: Some(Window { y: conv.y, x: conv.x, plane }),
        bias: operands.bias.map(|tensor| Matrix { tensor, row: 1, col: 0 }),
        y: operands.y,
        y_row: pixels,
        alpha: 1.0,
        beta: 1.0,
        activation: conv.activation,
    };
    let shared = conv.group == 1 && pixels > 0 && product.is_shared(out);
    if shared {
        product.lower(out)?;
    }
    Ok(shared)
}
