//! The tile of a product that one thread computes: which one wastes least, and its loop unrolled.
//! Knows rows, columns and sums; must never know what is bound to them.

use crate::kernels::base::tuning::{LOAD, QUAD};
use crate::kernels::base::{KernelCall, Lowering};
use std::fmt::Write as _;

/// What one thread computes: rows and columns, a column being `wide` elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    pub rows: usize,
    pub cols: usize,
    pub wide: usize,
    /// Threads of a workgroup along the columns.
    pub across: usize,
}

/// How a thread comes by what it multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// It reads all of it.
    Apart,
    /// The threads of a quad lend each other rows.
    Lent,
    /// Its workgroup brings it into memory that its threads share.
    Shared,
}

/// What hands a thread of a quad the value of its neighbour one, two and three threads on, counted by exclusive or: on
/// SwiftShader one instruction, where a broadcast takes twenty.
pub(in crate::kernels) const SWAPS: [&str; 3] = ["quadSwapX", "quadSwapY", "quadSwapDiagonal"];

/// Elements that a thread is lent while one is loaded: with 4, what tiles of 32 × 1, 16 × 2 and 32 × 4 reach on SwiftShader
/// comes out as it was measured.
const LENT: usize = 4;

/// What a tile may cost more than the best one where it spares a pipeline.
const MUCH_LIKE: f64 = 1.1;

fn has_tile(call: &KernelCall, (rows, cols): (usize, usize)) -> bool {
    let has = |key: &str, value: usize| call.snippets.iter().any(|(k, v)| *k == key && *v == value.to_string());
    has("rows", rows) && has("cols", cols)
}

impl Tile {
    /// The tile that wastes least of m × n columns, smaller where there would be too few threads.
    pub fn of([m, n, batches]: [usize; 3], wide: usize, reads: Reads, out: &Lowering<'_>) -> Tile {
        let tuning = out.tuning();
        let across = tuning.across;
        let cost = |&(rows, cols): &(usize, usize)| {
            let threads = m.div_ceil(rows) * n.div_ceil(across * cols) * across * batches;
            let loads = match reads {
                Reads::Apart => rows + cols * wide,
                Reads::Lent => rows.div_ceil(QUAD) + cols * wide + rows / LENT,
                // Four rows or a column at once.
                Reads::Shared => rows.div_ceil(QUAD) + cols,
            };
            (threads * (rows * cols * wide + LOAD * loads)) as f64 * tuning.starved(threads)
        };
        let narrow = [(16, 14), (16, 16), (16, 8), (16, 7), (8, 8), (8, 7), (8, 5), (8, 4), (4, 8), (4, 4), (1, 4)];
        let fours = [
            (32, 4),
            (16, 4),
            (16, 2),
            (32, 1),
            (16, 1),
            (8, 7),
            (8, 4),
            (8, 2),
            (8, 1),
            (4, 4),
            (4, 2),
            (4, 1),
            (1, 4),
            (1, 1),
        ];
        // Few rows or columns, yet enough to share.
        let narrow_shared = [(16, 8), (8, 8), (8, 7), (8, 4), (8, 2), (4, 8), (4, 4), (4, 2), (4, 1)];
        let fours_shared = [(16, 4), (16, 2), (8, 2), (8, 1), (4, 4), (4, 2), (4, 1)];
        let candidates = match (reads, wide) {
            (Reads::Shared, 4) => &fours_shared[..],
            (Reads::Shared, _) => &narrow_shared[..],
            (_, 4) => &fours[..],
            _ => &narrow[..],
        };
        // What is lent costs less than what is read: sums enough to make up for the columns' reads.
        let most = tuning.accumulators * if reads == Reads::Lent { 2 } else { 1 };
        let fits = |&&(rows, cols): &&(usize, usize)| rows * cols * wide <= most;
        let fitting: Vec<_> = candidates.iter().filter(fits).copied().collect();
        let least = |among: &mut dyn Iterator<Item = (usize, usize)>| among.min_by(|a, b| cost(a).total_cmp(&cost(b)));
        let best = least(&mut fitting.iter().copied()).unwrap_or((1, 1));
        // One that the program has already is compiled once.
        let there = |tile: &(usize, usize)| out.calls.iter().any(|(_, call)| has_tile(call, *tile));
        let close = |tile: &(usize, usize)| cost(tile) <= MUCH_LIKE * cost(&best);
        let (rows, cols) = least(&mut fitting.iter().copied().filter(|t| close(t) && there(t))).unwrap_or(best);
        Tile { rows, cols, wide, across }
    }

    /// Declares the rows, the columns and the sums.
    pub fn begin(self) -> String {
        let mut text = String::new();
        for i in 0..self.rows {
            let _ =
                writeln!(text, "    let i{i} = min(row + {i}u, params.m - 1u);\n    let a_i{i} = i{i} * params.a_row;");
        }
        for j in 0..self.cols {
            let apart = self.across * j;
            let _ = writeln!(
                text,
                "    let j{j} = min(col + {apart}u, params.n - 1u);\n    let b_j{j} = j{j} * params.b_col;"
            );
        }
        for i in 0..self.rows {
            for j in 0..self.cols {
                let _ = writeln!(text, "    var s{i}_{j} = y_t();");
            }
        }
        text
    }

    /// Adds the products of `deep` columns of a, which the threads of a quad lend each other, and as many rows of b.
    pub fn quad_step(self, deep: usize) -> String {
        let mut text = String::new();
        for h in 0..deep {
            let (four, own) = (h / QUAD * QUAD, h % QUAD);
            let _ =
                writeln!(text, "        let b_q{h} = b_q + {four}u * params.b_row + (lane ^ {own}u) * params.b_row;");
            for j in 0..self.cols {
                let _ = writeln!(text, "        let b{j}_{h} = b[b_q{h} + b_j{j}];");
            }
        }
        for i in 0..self.rows {
            for h in 0..deep {
                let (four, own) = (h / QUAD * QUAD, h % QUAD);
                let _ = match own {
                    0 => writeln!(text, "        let a{i}_{h} = a[a_q + a_i{i} + {four}u * params.a_col];"),
                    _ => writeln!(text, "        let a{i}_{h} = {}(a{i}_{four});", SWAPS[own - 1]),
                };
            }
            for j in 0..self.cols {
                // Element by element: on SwiftShader a sum stays in its register until all of them are added.
                let parts = if self.wide == 4 { &[".x", ".y", ".z", ".w"][..] } else { &[""] };
                let sum = |e: &&str| {
                    (0..deep).fold(format!("s{i}_{j}{e}"), |sum, h| format!("fma(a{i}_{h}, b{j}_{h}{e}, {sum})"))
                };
                let sums: Vec<String> = parts.iter().map(sum).collect();
                let _ = writeln!(text, "        s{i}_{j} = y_t({});", sums.join(", "));
            }
        }
        text
    }

    /// Adds the products of `deep` columns of a and as many rows of b: one store to each sum, the rest stays unnamed.
    pub fn step(self, deep: usize) -> String {
        let mut text = String::new();
        for h in 0..deep {
            let _ = writeln!(text, "        let b_q{h} = b_q + {h}u * params.b_row;");
            for j in 0..self.cols {
                let _ = writeln!(text, "        let b{j}_{h} = b[b_q{h} + b_j{j}];");
            }
        }
        for i in 0..self.rows {
            let _ = writeln!(text, "        let a{i} = a[a_q + a_i{i}];");
            for h in 0..deep {
                let element = if deep == 1 { "" } else { [".x", ".y", ".z", ".w"][h] };
                let _ = writeln!(text, "        let a{i}_{h} = y_t(a{i}{element});");
            }
            for j in 0..self.cols {
                let sum = (0..deep).fold(format!("s{i}_{j}"), |sum, h| format!("fma(a{i}_{h}, b{j}_{h}, {sum})"));
                let _ = writeln!(text, "        s{i}_{j} = {sum};");
            }
        }
        text
    }
}
