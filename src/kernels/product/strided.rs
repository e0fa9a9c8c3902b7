//! The matrix product that MatMul, Gemm and 1×1 convolution share: operands with strides, a bias, an activation.
//! Knows tiles and strides; must never know which operator asks.

use super::shared::{self, Operands};
use super::split;
use super::tile::{Reads, Tile};
use super::window::Window;
use crate::error::Result;
use crate::graph::TensorId;
use crate::kernels::base::epilogue::{Activation, FINISH};
use crate::kernels::base::limits::{rounds, word, workgroups};
use crate::kernels::base::map::Map;
use crate::kernels::base::operand::float;
use crate::kernels::base::rows::Rows;
use crate::kernels::base::strides::{Strided, reshaped};
use crate::kernels::base::tuning::QUAD;
use crate::kernels::base::{Binding, Class, Element, KernelCall, Lowering, Shader, Slot, Tuning};
use std::fmt::Write as _;

const SLOTS: &[Slot] = &[Slot::read("a"), Slot::read("b"), Slot::write("y")];
const SLOTS_BIAS: &[Slot] = &[Slot::read("a"), Slot::read("b"), Slot::write("y"), Slot::read("c")];
const TILE: &str = concat!(include_str!("head.wgsl"), include_str!("apart.wgsl"));
const QUADS: &str = concat!(include_str!("head.wgsl"), include_str!("quads.wgsl"));
const SHARED: &str = concat!(include_str!("head.wgsl"), include_str!("shared.wgsl"));
const DOT: &str = concat!(include_str!("../base/lanes.wgsl"), include_str!("dot.wgsl"));

/// One shader of each source, class and set of slots: a class is a shader's, not a call's.
static SHADERS: [[Shader; 2]; 8] = [
    [shader("product", Class::Matmul, TILE, SLOTS), shader("product-bias", Class::Matmul, TILE, SLOTS_BIAS)],
    [shader("product-dot", Class::Matmul, DOT, SLOTS), shader("product-dot-bias", Class::Matmul, DOT, SLOTS_BIAS)],
    [shader("conv-1x1", Class::Conv, TILE, SLOTS), shader("conv-1x1-bias", Class::Conv, TILE, SLOTS_BIAS)],
    [
        shader("product-shared", Class::Matmul, SHARED, SLOTS),
        shader("product-shared-bias", Class::Matmul, SHARED, SLOTS_BIAS),
    ],
    [
        shader("conv-1x1-shared", Class::Conv, SHARED, SLOTS),
        shader("conv-1x1-shared-bias", Class::Conv, SHARED, SLOTS_BIAS),
    ],
    [
        shader("product-quads", Class::Matmul, QUADS, SLOTS),
        shader("product-quads-bias", Class::Matmul, QUADS, SLOTS_BIAS),
    ],
    [
        shader("conv-1x1-quads", Class::Conv, QUADS, SLOTS),
        shader("conv-1x1-quads-bias", Class::Conv, QUADS, SLOTS_BIAS),
    ],
    [
        shader("conv-implicit", Class::Conv, SHARED, SLOTS),
        shader("conv-implicit-bias", Class::Conv, SHARED, SLOTS_BIAS),
    ],
];

const fn shader(name: &'static str, class: Class, source: &'static str, slots: &'static [Slot]) -> Shader {
    Shader { name, class, source, slots }
}

/// Threads of a workgroup along the rows.
const WORKGROUP: usize = 8;
/// Rows up to which a product with both operands along k runs as dot products.
const DOT_ROWS: usize = 8;
/// Batch dimensions that cannot be merged.
pub const BATCH_RANK: usize = 4;

/// A matrix operand: the tensor, and elements between neighbours.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    /// The tensor.
    pub tensor: TensorId,
    /// Elements from one row to the next.
    pub row: usize,
    /// Elements from one column to the next.
    pub col: usize,
}

/// y = activation(alpha · a·b + beta · bias), for every index of `batch`; the rows of y follow each other.
#[derive(Clone, Debug)]
pub struct Product {
    /// [`Class::Matmul`] or [`Class::Conv`].
    pub class: Class,
    /// Rows of a and y.
    pub m: usize,
    /// Columns of b and y.
    pub n: usize,
    /// Columns of a, rows of b.
    pub k: usize,
    /// Batch sizes with the elements that one step moves in a and in b, innermost first.
    pub batch: Vec<(usize, usize, usize)>,
    /// Left operand.
    pub a: Matrix,
    /// Right operand.
    pub b: Matrix,
    /// Where b is no matrix that lies in memory: the image and the window that it is read through.
    pub window: Option<Window>,
    /// What is added, the same for every batch index.
    pub bias: Option<Matrix>,
    /// Result.
    pub y: TensorId,
    /// Elements from one row of y to the next: n, or more.
    pub y_row: usize,
    /// Factor of the product.
    pub alpha: f32,
    /// Factor of the bias.
    pub beta: f32,
    /// Applied last.
    pub activation: Activation,
}

impl Product {
    /// Appends the dispatch.
    pub fn lower(&self, out: &mut Lowering<'_>) -> Result<()> {
        if self.is_dot(out) {
            return self.lower_whole(out);
        }
        let product = self.repacked(out)?;
        if split::lower(&product, out)? { Ok(()) } else { product.lower_whole(out) }
    }

    /// The same with columns of b next to each other, where b is a weight: it is moved once, and read in vec4.
    fn repacked(&self, out: &mut Lowering<'_>) -> Result<Product> {
        let b = self.b;
        let whole = out.is_constant(b.tensor) && out.ty(b.tensor).len() == self.k * self.n;
        let apart = b.col != 1 && self.n.is_multiple_of(QUAD) && self.batch.iter().all(|batch| batch.2 == 0);
        if !(out.repacks() && whole && apart && self.window.is_none()) {
            return Ok(self.clone());
        }
        let moved = out.temporary(float(vec![self.k, self.n]));
        let strides = vec![b.row as i64, b.col as i64];
        let operands = vec![Strided { tensor: b.tensor, base: 0, strides }];
        Map { moves: true, expression: "u".to_owned(), functions: "", operands, output: moved, flops: 0.0 }
            .lower(out)?;
        Ok(Product { b: Matrix { tensor: moved, row: self.n, col: 1 }, ..self.clone() })
    }

    /// The same as one dispatch.
    pub(in crate::kernels) fn lower_whole(&self, out: &mut Lowering<'_>) -> Result<()> {
        let call = if self.is_dot(out) { self.dot(out)? } else { self.tiled(out)? };
        out.dispatch(call);
        Ok(())
    }

    /// Whether workgroups share what they read of it: then b may be what a window sees of an image.
    pub fn is_shared(&self, out: &Lowering<'_>) -> bool {
        self.shares(self.tile(out).0, out)
    }

    /// The tile, and how many elements a column has.
    fn tile(&self, out: &Lowering<'_>) -> (Tile, usize) {
        let apart =
            !out.same(self.a.tensor, self.b.tensor) && self.bias.is_none_or(|c| !out.same(c.tensor, self.b.tensor));
        let lies = [self.b.row, out.ty(self.b.tensor).len()].iter().all(|n| n.is_multiple_of(4))
            && self.batch.iter().all(|b| b.2.is_multiple_of(4))
            && self.b.col == 1;
        // What a window sees is read one by one.
        let fours =
            [self.n, self.y_row].iter().all(|n| n.is_multiple_of(4)) && (self.window.is_some() || apart && lies);
        let wide = if fours { 4 } else { 1 };
        let batches: usize = self.batch.iter().map(|b| b.0).product();
        let tuning = out.tuning();
        // Two halves of the smallest tiles are worth a workgroup.
        let enough = self.m * 2 >= WORKGROUP * QUAD && self.k >= shared::DEPTH;
        let reads = match (tuning.shared || tuning.halved) && enough {
            true => Reads::Shared,
            false if self.lends(out) => Reads::Lent,
            false => Reads::Apart,
        };
        (Tile::of([self.m, self.n / wide, batches], wide, reads, out), wide)
    }

    /// Whether the threads of a quad lend each other what they read: what a workgroup shares, none need lend.
    fn lends(&self, out: &Lowering<'_>) -> bool {
        let tuning = out.tuning();
        tuning.quads && !tuning.shared && !tuning.halved && self.k.is_multiple_of(QUAD) && self.k > 0
    }

    /// Whether few rows meet a b that lies along k, all of it in vec4.
    fn is_dot(&self, out: &Lowering<'_>) -> bool {
        let dense = self.a.col == 1 && self.b.row == 1 && self.a.row == self.k && self.b.col == self.k;
        // Each tensor is seen as vec4 or as f32, so the bias must be neither operand.
        let apart = |c: Matrix| !out.same(c.tensor, self.a.tensor) && !out.same(c.tensor, self.b.tensor);
        self.class == Class::Matmul
            && self.batch.is_empty()
            && dense
            && self.m <= DOT_ROWS
            && self.k > 1
            && self.k.is_multiple_of(4)
            && self.bias.is_none_or(apart)
    }

    fn tiled(&self, out: &Lowering<'_>) -> Result<KernelCall> {
        let batches: usize = self.batch.iter().map(|b| b.0).product();
        let quads = self.lends(out);
        let (tile, wide) = self.tile(out);
        let shared = self.shares(tile, out);
        let deep = if !quads && self.is_deep(out) { 4 } else { 1 };
        let at_once = match quads {
            true if self.k.is_multiple_of(2 * QUAD) => 2 * QUAD,
            true => QUAD,
            false => deep,
        };
        if !shared {
            rounds(self.k / at_once + BATCH_RANK)?;
        }
        let mut params = vec![word(self.m)?, word(self.n / wide)?, word(self.k / deep)?, self.alpha.to_bits()];
        // Of what a window sees, only where an image begins is counted in elements of b.
        let b_wide = if self.window.is_some() { 1 } else { wide };
        params.extend([word(self.a.row / deep)?, word(self.a.col)?, word(self.b.row / b_wide)?, word(self.b.col)?]);
        params.extend(self.bias_params(wide)?);
        let mut batch = self.batch.clone();
        batch.resize(BATCH_RANK, (1, 0, 0));
        for value in (batch.iter().map(|b| b.0))
            .chain(batch.iter().map(|b| b.1 / deep))
            .chain(batch.iter().map(|b| b.2 / b_wide))
        {
            params.push(word(value)?);
        }
        // The results of one batch index after those of another.
        let mut apart = self.m * self.y_row / wide;
        for (size, ..) in &batch {
            params.push(word(if *size == 1 { 0 } else { apart })?);
            apart *= size;
        }
        params.extend(self.window.iter().map(Window::params).collect::<Result<Vec<_>>>()?.concat());
        let seen = |n: usize| if n == 4 { Element::Vec4F32 } else { Element::F32 };
        let wide_tile = tile.rows * tile.cols * tile.wide > Tuning::HARDWARE.accumulators;
        let mut snippets = vec![
            ("rows", tile.rows.to_string()),
            ("cols", tile.cols.to_string()),
            ("across", tile.across.to_string()),
            ("deep", at_once.to_string()),
            ("begin", tile.begin()),
            ("end", if wide_tile { self.looped_end(tile) } else { self.end(tile) }),
            ("activation", self.activation.wgsl("y_t")),
            ("window", self.window.map_or(String::new(), |_| Window::FIELDS.to_owned())),
            ("more", String::new()),
            ("finish", FINISH.to_owned()),
        ];
        if shared {
            let b_along_k = self.b.row == 1 && self.b.col != 1;
            let window = self.window.map(|w| w.fetch(wide));
            let operands = Operands { deep: deep == 4, b_along_k, window, halved: out.tuning().halved };
            snippets.extend(shared::snippets(tile, &operands));
        } else if quads {
            snippets.push(("step", tile.quad_step(at_once)));
        } else {
            snippets.push(("step", tile.step(deep)));
        }
        let groups = workgroups([
            (self.n / wide).div_ceil(tile.across * tile.cols),
            self.m.div_ceil(if quads { tile.rows } else { WORKGROUP * tile.rows }),
            batches,
        ])?;
        let elements = [seen(deep), seen(b_wide), seen(wide)];
        let family = match (self.class == Class::Conv, shared, quads) {
            _ if self.window.is_some() => 7,
            (false, false, false) => 0,
            (true, false, false) => 2,
            (false, true, _) => 3,
            (true, true, _) => 4,
            (false, false, true) => 5,
            (true, false, true) => 6,
        };
        Ok(self.call(out, family, elements, snippets, params, groups))
    }

    /// Whether its workgroups bring operands into memory that their threads share: none of them mostly edge.
    fn shares(&self, tile: Tile, out: &Lowering<'_>) -> bool {
        let (rows, cols) = (WORKGROUP * tile.rows, tile.across * tile.cols * tile.wide);
        (out.tuning().shared || out.tuning().halved)
            && 2 * self.m >= rows
            && 2 * self.n >= cols
            && self.k >= shared::DEPTH
            && shared::suits(tile)
            && rounds(shared::turns(tile, self.k, self.window.is_some()) + BATCH_RANK).is_ok()
    }

    /// Whether a can be read four elements along k at a time.
    fn is_deep(&self, out: &Lowering<'_>) -> bool {
        // Each tensor is seen as vec4 or as f32, so a must be no other operand.
        let apart =
            !out.same(self.a.tensor, self.b.tensor) && self.bias.is_none_or(|c| !out.same(c.tensor, self.a.tensor));
        let fours = [self.k, self.a.row, out.ty(self.a.tensor).len()].iter().all(|n| n.is_multiple_of(4))
            && self.batch.iter().all(|b| b.1.is_multiple_of(4));
        apart && fours && self.a.col == 1 && self.k > 0
    }

    fn dot(&self, out: &Lowering<'_>) -> Result<KernelCall> {
        let columns = Rows { outer: self.n, len: self.k / 4, inner: 1 };
        let cover = columns.cover(columns.len, 1, out.tuning())?;
        // Each row's sum is joined over the threads.
        rounds(columns.len.div_ceil(cover.lanes) + self.m * cover.lanes)?;
        let mut params = vec![word(self.m)?, word(self.n)?, word(columns.len)?, self.alpha.to_bits()];
        params.extend(self.bias_params(1)?);
        let mut begin = String::from("    let j0 = col;\n");
        let mut step = String::from("        let w = b[col * params.k + q];\n");
        let mut sums = String::new();
        for i in 0..self.m {
            let _ = writeln!(begin, "    let i{i} = {i}u;\n    var s{i}_0 = 0.0;");
            let _ = writeln!(step, "        s{i}_0 += dot(a[i{i} * params.k + q], w);");
            let _ = writeln!(sums, "    s{i}_0 = over_lanes(s{i}_0, thread, false);");
        }
        let snippets = vec![
            ("rows", self.m.to_string()),
            ("begin", begin),
            ("step", step),
            ("sums", sums),
            ("end", self.end(Tile { rows: self.m, cols: 1, wide: 1, across: 1 })),
            ("activation", self.activation.wgsl("y_t")),
            ("more", String::new()),
            ("finish", FINISH.to_owned()),
        ];
        let snippets = snippets.into_iter().chain(cover.snippets("n")).collect();
        let elements = [Element::Vec4F32, Element::Vec4F32, Element::F32];
        Ok(self.call(out, 1, elements, snippets, params, cover.workgroups))
    }

    /// Strides and factor of the bias, and columns from one row of y to the next.
    fn bias_params(&self, wide: usize) -> Result<[u32; 4]> {
        let (row, col) = self.bias.map_or((0, 0), |c| (c.row, c.col));
        Ok([word(row)?, word(col)?, self.beta.to_bits(), word(self.y_row / wide)?])
    }

    /// Adds the bias to the tile's sums `s{i}_{j}` of rows `i{i}` and columns `j{j}`, and stores them.
    fn end(&self, tile: Tile) -> String {
        let mut text = String::new();
        let one = 1f32.to_bits();
        let scale = if self.alpha.to_bits() == one { "" } else { " * params.alpha" };
        let factor = if self.beta.to_bits() == one { "" } else { "params.beta * " };
        // What the bias depends on decides how often it is loaded.
        let load = |row: &str, col: &str| {
            let at = |e: usize| {
                let col = if tile.wide == 1 { col.to_owned() } else { format!("({col} * 4u + {e}u)") };
                format!("c[{row} * params.c_row + {col} * params.c_col]")
            };
            let parts: Vec<String> = (0..tile.wide).map(at).collect();
            format!("{factor}y_t({})", parts.join(", "))
        };
        let kind = self.bias.map(|c| (c.row != 0, c.col != 0));
        if kind == Some((false, true)) {
            for j in 0..tile.cols {
                let _ = writeln!(text, "    let d{j} = {};", load("0u", &format!("j{j}")));
            }
        }
        for i in 0..tile.rows {
            let _ = writeln!(text, "    let y{i} = y_at + i{i} * params.y_row;");
            if let Some((_, false)) = kind {
                let _ = writeln!(text, "    let e{i} = y_t({factor}c[i{i} * params.c_row]);");
            }
            for j in 0..tile.cols {
                let bias = match kind {
                    None => String::new(),
                    Some((_, false)) => format!(" + e{i}"),
                    Some((false, true)) => format!(" + d{j}"),
                    Some((true, true)) => format!(" + {}", load(&format!("i{i}"), &format!("j{j}"))),
                };
                let _ = writeln!(text, "    y[y{i} + j{j}] = finish(s{i}_{j}{scale}{bias}, y{i} + j{j});");
            }
        }
        text
    }

    /// The same as a loop over the rows, which is less code to compile where the tile is wide.
    fn looped_end(&self, tile: Tile) -> String {
        let sums: Vec<String> = (0..tile.rows).flat_map(|i| (0..tile.cols).map(move |j| format!("s{i}_{j}"))).collect();
        let (count, rows, cols) = (sums.len(), tile.rows, tile.cols);
        let mut text = format!("    var sums = array<y_t, {count}>({});\n", sums.join(", "));
        let load = |col: &str| {
            let at = |e: usize| {
                let col = if tile.wide == 1 { col.to_owned() } else { format!("({col} * 4u + {e}u)") };
                format!("c[i * params.c_row + {col} * params.c_col]")
            };
            let parts: Vec<String> = (0..tile.wide).map(at).collect();
            format!("params.beta * y_t({})", parts.join(", "))
        };
        let of_row = self.bias.filter(|c| c.col == 0);
        let _ = write!(
            text,
            "    for (var t = 0u; t < {rows}u; t++) {{\n        let i = min(row + t, params.m - 1u);\n        \
             let y_i = y_at + i * params.y_row;\n"
        );
        if of_row.is_some() {
            text.push_str("        let e = y_t(params.beta * c[i * params.c_row]);\n");
        }
        for j in 0..cols {
            let bias = match (self.bias, of_row) {
                (None, _) => String::new(),
                (_, Some(_)) => " + e".to_owned(),
                _ => format!(" + {}", load(&format!("j{j}"))),
            };
            let _ = writeln!(
                text,
                "        y[y_i + j{j}] = finish(sums[t * {cols}u + {j}u] * params.alpha{bias}, y_i + j{j});"
            );
        }
        text.push_str("    }\n");
        text
    }

    fn call(
        &self,
        out: &Lowering<'_>,
        family: usize,
        elements: [Element; 3],
        snippets: Vec<(&'static str, String)>,
        params: Vec<u32>,
        workgroups: [u32; 3],
    ) -> KernelCall {
        let tensors = [self.a.tensor, self.b.tensor, self.y];
        let bind = |(tensor, element)| Binding { tensor, element };
        let mut bindings: Vec<Binding> = tensors.into_iter().zip(elements).map(bind).collect();
        bindings.extend(self.bias.map(|c| bind((c.tensor, Element::F32))));
        let batches: usize = self.batch.iter().map(|b| b.0).product();
        let outputs = (self.m * self.n * batches) as f64;
        KernelCall {
            shader: &SHADERS[family][usize::from(self.bias.is_some())],
            snippets,
            constants: vec![],
            bytes: bindings.iter().map(|b| out.bytes(b.tensor)).sum(),
            bindings,
            params,
            workgroups,
            flops: outputs * (2.0 * self.k as f64 + f64::from(u8::from(self.bias.is_some()))),
        }
    }
}

/// Words of a tiled product's parameters: rows, columns, columns from one row of y to the next, sizes of the batch, and
/// columns from one index of each to the next.
const M: usize = 0;
const N: usize = 1;
const Y_ROW: usize = 11;
const BATCH: usize = 12;
const Y_BATCH: usize = 24;

/// `call`, which computes a tensor of `shape`, with its results elsewhere: `strides` for each axis of it, in `output`.
/// `None` where it is no tiled product, has operands in its epilogue, or the strides are not those of its rows and batch.
pub(in crate::kernels) fn stored_apart(
    call: &KernelCall,
    shape: &[usize],
    strides: &[i64],
    output: TensorId,
) -> Option<KernelCall> {
    let slots = call.shader.slots;
    let y = slots.iter().position(|s| s.writes)?;
    if ![TILE, SHARED, QUADS].contains(&call.shader.source) || call.bindings.len() > slots.len() {
        return None;
    }
    let wide = call.bindings[y].element.wide();
    let (m, n) = (call.params[M] as usize, call.params[N] as usize * wide);
    let sizes: Vec<usize> = call.params[BATCH..BATCH + BATCH_RANK].iter().map(|&size| size as usize).collect();
    let whole: Vec<usize> = sizes.iter().rev().copied().chain([m, n]).collect();
    let found = reshaped(shape, strides, &whole)?;
    let [batch @ .., row, col] = found.as_slice() else { return None };
    let columns = |stride: i64| {
        let stride = usize::try_from(stride).ok()?;
        if stride.is_multiple_of(wide) { word(stride / wide).ok() } else { None }
    };
    if *col != 1 && n > 1 {
        return None;
    }
    let mut call = call.clone();
    call.params[Y_ROW] = columns(*row)?;
    for (d, &stride) in batch.iter().rev().enumerate() {
        call.params[Y_BATCH + d] = columns(stride)?;
    }
    call.bindings[y].tensor = output;
    Some(call)
}
