//! Element maps: one expression over up to three operands that are read through strides. Broadcasting operators and
//! moves (transpose, slice, expand) are all such maps. Knows strides and the shader; must never know an operator.

use super::limits::word;
use super::rows::{GROUP, spread};
use super::{Binding, Class, Element, KernelCall, Lowering, Shader, Slot};
use crate::error::{Error, Kind, Result};
use crate::graph::TensorId;
use std::fmt::Write as _;

/// Axes that the shader's parameters hold.
const RANK: usize = 8;
const SOURCE: &str = include_str!("map.wgsl");
const NAMES: [&str; 3] = ["a", "b", "c"];
/// What an expression calls its operands, in order.
const VALUES: [&str; 3] = ["u", "v", "w"];

const fn shader(name: &'static str, class: Class, slots: &'static [Slot]) -> Shader {
    Shader { name, class, source: SOURCE, slots }
}

static MAPS: [Shader; 3] = [
    shader("map-1", Class::Elementwise, &[Slot::read("a"), Slot::write("y")]),
    shader("map-2", Class::Elementwise, &[Slot::read("a"), Slot::read("b"), Slot::write("y")]),
    shader("map-3", Class::Elementwise, &[Slot::read("a"), Slot::read("b"), Slot::read("c"), Slot::write("y")]),
];
static MOVE: Shader = shader("move", Class::Movement, &[Slot::read("a"), Slot::write("y")]);

/// An operand and where its elements lie for each axis of the output.
#[derive(Clone, Debug)]
pub struct Strided {
    /// The tensor.
    pub tensor: TensorId,
    /// Element that belongs to the output's first.
    pub base: i64,
    /// Elements from one to the next along each axis of the output; 0 where it is repeated.
    pub strides: Vec<i64>,
}

impl Strided {
    /// `tensor` of `shape`, broadcast to `output`.
    pub fn broadcast(tensor: TensorId, shape: &[usize], output: &[usize]) -> Strided {
        Strided { tensor, base: 0, strides: broadcast_strides(shape, output) }
    }
}

/// Strides of a tensor of `shape` read under the broadcast shape `output`.
pub fn broadcast_strides(shape: &[usize], output: &[usize]) -> Vec<i64> {
    let own = contiguous(shape);
    let lead = output.len() - shape.len();
    (0..output.len()).map(|i| if i < lead || shape[i - lead] == 1 { 0 } else { own[i - lead] }).collect()
}

/// Row-major strides of `shape`.
pub fn contiguous(shape: &[usize]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i] as i64;
    }
    strides
}

/// One dispatch that computes each element of `output` from its operands.
#[derive(Debug)]
pub struct Map {
    /// Whether it only moves elements.
    pub moves: bool,
    /// WGSL over the operands' elements `u`, `v`, `w`; `y_t` is the output's type, a vector where all are float32.
    pub expression: String,
    /// WGSL functions that the expression calls.
    pub functions: &'static str,
    /// Operands, one to three.
    pub operands: Vec<Strided>,
    /// What is written.
    pub output: TensorId,
    /// Operations per element.
    pub flops: f64,
}

impl Map {
    /// Appends the dispatch.
    pub fn lower(self, out: &mut Lowering<'_>) -> Result<()> {
        let shape = out.ty(self.output).shape.clone();
        let mut count: usize = shape.iter().product();
        let (mut dims, strides) = merged(&shape, &self.operands);
        if dims.len() > RANK {
            return Err(Error::new(Kind::Unsupported, format!("a tensor of shape {shape:?} with so many axes")));
        }
        let mut elements: Vec<Element> = self.operands.iter().map(|o| Element::of(out.ty(o.tensor).dtype)).collect();
        elements.push(Element::of(out.ty(self.output).dtype));
        let plain = |o: &Strided| o.base == 0 && out.ty(o.tensor).len() == count;
        let in_order = dims.len() <= 1 && strides.iter().all(|s| s.iter().all(|&s| s == 1));
        if in_order
            && count.is_multiple_of(4)
            && self.operands.iter().all(plain)
            && elements.iter().all(|&e| e == Element::F32)
        {
            elements.fill(Element::Vec4F32);
            count /= 4;
            dims.iter_mut().for_each(|d| *d /= 4);
        }
        let workgroups = spread(count.div_ceil(GROUP))?;
        let mut params = vec![word(count)?, workgroups[0], 0, 0];
        // Negative strides and bases wrap: the sum of the index is a u32 again.
        params.extend((0..3).map(|i| self.operands.get(i).map_or(0, |o| o.base as u32)));
        params.resize(8, 0);
        for i in 0..RANK {
            params.push(word(dims.get(i).copied().unwrap_or(1))?);
        }
        for operand in 0..3 {
            let of = strides.get(operand);
            params.extend((0..RANK).map(|i| of.and_then(|s| s.get(i)).map_or(0, |&s| s as u32)));
        }
        let shader = if self.moves { &MOVE } else { &MAPS[self.operands.len() - 1] };
        let mut ids: Vec<TensorId> = self.operands.iter().map(|o| o.tensor).collect();
        ids.push(self.output);
        let elements_out = out.ty(self.output).len() as f64;
        // An operand that is repeated or cut moves no more than what is read of it.
        let bytes = ids.iter().map(|&id| out.bytes(id).min(4.0 * elements_out)).sum();
        out.dispatch(KernelCall {
            shader,
            snippets: vec![
                ("functions", self.functions.to_owned()),
                ("load", load(&dims, &strides)),
                ("expression", self.expression),
            ],
            constants: vec![],
            bindings: ids.iter().zip(&elements).map(|(&tensor, &element)| Binding { tensor, element }).collect(),
            params,
            workgroups,
            flops: self.flops * elements_out,
            bytes,
        });
        Ok(())
    }
}

/// The output's axes and each operand's strides, innermost first, with neighbours made one where all operands allow.
fn merged(shape: &[usize], operands: &[Strided]) -> (Vec<usize>, Vec<Vec<i64>>) {
    let mut dims: Vec<usize> = vec![];
    let mut strides = vec![vec![]; operands.len()];
    for axis in (0..shape.len()).rev().filter(|&a| shape[a] != 1) {
        let joins = dims.last().is_some_and(|&inner| {
            operands
                .iter()
                .zip(&strides)
                .all(|(o, s): (_, &Vec<i64>)| s.last().is_some_and(|&last| o.strides[axis] == last * inner as i64))
        });
        match dims.last_mut() {
            Some(inner) if joins => *inner *= shape[axis],
            _ => {
                dims.push(shape[axis]);
                strides.iter_mut().zip(operands).for_each(|(s, o)| s.push(o.strides[axis]));
            }
        }
    }
    (dims, strides)
}

/// The code that reads each operand into its value.
fn load(dims: &[usize], strides: &[Vec<i64>]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if dims.len() > 1 {
        text.push_str("    var rest = i;\n");
    }
    for (k, _) in strides.iter().enumerate() {
        let _ = writeln!(text, "    var at{k} = params.base[{k}];");
    }
    for d in 0..dims.len() {
        let (row, lane) = (d / 4, d % 4);
        let index = if dims.len() == 1 {
            "i".to_owned()
        } else if d + 1 == dims.len() {
            "rest".to_owned()
        } else {
            let _ = writeln!(text, "    let i{d} = rest % params.dims[{row}][{lane}];");
            let _ = writeln!(text, "    rest /= params.dims[{row}][{lane}];");
            format!("i{d}")
        };
        for (k, of) in strides.iter().enumerate().filter(|(_, of)| of[d] != 0) {
            let _ = match of[d] {
                1 => writeln!(text, "    at{k} += {index};"),
                _ => writeln!(text, "    at{k} += {index} * params.strides[{}][{lane}];", 2 * k + row),
            };
        }
    }
    for (k, (name, value)) in NAMES.iter().zip(VALUES).enumerate().take(strides.len()) {
        let _ = writeln!(text, "    let {value} = {name}[at{k}];");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strided(shape: &[usize], output: &[usize]) -> Strided {
        Strided::broadcast(TensorId(0), shape, output)
    }

    #[test]
    fn axes_that_every_operand_walks_together_are_one() {
        let output = [2, 3, 4];
        let (dims, strides) = merged(&output, &[strided(&output, &output), strided(&[3, 4], &output)]);
        assert_eq!((dims, strides), (vec![12, 2], vec![vec![1, 12], vec![1, 0]]));
        let (dims, _) = merged(&output, &[strided(&output, &output), strided(&output, &output)]);
        assert_eq!(dims, [24]);
    }

    #[test]
    fn a_scalar_has_no_axes() {
        let (dims, strides) = merged(&[1, 1], &[strided(&[], &[1, 1])]);
        assert_eq!((dims.len(), strides), (0, vec![vec![]]));
    }
}
