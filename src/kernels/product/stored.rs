//! Products whose results lie elsewhere: where the next move would take them.
//! Knows the parameters of a product in tiles; must never know what moves.

use super::operands::BATCH_RANK;
use super::tiled::{BATCH, M, N, Y_BATCH, Y_ROW};
use super::{apart, quads, shared};
use crate::graph::TensorId;
use crate::kernels::base::KernelCall;
use crate::kernels::base::limits::word;
use crate::kernels::base::strides::reshaped;

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
    if ![apart::SOURCE, shared::SOURCE, quads::SOURCE].contains(&call.shader.source)
        || call.bindings.len() > slots.len()
    {
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
