//! What a lane says of itself and what was measured of it: facts, rates, bytes. Plain values; must never know how they
//! were come by.

use crate::graph::Naming;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Add;

/// What a lane's device says of itself.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
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
    /// Optional features that are in use.
    pub features: Vec<String>,
    /// Limits that matter here, by WebGPU's names.
    pub limits: BTreeMap<&'static str, f64>,
}

impl Facts {
    /// Name of this combination of device, features and limits.
    pub fn fingerprint(&self) -> String {
        let mut naming = Naming::default();
        for text in [&self.vendor, &self.architecture, &self.device, &self.description] {
            naming.add(text.as_bytes()).add(&[0]);
        }
        self.features.iter().for_each(|f| {
            naming.add(f.as_bytes()).add(&[0]);
        });
        for (name, value) in &self.limits {
            naming.add(name.as_bytes()).add(&value.to_le_bytes());
        }
        naming.name().to_string()
    }
}

/// What products of float32 are computed in, by the significant bits that are left of factors and sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// All 24 of them.
    F32,
    /// 11 at least, as float16 and TF32 have.
    F16,
    /// Fewer.
    Bf16,
}

impl Precision {
    /// Significant bits of a float32.
    pub const FLOAT32: u32 = 24;
    /// Significant bits of a float16.
    pub const FLOAT16: u32 = 11;

    /// That of so many bits.
    pub fn of(bits: u32) -> Precision {
        match bits {
            Precision::FLOAT32.. => Precision::F32,
            Precision::FLOAT16.. => Precision::F16,
            _ => Precision::Bf16,
        }
    }
}

/// A lane's ceilings and waits. Times are in seconds, rates per second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// Floating-point operations in registers only; a multiply-add counts two.
    pub flops_per_s: f64,
    /// Threads that are enough for them: fewer leave the lane idle. A power of two.
    pub threads: usize,
    /// Bytes that a copy kernel reads and writes.
    pub bytes_per_s: f64,
    /// One empty dispatch.
    pub dispatch_s: f64,
    /// One submit beyond the first.
    pub submit_s: f64,
    /// From the start of recording to 4 bytes read back.
    pub readback_s: f64,
    /// Input bytes into an arena.
    pub upload_bytes_per_s: f64,
    /// Output bytes to the host.
    pub readback_bytes_per_s: f64,
    /// Whether a wait ends sooner here when empty submits follow it.
    pub nudge: bool,
    /// How long measuring these took, in milliseconds.
    pub probe_ms: f64,
}

/// Bytes that a lane allocated and has not freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Weights, each content once.
    pub weights: u64,
    /// Arenas.
    pub arenas: u64,
    /// What inputs and outputs pass through.
    pub staging: u64,
    /// Kernel parameters.
    pub parameters: u64,
    /// Tensors that stay between calls.
    pub tensors: u64,
}

impl Add for Counts {
    type Output = Counts;

    fn add(self, more: Counts) -> Counts {
        Counts {
            weights: self.weights + more.weights,
            arenas: self.arenas + more.arenas,
            staging: self.staging + more.staging,
            parameters: self.parameters + more.parameters,
            tensors: self.tensors + more.tensors,
        }
    }
}

impl Counts {
    /// Everything.
    pub fn total(&self) -> u64 {
        self.weights + self.arenas + self.staging + self.parameters + self.tensors
    }
}
