//! The figures of one lane, as a table and as JSON. Knows splits; must never know how an execution is replayed.

use super::choices::Choices;
use super::data::{Groups, Recorded, groups};
use super::replay::{Judged, error, noise};
use super::splits::{self, Split};
use super::stats::{Mean, mean, median};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::{Value, json};

/// Runs under another load that are not judged: a predictor has these to notice it.
const NOTICED: usize = 10;
/// What stands beside the figures that are agreed on.
const BATCHED: &str = "batched, never run so";
/// Samples after which a predictor is asked.
const SAMPLES: [usize; 4] = [0, 3, 10, 30];

/// What is known of one split.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was never seen.
    pub name: &'static str,
    /// Mean absolute relative error.
    pub mape: Option<Mean>,
    /// Share of groups whose error is at most 5 %, and at most 10 %.
    pub within: [f64; 2],
    /// Share of single executions inside the interval stated for them.
    pub coverage: f64,
    /// Upper over lower end of these intervals, less one.
    pub width: f64,
    /// How far halves of the repeats are apart.
    pub noise: Option<Mean>,
    /// Each set with predicted over measured, the worst first.
    pub sets: Vec<(String, f64)>,
}

/// What is known of one lane.
#[derive(Debug, Serialize)]
pub struct Lane {
    /// Its name.
    pub lane: String,
    /// How many executions there are.
    pub observations: usize,
    /// Each split.
    pub rows: Vec<Row>,
    /// The error of solos after so many runs.
    pub samples: Vec<(usize, Option<Mean>)>,
    /// The error under another load, and after it, each after ten runs.
    pub loaded: [Option<Mean>; 2],
}

fn row(name: &'static str, lane: &Recorded, all: &Groups, split: &Split) -> Row {
    let errors: Vec<f64> = split.values().map(|judged| error(judged)).collect();
    let singles: Vec<&Judged> = split.values().flatten().collect();
    let of = |what: &dyn Fn(&Judged) -> f64| singles.iter().map(|j| what(j)).sum::<f64>() / singles.len().max(1) as f64;
    let within = |most: f64| errors.iter().filter(|e| **e <= most).count() as f64 / errors.len().max(1) as f64;
    let own: Groups =
        all.iter().filter(|(g, _)| split.contains_key(*g)).map(|(g, all)| (g.clone(), all.clone())).collect();
    let ratio = |judged: &[Judged]| median(&judged.iter().map(|j| j.ratio).collect::<Vec<_>>());
    let mut sets: Vec<(String, f64)> = split.iter().map(|(group, judged)| (group.name(), ratio(judged))).collect();
    sets.sort_by(|a, b| b.1.ln().abs().total_cmp(&a.1.ln().abs()));
    Row {
        name,
        sets,
        mape: mean(&errors),
        within: [within(0.05), within(0.1)],
        coverage: of(&|judged| f64::from(u8::from(judged.covered))),
        width: of(&|judged| judged.width - 1.0),
        noise: mean(&noise(lane, &own)),
    }
}

/// Judges one lane.
pub fn lane(lane: &Recorded) -> Lane {
    let all = groups(&lane.records.observations, splits::calm(lane));
    let split: [(&str, Split); 8] = [
        ("solo, its shape unseen", splits::shapes(lane, &all)),
        ("solo, its model unseen", splits::families(lane, &all)),
        ("pair, both models seen", splits::pairs(lane, &all)),
        ("pair, one model unseen", splits::unseen_member(lane, &all)),
        ("pair, both models unseen", splits::unseen_pair(lane, &all)),
        ("triple, by solos and pairs", splits::triples(lane, &all, 3)),
        ("quadruple, by solos and pairs", splits::triples(lane, &all, 4)),
        (BATCHED, splits::fewer(lane, &all)),
    ];
    let loaded = splits::loaded(lane, NOTICED);
    Lane {
        lane: lane.lane.clone(),
        observations: lane.records.observations.len(),
        rows: split.iter().map(|(name, split)| row(name, lane, &all, split)).collect(),
        samples: SAMPLES.into_iter().map(|n| (n, mean(&splits::after(lane, &all, n)))).collect(),
        loaded: loaded.map(|errors| mean(&errors)),
    }
}

fn percent(mean: &Option<Mean>) -> String {
    let one = |m: Mean| format!("{:.1} % ({:.1} – {:.1})", m.mean * 100.0, m.low * 100.0, m.high * 100.0);
    mean.map_or("–".to_owned(), one)
}

/// As a person reads it.
pub fn printed(lane: &Lane, worst: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(vec![
        "never seen",
        "sets",
        "error",
        "within 5 %",
        "within 10 %",
        "in interval",
        "its width",
        "noise floor",
    ]);
    for row in &lane.rows {
        let share = |x: f64| format!("{:.0} %", x * 100.0);
        table.add_row(vec![
            row.name.to_owned(),
            row.mape.map_or(0, |m| m.clusters).to_string(),
            percent(&row.mape),
            share(row.within[0]),
            share(row.within[1]),
            share(row.coverage),
            share(row.width),
            percent(&row.noise),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let samples: Vec<String> = lane.samples.iter().map(|(n, error)| format!("{n}: {}", percent(error))).collect();
    let mut sets = String::new();
    for row in lane.rows.iter().filter(|_| worst > 0) {
        sets += &format!("{}, predicted over measured:\n", row.name);
        row.sets.iter().take(worst).for_each(|(name, ratio)| sets += &format!("  {ratio:.2}  {name}\n"));
    }
    format!(
        "lane {}, {} executions; errors with their 95 % interval\n{table}\nsolos after so many runs: {}\nafter ten runs under another load: {}; ten runs after its end: {}\n{sets}",
        lane.lane,
        lane.observations,
        samples.join("; "),
        percent(&lane.loaded[0]),
        percent(&lane.loaded[1]),
    )
}

/// What a program reads: the figures by the names that are agreed on, each the worst of the lanes; and all of them.
pub fn figures(browser: &str, lanes: &[Lane], choices: &Choices) -> Value {
    let of = |name: &str| {
        let rows = lanes.iter().flat_map(|lane| &lane.rows).filter(|row| row.name == name);
        rows.filter_map(|row| row.mape.map(|m| m.mean))
            .fold(None, |most: Option<f64>, x| Some(most.map_or(x, |m| m.max(x))))
    };
    let agreed = |row: &&Row| row.mape.is_some() && row.name != BATCHED;
    let known = || lanes.iter().flat_map(|lane| &lane.rows).filter(agreed);
    let noise = known().filter_map(|row| row.noise.map(|m| m.mean)).fold(0.0, f64::max);
    // The one that is farthest from what it is to be.
    let coverage = known().map(|row| row.coverage).max_by(|a, b| (a - 0.9).abs().total_cmp(&(b - 0.9).abs()));
    json!({
        "browser": browser,
        "solo_mape": of("solo, its shape unseen"),
        "pair_mape": of("pair, both models seen"),
        "unseen_member_mape": of("pair, one model unseen"),
        "triple_mape": of("triple, by solos and pairs"),
        "batched_mape": of(BATCHED),
        "memory_mape": choices.memory.map(|m| m.mean),
        "noise_floor": noise,
        "coverage90": coverage,
        "regret_mean": choices.regret.map(|m| m.mean),
        "regret_p95": choices.regret_p95,
        "top1": choices.top1.map(|m| m.mean),
        "lanes": lanes,
        "choices": choices,
    })
}
