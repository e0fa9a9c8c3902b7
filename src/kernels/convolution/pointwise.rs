//! A convolution whose outputs see exactly the input under them: the product of the weights with each image.
//! Knows products; must never know attributes.

use super::geometry::{Convolution, Operands, Task};
use crate::error::Result;
use crate::kernels::base::window::Axis;
use crate::kernels::base::{Class, Lowering, Variant};
use crate::kernels::product::{Matrix, Product};

/// One product.
pub(super) struct Pointwise;

impl Variant<Task> for Pointwise {
    fn suits(&self, task: &Task, _: &Lowering<'_>) -> bool {
        is_pointwise(&task.conv)
    }

    fn lower(&self, task: &Task, out: &mut Lowering<'_>) -> Result<()> {
        product(&task.conv, task.operands, out).lower(out)
    }
}

/// Whether every output sees exactly the input under it.
fn is_pointwise(conv: &Convolution) -> bool {
    let plain = |a: &Axis| a.kernel == 1 && a.stride == 1 && a.before == 0 && a.after == 0;
    conv.group == 1 && plain(&conv.y) && plain(&conv.x)
}

/// A pointwise convolution as the product of the weights with each image.
fn product(conv: &Convolution, operands: Operands, out: &Lowering<'_>) -> Product {
    let (x_plane, y_plane) = (out.plane(operands.x), out.plane(operands.y));
    // What lies between the planes is a column like any other where it lies in both.
    let pixels = if x_plane == y_plane { x_plane } else { conv.y.output * conv.x.output };
    Product {
        class: Class::Conv,
        m: conv.filters,
        n: pixels,
        k: conv.channels,
        batch: if conv.batch == 1 { vec![] } else { vec![(conv.batch, 0, conv.channels * x_plane)] },
        a: Matrix { tensor: operands.w, row: conv.channels, col: 1 },
        b: Matrix { tensor: operands.x, row: x_plane, col: 1 },
        window: None,
        bias: operands.bias.map(|tensor| Matrix { tensor, row: 1, col: 0 }),
        y: operands.y,
        y_row: y_plane,
        alpha: 1.0,
        beta: 1.0,
        activation: conv.activation,
    }
}
