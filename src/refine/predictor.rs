//! The predictor that a pool asks: the probes' model, its refit, the better of the two, and split-conformal intervals.

use super::accuracy::{Accuracy, accuracy};
use super::fit::Fit;
use crate::error::{Error, Kind, Result};
use crate::predict::{Coefficients, Forecast, Rates, Strategy, Terms};
use crate::program::{DispatchCost, ProgramCost};
use crate::records::{Observation, Records};
use std::collections::{BTreeMap, VecDeque};

/// Of this many alike observations one is held out.
const HELD_OUT_EVERY: usize = 3;
/// Scores that the intervals look back on.
const SCORES: usize = 60;
/// Share of measurements that an interval is to hold.
const COVERAGE: f64 = 0.9;
/// Standard deviations that hold so much of a normal distribution: the width until there are scores.
const NORMAL_WIDTH: f64 = 1.645;
/// Observations over which the refit must do no worse than the probes alone.
const TRIAL: usize = 16;

/// Forecasts, and learns from what they turned out to be.
#[derive(Clone, Debug)]
pub struct Predictor {
    rates: Rates,
    fit: Fit,
    records: Records,
    /// How often each strategy and set of models was seen.
    strata: BTreeMap<(Strategy, Vec<String>), usize>,
    /// Misses in units of the doubt stated beforehand.
    scores: VecDeque<f64>,
    /// Log errors of the refit and of the probes' model, stated beforehand.
    trials: VecDeque<(f64, f64)>,
    rolled_back: bool,
}

impl Predictor {
    /// A predictor that knows what the probes measured.
    pub fn new(rates: Rates) -> Self {
        Predictor {
            rates,
            fit: Fit::default(),
            records: Records::default(),
            strata: BTreeMap::new(),
            scores: VecDeque::new(),
            trials: VecDeque::new(),
            rolled_back: false,
        }
    }

    /// One dispatch, in milliseconds.
    pub fn dispatch_ms(&self, cost: &DispatchCost) -> f64 {
        self.rates.dispatch_ms(cost, self.coefficients())
    }

    fn coefficients(&self) -> &Coefficients {
        // Shared by all: rolled back, the probes' values stand.
        static PROBES: std::sync::LazyLock<Coefficients> = std::sync::LazyLock::new(Coefficients::default);
        if self.rolled_back { &PROBES } else { self.fit.coefficients() }
    }

    /// Time in milliseconds and the standard deviation of its logarithm.
    fn predict(&self, terms: &Terms) -> (f64, f64) {
        let (fitted, doubt) = self.fit.predict(terms);
        if self.rolled_back { (self.by_probes(terms), doubt.max(self.trial_error(|t| t.1))) } else { (fitted, doubt) }
    }

    fn by_probes(&self, terms: &Terms) -> f64 {
        Coefficients::default().total(terms, &[]).0
    }

    fn trial_error(&self, of: impl Fn(&(f64, f64)) -> f64) -> f64 {
        self.trials.iter().map(of).sum::<f64>() / self.trials.len().max(1) as f64
    }

    /// What executing `costs` by `strategy` in `submits` submits is expected to take.
    pub fn forecast(&self, costs: &[&ProgramCost], strategy: Strategy, submits: usize) -> Forecast {
        let terms = self.rates.terms(costs, strategy, submits);
        let (total_ms, doubt) = self.predict(&terms);
        let width = (self.width() * doubt).exp();
        Forecast {
            strategy,
            total_ms,
            interval_ms: [total_ms / width, total_ms * width],
            throughput: costs.len() as f64 / total_ms * 1e3,
            timeline: self.coefficients().timeline(&terms),
        }
    }

    /// Half the width of an interval in units of doubt: the conformal quantile of the scores, once there are enough.
    fn width(&self) -> f64 {
        let mut sorted: Vec<f64> = self.scores.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let rank = ((sorted.len() + 1) as f64 * COVERAGE).ceil() as usize;
        match sorted.get(rank.saturating_sub(1)) {
            Some(&score) if rank > 1 => score.max(0.1),
            // Too few to know: the widest seen, and never less than a normal distribution has.
            _ => sorted.last().copied().unwrap_or(0.0).max(NORMAL_WIDTH),
        }
    }

    /// Takes in that what was forecast took `measured_ms`. Refuses a time that cannot be.
    pub fn observe(
        &mut self,
        costs: &[&ProgramCost],
        strategy: Strategy,
        submits: usize,
        forecast: &Forecast,
        measured_ms: f64,
    ) -> Result<()> {
        let terms = self.rates.terms(costs, strategy, submits);
        let probes = self.by_probes(&terms);
        let sound = measured_ms.is_finite() && measured_ms > 0.0 && (measured_ms / probes).ln().abs() < 7.0;
        if !sound || costs.is_empty() {
            return Err(Error::new(Kind::InvalidInput, format!("an observation of {measured_ms} ms")));
        }
        let (fitted, doubt) = self.fit.predict(&terms);
        let mut observation = Observation {
            terms,
            predicted_ms: forecast.total_ms,
            interval_ms: forecast.interval_ms,
            measured_ms,
            held_out: false,
        };
        let seen = self.strata.entry((strategy, observation.models())).or_insert(0);
        *seen += 1;
        observation.held_out = seen.is_multiple_of(HELD_OUT_EVERY);
        let stated = if self.rolled_back { doubt.max(self.trial_error(|t| t.1)) } else { doubt };
        keep(&mut self.scores, (measured_ms / forecast.total_ms).ln().abs() / stated, SCORES);
        if !observation.held_out {
            let error = |predicted: f64| (measured_ms / predicted).ln().abs();
            keep(&mut self.trials, (error(fitted), error(probes)), TRIAL);
            self.fit.update(&observation.terms, measured_ms);
            self.rolled_back = self.trials.len() == TRIAL && self.trial_error(|t| t.0) > self.trial_error(|t| t.1);
        }
        self.records.add(observation);
        Ok(())
    }

    /// How well it does on what the fit never saw: the current fit and the probes' model, over all that was held out.
    pub fn accuracy(&self) -> Accuracy {
        accuracy(&self.records, |terms| self.by_probes(terms), |terms| self.predict(terms).0)
    }
}

fn keep<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(item);
}
