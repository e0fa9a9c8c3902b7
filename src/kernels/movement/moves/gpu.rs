//! Moves on the GPU: left to who reads or computes what is moved where that can be, else a map. Knows dispatches; must never
//! know a device.

use super::Move;
use crate::error::Result;
use crate::graph::{Call, TensorId};
use crate::kernels::base::map::Map;
use crate::kernels::base::strides::{Strided, contiguous};
use crate::kernels::base::{Kernel, KernelCall, Lowering};
use crate::kernels::product::stored_apart;

/// The product that computes what `from` moves to `output`, storing there at once, and what it writes now.
fn stored_moved(from: &Strided, output: TensorId, out: &Lowering<'_>) -> Option<(KernelCall, TensorId)> {
    let (before, at) = out.private_writer(from.tensor)?;
    // Where each element of what is read goes: the axes of both are the same, in another order.
    let (shape, own) = (out.ty(output).shape.as_slice(), contiguous(&out.ty(output).shape));
    let dense = contiguous(&out.ty(from.tensor).shape);
    let goes = |(&size, &stride): (&usize, &i64)| {
        let axis = (0..shape.len()).find(|&a| from.strides[a] == stride && shape[a] == size);
        if size == 1 { Some(0) } else { axis.map(|a| own[a]) }
    };
    let strides: Vec<i64> = out.ty(from.tensor).shape.iter().zip(&dense).map(goes).collect::<Option<_>>()?;
    let whole = from.base == 0 && out.ty(output).len() == out.ty(from.tensor).len();
    let call = stored_apart(before, &out.ty(from.tensor).shape, &strides, output).filter(|_| whole)?;
    Some((call, at))
}

impl Kernel for Move {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let read = (self.rule)(call)?;
        let (x, output) = (out.input(0)?, out.output(0)?);
        let whole = read.shape.iter().product::<usize>() == out.ty(x).len();
        // Axes of one element may move freely: what is left in order is the same bytes.
        let moved = |&i: &usize| read.shape[i] != 1 && read.strides[i] != contiguous(&read.shape)[i];
        if whole && read.base == 0 && !(0..read.shape.len()).any(|i| moved(&i)) {
            out.view(output, x);
            return Ok(());
        }
        let from = Strided { tensor: x, base: read.base, strides: read.strides };
        if let Some((call, at)) = stored_moved(&from, output, out) {
            out.replace_writer(at, call);
            return Ok(());
        }
        let operands = vec![from.clone()];
        Map { moves: true, expression: "u".to_owned(), functions: "", operands, output, flops: 0.0 }.lower(out)?;
        out.keep_move(output, from);
        Ok(())
    }
}
