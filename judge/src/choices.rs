//! Choices beside what each strategy took: regret, and that of who always does the same. Knows measurements; must never know why a
//! strategy was chosen.

use super::data::{Chosen, Tried};
use super::stats::{Mean, mean, quantile};
use comfy_table::{CellAlignment, Table, presets};
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
    /// On how many sets each strategy can be, was measured best by more than the noise, and was chosen.
    pub wins: Vec<Wins>,
}

/// One strategy among the others.
#[derive(Debug, Serialize)]
pub struct Wins {
    /// Which.
    pub strategy: Strategy,
    /// Sets that can run by it.
    pub possible: usize,
    /// Those on which it is measured best, no other within its noise.
    pub best: usize,
    /// Those for which it was recommended.
    pub chosen: usize,
    /// Error of its forecasts.
    pub time: Option<Mean>,
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

/// Whether `strategy` took less for `set` than every other by more than the noise.
fn wins(set: &Chosen, strategy: Strategy) -> bool {
    let others = |own: &Tried| set.strategies.iter().all(|other| other.strategy == strategy || !alike(own, other));
    set.strategies.len() > 1 && best(set).is_some_and(|own| own.strategy == strategy && others(own))
}

/// How the sets are that can run by `strategy`.
fn among(sets: &[Chosen], strategy: Strategy) -> Wins {
    let tried: Vec<&Tried> = sets.iter().filter_map(|set| taken(set, strategy)).collect();
    let error = |tried: &&Tried| (tried.predicted_ms / tried.measured_ms - 1.0).abs();
    Wins {
        strategy,
        possible: tried.len(),
        best: sets.iter().filter(|set| wins(set, strategy)).count(),
        chosen: sets.iter().filter(|set| set.recommended == strategy).count(),
        time: mean(&tried.iter().map(error).collect::<Vec<_>>()),
    }
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
    let can = |strategy: &Strategy| sets.iter().any(|set| taken(set, *strategy).is_some());
    let always = Strategy::ALL.into_iter().filter(can).filter_map(|strategy| {
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
        wins: Strategy::ALL.into_iter().map(|strategy| among(sets, strategy)).collect(),
    }
}

fn percent(mean: &Option<Mean>) -> String {
    let one = |m: &Mean| format!("{:.1} % ({:.1} – {:.1})", m.mean * 100.0, m.low * 100.0, m.high * 100.0);
    mean.as_ref().map_or("–".to_owned(), one)
}

/// As a person reads it; the `worst` choices with all that is known of them.
pub fn printed(choices: &Choices, sets: &[Chosen], worst: usize) -> String {
    let mut out = format!(
        "choices for {} sets on all lanes: regret {}, p95 {:.1} %; the best or within its noise {}\n",
        choices.sets,
        percent(&choices.regret),
        choices.regret_p95 * 100.0,
        percent(&choices.top1)
    );
    for (strategy, regret) in &choices.always {
        let possible = choices.wins.iter().find(|wins| wins.strategy == *strategy).map_or(0, |wins| wins.possible);
        let part =
            if possible < choices.sets { format!(" where it can be, on {possible} sets") } else { String::new() };
        out += &format!("  always {}{part}: regret {}\n", strategy.as_str(), percent(&Some(*regret)));
    }
    out += &format!(
        "forecasts of all strategies: off by {}; the sum of solos: {}; medians inside their interval: {}\n",
        percent(&choices.time),
        percent(&choices.sum_of_solos),
        percent(&choices.coverage)
    );
    out += &format!("bytes: off by {}\n", percent(&choices.memory));
    out += &format!("{}\n", table(&choices.wins));
    let mut sorted: Vec<&Chosen> = sets.iter().collect();
    let regret_of = |set: &Chosen| regret(set, set.recommended).unwrap_or(0.0);
    sorted.sort_by(|a, b| regret_of(b).total_cmp(&regret_of(a)));
    for set in sorted.into_iter().take(worst) {
        out += &format!("{}: {}\n", set.models.join(", "), set.recommended.as_str());
        for Tried { strategy, predicted_ms, measured_ms, spread_ms: [low, high], .. } in &set.strategies {
            let name = strategy.as_str();
            out += &format!("  {name:10}  {predicted_ms:8.2} ms predicted, {measured_ms:8.2} ({low:.2} – {high:.2})\n");
        }
    }
    out
}

/// Each strategy with the sets on which it is best.
fn table(wins: &[Wins]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(vec!["strategy", "sets", "best by more than the noise", "chosen", "its forecasts are off by"]);
    for Wins { strategy, possible, best, chosen, time } in wins {
        let best = if *best == 0 { "on none".to_owned() } else { best.to_string() };
        table.add_row([strategy.as_str().to_owned(), possible.to_string(), best, chosen.to_string(), percent(time)]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(strategy: Strategy, measured_ms: f64) -> Tried {
        let (interval_ms, spread_ms) = ([1.0, 100.0], [measured_ms * 0.95, measured_ms * 1.05]);
        let (predicted_bytes, measured_bytes) = (1.0, 1.0);
        Tried { strategy, predicted_ms: 10.0, interval_ms, measured_ms, spread_ms, predicted_bytes, measured_bytes }
    }

    fn set(recommended: Strategy, strategies: Vec<Tried>) -> Chosen {
        Chosen { models: vec!["a".to_owned()], recommended, sum_of_solos_ms: 10.0, strategies }
    }

    #[test]
    fn a_strategy_wins_where_none_is_within_its_noise() {
        use Strategy::{Batched, Parallel, Sequential, Split};
        let sets = [
            set(Sequential, vec![tried(Sequential, 10.0), tried(Parallel, 10.5), tried(Batched, 5.0)]),
            set(Sequential, vec![tried(Sequential, 10.0), tried(Parallel, 10.5)]),
            set(Parallel, vec![tried(Sequential, 10.0), tried(Parallel, 8.0)]),
        ];
        let choices = judged(&sets);
        let wins: Vec<_> = choices.wins.iter().map(|w| (w.strategy, w.possible, w.best, w.chosen)).collect();
        assert_eq!(wins, [(Sequential, 3, 0, 2), (Parallel, 3, 1, 1), (Split, 0, 0, 0), (Batched, 1, 1, 0)]);
        let always: Vec<Strategy> = choices.always.iter().map(|(strategy, _)| *strategy).collect();
        assert_eq!(always, [Sequential, Parallel, Batched], "what can be on no set is no baseline");
        let text = printed(&choices, &sets, 1);
        assert!(text.contains("always batched where it can be, on 1 sets"), "{text}");
        assert!(text.contains("on none"), "{text}");
    }
}
