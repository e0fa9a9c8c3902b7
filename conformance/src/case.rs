//! One lowered operator on a device, compared with the operator's CPU reference.
//! One buffer per tensor, so that a kernel is judged alone: no arena, no program, no lane. Outputs are poisoned first.

use crate::gpu::{Bound, Gpu};
use anyhow::{Context, Result, anyhow, bail, ensure};
use consort::graph::{
    Attribute, Attributes, Call, ContentHash, DType, Data, HostTensor, Operand, Source, SpecialNode, SpecialTensor,
    Specialised, TensorId, TensorType,
};
use consort::kernels::{Home, Kernel, KernelCall, Lowering, Registry, Tuning, wgsl};
use consort::program::{apart, fuse};
use half::f16;
use std::num::NonZeroU64;
use std::sync::Arc;
use wgpu::BufferBinding;

mod steps;
pub use steps::Read;
use steps::Step;

/// One operator, attributes and inputs.
#[derive(Clone, Debug)]
pub struct Case {
    op: &'static str,
    opset: i64,
    attributes: Vec<(String, Attribute)>,
    inputs: Vec<Option<HostTensor>>,
    /// Which inputs are weights: their values are known while lowering, and they are bound read-only.
    constant: Vec<bool>,
    outputs: usize,
    steps: Vec<Step>,
    tolerance: f64,
    halved: bool,
}

impl Case {
    /// `op` of opset 17 with no attributes, no inputs, one output, and a relative error of at most 1e-5.
    pub fn new(op: &'static str) -> Self {
        Case {
            op,
            opset: 17,
            attributes: vec![],
            inputs: vec![],
            constant: vec![],
            outputs: 1,
            steps: vec![],
            tolerance: 1e-5,
            halved: false,
        }
    }

    /// Adds an INT attribute.
    pub fn int(self, name: &str, value: i64) -> Self {
        self.attribute(name, Attribute::Int(value))
    }

    /// Adds an INTS attribute.
    pub fn ints(self, name: &str, value: &[i64]) -> Self {
        self.attribute(name, Attribute::Ints(value.to_vec()))
    }

    /// Adds a FLOAT attribute.
    pub fn float(self, name: &str, value: f32) -> Self {
        self.attribute(name, Attribute::Float(value))
    }

    /// Adds a STRING attribute.
    pub fn string(self, name: &str, value: &str) -> Self {
        self.attribute(name, Attribute::String(value.to_owned()))
    }

    /// Adds an attribute.
    pub fn attribute(mut self, name: &str, value: Attribute) -> Self {
        self.attributes.push((name.to_owned(), value));
        self
    }

    /// Adds a float32 input of `shape` with pseudo-random elements in [-1, 1).
    pub fn random(self, shape: &[usize]) -> Self {
        let seed = self.inputs.len() as u64 + 1;
        let data = random(shape.iter().product(), seed);
        self.input(f32s(shape, data))
    }

    /// Adds an input that is computed while running.
    pub fn input(mut self, tensor: HostTensor) -> Self {
        self.inputs.push(Some(tensor));
        self.constant.push(false);
        self
    }

    /// Adds an input that is a constant of the model.
    pub fn constant(mut self, tensor: HostTensor) -> Self {
        self.inputs.push(Some(tensor));
        self.constant.push(true);
        self
    }

    /// Adds a constant int64 vector, as axes and shapes are given.
    pub fn constant_i64(self, values: &[i64]) -> Self {
        self.constant(i64s(&[values.len()], values))
    }

    /// Makes the input added last a constant of the model.
    pub fn frozen(mut self) -> Self {
        if let Some(last) = self.constant.last_mut() {
            *last = true;
        }
        self
    }

    /// Makes all floats but the first input constants that lie as f16, where they may: to that they are rounded for the
    /// reference, too.
    pub fn halved(mut self) -> Self {
        self.halved = true;
        for i in 0..self.inputs.len() {
            self.constant[i] |= i > 0 && self.inputs[i].as_ref().is_some_and(|t| t.dtype() == DType::Float32);
            if self.lies_halved(i)
                && let Some(tensor) = &self.inputs[i]
            {
                let rounded = tensor.as_f32().into_iter().flatten().map(|&v| f16::from_f32(v).to_f32()).collect();
                self.inputs[i] = Some(f32s(tensor.shape(), rounded));
            }
        }
        self
    }

    /// Whether any input lies as f16.
    pub fn has_halves(&self) -> bool {
        (0..self.inputs.len()).any(|i| self.lies_halved(i))
    }

    /// Whether input `i` lies as f16.
    fn lies_halved(&self, i: usize) -> bool {
        let floats = |t: &HostTensor| t.dtype() == DType::Float32 && !t.is_empty() && t.len().is_multiple_of(4);
        self.halved && self.constant.get(i) == Some(&true) && self.inputs[i].as_ref().is_some_and(floats)
    }

    /// Leaves an optional input out.
    pub fn left_out(mut self) -> Self {
        self.inputs.push(None);
        self.constant.push(false);
        self
    }

    /// Sets the operator-set version.
    pub fn opset(mut self, version: i64) -> Self {
        self.opset = version;
        self
    }

    /// Sets how many outputs the node names.
    pub fn outputs(mut self, count: usize) -> Self {
        self.outputs = count;
        self
    }

    /// Sets the relative error ‖a−b‖/‖b‖ that is let pass.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Runs the case on the CPU and, in every variant, on the device and compares every output; how many there were.
    pub async fn check(&self, gpu: &Gpu, tunings: impl IntoIterator<Item = Tuning>) -> Result<usize> {
        self.compare(gpu, tunings).await.with_context(|| self.describe())
    }

    async fn compare(&self, gpu: &Gpu, tunings: impl IntoIterator<Item = Tuning>) -> Result<usize> {
        let expected = self.reference()?;
        let mut variants: Vec<Lowered> = vec![];
        for tuning in tunings {
            let lowered = self.lower(tuning)?;
            // Most operators have one variant only.
            if variants.iter().any(|other| format!("{:?}", other.calls) == format!("{:?}", lowered.calls)) {
                continue;
            }
            let actual = self.run(gpu, &lowered).await?;
            for (i, (a, e)) in actual.iter().zip(&expected).enumerate() {
                let error = relative_error(a, e);
                let (device, reference) = (head(a), head(e));
                let told = format!("{tuning:?}\ndevice    {device}\nreference {reference}");
                ensure!(error <= self.tolerance, "output {i}: relative error {error:.2e}\n{told}");
            }
            variants.push(lowered);
        }
        Ok(variants.len())
    }

    /// What the operator's CPU reference gives.
    pub fn reference(&self) -> Result<Vec<HostTensor>> {
        let attributes = Attributes::new(self.attributes.clone());
        let values: Vec<_> = self.inputs[..self.own_inputs()].iter().map(Option::as_ref).collect();
        let mut outputs = self.kernel()?.evaluate(&self.call(&attributes), &values)?;
        for (output, ty) in outputs.iter().zip(self.types()?) {
            let (found, stated) = ((output.shape(), output.dtype()), (&ty.shape[..], ty.dtype));
            ensure!(found == stated, "evaluate gives {found:?} where infer said {stated:?}");
        }
        if !self.steps.is_empty() {
            outputs = vec![self.evaluate_steps(outputs.swap_remove(0))?];
        }
        Ok(outputs)
    }

    /// Checks that `infer` refuses the case in a message that has every one of `parts`.
    pub fn refused(&self, parts: &[&str]) -> Result<()> {
        let attributes = Attributes::new(self.attributes.clone());
        let Err(error) = self.kernel()?.infer(&self.call(&attributes)) else { bail!("{}\nwas taken", self.describe()) };
        let message = error.to_string();
        ensure!(parts.iter().all(|part| message.contains(part)), "{}\nsays only: {message}", self.describe());
        Ok(())
    }

    /// What the device gives for one variant.
    async fn run(&self, gpu: &Gpu, lowered: &Lowered) -> Result<Vec<HostTensor>> {
        let mut buffers = Vec::with_capacity(lowered.tensors.len());
        for i in 0..lowered.tensors.len() {
            buffers.push(gpu.buffer(&self.contents(i, lowered)?));
        }
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for call in &lowered.calls {
            let bound = lowered.bind(call, &buffers, &self.constant, gpu).await?;
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&bound.pipeline);
            pass.set_bind_group(0, &bound.group, &[]);
            let [x, y, z] = call.workgroups;
            pass.dispatch_workgroups(x, y, z);
        }
        gpu.queue.submit([encoder.finish()]);
        let mut outputs = vec![];
        for &i in &lowered.results {
            let ty = &lowered.tensors[i];
            let words = gpu.read(&buffers[lowered.root(i).0], ty.len()).await?;
            outputs.push(HostTensor::from_device_words(ty.dtype, ty.shape.clone(), &words)?);
        }
        buffers.iter().for_each(wgpu::Buffer::destroy);
        Ok(outputs)
    }

    /// The dispatches of the case; tensor ids are inputs, outputs, then temporaries.
    pub fn lower(&self, tuning: Tuning) -> Result<Lowered> {
        let types = self.types()?;
        let step_types = if self.steps.is_empty() { vec![] } else { self.step_types(&types[0])? };
        let tensors: Vec<SpecialTensor> = self
            .inputs
            .iter()
            .enumerate()
            .map(|(i, tensor)| {
                let ty = tensor.as_ref().map_or_else(|| TensorType::new(DType::Float32, [0]), type_of);
                let source = if self.constant[i] {
                    Source::Constant(ContentHash([i as u8; 32]), tensor.clone().map(Arc::new))
                } else {
                    Source::Input(i)
                };
                SpecialTensor { name: format!("input {i}"), ty, source }
            })
            .chain(types.iter().chain(&step_types).enumerate().map(|(i, ty)| SpecialTensor {
                name: format!("output {i}"),
                ty: ty.clone(),
                source: Source::Node,
            }))
            .collect();
        let own = &self.inputs[..self.own_inputs()];
        let inputs: Vec<Option<TensorId>> =
            own.iter().enumerate().map(|(i, t)| t.as_ref().map(|_| TensorId(i))).collect();
        let first = self.inputs.len() + self.outputs;
        let outputs: Vec<Option<TensorId>> = (self.inputs.len()..first).map(|i| Some(TensorId(i))).collect();
        let steps = self.step_nodes(first);
        let results: Vec<usize> = match steps.len() {
            0 => (self.inputs.len()..first).collect(),
            n => vec![first + n - 1],
        };
        let outward = results.iter().map(|&i| TensorId(i)).collect();
        let mut nodes = vec![SpecialNode { node: 0, inputs: inputs.clone(), outputs: outputs.clone() }];
        nodes.extend(steps.iter().cloned());
        let special = Specialised { tensors, nodes, outputs: outward, ..Specialised::default() };
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
            lowering.enter(0, &inputs, &outputs);
            kernel.lower(&call, &mut lowering)?;
        }
        self.lower_steps(&steps, &step_types, &fused, &mut lowering)?;
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

    fn kernel(&self) -> Result<&'static dyn Kernel> {
        let kernel = kernel(self.op)?;
        for (name, _) in &self.attributes {
            ensure!(kernel.attributes().contains(&name.as_str()), "{} does not list '{name}'", self.op);
        }
        Ok(kernel)
    }

    fn call<'a>(&self, attributes: &'a Attributes) -> Call<'a> {
        let operand = |(i, tensor): (usize, &Option<HostTensor>)| {
            let tensor = tensor.as_ref()?;
            let value = self.constant[i].then(|| Arc::new(tensor.clone()));
            Some(Operand { ty: type_of(tensor), value })
        };
        let inputs = self.inputs[..self.own_inputs()].iter().enumerate().map(operand).collect();
        Call { node: "case", attributes, opset: self.opset, inputs, outputs: self.outputs }
    }

    fn types(&self) -> Result<Vec<TensorType>> {
        let attributes = Attributes::new(self.attributes.clone());
        let mut types = self.kernel()?.infer(&self.call(&attributes))?;
        types.truncate(self.outputs);
        Ok(types)
    }

    fn contents(&self, tensor: usize, lowered: &Lowered) -> Result<Vec<u32>> {
        Ok(match self.inputs.get(tensor) {
            Some(Some(input)) if self.lies_halved(tensor) => {
                let bytes = input.to_half_bytes()?;
                bytes.as_chunks::<4>().0.iter().map(|c| u32::from_le_bytes(*c)).collect()
            }
            Some(Some(input)) => input.to_device_words()?,
            // A pattern that shows where a kernel left an element unwritten.
            _ => vec![0x7fc0_dead; lowered.tensors[tensor].len()],
        })
    }

    fn describe(&self) -> String {
        let shapes: Vec<_> = self.inputs.iter().map(|t| t.as_ref().map(|t| t.shape().to_vec())).collect();
        format!("{} (opset {}) {:?} {shapes:?} {:?}", self.op, self.opset, self.attributes, self.steps)
    }
}

/// The dispatches of one case.
pub struct Lowered {
    /// Type of each tensor.
    pub tensors: Vec<TensorType>,
    /// What a tensor is a part of, and its first element there.
    views: Vec<Option<(usize, usize)>>,
    /// How many have planes that lie apart.
    pub apart: usize,
    /// Which lie as f16.
    halves: Vec<bool>,
    /// The tensors that are compared.
    results: Vec<usize>,
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

/// A float32 tensor; `data` fills `shape`.
#[allow(clippy::panic, reason = "a case that is written wrong must stop at once")]
pub fn f32s(shape: &[usize], data: Vec<f32>) -> HostTensor {
    HostTensor::f32(shape, data).unwrap_or_else(|e| panic!("{e}"))
}

/// An int64 tensor; `data` fills `shape`.
#[allow(clippy::panic, reason = "a case that is written wrong must stop at once")]
pub fn i64s(shape: &[usize], data: &[i64]) -> HostTensor {
    HostTensor::i64(shape, data.to_vec()).unwrap_or_else(|e| panic!("{e}"))
}

/// `count` pseudo-random numbers in [-1, 1), the same for the same `seed`.
pub fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| rng.f32() * 2.0 - 1.0).collect()
}

fn kernel(op: &str) -> Result<&'static dyn Kernel> {
    Registry.kernel("", op).ok_or_else(|| anyhow!("there is no operator {op}"))
}

fn type_of(tensor: &HostTensor) -> TensorType {
    TensorType::new(tensor.dtype(), tensor.shape())
}

/// ‖a−b‖/‖b‖ for floats; for other types 0 where equal and infinity where not. NaN and infinities must agree in place.
fn relative_error(actual: &HostTensor, expected: &HostTensor) -> f64 {
    let (Data::Float32(a), Data::Float32(e)) = (actual.data(), expected.data()) else {
        return if actual == expected { 0.0 } else { f64::INFINITY };
    };
    let (mut difference, mut norm) = (0.0, 0.0);
    for (&a, &e) in a.iter().zip(e) {
        if !a.is_finite() || !e.is_finite() {
            if a != e && !(a.is_nan() && e.is_nan()) {
                return f64::INFINITY;
            }
            continue;
        }
        difference += (f64::from(a) - f64::from(e)).powi(2);
        norm += f64::from(e).powi(2);
    }
    if difference == 0.0 { 0.0 } else { (difference / norm).sqrt() }
}

fn head(tensor: &HostTensor) -> String {
    let values = tensor.to_f64();
    format!("{:?} {:?}", tensor.shape(), &values[..values.len().min(12)])
}
