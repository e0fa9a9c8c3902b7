//! A matrix that lies nowhere: what a window sees of an image, gathered as a product needs it.
//! Knows windows; must never know which operator slides one.

use crate::error::Result;
use crate::kernels::base::limits::word;
use crate::kernels::base::window::Axis;
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
