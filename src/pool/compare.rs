//! Every strategy in turn on the same requests: measured beside predicted. Knows plans and executions; must never know
//! how either is made.

use super::desk::Desk;
use super::executing::run as run_on;
use super::options::RunOptions;
use super::plan::Plan;
use super::queue::{Execution, Item};
use super::report::{Comparison, StrategyComparison};
use crate::error::{Error, Kind, Result};
use crate::lane::Outcome;
use crate::predict::{Goal, Span, SpanKind, Strategy};
use std::rc::Rc;

/// Most repeats of a comparison.
const MOST_REPEATS: usize = 100;

/// Refuses what cannot be compared.
pub(super) fn check(requests: usize, repeats: usize) -> Result<()> {
    if requests == 0 || repeats == 0 || repeats > MOST_REPEATS {
        let text = format!("a comparison of {requests} requests, {repeats} times");
        return Err(Error::new(Kind::InvalidInput, text));
    }
    Ok(())
}

/// Compares on `desk`, to which all of `items` belong.
pub(super) async fn compare(desk: &Rc<Desk>, items: Vec<Item>, repeats: usize, goal: Goal) -> Result<Comparison> {
    desk.measure_now().await?;
    let run = async |strategy| {
        // Through the queue: a call with a strategy shares its execution with no other.
        run_on(desk, items.clone(), RunOptions { strategy: Some(strategy), goal: None }).await
    };
    for strategy in Strategy::ALL {
        run(strategy).await?;
    }
    let set: Vec<_> = items.iter().map(|item| &*item.ready).collect();
    let (plans, choice) = desk.plans(&set, goal)?;
    let mut runs: Vec<Vec<Execution>> = Strategy::ALL.iter().map(|_| vec![]).collect();
    for _ in 0..repeats {
        for (strategy, runs) in Strategy::ALL.into_iter().zip(&mut runs) {
            runs.push(run(strategy).await?);
        }
    }
    let names: Vec<String> = items.iter().map(|item| item.session.name.clone()).collect();
    let strategies: Vec<StrategyComparison> =
        plans.iter().zip(runs).map(|(plan, runs)| measured(plan, runs, &names)).collect();
    let better = |a: &&StrategyComparison, b: &&StrategyComparison| match goal {
        Goal::Memory => a.measured_bytes.cmp(&b.measured_bytes).then(a.measured_ms.total_cmp(&b.measured_ms)),
        Goal::Latency | Goal::Throughput => a.measured_ms.total_cmp(&b.measured_ms),
    };
    let nothing = || Error::new(Kind::Internal, "no strategy was compared");
    let best = strategies.iter().min_by(better).ok_or_else(nothing)?;
    let chosen = strategies.iter().find(|s| s.prediction.strategy == choice.strategy).ok_or_else(nothing)?;
    Ok(Comparison {
        lane: desk.lane.name(),
        recommended: choice.strategy,
        measured_best: best.prediction.strategy,
        regret: chosen.measured_ms / best.measured_ms - 1.0,
        repeats,
        strategies,
    })
}

fn measured(plan: &Plan, mut runs: Vec<Execution>, names: &[String]) -> StrategyComparison {
    runs.sort_by(|a, b| a.outcome.total_ms.total_cmp(&b.outcome.total_ms));
    let times: Vec<f64> = runs.iter().map(|r| r.outcome.total_ms).collect();
    let middle = &runs[runs.len() / 2].outcome;
    StrategyComparison {
        prediction: plan.prediction(),
        measured_ms: quantile(&times, 0.5),
        spread_ms: [quantile(&times, 0.25), quantile(&times, 0.75)],
        measured_bytes: middle.bytes,
        measured_timeline: timeline(middle, names),
    }
}

/// The `q`-quantile of sorted numbers, between neighbours by their distance.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (low, part) = (at.floor() as usize, at.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] * (1.0 - part) + sorted[high] * part
}

/// Where the time of an execution went, as far as a page can see: what the queue told of each submit.
fn timeline(outcome: &Outcome, names: &[String]) -> Vec<Span> {
    let mut spans = vec![Span { kind: SpanKind::Host, model: String::new(), start_ms: 0.0, end_ms: outcome.record_ms }];
    let mut free = 0.0f64;
    for submit in &outcome.submits {
        let start = free.max(submit.submitted_ms);
        free = submit.done_ms.max(start);
        let model = match submit.programs.as_slice() {
            [only] => names.get(*only).cloned().unwrap_or_default(),
            _ => String::new(),
        };
        match spans.last_mut() {
            Some(last) if last.kind == SpanKind::Gpu && last.model == model => last.end_ms = free,
            _ => spans.push(Span { kind: SpanKind::Gpu, model, start_ms: start, end_ms: free }),
        }
    }
    spans.push(Span {
        kind: SpanKind::Readback,
        model: String::new(),
        start_ms: free.min(outcome.total_ms),
        end_ms: outcome.total_ms,
    });
    spans
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[7.0], 0.25), 7.0);
    }
}
