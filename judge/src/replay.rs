//! Executions of one lane once more, in the order of time: a predictor learns from some of them and forecasts others. Knows the
//! predictor; must never know why an execution is on either side.

use super::data::{Group, Groups, Recorded};
use super::stats::median;
use consort::refine::Predictor;
use std::collections::BTreeMap;

/// Which side an execution is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It is learned from.
    Learned,
    /// It is forecast, and nobody learns from it.
    Judged,
    /// It is as if it had never been.
    Left,
}

/// A forecast beside what was measured.
#[derive(Clone, Copy, Debug)]
pub struct Judged {
    /// Predicted over measured.
    pub ratio: f64,
    /// Whether the measurement lies in the interval.
    pub covered: bool,
    /// Upper over lower end of the interval.
    pub width: f64,
}

/// The forecasts of those that are judged, by group, each as a page would have seen it just before.
pub fn replay(lane: &Recorded, side: impl Fn(&Group, usize) -> Side) -> BTreeMap<Group, Vec<Judged>> {
    let mut predictor = Predictor::new(lane.records.rates.clone());
    let mut judged: BTreeMap<Group, Vec<Judged>> = BTreeMap::new();
    for (i, observation) in lane.records.observations.iter().enumerate() {
        let group = Group::of(observation);
        let side = side(&group, i);
        if side == Side::Left {
            continue;
        }
        let forecast = predictor.forecast_terms(&observation.terms);
        if side == Side::Judged {
            let [low, high] = forecast.interval_ms;
            let covered = (low..=high).contains(&observation.measured_ms);
            let ratio = forecast.total_ms / observation.measured_ms;
            judged.entry(group).or_default().push(Judged { ratio, covered, width: high / low });
        } else {
            // What the predictor refuses as absurd is nothing to learn from.
            let _ = predictor.learn(observation.terms.clone(), &forecast, observation.measured_ms);
        }
    }
    judged
}

/// Absolute relative error of one group: that of the median of its forecasts over what was measured.
pub fn error(judged: &[Judged]) -> f64 {
    let logs: Vec<f64> = judged.iter().map(|judged| judged.ratio.ln()).collect();
    (median(&logs).exp() - 1.0).abs()
}

/// How far two halves of the repeats of one group are apart: no forecast can be expected to be nearer.
pub fn noise(lane: &Recorded, groups: &Groups) -> Vec<f64> {
    let of = |places: &Vec<usize>| {
        let half = |odd: usize| {
            let each = places.iter().enumerate().filter(|(nth, _)| nth % 2 == odd);
            each.map(|(_, &i)| lane.records.observations[i].measured_ms).collect::<Vec<f64>>()
        };
        (median(&half(0)) / median(&half(1)) - 1.0).abs()
    };
    groups.values().filter(|places| places.len() >= 4).map(of).collect()
}
