//! A case on a device, compared with the operator's CPU reference. One buffer per tensor, so that a kernel is judged alone: no
//! arena, no program, no lane. Outputs are poisoned first. Knows both sides; must never know how one is lowered.

use super::given::Case;
use super::lower::Lowered;
use crate::gpu::Gpu;
use anyhow::{Context, Result, bail, ensure};
use consort::graph::{Attributes, Data, HostTensor};
use consort::kernels::Tuning;

impl Case {
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
}

/// ‖a−b‖/‖b‖ for floats; for other types 0 where equal and infinity where not. NaN and infinities must agree in place.
pub(crate) fn relative_error(actual: &HostTensor, expected: &HostTensor) -> f64 {
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

pub(crate) fn head(tensor: &HostTensor) -> String {
    let values = tensor.to_f64();
    format!("{:?} {:?}", tensor.shape(), &values[..values.len().min(12)])
}
