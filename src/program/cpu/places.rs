//! Where each tensor of a processor's program lies. Knows lifetimes and bytes; must never know a routine.

use crate::graph::{ContentHash, DType, Naming, Specialised, TensorId};
use crate::kernels::base::cpu::Steps;
use crate::kernels::base::cpu::lowering::Home;
use crate::memory::{Item, plan_arena};
use crate::program::{Place, Placed, Residency};
use std::collections::BTreeMap;

/// The name of a weight's content where each type lies as it is: the file's names tell types of 32 bits apart from none.
pub fn named(ContentHash(mut hash): ContentHash, dtype: DType) -> ContentHash {
    hash[0] ^= match dtype {
        DType::Float32 | DType::Int32 => 0,
        DType::Int64 => 1,
        DType::Bool => 2,
        // Their names are of their own bytes and type.
        _ => 0,
    };
    ContentHash(hash)
}

/// The name of a weight in another form.
pub fn formed(ContentHash(of): ContentHash, form: &str) -> ContentHash {
    Naming::default().add(&of).add(form.as_bytes()).name()
}

/// The place of every tensor.
#[derive(Debug, Default)]
pub struct Places {
    /// By tensor; nothing where it has no elements.
    pub of: Vec<Option<Place>>,
    /// Where each step's shared floats begin in the arena.
    pub shared: Vec<u64>,
    /// Bytes of the arena.
    pub arena_bytes: u64,
    /// Most bytes of it alive at one time.
    pub live_bytes: u64,
    /// What lies where, when.
    pub layout: Vec<Placed>,
}

impl Places {
    /// Places the tensors of `steps`.
    #[inline(never)]
    pub fn plan(special: &Specialised, steps: &Steps<'_>, residency: &Residency) -> Places {
        // Step 0 brings inputs, step i + 1 is routine i, the last takes outputs.
        let last = steps.steps.len() + 1;
        let mut lives: BTreeMap<TensorId, (usize, usize)> = BTreeMap::new();
        let mut touch = |id: TensorId, step: usize| {
            let life = lives.entry(steps.root(id)).or_insert((step, step));
            *life = (life.0.min(step), life.1.max(step));
        };
        for (i, step) in steps.steps.iter().enumerate() {
            step.reads.iter().chain(&step.writes).for_each(|&id| touch(id, i + 1));
        }
        special.outputs.iter().for_each(|&id| touch(id, last));
        let mut own: BTreeMap<TensorId, usize> = BTreeMap::new();
        for (i, &id) in special.inputs.iter().enumerate().filter(|(i, _)| residency.input(*i)) {
            own.insert(id, i);
        }
        for (i, &id) in special.outputs.iter().enumerate().filter(|(i, _)| residency.output(*i)) {
            // What is also another port, or a weight, is copied at the end instead.
            if matches!(steps.tensors[steps.root(id).0].home, Home::Computed) {
                own.entry(steps.root(id)).or_insert(special.inputs.len() + i);
            }
        }
        let (mut items, mut owners) = (vec![], vec![]);
        for (&id, &(first, end)) in &lives {
            let tensor = &steps.tensors[id.0];
            let first = if matches!(tensor.home, Home::Input(_)) { 0 } else { first };
            let placed = matches!(tensor.home, Home::Input(_) | Home::Computed) && !own.contains_key(&id);
            if placed && !tensor.ty.is_empty() {
                items.push(Item { bytes: tensor.ty.host_bytes(), first, last: end });
                owners.push(id);
            }
        }
        let tensors = items.len();
        for (i, step) in steps.steps.iter().enumerate() {
            items.push(Item { bytes: (step.routine.shared() * 4) as u64, first: i + 1, last: i + 1 });
        }
        let plan = plan_arena(&items);
        let name = |id: TensorId| special.tensors.get(id.0).map(|t| t.name.clone()).unwrap_or_default();
        let layout = owners.iter().zip(&items).zip(&plan.offsets).map(|((&id, item), &offset)| Placed {
            name: name(id),
            offset,
            bytes: item.bytes,
            first_step: item.first,
            last_step: item.last,
        });
        let layout = layout.collect();
        let offsets: BTreeMap<TensorId, u64> = owners.into_iter().zip(plan.offsets.iter().copied()).collect();
        let place = |id: usize| {
            let root = steps.root(TensorId(id));
            let tensor = &steps.tensors[root.0];
            match &tensor.home {
                _ if tensor.ty.is_empty() => None,
                Home::Constant(hash, _) => Some(Place::Weight(named(*hash, tensor.ty.dtype))),
                Home::Made(made) => {
                    let made = &steps.made[*made];
                    let Home::Constant(hash, _) = &steps.tensors[made.of.0].home else { return None };
                    Some(Place::Weight(formed(*hash, &made.form)))
                }
                _ => match own.get(&root) {
                    Some(&slot) => Some(Place::Own(slot)),
                    None => offsets.get(&root).map(|&offset| Place::Arena(offset)),
                },
            }
        };
        let of = (0..steps.tensors.len()).map(place).collect();
        let shared = plan.offsets[tensors..].to_vec();
        Places { of, shared, arena_bytes: plan.bytes, live_bytes: plan.live_bytes, layout }
    }
}
