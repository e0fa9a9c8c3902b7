//! What was found out of a browser: plain values, and a name for what of it is stable. Must never know how it was asked.

use super::wasm::Wasm;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// What a probe found, or why it found nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Found<T> {
    /// It is not here, or its probe failed or took too long.
    Missing(Missing),
    /// It is here.
    Here(Here<T>),
}

/// Something that is here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Here<T> {
    /// `true`.
    pub available: bool,
    /// What it is like.
    #[serde(flatten)]
    pub facts: T,
}

/// Something that is not here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Missing {
    /// `false`.
    pub available: bool,
    /// Why, in words.
    pub reason: String,
}

impl<T> Found<T> {
    /// It is here.
    pub fn here(facts: T) -> Found<T> {
        Found::Here(Here { available: true, facts })
    }

    /// It is not.
    pub fn missing(reason: impl Into<String>) -> Found<T> {
        Found::Missing(Missing { available: false, reason: reason.into() })
    }

    /// What it is like, where it is here.
    pub fn facts(&self) -> Option<&T> {
        if let Found::Here(here) = self { Some(&here.facts) } else { None }
    }

    /// Why it is not here, where it is not.
    pub fn reason(&self) -> Option<&str> {
        if let Found::Missing(missing) = self { Some(&missing.reason) } else { None }
    }
}

/// Something of which no more is told than that it is here.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Nothing {}

/// The adapter that WebGPU gives for speed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WebGpu {
    /// Vendor, e.g. `nvidia`; empty where the browser keeps it to itself.
    pub vendor: String,
    /// Architecture, e.g. `turing`.
    pub architecture: String,
    /// Device, vendor specific.
    pub device: String,
    /// Human-readable name.
    pub description: String,
    /// Whether it is a software adapter by its own word.
    pub is_fallback_adapter: bool,
    /// What a device of it may be asked for.
    pub features: Vec<String>,
    /// The most that a device of it may be asked for.
    pub limits: BTreeMap<String, f64>,
    /// Threads of a subgroup, at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subgroup_min_size: Option<f64>,
    /// Threads of a subgroup, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subgroup_max_size: Option<f64>,
}

/// How fine the GPU's clock is.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Timestamps {
    /// What all differences between timestamps were a multiple of, in nanoseconds.
    #[serde(rename = "resolutionNs")]
    pub resolution_ns: f64,
}

/// A WebNN context.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebNnContext {
    /// Operators that it takes, with the data types of each operand that the browser lists.
    pub operators: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// `nchw` or `nhwc`, where it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_input_layout: Option<String>,
    /// The most bytes of a tensor, where it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tensor_bytes: Option<f64>,
    /// Whether an MLTensor that was written reads back the same.
    pub tensor: Found<Nothing>,
    /// Whether it has what shares a tensor with WebGPU. That is not tried: where it fails, as in Chromium 147, every GPU device
    /// of the page is lost.
    pub export_to_gpu: bool,
    /// Whether it tells of its loss.
    pub lost: bool,
}

/// A WebNN context for each kind of device.
#[derive(Clone, Debug, Serialize)]
pub struct WebNn {
    /// The processor.
    pub cpu: Found<WebNnContext>,
    /// The GPU.
    pub gpu: Found<WebNnContext>,
    /// A neural processor.
    pub npu: Found<WebNnContext>,
}

/// What a page may use of the machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct System {
    /// Whether the page is cross-origin isolated: only then may threads share memory.
    pub cross_origin_isolated: bool,
    /// Whether there is a SharedArrayBuffer.
    pub shared_memory: bool,
    /// Logical processors, as the browser tells them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
    /// Memory of the machine in GiB, as the browser rounds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_memory_gib: Option<f64>,
}

/// What a page may store, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Storage {
    /// All that it may.
    pub quota_bytes: f64,
    /// Of that, what it does.
    pub usage_bytes: f64,
}

/// What PressureObserver tells of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pressure {
    /// Such as `cpu`.
    pub sources: Vec<String>,
}

/// What this browser can do here, found out by trying.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detected {
    /// WebGPU's adapter.
    pub webgpu: Found<WebGpu>,
    /// The GPU's clock.
    pub timestamps: Found<Timestamps>,
    /// WebNN's contexts.
    pub webnn: Found<WebNn>,
    /// WebAssembly's proposals.
    pub wasm: Wasm,
    /// What the page may use of the machine.
    pub system: System,
    /// What it may store.
    pub storage: Found<Storage>,
    /// Whether it is told of the machine's load.
    pub pressure: Found<Pressure>,
    /// How long finding this out took, in milliseconds.
    pub detect_ms: f64,
}

impl Detected {
    /// Name of this combination of browser and machine: the same as long as what it can do is the same. What is stored,
    /// measured, or failed this time is left out.
    pub fn fingerprint(&self) -> String {
        let mut said: Vec<u8> = vec![];
        let mut note = |text: &str| {
            said.extend(text.bytes().chain([0]));
        };
        if let Some(gpu) = self.webgpu.facts() {
            [&gpu.vendor, &gpu.architecture, &gpu.device, &gpu.description].into_iter().for_each(|text| note(text));
            gpu.features.iter().for_each(|feature| note(feature));
            gpu.limits.iter().for_each(|(name, value)| note(&format!("{name}={value}")));
        }
        if let Some(nn) = self.webnn.facts() {
            for (device, context) in [("cpu", &nn.cpu), ("gpu", &nn.gpu), ("npu", &nn.npu)] {
                note(device);
                context.facts().into_iter().flat_map(|c| c.operators.keys()).for_each(|name| note(name));
            }
        }
        note(&format!("{:?}", self.wasm));
        note(&format!("{:?}", self.system));
        format!("{:016x}", xxh3_128_with_seed(&said, 0) as u64)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    fn some() -> Detected {
        let gpu = WebGpu {
            vendor: "some".into(),
            features: vec!["shader-f16".into()],
            limits: [("maxBufferSize".to_owned(), 1e9)].into(),
            ..WebGpu::default()
        };
        let context = WebNnContext {
            operators: [("conv2d".to_owned(), BTreeMap::new())].into(),
            preferred_input_layout: None,
            max_tensor_bytes: None,
            tensor: Found::here(Nothing {}),
            export_to_gpu: false,
            lost: true,
        };
        let nn = WebNn { cpu: Found::here(context), gpu: Found::missing("none"), npu: Found::missing("none") };
        Detected {
            webgpu: Found::here(gpu),
            timestamps: Found::here(Timestamps { resolution_ns: 100.0 }),
            webnn: Found::here(nn),
            wasm: Wasm { simd: true, ..Wasm::default() },
            system: System { cores: Some(4.0), ..System::default() },
            storage: Found::here(Storage::default()),
            pressure: Found::missing("none"),
            detect_ms: 1.0,
        }
    }

    #[test]
    fn a_fingerprint_is_of_what_is_stable() {
        let name = some().fingerprint();
        assert_eq!(name.len(), 16);
        let mut same = some();
        same.storage = Found::here(Storage { quota_bytes: 7.0, usage_bytes: 3.0 });
        same.timestamps = Found::missing("it took too long");
        same.detect_ms = 9.0;
        assert_eq!(same.fingerprint(), name, "what is stored and measured does not matter");
    }

    #[test]
    fn a_fingerprint_changes_with_what_is_here() {
        let name = some().fingerprint();
        let change = |what: fn(&mut Detected)| {
            let mut other = some();
            what(&mut other);
            other.fingerprint()
        };
        let changed = [
            change(|d| d.webgpu = Found::missing("none")),
            change(|d| d.webgpu = Found::here(WebGpu::default())),
            change(|d| d.webnn = Found::missing("none")),
            change(|d| d.wasm.threads = true),
            change(|d| d.system.cores = Some(8.0)),
        ];
        assert!(changed.iter().all(|other| *other != name), "{name} {changed:?}");
    }

    #[test]
    fn what_is_missing_says_why_and_what_is_here_what_it_is() {
        let there = serde_json::to_value(some()).unwrap();
        assert_eq!(there["webgpu"]["available"], true);
        assert_eq!(there["webgpu"]["limits"]["maxBufferSize"], 1e9);
        assert_eq!(there["webnn"]["npu"], serde_json::json!({ "available": false, "reason": "none" }));
        let back: Found<WebGpu> = serde_json::from_value(there["webgpu"].clone()).unwrap();
        assert_eq!(back.facts().unwrap().vendor, "some");
        let back: Found<WebGpu> = serde_json::from_value(there["webnn"]["npu"].clone()).unwrap();
        assert_eq!(back.reason(), Some("none"));
    }
}
