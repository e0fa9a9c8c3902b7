//! Tensors brought to the device, read back, and left there by a call, outside of executions.
//! Knows the lane's buffers; must never know what a tensor means.

use super::alloc::Purpose;
use super::prepare::{GpuLane, Prepared};
use super::resident::{block, resident};
#[cfg(target_arch = "wasm32")]
use super::shadow::raw;
use crate::error::{Error, Kind, Result};
#[cfg(target_arch = "wasm32")]
use crate::graph::DType;
use crate::graph::{HostTensor, TensorType};
#[cfg(target_arch = "wasm32")]
use crate::lane::interface::Blank;
use crate::lane::tensor::Resident;
use crate::memory::weight_bytes;
#[cfg(target_arch = "wasm32")]
use std::any::Any;
use std::rc::Rc;

impl GpuLane {
    /// Buffers for the outputs of `prepared` that stay.
    pub(super) async fn allocate_outputs(&self, prepared: &Prepared) -> Result<Vec<Option<Rc<Resident>>>> {
        let mut made = vec![];
        for port in &prepared.program.outputs {
            made.push(if port.resident { Some(Rc::new(self.allocate_tensor(&port.ty).await?)) } else { None });
        }
        Ok(made)
    }

    async fn allocate_tensor(&self, ty: &TensorType) -> Result<Resident> {
        let bytes = ty.len() as u64 * 4;
        let block = match bytes {
            0 => None,
            _ => Some(self.allocator.allocate(Purpose::Tensor, weight_bytes(bytes)).await?),
        };
        Ok(resident(self.opening, ty.clone(), block))
    }

    /// Brings a tensor to the device.
    pub async fn upload(&self, tensor: &HostTensor) -> Result<Resident> {
        self.check()?;
        let ty = TensorType { dtype: tensor.dtype(), shape: tensor.shape().to_vec() };
        let resident = self.allocate_tensor(&ty).await?;
        if let Some(block) = block(&resident) {
            let words = tensor.to_device_words()?;
            self.gpu.queue.write_buffer(&block.buffer, 0, bytemuck::cast_slice(&words));
            self.traffic.uploaded(words.len() as u64 * 4);
        }
        Ok(resident)
    }

    /// A tensor that the page writes: its buffer and the device, as the browser has them. Nothing where elements take other than 4 bytes,
    /// or there are none.
    #[cfg(target_arch = "wasm32")]
    pub async fn blank(&self, ty: TensorType) -> Result<Option<Blank>> {
        self.check()?;
        if ty.dtype != DType::Float32 || ty.is_empty() {
            return Ok(None);
        }
        let resident = self.allocate_tensor(&ty).await?;
        let raw = block(&resident).map(|b| [raw(self.gpu.device.as_webgpu()), raw(b.buffer.as_webgpu())]);
        Ok(raw.map(|raw| (resident, Box::new(raw) as Box<dyn Any>)))
    }

    /// Reads a tensor back.
    pub async fn read(&self, tensor: &Resident) -> Result<HostTensor> {
        self.check()?;
        let bytes = tensor.ty.len() as u64 * 4;
        let words: Vec<u32> = match block(tensor) {
            None => vec![],
            Some(block) => {
                let readback = self.staging.readback(&self.allocator, bytes).await?;
                let readback = readback.ok_or_else(|| Error::new(Kind::Internal, "a readback of no bytes"))?;
                let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                encoder.copy_buffer_to_buffer(&block.buffer, 0, &readback.buffer, 0, bytes);
                self.gpu.queue.submit(Some(encoder.finish()));
                let data = self.gpu.read(&readback.buffer, bytes, self.nudge.get()).await?;
                self.traffic.read_back(bytes);
                self.staging.give_back(readback);
                bytemuck::pod_collect_to_vec(&data)
            }
        };
        HostTensor::from_device_words(tensor.ty.dtype, tensor.ty.shape.clone(), &words)
    }
}
