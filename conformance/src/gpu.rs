//! A device with WebGPU's default limits, natively or in a page: buffers, pipelines, readback. Knows wgpu; must never
//! know what an operator is.

use anyhow::{Context, Result, anyhow, bail};
use consort::lane::gpu::ability;
use consort::lane::host::sleep;
use futures_util::future::{Either, select};
use std::pin::pin;

/// A dispatch with its pipeline and buffers.
pub struct Bound {
    /// The pipeline.
    pub pipeline: wgpu::ComputePipeline,
    /// Its bind group 0.
    pub group: wgpu::BindGroup,
}

/// The system's Vulkan device.
pub struct Gpu {
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    /// Threads that every subgroup has at least; 0 where there are none.
    pub subgroups: usize,
    /// Whether shaders may compute in f16.
    pub f16: bool,
}

impl Gpu {
    /// Opens the adapter that there is.
    pub async fn open() -> Result<Gpu> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await;
        let adapter =
            adapter.context("these tests need an adapter; natively: apt-get install -y mesa-vulkan-drivers")?;
        // WebGPU's default limits: what every browser gives.
        let (device, queue) = ability::device(&adapter, wgpu::DeviceDescriptor::default()).await?;
        let subgroups = ability::subgroups(&adapter, &device);
        let f16 = device.features().contains(wgpu::Features::SHADER_F16);
        Ok(Gpu { device, queue, subgroups, f16 })
    }

    /// A storage buffer with `words`.
    pub fn buffer(&self, words: &[u32]) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        self.filled(words, usage)
    }

    /// A uniform buffer with `words`.
    pub fn uniform(&self, words: &[u32]) -> wgpu::Buffer {
        self.filled(words, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST)
    }

    fn filled(&self, words: &[u32], usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            // At least one vec4: an empty tensor still has a binding.
            size: bytes.len().max(16) as u64,
            usage,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, &bytes);
        buffer
    }

    /// The first `words` words of `buffer`.
    pub async fn read(&self, buffer: &wgpu::Buffer, words: usize) -> Result<Vec<u32>> {
        if words == 0 {
            return Ok(vec![]);
        }
        let size = words as u64 * 4;
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, size);
        self.queue.submit([encoder.finish()]);
        let (send, receive) = futures_channel::oneshot::channel();
        // The receiver waits below.
        staging.slice(..).map_async(wgpu::MapMode::Read, move |result| drop(send.send(result)));
        let mut receive = receive;
        loop {
            #[cfg(not(target_arch = "wasm32"))]
            self.device.poll(wgpu::PollType::Poll)?;
            match select(&mut receive, pin!(sleep(1))).await {
                Either::Left((result, _)) => break result.map_err(|_| anyhow!("the map was dropped"))??,
                // Firefox settles a map soon only when work follows it.
                Either::Right(_) => drop(self.queue.submit(None)),
            }
        }
        let mapped = staging.slice(..).get_mapped_range()?;
        Ok(mapped.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    /// Compiles `source` and binds `buffers` of `kinds`, or says why not.
    pub async fn bind(
        &self,
        source: &str,
        constants: &[(&'static str, f64)],
        kinds: &[wgpu::BufferBindingType],
        buffers: &[wgpu::BufferBinding<'_>],
    ) -> Result<Bound> {
        let device = &self.device;
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(ability::enabled(source)),
        });
        let entries: Vec<_> = (0..)
            .zip(kinds)
            .map(|(binding, &ty)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
                count: None,
            })
            .collect();
        let layout =
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions { constants, ..Default::default() },
            cache: None,
        });
        let entries: Vec<_> = (0..)
            .zip(buffers)
            .map(|(binding, part)| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(part.clone()),
            })
            .collect();
        let group =
            device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries });
        match scope.pop().await {
            Some(error) => bail!("{error}"),
            None => Ok(Bound { pipeline, group }),
        }
    }
}
