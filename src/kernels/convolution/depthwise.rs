//! The depthwise convolution kernel: one filter over one channel, a tile of pixels in registers.
//! Knows the tile; must never know attributes.

use super::geometry::{Convolution, Operands, Task};
use crate::error::Result;
use crate::kernels::base::epilogue::FINISH;
use crate::kernels::base::lean;
use crate::kernels::base::limits::word;
use crate::kernels::base::rows::spread;
use crate::kernels::base::tuning::LOAD;
use crate::kernels::base::{Binding, Class, Element, KernelCall, Lowering, Shader, Slot, Tuning, Variant};
use std::collections::BTreeSet;
use std::fmt::Write as _;

static PLAIN: Shader = Shader {
    name: "depthwise",
    class: Class::Depthwise,
    source: lean!("depthwise.wgsl"),
    slots: &[Slot::read("x"), Slot::read("w"), Slot::write("y")],
};
static WITH_BIAS: Shader = Shader {
    name: "depthwise-bias",
    class: Class::Depthwise,
    source: lean!("depthwise.wgsl"),
    slots: &[Slot::read("x"), Slot::read("w"), Slot::write("y"), Slot::read("bias")],
};

/// Threads of a workgroup.
const WORKGROUP: usize = 64;
/// Taps that are unrolled at most.
const UNROLLED: usize = 25;

/// One filter over one channel.
pub(super) struct Depthwise;

impl Variant<Task> for Depthwise {
    fn suits(&self, task: &Task, _: &Lowering<'_>) -> bool {
        suits(&task.conv)
    }

    fn lower(&self, task: &Task, out: &mut Lowering<'_>) -> Result<()> {
        lower(&task.conv, task.operands, out)
    }
}

/// Whether this kernel computes `conv`.
fn suits(conv: &Convolution) -> bool {
    conv.group == conv.channels && conv.group > 1 && conv.y.kernel * conv.x.kernel <= UNROLLED
}

/// Appends the dispatch.
fn lower(conv: &Convolution, operands: Operands, out: &mut Lowering<'_>) -> Result<()> {
    let (y, x) = (&conv.y, &conv.x);
    let (rows, pixels) = size(conv, out);
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
        out.plane(operands.y),
        out.plane(operands.x),
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

/// Rows and pixels of the tiles to choose from: few, or as many as an adapter that spills holds as well.
const TILES: [(usize, usize); 4] = [(2, 7), (2, 4), (1, 7), (1, 4)];
const HELD: [(usize, usize); 9] = [(7, 7), (4, 8), (4, 7), (4, 5), (4, 4), (2, 7), (2, 4), (1, 7), (1, 4)];

/// Rows and pixels of a tile: what loads least for what it stores.
fn size(conv: &Convolution, out: &Lowering<'_>) -> (usize, usize) {
    let held = out.tuning().accumulators > Tuning::HARDWARE.accumulators;
    let (load, candidates) = if held { (LOAD, &HELD[..]) } else { (2, &TILES[..]) };
    let taps = conv.y.kernel * conv.x.kernel;
    let loads = |rows: usize, pixels: usize| {
        met(rows, conv.y.kernel, conv.y.stride, conv.y.dilation).len()
            * met(pixels, conv.x.kernel, conv.x.stride, conv.x.dilation).len()
    };
    let cost = |&(rows, pixels): &(usize, usize)| {
        let tiles = conv.y.output.div_ceil(rows) * conv.x.output.div_ceil(pixels);
        tiles * (load * (loads(rows, pixels) + taps) + rows * pixels * taps)
    };
    let least = candidates.iter().map(cost).min().unwrap_or(0);
    // Loads are code, and compiling that is most of what a page waits for at first: of tiles that are much alike the one with
    // fewest loads, and one that the program has already although it is a little worse.
    let there = |&(rows, pixels): &(usize, usize)| {
        let text = body(conv, rows, pixels);
        out.calls.iter().any(|(_, call)| call.snippets.iter().any(|(key, value)| *key == "body" && *value == text))
    };
    let known = candidates.iter().copied().filter(|tile| cost(tile) * 4 <= least * 5 && there(tile));
    let close = candidates.iter().copied().filter(|tile| cost(tile) * 10 <= least * 11);
    known.min_by_key(&cost).or_else(|| close.min_by_key(|&(rows, pixels)| loads(rows, pixels))).unwrap_or((1, 4))
}

/// The input elements along one axis that `outputs` neighbouring outputs meet, from the first one's first tap.
fn met(outputs: usize, kernel: usize, stride: usize, dilation: usize) -> BTreeSet<usize> {
    (0..outputs).flat_map(|o| (0..kernel).map(move |k| o * stride + k * dilation)).collect()
}

/// Sums of the tile.
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
    for input in met(rows, y.kernel, y.stride, y.dilation) {
        let _ = writeln!(text, "    let row{input} = u32(iy + {input}) < params.in_height;");
        let _ = writeln!(text, "    let at{input} = x_at + {input} * i32(params.in_width);");
        for c in &columns {
            let _ = writeln!(text, "    let x{input}_{c} = select(0.0, x[at{input} + {c}], row{input} && in{c});");
        }
    }
    // One expression for each sum: on SwiftShader a store to a variable takes four times the instructions of a tap.
    for (r, p) in (0..rows).flat_map(|r| (0..pixels).map(move |p| (r, p))) {
        let sum = (0..taps).fold("0.0".to_owned(), |sum, tap| {
            let (ky, kx) = (tap / x.kernel, tap % x.kernel);
            let (row, column) = (r * y.stride + ky * y.dilation, p * x.stride + kx * x.dilation);
            format!("fma(w{tap}, x{row}_{column}, {sum})")
        });
        let _ = writeln!(text, "    let s{r}_{p} = {sum};");
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
