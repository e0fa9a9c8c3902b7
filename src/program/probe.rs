//! Programs that measure a lane: its ceilings, and one small operator of each kernel class as models use it.

use super::build::assemble;
use super::examples::{Example, example};
use super::{Dispatch, Program, Residency};
use crate::error::{Error, Kind, Result};
use crate::graph::{
    Attribute, Attributes, Call, DType, Operand, Source, SpecialNode, SpecialTensor, Specialised, TensorId, TensorType,
};
use crate::kernels::attention::{Attention, Way};
use crate::kernels::{Class, KernelCall, Lowering, Registry, Tuning, ceiling};

/// Workgroups in the multiply-add probe at first.
const FMA_WORKGROUPS: u32 = 64;
/// Size of what the copy, upload and readback probes move at first, in f32: above most caches, yet quick.
pub const LARGE: usize = 1 << 20;

/// A program of `count` floats that a lane uploads and reads back, with no dispatch.
pub fn transfer(count: usize) -> Result<Program> {
    let special = Specialised {
        tensors: vec![tensor("x", &[count], Source::Input(0))],
        inputs: vec![TensorId(0)],
        outputs: vec![TensorId(0)],
        ..Specialised::default()
    };
    finish(&special, Vec::new())
}

/// A program that does nothing `dispatches` times and reads 4 bytes back.
pub fn nothing(dispatches: usize) -> Result<Program> {
    let program = single(&[1], ceiling::nothing)?;
    Ok(repeated(program, dispatches))
}

/// A program whose output is 1 for each of many threads that finds its subgroup, `size` at least, beside it.
pub fn neighbours(size: usize) -> Result<Program> {
    const WORKGROUPS: u32 = 16;
    let special = Specialised {
        tensors: vec![tensor("y", &[WORKGROUPS as usize * 64], Source::Node)],
        nodes: vec![SpecialNode { node: 0, inputs: vec![], outputs: vec![] }],
        outputs: vec![TensorId(0)],
        ..Specialised::default()
    };
    finish(&special, vec![ceiling::neighbours(TensorId(0), size as u32, WORKGROUPS)])
}

/// Threads of [`fma`] at `scale`.
pub fn fma_threads(scale: u32) -> usize {
    (FMA_WORKGROUPS * scale) as usize * 64
}

/// `dispatches` times multiply-adds in registers, `rounds` of them in each of `scale` times 4096 threads.
pub fn fma(rounds: u32, scale: u32, dispatches: usize) -> Result<Program> {
    let call = |y| ceiling::fma(y, FMA_WORKGROUPS * scale, rounds);
    Ok(repeated(single(&[fma_threads(scale)], call)?, dispatches))
}

/// `dispatches` copies of `scale` times [`LARGE`] floats.
pub fn copy(scale: u32, dispatches: usize) -> Result<Program> {
    let size = LARGE * scale as usize;
    let mut special = Specialised {
        tensors: vec![tensor("x", &[size], Source::Node), tensor("y", &[size], Source::Node)],
        nodes: vec![SpecialNode { node: 0, inputs: vec![], outputs: vec![] }],
        ..Specialised::default()
    };
    let (x, y) = (TensorId(0), TensorId(1));
    let mark = end_mark(&mut special);
    let program = finish(&special, vec![ceiling::copy(x, y, size as u32 / 4), ceiling::nothing(mark)])?;
    Ok(repeated(program, dispatches))
}

/// A small operator of `class`, shaped like those of the workload, `dispatches` times; `None` where none is known.
pub fn class(class: Class, tuning: Tuning, dispatches: usize) -> Result<Option<Program>> {
    operator(example(class), tuning, dispatches)
}

/// A product large enough for the widest tiles, `dispatches` times.
pub fn product(tuning: Tuning, dispatches: usize) -> Result<Program> {
    let example: Example = ("MatMul", vec![], &[&[256, 256], &[256, 512]]);
    operator(example, tuning, dispatches)?.ok_or_else(|| Error::new(Kind::Internal, "no probe for MatMul"))
}

/// A 3×3 convolution from the middle of a residual network, `dispatches` times.
pub fn convolution(tuning: Tuning, dispatches: usize) -> Result<Program> {
    let pads = ("pads".to_owned(), Attribute::Ints(vec![1; 4]));
    let example: Example = ("Conv", vec![pads], &[&[1, 128, 28, 28], &[128, 128, 3, 3]]);
    operator(example, tuning, dispatches)?.ok_or_else(|| Error::new(Kind::Internal, "no probe for Conv"))
}

/// Normalised rows of an encoder, `dispatches` times.
pub fn rows(tuning: Tuning, dispatches: usize) -> Result<Program> {
    let example: Example = ("LayerNormalization", vec![], &[&[512, 384], &[384], &[384]]);
    operator(example, tuning, dispatches)?.ok_or_else(|| Error::new(Kind::Internal, "no probe for LayerNormalization"))
}

/// Attention of a small encoder, `times` over: one kernel or several, as `tuning` says.
pub fn attention(tuning: Tuning, times: usize) -> Result<Program> {
    let (heads, tokens, depth) = (12, 128, 32);
    let (rows, columns) = ([heads, tokens, depth], [heads, depth, tokens]);
    let mut special = Specialised {
        tensors: [&rows, &columns, &rows, &rows].map(|shape| tensor("x", shape, Source::Node)).to_vec(),
        nodes: vec![SpecialNode { node: 0, inputs: vec![], outputs: vec![] }],
        ..Specialised::default()
    };
    let mark = end_mark(&mut special);
    let [q, k, v, y] = [0, 1, 2, 3].map(TensorId);
    let (mask, batch, scale) = (None, vec![heads], 1.0);
    let attention = Attention { q, k, v, mask, y, batch, queries: tokens, depth, keys: tokens, width: depth, scale };
    // Never larger than all scores: one slice is what its nodes are.
    let slices = attention.slices(usize::MAX).map(Way::Sliced);
    let way = attention.way(tuning, usize::MAX).or(slices);
    let way = way.ok_or_else(|| Error::new(Kind::Internal, "no probe for attention"))?;
    let mut lowering = Lowering::new(&special, tuning);
    attention.lower(&way, &mut lowering)?;
    lowering.dispatch(ceiling::nothing(mark));
    Ok(repeated(assemble(&special, &lowering, &[], &Residency::default(), &|_| "probe".to_owned())?, times))
}

/// One node of an operator, `dispatches` times; `None` where it has no kernel.
pub fn operator((op, attributes, shapes): Example, tuning: Tuning, dispatches: usize) -> Result<Option<Program>> {
    let Some(kernel) = Registry.kernel("", op) else { return Ok(None) };
    let attributes = Attributes::new(attributes);
    let types: Vec<TensorType> = shapes.iter().map(|s| TensorType::new(DType::Float32, *s)).collect();
    let call = Call {
        node: "probe",
        attributes: &attributes,
        opset: 17,
        inputs: types.iter().map(|ty| Some(Operand { ty: ty.clone(), value: None })).collect(),
        outputs: 1,
    };
    let result = kernel.infer(&call)?.into_iter().next();
    let result = result.ok_or_else(|| Error::new(Kind::Internal, format!("{op} gives nothing")))?;
    let inputs: Vec<_> = (0..types.len()).map(|i| Some(TensorId(i))).collect();
    let outputs = vec![Some(TensorId(types.len()))];
    let mut special = Specialised {
        tensors: types.iter().map(|ty| tensor("x", &ty.shape, Source::Node)).collect(),
        nodes: vec![SpecialNode { node: 0, inputs: vec![], outputs: vec![] }],
        ..Specialised::default()
    };
    special.tensors.push(tensor("y", &result.shape, Source::Node));
    let mark = end_mark(&mut special);
    let mut lowering = Lowering::new(&special, tuning);
    lowering.enter(0, &inputs, &outputs);
    kernel.lower(&call, &mut lowering)?;
    lowering.dispatch(ceiling::nothing(mark));
    Ok(Some(repeated(assemble(&special, &lowering, &[], &Residency::default(), &|_| "probe".to_owned())?, dispatches)))
}

fn tensor(name: &str, shape: &[usize], source: Source) -> SpecialTensor {
    SpecialTensor { name: name.to_owned(), ty: TensorType::new(DType::Float32, shape), source }
}

/// A 4-byte output: its map is the end of the probe.
fn end_mark(special: &mut Specialised) -> TensorId {
    special.tensors.push(tensor("end", &[1], Source::Node));
    let id = TensorId(special.tensors.len() - 1);
    special.outputs.push(id);
    id
}

/// One dispatch that writes a tensor of `shape`, and the mark.
fn single(shape: &[usize], call: impl FnOnce(TensorId) -> KernelCall) -> Result<Program> {
    let mut special = Specialised {
        tensors: vec![tensor("y", shape, Source::Node)],
        nodes: vec![SpecialNode { node: 0, inputs: vec![], outputs: vec![] }],
        ..Specialised::default()
    };
    let mark = end_mark(&mut special);
    finish(&special, vec![call(TensorId(0)), ceiling::nothing(mark)])
}

fn finish(special: &Specialised, calls: Vec<KernelCall>) -> Result<Program> {
    let mut lowering = Lowering::new(special, Tuning::default());
    for call in calls {
        lowering.dispatch(call);
    }
    assemble(special, &lowering, &[], &Residency::default(), &|_| "probe".to_owned())
}

/// All dispatches but the last, `times` over, then the last (the mark).
fn repeated(mut program: Program, times: usize) -> Program {
    if let Some((mark, body)) = program.dispatches.split_last() {
        let mut all: Vec<Dispatch> = (0..times).flat_map(|_| body.iter().cloned()).collect();
        all.push(mark.clone());
        program.dispatches = all;
    }
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_repeats_its_body_and_ends_with_one_mark() -> Result<()> {
        let program = copy(1, 5)?;
        assert_eq!(program.dispatches.len(), 6);
        assert_eq!(program.outputs.len(), 1);
        assert_eq!(program.dispatches[4].cost.bytes, LARGE as f64 * 8.0);
        assert_eq!(program.dispatches[5].cost.bytes, 4.0);
        Ok(())
    }

    #[test]
    fn a_transfer_uploads_what_it_reads_back() -> Result<()> {
        let cost = transfer(1000)?.cost("probe");
        assert_eq!((cost.upload_bytes, cost.readback_bytes, cost.dispatches.len()), (4000.0, 4000.0, 0));
        Ok(())
    }
}
