//! Pools on the GPU: several pixels a thread, the window unrolled where it is small. Knows windows and dispatches; must never
//! know a device.

use super::{Pool, Windows, windows};
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::lean;
use crate::kernels::base::limits::{rounds, word};
use crate::kernels::base::rows::{GROUP, spread};
use crate::kernels::base::{Binding, Class, Element, Kernel, KernelCall, Lowering, Planes, Shader, Slot};
use std::collections::BTreeSet;
use std::fmt::Write as _;

static SHADER: Shader = Shader {
    name: "pool",
    class: Class::Pool,
    source: lean!("pool.wgsl"),
    slots: &[Slot::read("x"), Slot::write("y")],
};

/// Windows of up to so many elements are unrolled.
const UNROLLED: usize = 25;

/// A window of any size, as loops.
const LOOP: &str = lean!("pool_loop.wgsl");

/// Pixels of a tile to choose from.
const PIXELS: [usize; 4] = [8, 7, 5, 4];

/// WGSL of a pool: what a fold begins with, how it takes an `element` into `value`, and what is stored of it.
struct Fold {
    first: &'static str,
    step: &'static str,
    result: &'static str,
}

impl Fold {
    /// Folds and stores the windows of `pixels` neighbouring pixels, counting what they meet of the input and of the
    /// padded input.
    fn unrolled(&self, w: &Windows, pixels: usize) -> String {
        let Fold { first, step, result } = self;
        let mut text = String::new();
        // Below 0 an index wraps to far beyond the input's size.
        for k in 0..w.y.kernel {
            let _ = writeln!(
                text,
                "    let py{k} = oy * params.rows.stride + {k}u * params.rows.dilation;\n    \
                 let in_y{k} = py{k} - params.rows.before < params.rows.input;\n    \
                 let row{k} = plane * params.in_plane + \
                 min(py{k} - params.rows.before, params.rows.input - 1u) * params.cols.input;"
            );
        }
        let column = |p: usize, k: usize| p * w.x.stride + k * w.x.dilation;
        let columns: BTreeSet<usize> = (0..pixels).flat_map(|p| (0..w.x.kernel).map(move |k| column(p, k))).collect();
        for c in &columns {
            let _ = writeln!(
                text,
                "    let px{c} = ox * params.cols.stride + {c}u;\n    \
                 let in_x{c} = px{c} - params.cols.before < params.cols.input;\n    \
                 let at{c} = min(px{c} - params.cols.before, params.cols.input - 1u);"
            );
            for k in 0..w.y.kernel {
                let _ = writeln!(text, "    let x{k}_{c} = select({first}, x[row{k} + at{c}], in_y{k} && in_x{c});");
            }
        }
        let sum = |count: usize, of: &dyn Fn(usize) -> String| {
            (0..count).map(|k| format!("u32({})", of(k))).collect::<Vec<_>>().join(" + ")
        };
        let _ = writeln!(
            text,
            "    let met_y = {};\n    let padded_y = {};",
            sum(w.y.kernel, &|k| format!("in_y{k}")),
            sum(w.y.kernel, &|k| format!("py{k} < params.rows.end"))
        );
        for p in 0..pixels {
            let _ = writeln!(text, "    if (ox + {p}u < params.cols.output) {{\n        var value = {first};");
            for (ky, kx) in (0..w.y.kernel).flat_map(|ky| (0..w.x.kernel).map(move |kx| (ky, kx))) {
                let step = step.replace("element", &format!("x{ky}_{}", column(p, kx)));
                let _ = writeln!(text, "        value = {step};");
            }
            let met = sum(w.x.kernel, &|k| format!("in_x{}", column(p, k)));
            let padded = sum(w.x.kernel, &|k| format!("px{} < params.cols.end", column(p, k)));
            let _ = writeln!(
                text,
                "        let met = met_y * ({met});\n        let padded = padded_y * ({padded});\n        \
                 y[y_at + {p}u] = {result};\n    }}"
            );
        }
        text
    }

    /// The same for one pixel and a window of any size, as loops.
    fn looped(&self) -> String {
        let named = [("first", self.first), ("step", self.step), ("result", self.result)];
        named.iter().fold(LOOP.to_owned(), |text, (key, value)| text.replace(&format!("${{{key}}}"), value))
    }
}

impl Kernel for Pool {
    fn planes(&self, _: &Call<'_>) -> Planes {
        Planes::Each
    }

    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let w = windows(call)?;
        let (x, y) = (out.input(0)?, out.output(0)?);
        rounds(w.y.kernel * (1 + w.x.kernel))?;
        let unrolled = w.y.kernel * w.x.kernel <= UNROLLED;
        let waste = |p: &usize| (w.x.output.div_ceil(*p) * (p + 1), usize::MAX - p);
        let pixels = if unrolled { PIXELS.into_iter().min_by_key(waste).unwrap_or(1) } else { 1 };
        let row_tiles = w.x.output.div_ceil(pixels);
        let tiles = w.planes * w.y.output * row_tiles;
        let workgroups = spread(tiles.div_ceil(GROUP))?;
        let mut params = vec![tiles, workgroups[0] as usize, out.plane(x), out.plane(y)];
        for a in [&w.y, &w.x] {
            let end = a.before + a.input + a.after;
            params.extend([a.input, a.output, a.kernel, a.stride, a.dilation, a.before, end, 0]);
        }
        params.push(row_tiles);
        let fold = match (self.average, w.counts_padding) {
            (false, _) => Fold { first: "-3.4028234e38", step: "max(value, element)", result: "value" },
            (true, false) => Fold { first: "0.0", step: "value + element", result: "value / f32(met)" },
            (true, true) => Fold { first: "0.0", step: "value + element", result: "value / f32(padded)" },
        };
        let text = if unrolled { fold.unrolled(&w, pixels) } else { fold.looped() };
        out.dispatch(KernelCall {
            shader: &SHADER,
            snippets: vec![("pixels", pixels.to_string()), ("fold", text)],
            constants: vec![],
            bindings: [x, y].map(|tensor| Binding { tensor, element: Element::F32 }).to_vec(),
            params: params.into_iter().map(word).collect::<Result<_>>()?,
            workgroups,
            flops: (w.planes * w.y.output * w.x.output * w.y.kernel * w.x.kernel) as f64,
            bytes: out.bytes(x) + out.bytes(y),
        });
        Ok(())
    }
}
