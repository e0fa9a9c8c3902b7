//! What is learned from and what is judged: shapes, models, pairs and triples that a predictor never saw. Knows groups; must never
//! know how a forecast is made.

use super::data::{Group, Groups, Recorded};
use super::replay::{Judged, Side, error, replay};
use consort::predict::Strategy;
use consort::records::Observation;
use std::collections::BTreeMap;

/// Executions of one split by group.
pub type Split = BTreeMap<Group, Vec<Judged>>;

/// Whether it ran while the machine had no other work, and before.
pub fn calm(lane: &Recorded) -> impl Fn(&Observation) -> bool {
    let from = lane.load.from_ms;
    move |observation| observation.terms.conditions.now_ms < from
}

/// Judges each group that `counts`, by a predictor that `saw` the others.
fn each(
    lane: &Recorded,
    groups: &Groups,
    counts: impl Fn(&Group) -> bool,
    saw: impl Fn(&Group, &Group) -> bool,
) -> Split {
    let calm = calm(lane);
    let mut split = Split::new();
    for judged in groups.keys().filter(|group| counts(group)) {
        let side = |group: &Group, i: usize| match () {
            () if !calm(&lane.records.observations[i]) => Side::Left,
            () if group == judged => Side::Judged,
            () if saw(judged, group) => Side::Learned,
            () => Side::Left,
        };
        split.extend(replay(lane, side));
    }
    split
}

fn batched(group: &Group) -> bool {
    group.strategy == Strategy::Batched
}

fn solo(group: &Group) -> bool {
    group.requests.len() == 1 && !batched(group)
}

fn pair(group: &Group) -> bool {
    group.models().len() == 2 && group.requests.len() == 2 && !batched(group)
}

/// The same requests, by whatever strategy.
fn same(a: &Group, b: &Group) -> bool {
    a.requests == b.requests
}

/// One model at one shape, of which everything else is known that runs alone.
pub fn shapes(lane: &Recorded, groups: &Groups) -> Split {
    each(lane, groups, solo, |judged, group| solo(group) && !same(judged, group))
}

/// One model alone, of which nothing is known.
pub fn families(lane: &Recorded, groups: &Groups) -> Split {
    each(lane, groups, solo, |judged, group| solo(group) && !group.has(&judged.requests[0].0))
}

/// Two models whose pair is new; both are known alone and in other pairs.
pub fn pairs(lane: &Recorded, groups: &Groups) -> Split {
    each(lane, groups, pair, |judged, group| group.models().len() <= 2 && !same(judged, group))
}

/// Two models of which one is new.
pub fn unseen_member(lane: &Recorded, groups: &Groups) -> Split {
    let mut split = Split::new();
    for unseen in 0..2 {
        let judged =
            each(lane, groups, pair, |judged, group| group.models().len() <= 2 && !group.has(judged.models()[unseen]));
        for (group, more) in judged {
            split.entry(group).or_default().extend(more);
        }
    }
    split
}

/// Two models of which both are new.
pub fn unseen_pair(lane: &Recorded, groups: &Groups) -> Split {
    each(lane, groups, pair, |judged, group| {
        group.models().len() <= 2 && !judged.models().iter().any(|model| group.has(model))
    })
}

/// Three models and more, by what is known of each alone and in pairs.
pub fn triples(lane: &Recorded, groups: &Groups, models: usize) -> Split {
    let calm = calm(lane);
    // What never runs alone is known by nothing.
    let alone = |model: &str| groups.keys().any(|group| solo(group) && group.has(model));
    let judges = |group: &Group| {
        let names = group.models();
        let all = names.len() == models && group.requests.len() == models && !batched(group);
        all && names.into_iter().all(alone)
    };
    if !groups.keys().any(judges) {
        return Split::new();
    }
    replay(lane, |group, i| match () {
        () if !calm(&lane.records.observations[i]) => Side::Left,
        () if group.models().len() <= 2 && group.requests.len() <= 2 => Side::Learned,
        () if judges(group) => Side::Judged,
        () => Side::Left,
    })
}

/// Requests as fewer calls, of which everything is known but that.
pub fn fewer(lane: &Recorded, groups: &Groups) -> Split {
    each(lane, groups, batched, |_, group| !batched(group))
}

/// The mean error of solos, after so many runs were learned from.
pub fn after(lane: &Recorded, groups: &Groups, samples: usize) -> Vec<f64> {
    let calm = calm(lane);
    let mut learned: Vec<usize> =
        groups.iter().filter(|(group, _)| solo(group)).flat_map(|(_, all)| all.clone()).collect();
    learned.sort_unstable();
    learned.truncate(samples);
    let last = learned.last().copied();
    let judged = replay(lane, |group, i| match () {
        () if !calm(&lane.records.observations[i]) || !solo(group) => Side::Left,
        () if last.is_some_and(|last| i <= last) => Side::Learned,
        () => Side::Judged,
    });
    judged.values().map(|judged| error(judged)).collect()
}

/// Each execution forecast just before it ran, and learned from: those under the load after so many, and those after its end.
pub fn loaded(lane: &Recorded, skipped: usize) -> [Vec<f64>; 2] {
    let mut errors = [vec![], vec![]];
    let mut predictor = consort::refine::Predictor::new(lane.records.rates.clone());
    let mut seen = [0, 0];
    for observation in &lane.records.observations {
        let forecast = predictor.forecast_terms(&observation.terms);
        let at = observation.terms.conditions.now_ms;
        let which = if at < lane.load.from_ms { None } else { Some(usize::from(at >= lane.load.to_ms)) };
        if let Some(which) = which {
            seen[which] += 1;
            if seen[which] > skipped {
                errors[which].push((forecast.total_ms / observation.measured_ms - 1.0).abs());
            }
        }
        // What the predictor refuses as absurd is nothing to learn from.
        let _ = predictor.learn(observation.terms.clone(), &forecast, observation.measured_ms);
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::super::data::{LaneRecords, Load, groups};
    use super::super::stats::mean;
    use super::*;
    use consort::predict::{Coefficients, Conditions, Rates, RequestTerms, Strategy, Terms};

    /// A lane on which all is as the probes say, but that one model takes half as long again.
    fn lane() -> Recorded {
        let request = |model: &str, ms: f64| RequestTerms {
            model: model.to_owned(),
            class_ms: [ms; _],
            dispatch_ms: 0.1,
            upload_ms: 0.1,
            download_ms: 0.1,
            alone: None,
        };
        let models = ["a", "b", "c", "odd"].map(|name| request(name, 1.0));
        let mut sets: Vec<Vec<RequestTerms>> = models.iter().map(|one| vec![one.clone()]).collect();
        for (i, a) in models.iter().enumerate() {
            sets.extend(models[i + 1..].iter().map(|b| vec![a.clone(), b.clone()]));
        }
        sets.push(models[1..].to_vec());
        let mut truth = Coefficients::default();
        truth.models.insert("odd".to_owned(), 1.5f64.ln());
        let mut observations = vec![];
        for round in 0..12 {
            for set in &sets {
                let conditions = Conditions { now_ms: observations.len() as f64 * 100.0, ..Conditions::default() };
                let strategy = Strategy::Sequential;
                let terms =
                    Terms { strategy, requests: set.clone(), threads: 1, submit_ms: 0.0, wait_ms: 0.5, conditions };
                // One in a hundred apart: a machine is never the same.
                let noise = 1.0 + f64::from(round % 3) * 0.01;
                let measured_ms = truth.total(&terms, &[]).0 * noise;
                observations.push(Observation {
                    terms,
                    predicted_ms: 1.0,
                    interval_ms: [1.0, 1.0],
                    measured_ms,
                    machine: 0.0,
                    held_out: false,
                    bytes: [0.0; 2],
                });
            }
        }
        let records = LaneRecords { rates: Rates::default(), observations };
        Recorded { lane: "lane".to_owned(), load: Load { from_ms: f64::INFINITY, to_ms: f64::INFINITY }, records }
    }

    fn of(split: &Split, has: bool) -> f64 {
        let errors: Vec<f64> = split.iter().filter(|(g, _)| g.has("odd") == has).map(|(_, j)| error(j)).collect();
        mean(&errors).unwrap().mean
    }

    #[test]
    fn what_was_never_seen_is_judged_by_what_was() {
        let lane = lane();
        let all = groups(&lane.records.observations, calm(&lane));
        assert_eq!(all.len(), 11);
        let unseen = families(&lane, &all);
        assert!(of(&unseen, true) > 0.25, "nothing says that it is slower: {}", of(&unseen, true));
        assert!(of(&unseen, false) < 0.2, "{}", of(&unseen, false));
        let seen = pairs(&lane, &all);
        assert!(of(&seen, true) < 0.05 && of(&seen, false) < 0.05, "{} {}", of(&seen, true), of(&seen, false));
        let member = unseen_member(&lane, &all);
        assert!(of(&member, true) > 2.0 * of(&seen, true), "{}", of(&member, true));
        let three = triples(&lane, &all, 3);
        assert_eq!(three.len(), 1);
        assert!(of(&three, true) < 0.05, "{}", of(&three, true));
        assert!(triples(&lane, &all, 4).is_empty());
    }

    #[test]
    fn more_runs_say_more() {
        let lane = lane();
        let all = groups(&lane.records.observations, calm(&lane));
        let error = |samples| mean(&after(&lane, &all, samples)).unwrap().mean;
        assert!(error(30) < 0.5 * error(0), "{} {}", error(30), error(0));
    }
}
