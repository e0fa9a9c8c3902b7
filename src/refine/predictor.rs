//! The predictor that a pool asks: the probes' model, its refit, the better of the two, and split-conformal intervals.

use super::accuracy::{Accuracy, accuracy};
use super::fit::{Doubt, Fit};
use super::trial::Trial;
use crate::error::{Error, Kind, Result};
use crate::kernels::Class;
use crate::predict::{Coefficients, Conditions, Forecast, OVERLAP, Rates, Strategy, Terms};
use crate::program::{DispatchCost, ProgramCost};
use crate::records::{OBSERVATIONS, Observation, Records, Refit, Thinned};
use std::collections::{BTreeMap, VecDeque};

/// Of this many alike observations one is held out.
const HELD_OUT_EVERY: usize = 3;
/// Scores that the intervals look back on.
const SCORES: usize = 60;
/// Share of measurements that an interval is to hold.
pub(super) const COVERAGE: f64 = 0.9;
/// How fast the level follows misses and hits (adaptive conformal inference, Gibbs & Candès 2021): what was learned while
/// the doubt was wide says too little of the time when it is narrow.
const LEVEL_GAIN: f64 = 0.04;
/// Standard deviations that hold so much of a normal distribution: the width until there are scores.
const NORMAL_WIDTH: f64 = 1.645;
/// Forecasts, and learns from what they turned out to be.
#[derive(Clone, Debug)]
pub struct Predictor {
    pub(super) rates: Rates,
    fit: Fit,
    pub(super) records: Records,
    /// What an earlier one learned on this machine, and what came from elsewhere.
    pub(super) earlier: Thinned<Observation>,
    pub(super) imported: Thinned<Observation>,
    /// How often each strategy and set of models was seen.
    strata: BTreeMap<(Strategy, Vec<String>), usize>,
    /// Misses in units of the doubt stated beforehand.
    pub(super) scores: VecDeque<f64>,
    /// The quantile of the scores that an interval takes: [`COVERAGE`] as long as that holds what it says.
    pub(super) level: f64,
    /// Half the width of an interval in units of doubt, as the scores and the level say.
    pub(super) width: f64,
    trial: Trial,
}

impl Predictor {
    /// A predictor that knows what the probes measured.
    pub fn new(rates: Rates) -> Self {
        Predictor {
            rates,
            fit: Fit::default(),
            records: Records::default(),
            earlier: Thinned::new(OBSERVATIONS),
            imported: Thinned::new(OBSERVATIONS),
            strata: BTreeMap::new(),
            scores: VecDeque::new(),
            level: COVERAGE,
            width: NORMAL_WIDTH,
            trial: Trial::default(),
        }
    }

    /// Takes in the share of the ceilings, up to [`Class::MOST_SHARE`], that a probe of `class` reached.
    pub fn reaches(&mut self, class: Class, share: f64) {
        let by = share / self.rates.utilisation.insert(class, share).unwrap_or(1.0);
        let mut all = [&mut self.records.observations, &mut self.earlier, &mut self.imported];
        if all.iter().any(|part| part.added() > 0) {
            self.fit.rescale(class, by);
            let all = all.iter_mut().flat_map(|part| part.iter_mut());
            all.for_each(|observation| observation.terms.rescale(class, by));
        }
    }

    /// One dispatch, in milliseconds.
    pub fn dispatch_ms(&self, cost: &DispatchCost) -> f64 {
        self.rates.dispatch_ms(cost, self.coefficients())
    }

    fn coefficients(&self) -> &Coefficients {
        // Shared by all: rolled back, the probes' values stand.
        static PROBES: std::sync::LazyLock<Coefficients> = std::sync::LazyLock::new(Coefficients::default);
        if self.trial.rolled_back() { &PROBES } else { self.fit.coefficients() }
    }

    /// Time in milliseconds and how far that may be off.
    fn predict(&self, terms: &Terms) -> (f64, Doubt) {
        let (fitted, doubt) = self.fit.predict(terms);
        if self.trial.rolled_back() { (self.by_probes(terms), self.rolled_back(doubt)) } else { (fitted, doubt) }
    }

    /// The doubt of the probes' model where it is the better one: it is off by as much as it was.
    fn rolled_back(&self, doubt: Doubt) -> Doubt {
        let off = self.trial.of_probes();
        Doubt { noise: doubt.noise.max(off * off - doubt.unknown), ..doubt }
    }

    pub(super) fn by_probes(&self, terms: &Terms) -> f64 {
        Coefficients::default().total(terms, &[]).0
    }

    /// What executing `costs` by `strategy` in `submits` submits is expected to take under `conditions`.
    pub fn forecast(
        &self,
        costs: &[&ProgramCost],
        strategy: Strategy,
        submits: usize,
        conditions: Conditions,
    ) -> Forecast {
        self.forecast_terms(&self.rates.terms(costs, strategy, submits, conditions))
    }

    /// What an execution of these terms is expected to take.
    pub fn forecast_terms(&self, terms: &Terms) -> Forecast {
        let (total_ms, doubt) = self.predict(terms);
        // What the scores say is said of noise: how far off a factor is that was never seen they do not know.
        let width = self.width;
        let width = (width * width * doubt.noise + width.min(NORMAL_WIDTH).powi(2) * doubt.unknown).sqrt().exp();
        Forecast {
            strategy: terms.strategy,
            total_ms,
            interval_ms: [total_ms / width, total_ms * width],
            throughput: terms.requests.len() as f64 / total_ms * 1e3,
            timeline: self.coefficients().timeline(terms),
        }
    }

    /// How well the ratio of the times of two ways to execute `costs` is known, each a strategy in so many submits: the
    /// standard deviation of its logarithm.
    pub fn ratio_doubt(&self, costs: &[&ProgramCost], a: (Strategy, usize), b: (Strategy, usize)) -> f64 {
        let terms = |(strategy, submits)| self.rates.terms(costs, strategy, submits, Conditions::default());
        self.fit.ratio_doubt(&terms(a), &terms(b))
    }

    /// How many times what all threads take, times how many they are, a program takes by one of them.
    pub fn beside(&self) -> f64 {
        if self.rates.threads > 1 { self.coefficients().fixed[OVERLAP].exp() } else { 1.0 }
    }

    /// Takes in that `model`, of which nothing is known yet, is made of what all of `costs` are.
    pub fn expect(&mut self, model: &str, costs: &[&ProgramCost]) {
        self.fit.expect(model, self.rates.terms(costs, Strategy::Sequential, 1, Conditions::default()));
    }

    /// The conformal quantile of the scores, once there are enough.
    fn quantile(&self) -> f64 {
        let mut sorted: Vec<f64> = self.scores.iter().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank = ((sorted.len() + 1) as f64 * self.level).ceil() as usize;
        match sorted.get(rank.saturating_sub(1)) {
            Some(&score) if rank > 1 => score.max(0.1),
            // Too few to know: the widest seen, and never less than a normal distribution has.
            _ => sorted.last().copied().unwrap_or(0.0).max(NORMAL_WIDTH),
        }
    }

    /// Takes in that what was forecast took `measured_ms` under `conditions`. Refuses a time that cannot be.
    pub fn observe(
        &mut self,
        costs: &[&ProgramCost],
        strategy: Strategy,
        submits: usize,
        forecast: &Forecast,
        measured_ms: f64,
        conditions: Conditions,
    ) -> Result<()> {
        self.learn(self.rates.terms(costs, strategy, submits, conditions), forecast, measured_ms)
    }

    /// Takes in that an execution of `terms` took `measured_ms`.
    pub fn learn(&mut self, terms: Terms, forecast: &Forecast, measured_ms: f64) -> Result<()> {
        if !self.believes(&terms, measured_ms) {
            return Err(Error::new(Kind::InvalidInput, format!("an observation of {measured_ms} ms")));
        }
        let doubt = self.fit.predict(&terms).1;
        let mut observation = Observation {
            machine: self.fit.machine(&terms),
            terms,
            predicted_ms: forecast.total_ms,
            interval_ms: forecast.interval_ms,
            measured_ms,
            held_out: false,
            bytes: [0.0; 2],
        };
        let stated = if self.trial.rolled_back() { self.rolled_back(doubt) } else { doubt }.deviation();
        let missed = f64::from(u8::from(!observation.covered()));
        self.level = (self.level + LEVEL_GAIN * (missed - (1.0 - COVERAGE))).clamp(0.5, 0.99);
        keep(&mut self.scores, (measured_ms / forecast.total_ms).ln().abs() / stated, SCORES);
        self.width = self.quantile();
        let seen = self.seen(&observation);
        observation.held_out = seen.is_multiple_of(HELD_OUT_EVERY);
        if let Some(refit) = self.refit(&observation) {
            self.records.judged(refit);
        }
        self.records.observations.add(observation);
        Ok(())
    }

    /// How many alike were seen, this one among them.
    pub(super) fn seen(&mut self, observation: &Observation) -> usize {
        let seen = self.strata.entry((observation.terms.strategy, observation.models())).or_insert(0);
        *seen += 1;
        *seen
    }

    /// Refines the fit by an observation that is not held out: what becomes of that.
    pub(super) fn refit(&mut self, Observation { terms, measured_ms, held_out, .. }: &Observation) -> Option<Refit> {
        if *held_out {
            return None;
        }
        let error = |predicted: f64| (measured_ms / predicted).ln().abs();
        let (fitted, probes) = (error(self.fit.predict(terms).0), error(self.by_probes(terms)));
        self.fit.update(terms, *measured_ms);
        self.trial.judge(terms.conditions.now_ms, fitted, probes)
    }

    /// Whether an execution of `terms` may have taken so long.
    pub(super) fn believes(&self, terms: &Terms, measured_ms: f64) -> bool {
        let sound = measured_ms.is_finite() && measured_ms > 0.0;
        sound && !terms.requests.is_empty() && (measured_ms / self.by_probes(terms)).ln().abs() < 7.0
    }

    /// What the probes measured.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// What it learned from, oldest first.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// The same, to add what else is known.
    pub fn records_mut(&mut self) -> &mut Records {
        &mut self.records
    }

    /// How well it does on what the fit never saw: the current fit and the probes' model, over all that was held out.
    pub fn accuracy(&self) -> Accuracy {
        let by_fit = |o: &Observation| {
            if self.trial.rolled_back() { self.by_probes(&o.terms) } else { self.fit.predict_as(&o.terms, o.machine) }
        };
        accuracy(&self.records, |o| self.by_probes(&o.terms), by_fit)
    }
}

fn keep<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(item);
}
