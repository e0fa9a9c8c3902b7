//! A machine that predictors are tried on, and how they do there. Knows what is true of it; must never know how anything is learned.

use super::predictor::{COVERAGE, Predictor};
use crate::kernels::Class;
use crate::predict::{Coefficients, Conditions, MACHINE, Machine, Rates, Strategy};
use crate::program::{DispatchCost, ProgramCost};
use std::collections::BTreeMap;

pub(super) const NOW: Conditions =
    Conditions { now_ms: 0.0, machine: Machine { hidden: false, pressure: None, on_battery: None }, busy: 0.0 };

pub(super) fn rates() -> Rates {
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

pub(super) fn cost(model: &str, class: Class, flops: f64) -> ProgramCost {
    let dispatch = DispatchCost { class, flops, bytes: 0.0 };
    let (model, dispatches) = (model.to_owned(), vec![dispatch; 20]);
    ProgramCost { model, dispatches, upload_bytes: 6e5, readback_bytes: 4e3, ..ProgramCost::default() }
}

/// A machine whose kernels reach other shares of the ceilings than the probes saw, with noise on each measurement.
pub(super) struct World {
    rng: u64,
    pub(super) truth: Coefficients,
    pub(super) now_ms: f64,
    /// How far measurements are apart, as a logarithm.
    spread: f64,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let mut truth = Coefficients::default();
        truth.fixed[Class::Conv as usize] = 0.6;
        truth.fixed[Class::Matmul as usize] = -0.4;
        truth.models.insert("b".to_owned(), 0.2);
        World { rng: seed, truth, now_ms: 0.0, spread: 0.06 }
    }

    /// Within half of the spread of nothing, evenly: 3 % at first.
    fn noise(&mut self) -> f64 {
        self.rng = self.rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.rng >> 11) as f64 / (1u64 << 53) as f64 - 0.5) * self.spread
    }

    pub(super) fn run(&mut self, predictor: &mut Predictor, costs: &[&ProgramCost], strategy: Strategy) {
        self.run_in(predictor, costs, strategy, Machine::default());
    }

    /// The mean error of forecasts of two programs in turns: one, the other, and both.
    fn mean(&mut self, predictor: &mut Predictor, (a, b): (&ProgramCost, &ProgramCost), runs: usize) -> f64 {
        let sets: [&[&ProgramCost]; 3] = [&[a], &[b], &[a, b]];
        let run = |i: usize| self.run_in(predictor, sets[i % 3], Strategy::Sequential, Machine::default());
        (0..runs).map(run).sum::<f64>() / runs as f64
    }

    /// The error of the forecast.
    pub(super) fn run_in(
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
    assert!(later < 0.025 && later < 0.5 * first, "{later} after {first}");
}

#[test]
fn a_model_not_met_is_doubted_as_far_as_the_time_is_its() {
    let (a, b) = (cost("a", Class::Conv, 2e7), cost("b", Class::Conv, 2e7));
    let (mut predictor, mut world) = (Predictor::new(rates()), World::new(13));
    (0..40).for_each(|_| world.run(&mut predictor, &[&a], Strategy::Sequential));
    let width = |costs: &[&ProgramCost]| {
        let [low, high] = predictor.forecast(costs, Strategy::Sequential, 3, NOW).interval_ms;
        (high / low).ln()
    };
    let (met, half, whole) = (width(&[&a, &a]), width(&[&a, &b]), width(&[&b]));
    assert!(met < half && half < 0.7 * whole, "{met} {half} {whole}");
}

#[test]
fn what_one_class_shows_says_something_of_the_others() {
    let (conv, product) = (cost("a", Class::Conv, 2e7), cost("b", Class::Matmul, 2e7));
    let (mut predictor, mut world) = (Predictor::new(rates()), World::new(17));
    let of = |p: &Predictor| p.forecast(&[&product], Strategy::Sequential, 3, NOW).total_ms;
    let (before, truth) = (of(&predictor), world.truth.clone());
    world.truth.fixed[Class::Conv as usize] = 0.7;
    (0..20).for_each(|_| world.run(&mut predictor, &[&conv], Strategy::Sequential));
    world.truth = truth;
    assert!(of(&predictor) > 1.2 * before, "{} after {before}", of(&predictor));
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
        let mut mean = |world: &mut World, runs: usize| world.mean(&mut predictor, (&a, &b), runs);
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
fn the_end_of_a_load_is_seen_within_ten_runs_though_its_times_were_far_apart() {
    let (a, b) = (cost("a", Class::Conv, 2e7), cost("b", Class::Matmul, 3e7));
    for load in [1.3f64, 1.5, 1.8, 0.6] {
        let (mut calm, mut then) = (0.0, 0.0);
        for seed in 1..9 {
            let (mut predictor, mut world) = (Predictor::new(rates()), World::new(seed * 104_729));
            let mut mean = |world: &mut World, runs: usize| world.mean(&mut predictor, (&a, &b), runs);
            mean(&mut world, 80);
            calm += mean(&mut world, 10) / 8.0;
            // Who shares its cores has turns that come sooner or later.
            (world.truth.fixed[MACHINE], world.spread) = (load.ln(), 1.0);
            mean(&mut world, 60);
            (world.truth.fixed[MACHINE], world.spread) = (0.0, 0.06);
            mean(&mut world, 10);
            then += mean(&mut world, 10) / 8.0;
        }
        assert!(then < calm.max(0.03) * 1.5, "x{load}: {calm}, then {then}");
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
fn what_is_made_of_known_models_is_expected_to_take_as_much_longer_as_they() {
    let (a, b) = (cost("a", Class::Conv, 2e7), cost("b", Class::Conv, 6e7));
    let (mut predictor, mut world) = (Predictor::new(rates()), World::new(29));
    for _ in 0..40 {
        world.run(&mut predictor, &[&a], Strategy::Sequential);
        world.run(&mut predictor, &[&b], Strategy::Sequential);
    }
    let joint = |name: &str| ProgramCost {
        dispatches: [&a, &b].map(|c| c.dispatches.clone()).concat(),
        ..cost(name, Class::Conv, 0.0)
    };
    let now = Conditions { now_ms: world.now_ms, ..NOW };
    let ms = |predictor: &Predictor, costs: &[&ProgramCost]| {
        predictor.forecast(costs, Strategy::Sequential, 1, now).total_ms
    };
    let (apart, unknown) = (ms(&predictor, &[&a, &b]), ms(&predictor, &[&joint("?")]));
    predictor.expect("a + b", &[&a, &b]);
    let expected = ms(&predictor, &[&joint("a + b")]);
    assert!((expected / apart - 1.0).abs() < 0.02, "{expected} against {apart}");
    assert!((unknown / apart - 1.0).abs() > 0.05, "nothing was to be expected: {unknown} against {apart}");
    predictor.expect("b", &[&a]);
    assert_eq!(ms(&predictor, &[&a, &b]), apart, "what was met is known better");
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
