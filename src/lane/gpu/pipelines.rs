//! Pipelines, compiled asynchronously, each source once for all models.

use super::{Gpu, ability};
use crate::error::{Kind, Result};
use crate::lane::host::LocalFuture;
use crate::program::KernelSource;
use futures_util::future::{FutureExt, Shared};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// A compiled pipeline with the layout of its one bind group.
#[derive(Debug)]
pub(super) struct Pipeline {
    /// The browser's own in a page.
    #[cfg(target_arch = "wasm32")]
    pub(super) pipeline: wasm_bindgen::JsValue,
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) pipeline: wgpu::ComputePipeline,
    /// Of its one bind group; a browser's pipeline is asked for its own.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) layout: wgpu::BindGroupLayout,
}

type Compiling = Shared<LocalFuture<Result<Rc<Pipeline>>>>;

/// Every pipeline of the lane, by source.
pub(super) struct Pipelines {
    gpu: Rc<Gpu>,
    by_source: RefCell<HashMap<KernelSource, Compiling>>,
}

impl Pipelines {
    pub(super) fn new(gpu: Rc<Gpu>) -> Self {
        Pipelines { gpu, by_source: RefCell::default() }
    }

    /// The pipelines of `sources`; those not met before are compiled side by side.
    pub(super) async fn get(&self, sources: &[KernelSource], done: &dyn Fn(usize, usize)) -> Result<Vec<Rc<Pipeline>>> {
        // The longest first: what is compiled side by side is done when the last is.
        let mut order: Vec<usize> = (0..sources.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(sources[i].wgsl.len()));
        let futures: Vec<Compiling> = {
            let mut by_source = self.by_source.borrow_mut();
            let start = |source: &KernelSource| {
                let future: LocalFuture<_> = Box::pin(compile(Rc::clone(&self.gpu), source.clone()));
                future.shared()
            };
            order
                .iter()
                .map(|&i| &sources[i])
                .map(|s| by_source.entry(s.clone()).or_insert_with(|| start(s)).clone())
                .collect()
        };
        let finished = std::cell::Cell::new(0);
        let counted = futures.into_iter().map(|future| {
            let finished = &finished;
            async move {
                let result = future.await;
                finished.set(finished.get() + 1);
                done(finished.get(), sources.len());
                result
            }
        });
        let results = futures_util::future::join_all(counted).await;
        if results.iter().any(std::result::Result::is_err) {
            // A failed compile may succeed on another device or later: it is not remembered.
            let mut by_source = self.by_source.borrow_mut();
            for (&i, _) in order.iter().zip(&results).filter(|(_, r)| r.is_err()) {
                by_source.remove(&sources[i]);
            }
        }
        let mut compiled: Vec<_> = order.into_iter().zip(results).collect();
        compiled.sort_by_key(|(i, _)| *i);
        compiled.into_iter().map(|(_, result)| result).collect()
    }
}

async fn compile(gpu: Rc<Gpu>, source: KernelSource) -> Result<Rc<Pipeline>> {
    let device = &gpu.device;
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(source.name),
        source: wgpu::ShaderSource::Wgsl(ability::enabled(&source.wgsl)),
    });
    let layout = bind_group_layout(device, &source);
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(source.name),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let constants: Vec<(&str, f64)> =
        source.constants.iter().map(|(name, bits)| (*name, f64::from_bits(*bits))).collect();
    let descriptor = wgpu::ComputePipelineDescriptor {
        label: Some(source.name),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
        cache: None,
    };
    #[cfg(target_arch = "wasm32")]
    let started = asynchronous::start(device, &descriptor);
    #[cfg(not(target_arch = "wasm32"))]
    let started = Ok::<_, String>(device.create_compute_pipeline(&descriptor));
    let refused = scope.pop();
    #[cfg(target_arch = "wasm32")]
    let pipeline = asynchronous::finish(started).await;
    #[cfg(not(target_arch = "wasm32"))]
    let pipeline = started;
    if let Some(error) = refused.await {
        return Err(gpu.fault(Kind::Internal, format!("shader '{}' was refused: {error}", source.name)));
    }
    let pipeline =
        pipeline.map_err(|e| gpu.fault(Kind::Internal, format!("shader '{}' did not compile: {e}", source.name)))?;
    Ok(Rc::new(Pipeline {
        pipeline,
        #[cfg(not(target_arch = "wasm32"))]
        layout,
    }))
}

fn bind_group_layout(device: &wgpu::Device, source: &KernelSource) -> wgpu::BindGroupLayout {
    let entry = |binding: u32, ty: wgpu::BufferBindingType| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    };
    let storage = source
        .read_only
        .iter()
        .zip(1..)
        .map(|(&read_only, binding)| entry(binding, wgpu::BufferBindingType::Storage { read_only }));
    let entries: Vec<_> = std::iter::once(entry(0, wgpu::BufferBindingType::Uniform)).chain(storage).collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(source.name), entries: &entries })
}

/// `createComputePipelineAsync`, which wgpu does not offer, with the descriptor that wgpu would use.
#[cfg(target_arch = "wasm32")]
mod asynchronous {
    use super::super::shadow;
    use js_sys::Promise;
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::JsFuture;

    /// Asks the browser to compile; the promise of its pipeline.
    pub(super) fn start(
        device: &wgpu::Device,
        descriptor: &wgpu::ComputePipelineDescriptor<'_>,
    ) -> Result<Promise, String> {
        let descriptor =
            shadow::learnt(device, "createComputePipeline", || drop(device.create_compute_pipeline(descriptor)));
        let promise = shadow::call(device, "createComputePipelineAsync", &descriptor).map_err(|e| e.to_string())?;
        promise.dyn_into().map_err(|_| "the browser does not compile pipelines asynchronously".to_owned())
    }

    /// Waits for the pipeline.
    pub(super) async fn finish(started: Result<Promise, String>) -> Result<JsValue, String> {
        JsFuture::from(started?).await.map_err(|e| shadow::message(&e))
    }
}
