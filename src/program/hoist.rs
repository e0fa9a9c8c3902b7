//! Weights repacked once: dispatches that read nothing but weights leave the program, and run when it is made ready.
//! Knows dispatches and what they bind; must never know what they compute.

use crate::graph::{ContentHash, Naming, Specialised, TensorId};
use crate::kernels::{Home, KernelCall, Lowering};
use std::collections::{BTreeMap, BTreeSet};

/// What repacked weights may take more than those which they are made of, all together, as a share of all weights: memory is
/// dear.
const MOST_GROWTH: f64 = 2.0 / 3.0;

/// A dispatch that left the program.
#[derive(Debug)]
pub(super) struct Hoisted {
    /// Index of its node in [`Specialised::nodes`].
    pub node: usize,
    /// The dispatch.
    pub call: KernelCall,
    /// The weight that it writes.
    pub makes: ContentHash,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Takes such dispatches out of `lowering`; what they write is a weight from now on.
pub(super) fn hoist(special: &Specialised, lowering: &mut Lowering<'_>) -> Vec<Hoisted> {
    let written = |call: &KernelCall| -> Vec<TensorId> {
        let slots = call.shader.slots.iter().zip(&call.bindings);
        slots.filter(|(slot, _)| slot.writes).map(|(_, b)| b.tensor).collect()
    };
    let mut writers: BTreeMap<TensorId, usize> = BTreeMap::new();
    for id in lowering.calls.iter().flat_map(|(_, call)| written(call)) {
        *writers.entry(lowering.root(id)).or_default() += 1;
    }
    let outward: BTreeSet<TensorId> = special.outputs.iter().map(|&id| lowering.root(id)).collect();
    let bytes = |id: TensorId, lowering: &Lowering<'_>| lowering.ty(id).len() as u64 * 4;
    let all: u64 = (0..special.tensors.len())
        .map(TensorId)
        .filter(|id| matches!(lowering.tensors[id.0].home, Home::Constant(_)))
        .map(|id| bytes(id, lowering))
        .sum();
    let candidate = |call: &KernelCall, lowering: &Lowering<'_>| {
        let &[y] = &written(call)[..] else { return None };
        if lowering.tensors[y.0].home != Home::Computed || writers[&y] != 1 || outward.contains(&y) {
            return None;
        }
        let read = call.bindings.iter().map(|b| b.tensor).filter(|&id| id != y);
        let sources: Vec<(TensorId, ContentHash)> =
            read.map(|id| Some((id, whole(id, lowering)?))).collect::<Option<_>>()?;
        let of: BTreeMap<ContentHash, u64> = sources.iter().map(|&(id, hash)| (hash, bytes(id, lowering))).collect();
        let growth = bytes(y, lowering).saturating_sub(of.values().sum());
        (!sources.is_empty()).then(|| (y, growth, name(call, &sources)))
    };
    let growth: u64 = lowering.calls.iter().filter_map(|(_, call)| candidate(call, lowering)).map(|(_, n, _)| n).sum();
    // All or none: a kernel that reads a weight is another pipeline than one that reads what the program computes.
    let grows = growth as f64 <= all as f64 * MOST_GROWTH;
    let (mut hoisted, mut kept) = (vec![], vec![]);
    for (node, call) in std::mem::take(&mut lowering.calls) {
        match candidate(&call, lowering).filter(|(_, growth, _)| grows || *growth == 0) {
            Some((y, _, makes)) => {
                lowering.tensors[y.0].home = Home::Constant(makes);
                hoisted.push(Hoisted { node, call, makes, bytes: bytes(y, lowering) });
            }
            None => kept.push((node, call)),
        }
    }
    lowering.calls = kept;
    hoisted
}

/// The weight that a tensor is, all of it.
fn whole(mut id: TensorId, lowering: &Lowering<'_>) -> Option<ContentHash> {
    while let Home::View(of) = lowering.tensors[id.0].home {
        id = of;
    }
    if let Home::Constant(hash) = lowering.tensors[id.0].home { Some(hash) } else { None }
}

/// Names what `call` writes by all that decides it.
fn name(call: &KernelCall, sources: &[(TensorId, ContentHash)]) -> ContentHash {
    let mut naming = Naming::default();
    let mut text = |text: &str| {
        naming.add(&(text.len() as u64).to_le_bytes());
        naming.add(text.as_bytes());
    };
    text(call.shader.source);
    call.snippets.iter().for_each(|(key, value)| [key, value.as_str()].into_iter().for_each(&mut text));
    for (key, value) in &call.constants {
        text(key);
        text(&value.to_bits().to_string());
    }
    text(&format!("{:?}", call.bindings.iter().map(|b| b.element).collect::<Vec<_>>()));
    for word in call.params.iter().chain(&call.workgroups) {
        naming.add(&word.to_le_bytes());
    }
    for (_, source) in sources {
        naming.add(&source.0);
    }
    naming.name()
}
