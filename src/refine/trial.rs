//! Whether the refit does better than the probes' model on what neither had seen. Knows errors; must never know what they are of.

use crate::records::{Refit, Verdict};
use std::collections::VecDeque;

/// Observations over which the refit must do no worse than the probes alone.
const LONG: usize = 16;

/// Log errors of the refit and of the probes' model, stated beforehand.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    errors: VecDeque<(f64, f64)>,
    rolled_back: bool,
}

impl Trial {
    /// Whether the probes' model forecasts.
    pub(super) fn rolled_back(&self) -> bool {
        self.rolled_back
    }

    /// Mean error of the probes' model.
    pub(super) fn of_probes(&self) -> f64 {
        self.mean(|t| t.1)
    }

    fn mean(&self, of: impl Fn(&(f64, f64)) -> f64) -> f64 {
        self.errors.iter().map(of).sum::<f64>() / self.errors.len().max(1) as f64
    }

    /// The errors before an execution that the refit then took in: what becomes of it, once there are enough to tell. Until then it
    /// forecasts.
    pub(super) fn judge(&mut self, now_ms: f64, fitted: f64, probes: f64) -> Option<Refit> {
        if self.errors.len() == LONG {
            self.errors.pop_front();
        }
        self.errors.push_back((fitted, probes));
        if self.errors.len() < LONG {
            return None;
        }
        let (error_before, error_after) = (self.of_probes(), self.mean(|t| t.0));
        let verdict = match (error_after > error_before, self.rolled_back) {
            (false, _) => Verdict::Accepted,
            (true, false) => Verdict::RolledBack,
            (true, true) => Verdict::Refused,
        };
        self.rolled_back = verdict != Verdict::Accepted;
        Some(Refit { now_ms, verdict, error_before, error_after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refit_is_kept_while_it_is_no_worse_and_each_is_counted_by_what_became_of_it() {
        let mut trial = Trial::default();
        let mut judged = |count: usize, fitted: f64| -> Vec<Verdict> {
            (0..count).filter_map(|_| trial.judge(0.0, fitted, 0.25)).map(|refit| refit.verdict).collect()
        };
        assert_eq!(judged(LONG - 1, 0.125), [], "there are too few to tell");
        assert_eq!(judged(2, 0.125), [Verdict::Accepted; 2]);
        // Of eight of 0.125 and eight of 0.375 the mean is the probes'; the ninth makes it worse.
        let worse = judged(10, 0.375);
        assert_eq!(worse[..8], [Verdict::Accepted; 8]);
        assert_eq!(worse[8..], [Verdict::RolledBack, Verdict::Refused], "it was kept, then the probes' was");
        assert!(trial.rolled_back());
        let mut judged = |count: usize, fitted: f64| -> Vec<Verdict> {
            (0..count).filter_map(|_| trial.judge(0.0, fitted, 0.25)).map(|refit| refit.verdict).collect()
        };
        let better = judged(LONG, 0.0);
        assert_eq!((better[0], better[LONG - 1]), (Verdict::Refused, Verdict::Accepted));
        assert!(!trial.rolled_back());
    }
}
