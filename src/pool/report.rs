//! What the pool tells: the plain values that cross to JS, in the shapes that `pkg/index.d.ts` states.

use super::Inner;
use super::known::fingerprint;
use crate::predict::{Span, Strategy};
use crate::program::Placed;
use serde::Serialize;
use std::collections::BTreeMap;

/// What one strategy is expected to cost.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StrategyPrediction {
    /// The strategy.
    pub strategy: Strategy,
    /// Milliseconds until all outputs are there.
    pub predicted_ms: f64,
    /// Where 90 % of measurements are expected, in milliseconds.
    pub interval_ms: [f64; 2],
    /// Requests per second when the same set is run again and again.
    pub predicted_throughput: f64,
    /// GPU bytes that the execution needs.
    pub predicted_bytes: u64,
    /// What happens when.
    pub timeline: Vec<Span>,
}

/// What `pool.predict` returns.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Prediction {
    /// Every strategy.
    pub strategies: Vec<StrategyPrediction>,
    /// The best of them for the goal.
    pub recommended: Strategy,
    /// Why, in words and numbers.
    pub reason: String,
}

/// One strategy, predicted and measured.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StrategyComparison {
    /// What was predicted before it ran.
    #[serde(flatten)]
    pub prediction: StrategyPrediction,
    /// Median of the repeats in milliseconds.
    pub measured_ms: f64,
    /// Lower and upper quartile of the repeats in milliseconds.
    pub spread_ms: [f64; 2],
    /// Bytes that the execution held, by the allocator.
    pub measured_bytes: u64,
    /// What happened when, in the median run.
    pub measured_timeline: Vec<Span>,
}

/// What `pool.compare` returns.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Every strategy.
    pub strategies: Vec<StrategyComparison>,
    /// What was chosen before they ran.
    pub recommended: Strategy,
    /// What was best.
    pub measured_best: Strategy,
    /// Measured time of the chosen over that of the best, less one.
    pub regret: f64,
    /// How often each ran.
    pub repeats: usize,
}

/// A session's weights in bytes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionMemory {
    /// The session.
    pub name: String,
    /// Weights that it uses.
    pub weights: u64,
    /// Of these, bytes that other sessions use too.
    pub shared_weights: u64,
    /// Kernel parameters of its programs.
    pub parameters: u64,
    /// Arena that the largest of its programs needs; sessions that follow each other share one.
    pub arena: u64,
    /// Most bytes of that arena alive at one time: no plan can be smaller.
    pub live_bytes: u64,
}

/// Where the tensors of a session's program lie in its arena.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryMap {
    /// Size of the arena.
    pub arena: u64,
    /// Most bytes alive at one time.
    pub live_bytes: u64,
    /// Steps: the upload, each dispatch, the download.
    pub steps: usize,
    /// What lies where, when.
    pub tensors: Vec<Placed>,
}

/// The pool's memory on the GPU, in bytes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryReport {
    /// Weights, each content once.
    pub weights: u64,
    /// Arenas.
    pub arenas: u64,
    /// Upload and readback buffers.
    pub staging: u64,
    /// Kernel parameters.
    pub parameters: u64,
    /// Tensors that callers keep on the device.
    pub tensors: u64,
    /// All of it.
    pub total: u64,
    /// Most that was ever held at one time.
    pub high_water: u64,
    /// The least that arenas can be for these sessions one after another: most activation bytes alive at one time.
    pub live_bytes: u64,
    /// By session.
    pub sessions: Vec<SessionMemory>,
}

/// What the adapter says of itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebGpuFacts {
    /// Vendor.
    pub vendor: String,
    /// Architecture.
    pub architecture: String,
    /// Device.
    pub device: String,
    /// Description.
    pub description: String,
    /// Whether it runs in software.
    pub is_fallback_adapter: bool,
    /// Features.
    pub features: Vec<String>,
    /// Limits by WebGPU's names.
    pub limits: BTreeMap<&'static str, f64>,
}

/// What this machine can do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// Lanes that work here.
    pub lanes: Vec<&'static str>,
    /// The adapter.
    pub webgpu: WebGpuFacts,
    /// Name of this combination of adapter, features and limits.
    pub fingerprint: String,
}

/// What the probes at start measured.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// Name of this combination of adapter, features and limits.
    pub fingerprint: String,
    /// Floating-point rate in units of 10⁹ a second.
    pub gflops: f64,
    /// Bytes that a copy kernel reads and writes, in units of 10⁹ a second.
    #[serde(rename = "bandwidthGBps")]
    pub bandwidth_gbps: f64,
    /// One empty dispatch in microseconds.
    #[serde(rename = "dispatchUs")]
    pub dispatch_us: f64,
    /// One submit beyond the first in microseconds.
    #[serde(rename = "submitUs")]
    pub submit_us: f64,
    /// From submit to a mapped 4-byte buffer in milliseconds.
    #[serde(rename = "readbackMs")]
    pub readback_ms: f64,
    /// Upload rate in units of 10⁹ bytes a second.
    #[serde(rename = "uploadGBps")]
    pub upload_gbps: f64,
    /// Readback rate in units of 10⁹ bytes a second.
    #[serde(rename = "readbackGBps")]
    pub readback_gbps: f64,
    /// Whether a map settles sooner here when empty submits follow it.
    pub nudge: bool,
    /// How long all probes took in milliseconds.
    #[serde(rename = "probeMs")]
    pub probe_ms: f64,
}

impl Inner {
    pub(super) fn memory(&self) -> MemoryReport {
        let counts = self.lane.counts();
        let sessions = self
            .sessions
            .borrow()
            .values()
            .map(|session| {
                let (weights, shared_weights) = self.lane.weights_of(session.id);
                let programs = session.ready();
                let largest = programs.iter().map(|r| &r.prepared.program).max_by_key(|p| p.arena_bytes);
                SessionMemory {
                    name: session.name.clone(),
                    weights,
                    shared_weights,
                    parameters: programs.iter().map(|r| r.prepared.program.params.len() as u64).sum(),
                    arena: largest.map_or(0, |p| p.arena_bytes),
                    live_bytes: largest.map_or(0, |p| p.live_bytes),
                }
            })
            .collect::<Vec<_>>();
        MemoryReport {
            weights: counts.weights,
            arenas: counts.arenas,
            staging: counts.staging,
            parameters: counts.parameters,
            tensors: counts.tensors,
            total: counts.total(),
            high_water: self.lane.most_bytes(),
            live_bytes: sessions.iter().map(|s| s.live_bytes).max().unwrap_or(0),
            sessions,
        }
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        let facts = self.lane.facts();
        Capabilities {
            lanes: vec!["gpu"],
            webgpu: WebGpuFacts {
                vendor: facts.vendor.clone(),
                architecture: facts.architecture.clone(),
                device: facts.device.clone(),
                description: facts.description.clone(),
                is_fallback_adapter: facts.is_fallback_adapter,
                features: facts.features.clone(),
                limits: facts.limits.clone(),
            },
            fingerprint: fingerprint(self.lane.facts()),
        }
    }

    pub(super) fn profile(&self) -> Profile {
        let m = &self.ceilings;
        Profile {
            fingerprint: fingerprint(self.lane.facts()),
            gflops: m.flops_per_s / 1e9,
            bandwidth_gbps: m.bytes_per_s / 1e9,
            dispatch_us: m.dispatch_s * 1e6,
            submit_us: m.submit_s * 1e6,
            readback_ms: m.readback_s * 1e3,
            upload_gbps: m.upload_bytes_per_s / 1e9,
            readback_gbps: m.readback_bytes_per_s / 1e9,
            nudge: m.nudge,
            probe_ms: m.probe_ms,
        }
    }
}
