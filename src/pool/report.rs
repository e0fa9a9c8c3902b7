//! What the pool tells: the plain values that cross to JS, in the shapes that `pkg/index.d.ts` states.

use super::known::Known;
use super::options::Priority;
use crate::kernels::Class;
use crate::lane::{Counts, Facts, Lane, Precision};
use crate::predict::{Candidate, Rates, Span, Strategy};
use crate::program::Placed;
use crate::records::{Observation, Refit};
use serde::Serialize;

/// Who answered a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// Name of the lane.
    pub lane: &'static str,
    /// In what its products were computed; none where that is not known.
    pub precision: Option<Precision>,
}

/// A call that has no answer yet, as it is told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueuedCall {
    /// Names of its sessions, in the order of its requests.
    pub sessions: Vec<String>,
    /// Name of the lane.
    pub lane: &'static str,
    /// Whether it waits.
    pub state: CallState,
    /// How urgent it is.
    pub priority: Priority,
    /// Milliseconds since it came to the lane.
    pub waited_ms: f64,
    /// What it is forecast to take, in milliseconds.
    pub predicted_ms: f64,
    /// In so many milliseconds it is expected to begin; below zero since it did.
    pub predicted_start_ms: f64,
    /// Milliseconds that are left to it; none where it has no deadline.
    pub deadline_ms: Option<f64>,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CallState {
    /// Its lane is at work on it.
    Running,
    /// Others are before it.
    Waiting,
}

/// What one lane was measured by, and what its predictor learned from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaneRecords {
    /// Name of the lane.
    pub lane: &'static str,
    /// Name of the combination of device, features and limits.
    pub fingerprint: String,
    /// What the probes measured.
    pub rates: Rates,
    /// The kernel classes, in the order in which observations state their times.
    pub classes: &'static [Class],
    /// What else was measured, as far as it is, without what was learned.
    pub profile: Option<Known>,
    /// Executions that were learned from or held out, oldest first.
    pub observations: Vec<Observation>,
    /// What became of refits.
    pub refits: Vec<Refit>,
    /// Executions that a pool before this one left here.
    pub recalled: Vec<Observation>,
}

/// What `pool.queue` returns.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueReport {
    /// Calls without an answer, those among them whose sessions are made ready first.
    pub pending: usize,
    /// Those that are on their lanes, by lane, in the order in which they are to run; one over several lanes is on each.
    pub calls: Vec<QueuedCall>,
}

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
    /// Bytes that the execution needs on its lane.
    pub predicted_bytes: u64,
    /// What happens when.
    pub timeline: Vec<Span>,
}

impl StrategyPrediction {
    /// It among others.
    pub(super) fn candidate(&self) -> Candidate {
        Candidate {
            strategy: self.strategy,
            total_ms: self.predicted_ms,
            throughput: self.predicted_throughput,
            bytes: self.predicted_bytes,
        }
    }
}

/// What `pool.predict` returns.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Prediction {
    /// Name of the lane of those strategies that take one; the first of them where there is none that takes all.
    pub lane: &'static str,
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
    /// Name of the lane.
    pub lane: &'static str,
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
    /// Name of its lane.
    pub lane: &'static str,
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
    /// Name of the lane.
    pub lane: &'static str,
    /// Size of the arena.
    pub arena: u64,
    /// Most bytes alive at one time.
    pub live_bytes: u64,
    /// Steps: the upload, each dispatch, the download.
    pub steps: usize,
    /// What lies where, when.
    pub tensors: Vec<Placed>,
}

/// What one lane holds, in bytes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaneMemory {
    /// Name of the lane.
    pub lane: &'static str,
    /// Weights, arenas and what else it holds.
    #[serde(flatten)]
    pub counts: Counts,
    /// All of it.
    pub total: u64,
    /// Most that was ever held at one time.
    pub high_water: u64,
    /// The least that arenas can be for its sessions one after another: most activation bytes alive at one time.
    pub live_bytes: u64,
}

/// The pool's memory on its lanes, in bytes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryReport {
    /// Weights, on each lane each content once.
    pub weights: u64,
    /// Arenas.
    pub arenas: u64,
    /// What inputs and outputs pass through.
    pub staging: u64,
    /// Kernel parameters.
    pub parameters: u64,
    /// Tensors that callers keep on a lane.
    pub tensors: u64,
    /// All of it.
    pub total: u64,
    /// Most that each lane ever held at one time, added up.
    pub high_water: u64,
    /// The least that arenas can be for these sessions one after another: most activation bytes alive at one time.
    pub live_bytes: u64,
    /// By lane.
    pub lanes: Vec<LaneMemory>,
    /// By session.
    pub sessions: Vec<SessionMemory>,
}

impl MemoryReport {
    /// The report of `lanes` and of the `sessions` on them.
    pub(super) fn of<'a>(lanes: impl Iterator<Item = &'a dyn Lane>, sessions: Vec<SessionMemory>) -> MemoryReport {
        let mut all: Vec<LaneMemory> = vec![];
        for lane in lanes {
            let (name, counts, high_water) = (lane.name(), lane.counts(), lane.most_bytes());
            if let Some(like) = all.iter_mut().find(|like| like.lane == name) {
                like.counts = like.counts + counts;
                like.total += counts.total();
                like.high_water += high_water;
                continue;
            }
            let live_bytes = sessions.iter().filter(|s| s.lane == name).map(|s| s.live_bytes).max().unwrap_or(0);
            all.push(LaneMemory { lane: name, counts, total: counts.total(), high_water, live_bytes });
        }
        let lanes = all;
        let sum = |of: fn(&LaneMemory) -> u64| lanes.iter().map(of).sum();
        MemoryReport {
            weights: sum(|l| l.counts.weights),
            arenas: sum(|l| l.counts.arenas),
            staging: sum(|l| l.counts.staging),
            parameters: sum(|l| l.counts.parameters),
            tensors: sum(|l| l.counts.tensors),
            total: sum(|l| l.total),
            high_water: sum(|l| l.high_water),
            live_bytes: sum(|l| l.live_bytes),
            lanes,
            sessions,
        }
    }
}

/// The device of one lane.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Name of the lane.
    pub lane: &'static str,
    /// Name of this combination of device, features and limits.
    pub fingerprint: String,
    /// What it says of itself.
    #[serde(flatten)]
    pub facts: Facts,
}

/// What the lanes of a pool run on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// Lanes that work here, the preferred first.
    pub lanes: Vec<&'static str>,
    /// What they run on.
    pub devices: Vec<Device>,
}

/// What the probes at start measured of one lane.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// Name of the lane.
    pub lane: &'static str,
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

impl Profile {
    /// What was measured of `lane`.
    pub(super) fn of(lane: &dyn Lane) -> Profile {
        let m = lane.measured();
        Profile {
            lane: lane.name(),
            fingerprint: lane.facts().fingerprint(),
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
