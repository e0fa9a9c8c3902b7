//! Choices beside what each strategy took: regret, and that of who always does the same. Knows measurements; must never know why a
//! strategy was chosen.

use super::data::{Chosen, Tried};
use super::stats::{Mean, mean, quantile};
use consort::predict::Strategy;
use serde::Serialize;

/// How good the choices for sets were that the pool never ran.
#[derive(Debug, Serialize)]
pub struct Choices {
    /// How many sets.
    pub sets: usize,
    /// How much longer than the best the chosen took.
    pub regret: Option<Mean>,
    /// What only one in twenty passes.
    pub regret_p95: f64,
    /// Share of sets whose choice was the best, or within its noise.
    pub top1: Option<Mean>,
    /// Error of the forecasts of all strategies.
    pub time: Option<Mean>,
    /// That of who adds up what each model takes alone.
    pub sum_of_solos: Option<Mean>,
    /// Error of the predicted bytes.
    pub memory: Option<Mean>,
    /// Share of medians inside their interval.
    pub coverage: Option<Mean>,
    /// Regret of who always takes this strategy, where it can be.
    pub always: Vec<(Strategy, Mean)>,
}

fn taken(set: &Chosen, strategy: Strategy) -> Option<&Tried> {
    set.strategies.iter().find(|tried| tried.strategy == strategy)
}

fn best(set: &Chosen) -> Option<&Tried> {
    set.strategies.iter().min_by(|a, b| a.measured_ms.total_cmp(&b.measured_ms))
}

/// How much longer than the best of `set` this strategy took; where it cannot be, one after another is what is done.
fn regret(set: &Chosen, strategy: Strategy) -> Option<f64> {
    let tried = taken(set, strategy).or_else(|| taken(set, Strategy::Sequential))?;
    Some(tried.measured_ms / best(set)?.measured_ms - 1.0)
}

/// Whether half of the runs of one lie in the range of half of those of the other.
fn alike(a: &Tried, b: &Tried) -> bool {
    a.spread_ms[0] <= b.spread_ms[1] && b.spread_ms[0] <= a.spread_ms[1]
}

/// Judges them.
pub fn judged(sets: &[Chosen]) -> Choices {
    let regrets: Vec<f64> = sets.iter().filter_map(|set| regret(set, set.recommended)).collect();
    let right = |set: &Chosen| {
        let (chosen, best) = (taken(set, set.recommended)?, best(set)?);
        Some(f64::from(u8::from(alike(chosen, best))))
    };
    let each = |of: &dyn Fn(&Tried) -> f64| {
        let one = |set: &Chosen| set.strategies.iter().map(of).sum::<f64>() / set.strategies.len().max(1) as f64;
        mean(&sets.iter().map(one).collect::<Vec<_>>())
    };
    let solos = |set: &Chosen| Some((set.sum_of_solos_ms / taken(set, Strategy::Sequential)?.measured_ms - 1.0).abs());
    let always = Strategy::ALL.into_iter().filter_map(|strategy| {
        let all: Vec<f64> = sets.iter().filter_map(|set| regret(set, strategy)).collect();
        Some((strategy, mean(&all)?))
    });
    Choices {
        sets: sets.len(),
        regret: mean(&regrets),
        regret_p95: quantile(&regrets, 0.95),
        top1: mean(&sets.iter().filter_map(right).collect::<Vec<_>>()),
        time: each(&|tried| (tried.predicted_ms / tried.measured_ms - 1.0).abs()),
        sum_of_solos: mean(&sets.iter().filter_map(solos).collect::<Vec<_>>()),
        memory: each(&|tried| (tried.predicted_bytes / tried.measured_bytes.max(1.0) - 1.0).abs()),
        coverage: each(&|tried| {
            let [low, high] = tried.interval_ms;
            f64::from(u8::from((low..=high).contains(&tried.measured_ms)))
        }),
        always: always.collect(),
    }
}

/// As a person reads it.
pub fn printed(choices: &Choices) -> String {
    let percent = |mean: &Option<Mean>| {
        mean.map_or("–".to_owned(), |m| {
            format!("{:.1} % ({:.1} – {:.1})", m.mean * 100.0, m.low * 100.0, m.high * 100.0)
        })
    };
    let mut out = format!(
        "choices for {} sets on all lanes: regret {}, p95 {:.1} %; the best or within its noise {}\n",
        choices.sets,
        percent(&choices.regret),
        choices.regret_p95 * 100.0,
        percent(&choices.top1)
    );
    for (strategy, regret) in &choices.always {
        out += &format!("  always {}: regret {}\n", strategy.as_str(), percent(&Some(*regret)));
    }
    out += &format!(
        "forecasts of all strategies: off by {}; the sum of solos: {}; medians inside their interval: {}\n",
        percent(&choices.time),
        percent(&choices.sum_of_solos),
        percent(&choices.coverage)
    );
    out + &format!("bytes: off by {}\n", percent(&choices.memory))
}
