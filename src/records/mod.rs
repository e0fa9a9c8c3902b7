//! What a pool remembers, in order and bounded: observations and refits. Knows what each of them is; must never know how
//! anything is fitted.

mod thinned;

use crate::predict::Terms;
use serde::{Deserialize, Serialize};
pub use thinned::Thinned;

/// Observations kept at most.
pub const OBSERVATIONS: usize = 4096;
/// Refits kept at most.
const REFITS: usize = 1024;

/// What was measured of one execution, beside what was predicted before it ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observation {
    /// What it consists of.
    pub terms: Terms,
    /// Predicted, in milliseconds.
    pub predicted_ms: f64,
    /// The interval stated with it, in milliseconds.
    pub interval_ms: [f64; 2],
    /// Measured, in milliseconds.
    pub measured_ms: f64,
    /// Logarithm of how much longer everything took just then, as far as was known before it ran.
    pub machine: f64,
    /// Whether the fit never sees it.
    pub held_out: bool,
    /// Bytes that its lane was forecast to hold for it, and what the allocator counted; 0 where that is not known.
    #[serde(default)]
    pub bytes: [f64; 2],
}

impl Observation {
    /// Absolute relative error of the prediction.
    pub fn error(&self) -> f64 {
        (self.predicted_ms / self.measured_ms - 1.0).abs()
    }

    /// Whether the measurement lies in the stated interval.
    pub fn covered(&self) -> bool {
        (self.interval_ms[0]..=self.interval_ms[1]).contains(&self.measured_ms)
    }

    /// Names of the models, sorted: with the strategy, what makes two observations alike.
    pub fn models(&self) -> Vec<String> {
        let mut models: Vec<String> = self.terms.requests.iter().map(|r| r.model.clone()).collect();
        models.sort_unstable();
        models
    }

    /// Whether both tell of one execution: no two take the same time to the last bit after the same forecast.
    pub fn is(&self, other: &Observation) -> bool {
        self.measured_ms == other.measured_ms && self.predicted_ms == other.predicted_ms
    }
}

/// What became of a refit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It forecasts from then on.
    Accepted,
    /// The probes' model forecast before it, and does after it.
    Refused,
    /// The one before it forecast, and the probes' model does after it.
    RolledBack,
}

/// A refit, judged by the executions before which it, or the one before it, stated what it would have forecast.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refit {
    /// When the execution began that it was made of, in milliseconds by the clock of observations.
    pub now_ms: f64,
    /// What became of it.
    pub verdict: Verdict,
    /// Mean absolute error of the logarithm of time: of the probes' model.
    pub error_before: f64,
    /// The same of the refit.
    pub error_after: f64,
}

/// The records of one lane.
#[derive(Clone, Debug)]
pub struct Records {
    /// Executions.
    pub observations: Thinned<Observation>,
    /// What became of refits.
    pub refits: Thinned<Refit>,
    /// How many were accepted, refused and rolled back.
    pub verdicts: [usize; 3],
}

impl Default for Records {
    fn default() -> Self {
        Records { observations: Thinned::new(OBSERVATIONS), refits: Thinned::new(REFITS), verdicts: [0; 3] }
    }
}

impl Records {
    /// Adds a refit.
    pub fn judged(&mut self, refit: Refit) {
        self.verdicts[refit.verdict as usize] += 1;
        self.refits.add(refit);
    }

    /// Adds an execution's bytes, as forecast and as counted, to what was observed last.
    pub fn counted(&mut self, bytes: [f64; 2]) {
        if let Some(last) = self.observations.iter_mut().last() {
            last.bytes = bytes;
        }
    }

    /// The executions that are kept, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Observation> + ExactSizeIterator {
        self.observations.as_slice().iter()
    }

    /// How many executions were ever added.
    pub fn added(&self) -> usize {
        self.observations.added()
    }
}
