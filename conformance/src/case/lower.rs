//! A case as dispatches, and one of them bound to buffers. Knows lowering; must never know what a result should be.

use super::given::Case;
use crate::gpu::{Bound, Gpu};
use anyhow::{Context, Result, ensure};
use consort::graph::{Attributes, TensorType};
use consort::kernels::{Home, KernelCall, Lowering, Tuning, wgsl};
use consort::program::{apart, fuse};
use std::num::NonZeroU64;
use wgpu::BufferBinding;

impl Case {
    /// The dispatches of the case; tensor ids are inputs, outputs, then temporaries.
    pub fn lower(&self, tuning: Tuning) -> Result<Lowered> {
        let types = self.types()?;
        let step_types = if self.steps.is_empty() { vec![] } else { self.step_types(&types[0])? };
        let special = self.special(&types, &step_types);
        let (node, steps) = special.nodes.split_first().context("a case has an operator")?;
        let (inputs, outputs) = (&node.inputs, &node.outputs);
        let results: Vec<usize> = special.outputs.iter().map(|id| id.0).collect();
        let fused = fuse(&self.graph(), &special, tuning, usize::MAX);
        let mut lowering = Lowering::new(&special, tuning);
        lowering.allow_repacks();
        let attributes = Attributes::new(self.attributes.clone());
        let call = self.call(&attributes);
        let kernel = self.kernel()?;
        let step_types: Vec<TensorType> = types[..1].iter().cloned().chain(step_types).collect();
        let mut planes = vec![kernel.planes(&call)];
        planes.extend(self.step_planes(&step_types)?);
        let apart = apart(&special, &planes);
        apart.iter().for_each(|&id| lowering.move_planes_apart(id));
        if !fused.gone.contains(&0) {
            lowering.enter(0, inputs, outputs);
            kernel.lower(&call, &mut lowering)?;
        }
        self.lower_steps(steps, &step_types, &fused, &mut lowering)?;
        consort::kernels::endings::join(&mut lowering);
        let Lowering { tensors, calls, .. } = lowering;
        let views = tensors.iter().map(|t| match t.home {
            Home::View(of) => Some((of.0, 0)),
            Home::Slice(of, elements) => Some((of.0, elements)),
            _ => None,
        });
        let views = views.collect();
        Ok(Lowered {
            tensors: tensors.into_iter().map(|t| t.ty).collect(),
            views,
            halves: (0..self.inputs.len()).map(|i| self.lies_halved(i)).collect(),
            results,
            apart: apart.len(),
            calls: calls.into_iter().map(|(_, call)| call).collect(),
        })
    }

    /// How many dispatches it is.
    pub fn dispatches(&self, tuning: Tuning) -> Result<usize> {
        Ok(self.lower(tuning)?.calls.len())
    }

    /// Whether the steps cost no dispatch of their own: the operator's has them in its epilogue.
    pub fn joins(&self, tuning: Tuning) -> Result<bool> {
        let alone = Case { inputs: self.inputs[..self.own_inputs()].to_vec(), steps: vec![], ..self.clone() };
        Ok(!self.steps.is_empty() && self.lower(tuning)?.calls.len() == alone.lower(tuning)?.calls.len())
    }
}

/// The dispatches of one case.
pub struct Lowered {
    /// Type of each tensor.
    pub tensors: Vec<TensorType>,
    /// What a tensor is a part of, and its first element there.
    pub(super) views: Vec<Option<(usize, usize)>>,
    /// How many have planes that lie apart.
    pub apart: usize,
    /// Which lie as f16.
    pub(super) halves: Vec<bool>,
    /// The tensors that are compared.
    pub(super) results: Vec<usize>,
    /// Dispatches in order.
    pub calls: Vec<KernelCall>,
}

impl Lowered {
    /// The tensor whose buffer tensor `i` lies in, and its first element there.
    pub fn root(&self, mut i: usize) -> (usize, usize) {
        let mut first = 0;
        while let Some((of, elements)) = self.views[i] {
            (i, first) = (of, first + elements);
        }
        (i, first)
    }

    /// Whether tensor `i` is a part of another that has more elements.
    pub fn is_part(&self, i: usize) -> bool {
        self.tensors[self.root(i).0].len() > self.tensors[i].len()
    }

    /// Compiles `call` and binds it to `buffers`, one per tensor.
    pub async fn bind(
        &self,
        call: &KernelCall,
        buffers: &[wgpu::Buffer],
        constant: &[bool],
        gpu: &Gpu,
    ) -> Result<Bound> {
        ensure!(call.params.len() <= 64, "{} words of params", call.params.len());
        ensure!(call.workgroups.iter().all(|n| (1..=65_535).contains(n)), "workgroups {:?}", call.workgroups);
        ensure!(call.bindings.len() >= call.shader.slots.len(), "bindings of {}", call.shader.name);
        let places: Vec<(usize, usize)> = call.bindings.iter().map(|b| self.root(b.tensor.0)).collect();
        let roots: Vec<usize> = places.iter().map(|p| p.0).collect();
        let same_as: Vec<usize> =
            (0..roots.len()).map(|i| (0..i).find(|&j| places[j] == places[i]).unwrap_or(i)).collect();
        let read_only: Vec<bool> = roots.iter().map(|&r| constant.get(r).copied().unwrap_or(false)).collect();
        let halves: Vec<bool> = roots.iter().map(|&r| self.halves.get(r).copied().unwrap_or(false)).collect();
        let source = wgsl::assemble(call, &read_only, &same_as, &halves)?;
        let own: Vec<usize> = (0..roots.len()).filter(|&i| same_as[i] == i).collect();
        let kinds = own.iter().map(|&i| wgpu::BufferBindingType::Storage { read_only: read_only[i] });
        let kinds: Vec<_> = std::iter::once(wgpu::BufferBindingType::Uniform).chain(kinds).collect();
        let mut params = call.params.clone();
        params.resize(64, 0);
        let params = gpu.uniform(&params);
        let part = |&i: &usize| {
            let bytes = self.tensors[call.bindings[i].tensor.0].len().max(4) as u64 * 4;
            // Of what is a part of another, no more than that part may be bound.
            let size = if self.is_part(call.bindings[i].tensor.0) { NonZeroU64::new(bytes) } else { None };
            BufferBinding { buffer: &buffers[roots[i]], offset: places[i].1 as u64 * 4, size }
        };
        let whole = BufferBinding { buffer: &params, offset: 0, size: None };
        let bound: Vec<BufferBinding<'_>> = std::iter::once(whole).chain(own.iter().map(part)).collect();
        let bound = gpu.bind(&source, &call.constants, &kinds, &bound).await;
        bound.with_context(|| format!("kernel '{}':\n{source}", call.shader.name))
    }
}
