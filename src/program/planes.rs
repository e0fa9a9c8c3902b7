//! The layout pass: which tensors of (batch, channels, spatial…) have planes that lie apart, each beginning at a multiple
//! of four elements. Kernels read and write these in vec4 where planes of an odd number of elements follow each other
//! without a gap: a 1×1 convolution of 160 to 960 channels at 7 × 7 took 1.4 times as long on SwiftShader.
//! Knows nodes and what their operators say; must never know how a kernel does it.

use crate::graph::{DType, Source, Specialised, TensorId};
use crate::kernels::Planes;
use crate::kernels::planes::APART;
use std::collections::BTreeSet;

/// The tensors whose planes lie apart, given what the operator of each node of `special` does about it.
pub fn apart(special: &Specialised, of_nodes: &[Planes]) -> BTreeSet<TensorId> {
    let mut apart: BTreeSet<TensorId> =
        (0..special.tensors.len()).map(TensorId).filter(|&id| gains(special, id)).collect();
    apart.retain(|id| !special.outputs.contains(id));
    // Each round takes out what a node cannot have; what is left all nodes can.
    loop {
        let before = apart.len();
        for (node, planes) in special.nodes.iter().zip(of_nodes) {
            let (inputs, outputs) = (node.inputs.iter().flatten(), node.outputs.iter().flatten());
            let first = [node.inputs.first(), node.outputs.first()].into_iter().flatten().flatten();
            let shape = |id: TensorId| &special.tensors[id.0].ty.shape;
            let alike: Vec<TensorId> = match planes {
                Planes::Dense => vec![],
                Planes::Each | Planes::First => first.copied().collect(),
                Planes::Joined => inputs.clone().chain(outputs.clone().take(1)).copied().collect(),
                Planes::Alike => {
                    let Some(y) = outputs.clone().next().map(|&id| shape(id)) else { continue };
                    let whole = inputs.clone().filter(|&&id| shape(id) == y);
                    let flat = inputs.clone().filter(|&&id| shape(id) != y).all(|&id| is_flat(shape(id), y.len()));
                    if flat { whole.chain(outputs.clone().take(1)).copied().collect() } else { vec![] }
                }
            };
            let together = *planes == Planes::Each || alike.iter().all(|id| apart.contains(id));
            for id in inputs.chain(outputs).filter(|id| !together || !alike.contains(id)) {
                apart.remove(id);
            }
        }
        if apart.len() == before {
            return apart;
        }
    }
}

/// Whether a tensor of `shape`, broadcast to `rank` axes of which the first two count planes, is the same all over a plane.
fn is_flat(shape: &[usize], rank: usize) -> bool {
    shape.iter().rev().take(rank.saturating_sub(2)).all(|&d| d == 1)
}

/// Whether the planes of a tensor are worth moving apart: not much is added to them.
fn gains(special: &Specialised, id: TensorId) -> bool {
    let tensor = &special.tensors[id.0];
    let shape = &tensor.ty.shape;
    let plane: usize = shape.iter().skip(2).product();
    let spatial = shape.len() >= 3 && matches!(tensor.source, Source::Node) && tensor.ty.dtype == DType::Float32;
    spatial && !plane.is_multiple_of(APART) && plane.next_multiple_of(APART) * 8 <= plane * 9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{SpecialNode, SpecialTensor, TensorType};

    /// Tensors of `shapes`, the first an input, the last the output; nodes read and write by index.
    fn found(shapes: &[&[usize]], nodes: &[(&[usize], usize, Planes)]) -> Vec<usize> {
        let tensors = (0..).zip(shapes).map(|(i, shape)| SpecialTensor {
            name: String::new(),
            ty: TensorType::new(DType::Float32, shape.to_vec()),
            source: if i == 0 { Source::Input(0) } else { Source::Node },
        });
        let id = |&i: &usize| Some(TensorId(i));
        let of = |(from, to, _): &(&[usize], usize, Planes)| SpecialNode {
            node: 0,
            inputs: from.iter().map(id).collect(),
            outputs: vec![id(to)],
        };
        let special = Specialised {
            tensors: tensors.collect(),
            nodes: nodes.iter().map(of).collect(),
            outputs: vec![TensorId(shapes.len() - 1)],
            ..Specialised::default()
        };
        apart(&special, &nodes.iter().map(|n| n.2).collect::<Vec<_>>()).into_iter().map(|id| id.0).collect()
    }

    const ODD: &[usize] = &[1, 8, 7, 7];

    #[test]
    fn planes_lie_apart_between_those_who_can_and_nowhere_else() {
        let chain = |middle| found(&[ODD; 4], &[(&[0], 1, Planes::Each), (&[1], 2, middle), (&[2], 3, Planes::Each)]);
        // Neither what the caller gives nor what it gets.
        assert_eq!(chain(Planes::Each), [1, 2]);
        assert_eq!(chain(Planes::Alike), [1, 2]);
        assert!(chain(Planes::Dense).is_empty());
        // An output beside it is dense, and so is what must lie like it.
        let sum = [(&[0][..], 1, Planes::Each), (&[1, 0], 2, Planes::Alike), (&[2], 3, Planes::Each)];
        assert!(found(&[ODD; 4], &sum).is_empty());
    }

    #[test]
    fn what_is_one_number_for_a_plane_ties_nothing() {
        let scaled = |scale: &'static [usize]| {
            let nodes = [(&[0][..], 1, Planes::Each), (&[0], 2, Planes::Each), (&[1, 2], 3, Planes::Alike)];
            found(&[ODD, ODD, scale, ODD, ODD], &[&nodes[..], &[(&[3], 4, Planes::Each)]].concat())
        };
        assert_eq!(scaled(&[8, 1, 1]), [1, 3]);
        assert_eq!(scaled(&[]), [1, 3]);
        assert!(scaled(&[7, 7]).is_empty());
    }

    #[test]
    fn little_is_added_to_a_plane() {
        let of = |size: &'static [usize]| found(&[size; 3], &[(&[0], 1, Planes::Each), (&[1], 2, Planes::Each)]);
        assert_eq!(of(&[1, 8, 5, 5]), [1]);
        assert_eq!(of(&[8, 3, 49]), [1]);
        for size in [&[1, 8, 3, 3][..], &[1, 8, 4, 4], &[1, 8, 0, 7], &[8, 49]] {
            assert!(of(size).is_empty(), "{size:?}");
        }
    }
}
