//! From nodes to routines: which tensor each reads and writes, what is only another's elements under another shape, what is
//! made of a weight once. Knows tensors by number; must never know where they lie or one operator.

use super::chain::{self, Chain};
use super::routine::Routine;
use crate::error::{Error, Kind, Result};
use crate::graph::{Call, ContentHash, DType, HostTensor, Source, Specialised, TensorId, TensorType};
use crate::kernels::base::strides::{contiguous, reshaped};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Appends the routines that compute a node; `false` where they cannot take it, and its reference does.
pub type Lower = fn(&Call<'_>, &mut Steps<'_>) -> Result<bool>;

/// The operators of a family that have routines.
pub type Routines = &'static [(&'static str, Lower)];

/// Where a tensor's elements come from.
#[derive(Clone, Debug)]
pub enum Home {
    /// Input of that number.
    Input(usize),
    /// A weight, with its elements while the host holds them.
    Constant(ContentHash, Option<Arc<HostTensor>>),
    /// Made once of a weight.
    Made(usize),
    /// Written by a routine.
    Computed,
    /// Another tensor's elements, in their order.
    View(TensorId),
}

/// A tensor.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Element type and shape.
    pub ty: TensorType,
    /// Where it comes from.
    pub home: Home,
}

/// A routine and its operands.
#[derive(Debug)]
pub struct Step {
    /// The routine.
    pub routine: Box<dyn Routine>,
    /// What it reads.
    pub reads: Vec<TensorId>,
    /// What it writes.
    pub writes: Vec<TensorId>,
    /// Index of the node into [`Specialised::nodes`].
    pub node: usize,
}

/// Bits of an index that a float holds exactly.
const EXACT_BITS: usize = 20;
/// What multiplies weights is neither less than this nor more than its inverse: they can be had back.
const LEAST_FACTOR: f32 = 1e-12;

/// Makes floats of floats.
pub type Make = Box<dyn Fn(&[f32]) -> Vec<f32> + Send + Sync>;

/// Makes another form of a weight's elements, from which the weight can be had back.
pub struct Pack {
    /// The form of a weight.
    pub make: Make,
    /// The weight of a form, to within its rounding; none where `make` only moves elements, and may repeat or pad them.
    pub undo: Option<Make>,
}

impl Pack {
    /// One that only moves elements.
    pub fn moves(make: impl Fn(&[f32]) -> Vec<f32> + Send + Sync + 'static) -> Pack {
        Pack { make: Box::new(make), undo: None }
    }

    /// The `len` elements of the weight whose form `floats` is.
    pub fn undone(&self, floats: &[f32], len: usize) -> Vec<f32> {
        if let Some(undo) = &self.undo {
            return undo(floats);
        }
        // Where each element went is seen from where its index goes; what is padded gets none.
        let low = (self.make)(&(0..len).map(|i| (i % (1 << EXACT_BITS) + 1) as f32).collect::<Vec<_>>());
        let high = (self.make)(&(0..len).map(|i| (i >> EXACT_BITS) as f32).collect::<Vec<_>>());
        let mut whole = vec![0.0; len];
        for ((&value, low), high) in floats.iter().zip(low).zip(high) {
            if low > 0.0 {
                whole[((high as usize) << EXACT_BITS) + low as usize - 1] = value;
            }
        }
        whole
    }

    /// The same of a weight whose parts, of equal length, are multiplied by `factors` first.
    pub fn of_scaled(self, factors: Arc<HostTensor>, len: usize) -> Pack {
        let each = |from: &[f32], factors: &HostTensor, by: fn(f32, f32) -> f32| -> Vec<f32> {
            let factors = factors.as_f32().unwrap_or_default();
            let parts = from.chunks((from.len() / factors.len().max(1)).max(1));
            parts.zip(factors).flat_map(|(part, &factor)| part.iter().map(move |&x| by(x, factor))).collect()
        };
        let inner = Arc::new(self);
        let (made, scales) = (Arc::clone(&inner), Arc::clone(&factors));
        let make = move |from: &[f32]| (made.make)(&each(from, &scales, |x, factor| x * factor));
        let undo = move |floats: &[f32]| each(&inner.undone(floats, len), &factors, |x, factor| x / factor);
        Pack { make: Box::new(make), undo: Some(Box::new(undo)) }
    }
}

/// What each channel of a result is multiplied by, and what is added then, and the bounds of that.
#[derive(Clone, Debug)]
pub struct Affine {
    /// A weight of one factor for each channel, with its name.
    pub factor: Option<(ContentHash, Arc<HostTensor>)>,
    /// A weight of one element for each.
    pub offset: Option<TensorId>,
    /// The least that it may come to.
    pub low: f32,
    /// The most.
    pub high: f32,
}

/// A weight in another form.
pub struct Made {
    /// The weight.
    pub of: TensorId,
    /// Its name: equal forms of equal weights are made once.
    pub form: String,
    /// Floats of the form.
    pub floats: usize,
    /// Makes it.
    pub pack: Pack,
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made").field("of", &self.of).field("form", &self.form).finish_non_exhaustive()
    }
}

/// The routines of a program as they are found.
#[derive(Debug)]
pub struct Steps<'a> {
    /// Every tensor; those of the graph first.
    pub tensors: Vec<Tensor>,
    /// The routines in their order.
    pub steps: Vec<Step>,
    /// Weights in other forms.
    pub made: Vec<Made>,
    /// What the node's result goes through before it is stored; taken by routines that can.
    pub chain: Option<(Chain, Vec<TensorId>)>,
    /// What only reads another tensor in another order: that one, and the element stride of each of its own axes.
    moved: BTreeMap<TensorId, (TensorId, Vec<i64>)>,
    node: usize,
    inputs: &'a [Option<TensorId>],
    outputs: Vec<Option<TensorId>>,
}

impl<'a> Steps<'a> {
    /// Nothing yet of `special`.
    pub fn new(special: &Specialised) -> Steps<'a> {
        let tensor = |tensor: &crate::graph::SpecialTensor| Tensor {
            ty: tensor.ty.clone(),
            home: match &tensor.source {
                Source::Input(i) => Home::Input(*i),
                Source::Constant(hash, value) => Home::Constant(*hash, value.clone()),
                Source::Node => Home::Computed,
            },
        };
        let tensors = special.tensors.iter().map(tensor).collect();
        Steps {
            tensors,
            steps: vec![],
            made: vec![],
            chain: None,
            moved: BTreeMap::new(),
            node: 0,
            inputs: &[],
            outputs: vec![],
        }
    }

    /// What follows is of node `node`; its first result is `output` where it goes through a chain.
    pub fn enter(&mut self, node: usize, inputs: &'a [Option<TensorId>], outputs: Vec<Option<TensorId>>) {
        (self.node, self.inputs, self.outputs) = (node, inputs, outputs);
    }

    /// Input `i` of the node.
    pub fn input(&self, i: usize) -> Result<TensorId> {
        let missing = || Error::new(Kind::InvalidModel, format!("input {i} is missing"));
        self.inputs.get(i).copied().flatten().ok_or_else(missing)
    }

    /// Input `i` of the node where it is given.
    pub fn optional_input(&self, i: usize) -> Option<TensorId> {
        self.inputs.get(i).copied().flatten()
    }

    /// The inputs that are given.
    pub fn given(&self) -> Vec<TensorId> {
        self.inputs.iter().copied().flatten().collect()
    }

    /// Result `i` of the node.
    pub fn output(&self, i: usize) -> Result<TensorId> {
        let missing = || Error::new(Kind::Internal, format!("nobody reads output {i}"));
        self.outputs.get(i).copied().flatten().ok_or_else(missing)
    }

    /// Element type and shape.
    pub fn ty(&self, id: TensorId) -> &TensorType {
        &self.tensors[id.0].ty
    }

    /// The tensor whose elements these are.
    pub fn root(&self, mut id: TensorId) -> TensorId {
        while let Home::View(of) = self.tensors[id.0].home {
            id = of;
        }
        id
    }

    /// Whether the tensor is a weight.
    pub fn constant(&self, id: TensorId) -> bool {
        matches!(self.tensors[self.root(id).0].home, Home::Constant(..))
    }

    /// `id` is the elements of `of`, in their order.
    pub fn view(&mut self, id: TensorId, of: TensorId) {
        self.tensors[id.0].home = Home::View(of);
    }

    /// `id` reads `of` in another order, along each of its axes by a stride, none below 0. The routine that writes it stays only if somebody
    /// reads it as it lies.
    pub fn reorder(&mut self, id: TensorId, of: TensorId, strides: Vec<i64>) {
        self.moved.insert(id, (of, strides));
    }

    /// Where the elements of `id` lie without a move: the tensor, and the element stride of each axis of `id`.
    pub fn before(&self, id: TensorId) -> (TensorId, Vec<usize>) {
        let shape = &self.ty(id).shape;
        let mut at = id;
        let found = loop {
            if let Some((of, strides)) = self.moved.get(&at) {
                break reshaped(&self.ty(at).shape, strides, shape).map(|strides| (*of, strides));
            }
            match self.tensors[at.0].home {
                Home::View(of) => at = of,
                _ => break None,
            }
        };
        let (of, strides) = found.unwrap_or_else(|| (id, contiguous(shape)));
        (of, strides.into_iter().map(|s| s.unsigned_abs() as usize).collect())
    }

    /// Leaves out what nobody reads, of whom `outputs` are read at the end.
    pub fn prune(&mut self, outputs: &[TensorId]) {
        let mut read: BTreeSet<TensorId> = outputs.iter().map(|&id| self.root(id)).collect();
        let mut kept = vec![];
        for step in std::mem::take(&mut self.steps).into_iter().rev() {
            if step.writes.iter().any(|&id| read.contains(&self.root(id))) {
                read.extend(step.reads.iter().map(|&id| self.root(id)));
                kept.push(step);
            }
        }
        kept.reverse();
        self.steps = kept;
    }

    /// A further tensor that a routine writes.
    pub fn scratch(&mut self, floats: usize) -> TensorId {
        let ty = TensorType::new(DType::Float32, [floats]);
        self.tensors.push(Tensor { ty, home: Home::Computed });
        TensorId(self.tensors.len() - 1)
    }

    /// A weight in another form, which `pack` makes of its elements. What `form` names must decide all.
    pub fn pack(&mut self, of: TensorId, form: String, floats: usize, pack: Pack) -> TensorId {
        let of = self.root(of);
        let index = self.made.iter().position(|m| m.of == of && m.form == form).unwrap_or_else(|| {
            self.made.push(Made { of, form, floats, pack });
            self.made.len() - 1
        });
        let ty = TensorType::new(DType::Float32, [floats]);
        self.tensors.push(Tensor { ty, home: Home::Made(index) });
        TensorId(self.tensors.len() - 1)
    }

    /// Appends a routine.
    pub fn push(&mut self, routine: impl Routine + 'static, reads: Vec<TensorId>, writes: Vec<TensorId>) {
        self.steps.push(Step { routine: Box::new(routine), reads, writes, node: self.node });
    }

    /// Takes out of the chain that the result goes through what each of its `channels`, of `plane` elements, is multiplied by and what is added then, where the
    /// chain begins with that: factors can be part of weights, of which they can be taken out again.
    pub fn take_affine(&mut self, channels: usize, plane: usize) -> Option<Affine> {
        let (chain, operands) = self.chain.as_mut()?;
        let mut left = chain.clone();
        let chain::Affine { factor, offset, low, high } = left.take_affine(channels, plane)?;
        let factor = match factor.map(|at| &self.tensors[operands[at].0].home) {
            None => None,
            Some(Home::Constant(name, Some(value))) => Some((*name, Arc::clone(value))),
            Some(_) => return None,
        };
        let fit = |value: &f32| value.is_normal() && (LEAST_FACTOR..1.0 / LEAST_FACTOR).contains(&value.abs());
        if let Some((_, value)) = &factor
            && !value.as_f32().is_some_and(|floats| floats.len() == channels && floats.iter().all(fit))
        {
            return None;
        }
        let offset = offset.map(|at| operands[at]);
        // What only the line read goes.
        let mut kept = vec![];
        for access in left.accesses() {
            let id = operands[access.operand];
            access.operand = kept.iter().position(|&other| other == id).unwrap_or(kept.len());
            if access.operand == kept.len() {
                kept.push(id);
            }
        }
        (*chain, *operands) = (left, kept);
        Some(Affine { factor, offset, low, high })
    }

    /// The chain that the result goes through, whose operands follow the `reads` of a routine; they are appended.
    pub fn take_chain(&mut self, reads: &mut Vec<TensorId>) -> Chain {
        let Some((mut chain, operands)) = self.chain.take() else { return Chain::default() };
        chain.shift(reads.len());
        reads.extend(operands);
        chain
    }
}
