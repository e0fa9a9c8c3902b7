//! Observations, kept in order and bounded. Knows what an observation is; must never know how it is fitted.

use crate::predict::Terms;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Observations kept at most; the oldest go first.
const KEPT: usize = 4096;

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
}

/// The observations of one pool.
#[derive(Clone, Debug, Default)]
pub struct Records {
    kept: VecDeque<Observation>,
    /// How many were ever added.
    added: usize,
}

impl Records {
    /// Adds one; the oldest goes where there are too many.
    pub fn add(&mut self, observation: Observation) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(observation);
        self.added += 1;
    }

    /// Changes what all consist of: what they are measured by is another than it was.
    pub fn restate(&mut self, change: impl Fn(&mut Terms)) {
        self.kept.iter_mut().for_each(|observation| change(&mut observation.terms));
    }

    /// Those kept, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Observation> + ExactSizeIterator {
        self.kept.iter()
    }

    /// How many were ever added.
    pub fn added(&self) -> usize {
        self.added
    }
}
