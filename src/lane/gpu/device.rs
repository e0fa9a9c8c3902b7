//! The device: found, opened, watched for loss; what its adapter says of itself.

use super::ability;
use crate::error::{Error, Kind, Result};
use crate::lane::host::sleep;
use crate::lane::measured::Facts;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How often, and how many milliseconds apart, the news of a loss is looked for once something failed.
const NEWS_TURNS: usize = 20;
const NEWS_MS: u32 = 10;

/// An open device with its queue.
#[derive(Debug)]
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) limits: wgpu::Limits,
    /// Threads that every subgroup has at least; 0 where there are none.
    pub(super) subgroups: usize,
    /// Whether shaders may compute in f16.
    pub(super) f16: bool,
    /// What the adapter says of itself.
    pub facts: Facts,
    lost: Arc<Mutex<Option<String>>>,
}

impl Gpu {
    /// Opens the adapter that the browser or system prefers for speed.
    pub async fn open() -> Result<Gpu> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..wgpu::RequestAdapterOptions::default()
        };
        let adapter = instance.request_adapter(&options).await.map_err(|e| {
            // In a page wgpu lists the native backends that it was built without: no one there can use that.
            let why = if cfg!(target_arch = "wasm32") { String::new() } else { format!(": {e}") };
            Error::new(Kind::NoWebGpu, format!("WebGPU gives no adapter here{why}"))
        })?;
        let offered = adapter.limits();
        // Above the defaults only where big weights and arenas need it.
        let limits = wgpu::Limits {
            max_buffer_size: offered.max_buffer_size,
            max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
            ..wgpu::Limits::default()
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("consort"),
            required_limits: limits.clone(),
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = ability::device(&adapter, descriptor)
            .await
            .map_err(|e| Error::new(Kind::NoWebGpu, format!("the adapter gives no device: {e}")))?;
        let subgroups = ability::subgroups(&adapter, &device);
        let f16 = device.features().contains(wgpu::Features::SHADER_F16);
        let facts = facts(&adapter, &device, &limits, subgroups);
        let lost = Arc::new(Mutex::new(None));
        let note = Arc::clone(&lost);
        device.set_device_lost_callback(move |_, message| {
            *note.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
        });
        // Every operation that can fail is scoped; what reaches this is reported there too, and must not abort.
        device.on_uncaptured_error(Arc::new(|_| {}));
        Ok(Gpu { device, queue, limits, subgroups, f16, facts, lost })
    }

    /// An error where the device was lost, with the browser's reason.
    pub fn check(&self) -> Result<()> {
        match &*self.lost.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(reason) => Err(Error::new(Kind::DeviceLost, format!("the GPU device was lost: {reason}"))),
        }
    }

    /// The error of a failed GPU operation: the loss of the device where that is the cause.
    pub(super) fn fault(&self, kind: Kind, message: impl Into<String>) -> Error {
        self.check().err().unwrap_or_else(|| Error::new(kind, message))
    }

    /// `error`, or the loss of the device where that is its cause. A browser may fail what the device was doing before it
    /// tells of the loss: the news is given a moment.
    pub(super) async fn cause(&self, error: Error) -> Error {
        if error.kind() != Kind::Internal {
            return error;
        }
        for _ in 0..NEWS_TURNS {
            if let Err(lost) = self.check() {
                return lost;
            }
            sleep(NEWS_MS).await;
        }
        error
    }

    /// Gives the device back; everything on it is gone.
    pub fn close(&self) {
        self.device.destroy();
    }
}

fn facts(adapter: &wgpu::Adapter, device: &wgpu::Device, limits: &wgpu::Limits, subgroups: usize) -> Facts {
    let info = adapter.get_info();
    let mut facts = Facts {
        description: info.name.clone(),
        is_fallback_adapter: info.device_type == wgpu::DeviceType::Cpu,
        features: ability::names(device),
        ..Facts::default()
    };
    #[cfg(target_arch = "wasm32")]
    if let Some(raw) = device.as_webgpu() {
        let info = js_sys::Reflect::get(raw, &"adapterInfo".into()).unwrap_or_default();
        let text =
            |key: &str| js_sys::Reflect::get(&info, &key.into()).ok().and_then(|v| v.as_string()).unwrap_or_default();
        (facts.vendor, facts.architecture) = (text("vendor"), text("architecture"));
        (facts.device, facts.description) = (text("device"), text("description"));
    }
    facts.limits = BTreeMap::from([
        ("maxBufferSize", limits.max_buffer_size as f64),
        ("maxStorageBufferBindingSize", limits.max_storage_buffer_binding_size as f64),
        ("maxStorageBuffersPerShaderStage", f64::from(limits.max_storage_buffers_per_shader_stage)),
        ("maxComputeWorkgroupStorageSize", f64::from(limits.max_compute_workgroup_storage_size)),
        ("subgroupMinSize", subgroups as f64),
        ("maxComputeInvocationsPerWorkgroup", f64::from(limits.max_compute_invocations_per_workgroup)),
    ]);
    facts
}
