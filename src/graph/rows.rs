//! Which rows of a batch each tensor of a call holds: whether several calls may be one, and where their parts lie then. Knows what
//! operators say of axes; must never know what runs the calls.

use super::specialise::{FOLDED_ELEMENTS, Source, SpecialNode, Specialised, TensorId};
use super::{Call, Data, Dim, Follows, Graph, HostTensor, Operand, OperatorSet};

/// Which axis of each tensor the rows of a batch lie along, as its equal parts; `None` of a tensor that all rows share.
pub type Axes = Vec<Option<usize>>;

/// Whether every slice of `tensor` along `axis` is the same.
pub fn even(tensor: &HostTensor, axis: usize) -> bool {
    let shape = tensor.shape();
    let inner = shape[axis + 1..].iter().product::<usize>() * tensor.dtype().host_bytes();
    let extent = shape[axis];
    let all = tensor.bytes().chunks(inner.max(1)).enumerate();
    inner == 0
        || all
            .clone()
            .all(|(i, slice)| i % extent == 0 || slice == &tensor.bytes()[(i - i % extent) * inner..][..inner])
}

/// The bytes of the first slice of `tensor` along `axis`.
fn first(tensor: &HostTensor, axis: usize) -> Vec<u8> {
    let shape = tensor.shape();
    let inner = shape[axis + 1..].iter().product::<usize>() * tensor.dtype().host_bytes();
    tensor.bytes().chunks((inner * shape[axis]).max(1)).flat_map(|outer| &outer[..inner]).copied().collect()
}

/// The axis of `indices` along which each slice is the first with so much more than the one before that all of them share out `of`
/// places: each slice has places of its own.
pub fn apart(indices: &HostTensor, of: usize) -> Option<usize> {
    let (shape, values) = (indices.shape(), indices.to_i64()?);
    let own = |axis: usize| {
        let (extent, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
        let step = (extent > 1 && of.is_multiple_of(extent)).then(|| (of / extent) as i64)?;
        let fits = |(i, &value): (usize, &i64)| {
            let slice = i / inner % extent;
            let first = values[i - slice * inner];
            (0..step).contains(&first) && value == first + slice as i64 * step
        };
        values.iter().enumerate().all(fits).then_some(axis)
    };
    (0..shape.len()).find_map(own)
}

impl Call<'_> {
    /// The axis of the rows where input 0 alone has them.
    pub fn only_first(&self, axes: &[Option<usize>]) -> Option<usize> {
        axes.iter().skip(1).all(Option::is_none).then(|| axes.first().copied().flatten()).flatten()
    }

    /// The axis of an output of `rank` axes with which the inputs broadcast from the last axis on.
    pub fn aligned(&self, axes: &[Option<usize>], rank: usize) -> Option<usize> {
        let operands = || self.inputs.iter().zip(axes).filter_map(|(operand, axis)| Some((operand.as_ref()?, *axis)));
        let mut from_last = operands().filter_map(|(operand, axis)| Some(operand.ty.shape.len() - axis?));
        let first = from_last.next()?;
        let fits = |operand: &Operand| match operand.ty.shape.len().checked_sub(first) {
            None => true,
            Some(at) => operand.ty.shape[at] == 1 || operand.value.as_ref().is_some_and(|value| even(value, at)),
        };
        let shared = operands().filter(|(_, axis)| axis.is_none()).all(|(operand, _)| fits(operand));
        (from_last.all(|other| other == first) && shared).then(|| rank.checked_sub(first)).flatten()
    }
}

/// Where `axis` of a tensor of shape `from` is, or is the outermost part of an axis, once the same elements are read as of shape `to`.
pub fn renamed(from: &[usize], axis: usize, to: &[usize]) -> Option<usize> {
    let before: usize = from[..axis].iter().product();
    let mut product = 1;
    to.iter().position(|&size| {
        let there = product == before && size > 1;
        product *= size;
        there
    })
}

/// What a call of `base` is when `stacked`, whose inputs have `times` as many rows along `axes`: the axis along which each output's
/// rows lie. Nothing where rows are mixed, or something else depends on how many there are.
pub fn stacks(
    graph: &Graph,
    operators: &dyn OperatorSet,
    (base, stacked): (&Specialised, &Specialised),
    axes: &[Option<usize>],
    times: usize,
) -> Option<Axes> {
    let mut along: Axes = vec![None; stacked.tensors.len()];
    stacked.inputs.iter().zip(axes).for_each(|(id, &axis)| along[id.0] = axis);
    let same = base.nodes.len() == stacked.nodes.len() && base.outputs.len() == stacked.outputs.len();
    if !same || !base.nodes.iter().zip(&stacked.nodes).all(|(was, node)| was.node == node.node) {
        return None;
    }
    for node in &stacked.nodes {
        let axes: Axes = node.inputs.iter().map(|id| id.and_then(|id| along[id.0])).collect();
        let rows =
            if axes.iter().any(Option::is_some) { node_rows(graph, operators, stacked, node, &axes)? } else { vec![] };
        for (i, id) in node.outputs.iter().enumerate().filter_map(|(i, id)| Some((i, (*id)?))) {
            along[id.0] = if rows.is_empty() { None } else { Some(*rows.get(i)?) };
        }
    }
    let free = |node: &SpecialNode, i: usize, before: TensorId| {
        let (was, is) = (&base.tensors[before.0], node.inputs[i].map(|id| &stacked.tensors[id.0]));
        let of = &graph.nodes[node.node];
        match operators.find(&of.domain, &of.op_type).map(|operator| operator.follows(i)) {
            Some(Follows::Shape) => true,
            Some(Follows::Places) => match (&was.source, is.map(|is| &is.source)) {
                (Source::Constant(_, Some(was)), Some(Source::Constant(_, Some(is)))) => {
                    let axis = node.inputs[0].and_then(|data| apart(is, *stacked.tensors[data.0].ty.shape.first()?));
                    axis.is_some_and(|axis| {
                        was.shape().len() == is.shape().len() && first(was, axis) == first(is, axis)
                    })
                }
                _ => false,
            },
            _ => false,
        }
    };
    for (was, node) in base.nodes.iter().zip(&stacked.nodes) {
        let inputs = node.inputs.iter().zip(&was.inputs).enumerate();
        for (i, (id, before)) in inputs.filter_map(|(i, (id, before))| Some((i, ((*id)?, (*before)?)))) {
            if !free(node, i, before) && !grown((base, before), (stacked, id), along[id.0], times) {
                return None;
            }
        }
    }
    for (&id, &before) in stacked.outputs.iter().zip(&base.outputs) {
        if !grown((base, before), (stacked, id), along[id.0], times) {
            return None;
        }
    }
    Some(stacked.outputs.iter().map(|id| along[id.0]).collect())
}

/// What an operator says of the rows of its outputs.
fn node_rows(
    graph: &Graph,
    operators: &dyn OperatorSet,
    stacked: &Specialised,
    special: &SpecialNode,
    axes: &[Option<usize>],
) -> Option<Vec<usize>> {
    let node = &graph.nodes[special.node];
    let operand = |id: &Option<TensorId>| {
        let tensor = &stacked.tensors[(*id)?.0];
        let value = match &tensor.source {
            Source::Constant(_, value) if tensor.ty.len() <= FOLDED_ELEMENTS => value.clone(),
            _ => None,
        };
        Some(Operand { ty: tensor.ty.clone(), value })
    };
    let call = Call {
        node: &node.name,
        attributes: &node.attributes,
        opset: graph.opset.get(&node.domain).copied().unwrap_or(1),
        inputs: special.inputs.iter().map(operand).collect(),
        outputs: node.outputs.len(),
    };
    operators.find(&node.domain, &node.op_type)?.along(&call, axes)
}

/// Whether a tensor is what it was, with `times` as many rows along `axis` where it has any.
fn grown(
    (base, before): (&Specialised, TensorId),
    (stacked, id): (&Specialised, TensorId),
    axis: Option<usize>,
    times: usize,
) -> bool {
    let (was, is) = (&base.tensors[before.0], &stacked.tensors[id.0]);
    let larger = |axis: usize| {
        was.ty.shape.len() == is.ty.shape.len()
            && (0..is.ty.shape.len()).all(|i| is.ty.shape[i] == was.ty.shape[i] * if i == axis { times } else { 1 })
    };
    match (&was.source, &is.source) {
        (Source::Constant(hash, _), Source::Constant(other, _)) if hash == other => axis.is_none() && was.ty == is.ty,
        // Made for as many rows as there are, each the same.
        (Source::Constant(_, Some(value)), Source::Constant(_, Some(more))) => {
            let differs = (0..is.ty.shape.len()).find(|&i| was.ty.shape.get(i) != Some(&is.ty.shape[i]));
            differs.is_some_and(|i| {
                larger(i) && !is.ty.is_empty() && even(value, i) && even(more, i) && first(value, i) == first(more, i)
            })
        }
        (Source::Constant(..), _) | (_, Source::Constant(..)) => false,
        _ => axis.map_or(was.ty == is.ty, larger),
    }
}

/// The axes of a graph's inputs along which rows of a batch may lie: a free dimension of one name wherever it stands, or the first
/// without a name of each input. What may come of each [`stacks`] says.
pub fn candidates(graph: &Graph) -> Vec<Axes> {
    let dims: Vec<&[Dim]> =
        graph.inputs.iter().map(|&id| graph.value(id).dims.as_deref().unwrap_or_default()).collect();
    let mut names: Vec<&str> = vec![];
    for dim in dims.iter().flat_map(|dims| dims.iter()) {
        if let Dim::Free(name) = dim
            && !names.contains(&name.as_str())
        {
            names.push(name);
        }
    }
    let at = |name: &str| -> Axes {
        dims.iter().map(|dims| dims.iter().position(|dim| matches!(dim, Dim::Free(other) if other == name))).collect()
    };
    names.into_iter().map(at).collect()
}

/// `parts`, all of one shape, as the equal parts of one tensor along `axis`.
pub fn stacked(parts: &[&HostTensor], axis: usize) -> Option<HostTensor> {
    let one = parts.first()?;
    let run = one.shape().get(axis..)?.iter().product::<usize>() * one.dtype().host_bytes();
    let mut bytes = Vec::with_capacity(one.bytes().len() * parts.len());
    for outer in 0..one.shape()[..axis].iter().product() {
        parts.iter().for_each(|part| bytes.extend_from_slice(&part.bytes()[outer * run..(outer + 1) * run]));
    }
    let mut shape = one.shape().to_vec();
    shape[axis] *= parts.len();
    HostTensor::new(shape, Data::of_bytes(one.dtype(), &bytes)?).ok()
}

/// One of the `times` equal parts of a tensor along `axis`.
pub fn unstacked(whole: &HostTensor, axis: usize, times: usize, part: usize) -> Option<HostTensor> {
    let mut shape = whole.shape().to_vec();
    let extent = shape.get_mut(axis).filter(|extent| extent.is_multiple_of(times))?;
    *extent /= times;
    let run = shape[axis..].iter().product::<usize>() * whole.dtype().host_bytes();
    let mut bytes = Vec::with_capacity(whole.bytes().len() / times);
    for outer in 0..shape[..axis].iter().product() {
        bytes.extend_from_slice(&whole.bytes()[(outer * times + part) * run..][..run]);
    }
    HostTensor::new(shape, Data::of_bytes(whole.dtype(), &bytes)?).ok()
}
