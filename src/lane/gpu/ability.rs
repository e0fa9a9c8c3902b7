//! What a device is asked for beyond WebGPU's defaults where the adapter has it, and the WGSL that says so. Knows wgpu's
//! features; must never know which kernels use them.

use std::borrow::Cow;

/// The optional features that kernels have variants for, as far as `adapter` offers them.
pub fn features(adapter: &wgpu::Adapter) -> wgpu::Features {
    adapter.features() & (wgpu::Features::SUBGROUP | wgpu::Features::SHADER_F16)
}

/// Threads that every subgroup of a device with `features` has at least, a power of two; 0 where it has none or does not
/// say.
pub fn subgroups(adapter: &wgpu::Adapter, features: wgpu::Features) -> usize {
    let size = adapter.get_info().subgroup_min_size as usize;
    if features.contains(wgpu::Features::SUBGROUP) && size.is_power_of_two() { size } else { 0 }
}

/// `wgsl` with the directives that the device's compiler wants for what it uses. Browsers want each extension named;
/// naga, which compiles natively, takes subgroups without and refuses their name.
pub fn enabled(wgsl: &str) -> Cow<'_, str> {
    let mut head = String::new();
    if cfg!(target_arch = "wasm32") && wgsl.contains("subgroup") {
        head.push_str("enable subgroups;\n");
    }
    if wgsl.contains("f16") {
        head.push_str("enable f16;\n");
    }
    if head.is_empty() { Cow::Borrowed(wgsl) } else { Cow::Owned(head + wgsl) }
}
