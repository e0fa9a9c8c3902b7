//! Convolution as a product of the weights with what its window sees, which lies nowhere: workgroups gather it from the
//! image into memory that their threads share. Knows windows and products; must never know attributes.

use super::conv::{Convolution, Operands};
use super::limits::word;
use super::product::{Matrix, Product};
use super::window::Axis;
use super::{Class, Lowering};
use crate::error::Result;
use std::fmt::Write as _;

/// The window over an image of (channels, height, width): rows of the matrix are channels and taps, columns are pixels.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Along height.
    pub y: Axis,
    /// Along width.
    pub x: Axis,
    /// Elements from one plane of the image to the next.
    pub plane: usize,
}

impl Window {
    /// What parameters of a product have besides, as [`Window::params`] gives it.
    pub(super) const FIELDS: &str = "    in_height: u32,\n    in_width: u32,\n    plane: u32,\n    out_width: u32,\n    \
        stride_y: u32,\n    stride_x: u32,\n    dilation_y: u32,\n    dilation_x: u32,\n    \
        before_y: u32,\n    before_x: u32,\n    unused_0: u32,\n    unused_1: u32,";

    pub(super) fn params(&self) -> Result<Vec<u32>> {
        let Window { y, x, plane } = self;
        let sizes = [y.input, x.input, *plane, x.output, y.stride, x.stride];
        let rest = [y.dilation, x.dilation, y.before, x.before, 0, 0];
        sizes.into_iter().chain(rest).map(word).collect()
    }

    /// The end of a function that gives row `q` of column `j`, of `wide` pixels, of the image that begins at `at`.
    pub(super) fn fetch(&self, wide: usize) -> String {
        let (taps, kernel) = (self.y.kernel * self.x.kernel, self.x.kernel);
        let mut text = format!(
            "    let tap = q % {taps}u;\n    let plane = at + q / {taps}u * params.plane;\n    \
             let dy = tap / {kernel}u * params.dilation_y - params.before_y;\n    \
             let dx = tap % {kernel}u * params.dilation_x - params.before_x;\n"
        );
        for e in 0..wide {
            // Above or left of the image an index wraps, and is beyond its other end.
            let _ = writeln!(
                text,
                "    let pixel{e} = j * {wide}u + {e}u;\n    \
                 let y{e} = pixel{e} / params.out_width * params.stride_y + dy;\n    \
                 let x{e} = pixel{e} % params.out_width * params.stride_x + dx;\n    \
                 let seen{e} = q < size_k() && y{e} < params.in_height && x{e} < params.in_width;\n    \
                 let v{e} = select(0.0, b[select(0u, plane + y{e} * params.in_width + x{e}, seen{e})], seen{e});"
            );
        }
        let all: Vec<String> = (0..wide).map(|e| format!("v{e}")).collect();
        let _ = write!(text, "    return y_t({});", all.join(", "));
        text
    }
}

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
