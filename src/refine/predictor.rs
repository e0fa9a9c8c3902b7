//! The predictor that a pool asks: the probes' model, its refit, the better of the two, and split-conformal intervals.

use super::accuracy::{Accuracy, accuracy};
use super::fit::{Doubt, Fit};
use super::learned::{Learned, TAKEN};
use crate::error::{Error, Kind, Result};
use crate::kernels::Class;
use crate::predict::{Coefficients, Conditions, Forecast, Rates, Strategy, Terms};
use crate::program::{DispatchCost, ProgramCost};
use crate::records::{Observation, Records};
use std::collections::{BTreeMap, VecDeque};

/// Of this many alike observations one is held out.
const HELD_OUT_EVERY: usize = 3;
/// Scores that the intervals look back on.
const SCORES: usize = 60;
/// Share of measurements that an interval is to hold.
const COVERAGE: f64 = 0.9;
/// How fast the level follows misses and hits (adaptive conformal inference, Gibbs & Candès 2021): what was learned while
/// the doubt was wide says too little of the time when it is narrow.
const LEVEL_GAIN: f64 = 0.04;
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
    /// What an earlier one learned on this machine.
    earlier: Vec<Observation>,
    /// How often each strategy and set of models was seen.
    strata: BTreeMap<(Strategy, Vec<String>), usize>,
    /// Misses in units of the doubt stated beforehand.
    scores: VecDeque<f64>,
    /// The quantile of the scores that an interval takes: [`COVERAGE`] as long as that holds what it says.
    level: f64,
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
            earlier: vec![],
            strata: BTreeMap::new(),
            scores: VecDeque::new(),
            level: COVERAGE,
            trials: VecDeque::new(),
            rolled_back: false,
        }
    }

    /// Takes in the share of the ceilings, in (0, 1], that a probe of `class` reached.
    pub fn reaches(&mut self, class: Class, share: f64) {
        let by = share / self.rates.utilisation.insert(class, share).unwrap_or(1.0);
        if self.records.added() > 0 || !self.earlier.is_empty() {
            self.fit.rescale(class, by);
            self.records.restate(|terms| terms.rescale(class, by));
            self.earlier.iter_mut().for_each(|observation| observation.terms.rescale(class, by));
        }
    }

    /// Goes on from what an earlier one learned on this machine, before anything ran.
    pub fn recall(&mut self, learned: &Learned, now_ms: f64) {
        if self.records.added() > 0 || learned.observations.is_empty() || !learned.is_of(&self.rates) {
            return;
        }
        let utilisation = std::mem::take(&mut self.rates.utilisation);
        // Its factors are those of its rates.
        self.rates = Rates { utilisation, ..learned.rates.clone() };
        for observation in learned.before(now_ms) {
            let forecast = self.forecast_terms(&observation.terms);
            // What it refuses as absurd is nothing to go on from.
            let _ = self.learn(observation.terms.clone(), &forecast, observation.measured_ms);
            self.earlier.push(observation);
        }
        // They are not of this pool.
        self.records = Records::default();
    }

    /// What a later one may go on from.
    pub fn learned(&self) -> Learned {
        let (all, own) = (self.earlier.iter().chain(self.records.iter()), self.records.iter().len());
        let skipped = (self.earlier.len() + own).saturating_sub(TAKEN);
        Learned { rates: self.rates.clone(), observations: all.skip(skipped).cloned().collect() }
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

    /// Time in milliseconds and how far that may be off.
    fn predict(&self, terms: &Terms) -> (f64, Doubt) {
        let (fitted, doubt) = self.fit.predict(terms);
        if self.rolled_back { (self.by_probes(terms), self.rolled_back(doubt)) } else { (fitted, doubt) }
    }

    /// The doubt of the probes' model where it is the better one: it is off by as much as it was.
    fn rolled_back(&self, doubt: Doubt) -> Doubt {
        let off = self.trial_error(|t| t.1);
        Doubt { noise: doubt.noise.max(off * off - doubt.unknown), ..doubt }
    }

    fn by_probes(&self, terms: &Terms) -> f64 {
        Coefficients::default().total(terms, &[]).0
    }

    fn trial_error(&self, of: impl Fn(&(f64, f64)) -> f64) -> f64 {
        self.trials.iter().map(of).sum::<f64>() / self.trials.len().max(1) as f64
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
        let width = self.width();
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

    /// Half the width of an interval in units of doubt: the conformal quantile of the scores, once there are enough.
    fn width(&self) -> f64 {
        let mut sorted: Vec<f64> = self.scores.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
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
        let probes = self.by_probes(&terms);
        let sound = measured_ms.is_finite() && measured_ms > 0.0 && (measured_ms / probes).ln().abs() < 7.0;
        if !sound || terms.requests.is_empty() {
            return Err(Error::new(Kind::InvalidInput, format!("an observation of {measured_ms} ms")));
        }
        let (fitted, doubt) = self.fit.predict(&terms);
        let mut observation = Observation {
            machine: self.fit.machine(&terms),
            terms,
            predicted_ms: forecast.total_ms,
            interval_ms: forecast.interval_ms,
            measured_ms,
            held_out: false,
        };
        let strategy = observation.terms.strategy;
        let seen = self.strata.entry((strategy, observation.models())).or_insert(0);
        *seen += 1;
        observation.held_out = seen.is_multiple_of(HELD_OUT_EVERY);
        let stated = if self.rolled_back { self.rolled_back(doubt) } else { doubt }.deviation();
        let missed = f64::from(u8::from(!observation.covered()));
        self.level = (self.level + LEVEL_GAIN * (missed - (1.0 - COVERAGE))).clamp(0.5, 0.99);
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

    /// What the probes measured.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// What it learned from, oldest first.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// How well it does on what the fit never saw: the current fit and the probes' model, over all that was held out.
    pub fn accuracy(&self) -> Accuracy {
        let by_fit = |o: &Observation| {
            if self.rolled_back { self.by_probes(&o.terms) } else { self.fit.predict_as(&o.terms, o.machine) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::{MACHINE, Machine};

    const NOW: Conditions =
        Conditions { now_ms: 0.0, machine: Machine { hidden: false, pressure: None, on_battery: None }, busy: 0.0 };

    fn rates() -> Rates {
        Rates {
            flops_per_s: 1e10,
            bytes_per_s: 1e10,
            dispatch_s: 2e-5,
            submit_s: 1e-4,
            readback_s: 1e-3,
            upload_bytes_per_s: 1e9,
            readback_bytes_per_s: 1e9,
            threads: 1,
            utilisation: BTreeMap::new(),
        }
    }

    fn cost(model: &str, class: Class, flops: f64) -> ProgramCost {
        let dispatch = DispatchCost { class, flops, bytes: 0.0 };
        ProgramCost { model: model.to_owned(), dispatches: vec![dispatch; 20], upload_bytes: 6e5, readback_bytes: 4e3 }
    }

    /// A machine whose kernels reach other shares of the ceilings than the probes saw, with noise on each measurement.
    struct World {
        rng: u64,
        truth: Coefficients,
        now_ms: f64,
    }

    impl World {
        fn new(seed: u64) -> World {
            let mut truth = Coefficients::default();
            truth.fixed[Class::Conv as usize] = 0.6;
            truth.fixed[Class::Matmul as usize] = -0.4;
            truth.models.insert("b".to_owned(), 0.2);
            World { rng: seed, truth, now_ms: 0.0 }
        }

        /// Within 3 % of nothing, evenly.
        fn noise(&mut self) -> f64 {
            self.rng = self.rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.rng >> 11) as f64 / (1u64 << 53) as f64 - 0.5) * 0.06
        }

        fn run(&mut self, predictor: &mut Predictor, costs: &[&ProgramCost], strategy: Strategy) {
            self.run_in(predictor, costs, strategy, Machine::default());
        }

        /// The error of the forecast.
        fn run_in(
            &mut self,
            predictor: &mut Predictor,
            costs: &[&ProgramCost],
            strategy: Strategy,
            machine: Machine,
        ) -> f64 {
            let at = Conditions { now_ms: self.now_ms, machine, busy: 0.0 };
            let forecast = predictor.forecast(costs, strategy, 3, at);
            let took = self.truth.total(&rates().terms(costs, strategy, 3, at), &[]).0 * self.noise().exp();
            self.now_ms += took;
            predictor.observe(costs, strategy, 3, &forecast, took, at).unwrap();
            (forecast.total_ms / took - 1.0).abs()
        }
    }

    #[test]
    fn the_refit_nears_the_truth_on_runs_that_it_did_not_see() {
        let (a, b) = (cost("a", Class::Conv, 2e7), cost("b", Class::Matmul, 3e7));
        let mut covered = vec![];
        for seed in 1..9 {
            let (mut predictor, mut world) = (Predictor::new(rates()), World::new(seed * 7919));
            for round in 0..40 {
                let strategy = Strategy::OF_LANE[round % 2];
                for set in [&[&a][..], &[&b], &[&a, &b]] {
                    world.run(&mut predictor, set, strategy);
                }
            }
            let accuracy = predictor.accuracy();
            assert_eq!(accuracy.observations, 120);
            assert!((30..50).contains(&accuracy.held_out), "{} held out", accuracy.held_out);
            let (before, after) = (accuracy.error_before.unwrap(), accuracy.error_after.unwrap());
            assert!(before > 0.15 && after < 0.03, "before {before}, after {after}");
            covered.push(accuracy.coverage.unwrap());
            // A set that was never run, of models that were.
            let thrice = [&a, &b, &b];
            let truth = world.truth.total(&rates().terms(&thrice, Strategy::Sequential, 3, NOW), &[]).0;
            let forecast = predictor.forecast(&thrice, Strategy::Sequential, 3, NOW);
            assert!((forecast.total_ms / truth - 1.0).abs() < 0.04, "{} against {truth}", forecast.total_ms);
        }
        let mean = covered.iter().sum::<f64>() / covered.len() as f64;
        assert!((0.84..0.97).contains(&mean), "intervals of {COVERAGE} hold {mean}: {covered:?}");
    }

    #[test]
    fn what_is_shared_by_two_strategies_is_no_doubt_of_their_ratio() {
        let (a, b) = (cost("a", Class::Conv, 2e7), cost("b", Class::Matmul, 3e7));
        let (mut predictor, mut world) = (Predictor::new(rates()), World::new(11));
        let doubt = |p: &Predictor, costs: &[&ProgramCost]| {
            p.ratio_doubt(costs, (Strategy::Sequential, 3), (Strategy::Parallel, 3))
        };
        assert_eq!(doubt(&predictor, &[&a]), 0.0, "one request is the same either way");
        let first = doubt(&predictor, &[&a, &b]);
        assert!((0.02..0.15).contains(&first), "{first}");
        for round in 0..60 {
            world.run(&mut predictor, &[&a, &b], Strategy::OF_LANE[round % 2]);
        }
        let later = doubt(&predictor, &[&a, &b]);
        assert!(later < 0.4 * first, "{later} after {first}");
    }

    #[test]
    fn an_interval_narrows_as_runs_agree() {
        let a = cost("a", Class::Conv, 2e7);
        let (mut predictor, mut world) = (Predictor::new(rates()), World::new(3));
        let width = |p: &Predictor| {
            let [low, high] = p.forecast(&[&a], Strategy::Sequential, 3, NOW).interval_ms;
            (high / low).ln()
        };
        let first = width(&predictor);
        (0..40).for_each(|_| world.run(&mut predictor, &[&a], Strategy::Sequential));
        assert!(width(&predictor) < 0.3 * first, "{} after {first}", width(&predictor));
    }

    #[test]
    fn one_outlier_moves_little_and_nonsense_is_refused() {
        let a = cost("a", Class::Conv, 2e7);
        let (mut predictor, mut world) = (Predictor::new(rates()), World::new(5));
        (0..40).for_each(|_| world.run(&mut predictor, &[&a], Strategy::Sequential));
        let before = predictor.forecast(&[&a], Strategy::Sequential, 3, NOW);
        predictor.observe(&[&a], Strategy::Sequential, 3, &before, before.total_ms * 20.0, NOW).unwrap();
        let after = predictor.forecast(&[&a], Strategy::Sequential, 3, NOW).total_ms;
        assert!((after / before.total_ms - 1.0).abs() < 0.1, "{after} after {}", before.total_ms);
        for nonsense in [f64::NAN, 0.0, -1.0, f64::INFINITY] {
            assert!(predictor.observe(&[&a], Strategy::Sequential, 3, &before, nonsense, NOW).is_err());
        }
    }

    #[test]
    fn a_load_on_the_machine_is_followed_within_ten_runs_and_so_is_its_end() {
        let (a, b) = (cost("a", Class::Conv, 2e7), cost("b", Class::Matmul, 3e7));
        for (seed, load) in [(1, 1.8f64), (2, 1.3), (3, 3.0), (4, 0.6)] {
            let (mut predictor, mut world) = (Predictor::new(rates()), World::new(seed * 104_729));
            let mut mean = |world: &mut World, runs: usize| {
                let run = |i: usize| {
                    let sets: [&[&ProgramCost]; 3] = [&[&a], &[&b], &[&a, &b]];
                    world.run_in(&mut predictor, sets[i % 3], Strategy::Sequential, Machine::default())
                };
                (0..runs).map(run).sum::<f64>() / runs as f64
            };
            mean(&mut world, 50);
            let calm = mean(&mut world, 10);
            for log in [load.ln(), 0.0] {
                world.truth.fixed[MACHINE] = log;
                let first = mean(&mut world, 2);
                mean(&mut world, 8);
                let then = mean(&mut world, 10);
                assert!(first > 0.2 && then < calm.max(0.03) * 1.5, "x{load}: {calm}, first {first}, then {then}");
            }
        }
    }

    #[test]
    fn what_a_hidden_page_takes_is_known_when_it_is_hidden_again() {
        let a = cost("a", Class::Conv, 2e7);
        let (mut predictor, mut world) = (Predictor::new(rates()), World::new(17));
        let (seen, hidden) = (Machine::default(), Machine { hidden: true, ..Machine::default() });
        let mut errors = vec![];
        for round in 0..6 {
            let machine = if round % 2 == 0 { seen } else { hidden };
            world.truth.fixed[MACHINE] = if machine.hidden { 0.9 } else { 0.0 };
            // Long enough apart that nothing is known of the machine any more.
            world.now_ms += 300e3;
            let mut run = || world.run_in(&mut predictor, &[&a], Strategy::Sequential, machine);
            errors.push(run());
            (0..20).for_each(|_| {
                run();
            });
        }
        assert!(errors[1] > 0.4, "it was never hidden: {errors:?}");
        assert!(errors[5] < 0.15, "{errors:?}");
    }

    #[test]
    fn another_predictor_on_the_same_machine_goes_on_from_what_was_learned() {
        let (a, b) = (cost("a", Class::Conv, 2e7), cost("b", Class::Matmul, 3e7));
        let (mut first, mut world) = (Predictor::new(rates()), World::new(31));
        for _ in 0..60 {
            world.run(&mut first, &[&a], Strategy::Sequential);
            world.run(&mut first, &[&a, &b], Strategy::Sequential);
        }
        let learned = first.learned();
        assert!(learned.sound() && learned.observations.len() == 120);
        // What is measured of it now is a little off; its clock is another.
        let now = Rates { flops_per_s: 1.2e10, ..rates() };
        let off = |p: &Predictor| {
            let truth = world.truth.total(&rates().terms(&[&b, &a], Strategy::Sequential, 3, NOW), &[]).0;
            (p.forecast(&[&b, &a], Strategy::Sequential, 3, NOW).total_ms / truth - 1.0).abs()
        };
        let mut second = Predictor::new(now.clone());
        assert!(off(&second) > 0.15, "nothing is known: {}", off(&second));
        second.recall(&learned, 0.0);
        assert!(off(&second) < 0.05, "{}", off(&second));
        assert_eq!(second.accuracy().observations, 0, "they are not its own");
        assert_eq!(second.learned().observations.len(), 120);
        // Of another machine nothing holds.
        let mut other = Predictor::new(Rates { flops_per_s: 1e12, ..rates() });
        other.recall(&learned, 0.0);
        assert!(off(&other) > 0.15 && other.learned().observations.is_empty());
        let mut broken = learned;
        broken.observations[7].terms.wait_ms = f64::NAN;
        assert!(!broken.sound());
    }

    #[test]
    fn what_was_learned_before_a_class_is_probed_stays_known() {
        let a = cost("a", Class::Conv, 2e7);
        let (mut predictor, mut world) = (Predictor::new(rates()), World::new(23));
        (0..40).for_each(|_| world.run(&mut predictor, &[&a], Strategy::Sequential));
        let now = Conditions { now_ms: world.now_ms, ..NOW };
        let before = predictor.forecast(&[&a], Strategy::Sequential, 3, now).total_ms;
        let error = predictor.accuracy().error_after.unwrap();
        predictor.reaches(Class::Conv, 0.25);
        let after = predictor.forecast(&[&a], Strategy::Sequential, 3, now).total_ms;
        assert!((after / before - 1.0).abs() < 0.05, "{after} after {before}");
        assert!((predictor.accuracy().error_after.unwrap() - error).abs() < 0.05);
        predictor.reaches(Class::Pool, 0.5);
        let pooled = predictor.forecast(&[&cost("p", Class::Pool, 2e7)], Strategy::Sequential, 3, now).total_ms;
        let whole = Predictor::new(rates()).forecast(&[&cost("p", Class::Pool, 2e7)], Strategy::Sequential, 3, NOW);
        assert!(pooled > 1.7 * whole.total_ms, "what was not learned is as the probe says: {pooled}");
    }
}
