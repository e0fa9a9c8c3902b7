//! A convolution as a product with its image unfolded: a matrix of what each tap of each channel sees, which lies in memory.
//! Products are the best kernels that there are; what unfolding stores and loads again, many filters share.
//! Knows tiles of the image; must never know attributes.

use super::geometry::{Convolution, Operands, Task};
use crate::error::Result;
use crate::kernels::base::lean;
use crate::kernels::base::limits::word;
use crate::kernels::base::operand::float;
use crate::kernels::base::planes::APART;
use crate::kernels::base::rows::{GROUP, spread};
use crate::kernels::base::{Binding, Class, Element, KernelCall, Lowering, Shader, Slot, Variant};
use crate::kernels::product::{Matrix, Product};
use std::collections::BTreeSet;
use std::fmt::Write as _;

static UNFOLD: Shader = Shader {
    name: "conv-unfold",
    class: Class::Movement,
    source: lean!("unfold.wgsl"),
    slots: &[Slot::read("x"), Slot::write("t")],
};

/// Widest row of taps that is unrolled.
const UNROLLED: usize = 9;
/// Elements of an unfolded image at most: memory is dear.
const MOST: usize = 4 << 20;
/// Filters from which on the product makes up for what unfolding stores: on SwiftShader and llvmpipe 32 did not, 48 did.
const FILTERS: usize = 48;
/// Pixels of a tile to choose from.
const PIXELS: [usize; 6] = [16, 14, 8, 7, 5, 4];

/// A product with the image unfolded.
pub(super) struct Unfold;

impl Variant<Task> for Unfold {
    fn suits(&self, task: &Task, out: &Lowering<'_>) -> bool {
        suits(&task.conv, task.operands, out)
    }

    fn lower(&self, task: &Task, out: &mut Lowering<'_>) -> Result<()> {
        lower(&task.conv, task.operands, out)
    }
}

/// Whether `conv` is better done so.
fn suits(conv: &Convolution, operands: Operands, out: &Lowering<'_>) -> bool {
    let k = conv.channels * conv.y.kernel * conv.x.kernel;
    let pixels = conv.batch * conv.y.output * conv.x.output;
    let plain = conv.group == 1 && conv.x.kernel <= UNROLLED && pixels > 0;
    // Only a product in fours is better than the direct kernel.
    let fours = k.is_multiple_of(APART) && out.plane(operands.y).is_multiple_of(APART);
    plain && fours && !out.tuning().shared && k * pixels <= MOST && conv.filters >= FILTERS
}

/// Appends both dispatches.
fn lower(conv: &Convolution, operands: Operands, out: &mut Lowering<'_>) -> Result<()> {
    let (y, x) = (&conv.y, &conv.x);
    let k = conv.channels * y.kernel * x.kernel;
    let plane = out.plane(operands.y);
    let t = out.temporary(float(vec![conv.batch, k, plane]));
    let tiled = |&p: &usize| (x.output.div_ceil(p) * (p + 1), usize::MAX - p);
    let pixels = PIXELS.into_iter().min_by_key(tiled).unwrap_or(4);
    let row_tiles = x.output.div_ceil(pixels);
    let tiles = conv.batch * conv.channels * y.kernel * y.output * row_tiles;
    let workgroups = spread(tiles.div_ceil(GROUP))?;
    let sizes = [tiles, row_tiles, y.output, x.output, y.input, x.input, out.plane(operands.x), plane];
    let rest = [y.kernel, y.stride, y.dilation, y.before, x.before, workgroups[0] as usize];
    out.dispatch(KernelCall {
        shader: &UNFOLD,
        snippets: vec![
            ("taps", x.kernel.to_string()),
            ("pixels", pixels.to_string()),
            ("stride", x.stride.to_string()),
            ("body", body(conv, pixels)),
        ],
        constants: vec![],
        bindings: [operands.x, t].map(|tensor| Binding { tensor, element: Element::F32 }).to_vec(),
        params: sizes.into_iter().chain(rest).map(word).collect::<Result<_>>()?,
        workgroups,
        flops: 0.0,
        bytes: out.bytes(operands.x) + out.bytes(t),
    });
    Product {
        class: Class::Conv,
        m: conv.filters,
        n: plane,
        k,
        batch: if conv.batch == 1 { vec![] } else { vec![(conv.batch, 0, k * plane)] },
        a: Matrix { tensor: operands.w, row: k, col: 1 },
        b: Matrix { tensor: t, row: plane, col: 1 },
        window: None,
        bias: operands.bias.map(|tensor| Matrix { tensor, row: 1, col: 0 }),
        y: operands.y,
        y_row: plane,
        alpha: 1.0,
        beta: 1.0,
        activation: conv.activation,
    }
    .lower(out)
}

/// Loads the input elements that the tile's taps meet, and stores them for each tap.
fn body(conv: &Convolution, pixels: usize) -> String {
    let x = &conv.x;
    let column = |p: usize, k: usize| p * x.stride + k * x.dilation;
    let columns: BTreeSet<usize> = (0..pixels).flat_map(|p| (0..x.kernel).map(move |k| column(p, k))).collect();
    let mut text = String::new();
    for c in columns {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    let x{c} = select(0.0, x[x_at + {c}u], inside && ix + {c}u < params.in_width);");
    }
    for p in 0..pixels {
        let _ = writeln!(text, "    if (ox + {p}u < params.width) {{");
        for k in 0..x.kernel {
            let _ = writeln!(text, "        t[t_at + {k}u * params.row + {p}u] = x{};", column(p, k));
        }
        text.push_str("    }\n");
    }
    text
}
