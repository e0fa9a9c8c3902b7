//! Convolutions on a processor: 1×1 as a plain product, groups of one filter as sums of rows, 3×3 by Winograd where that takes fewer operations, the rest as a product whose right operand
//! is what the window sees. Knows which suits; must never know how each sums.

mod depthwise;
mod nine;
mod transforms;
mod window;
mod winograd;

use self::depthwise::Depthwise;
use self::window::{Window, taps};
use self::winograd::Winograd;
use super::Convolution;
use crate::error::Result;
use crate::graph::{Call, ContentHash, HostTensor, TensorId};
use crate::kernels::base::cpu::image::Layout;
use crate::kernels::base::cpu::lowering::Pack;
use crate::kernels::base::cpu::panels::Packed;
use crate::kernels::base::cpu::product::{Addend, Product, Side};
use crate::kernels::base::cpu::tile::ROWS;
use crate::kernels::base::cpu::{Routines, Steps};
use crate::kernels::base::epilogue::Activation;
use crate::kernels::base::window::Axis;
use std::sync::Arc;

/// What computes this family on a processor.
pub const ROUTINES: Routines = &[("Conv", conv)];

/// Floats of what a filter over several channels sees at most: each thread lays it out by itself.
const FLOATS: usize = 1 << 20;

/// A factor for each filter, with its name among weights.
type Scale = Option<(ContentHash, Arc<HostTensor>)>;

fn conv(call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let mut conv = Convolution::of(call)?;
    let (x, w, y) = (steps.input(0)?, steps.input(1)?, steps.output(0)?);
    let nothing = conv.shape.contains(&0) || steps.ty(x).is_empty() || conv.y.kernel * conv.x.kernel == 0;
    if nothing || !steps.constant(w) {
        return Ok(false);
    }
    let mut given = steps.optional_input(2);
    let mut scale = None;
    // What follows channel by channel is part of the weights and the bias, if there is none yet.
    if given.is_none()
        && conv.activation == Activation::Identity
        && let Some(affine) = steps.take_affine(conv.filters, conv.y.output * conv.x.output)
    {
        (given, scale, conv.activation) = (affine.offset, affine.factor, Activation::within(affine.low, affine.high));
    }
    let bias = given.is_some();
    let layout = Layout::new(conv.y, conv.x);
    let alone = conv.group_channels() == 1;
    let few = layout.channel() * conv.group_channels() <= FLOATS && !(still(&conv.y) && still(&conv.x));
    if conv.group_filters() == 1 && (alone || few) {
        let w = match scale {
            Some(_) => {
                packed(steps, w, &scale, ("filters".to_owned(), steps.ty(w).len(), Pack::moves(<[f32]>::to_vec)))
            }
            None => w,
        };
        let mut reads = vec![x, w];
        reads.extend(given);
        let chain = steps.take_chain(&mut reads);
        steps.push(Depthwise { conv, layout, bias, chain }, reads, vec![y]);
        return Ok(true);
    }
    if winograd::pays(&conv) {
        let mut reads = vec![x, packed(steps, w, &scale, winograd::packed(&conv))];
        reads.extend(given);
        let chain = steps.take_chain(&mut reads);
        steps.push(Winograd { conv, bias, chain }, reads, vec![y]);
        return Ok(true);
    }
    let (filters, group) = (conv.group_filters(), conv.group);
    let depth = conv.group_channels() * conv.y.kernel * conv.x.kernel;
    let of = Packed { count: filters, depth };
    let pack = move |from: &[f32]| -> Vec<f32> {
        (0..group).flat_map(|g| of.pack::<ROWS>(from, g * filters * depth, (1, depth))).collect()
    };
    let form = format!("filters {group} {filters} {depth}");
    let packed = packed(steps, w, &scale, (form, group * of.floats::<ROWS>(), Pack::moves(pack)));
    let mut reads = vec![x, packed];
    if group == 1 && still(&conv.y) && still(&conv.x) {
        let plane = conv.y.input * conv.x.input;
        reads = vec![packed, x];
        reads.extend(given);
        let product = Product {
            m: filters,
            n: plane,
            k: depth,
            batch: vec![(conv.batch, 0, depth * plane)],
            a: Side::Packed,
            b: Side::Strided(plane, 1),
            alpha: 1.0,
            addend: given.map(|_| Addend { operand: 2, base: 0, row: 1, col: 0, factor: 1.0 }),
            activation: conv.activation,
            chain: steps.take_chain(&mut reads),
        };
        steps.push(product, reads, vec![y]);
        return Ok(true);
    }
    reads.extend(given);
    let (taps, chain) = (taps(&conv, &layout), steps.take_chain(&mut reads));
    steps.push(Window { conv, layout, taps, bias, chain }, reads, vec![y]);
    Ok(true)
}

/// The weights `w` in a form, each filter times its factor.
fn packed(steps: &mut Steps<'_>, w: TensorId, scale: &Scale, (form, floats, pack): (String, usize, Pack)) -> TensorId {
    let Some((name, factors)) = scale else { return steps.pack(w, form, floats, pack) };
    let pack = pack.of_scaled(Arc::clone(factors), steps.ty(w).len());
    let [a, b] = bytemuck::cast::<_, [u64; 2]>(name.0);
    steps.pack(w, format!("{form} by {a} {b}"), floats, pack)
}

/// Whether every output is under one tap, in its own place.
fn still(axis: &Axis) -> bool {
    axis.kernel == 1 && axis.stride == 1 && axis.output == axis.input && axis.before == 0
}
