//! The direct convolution kernel: a tile of filters × pixels in registers, loops over channels and taps.
//! Knows the tile; must never know attributes.

use super::geometry::{Convolution, Operands, Task};
use crate::error::Result;
use crate::kernels::base::epilogue::FINISH;
use crate::kernels::base::lean;
use crate::kernels::base::limits::{rounds, word, workgroups};
use crate::kernels::base::tuning::{LOAD, QUAD};
use crate::kernels::base::window::Axis;
use crate::kernels::base::{Binding, Class, Element, KernelCall, Lowering, Shader, Slot, Tuning, Variant};
use crate::kernels::product::SWAPS;
use std::collections::BTreeSet;
use std::fmt::Write as _;

static PLAIN: Shader = Shader {
    name: "conv",
    class: Class::Conv,
    source: lean!("direct.wgsl"),
    slots: &[Slot::read("x"), Slot::read("w"), Slot::write("y")],
};
static WITH_BIAS: Shader = Shader {
    name: "conv-bias",
    class: Class::Conv,
    source: lean!("direct.wgsl"),
    slots: &[Slot::read("x"), Slot::read("w"), Slot::write("y"), Slot::read("bias")],
};
static QUADS: Shader = Shader { name: "conv-quads", ..PLAIN };
static QUADS_WITH_BIAS: Shader = Shader { name: "conv-quads-bias", ..WITH_BIAS };

/// Threads of a workgroup along tiles, and along filters; a quad is a workgroup of its own.
const WORKGROUP: usize = 8;
/// Widest row of taps that is unrolled.
const UNROLLED: usize = 7;

/// Taps added to a sum between its load and its store where the threads of a quad spare the loads: more is much code.
const ADDED: usize = 12;

/// What one thread computes, and what its code is unrolled for.
#[derive(Clone, Copy, Debug)]
struct Tile {
    filters: usize,
    pixels: usize,
    stride: usize,
    dilation: usize,
    /// Taps of a row that are unrolled; a longer row is a loop over single taps.
    taps: usize,
    looped: bool,
    /// Whether elements left or right of the input are met by a pixel that is stored.
    padded: bool,
    /// Whether elements above or below it are.
    padded_rows: bool,
    /// Whether the four threads of a quad, whose filters are the same, each read the weights of every fourth for all.
    quads: bool,
}

/// Any convolution, tap by tap.
pub(super) struct Direct;

impl Variant<Task> for Direct {
    fn suits(&self, _: &Task, _: &Lowering<'_>) -> bool {
        true
    }

    fn lower(&self, task: &Task, out: &mut Lowering<'_>) -> Result<()> {
        lower(&task.conv, task.operands, out)
    }
}

/// Appends the dispatch.
fn lower(conv: &Convolution, operands: Operands, out: &mut Lowering<'_>) -> Result<()> {
    let (y, x) = (&conv.y, &conv.x);
    let looped = x.kernel > UNROLLED || (x.kernel - 1) * x.dilation > 2 * UNROLLED;
    let last = |a: &Axis| (a.output.max(1) - 1) * a.stride + (a.kernel - 1) * a.dilation;
    let padded = |a: &Axis| a.before > 0 || last(a) >= a.input + a.before;
    let tile = Tile {
        filters: 1,
        pixels: 1,
        stride: x.stride,
        dilation: x.dilation,
        taps: if looped { 1 } else { x.kernel },
        looped,
        padded: padded(x),
        padded_rows: padded(y),
        quads: out.tuning().quads,
    };
    let tile = tile.sized(conv, out.tuning());
    let channels = tile.channels(conv.group_channels());
    let [across, down] = if tile.quads { [QUAD, 1] } else { [WORKGROUP; 2] };
    let (filters, pixels) = (tile.filters, tile.pixels);
    let per_channel = y.kernel * (1 + if looped { x.kernel } else { 0 });
    rounds(conv.group_channels() / channels * (1 + per_channel))?;
    let row_tiles = x.output.div_ceil(pixels);
    let tiles = conv.batch * y.output * row_tiles;
    let blocks = conv.group_filters().div_ceil(filters);
    let groups = workgroups([tiles.div_ceil(across), blocks.div_ceil(down), conv.group])?;
    let params = [
        tiles,
        row_tiles,
        y.output,
        x.output,
        y.input,
        x.input,
        conv.channels,
        conv.group_channels(),
        conv.filters,
        conv.group_filters(),
        blocks,
        y.kernel,
        x.kernel,
        y.stride,
        y.dilation,
        x.dilation,
        y.before,
        x.before,
        out.plane(operands.y),
        out.plane(operands.x),
    ];
    let mut bindings = vec![operands.x, operands.w, operands.y];
    bindings.extend(operands.bias);
    let bytes = bindings.iter().map(|&id| out.bytes(id)).sum();
    let bias = operands.bias.is_some();
    let wide = filters * pixels > Tuning::HARDWARE.accumulators;
    out.dispatch(KernelCall {
        shader: match (tile.quads, bias) {
            (false, false) => &PLAIN,
            (false, true) => &WITH_BIAS,
            (true, false) => &QUADS,
            (true, true) => &QUADS_WITH_BIAS,
        },
        snippets: vec![
            ("across", across.to_string()),
            ("down", down.to_string()),
            ("leave", tile.leave()),
            ("rows", tile.rows()),
            ("inside", tile.inside()),
            ("pixels", pixels.to_string()),
            ("filters", filters.to_string()),
            ("stride", x.stride.to_string()),
            ("begin", tile.begin()),
            ("deep", channels.to_string()),
            ("step", tile.step(channels)),
            ("end", if wide { tile.looped_end(bias) } else { tile.end(bias) }),
            ("activation", conv.activation.wgsl("f32")),
            ("more", String::new()),
            ("finish", FINISH.to_owned()),
        ],
        constants: vec![],
        bindings: bindings.into_iter().map(|tensor| Binding { tensor, element: Element::F32 }).collect(),
        params: params.into_iter().map(word).collect::<Result<_>>()?,
        workgroups: groups,
        flops: conv.flops(bias),
        bytes,
    });
    Ok(())
}

/// Filters and pixels of the tiles to choose from.
const SIZES: [(usize, usize); 15] = [
    (16, 16),
    (16, 14),
    (8, 28),
    (8, 20),
    (16, 10),
    (8, 14),
    (16, 7),
    (8, 8),
    (8, 7),
    (8, 5),
    (8, 4),
    (4, 14),
    (4, 7),
    (4, 4),
    (1, 4),
];

impl Tile {
    /// With the filters and pixels that waste least, fewer where there would be too few threads.
    fn sized(self, conv: &Convolution, tuning: Tuning) -> Tile {
        let cost = |tile: &Tile| {
            let rows = conv.batch * conv.y.output * conv.group;
            let threads = rows * conv.x.output.div_ceil(tile.pixels) * conv.group_filters().div_ceil(tile.filters);
            let read = if tile.quads { tile.filters / QUAD } else { tile.filters };
            let work = tile.filters * tile.pixels * tile.taps + LOAD * (read * tile.taps + tile.columns().len());
            (threads * work) as f64 * tuning.starved(threads)
        };
        SIZES
            .iter()
            .filter(|(filters, pixels)| filters * pixels <= tuning.accumulators)
            .map(|&(filters, pixels)| Tile {
                filters,
                pixels,
                quads: self.quads && filters.is_multiple_of(QUAD),
                ..self
            })
            .min_by(|a, b| cost(a).total_cmp(&cost(b)))
            .unwrap_or(self)
    }

    /// The input columns that the tile's taps meet, from the first pixel's first tap.
    fn columns(self) -> BTreeSet<usize> {
        let column = |p: usize, k: usize| p * self.stride + k * self.dilation;
        (0..self.pixels).flat_map(|p| (0..self.taps).map(move |k| column(p, k))).collect()
    }

    /// How threads over the edge of the filters end: not in a quad, which needs them all.
    fn leave(self) -> String {
        let over = "    if (block >= params.filter_tiles) {\n        return;\n    }\n";
        if self.quads { String::new() } else { over.to_owned() }
    }

    /// The rows of taps: those inside the input, or all of them where the threads of a quad have to go through the same.
    fn rows(self) -> String {
        if self.quads {
            return "    let first_tap = 0u;\n    let last_tap = params.kernel_y;\n".to_owned();
        }
        "    let dilation = i32(params.dilation_y);\n    \
         let first_tap = u32(max(0, (dilation - 1 - iy) / dilation));\n    \
         let height_left = i32(params.in_height) - iy;\n    \
         let last_tap = u32(clamp((height_left + dilation - 1) / dilation, 0, i32(params.kernel_y)));\n"
            .to_owned()
    }

    /// Whether a row of taps is inside the input, where that is not known.
    fn inside(self) -> String {
        let known = !self.quads || !self.padded_rows;
        let text = "            let inside = u32(iy + i32(ky * params.dilation_y)) < params.in_height;\n";
        if known { String::new() } else { text.to_owned() }
    }

    fn begin(self) -> String {
        let mut text = String::new();
        // In a quad each thread begins with a filter of its own, and swaps what it reads for those of the others.
        let lane = if self.quads { " ^ local.x" } else { "" };
        for i in 0..self.filters {
            let filter = format!("block * {}u + ({i}u{lane})", self.filters);
            let _ = writeln!(text, "    let m{i} = min({filter}, params.group_filters - 1u);");
            if !self.quads || i % QUAD == 0 {
                let _ = writeln!(
                    text,
                    "    let w{i} = (group_index * params.group_filters + m{i}) * params.group_channels * taps;"
                );
            }
        }
        if self.padded && !self.looped {
            for c in self.columns() {
                let _ = writeln!(text, "    let in{c} = u32(ix + {c}) < params.in_width;");
            }
        }
        for i in 0..self.filters {
            for p in 0..self.pixels {
                let _ = writeln!(text, "    var s{i}_{p} = 0.0;");
            }
        }
        text
    }

    /// Channels whose taps are added at once: few stores to the sums, where the threads of a quad spare the loads.
    fn channels(self, of: usize) -> usize {
        let few = |n: &usize| n * self.taps <= ADDED && of.is_multiple_of(*n);
        if self.quads { [8, 4, 2].into_iter().find(few).unwrap_or(1) } else { 1 }
    }

    /// One row of taps of `channels` channels.
    fn step(self, channels: usize) -> String {
        let mut text = String::new();
        if self.looped {
            text.push_str("            for (var kx = 0u; kx < params.kernel_x; kx++) {\n");
            text.push_str("            let shift = i32(kx * params.dilation_x);\n");
        }
        let (shift, tap) = if self.looped { (" + shift", " + kx") } else { ("", "") };
        for d in 0..channels {
            let _ = writeln!(text, "            let row{d} = row + {d} * i32(params.in_plane);");
            for c in self.columns() {
                let load = format!("x[row{d} + {c}{shift}]");
                let along = match (self.padded, self.looped) {
                    (false, _) => None,
                    (true, false) => Some(format!("in{c}")),
                    (true, true) => Some(format!("u32(ix + {c} + shift) < params.in_width")),
                };
                let rows = (self.quads && self.padded_rows).then(|| "inside".to_owned());
                let met: Vec<String> = along.into_iter().chain(rows).collect();
                let _ = match met.is_empty() {
                    true => writeln!(text, "            let x{d}_{c} = {load};"),
                    false => writeln!(text, "            let x{d}_{c} = select(0.0, {load}, {});", met.join(" && ")),
                };
            }
        }
        let taps = || (0..channels).flat_map(|d| (0..self.taps).map(move |k| (d, k)));
        for i in 0..self.filters {
            let (first, own) = (i / QUAD * QUAD, i % QUAD);
            for (d, k) in taps() {
                let _ = match (self.quads, own) {
                    (true, 1..) => {
                        writeln!(text, "            let w{i}_{d}_{k} = {}(w{first}_{d}_{k});", SWAPS[own - 1])
                    }
                    _ => writeln!(text, "            let w{i}_{d}_{k} = w[w{i} + tap{tap} + {d}u * taps + {k}u];"),
                };
            }
            for p in 0..self.pixels {
                // One store to each sum: on a software adapter a store costs as much as several multiply-adds.
                let sum = taps().fold(format!("s{i}_{p}"), |sum, (d, k)| {
                    format!("fma(w{i}_{d}_{k}, x{d}_{}, {sum})", p * self.stride + k * self.dilation)
                });
                let _ = writeln!(text, "            s{i}_{p} = {sum};");
            }
        }
        if self.looped {
            text.push_str("            }\n");
        }
        text
    }

    fn end(self, bias: bool) -> String {
        let mut text = String::new();
        for i in 0..self.filters {
            let _ = writeln!(text, "    let y{i} = y_at + m{i} * params.plane;");
            if bias {
                let _ = writeln!(text, "    let b{i} = bias[group_index * params.group_filters + m{i}];");
            }
        }
        for p in 0..self.pixels {
            let _ = writeln!(text, "    if (ox + {p}u < params.width) {{");
            for i in 0..self.filters {
                let bias = if bias { format!(" + b{i}") } else { String::new() };
                let _ = writeln!(text, "        y[y{i} + {p}u] = finish(s{i}_{p}{bias}, y{i} + {p}u);");
            }
            text.push_str("    }\n");
        }
        text
    }

    /// The same as a loop over the filters, for an epilogue that would be too much code if each sum had its own.
    fn looped_end(self, bias: bool) -> String {
        let (filters, pixels) = (self.filters, self.pixels);
        let lane = if self.quads { " ^ local.x" } else { "" };
        let count = filters * pixels;
        let sums: Vec<String> = (0..filters).flat_map(|i| (0..pixels).map(move |p| format!("s{i}_{p}"))).collect();
        let bias = if bias { "bias[group_index * params.group_filters + f]" } else { "0.0" };
        let mut text = format!(
            "    var sums = array<f32, {count}>({});\n    \
             for (var t = 0u; t < {filters}u; t++) {{\n        \
             let f = min(block * {filters}u + (t{lane}), params.group_filters - 1u);\n        \
             let y_f = y_at + f * params.plane;\n        let b = {bias};\n",
            sums.join(", ")
        );
        for p in 0..pixels {
            let _ = writeln!(
                text,
                "        if (ox + {p}u < params.width) {{ y[y_f + {p}u] = finish(sums[t * {pixels}u + {p}u] + b, y_f + {p}u); }}"
            );
        }
        text.push_str("    }\n");
        text
    }
}
