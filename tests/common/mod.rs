//! Runs one lowered operator on the system's Vulkan device and compares it with the operator's CPU reference.
//! One buffer per tensor, so that a kernel is judged alone: no arena, no program, no lane.

pub mod gpu;

use consort::graph::{
    Attribute, Attributes, Call, ContentHash, DType, Data, HostTensor, Operand, Source, SpecialTensor, Specialised,
    TensorId, TensorType,
};
use consort::kernels::{Home, Kernel, KernelCall, Lowering, Registry, wgsl};
use gpu::{Bound, Gpu, gpu};
use std::sync::Arc;

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
    tolerance: f64,
}

// The two helpers that add operators use different parts of this.
#[allow(dead_code)]
impl Case {
    /// `op` of opset 17 with no attributes, no inputs, one output, and a relative error of at most 1e-5.
    pub fn new(op: &'static str) -> Self {
        Case { op, opset: 17, attributes: vec![], inputs: vec![], constant: vec![], outputs: 1, tolerance: 1e-5 }
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
        let seed = self.inputs.len() as u32 + 1;
        let data = random(shape.iter().product(), seed);
        self.input(HostTensor::f32(shape, data).unwrap())
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
        self.constant(HostTensor::i64([values.len()], values.to_vec()).unwrap())
    }

    /// Makes the input added last a constant of the model.
    pub fn frozen(mut self) -> Self {
        *self.constant.last_mut().unwrap() = true;
        self
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

    /// Runs the case on the CPU and on the device and compares every output.
    pub fn check(self) {
        let expected = self.reference();
        let actual = self.run();
        for (i, (a, e)) in actual.iter().zip(&expected).enumerate() {
            let error = relative_error(a, e);
            assert!(
                error <= self.tolerance,
                "{}\noutput {i}: relative error {error:.2e}\ndevice    {}\nreference {}",
                self.describe(),
                head(a),
                head(e)
            );
        }
    }

    /// What the operator's CPU reference gives.
    pub fn reference(&self) -> Vec<HostTensor> {
        let attributes = Attributes::new(self.attributes.clone());
        let values: Vec<Option<&HostTensor>> = self.inputs.iter().map(Option::as_ref).collect();
        let outputs = self.kernel().evaluate(&self.call(&attributes), &values);
        let outputs = outputs.unwrap_or_else(|e| panic!("{}\nevaluate: {e}", self.describe()));
        for (output, ty) in outputs.iter().zip(self.types()) {
            assert_eq!(output.shape(), ty.shape, "{}\nevaluate and infer differ", self.describe());
            assert_eq!(output.dtype(), ty.dtype, "{}\nevaluate and infer differ", self.describe());
        }
        outputs
    }

    /// The message of the error that `infer` answers with.
    pub fn refusal(&self) -> String {
        let attributes = Attributes::new(self.attributes.clone());
        match self.kernel().infer(&self.call(&attributes)) {
            Ok(types) => panic!("{}\nwas taken: {types:?}", self.describe()),
            Err(e) => e.to_string(),
        }
    }

    /// What the device gives.
    pub fn run(&self) -> Vec<HostTensor> {
        let lowered = self.lower();
        let gpu = gpu();
        let buffers: Vec<wgpu::Buffer> =
            (0..lowered.tensors.len()).map(|i| gpu.buffer(&self.contents(i, &lowered))).collect();
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for call in &lowered.calls {
            let bound = lowered.bind(call, &buffers, &self.constant, gpu).unwrap_or_else(|e| self.fail(&e));
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&bound.pipeline);
            pass.set_bind_group(0, &bound.group, &[]);
            let [x, y, z] = call.workgroups;
            pass.dispatch_workgroups(x, y, z);
        }
        gpu.queue.submit([encoder.finish()]);
        self.types()
            .iter()
            .enumerate()
            .map(|(i, ty)| {
                let buffer = &buffers[lowered.root(self.inputs.len() + i)];
                HostTensor::from_device_words(ty.dtype, ty.shape.clone(), &gpu.read(buffer, ty.len())).unwrap()
            })
            .collect()
    }

    /// The dispatches of the case; tensor ids are inputs, outputs, then temporaries.
    pub fn lower(&self) -> Lowered {
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
            .chain(self.types().into_iter().enumerate().map(|(i, ty)| SpecialTensor {
                name: format!("output {i}"),
                ty,
                source: Source::Node,
            }))
            .collect();
        let special = Specialised { tensors, ..Specialised::default() };
        let inputs: Vec<Option<TensorId>> =
            self.inputs.iter().enumerate().map(|(i, t)| t.as_ref().map(|_| TensorId(i))).collect();
        let outputs: Vec<Option<TensorId>> = (0..self.outputs).map(|i| Some(TensorId(self.inputs.len() + i))).collect();
        let mut lowering = Lowering::new(&special);
        lowering.enter(0, &inputs, &outputs);
        let attributes = Attributes::new(self.attributes.clone());
        let call = self.call(&attributes);
        if let Err(e) = self.kernel().lower(&call, &mut lowering) {
            self.fail(&format!("lower: {e}"));
        }
        let Lowering { tensors, calls, .. } = lowering;
        let views = tensors.iter().map(|t| if let Home::View(of) = t.home { Some(of.0) } else { None }).collect();
        Lowered {
            tensors: tensors.into_iter().map(|t| t.ty).collect(),
            views,
            calls: calls.into_iter().map(|(_, call)| call).collect(),
        }
    }

    fn kernel(&self) -> &'static dyn Kernel {
        let kernel = Registry.kernel("", self.op).unwrap_or_else(|| panic!("no operator {}", self.op));
        for (name, _) in &self.attributes {
            assert!(kernel.attributes().contains(&name.as_str()), "{} does not list '{name}'", self.op);
        }
        kernel
    }

    fn call<'a>(&self, attributes: &'a Attributes) -> Call<'a> {
        let operand = |(i, tensor): (usize, &Option<HostTensor>)| {
            let tensor = tensor.as_ref()?;
            let value = self.constant[i].then(|| Arc::new(tensor.clone()));
            Some(Operand { ty: type_of(tensor), value })
        };
        let inputs = self.inputs.iter().enumerate().map(operand).collect();
        Call { node: "case", attributes, opset: self.opset, inputs, outputs: self.outputs }
    }

    fn types(&self) -> Vec<TensorType> {
        let attributes = Attributes::new(self.attributes.clone());
        let types = self.kernel().infer(&self.call(&attributes));
        let mut types = types.unwrap_or_else(|e| self.fail(&format!("infer: {e}")));
        types.truncate(self.outputs);
        types
    }

    fn contents(&self, tensor: usize, lowered: &Lowered) -> Vec<u32> {
        match self.inputs.get(tensor) {
            Some(Some(input)) => input.to_device_words().unwrap(),
            // A pattern that shows where a kernel left an element unwritten.
            _ => vec![0x7fc0_dead; lowered.tensors[tensor].len()],
        }
    }

    fn describe(&self) -> String {
        let shapes: Vec<_> = self.inputs.iter().map(|t| t.as_ref().map(|t| t.shape().to_vec())).collect();
        format!("{} (opset {}) {:?} {shapes:?}", self.op, self.opset, self.attributes)
    }

    fn fail(&self, why: &str) -> ! {
        panic!("{}\n{why}", self.describe())
    }
}

/// The dispatches of one case.
pub struct Lowered {
    /// Type of each tensor.
    pub tensors: Vec<TensorType>,
    views: Vec<Option<usize>>,
    /// Dispatches in order.
    pub calls: Vec<KernelCall>,
}

impl Lowered {
    /// The tensor whose buffer tensor `i` lies in.
    pub fn root(&self, mut i: usize) -> usize {
        while let Some(of) = self.views[i] {
            i = of;
        }
        i
    }

    /// Compiles `call` and binds it to `buffers`, one per tensor.
    pub fn bind(
        &self,
        call: &KernelCall,
        buffers: &[wgpu::Buffer],
        constant: &[bool],
        gpu: &Gpu,
    ) -> Result<Bound, String> {
        assert!(call.params.len() <= 64, "{} words of params", call.params.len());
        assert!(call.workgroups.iter().all(|&n| (1..=65_535).contains(&n)), "workgroups {:?}", call.workgroups);
        assert_eq!(call.bindings.len(), call.shader.slots.len(), "bindings of {}", call.shader.name);
        let roots: Vec<usize> = call.bindings.iter().map(|b| self.root(b.tensor.0)).collect();
        let same_as: Vec<usize> =
            (0..roots.len()).map(|i| (0..i).find(|&j| roots[j] == roots[i]).unwrap_or(i)).collect();
        let read_only: Vec<bool> = roots.iter().map(|&r| constant.get(r).copied().unwrap_or(false)).collect();
        let source = wgsl::assemble(call, &read_only, &same_as).map_err(|e| e.to_string())?;
        let own: Vec<usize> = (0..roots.len()).filter(|&i| same_as[i] == i).collect();
        let kinds = own.iter().map(|&i| wgpu::BufferBindingType::Storage { read_only: read_only[i] });
        let kinds: Vec<_> = std::iter::once(wgpu::BufferBindingType::Uniform).chain(kinds).collect();
        let mut params = call.params.clone();
        params.resize(64, 0);
        let params = gpu.uniform(&params);
        let bound: Vec<&wgpu::Buffer> =
            std::iter::once(&params).chain(own.iter().map(|&i| &buffers[roots[i]])).collect();
        gpu.bind(&source, &call.constants, &kinds, &bound)
            .map_err(|e| format!("kernel '{}': {e}\n{source}", call.shader.name))
    }
}

/// `count` pseudo-random numbers in [-1, 1), the same for the same `seed`.
pub fn random(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
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
