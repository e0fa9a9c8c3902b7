//! Which nodes become one step of a processor: elementwise operators with each other, and with the product or convolution
//! that they follow. Knows nodes and who reads what; must never know a routine.

use crate::graph::{Source, Specialised, TensorId};
use crate::kernels::base::cpu::Access;
use crate::kernels::base::cpu::chain::{Chain, REGISTERS};
use crate::kernels::base::cpu::links::{Link, Term};
use crate::kernels::base::strides::broadcast_strides;
use std::collections::{BTreeMap, BTreeSet};

/// Nodes that are computed at the place of the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The nodes, by index into [`Specialised::nodes`]; the first may be a product or convolution, the rest are elementwise.
    pub nodes: Vec<usize>,
}

/// What a node is for grouping.
#[derive(Clone, Debug)]
pub enum Role {
    /// Elementwise.
    Term(Term),
    /// Its results can go through a chain.
    Ends,
    /// Neither.
    Alone,
}

/// How far apart in the file nodes are still looked at.
const REACH: usize = 48;

/// The groups, in the order in which they are computed.
#[inline(never)]
pub fn groups(special: &Specialised, roles: &[Role]) -> Vec<Group> {
    let mut readers: BTreeMap<TensorId, Vec<usize>> = BTreeMap::new();
    let mut maker: BTreeMap<TensorId, usize> = BTreeMap::new();
    for (index, node) in special.nodes.iter().enumerate() {
        node.inputs.iter().flatten().for_each(|&id| readers.entry(id).or_default().push(index));
        node.outputs.iter().flatten().for_each(|&id| {
            maker.insert(id, index);
        });
    }
    let mut taken = vec![false; special.nodes.len()];
    let mut all = vec![];
    for first in 0..special.nodes.len() {
        if taken[first] {
            continue;
        }
        let grown = grown(special, roles, &readers, &maker, &taken, first);
        grown.iter().for_each(|&node| taken[node] = true);
        all.push(Group { nodes: grown });
    }
    all
}

/// The nodes that are computed with `first`.
#[inline(never)]
fn grown(
    special: &Specialised,
    roles: &[Role],
    readers: &BTreeMap<TensorId, Vec<usize>>,
    maker: &BTreeMap<TensorId, usize>,
    taken: &[bool],
    first: usize,
) -> Vec<usize> {
    let mut nodes = vec![first];
    let (Role::Term(_) | Role::Ends, [Some(result)]) = (&roles[first], special.nodes[first].outputs.as_slice()) else {
        return nodes;
    };
    let ty = &special.tensors[result.0].ty;
    let mut inside: BTreeSet<TensorId> = [*result].into();
    let mut best = 1;
    for next in first + 1..special.nodes.len().min(first + REACH) {
        let node = &special.nodes[next];
        let (Role::Term(_), false, [Some(output)]) = (&roles[next], taken[next], node.outputs.as_slice()) else {
            continue;
        };
        let known = |id: &TensorId| {
            let before = match special.tensors[id.0].source {
                Source::Node => maker.get(id).is_some_and(|&at| at < first),
                _ => true,
            };
            inside.contains(id) || before
        };
        let operands: Vec<TensorId> = node.inputs.iter().copied().flatten().collect();
        let joins = operands.iter().all(known) && operands.iter().any(|id| inside.contains(id));
        if !joins || special.tensors[output.0].ty != *ty {
            continue;
        }
        nodes.push(next);
        inside.insert(*output);
        if chain(special, roles, &nodes).is_none() {
            break;
        }
        let seen = |id: &&TensorId| {
            let outside = |at: &usize| !nodes.contains(at);
            special.outputs.contains(id) || readers.get(id).is_some_and(|all| all.iter().any(outside))
        };
        if inside.iter().filter(seen).all(|id| id == output) {
            best = nodes.len();
        }
    }
    nodes.truncate(best);
    nodes
}

/// The chain of a group and its operands; `None` where it takes more registers than there are.
#[inline(never)]
pub fn chain(special: &Specialised, roles: &[Role], nodes: &[usize]) -> Option<(Chain, Vec<TensorId>)> {
    let result = special.nodes[nodes[0]].outputs[0]?;
    let shape = &special.tensors[result.0].ty.shape;
    let (mut links, mut operands, mut made) = (vec![], vec![], BTreeMap::new());
    if matches!(roles[nodes[0]], Role::Ends) {
        links.push(Link::Begun);
        made.insert(result, 0);
    }
    for &index in nodes {
        let Role::Term(term) = &roles[index] else { continue };
        let node = &special.nodes[index];
        let read = match term {
            Term::Unary { .. } => 1,
            Term::Binary { .. } => 2,
        };
        let mut of = vec![];
        for id in node.inputs.iter().take(read).copied().flatten() {
            let link = *made.entry(id).or_insert_with(|| {
                let strides = broadcast_strides(&special.tensors[id.0].ty.shape, shape);
                let value = match &special.tensors[id.0].source {
                    Source::Constant(_, Some(value)) if value.len() == 1 => value.as_f32().map(|floats| floats[0]),
                    _ => None,
                };
                links.push(Link::Load(Access::merged(operands.len(), 0, shape, &strides), value));
                operands.push(id);
                links.len() - 1
            });
            of.push(link);
        }
        links.push(Link::Term(term.clone(), of));
        made.insert(node.outputs[0]?, links.len() - 1);
    }
    Some((Chain::of(&links, REGISTERS)?, operands))
}
