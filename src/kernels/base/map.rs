//! Element maps: expressions over up to five operands that are read through strides. Broadcasting operators and
//! moves (transpose, slice, expand) are all such maps. Knows strides and the shader; must never know an operator.

use super::call::TAKEN_IN;
use super::chain::{Chain, OPERANDS};
use super::epilogue::FINISH;
use super::lean::lean;
use super::limits::word;
use super::rows::{GROUP, spread};
use super::strides::{Strided, broadcast_strides};
use super::wgsl::replace_word;
use super::{Binding, Class, Element, KernelCall, Lowering, Shader, Slot};
use crate::error::{Error, Kind, Result};
use crate::graph::{DType, TensorId};
use std::fmt::Write as _;

/// Axes that the shader's parameters hold.
const RANK: usize = 8;
/// Storage bindings that any device has, and words that a call's parameters hold.
pub(in crate::kernels) const MOST_BINDINGS: usize = 8;
pub(in crate::kernels) const MOST_PARAMS: usize = 64;
const SOURCE: &str = lean!("map.wgsl");
const NAMES: [&str; OPERANDS] = ["a", "b", "c", "s3", "s4"];
/// What an expression calls its operands, in order.
const VALUES: [&str; 3] = ["u", "v", "w"];

const fn shader(name: &'static str, class: Class, slots: &'static [Slot]) -> Shader {
    Shader { name, class, source: SOURCE, slots }
}

const A: Slot = Slot::read(NAMES[0]);
const B: Slot = Slot::read(NAMES[1]);
const C: Slot = Slot::read(NAMES[2]);
const D: Slot = Slot::read(NAMES[3]);
const E: Slot = Slot::read(NAMES[4]);
const Y: Slot = Slot::write("y");
static MAPS: [Shader; OPERANDS] = [
    shader("map-1", Class::Elementwise, &[A, Y]),
    shader("map-2", Class::Elementwise, &[A, B, Y]),
    shader("map-3", Class::Elementwise, &[A, B, C, Y]),
    shader("map-4", Class::Elementwise, &[A, B, C, D, Y]),
    shader("map-5", Class::Elementwise, &[A, B, C, D, E, Y]),
];
static MOVE: Shader = shader("move", Class::Movement, &[Slot::read("a"), Slot::write("y")]);

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
    fn chain(&self) -> Chain {
        let named = VALUES.iter().enumerate();
        let expression = named.fold(self.expression.clone(), |t, (i, name)| replace_word(&t, name, &format!("e{i}")));
        Chain {
            steps: vec![expression],
            functions: if self.functions.is_empty() { vec![] } else { vec![self.functions] },
            operands: self.operands.clone(),
            reads: vec![1; self.operands.len()],
            flops: self.flops,
        }
    }

    /// Appends the dispatch; takes in maps that only compute its operands.
    pub fn lower(self, out: &mut Lowering<'_>) -> Result<()> {
        let shape = out.ty(self.output).shape.clone();
        let mut chain = self.chain();
        let float = |id: TensorId, out: &Lowering<'_>| out.ty(id).dtype == DType::Float32;
        let joins = !self.moves && float(self.output, out);
        let own = broadcast_strides(&shape, &shape);
        let mut k = 0;
        while joins && k < chain.operands.len() {
            let Strided { tensor, base, strides } = &chain.operands[k];
            let tensor = *tensor;
            let in_place = *base == 0 && *strides == own && out.ty(tensor).shape == shape && float(tensor, out);
            let together =
                out.chain(tensor, chain.reads[k]).filter(|_| in_place).and_then(|before| chain.after(k, before));
            match together {
                Some(together) if out.take_back(tensor).is_some() => {
                    chain = together;
                    k = 0;
                }
                _ => k += 1,
            }
        }
        let taken_in = if joins { chain.taken_in(self.output, out)? } else { None };
        let (call, before) = match taken_in {
            Some((call, k)) => (call, out.take_back(chain.operands[k].tensor)),
            None => (chain.call(self.moves, self.output, out)?, None),
        };
        out.dispatch(call);
        if joins {
            out.keep_chain(self.output, chain, before);
        }
        Ok(())
    }
}

impl Chain {
    fn call(&self, moves: bool, output: TensorId, out: &Lowering<'_>) -> Result<KernelCall> {
        let shape = out.ty(output).shape.clone();
        let mut count: usize = shape.iter().product();
        let (mut dims, strides) = merged(&shape, &self.operands);
        if dims.len() > RANK {
            return Err(Error::new(Kind::Unsupported, format!("a tensor of shape {shape:?} with so many axes")));
        }
        let mut elements: Vec<Element> = self.operands.iter().map(|o| Element::of(out.ty(o.tensor).dtype)).collect();
        elements.push(Element::of(out.ty(output).dtype));
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
        params.extend((0..8).map(|i| self.operands.get(i).map_or(0, |o| o.base as u32)));
        for i in 0..RANK {
            params.push(word(dims.get(i).copied().unwrap_or(1))?);
        }
        for operand in 0..OPERANDS {
            let of = strides.get(operand);
            params.extend((0..RANK).map(|i| of.and_then(|s| s.get(i)).map_or(0, |&s| s as u32)));
        }
        let shader = if moves { &MOVE } else { &MAPS[self.operands.len() - 1] };
        let mut ids: Vec<TensorId> = self.operands.iter().map(|o| o.tensor).collect();
        ids.push(output);
        let elements_out = out.ty(output).len() as f64;
        // An operand that is repeated or cut moves no more than what is read of it.
        let bytes = ids.iter().map(|&id| out.bytes(id).min(4.0 * elements_out)).sum();
        let (expression, steps) = self.steps.split_last().ok_or_else(|| Error::new(Kind::Internal, "an empty map"))?;
        let mut text = String::new();
        for (i, step) in steps.iter().enumerate() {
            let _ = writeln!(text, "    let t{i} = {step};");
        }
        Ok(KernelCall {
            shader,
            snippets: vec![
                ("functions", self.functions.concat()),
                ("load", load(&dims, &strides)),
                ("steps", text),
                ("expression", expression.clone()),
            ],
            constants: vec![],
            bindings: ids.iter().zip(&elements).map(|(&tensor, &element)| Binding { tensor, element }).collect(),
            params,
            workgroups,
            flops: self.flops * elements_out,
            bytes,
        })
    }
}

/// Elements from one step of an operand to the next, and how many steps before it begins again: `index / inner % period`.
/// `None` where its strides are not of that form.
fn repeating(shape: &[usize], strides: &[i64]) -> Option<(usize, usize)> {
    let axes: Vec<usize> = (0..shape.len()).filter(|&a| shape[a] != 1 && strides[a] != 0).collect();
    let (Some(&first), Some(&last)) = (axes.first(), axes.last()) else { return Some((1, 1)) };
    let mut expected = 1;
    for axis in (first..=last).rev().filter(|&a| shape[a] != 1) {
        if strides[axis] != expected {
            return None;
        }
        expected *= shape[axis] as i64;
    }
    Some((shape[last + 1..].iter().product(), shape[first..=last].iter().product()))
}

/// `step` with each number that it spells as [`super::wgsl::literal`] does put into `numbers`, as bits, and read from
/// `params.taken` from entry `first` on.
fn without_numbers(step: &str, first: usize, numbers: &mut Vec<u32>) -> String {
    let (mut out, mut rest) = (String::new(), step);
    while let Some(at) = rest.find("f32(") {
        let (before, after) = (&rest[..at], &rest[at + 4..]);
        let whole = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let number = after.find(')').and_then(|end| Some((end, after[..end].parse::<f64>().ok()? as f32)));
        out.push_str(before);
        rest = match number.filter(|_| whole) {
            Some((end, value)) => {
                let (entry, lane) = (first + numbers.len() / 4, numbers.len() % 4);
                let _ = write!(out, "bitcast<f32>(params.taken[{entry}][{lane}])");
                numbers.push(value.to_bits());
                &after[end + 1..]
            }
            None => {
                out.push_str("f32(");
                after
            }
        };
    }
    out + rest
}

impl Chain {
    /// The dispatch that computes one of the operands, with this chain in its epilogue, and which operand that is.
    fn taken_in(&self, output: TensorId, out: &Lowering<'_>) -> Result<Option<(KernelCall, usize)>> {
        for (k, operand) in self.operands.iter().enumerate() {
            let id = operand.tensor;
            let shape = &out.ty(output).shape;
            let in_place = operand.base == 0
                && operand.strides == broadcast_strides(shape, shape)
                && out.ty(id).shape == *shape
                && out.is_private(id, self.reads[k]);
            if let Some(before) = out.writer(id).filter(|_| in_place)
                && let Some(call) = self.after_kernel(k, before, output, out)?
            {
                return Ok(Some((call, k)));
            }
        }
        Ok(None)
    }

    /// `before`, which computes operand `k`, with this chain as its epilogue.
    fn after_kernel(
        &self,
        k: usize,
        before: &KernelCall,
        output: TensorId,
        out: &Lowering<'_>,
    ) -> Result<Option<KernelCall>> {
        let Some(finish) = before.snippets.iter().position(|(name, text)| *name == "finish" && text == FINISH) else {
            return Ok(None);
        };
        let Some(y) = before.shader.slots.iter().position(|s| s.writes) else { return Ok(None) };
        let shape = &out.ty(output).shape;
        let count: usize = shape.iter().product();
        let wide = before.bindings[y].element.wide();
        let mut call = before.clone();
        let mut text = self.functions.concat();
        let _ = writeln!(text, "fn finish(v: y_t, at: u32) -> y_t {{\n    let e{k} = activate(v);");
        call.params.resize(call.params.len().next_multiple_of(4), 0);
        let mut taken = 0;
        for (i, operand) in self.operands.iter().enumerate().filter(|&(i, _)| i != k) {
            let id = operand.tensor;
            let Some((inner, period)) = repeating(shape, &operand.strides) else { return Ok(None) };
            let apart = !before.bindings.iter().any(|b| out.same(b.tensor, id)) && !out.same(id, output);
            let whole = operand.base == 0 && out.ty(id).len() == period && out.ty(id).dtype == DType::Float32;
            // The kernel sees its output in vec4: an operand changes within one or not at all.
            let fours =
                inner > 1 && inner.is_multiple_of(wide) || inner == 1 && period.is_multiple_of(wide) || period == 1;
            if !apart || !whole || !fours || taken == TAKEN_IN.len() || call.bindings.len() == MOST_BINDINGS {
                return Ok(None);
            }
            let vector = wide == 4 && inner == 1 && period > 1;
            let (inner, steps) = match () {
                () if vector => (1, period / 4),
                () if inner > 1 => (inner / wide, period),
                () => (1, period),
            };
            let index = match () {
                () if period == 1 => "0u".to_owned(),
                () if inner == 1 && period == count => "at".to_owned(),
                () if inner == 1 => format!("at % params.taken[{taken}].y"),
                () => format!("at / params.taken[{taken}].x % params.taken[{taken}].y"),
            };
            let _ = writeln!(text, "    let e{i} = y_t({}[{index}]);", TAKEN_IN[taken].name);
            call.params.extend([word(inner)?, word(steps)?, 0, 0]);
            let element = if vector { Element::Vec4F32 } else { Element::F32 };
            call.bindings.push(Binding { tensor: id, element });
            call.bytes += out.bytes(id).min(4.0 * count as f64);
            taken += 1;
        }
        // Numbers are parameters: kernels that differ in nothing else are one.
        let mut numbers = vec![];
        let steps: Vec<String> = self.steps.iter().map(|step| without_numbers(step, taken, &mut numbers)).collect();
        numbers.resize(numbers.len().next_multiple_of(4), 0);
        taken += numbers.len() / 4;
        call.params.extend(numbers);
        let Some((last, steps)) = steps.split_last() else { return Ok(None) };
        for (i, step) in steps.iter().enumerate() {
            let _ = writeln!(text, "    let t{i} = {step};");
        }
        let _ = writeln!(text, "    return {last};\n}}");
        call.snippets[finish].1 = text;
        if taken > 0
            && let Some(more) = call.snippets.iter_mut().find(|(name, _)| *name == "more")
        {
            more.1 = format!("    taken: array<vec4<u32>, {taken}>,");
        }
        call.bindings[y].tensor = output;
        call.flops += self.flops * count as f64;
        Ok((call.params.len() <= MOST_PARAMS).then_some(call))
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
        let _ = writeln!(text, "    var at{k} = params.base[{}][{}];", k / 4, k % 4);
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
    for (k, name) in NAMES.iter().enumerate().take(strides.len()) {
        let _ = writeln!(text, "    let e{k} = {name}[at{k}];");
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
    fn numbers_become_parameters() {
        let mut numbers = vec![];
        let text = without_numbers("vec4f32(e0) + y_t(f32(1.5e0)) * f32(e1) - f32(-2e0)", 2, &mut numbers);
        let [a, b] = [0, 1].map(|lane| format!("bitcast<f32>(params.taken[2][{lane}])"));
        assert_eq!(text, format!("vec4f32(e0) + y_t({a}) * f32(e1) - {b}"));
        assert_eq!(numbers, [1.5f32.to_bits(), (-2.0f32).to_bits()]);
    }

    #[test]
    fn an_operand_repeats_along_neighbouring_axes_only() {
        assert_eq!(repeating(&[2, 3, 4, 5], &[0, 1, 0, 0]), Some((20, 3)));
        assert_eq!(repeating(&[2, 3, 4, 5], &[60, 20, 5, 1]), Some((1, 120)));
        assert_eq!(repeating(&[2, 1, 4, 5], &[0, 0, 5, 1]), Some((1, 20)));
        assert_eq!(repeating(&[2, 3, 4], &[0, 0, 0]), Some((1, 1)));
        assert_eq!(repeating(&[2, 3, 4], &[4, 0, 1]), None);
    }

    #[test]
    fn a_scalar_has_no_axes() {
        let (dims, strides) = merged(&[1, 1], &[strided(&[], &[1, 1])]);
        assert_eq!((dims.len(), strides), (0, vec![vec![]]));
    }
}
