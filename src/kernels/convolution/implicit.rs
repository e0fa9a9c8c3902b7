//! Convolution as a product of the weights with what its window sees, which lies nowhere: workgroups gather it from the
//! image into memory that their threads share. Knows windows and products; must never know attributes.

use super::geometry::Task;
use crate::error::Result;
use crate::kernels::base::{Class, Lowering, Variant};
use crate::kernels::product::{Matrix, Product, Window};

/// A product through a window.
pub(super) struct Implicit;

impl Variant<Task> for Implicit {
    fn suits(&self, task: &Task, out: &Lowering<'_>) -> bool {
        // Elsewhere each thread would gather for itself.
        task.conv.group == 1 && out.plane(task.operands.y) > 0 && product(task, out).is_shared(out)
    }

    fn lower(&self, task: &Task, out: &mut Lowering<'_>) -> Result<()> {
        product(task, out).lower(out)
    }
}

fn product(Task { conv, operands }: &Task, out: &Lowering<'_>) -> Product {
    // What lies between the planes of the result is a column like any other.
    let (plane, pixels) = (out.plane(operands.x), out.plane(operands.y));
    let k = conv.channels * conv.y.kernel * conv.x.kernel;
    Product {
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
    }
}
