//! What a device is asked for beyond WebGPU's defaults where the adapter has it, and the WGSL that says so. Knows the
//! features' names; must never know which kernels use them.

use std::borrow::Cow;

/// The optional features that kernels have variants for, as far as `adapter` offers them and wgpu knows them here.
fn features(adapter: &wgpu::Adapter) -> wgpu::Features {
    adapter.features() & (wgpu::Features::SUBGROUP | wgpu::Features::SHADER_F16)
}

/// The device of `descriptor`, with every optional feature that `adapter` offers and kernels have variants for.
pub async fn device(
    adapter: &wgpu::Adapter,
    descriptor: wgpu::DeviceDescriptor<'_>,
) -> Result<(wgpu::Device, wgpu::Queue), wgpu::RequestDeviceError> {
    let descriptor = wgpu::DeviceDescriptor { required_features: features(adapter), ..descriptor };
    #[cfg(target_arch = "wasm32")]
    let request = web::asked(adapter, &descriptor);
    #[cfg(not(target_arch = "wasm32"))]
    let request = adapter.request_device(&descriptor);
    request.await
}

/// Names of the features of `device`.
pub fn names(device: &wgpu::Device) -> Vec<String> {
    let known = device.features();
    let mut names: Vec<String> = known.iter_names().map(|(name, _)| name.to_lowercase().replace('_', "-")).collect();
    #[cfg(target_arch = "wasm32")]
    if web::has(device, web::SUBGROUPS) {
        names.push(web::SUBGROUPS.to_owned());
    }
    names.sort();
    names
}

/// Threads that every subgroup of `device` has at least, a power of two; 0 where it has none or does not say.
pub fn subgroups(adapter: &wgpu::Adapter, device: &wgpu::Device) -> usize {
    let size = adapter.get_info().subgroup_min_size as usize;
    let there = device.features().contains(wgpu::Features::SUBGROUP);
    #[cfg(target_arch = "wasm32")]
    let there = there || web::has(device, web::SUBGROUPS);
    if there && size.is_power_of_two() { size } else { 0 }
}

/// `wgsl` with the directives that the device's compiler wants for what it uses. Browsers want each extension named;
/// naga, which compiles natively, takes subgroups without and refuses their name.
pub fn enabled(wgsl: &str) -> Cow<'_, str> {
    let mut head = String::new();
    if cfg!(target_arch = "wasm32") && ["subgroup", "quadSwap"].iter().any(|of| wgsl.contains(of)) {
        head.push_str("enable subgroups;\n");
    }
    if wgsl.contains("f16") {
        head.push_str("enable f16;\n");
    }
    if head.is_empty() { Cow::Borrowed(wgsl) } else { Cow::Owned(head + wgsl) }
}

#[cfg(target_arch = "wasm32")]
mod web {
    use super::super::shadow;
    use js_sys::{Function, Reflect};
    use wasm_bindgen::prelude::wasm_bindgen;
    use wasm_bindgen::{JsCast, JsValue};

    /// The feature that wgpu does not know in a page.
    pub(super) const SUBGROUPS: &str = "subgroups";

    #[wasm_bindgen(module = "/src/lane/gpu/ability.js")]
    extern "C" {
        fn asking(feature: &str, request: &mut dyn FnMut());
    }

    /// The request for the device of `descriptor`, and of the feature that wgpu does not know.
    pub(super) fn asked(
        adapter: &wgpu::Adapter,
        descriptor: &wgpu::DeviceDescriptor<'_>,
    ) -> impl Future<Output = Result<(wgpu::Device, wgpu::Queue), wgpu::RequestDeviceError>> + use<> {
        let mut request = None;
        // The browser is asked by the call, not by the future's first turn.
        asking(SUBGROUPS, &mut || request = Some(adapter.request_device(descriptor)));
        request.unwrap_or_else(|| adapter.request_device(descriptor))
    }

    /// Whether the browser's device has `feature`.
    pub(super) fn has(device: &wgpu::Device, feature: &str) -> bool {
        let features = Reflect::get(&shadow::raw(device.as_webgpu()), &"features".into()).unwrap_or_default();
        let has: Option<Function> = Reflect::get(&features, &"has".into()).ok().and_then(|f| f.dyn_into().ok());
        has.is_some_and(|has| has.call1(&features, &JsValue::from(feature)).is_ok_and(|there| there.is_truthy()))
    }
}
