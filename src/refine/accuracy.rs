//! The predictor's error on observations that the fit never saw, in the shape that `pkg/index.d.ts` states.

use crate::predict::{Conditions, Strategy};
use crate::records::{Observation, Records};
use serde::Serialize;

/// One observation: what was predicted before it ran, what was measured.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// How it was executed.
    pub strategy: Strategy,
    /// Names of the models, sorted.
    pub models: Vec<String>,
    /// Predicted, in milliseconds.
    pub predicted_ms: f64,
    /// The interval stated with it, in milliseconds.
    pub interval_ms: [f64; 2],
    /// Measured, in milliseconds.
    pub measured_ms: f64,
    /// Whether the fit never saw it.
    pub held_out: bool,
    /// Absolute relative error of that prediction.
    pub error: f64,
    /// Bytes, as forecast and as counted; 0 where they were not.
    pub bytes: [f64; 2],
    /// How many times as long everything took just then, as far as was known before it ran.
    pub machine: f64,
    /// What it ran under.
    #[serde(flatten)]
    pub conditions: Conditions,
}

/// What became of refits.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refits {
    /// Forecast from then on.
    pub accepted: usize,
    /// Were left out, the probes' model forecasting already.
    pub refused: usize,
    /// Were left out, and the one before with them.
    pub rolled_back: usize,
}

/// Error of the predictor on held-out observations.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accuracy {
    /// All observations so far.
    pub observations: usize,
    /// Those that the fit never saw.
    pub held_out: usize,
    /// Mean absolute relative error of the probes' model on them.
    pub error_before: Option<f64>,
    /// The same of the refit as it is now.
    pub error_after: Option<f64>,
    /// Share of them inside the interval stated before they ran.
    pub coverage: Option<f64>,
    /// What became of refits.
    pub refits: Refits,
    /// Every observation that is kept.
    pub history: Vec<Past>,
}

pub(super) fn accuracy(
    records: &Records,
    by_probes: impl Fn(&Observation) -> f64,
    by_fit: impl Fn(&Observation) -> f64,
) -> Accuracy {
    let held_out: Vec<_> = records.iter().filter(|o| o.held_out).collect();
    let [accepted, refused, rolled_back] = records.verdicts;
    let mean = |of: &dyn Fn(&Observation) -> f64| {
        (!held_out.is_empty()).then(|| held_out.iter().map(|o| of(o)).sum::<f64>() / held_out.len() as f64)
    };
    Accuracy {
        observations: records.added(),
        held_out: held_out.len(),
        error_before: mean(&|o| (by_probes(o) / o.measured_ms - 1.0).abs()),
        error_after: mean(&|o| (by_fit(o) / o.measured_ms - 1.0).abs()),
        coverage: mean(&|o| f64::from(u8::from(o.covered()))),
        refits: Refits { accepted, refused, rolled_back },
        history: records
            .iter()
            .map(|o| Past {
                strategy: o.terms.strategy,
                models: o.models(),
                predicted_ms: o.predicted_ms,
                interval_ms: o.interval_ms,
                measured_ms: o.measured_ms,
                held_out: o.held_out,
                error: o.error(),
                bytes: o.bytes,
                machine: o.machine.exp(),
                conditions: o.terms.conditions,
            })
            .collect(),
    }
}
