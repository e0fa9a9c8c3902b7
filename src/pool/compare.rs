//! Every strategy in turn on the same requests: measured beside predicted. Knows plans and executions; must never know
//! how either is made.

use super::batching::Unit;
use super::calls::{Calls, Checked, Sets, add};
use super::joining::fed;
use super::options::RunOptions;
use super::plan::Plan;
use super::queue::Execution;
use super::report::{Comparison, StrategyComparison, StrategyPrediction};
use super::split::span;
use crate::error::{Error, Kind, Result};
use crate::lane::{Outcome, SubmitSpan};
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

/// Requests that run at once, by lane.
struct Way {
    prediction: StrategyPrediction,
    sets: Sets,
    places: Vec<String>,
    /// Names of what is executed, where that is not the requests themselves.
    names: Option<Vec<String>>,
}

/// What one run of a set took and did.
struct Measured {
    ms: f64,
    bytes: u64,
    timeline: Vec<Span>,
}

impl Way {
    async fn run(&self, calls: &Calls, names: &[String]) -> Result<Measured> {
        // Through the queues: a call with a strategy shares its execution with no other.
        let options = RunOptions::by(self.prediction.strategy);
        let mut parts = vec![];
        for (result, requests, _) in calls.at_once(self.sets.clone(), options).await {
            parts.push((result?, requests));
        }
        let runs: Vec<&Execution> = parts.iter().map(|(run, _)| run).collect();
        let (began, ended) = span(&runs);
        let several = parts.len() > 1;
        let mut spans = vec![];
        for ((run, requests), place) in parts.iter().zip(&self.places) {
            let own = || requests.iter().filter_map(|&i| names.get(i).cloned()).collect();
            let names: Vec<String> = self.names.clone().unwrap_or_else(own);
            let after = run.began_ms - began;
            let side_by_side = self.prediction.strategy == Strategy::Parallel;
            spans.extend(timeline(&run.outcome, &names, side_by_side).into_iter().map(|span| Span {
                place: if several { place.clone() } else { span.place },
                start_ms: span.start_ms + after,
                end_ms: span.end_ms + after,
                ..span
            }));
        }
        let bytes = parts.iter().map(|(run, _)| run.outcome.bytes).sum();
        Ok(Measured { ms: ended - began, bytes, timeline: spans })
    }
}

/// Compares every strategy that `requests` can run by; `told` hears after each round what is known so far.
pub(super) async fn compare(
    calls: &Rc<Calls>,
    requests: &[Checked],
    repeats: usize,
    goal: Goal,
    told: &dyn Fn(&Comparison),
) -> Result<Comparison> {
    let (mut set, mut items) = (vec![], vec![]);
    for request in requests {
        let (placed, item) = calls.ready(request, false).await?;
        set.push(placed);
        items.push(item);
    }
    let fed = fed(&items.iter().collect::<Vec<_>>());
    let foresight = calls.foresee(&set, goal, fed.as_ref()).await?;
    let lane = foresight.prediction().lane;
    let mut ways: Vec<Way> = vec![];
    if let Some(on) = &foresight.on_lane {
        let mut sets: Sets = vec![];
        for (i, request) in requests.iter().enumerate() {
            let here = Rc::ptr_eq(&set[i].desk, &on.desk);
            let item = if here { items[i].clone() } else { calls.at(request, &on.desk).await? };
            add(&mut sets, Rc::clone(&on.desk), i, item);
        }
        let way = |plan: &Plan, names| {
            let (prediction, sets, places) = (plan.prediction(), sets.clone(), vec![String::new()]);
            Way { prediction, sets, places, names }
        };
        ways.extend(on.plans.iter().map(|plan| way(plan, None)));
        if let Some(batch) = &on.batch {
            ways.push(way(&batch.plan, Some(batch.units.iter().map(Unit::name).collect())));
        }
    }
    if let Some((split, prediction)) = foresight.split {
        let (mut sets, mut places): (Sets, Vec<String>) = (vec![], vec![]);
        for part in &split.parts {
            places.push(part.place.clone());
            for &i in &part.requests {
                let here = Rc::ptr_eq(&set[i].desk, &part.desk);
                let item = if here { items[i].clone() } else { calls.at(&requests[i], &part.desk).await? };
                add(&mut sets, Rc::clone(&part.desk), i, item);
            }
        }
        ways.push(Way { prediction, sets, places, names: None });
    }
    let names: Vec<String> = requests.iter().map(|request| request.session.name.clone()).collect();
    for way in &ways {
        way.run(calls, &names).await?;
    }
    // Arenas are as large by now as the largest of them needs.
    if let Some(on) = &foresight.on_lane {
        for (way, bytes) in ways.iter_mut().zip(on.bytes()) {
            way.prediction.predicted_bytes = bytes;
        }
    }
    let mut runs: Vec<Vec<Measured>> = ways.iter().map(|_| vec![]).collect();
    let mut found = Err(nothing());
    for _ in 0..repeats {
        for (way, runs) in ways.iter().zip(&mut runs) {
            runs.push(way.run(calls, &names).await?);
        }
        let so_far = compared(&ways, &runs, lane, foresight.choice.strategy, goal)?;
        told(&so_far);
        found = Ok(so_far);
    }
    found
}

fn nothing() -> Error {
    Error::new(Kind::Internal, "no strategy was compared")
}

/// What the rounds so far say.
fn compared(
    ways: &[Way],
    runs: &[Vec<Measured>],
    lane: &'static str,
    recommended: Strategy,
    goal: Goal,
) -> Result<Comparison> {
    let strategies: Vec<StrategyComparison> = ways.iter().zip(runs).map(|(way, runs)| measured(way, runs)).collect();
    let better = |a: &&StrategyComparison, b: &&StrategyComparison| match goal {
        Goal::Memory => a.measured_bytes.cmp(&b.measured_bytes).then(a.measured_ms.total_cmp(&b.measured_ms)),
        Goal::Latency | Goal::Throughput => a.measured_ms.total_cmp(&b.measured_ms),
    };
    let best = strategies.iter().min_by(better).ok_or_else(nothing)?;
    let chosen = strategies.iter().find(|s| s.prediction.strategy == recommended).ok_or_else(nothing)?;
    Ok(Comparison {
        lane,
        recommended,
        measured_best: best.prediction.strategy,
        regret: chosen.measured_ms / best.measured_ms - 1.0,
        repeats: runs.first().map_or(0, Vec::len),
        strategies,
    })
}

fn measured(way: &Way, runs: &[Measured]) -> StrategyComparison {
    let mut runs: Vec<&Measured> = runs.iter().collect();
    runs.sort_by(|a, b| a.ms.total_cmp(&b.ms));
    let times: Vec<f64> = runs.iter().map(|run| run.ms).collect();
    let middle = runs[runs.len() / 2];
    StrategyComparison {
        prediction: way.prediction.clone(),
        measured_ms: quantile(&times, 0.5),
        spread_ms: [quantile(&times, 0.25), quantile(&times, 0.75)],
        measured_bytes: middle.bytes,
        measured_timeline: middle.timeline.clone(),
    }
}

/// The `q`-quantile of sorted numbers, between neighbours by their distance.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (low, part) = (at.floor() as usize, at.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] * (1.0 - part) + sorted[high] * part
}

/// Where the time of an execution went, as far as a page can see: what the queue told of each submit, or each thread of its programs,
/// where these may run side by side.
fn timeline(outcome: &Outcome, names: &[String], side_by_side: bool) -> Vec<Span> {
    let span = |kind, model: String, start_ms, end_ms| Span { kind, model, place: String::new(), start_ms, end_ms };
    let mut spans = vec![span(SpanKind::Host, String::new(), 0.0, outcome.record_ms)];
    let mut free = 0.0f64;
    if side_by_side && outcome.submits.len() > 1 && outcome.submits.iter().all(|submit| submit.programs.len() == 1) {
        // When each thread is done with what it has.
        let mut threads: Vec<f64> = vec![];
        let mut all: Vec<&SubmitSpan> = outcome.submits.iter().collect();
        all.sort_by(|a, b| a.submitted_ms.total_cmp(&b.submitted_ms));
        for SubmitSpan { programs, submitted_ms, done_ms } in all {
            let thread = threads.iter().position(|end| end <= submitted_ms).unwrap_or(threads.len());
            threads.resize(threads.len().max(thread + 1), 0.0);
            threads[thread] = *done_ms;
            let model = programs.first().and_then(|&i| names.get(i)).cloned().unwrap_or_default();
            let place = format!("thread {}", thread + 1);
            spans.push(Span { place, ..span(SpanKind::Gpu, model, *submitted_ms, *done_ms) });
            free = free.max(*done_ms);
        }
        spans.push(span(SpanKind::Readback, String::new(), free.min(outcome.total_ms), outcome.total_ms));
        return spans;
    }
    for submit in &outcome.submits {
        let start = free.max(submit.submitted_ms);
        free = submit.done_ms.max(start);
        let model = match submit.programs.as_slice() {
            [only] => names.get(*only).cloned().unwrap_or_default(),
            _ => String::new(),
        };
        match spans.last_mut() {
            Some(last) if last.kind == SpanKind::Gpu && last.model == model => last.end_ms = free,
            _ => spans.push(span(SpanKind::Gpu, model, start, free)),
        }
    }
    spans.push(span(SpanKind::Readback, String::new(), free.min(outcome.total_ms), outcome.total_ms));
    spans
}

#[cfg(test)]
mod tests {
    use super::{Outcome, SubmitSpan, quantile, timeline};

    #[test]
    fn programs_side_by_side_stand_by_their_threads() {
        let submit = |program, submitted_ms, done_ms| SubmitSpan { programs: vec![program], submitted_ms, done_ms };
        let submits = vec![submit(0, 1.0, 5.0), submit(1, 1.0, 3.0), submit(2, 3.0, 4.0)];
        let outcome = Outcome { outputs: vec![], total_ms: 6.0, record_ms: 1.0, submits, bytes: 0, awaited: true };
        let names = ["a", "b", "c"].map(str::to_owned);
        let spans = timeline(&outcome, &names, true);
        let own: Vec<_> = spans.iter().map(|s| (s.model.as_str(), s.place.as_str(), s.start_ms, s.end_ms)).collect();
        let computed = [("a", "thread 1", 1.0, 5.0), ("b", "thread 2", 1.0, 3.0), ("c", "thread 2", 3.0, 4.0)];
        assert_eq!(own[1..4], computed);
        assert_eq!((own[0], own[4]), (("", "", 0.0, 1.0), ("", "", 5.0, 6.0)));
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[7.0], 0.25), 7.0);
    }
}
