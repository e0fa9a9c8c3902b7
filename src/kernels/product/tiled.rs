//! A product computed in tiles: what all kernels that do so have in common: parameters, the end of a tile, the dispatch.
//! Knows tiles and strides; must never know how operands come to the threads, nor which operator asks.

use super::gather;
use super::operands::{BATCH_RANK, Product};
use super::tile::{Reads, Tile};
use super::window::Window;
use crate::error::Result;
use crate::kernels::base::epilogue::FINISH;
use crate::kernels::base::limits::{rounds, word, workgroups};
use crate::kernels::base::tuning::QUAD;
use crate::kernels::base::{Binding, Class, Element, KernelCall, Lowering, Shader, Slot, Tuning};
use std::fmt::Write as _;

const SLOTS: &[Slot] = &[Slot::read("a"), Slot::read("b"), Slot::write("y")];
const SLOTS_BIAS: &[Slot] = &[Slot::read("a"), Slot::read("b"), Slot::write("y"), Slot::read("c")];

/// Shaders of a source without a bias and with one: a class is a shader's, not a call's.
pub(super) const fn shaders(names: [&'static str; 2], class: Class, source: &'static str) -> [Shader; 2] {
    let [plain, bias] = names;
    [Shader { name: plain, class, source, slots: SLOTS }, Shader { name: bias, class, source, slots: SLOTS_BIAS }]
}

/// Threads of a workgroup along the rows.
pub(super) const WORKGROUP: usize = 8;

/// What is a variant's own of a product in tiles.
pub(super) struct Form {
    /// Without a bias and with one.
    pub shaders: &'static [Shader; 2],
    /// Elements of a that are bound as one, along k.
    pub deep: usize,
    /// Elements along k of one turn of the loop.
    pub at_once: usize,
    /// Rows of a workgroup.
    pub rows: usize,
    /// What fills in the body.
    pub snippets: Vec<(&'static str, String)>,
}

impl Product {
    /// The tile, and how many elements a column has.
    pub(super) fn tile(&self, out: &Lowering<'_>) -> (Tile, usize) {
        let apart =
            !out.same(self.a.tensor, self.b.tensor) && self.bias.is_none_or(|c| !out.same(c.tensor, self.b.tensor));
        let lies = [self.b.row, out.ty(self.b.tensor).len()].iter().all(|n| n.is_multiple_of(4))
            && self.batch.iter().all(|b| b.2.is_multiple_of(4))
            && self.b.col == 1;
        // What a window sees is read one by one.
        let fours =
            [self.n, self.y_row].iter().all(|n| n.is_multiple_of(4)) && (self.window.is_some() || apart && lies);
        let wide = if fours { 4 } else { 1 };
        let tuning = out.tuning();
        // Two halves of the smallest tiles are worth a workgroup.
        let enough = self.m * 2 >= WORKGROUP * QUAD && self.k >= gather::DEPTH;
        let reads = match (tuning.shared || tuning.halved) && enough {
            true => Reads::Shared,
            false if self.lends(out) => Reads::Lent,
            false => Reads::Apart,
        };
        (Tile::of([self.m, self.n / wide, self.batches()], wide, reads, out), wide)
    }

    /// Whether the threads of a quad lend each other what they read: what a workgroup shares, none need lend.
    pub(super) fn lends(&self, out: &Lowering<'_>) -> bool {
        let tuning = out.tuning();
        tuning.quads && !tuning.shared && !tuning.halved && self.k.is_multiple_of(QUAD) && self.k > 0
    }

    /// Whether workgroups share what they read of it: then b may be what a window sees of an image.
    pub fn is_shared(&self, out: &Lowering<'_>) -> bool {
        self.shares(self.tile(out).0, out)
    }

    /// Whether its workgroups bring operands into memory that their threads share: none of them mostly edge.
    fn shares(&self, tile: Tile, out: &Lowering<'_>) -> bool {
        let (rows, cols) = (WORKGROUP * tile.rows, tile.across * tile.cols * tile.wide);
        (out.tuning().shared || out.tuning().halved)
            && 2 * self.m >= rows
            && 2 * self.n >= cols
            && self.k >= gather::DEPTH
            && gather::suits(tile)
            && rounds(gather::turns(tile, self.k, self.window.is_some()) + BATCH_RANK).is_ok()
    }

    /// Whether a can be read four elements along k at a time.
    pub(super) fn is_deep(&self, out: &Lowering<'_>) -> bool {
        // Each tensor is seen as vec4 or as f32, so a must be no other operand.
        let apart =
            !out.same(self.a.tensor, self.b.tensor) && self.bias.is_none_or(|c| !out.same(c.tensor, self.a.tensor));
        let fours = [self.k, self.a.row, out.ty(self.a.tensor).len()].iter().all(|n| n.is_multiple_of(4))
            && self.batch.iter().all(|b| b.1.is_multiple_of(4));
        apart && fours && self.a.col == 1 && self.k > 0
    }

    /// The dispatch of the product with `tile`, whose columns have `wide` elements.
    pub(super) fn tiled(&self, tile: Tile, wide: usize, form: Form, out: &Lowering<'_>) -> Result<KernelCall> {
        let deep = form.deep;
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
            ("deep", form.at_once.to_string()),
            ("begin", tile.begin()),
            ("end", if wide_tile { self.looped_end(tile) } else { self.end(tile) }),
            ("activation", self.activation.wgsl("y_t")),
            ("window", self.window.map_or(String::new(), |_| Window::FIELDS.to_owned())),
            ("more", String::new()),
            ("finish", FINISH.to_owned()),
        ];
        snippets.extend(form.snippets);
        let groups = workgroups([
            (self.n / wide).div_ceil(tile.across * tile.cols),
            self.m.div_ceil(form.rows),
            self.batches(),
        ])?;
        let elements = [seen(deep), seen(b_wide), seen(wide)];
        Ok(self.call(out, form.shaders, elements, snippets, params, groups))
    }

    /// Strides and factor of the bias, and columns from one row of y to the next.
    pub(super) fn bias_params(&self, wide: usize) -> Result<[u32; 4]> {
        let (row, col) = self.bias.map_or((0, 0), |c| (c.row, c.col));
        Ok([word(row)?, word(col)?, self.beta.to_bits(), word(self.y_row / wide)?])
    }

    /// Adds the bias to the tile's sums `s{i}_{j}` of rows `i{i}` and columns `j{j}`, and stores them.
    pub(super) fn end(&self, tile: Tile) -> String {
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

    pub(super) fn call(
        &self,
        out: &Lowering<'_>,
        shaders: &'static [Shader; 2],
        elements: [Element; 3],
        snippets: Vec<(&'static str, String)>,
        params: Vec<u32>,
        workgroups: [u32; 3],
    ) -> KernelCall {
        let tensors = [self.a.tensor, self.b.tensor, self.y];
        let bind = |(tensor, element)| Binding { tensor, element };
        let mut bindings: Vec<Binding> = tensors.into_iter().zip(elements).map(bind).collect();
        bindings.extend(self.bias.map(|c| bind((c.tensor, Element::F32))));
        let outputs = (self.m * self.n * self.batches()) as f64;
        KernelCall {
            shader: &shaders[usize::from(self.bias.is_some())],
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
pub(super) const M: usize = 0;
pub(super) const N: usize = 1;
pub(super) const Y_ROW: usize = 11;
pub(super) const BATCH: usize = 12;
pub(super) const Y_BATCH: usize = 24;
