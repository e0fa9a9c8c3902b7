//! 3×3 convolution by Winograd's F(4×4, 3×3): 36 products per tile of 16 pixels where the direct way needs 144.
//! Source: A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, section 4.
//! Knows the transforms and when they pay; must never know attributes.

use super::geometry::{Convolution, Operands, Task};
use crate::error::Result;
use crate::graph::TensorId;
use crate::kernels::base::epilogue::FINISH;
use crate::kernels::base::lean;
use crate::kernels::base::limits::word;
use crate::kernels::base::operand::float;
use crate::kernels::base::rows::{GROUP, spread};
use crate::kernels::base::tuning::LOAD;
use crate::kernels::base::window::Axis;
use crate::kernels::base::{Binding, Class, Element, KernelCall, Lowering, Shader, Slot, Variant};
use crate::kernels::product::{Matrix, Product};
use std::fmt::Write as _;

static INPUT: Shader = shader("winograd-input", lean!("winograd_input.wgsl"), &[Slot::read("x"), Slot::write("v")]);
static WEIGHT: Shader = shader("winograd-weight", lean!("winograd_weight.wgsl"), &[Slot::read("w"), Slot::write("u")]);
static OUTPUT: Shader = shader("winograd-output", lean!("winograd_output.wgsl"), &[Slot::read("m"), Slot::write("y")]);
static OUTPUT_BIAS: Shader = shader(
    "winograd-output-bias",
    lean!("winograd_output.wgsl"),
    &[Slot::read("m"), Slot::write("y"), Slot::read("bias")],
);

const fn shader(name: &'static str, source: &'static str, slots: &'static [Slot]) -> Shader {
    // The transforms load and store; what they compute hides behind that.
    Shader { name, class: Class::Movement, source, slots }
}

/// Pixels of a tile along one axis.
const TILE: usize = 4;
/// Elements of a transformed tile along one axis.
const POINTS: usize = 6;
/// Products of one tile.
const PLANES: usize = POINTS * POINTS;

/// Of the input: Bᵀ of the paper.
const BT: [[f32; 6]; 6] = [
    [4.0, 0.0, -5.0, 0.0, 1.0, 0.0],
    [0.0, -4.0, -4.0, 1.0, 1.0, 0.0],
    [0.0, 4.0, -4.0, -1.0, 1.0, 0.0],
    [0.0, -2.0, -1.0, 2.0, 1.0, 0.0],
    [0.0, 2.0, -1.0, -2.0, 1.0, 0.0],
    [0.0, 4.0, 0.0, -5.0, 0.0, 1.0],
];
/// Of the weights: G of the paper.
const G: [[f32; 3]; 6] = [
    [0.25, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];
/// Of the output: Aᵀ of the paper.
const AT: [[f32; 6]; 4] = [
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
    [0.0, 1.0, -1.0, 2.0, -2.0, 0.0],
    [0.0, 1.0, 1.0, 4.0, 4.0, 0.0],
    [0.0, 1.0, -1.0, 8.0, -8.0, 1.0],
];

/// Tiles along each axis, of all images, and rounded up so that a product sees them in vec4.
struct Tiles {
    rows: usize,
    cols: usize,
    all: usize,
    padded: usize,
}

impl Tiles {
    fn of(conv: &Convolution) -> Tiles {
        let (rows, cols) = (conv.y.output.div_ceil(TILE), conv.x.output.div_ceil(TILE));
        let all = conv.batch * rows * cols;
        Tiles { rows, cols, all, padded: all.next_multiple_of(4) }
    }
}

/// Fewer multiply-adds, more loads.
pub(super) struct Winograd;

impl Variant<Task> for Winograd {
    fn suits(&self, task: &Task, out: &Lowering<'_>) -> bool {
        suits(&task.conv, out)
    }

    fn cost(&self, task: &Task, _: &Lowering<'_>) -> usize {
        cost(&task.conv)
    }

    fn lower(&self, task: &Task, out: &mut Lowering<'_>) -> Result<()> {
        lower(&task.conv, task.operands, out)
    }
}

/// Whether the convolution has the right form, and the adapter is one where its transforms may pay.
fn suits(conv: &Convolution, out: &Lowering<'_>) -> bool {
    let plain = |a: &Axis| a.kernel == 3 && a.stride == 1 && a.dilation == 1 && a.output > 0;
    out.tuning().winograd && conv.group == 1 && plain(&conv.y) && plain(&conv.x)
}

/// Multiply-adds and, as many as they weigh, loads and stores of the product and of the transforms.
fn cost(conv: &Convolution) -> usize {
    let tiles = Tiles::of(conv);
    let each = conv.channels * conv.filters;
    let transforms = LOAD
        * (conv.channels * tiles.padded * 2 * PLANES + conv.filters * tiles.all * (PLANES + TILE * TILE) + each * 45);
    // A workgroup of the product takes 32 columns.
    let count = each * tiles.padded.next_multiple_of(32) * PLANES;
    count + count / 7 * LOAD + transforms
}

/// Appends the four dispatches.
fn lower(conv: &Convolution, operands: Operands, out: &mut Lowering<'_>) -> Result<()> {
    let tiles = Tiles::of(conv);
    let (channels, filters) = (conv.channels, conv.filters);
    let u = out.temporary(float(vec![PLANES, filters, channels]));
    let v = out.temporary(float(vec![PLANES, channels, tiles.padded]));
    let m = out.temporary(float(vec![PLANES, filters, tiles.padded]));
    let count = filters * channels;
    dispatch(out, &WEIGHT, &[operands.w, u], &[count], count, weights(), "v")?;
    let size = [tiles.all, tiles.padded, tiles.cols, tiles.rows];
    let rest = [channels, conv.y.input, conv.x.input, conv.y.before, conv.x.before, out.plane(operands.x)];
    dispatch(out, &INPUT, &[operands.x, v], &[&size[..], &rest].concat(), channels * tiles.padded, input(), "v")?;
    Product {
        class: Class::Conv,
        m: filters,
        n: tiles.padded,
        k: channels,
        batch: vec![(PLANES, filters * channels, channels * tiles.padded)],
        a: Matrix { tensor: u, row: channels, col: 1 },
        b: Matrix { tensor: v, row: tiles.padded, col: 1 },
        window: None,
        bias: None,
        y: m,
        y_row: tiles.padded,
        alpha: 1.0,
        beta: 1.0,
        activation: crate::kernels::base::epilogue::Activation::Identity,
    }
    .lower(out)?;
    let rest = [filters, conv.y.output, conv.x.output, out.plane(operands.y)];
    let mut tensors = vec![m, operands.y];
    tensors.extend(operands.bias);
    let shader = if operands.bias.is_some() { &OUTPUT_BIAS } else { &OUTPUT };
    let activation = conv.activation.wgsl("f32");
    let params = [&size[..], &rest].concat();
    dispatch(out, shader, &tensors, &params, filters * tiles.all, output(operands.bias.is_some()), &activation)
}

fn dispatch(
    out: &mut Lowering<'_>,
    shader: &'static Shader,
    tensors: &[TensorId],
    params: &[usize],
    threads: usize,
    transform: String,
    activation: &str,
) -> Result<()> {
    let workgroups = spread(threads.div_ceil(GROUP))?;
    let mut words = params.iter().map(|&p| word(p)).collect::<Result<Vec<u32>>>()?;
    words.push(workgroups[0]);
    out.dispatch(KernelCall {
        shader,
        snippets: vec![
            ("transform", transform),
            ("activation", activation.to_owned()),
            ("more", String::new()),
            ("finish", FINISH.to_owned()),
        ],
        constants: vec![],
        bindings: tensors.iter().map(|&tensor| Binding { tensor, element: Element::F32 }).collect(),
        params: words,
        workgroups,
        flops: 0.0,
        bytes: tensors.iter().map(|&id| out.bytes(id)).sum(),
    });
    Ok(())
}

/// The sum of `matrix`'s row times the named values; factors of 0 are left out.
fn sum(row: &[f32], name: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for (i, &factor) in row.iter().enumerate().filter(|(_, f)| **f != 0.0) {
        let sign = match (factor < 0.0, text.is_empty()) {
            (true, _) => "-",
            (false, true) => "",
            (false, false) => "+",
        };
        let times = if factor.abs() == 1.0 { String::new() } else { format!("{:?} * ", factor.abs()) };
        let _ = write!(text, " {sign} {times}{}", name(i));
    }
    text
}

/// Declares `out{r}_{c}` = matrix · in · matrixᵀ, in two steps.
fn both<const N: usize>(text: &mut String, matrix: &[[f32; N]], from: &str, to: &str) {
    for (r, row) in matrix.iter().enumerate() {
        for c in 0..N {
            let _ = writeln!(text, "    let h{r}_{c} ={};", sum(row, |i| format!("{from}{i}_{c}")));
        }
    }
    for r in 0..matrix.len() {
        for (c, row) in matrix.iter().enumerate() {
            let _ = writeln!(text, "    let {to}{r}_{c} ={};", sum(row, |i| format!("h{r}_{i}")));
        }
    }
}

fn stored(text: &mut String, to: &str) {
    for r in 0..POINTS {
        for c in 0..POINTS {
            let _ = writeln!(text, "    {to}[at + {}u * plane] = t{r}_{c};", r * POINTS + c);
        }
    }
}

fn weights() -> String {
    let mut text = String::new();
    for r in 0..3 {
        for c in 0..3 {
            let _ = writeln!(text, "    let g{r}_{c} = w[at * 9u + {}u];", r * 3 + c);
        }
    }
    both(&mut text, &G, "g", "t");
    stored(&mut text, "u");
    text
}

fn input() -> String {
    let mut text = String::new();
    for c in 0..POINTS {
        let _ = writeln!(text, "    let in{c} = ox + {c}u < params.width;");
    }
    for r in 0..POINTS {
        let _ = writeln!(text, "    let in_row{r} = real && oy + {r}u < params.height;");
        let _ = writeln!(text, "    let row{r} = first + {r}u * params.width;");
        for c in 0..POINTS {
            let _ = writeln!(text, "    let d{r}_{c} = select(0.0, x[row{r} + {c}u], in_row{r} && in{c});");
        }
    }
    both(&mut text, &BT, "d", "t");
    stored(&mut text, "v");
    text
}

fn output(bias: bool) -> String {
    let mut text = String::new();
    for r in 0..POINTS {
        for c in 0..POINTS {
            let _ = writeln!(text, "    let m{r}_{c} = m[at + {}u * plane];", r * POINTS + c);
        }
    }
    both(&mut text, &AT, "m", "t");
    let _ = writeln!(text, "    let b = {};", if bias { "bias[f]" } else { "0.0" });
    for r in 0..TILE {
        let _ = writeln!(text, "    if (oy + {r}u < params.height) {{");
        for c in 0..TILE {
            let _ = writeln!(text, "        if (ox + {c}u < params.width) {{");
            let _ = writeln!(
                text,
                "            y[first + {r}u * params.width + {c}u] = finish(t{r}_{c} + b, first + {r}u * params.width + {c}u);"
            );
            text.push_str("        }\n");
        }
        text.push_str("    }\n");
    }
    text
}
