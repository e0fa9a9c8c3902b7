//! What a program computes in another way than node by node: attention, whose scores need not lie in memory.
//! Knows patterns of nodes; must never know how a kernel does it.

use crate::graph::{DType, Graph, Source, SpecialNode, Specialised, TensorId};
use crate::kernels::Tuning;
use crate::kernels::attention::{Attention, Way};
use std::collections::{BTreeMap, BTreeSet};

/// Nodes that are computed together with a later one, and what that one computes then.
#[derive(Debug, Default)]
pub struct Fused {
    /// Nodes that need no dispatches of their own, by index into [`Specialised::nodes`].
    pub gone: BTreeSet<usize>,
    /// What stands for all at the last of them.
    pub attention: BTreeMap<usize, (Attention, Way)>,
}

/// Finds `MatMul → Softmax → MatMul`, a factor or a mask or both between the first two, of which nobody sees what lies
/// between, where another way than by its nodes is better by `tuning`, or their scores take more than `bytes`.
#[inline(never)]
pub fn fuse(graph: &Graph, special: &Specialised, tuning: Tuning, bytes: usize) -> Fused {
    let mut uses: BTreeMap<TensorId, Vec<usize>> = BTreeMap::new();
    for (index, node) in special.nodes.iter().enumerate() {
        node.inputs.iter().flatten().for_each(|&id| uses.entry(id).or_default().push(index));
    }
    let only_use = |id: TensorId| match uses.get(&id).map(Vec::as_slice) {
        Some(&[index]) if !special.outputs.contains(&id) => Some(index),
        _ => None,
    };
    let mut fused = Fused::default();
    for (first, scores) in special.nodes.iter().enumerate().filter(|(_, n)| plain_product(graph, n)) {
        let found = || {
            let result = |index: usize| special.nodes[index].outputs.first().copied().flatten();
            let (mut gone, mut next) = (vec![first], only_use(result(first)?)?);
            let scale = factor(graph, special, &special.nodes[next]);
            if scale.is_some() {
                gone.push(next);
                next = only_use(result(next)?)?;
            }
            let before = result(*gone.last()?)?;
            let mask = mask(graph, special, &special.nodes[next], before);
            if mask.is_some() {
                gone.push(next);
                next = only_use(result(next)?)?;
            }
            gone.push(next);
            let last = only_use(result(next)?)?;
            let attention = attention(graph, special, scores, &special.nodes[next], &special.nodes[last])?;
            Some((gone, last, Attention { scale: scale.unwrap_or(1.0), mask, ..attention }))
        };
        // A node is of one attention only: of a chain of products and softmaxes every other pair is left as it is.
        let taken = |at: &usize| fused.gone.contains(at) || fused.attention.contains_key(at);
        if let Some((gone, last, attention)) = found()
            && !gone.iter().chain([&last]).any(taken)
            && let Some(way) = attention.way(tuning, bytes)
        {
            fused.gone.extend(gone);
            fused.attention.insert(last, (attention, way));
        }
    }
    fused
}

fn is(graph: &Graph, node: &SpecialNode, op_type: &str) -> bool {
    let node = &graph.nodes[node.node];
    node.op_type == op_type && node.domain.is_empty()
}

/// The constant by which a Mul or Div multiplies its first or only other operand.
fn factor(graph: &Graph, special: &Specialised, node: &SpecialNode) -> Option<f32> {
    let &[Some(a), Some(b)] = node.inputs.as_slice() else { return None };
    let constant = |id: TensorId| match &special.tensors[id.0].source {
        // Of as few axes as cannot change the shape.
        Source::Constant(_, Some(value)) if value.shape().iter().all(|&d| d == 1) && value.shape().len() <= 1 => {
            value.as_f32().and_then(|v| v.first().copied())
        }
        _ => None,
    };
    match () {
        () if is(graph, node, "Mul") => constant(b).or_else(|| constant(a)),
        () if is(graph, node, "Div") => constant(b).map(|b| 1.0 / b),
        () => None,
    }
}

/// What an Add adds to `scores`, where it broadcasts to them.
fn mask(graph: &Graph, special: &Specialised, node: &SpecialNode, scores: TensorId) -> Option<TensorId> {
    let &[Some(a), Some(b)] = node.inputs.as_slice() else { return None };
    let mask = if a == scores { b } else { a };
    let (ty, whole) = (&special.tensors[mask.0].ty, &special.tensors[scores.0].ty.shape);
    let skipped = whole.len().checked_sub(ty.shape.len())?;
    let fits = ty.shape.iter().zip(&whole[skipped..]).all(|(&d, &all)| d == 1 || d == all);
    (is(graph, node, "Add") && ty.dtype == DType::Float32 && fits).then_some(mask)
}

fn plain_product(graph: &Graph, node: &SpecialNode) -> bool {
    is(graph, node, "MatMul") && matches!(node.inputs.as_slice(), [Some(_), Some(_)])
}

fn attention(
    graph: &Graph,
    special: &Specialised,
    scores: &SpecialNode,
    softmax: &SpecialNode,
    last: &SpecialNode,
) -> Option<Attention> {
    let shape = |id: TensorId| {
        let ty = &special.tensors[id.0].ty;
        (ty.dtype == DType::Float32 && ty.shape.len() >= 3).then_some(ty.shape.as_slice())
    };
    let (&[Some(q), Some(k)], &[Some(p), Some(v)]) = (scores.inputs.as_slice(), last.inputs.as_slice()) else {
        return None;
    };
    let y = last.outputs.first().copied()??;
    let (q_shape, k_shape, v_shape) = (shape(q)?, shape(k)?, shape(v)?);
    let ([batch @ .., queries, depth], [k_batch @ .., _, keys], [v_batch @ .., _, width]) = (q_shape, k_shape, v_shape)
    else {
        return None;
    };
    let rank = q_shape.len() as i64;
    let axis = graph.nodes[softmax.node].attributes.int("axis", -1).ok()?;
    let whole = is(graph, softmax, "Softmax") && (axis == rank - 1 || axis == -1);
    let opset = graph.opset.get("").copied().unwrap_or(1);
    let known = opset >= 13 || axis == rank - 1;
    let fits =
        batch == k_batch && batch == v_batch && plain_product(graph, last) && softmax.outputs.first()? == &Some(p);
    // What attention is made of must not be made of itself: a product of scores with scores is no attention.
    (whole && known && fits && v != p).then(|| Attention {
        q,
        k,
        v,
        y,
        mask: None,
        batch: batch.to_vec(),
        queries: *queries,
        depth: *depth,
        keys: *keys,
        width: *width,
        scale: 1.0,
    })
}
