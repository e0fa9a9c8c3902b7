//! Attention as one kernel: scores and weights stay in registers, keys and values stream past.
//! Knows strides of four tensors and a mask; must never know which models have it.

use crate::error::Result;
use crate::graph::TensorId;
use crate::kernels::base::lean;
use crate::kernels::base::limits::{rounds, word, workgroups};
use crate::kernels::base::{Binding, Class, Element, KernelCall, Lowering, Shader, Slot, Tuning};
use std::fmt::Write as _;

const SLOTS: &[Slot] = &[Slot::read("q"), Slot::read("k"), Slot::read("v"), Slot::write("y"), Slot::read("mask")];
const SOURCE: &str = lean!("attention.wgsl");
static PLAIN: Shader = Shader { name: "attention", class: Class::Matmul, source: SOURCE, slots: SLOTS.split_at(4).0 };
static MASKED: Shader = Shader { name: "attention-mask", class: Class::Matmul, source: SOURCE, slots: SLOTS };

/// Threads of a workgroup.
const WORKGROUP: usize = 64;
/// Keys that a thread takes at once.
const BLOCK: usize = 4;
/// Queries of a thread, at most.
const MOST_ROWS: usize = 8;
/// Batch dimensions.
pub(super) const BATCH_RANK: usize = 4;

/// A tensor with the elements from one step to the next: along its rows, its columns, and each batch dimension,
/// innermost first; 0 along what it is the same for.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) tensor: TensorId,
    pub(super) row: usize,
    pub(super) col: usize,
    pub(super) batch: Vec<usize>,
}

impl Operand {
    /// Whether it can be read in fours along the axis of which `step` is the stride and `across` that of the other.
    fn in_fours(&self, step: usize, across: usize, len: usize, out: &Lowering<'_>) -> bool {
        let fours = |n: &usize| n.is_multiple_of(4);
        step == 1 && fours(&len) && fours(&across) && self.batch.iter().all(fours) && fours(&out.ty(self.tensor).len())
    }
}

/// `softmax(scale · q·k + mask) · v` for every index of `batch`; y is dense.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// Sizes, innermost first.
    pub(super) batch: Vec<usize>,
    /// queries × depth
    pub(super) q: Operand,
    /// depth × keys
    pub(super) k: Operand,
    /// keys × width
    pub(super) v: Operand,
    /// queries × keys
    pub(super) mask: Option<Operand>,
    /// queries × width
    pub(super) y: TensorId,
    pub(super) queries: usize,
    pub(super) depth: usize,
    pub(super) keys: usize,
    pub(super) width: usize,
    pub(super) scale: f32,
}

/// How q meets k: both in fours along the depth, k in fours along the keys, or one element at a time.
#[derive(Clone, Copy, PartialEq)]
enum Meeting {
    Deep,
    Wide,
    Single,
}

/// Queries of one thread, of `queries` in all, and values of each that it sums. A sum is used once in a block of keys, and
/// a key for every query: twice as many sums as a product holds were fastest on both software adapters.
fn tile(queries: usize, width: usize, wide: usize, tuning: Tuning) -> (usize, usize) {
    let (units, sums) = (width / wide, 2 * tuning.accumulators / wide);
    let cols = units.min(sums).max(1);
    // Few threads leave an adapter idle.
    let busy = (queries / tuning.threads).max(1);
    ((sums / cols).min(busy).clamp(1, MOST_ROWS), cols)
}

/// Loop rounds of one invocation, at most.
pub(super) fn loop_rounds(keys: usize, depth: usize) -> usize {
    keys.div_ceil(BLOCK) * (depth + 1) + BATCH_RANK
}

impl Stream {
    /// Appends the dispatch.
    pub(super) fn lower(&self, out: &mut Lowering<'_>) -> Result<()> {
        let q_fours = self.q.in_fours(self.q.col, self.q.row, self.depth, out);
        let meeting = match () {
            () if q_fours && self.k.in_fours(self.k.row, self.k.col, self.depth, out) => Meeting::Deep,
            () if q_fours && self.k.in_fours(self.k.col, self.k.row, self.keys, out) => Meeting::Wide,
            () => Meeting::Single,
        };
        let v_fours = self.v.in_fours(self.v.col, self.v.row, self.width, out);
        let call = self.call(meeting, v_fours, out)?;
        // A tensor that stands in two places must be seen in one way.
        let seen = |b: &Binding| call.bindings.iter().all(|c| b.element == c.element || !out.same(b.tensor, c.tensor));
        let call = if call.bindings.iter().all(seen) { call } else { self.call(Meeting::Single, false, out)? };
        out.dispatch(call);
        Ok(())
    }

    fn call(&self, meeting: Meeting, v_fours: bool, out: &Lowering<'_>) -> Result<KernelCall> {
        let deep = if meeting == Meeting::Single { 1 } else { 4 };
        let wide = if v_fours { 4 } else { 1 };
        let matrices: usize = self.batch.iter().product();
        let (rows, cols) = tile(matrices * self.queries, self.width, wide, out.tuning());
        let (blocks, steps, units) = (self.keys.div_ceil(BLOCK), self.depth / deep, self.width / wide);
        rounds(blocks * (steps + 1) + BATCH_RANK)?;
        let threads = matrices * self.queries.div_ceil(rows);
        let parts = units.div_ceil(cols);
        let groups = threads.div_ceil(WORKGROUP);
        let groups_x = groups.min(1 << 15);
        let workgroups = workgroups([groups_x, groups.div_ceil(groups_x.max(1)), parts])?;

        let in_units = |stride: usize, unit: usize| if stride == 1 { 1 } else { stride / unit };
        let mut params = vec![word(self.queries)?, word(self.keys)?, word(blocks)?, word(steps)?, word(threads)?];
        params.push(self.scale.to_bits());
        for (operand, unit) in [(&self.q, deep), (&self.k, deep), (&self.v, wide)] {
            params.extend([word(in_units(operand.row, unit))?, word(in_units(operand.col, unit))?]);
        }
        let mask = self.mask.as_ref();
        params.extend([word(units)?, word(mask.map_or(0, |m| m.row))?, word(mask.map_or(0, |m| m.col))?, word(units)?]);
        let fill = |values: &[usize], with: usize, unit: usize| -> Result<Vec<u32>> {
            let values = values.iter().copied().chain(std::iter::repeat(with * unit));
            values.take(BATCH_RANK).map(|v| word(v / unit)).collect()
        };
        let whole = |i: usize| self.queries * self.width * self.batch[..i].iter().product::<usize>();
        let y_batch: Vec<usize> = (0..self.batch.len()).map(whole).collect();
        params.extend(fill(&self.batch, 1, 1)?);
        params.extend(fill(&self.q.batch, 0, deep)?);
        params.extend(fill(&self.k.batch, 0, deep)?);
        params.extend(fill(&self.v.batch, 0, wide)?);
        params.extend(fill(&y_batch, 0, wide)?);
        params.extend(fill(mask.map_or(&[], |m| &m.batch), 0, 1)?);
        params.push(word(groups_x)?);

        let seen = |n: usize| if n == 4 { Element::Vec4F32 } else { Element::F32 };
        let mut bindings = vec![
            Binding { tensor: self.q.tensor, element: seen(deep) },
            Binding { tensor: self.k.tensor, element: seen(deep) },
            Binding { tensor: self.v.tensor, element: seen(wide) },
            Binding { tensor: self.y, element: seen(wide) },
        ];
        bindings.extend(mask.map(|m| Binding { tensor: m.tensor, element: Element::F32 }));
        let scores = (matrices * self.queries * self.keys) as f64;
        Ok(KernelCall {
            shader: if mask.is_some() { &MASKED } else { &PLAIN },
            snippets: vec![
                ("rows", rows.to_string()),
                ("cols", cols.to_string()),
                ("begin", begin(rows, cols)),
                ("scores", (0..rows).map(|i| format!("        var s{i} = vec4<f32>();\n")).collect()),
                ("step", step(rows, meeting)),
                ("weigh", weigh(rows, cols, mask.is_some())),
                ("end", end(rows, cols)),
            ],
            constants: vec![],
            bytes: bindings.iter().map(|b| out.bytes(b.tensor)).sum(),
            bindings,
            params,
            workgroups,
            // Of each score: compare, subtract, exponentiate, add; an exponential counted as one.
            flops: scores * (2 * self.depth + 2 * self.width + 4) as f64,
        })
    }
}

/// Declares the rows, the columns and the sums.
fn begin(rows: usize, cols: usize) -> String {
    let mut text = String::new();
    for c in 0..cols {
        let _ = writeln!(text, "    let j{c} = min(col + {c}u, params.width - 1u);");
    }
    for i in 0..rows {
        let _ = writeln!(text, "    let i{i} = min(row + {i}u, params.queries - 1u);");
        let _ = writeln!(text, "    let q{i}_at = q_at + i{i} * params.q_row;");
        let _ = writeln!(text, "    var most{i} = LOWEST;\n    var sum{i} = 0.0;");
        for c in 0..cols {
            let _ = writeln!(text, "    var a{i}_{c} = y_t();");
        }
    }
    text
}

/// Adds to the scores what one step along the depth gives.
fn step(rows: usize, meeting: Meeting) -> String {
    let mut text = String::new();
    let key = |e: usize| ["x", "y", "z", "w"][e];
    for e in 0..BLOCK {
        let at = match meeting {
            Meeting::Deep => format!("k_keys.{} + d", key(e)),
            Meeting::Wide => format!("k_at + (d * 4u + {e}u) * params.k_row + block"),
            Meeting::Single => format!("k_keys.{} + d * params.k_row", key(e)),
        };
        let _ = writeln!(text, "            let k{e} = k[{at}];");
    }
    for i in 0..rows {
        let along = if meeting == Meeting::Single { "d * params.q_col" } else { "d" };
        let _ = writeln!(text, "            let q{i} = q[q{i}_at + {along}];");
        let sum = match meeting {
            Meeting::Deep => {
                let dots: Vec<String> = (0..BLOCK).map(|e| format!("dot(q{i}, k{e})")).collect();
                format!("s{i} + vec4<f32>({})", dots.join(", "))
            }
            Meeting::Wide => {
                (0..BLOCK).fold(format!("s{i}"), |sum, e| format!("fma(vec4<f32>(q{i}.{}), k{e}, {sum})", key(e)))
            }
            Meeting::Single => format!("fma(vec4<f32>(q{i}), vec4<f32>(k0, k1, k2, k3), s{i})"),
        };
        let _ = writeln!(text, "            s{i} = {sum};");
    }
    text
}

/// Turns the scores of a block into weights, and adds the values with them.
fn weigh(rows: usize, cols: usize, masked: bool) -> String {
    let mut text = String::new();
    for i in 0..rows {
        let mask = if masked {
            let at = |e: &str| format!("mask[mask_at + i{i} * params.mask_row + keys.{e} * params.mask_col]");
            format!(" + vec4<f32>({}, {}, {}, {})", at("x"), at("y"), at("z"), at("w"))
        } else {
            String::new()
        };
        let _ = write!(
            text,
            "        let t{i} = select(s{i} * params.scale{mask}, vec4<f32>(LOWEST), beyond);\n        \
             let g{i} = max(most{i}, max(max(t{i}.x, t{i}.y), max(t{i}.z, t{i}.w)));\n        \
             let down{i} = exp(most{i} - g{i});\n        \
             most{i} = g{i};\n        \
             let p{i} = select(exp(t{i} - vec4<f32>(g{i})), vec4<f32>(), beyond);\n        \
             sum{i} = fma(sum{i}, down{i}, p{i}.x + p{i}.y + p{i}.z + p{i}.w);\n"
        );
    }
    for c in 0..cols {
        for (e, key) in ["x", "y", "z", "w"].into_iter().enumerate() {
            let _ = writeln!(text, "        let v{c}_{e} = v[v_keys.{key} + j{c} * params.v_col];");
        }
        for i in 0..rows {
            let sum = ["x", "y", "z", "w"].into_iter().enumerate();
            let sum = sum
                .fold(format!("a{i}_{c} * down{i}"), |sum, (e, key)| format!("fma(y_t(p{i}.{key}), v{c}_{e}, {sum})"));
            let _ = writeln!(text, "        a{i}_{c} = {sum};");
        }
    }
    text
}

/// Stores what the weights add up to.
fn end(rows: usize, cols: usize) -> String {
    let mut text = String::new();
    for i in 0..rows {
        let _ = writeln!(text, "    let y{i} = y_at + i{i} * params.y_row;\n    let whole{i} = 1.0 / sum{i};");
        for c in 0..cols {
            let _ = writeln!(text, "    y[y{i} + j{c}] = a{i}_{c} * whole{i};");
        }
    }
    text
}
