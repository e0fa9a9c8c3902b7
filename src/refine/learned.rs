//! What a predictor learned, for a later one on the same machine: rates, and the executions that they were refined by. Plain values;
//! must never know where they are kept.

use crate::kernels::Class;
use crate::predict::{Rates, Terms};
use crate::records::Observation;
use serde::{Deserialize, Serialize};

/// What is taken along at most: the newest say most.
pub(super) const TAKEN: usize = 256;
/// Between what others saw and now lies this long, in milliseconds: nothing is known of how the machine is just now.
pub(super) const APART_MS: f64 = 600e3;
/// Rates that are this many times what they were are another machine's.
const OTHER: f64 = 4.0;

/// What was learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Learned {
    /// What the times of the observations are counted in.
    pub rates: Rates,
    /// The newest executions, oldest first.
    pub observations: Vec<Observation>,
    /// When the clock of these began, in milliseconds since 1970; 0 where that is not known, as the first release did not.
    #[serde(default)]
    pub time_origin: f64,
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

/// When the last of these began.
pub(super) fn last_ms<'a>(observations: impl Iterator<Item = &'a Observation>) -> f64 {
    observations.map(|o| o.terms.conditions.now_ms).reduce(f64::max).unwrap_or(0.0)
}

impl Learned {
    /// Whether a predictor can have left it: what was kept may be anything by now.
    pub fn sound(&self) -> bool {
        self.observations.len() <= TAKEN && self.believable()
    }

    /// Whether its numbers are such.
    pub fn believable(&self) -> bool {
        let rates = [self.rates.flops_per_s, self.rates.bytes_per_s, self.rates.upload_bytes_per_s];
        (self.observations.is_empty() || all_sound(rates))
            && self.time_origin.is_finite()
            && self.observations.iter().all(|o| terms_sound(&o.terms) && o.measured_ms.is_finite())
    }

    /// The same with times by the clock that began at `time_origin`, by which it is `now_ms`.
    pub(super) fn by_clock(mut self, now_ms: f64, time_origin: f64) -> Learned {
        let last = last_ms(self.observations.iter());
        let later = if self.time_origin > 0.0 { self.time_origin - time_origin } else { now_ms - APART_MS - last };
        self.observations.iter_mut().for_each(|o| o.terms.conditions.now_ms += later);
        Learned { time_origin, ..self }
    }

    /// States its terms in times by `rates`.
    pub(super) fn restate(&mut self, rates: &Rates) {
        let ratio = |of: fn(&Rates) -> f64| {
            let ratio = of(&self.rates) / of(rates);
            if ratio.is_finite() && ratio > 0.0 { ratio } else { 1.0 }
        };
        // Whether a class's time is of operations or of bytes is not known any more.
        let computed = (ratio(|r| r.flops_per_s) * ratio(|r| r.bytes_per_s)).sqrt();
        let (up, down) = (ratio(|r| r.upload_bytes_per_s), ratio(|r| r.readback_bytes_per_s));
        let (dispatch, submit, wait) = (ratio(|r| r.dispatch_s), ratio(|r| r.submit_s), ratio(|r| r.readback_s));
        let share = |of: &Rates, class| of.utilisation.get(&class).copied().unwrap_or(1.0);
        let classes = Class::ALL.map(|class| computed * share(&self.rates, class) / share(rates, class));
        for Observation { terms, .. } in &mut self.observations {
            terms.submit_ms /= submit;
            terms.wait_ms /= wait;
            for request in &mut terms.requests {
                request.class_ms.iter_mut().zip(classes).for_each(|(ms, by)| *ms *= by);
                request.dispatch_ms /= dispatch;
                request.upload_ms *= up;
                request.download_ms *= down;
            }
        }
        self.rates = rates.clone();
    }

    /// Whether it is of a machine whose rates are `now`.
    pub(super) fn is_of(&self, now: &Rates) -> bool {
        let near = |was: f64, is: f64| was > 0.0 && (is / was).ln().abs() < OTHER.ln();
        near(self.rates.flops_per_s, now.flops_per_s) && near(self.rates.bytes_per_s, now.bytes_per_s)
    }
}
