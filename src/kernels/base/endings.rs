//! One pipeline for wide tiles that differ only in their ending: all endings in one shader, a parameter says which. A
//! wide tile is much code, and compiling it again for each epilogue is most of a load on an adapter of few cores.
//! Knows snippets and bindings of calls; must never know what an ending computes.

use super::call::TAKEN_IN;
use super::epilogue::LOOPED_END;
use super::map::{MOST_BINDINGS, MOST_PARAMS};
use super::{Binding, Element, KernelCall, Lowering};
use crate::graph::{DType, TensorId, TensorType};
use std::fmt::Write as _;

const ENTRY: &str = "fn finish(";

/// What a call has of its own when its tile ends.
struct Ending<'a> {
    /// Index of the call.
    at: usize,
    call: &'a KernelCall,
    /// WGSL functions that `finish` calls.
    helpers: &'a str,
    finish: &'a str,
    /// Operands that the kernel took in: how it sees them, and whether they are weights.
    operands: Vec<(Element, bool)>,
    /// The same of the kernel's own slots.
    own: Vec<(Element, bool)>,
    /// Words of its parameters before those of what it took in, and vec4 of these.
    words: usize,
    taken: usize,
}

fn snippet<'a>(call: &'a KernelCall, name: &str) -> Option<&'a str> {
    call.snippets.iter().find(|(key, _)| *key == name).map(|(_, text)| text.as_str())
}

impl<'a> Ending<'a> {
    /// `None` where the tile is not wide, or one tensor is bound twice.
    fn of(at: usize, call: &'a KernelCall, out: &Lowering<'_>) -> Option<Ending<'a>> {
        snippet(call, "end").filter(|end| end.contains(LOOPED_END))?;
        let text = snippet(call, "finish")?;
        let (helpers, finish) = text.split_at(text.find(ENTRY)?);
        let twice = |(i, b): (usize, &Binding)| call.bindings[..i].iter().any(|other| out.same(other.tensor, b.tensor));
        if call.bindings.iter().enumerate().any(twice) {
            return None;
        }
        let mut bound = call.bindings.iter().map(|b| (b.element, out.is_constant(b.tensor)));
        let own: Vec<_> = bound.by_ref().take(call.shader.slots.len()).collect();
        let operands = bound.collect();
        let taken = taken(snippet(call, "more")?)?;
        let words = call.params.len().next_multiple_of(4).checked_sub(4 * taken)?;
        Some(Ending { at, call, helpers, finish, operands, own, words, taken })
    }

    /// Whether both can be one shader with one set of bindings.
    fn joins(&self, other: &Ending<'_>) -> bool {
        let alike = |a: &[(Element, bool)], b: &[(Element, bool)]| {
            // What one has and the other does not is filled with a tensor of the arena.
            let common = a.len().min(b.len());
            a[..common] == b[..common] && a[common..].iter().chain(&b[common..]).all(|&(_, weight)| !weight)
        };
        let taken = self.taken.max(other.taken) + 1;
        let bindings = self.own.len() + self.operands.len().max(other.operands.len());
        self.call.shader.name == other.call.shader.name
            && kept(self.call) == kept(other.call)
            && self.call.constants == other.call.constants
            && self.own == other.own
            && self.words == other.words
            && alike(&self.operands, &other.operands)
            && (self.helpers == other.helpers || self.helpers.is_empty() || other.helpers.is_empty())
            && bindings <= MOST_BINDINGS
            && self.words + 4 * taken <= MOST_PARAMS
    }
}

/// What must be equal for two calls to be one shader but for their endings.
fn kept(call: &KernelCall) -> Vec<&(&'static str, String)> {
    call.snippets.iter().filter(|(key, _)| !["finish", "more"].contains(key)).collect()
}

/// How many vec4 the snippet `more` declares.
fn taken(more: &str) -> Option<usize> {
    match more.split_once("array<vec4<u32>, ") {
        Some((_, rest)) => rest.split_once('>')?.0.parse().ok(),
        None => more.is_empty().then_some(0),
    }
}

/// Makes calls one shader where their tiles are wide and differ only in their endings.
pub fn join(out: &mut Lowering<'_>) {
    let mut groups: Vec<Vec<Ending<'_>>> = vec![];
    for (at, (_, call)) in out.calls.iter().enumerate() {
        if let Some(ending) = Ending::of(at, call, out) {
            match groups.iter_mut().find(|group| group.iter().all(|other| ending.joins(other))) {
                Some(group) => group.push(ending),
                None => groups.push(vec![ending]),
            }
        }
    }
    let joined: Vec<Joined> = groups.iter().filter_map(|group| Joined::of(group)).collect();
    let most = joined.iter().map(|j| j.operands.len()).max().unwrap_or(0);
    let fillers: Vec<TensorId> = (0..most).map(|_| out.temporary(TensorType::new(DType::Float32, vec![4]))).collect();
    for group in &joined {
        for &(at, which, taken) in &group.calls {
            group.rewrite(&mut out.calls[at].1, which, taken, &fillers);
        }
    }
}

/// The shader of a group of endings.
struct Joined {
    finish: String,
    end: String,
    operands: Vec<Element>,
    /// vec4 that its calls' parameters have after the kernel's own, but for the last, which says which ending.
    taken: usize,
    /// Index of each call, of its ending, and vec4 that it has.
    calls: Vec<(usize, usize, usize)>,
}

impl Joined {
    /// `None` where all have the same ending.
    fn of(group: &[Ending<'_>]) -> Option<Joined> {
        // In an order of their own, so that models which have the same endings share the pipeline.
        let mut endings: Vec<&str> = group.iter().map(|e| e.finish).collect();
        endings.sort_unstable();
        endings.dedup();
        if endings.len() < 2 {
            return None;
        }
        let looped = snippet(group.first()?.call, "end")?;
        let taken = group.iter().map(|e| e.taken).max()?;
        let operands = group.iter().map(|e| &e.operands).max_by_key(|o| o.len())?;
        let mut finish = group.iter().map(|e| e.helpers).find(|h| !h.is_empty()).unwrap_or_default().to_owned();
        for (i, text) in endings.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = writeln!(finish, "{}", text.replacen(ENTRY, &format!("fn finish{i}("), 1));
        }
        // A loop for each, since a loop that no thread enters costs nothing, and a branch in one may.
        let (end, each) = looped.split_at(looped.find(LOOPED_END)?);
        let mut end = end.to_owned();
        for i in 0..endings.len() {
            let each = each.replace("finish(", &format!("finish{i}("));
            let _ = writeln!(end, "    if (params.taken[{taken}].x == {i}u) {{\n{each}    }}");
        }
        let which = |e: &Ending<'_>| endings.binary_search(&e.finish).unwrap_or(0);
        Some(Joined {
            finish,
            end,
            operands: operands.iter().map(|o| o.0).collect(),
            taken,
            calls: group.iter().map(|e| (e.at, which(e), e.taken)).collect(),
        })
    }

    fn rewrite(&self, call: &mut KernelCall, which: usize, taken: usize, fillers: &[TensorId]) {
        for (key, text) in &mut call.snippets {
            match *key {
                "finish" => text.clone_from(&self.finish),
                "more" => *text = format!("    taken: array<vec4<u32>, {}>,", self.taken + 1),
                "end" => text.clone_from(&self.end),
                _ => {}
            }
        }
        let words = call.params.len().next_multiple_of(4) + 4 * (self.taken - taken);
        call.params.resize(words, 0);
        call.params.extend([which as u32, 0, 0, 0]);
        let bound = call.bindings.len() - call.shader.slots.len();
        debug_assert!(self.operands.len() <= TAKEN_IN.len());
        let filled = self.operands.iter().zip(fillers).skip(bound);
        call.bindings.extend(filled.map(|(&element, &tensor)| Binding { tensor, element }));
    }
}
