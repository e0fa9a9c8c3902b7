//! The depthwise convolution kernel: one filter over one channel, a tile of pixels in registers.
//! Knows the tile; must never know attributes.

use super::conv::{Convolution, Operands};
use super::epilogue::FINISH;
use super::limits::word;
use super::rows::spread;
use super::{Binding, Class, Element, KernelCall, Lowering, Shader, Slot};
use crate::error::Result;
use std::collections::BTreeSet;
use std::fmt::Write as _;

static PLAIN: Shader = Shader {
    name: "depthwise",
    class: Class::Depthwise,
    source: include_str!("depthwise.wgsl"),
    slots: &[Slot::read("x"), Slot::read("w"), Slot::write("y")],
};
static WITH_BIAS: Shader = Shader {
    name: "depthwise-bias",
    class: Class::Depthwise,
    source: include_str!("depthwise.wgsl"),
    slots: &[Slot::read("x"), Slot::read("w"), Slot::write("y"), Slot::read("bias")],
};

/// Threads of a workgroup.
const WORKGROUP: usize = 64;
/// Taps that are unrolled at most.
const UNROLLED: usize = 25;

/// Whether this kernel computes `conv`.
pub(super) fn suits(conv: &Convolution) -> bool {
    conv.group == conv.channels && conv.group > 1 && conv.y.kernel * conv.x.kernel <= UNROLLED
}

/// Appends the dispatch.
pub(super) fn lower(conv: &Convolution, operands: Operands, out: &mut Lowering<'_>) -> Result<()> {
    let (y, x) = (&conv.y, &conv.x);
    let (rows, pixels) = size(conv);
    let row_tiles = x.output.div_ceil(pixels);
    let plane_tiles = y.output.div_ceil(rows) * row_tiles;
    let tiles = conv.batch * conv.filters * plane_tiles;
    let workgroups = spread(tiles.div_ceil(WORKGROUP))?;
    let params = [
        tiles,
        plane_tiles,
        row_tiles,
        y.output,
        x.output,
        y.input,
        x.input,
        conv.filters,
        conv.group_filters(),
        y.before,
        x.before,
        workgroups[0] as usize,
    ];
    let mut bindings = vec![operands.x, operands.w, operands.y];
    bindings.extend(operands.bias);
    let bytes = bindings.iter().map(|&id| out.bytes(id)).sum();
    out.dispatch(KernelCall {
        shader: if operands.bias.is_some() { &WITH_BIAS } else { &PLAIN },
        snippets: vec![
            ("rows", rows.to_string()),
            ("pixels", pixels.to_string()),
            ("stride_y", y.stride.to_string()),
            ("stride_x", x.stride.to_string()),
            ("body", body(conv, rows, pixels)),
            ("end", end(rows, pixels, operands.bias.is_some())),
            ("activation", conv.activation.wgsl("f32")),
            ("more", String::new()),
            ("finish", FINISH.to_owned()),
        ],
        constants: vec![],
        bindings: bindings.into_iter().map(|tensor| Binding { tensor, element: Element::F32 }).collect(),
        params: params.into_iter().map(word).collect::<Result<_>>()?,
        workgroups,
        flops: conv.flops(operands.bias.is_some()),
        bytes,
    });
    Ok(())
}

/// Rows and pixels of a tile: what loads least for what it stores.
fn size(conv: &Convolution) -> (usize, usize) {
    let cost = |rows: usize, pixels: usize| {
        let tiles = conv.y.output.div_ceil(rows) * conv.x.output.div_ceil(pixels);
        let loads = met(rows, conv.y.kernel, conv.y.stride, conv.y.dilation).len()
            * met(pixels, conv.x.kernel, conv.x.stride, conv.x.dilation).len();
        tiles * (2 * loads + rows * pixels * conv.y.kernel * conv.x.kernel)
    };
    let candidates = [(2, 7), (2, 4), (1, 7), (1, 4)];
    candidates.into_iter().min_by_key(|&(rows, pixels)| cost(rows, pixels)).unwrap_or((1, 4))
}

/// The input elements along one axis that `outputs` neighbouring outputs meet, from the first one's first tap.
fn met(outputs: usize, kernel: usize, stride: usize, dilation: usize) -> BTreeSet<usize> {
    (0..outputs).flat_map(|o| (0..kernel).map(move |k| o * stride + k * dilation)).collect()
}

/// Sums of the tile, input row by input row.
fn body(conv: &Convolution, rows: usize, pixels: usize) -> String {
    let (y, x) = (&conv.y, &conv.x);
    let columns = met(pixels, x.kernel, x.stride, x.dilation);
    let taps = y.kernel * x.kernel;
    let mut text = String::new();
    for k in 0..taps {
        let _ = writeln!(text, "    let w{k} = w[filter_index * {taps}u + {k}u];");
    }
    for c in &columns {
        let _ = writeln!(text, "    let in{c} = u32(ix + {c}) < params.in_width;");
    }
    for r in 0..rows {
        for p in 0..pixels {
            let _ = writeln!(text, "    var s{r}_{p} = 0.0;");
        }
    }
    for input in met(rows, y.kernel, y.stride, y.dilation) {
        let _ = writeln!(text, "    if (u32(iy + {input}) < params.in_height) {{");
        let _ = writeln!(text, "        let at = x_at + {input} * i32(params.in_width);");
        for c in &columns {
            let _ = writeln!(text, "        let x{c} = select(0.0, x[at + {c}], in{c});");
        }
        for r in 0..rows {
            for ky in (0..y.kernel).filter(|ky| r * y.stride + ky * y.dilation == input) {
                for kx in 0..x.kernel {
                    for p in 0..pixels {
                        let (tap, c) = (ky * x.kernel + kx, p * x.stride + kx * x.dilation);
                        let _ = writeln!(text, "        s{r}_{p} += w{tap} * x{c};");
                    }
                }
            }
        }
        text.push_str("    }\n");
    }
    text
}

/// Stores the tile's pixels that lie inside the output.
fn end(rows: usize, pixels: usize, bias: bool) -> String {
    let mut text = String::new();
    text.push_str(if bias { "    let b = bias[filter_index];\n" } else { "    let b = 0.0;\n" });
    for p in 0..pixels {
        let _ = writeln!(text, "    if (ox + {p}u < params.width) {{");
        for r in 0..rows {
            let guard = if r == 0 { String::new() } else { format!("if (oy + {r}u < params.height) ") };
            let _ = writeln!(
                text,
                "        {guard}{{ y[y_at + {r}u * params.width + {p}u] = finish(s{r}_{p} + b, y_at + {r}u * params.width + {p}u); }}"
            );
        }
        text.push_str("    }\n");
    }
    text
}
