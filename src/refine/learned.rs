//! What a predictor learned, for a later one on the same machine: rates, and the executions that they were refined by. Plain values;
//! must never know where they are kept.

use crate::predict::{Rates, Terms};
use crate::records::Observation;
use serde::{Deserialize, Serialize};

/// What is taken along at most: the newest say most.
pub(super) const TAKEN: usize = 256;
/// Between what was learned and now lies this long at least, in milliseconds: nothing is known of how the machine is just now.
const APART_MS: f64 = 600e3;
/// Rates that are this many times what they were are another machine's.
const OTHER: f64 = 4.0;

/// What was learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// What the times of the observations are counted in.
    pub rates: Rates,
    /// The newest executions, oldest first.
    pub observations: Vec<Observation>,
}

fn all_sound(numbers: impl IntoIterator<Item = f64>) -> bool {
    numbers.into_iter().all(|x| x.is_finite() && x >= 0.0)
}

fn terms_sound(terms: &Terms) -> bool {
    let mut requests = terms.requests.iter();
    all_sound([terms.submit_ms, terms.wait_ms, terms.conditions.busy])
        && terms.conditions.now_ms.is_finite()
        && requests.all(|r| all_sound(r.class_ms.into_iter().chain([r.dispatch_ms, r.upload_ms, r.download_ms])))
}

impl Learned {
    /// Whether it can be believed: what was kept may be anything by now.
    pub fn sound(&self) -> bool {
        let rates = [self.rates.flops_per_s, self.rates.bytes_per_s, self.rates.upload_bytes_per_s];
        self.observations.len() <= TAKEN
            && (self.observations.is_empty() || all_sound(rates))
            && self.observations.iter().all(|o| terms_sound(&o.terms) && o.measured_ms.is_finite())
    }

    /// Whether it is of a machine whose rates are `now`.
    pub(super) fn is_of(&self, now: &Rates) -> bool {
        let near = |was: f64, is: f64| was > 0.0 && (is / was).ln().abs() < OTHER.ln();
        near(self.rates.flops_per_s, now.flops_per_s) && near(self.rates.bytes_per_s, now.bytes_per_s)
    }

    /// The observations as long ago as nothing of them is of just now.
    pub(super) fn before(&self, now_ms: f64) -> impl Iterator<Item = Observation> {
        let last = self.observations.last().map_or(0.0, |o| o.terms.conditions.now_ms);
        self.observations.iter().cloned().map(move |mut observation| {
            observation.terms.conditions.now_ms += now_ms - APART_MS - last;
            observation
        })
    }
}
