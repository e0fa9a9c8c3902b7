//! A product whose workgroups bring operands into memory that their threads share: who brings what, and the loop unrolled.
//! Knows tiles and strides; must never know which operator asks.

use super::tile::Tile;
use std::fmt::Write as _;

/// Elements of k that a workgroup holds at once.
pub(super) const DEPTH: usize = 16;
/// Multiply-adds, each of a column, that are unrolled: without, an H100 reaches three quarters in 4096³; more is much to
/// compile.
const UNROLLED: usize = 256;
/// Rows of a that lie in one element of the shared memory, and columns that a thread brings of each.
const FOUR: usize = 4;
const PARTS: [&str; FOUR] = [".x", ".y", ".z", ".w"];

/// How a tile's operands lie in memory.
#[derive(Clone, Debug)]
pub(super) struct Operands {
    /// Whether a is seen as vec4 along k.
    pub deep: bool,
    /// Whether neighbours of b lie along k, not along its columns.
    pub b_along_k: bool,
    /// How b is read where it is no matrix that lies in memory: what ends row `q` of column `j`.
    pub window: Option<String>,
    /// Whether products are of f16.
    pub halved: bool,
}

/// Whether threads with this tile can share: their rows come in fours.
pub(super) fn suits(tile: Tile) -> bool {
    tile.rows.is_multiple_of(FOUR)
}

/// Elements of k whose products are unrolled.
fn unrolled(tile: Tile) -> usize {
    [16, 8, 4, 2].into_iter().find(|n| n * tile.rows * tile.cols <= UNROLLED).unwrap_or(1).min(DEPTH)
}

/// Turns of all loops of a thread over `k`; a window is gathered in one more.
pub(super) fn turns(tile: Tile, k: usize, window: bool) -> usize {
    let gathered = if window { DEPTH * tile.cols / 8 } else { 0 };
    let multiplied = if unrolled(tile) < DEPTH { DEPTH / unrolled(tile) } else { 0 };
    (k.div_ceil(DEPTH) + 1) * (1 + gathered + multiplied)
}

/// What fills in shared.wgsl beside what every tiled product has.
pub(super) fn snippets(tile: Tile, operands: &Operands) -> Vec<(&'static str, String)> {
    let Tile { rows, cols, wide, across } = tile;
    let fours = rows / FOUR;
    let threads = 8 * across;
    let [mut mine, mut load, mut store, mut open, mut step, mut close] = [const { String::new() }; 6];

    // Blocks of four rows and four columns of a: neighbouring threads take neighbours along k.
    let blocks = 8 * fours * DEPTH / FOUR;
    for u in 0..blocks.div_ceil(threads) {
        let _ = writeln!(mine, "    let block{u} = thread + {}u;", u * threads);
        let _ = writeln!(
            mine,
            "    let aq{u} = block{u} % {0}u * {FOUR}u;\n    let ar{u} = block{u} / {0}u;",
            DEPTH / FOUR
        );
        let (mut brings, mut stores) = (String::new(), String::new());
        for r in 0..FOUR {
            let _ = writeln!(mine, "    let ai{u}_{r} = min(group.y * ROWS + ar{u} * {FOUR}u + {r}u, params.m - 1u);");
            let _ = writeln!(brings, "        let pa{u}_{r} = fetch_a(a_at, ai{u}_{r}, first + aq{u});");
        }
        let part = if operands.halved { "f16" } else { "f32" };
        for (h, e) in PARTS.iter().enumerate() {
            let four: Vec<String> = (0..FOUR).map(|r| format!("pa{u}_{r}{e}")).collect();
            let value = format!("vec4<{part}>(vec4<f32>({}))", four.join(", "));
            let _ = writeln!(stores, "        a_part[aq{u} + {h}u][ar{u} % FOURS][ar{u} / FOURS] = {value};");
        }
        // More threads than blocks: what a thread too many would bring again, it must not store elsewhere.
        let all = (u + 1) * threads <= blocks;
        load += &brings;
        store += &if all { stores } else { format!("        if (block{u} < {blocks}u) {{\n{stores}        }}\n") };
    }
    let b_part = match (operands.halved, wide) {
        (false, _) => "y_t",
        (true, 1) => "f16",
        (true, _) => "vec4<f16>",
    };
    // What a window sees is much code for each element: a loop, which waits for what it brings.
    if operands.window.is_some() {
        let _ = writeln!(
            store,
            "        for (var t = thread; t < DEPTH * COLS; t += {threads}u) {{\n            \
             let j = t % COLS;\n            \
             let value = fetch_b(b_at, first + t / COLS, min(group.x * COLS + j, params.n - 1u));\n            \
             b_part[t / COLS][j / {across}u][j % {across}u] = {b_part}(value);\n        }}"
        );
    }
    for u in 0..if operands.window.is_some() { 0 } else { DEPTH * cols * across / threads } {
        let _ = writeln!(mine, "    let own{u} = thread + {}u;", u * threads);
        let (q, j) = match operands.b_along_k {
            true => (format!("own{u} % DEPTH"), format!("own{u} / DEPTH")),
            false => (format!("own{u} / COLS"), format!("own{u} % COLS")),
        };
        let _ = writeln!(mine, "    let bq{u} = {q};\n    let bj{u} = {j};");
        let _ = writeln!(mine, "    let bi{u} = min(group.x * COLS + bj{u}, params.n - 1u);");
        let _ = writeln!(load, "        let pb{u} = fetch_b(b_at, first + bq{u}, bi{u});");
        let _ = writeln!(store, "        b_part[bq{u}][bj{u} / {across}u][bj{u} % {across}u] = {b_part}(pb{u});");
    }

    // Sums of f16 are kept over one part only, and added up as f32.
    let sum = if operands.halved { "h" } else { "s" };
    for i in 0..if operands.halved { rows } else { 0 } {
        for j in 0..cols {
            let _ = writeln!(open, "        var h{i}_{j} = {b_part}();");
            let _ = writeln!(close, "        s{i}_{j} += y_t(h{i}_{j});");
        }
    }
    // As many at once as keep the code short; the rest is a loop.
    let once = unrolled(tile);
    if once < DEPTH {
        let _ = writeln!(step, "        for (var q = 0u; q < DEPTH; q += {once}u) {{");
    }
    for q in 0..once {
        let q = if once < DEPTH { format!("q + {q}u") } else { q.to_string() };
        let _ = writeln!(step, "        {{");
        for j in 0..cols {
            let _ = writeln!(step, "            let b{j} = b_part[{q}][{j}][local.x];");
        }
        for i in 0..rows {
            if i % FOUR == 0 {
                let _ = writeln!(step, "            let a_{0} = a_part[{q}][{0}][local.y];", i / FOUR);
            }
            for j in 0..cols {
                let a = format!("{b_part}(a_{}{})", i / FOUR, PARTS[i % FOUR]);
                let _ = writeln!(step, "            {sum}{i}_{j} = fma({a}, b{j}, {sum}{i}_{j});");
            }
        }
        let _ = writeln!(step, "        }}");
    }
    if once < DEPTH {
        let _ = writeln!(step, "        }}");
    }

    let fetch_a = match operands.deep {
        true => String::from(
            "    let four = q / 4u;\n    \
             let value = a[at + i * params.a_row + min(four, params.k - 1u)];\n    \
             return select(vec4<f32>(), value, four < params.k);",
        ),
        false => {
            let one = |h: usize| {
                format!(
                    "        select(0.0, a[at + i * params.a_row + min(q + {h}u, params.k - 1u) * params.a_col], \
                     q + {h}u < params.k),\n"
                )
            };
            format!("    return vec4<f32>(\n{}    );", (0..FOUR).map(one).collect::<String>())
        }
    };
    let strided = "    let value = b[at + min(q, size_k() - 1u) * params.b_row + j * params.b_col];\n    \
                   return select(y_t(), value, q < size_k());";
    let fetch_b = operands.window.as_deref().unwrap_or(strided);
    let of_k = if operands.deep { " * 4u" } else { "" };
    vec![
        ("depth", DEPTH.to_string()),
        ("fours", fours.to_string()),
        ("part", if operands.halved { "f16" } else { "f32" }.to_owned()),
        ("b_part", b_part.to_owned()),
        ("fetch_a", fetch_a),
        ("fetch_b", fetch_b.replace("size_k()", &format!("(params.k{of_k})"))),
        ("of_k", of_k.to_owned()),
        ("mine", mine),
        ("load", load),
        ("store", store),
        ("open", open),
        ("step", step),
        ("close", close),
    ]
}
