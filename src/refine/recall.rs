//! What a predictor takes over from others, and what it leaves to later ones. Knows whose is whose; must never know where anything was
//! kept.

use super::learned::{APART_MS, Learned, TAKEN, last_ms};
use super::predictor::Predictor;
use crate::predict::Rates;
use crate::records::{Observation, Thinned};

/// What was taken of records that came from elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Executions that it goes on from.
    pub taken: usize,
    /// Those that it knew.
    pub known: usize,
}

impl Predictor {
    /// Goes on from what an earlier one learned on this machine, before anything ran; its clock began at `time_origin`.
    pub fn recall(&mut self, learned: &Learned, now_ms: f64, time_origin: f64) {
        if self.records.added() > 0 || learned.observations.is_empty() || !learned.is_of(&self.rates) {
            return;
        }
        self.reckons_by(&learned.rates);
        let observations = learned.clone().by_clock(now_ms, time_origin).observations;
        observations.into_iter().for_each(|observation| self.earlier.add(observation));
        self.replay(now_ms);
    }

    /// Goes on from what another one learned on this machine, as if that had been before what it saw itself. Nothing, where that is
    /// another machine's.
    pub fn import(&mut self, learned: &Learned, now_ms: f64, time_origin: f64) -> Option<Imported> {
        if !learned.is_of(&self.rates) {
            return None;
        }
        let seen = self.records.added() + self.earlier.added() + self.imported.added();
        if seen == 0 && !learned.observations.is_empty() {
            self.reckons_by(&learned.rates);
        }
        let mut learned = learned.clone().by_clock(now_ms, time_origin);
        learned.restate(&self.rates);
        let all = learned.observations.len();
        let own = self.all();
        learned.observations.retain(|o| !own.iter().any(|known| known.is(o)));
        let known = all - learned.observations.len();
        learned.observations.retain(|o| self.believes(&o.terms, o.measured_ms));
        let taken = learned.observations.len();
        learned.observations.into_iter().for_each(|observation| self.imported.add(observation));
        if taken > 0 {
            self.replay(now_ms);
        }
        Some(Imported { taken, known })
    }

    /// What others saw, and then what it saw itself.
    fn all(&self) -> Vec<&Observation> {
        let parts = [&self.earlier, &self.imported, &self.records.observations];
        parts.into_iter().flat_map(Thinned::as_slice).collect()
    }

    /// Its factors are those of the rates that they were learned by.
    fn reckons_by(&mut self, rates: &Rates) {
        let utilisation = std::mem::take(&mut self.rates.utilisation);
        self.rates = Rates { utilisation, ..rates.clone() };
    }

    /// Learns anew from all that it knows, what others saw first.
    fn replay(&mut self, now_ms: f64) {
        let mut again = Predictor::new(self.rates.clone());
        let all = self.all();
        let (others, own) = all.split_at(all.len() - self.records.iter().len());
        let since = own.first().map_or(now_ms, |first| first.terms.conditions.now_ms);
        let later = since - APART_MS - last_ms(others.iter().copied());
        for observation in others {
            let mut terms = observation.terms.clone();
            terms.conditions.now_ms += later;
            let forecast = again.forecast_terms(&terms);
            // What it refuses as absurd is nothing to go on from.
            let _ = again.learn(terms, &forecast, observation.measured_ms);
        }
        for observation in own {
            again.seen(observation);
            again.refit(observation);
        }
        if self.records.added() > 0 {
            // What was stated is known of its own forecasts.
            (again.scores, again.level, again.width) = (std::mem::take(&mut self.scores), self.level, self.width);
        }
        again.records = std::mem::take(&mut self.records);
        std::mem::swap(&mut again.earlier, &mut self.earlier);
        std::mem::swap(&mut again.imported, &mut self.imported);
        *self = again;
    }

    /// What a later one may go on from.
    pub fn learned(&self, time_origin: f64) -> Learned {
        let all = self.all();
        let observations = all[all.len().saturating_sub(TAKEN)..].iter().map(|&o| o.clone()).collect();
        Learned { rates: self.rates.clone(), observations, time_origin }
    }

    /// What an earlier one on this machine left, oldest first.
    pub fn earlier(&self) -> &[Observation] {
        self.earlier.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, World, cost, rates};
    use super::*;
    use crate::kernels::Class;
    use crate::predict::Strategy;

    const ORIGIN: f64 = 1.7e12;

    #[test]
    fn another_predictor_on_the_same_machine_goes_on_from_what_was_learned() {
        let (a, b) = (cost("a", Class::Conv, 2e7), cost("b", Class::Matmul, 3e7));
        let (mut first, mut world) = (Predictor::new(rates()), World::new(31));
        for _ in 0..60 {
            world.run(&mut first, &[&a], Strategy::Sequential);
            world.run(&mut first, &[&a, &b], Strategy::Sequential);
        }
        let learned = first.learned(ORIGIN);
        assert!(learned.sound() && learned.observations.len() == 120);
        // What is measured of it now is a little off; its clock is another.
        let now = Rates { flops_per_s: 1.2e10, ..rates() };
        let off = |p: &Predictor| {
            let truth = world.truth.total(&rates().terms(&[&b, &a], Strategy::Sequential, 3, NOW), &[]).0;
            (p.forecast(&[&b, &a], Strategy::Sequential, 3, NOW).total_ms / truth - 1.0).abs()
        };
        let mut second = Predictor::new(now.clone());
        assert!(off(&second) > 0.15, "nothing is known: {}", off(&second));
        second.recall(&learned, 0.0, ORIGIN);
        assert!(off(&second) < 0.05, "{}", off(&second));
        assert_eq!(second.accuracy().observations, 0, "they are not its own");
        assert_eq!(second.learned(ORIGIN).observations.len(), 120);
        // Of another machine nothing holds.
        let mut other = Predictor::new(Rates { flops_per_s: 1e12, ..rates() });
        other.recall(&learned, 0.0, ORIGIN);
        assert!(off(&other) > 0.15 && other.learned(ORIGIN).observations.is_empty());
        let mut broken = learned;
        broken.observations[7].terms.wait_ms = f64::NAN;
        assert!(!broken.sound());
    }

    /// A predictor after runs of two models, and its world.
    fn learned_from(seed: u64, runs: usize) -> (Predictor, World) {
        let (a, b) = (cost("a", Class::Conv, 2e7), cost("b", Class::Matmul, 3e7));
        let (mut predictor, mut world) = (Predictor::new(rates()), World::new(seed));
        for _ in 0..runs {
            world.run(&mut predictor, &[&a], Strategy::Sequential);
            world.run(&mut predictor, &[&a, &b], Strategy::Sequential);
        }
        (predictor, world)
    }

    #[test]
    fn what_comes_from_elsewhere_is_learned_once_as_if_it_had_been_before() {
        let (first, world) = learned_from(41, 60);
        let away = Learned { time_origin: ORIGIN, ..first.learned(ORIGIN) };
        let b = cost("b", Class::Matmul, 3e7);
        let truth = world.truth.total(&rates().terms(&[&b], Strategy::Sequential, 3, NOW), &[]).0;
        let off = |p: &Predictor| (p.forecast(&[&b], Strategy::Sequential, 3, NOW).total_ms / truth - 1.0).abs();
        // It has runs of its own, of another model, by rates that were measured a little otherwise.
        let (mut own, mut here) = (Predictor::new(Rates { dispatch_s: 2.2e-5, ..rates() }), World::new(43));
        (0..8).for_each(|_| here.run(&mut own, &[&cost("a", Class::Conv, 2e7)], Strategy::Sequential));
        let mut second = own.clone();
        let before = second.accuracy();
        let came = second.import(&away, 1e6, ORIGIN).unwrap();
        assert_eq!(came, Imported { taken: 120, known: 0 });
        assert!(off(&second) < 0.08 && off(&own) > 0.1, "{} after {}", off(&second), off(&own));
        let after = second.accuracy();
        assert_eq!(after.observations, before.observations, "they are not its own");
        assert_eq!(after.history.last().map(|past| past.held_out), before.history.last().map(|past| past.held_out));
        assert_eq!(second.import(&away, 1e6, ORIGIN), Some(Imported { taken: 0, known: 120 }), "again");
        let mine = second.learned(ORIGIN);
        assert_eq!(second.import(&mine, 1e6, ORIGIN).unwrap().taken, 0, "its own");
        assert_eq!(mine.observations.len(), 128, "a later pool goes on from all");
        // It goes on learning.
        (0..20).for_each(|_| here.run(&mut second, &[&b], Strategy::Sequential));
        assert!(off(&second) < 0.08, "{}", off(&second));
    }

    #[test]
    fn what_another_machine_saw_is_nothing_to_learn_from() {
        let (mut here, _) = learned_from(47, 4);
        let (there, _) = learned_from(53, 20);
        let mut away = there.learned(ORIGIN);
        away.rates.flops_per_s *= 10.0;
        assert_eq!(here.import(&away, 1e6, ORIGIN), None);
        away.rates.flops_per_s /= 10.0;
        away.observations.iter_mut().take(5).for_each(|o| o.measured_ms *= 1e6);
        assert_eq!(here.import(&away, 1e6, ORIGIN), Some(Imported { taken: 35, known: 0 }), "five cannot be");
    }

    #[test]
    fn terms_by_other_rates_say_the_same() {
        let (costs, strategy) = (cost("a", Class::Conv, 2e7), Strategy::Sequential);
        let twice = Rates { flops_per_s: 2e10, bytes_per_s: 2e10, dispatch_s: 1e-5, ..rates() };
        let mut twice = Rates { submit_s: 2e-4, readback_s: 5e-4, upload_bytes_per_s: 3e9, ..twice };
        twice.utilisation.insert(Class::Conv, 0.25);
        let (mut one, _) = learned_from(59, 1);
        one.records = crate::records::Records::default();
        let forecast = one.forecast(&[&costs], strategy, 3, NOW);
        one.observe(&[&costs], strategy, 3, &forecast, 30.0, NOW).unwrap();
        let mut learned = one.learned(ORIGIN);
        learned.restate(&twice);
        let (said, made) = (&learned.observations[0].terms, twice.terms(&[&costs], strategy, 3, NOW));
        let numbers = |terms: &crate::predict::Terms| {
            let r = &terms.requests[0];
            let own = [terms.submit_ms, terms.wait_ms, r.dispatch_ms, r.upload_ms, r.download_ms];
            own.into_iter().chain(r.class_ms).collect::<Vec<f64>>()
        };
        for (said, made) in numbers(said).into_iter().zip(numbers(&made)) {
            assert!((said - made).abs() <= 1e-9 * made.abs(), "{said} instead of {made}");
        }
    }

    // JSON does not come along for wasm.
    #[cfg(not(target_arch = "wasm32"))]
    #[test]
    fn times_are_by_the_clock_of_who_takes_them_and_what_the_first_release_kept_was_before() {
        let (first, _) = learned_from(61, 20);
        let began_ms = |o: &Observation| o.terms.conditions.now_ms;
        let began = |p: &Predictor| p.earlier().first().map_or(f64::NAN, began_ms);
        let learned = first.learned(ORIGIN);
        let mut second = Predictor::new(rates());
        second.recall(&learned, 50.0, ORIGIN + 5e6);
        assert_eq!(began(&second), began_ms(&learned.observations[0]) - 5e6);
        // As the first release wrote it.
        let mut old = serde_json::to_value(&learned).unwrap();
        assert!(old.as_object_mut().unwrap().remove("timeOrigin").is_some());
        for observation in old["observations"].as_array_mut().unwrap() {
            assert!(observation.as_object_mut().unwrap().remove("bytes").is_some());
        }
        let old: Learned = serde_json::from_value(old).unwrap();
        let mut third = Predictor::new(rates());
        third.recall(&old, 50.0, ORIGIN);
        assert_eq!(third.earlier().last().map(began_ms), Some(50.0 - APART_MS));
    }
}
