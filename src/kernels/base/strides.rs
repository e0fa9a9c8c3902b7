//! Where the elements of a tensor lie for each axis of what is read from it: broadcast, moved, reshaped.
//! Knows shapes and strides; must never know a dispatch.

use crate::graph::TensorId;

/// An operand and where its elements lie for each axis of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Strides of a tensor of `shape` with `strides` seen under the shape `to`, which has as many elements; 0 where an axis
/// has one. `None` where an axis of `to` has no one stride.
pub fn reshaped(shape: &[usize], strides: &[i64], to: &[usize]) -> Option<Vec<i64>> {
    // Axes of one element say nothing; neighbours that follow each other are one.
    let mut runs: Vec<(usize, i64)> = vec![];
    for (&size, &stride) in shape.iter().zip(strides).filter(|(size, _)| **size != 1) {
        match runs.last_mut() {
            Some((before, apart)) if *apart == stride * size as i64 => (*before, *apart) = (*before * size, stride),
            _ => runs.push((size, stride)),
        }
    }
    let mut out = vec![0; to.len()];
    // From the end: each axis of `to` is a part of one run.
    let mut rest = runs.pop();
    for (axis, &size) in to.iter().enumerate().rev().filter(|(_, size)| **size != 1) {
        let (left, stride) = rest?;
        if size == 0 || !left.is_multiple_of(size) {
            return None;
        }
        out[axis] = stride;
        rest = match left / size {
            1 => runs.pop(),
            more => Some((more, stride * size as i64)),
        };
    }
    rest.is_none().then_some(out)
}

/// For each element of `output`, the element of a tensor of `shape` that is broadcast to it.
pub fn places(shape: &[usize], output: &[usize]) -> impl Iterator<Item = usize> + use<> {
    strided_places(output.to_vec(), broadcast_strides(shape, output), 0)
}

/// For each element of a tensor of `shape`, `base` and its index times `strides`.
pub fn strided_places(shape: Vec<usize>, strides: Vec<i64>, base: i64) -> impl Iterator<Item = usize> {
    let count: usize = shape.iter().product();
    (0..count).map(move |mut i| {
        let mut at = base;
        for (size, stride) in shape.iter().zip(&strides).rev() {
            at += (i % size) as i64 * stride;
            i /= size;
        }
        at as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_survive_a_reshape_where_each_axis_keeps_one() {
        // Heads of 128 tokens, moved to the front, and flattened.
        let (shape, strides) = ([1, 12, 128, 32], [0, 32, 384, 1]);
        assert_eq!(reshaped(&shape, &strides, &[12, 128, 32]), Some(vec![32, 384, 1]));
        assert_eq!(reshaped(&shape, &strides, &[2, 6, 128, 4, 8]), Some(vec![192, 32, 384, 8, 1]));
        assert_eq!(reshaped(&shape, &strides, &[12 * 128, 32]), None);
        assert_eq!(reshaped(&[128, 12, 32], &[384, 32, 1], &[128, 384]), Some(vec![384, 1]));
        assert_eq!(reshaped(&[3, 4], &[1, 3], &[12]), None);
        assert_eq!(reshaped(&[1, 1], &[0, 0], &[1]), Some(vec![0]));
    }
}
