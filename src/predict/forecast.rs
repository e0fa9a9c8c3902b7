//! What is expected of an execution: its time, and by a simulation of its events what happens where and when. Knows terms and what was
//! learned of them; must never know how it was learned.

use super::Strategy;
use super::model::{Coefficients, SUBMIT, TRANSFER, Terms, WAIT};
use serde::Serialize;

/// What a stretch of time is spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SpanKind {
    /// Recording and submitting.
    Host,
    /// Inputs to the GPU.
    Upload,
    /// Dispatches.
    Gpu,
    /// The map of the outputs.
    Readback,
}

/// One stretch of a timeline, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// What it is.
    pub kind: SpanKind,
    /// Name of the model; empty where it belongs to all.
    pub model: String,
    /// Where, if not all is at one place.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// Start.
    pub start_ms: f64,
    /// End.
    pub end_ms: f64,
}

/// What one strategy is expected to take.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The strategy.
    pub strategy: Strategy,
    /// Milliseconds until all outputs are there.
    pub total_ms: f64,
    /// Where 90 % of measurements are expected, in milliseconds.
    pub interval_ms: [f64; 2],
    /// Requests per second when the set is run again and again.
    pub throughput: f64,
    /// What happens when.
    pub timeline: Vec<Span>,
}

/// Events as they happen: each begins when what it waits for has ended, what its place did before among that.
#[derive(Default)]
struct Events {
    spans: Vec<Span>,
    /// How much longer all takes than in a machine as usual.
    slowed: f64,
}

impl Events {
    /// What takes `ms` at `place` from `start_ms` on: when it ends.
    fn happens(&mut self, (kind, model, place): (SpanKind, &str, &str), ms: f64, start_ms: f64) -> f64 {
        let end_ms = start_ms + ms * self.slowed;
        self.spans.push(Span { kind, model: model.to_owned(), place: place.to_owned(), start_ms, end_ms });
        end_ms
    }
}

impl Coefficients {
    /// What happens when: uploads, submits, each model's dispatches, on the thread that runs them where each has its own, the wait for the
    /// outputs. It ends with the total.
    pub fn timeline(&self, terms: &Terms) -> Vec<Span> {
        let mut events = Events { slowed: self.slowed(terms), ..Events::default() };
        let transfer = self.factor(TRANSFER);
        let up = terms.requests.iter().map(|r| r.upload_ms).sum::<f64>() * transfer;
        let begin = events.happens((SpanKind::Upload, "", ""), up, 0.0);
        let submits = terms.submit_ms * self.factor(SUBMIT);
        let several = terms.requests.len() > 1 && terms.strategy == Strategy::Parallel;
        let computed = match terms.requests.as_slice() {
            _ if several && terms.threads > 1 => self.on_threads(terms, submits, begin, &mut events),
            requests => {
                let device = |(r, (weight, dispatching)): (_, (f64, f64))| {
                    let (classes, dispatched) = self.parts_ms(r);
                    classes * weight + dispatched * dispatching
                };
                let each: Vec<f64> = requests.iter().zip(self.weights(terms)).map(device).collect();
                let all: f64 = each.iter().sum();
                if several {
                    events.happens((SpanKind::Gpu, "", ""), all + submits, begin)
                } else {
                    let share = |ms: f64| if all > 0.0 { ms / all } else { 1.0 / each.len() as f64 };
                    requests.iter().zip(&each).fold(begin, |after, (request, &ms)| {
                        events.happens((SpanKind::Gpu, &request.model, ""), ms + submits * share(ms), after)
                    })
                }
            }
        };
        let down = terms.requests.iter().map(|r| r.download_ms).sum::<f64>() * transfer;
        events.happens((SpanKind::Readback, "", ""), terms.wait_ms * self.factor(WAIT) + down, computed);
        events.spans
    }

    /// Each request on its thread, once all are submitted: when the last of them ends.
    fn on_threads(&self, terms: &Terms, submits: f64, begin: f64, events: &mut Events) -> f64 {
        let begin = events.happens((SpanKind::Host, "", ""), submits, begin);
        let ms = self.alone_ms(terms);
        let mut last = begin;
        for (thread, (_, own)) in self.threads(terms).into_iter().enumerate() {
            let place = format!("thread {}", thread + 1);
            let end = own.into_iter().fold(begin, |after, i| {
                events.happens((SpanKind::Gpu, &terms.requests[i].model, &place), ms[i], after)
            });
            last = last.max(end);
        }
        last
    }
}

// proptest does not build for wasm.
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::super::{Conditions, FIXED, MACHINE, Rates, RequestTerms};
    use super::*;
    use crate::kernels::Class;
    use crate::program::{DispatchCost, ProgramCost};
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};
    use proptest::strategy::Strategy as Random;

    const MODELS: [&str; 3] = ["a", "b", "c"];

    fn request() -> impl Random<Value = RequestTerms> {
        let ms = || 0.0..20.0f64;
        (0..3usize, prop::array::uniform2(ms()), ms(), ms(), ms()).prop_map(|(model, class, dispatch_ms, up, down)| {
            let mut class_ms = [0.0; Class::ALL.len()];
            (class_ms[Class::Conv as usize], class_ms[Class::Matmul as usize]) = (class[0], class[1]);
            let model = MODELS[model].to_owned();
            RequestTerms { model, class_ms, dispatch_ms, upload_ms: up, download_ms: down, alone: None }
        })
    }

    fn terms() -> impl Random<Value = Terms> {
        let strategy = prop::sample::select(Strategy::ALL.to_vec());
        (strategy, prop::collection::vec(request(), 1..6), 1..4usize, 0.0..3.0f64, 0.001..3.0f64).prop_map(
            |(strategy, requests, threads, submit_ms, wait_ms)| {
                let conditions = Conditions::default();
                Terms { strategy, requests, threads, submit_ms, wait_ms, conditions }
            },
        )
    }

    fn learned() -> impl Random<Value = Coefficients> {
        (prop::collection::vec(-1.5..1.5f64, FIXED), prop::array::uniform3(-1.0..1.0f64)).prop_map(|(fixed, models)| {
            let models = MODELS.map(str::to_owned).into_iter().zip(models).collect();
            Coefficients { fixed: std::array::from_fn(|i| fixed[i]), models }
        })
    }

    proptest! {
        #[test]
        fn a_timeline_ends_with_the_total_and_no_place_does_two_things_at_once(terms in terms(), learned in learned()) {
            let (total, slopes) = learned.total(&terms, &[]);
            prop_assert!(total.is_finite() && total > 0.0 && slopes.iter().all(|slope| slope.is_finite()));
            let spans = learned.timeline(&terms);
            let end = spans.iter().map(|span| span.end_ms).fold(0.0, f64::max);
            prop_assert!((end / total - 1.0).abs() < 1e-9, "{end} of {total}");
            for (i, one) in spans.iter().enumerate() {
                prop_assert!(0.0 <= one.start_ms && one.start_ms <= one.end_ms);
                let apart = |other: &Span| other.start_ms >= one.end_ms || one.start_ms >= other.end_ms;
                prop_assert!(spans[..i].iter().all(|other| other.place != one.place || apart(other)), "{spans:?}");
            }
        }

        #[test]
        fn no_timeline_beats_its_longest_request_or_its_threads(terms in terms(), learned in learned()) {
            let (strategy, threads) = (Strategy::Parallel, terms.threads + 1);
            let requests = [terms.requests.clone(), terms.requests].concat();
            let terms = Terms { strategy, threads, requests, ..terms };
            let slowed = learned.fixed[MACHINE].exp();
            let alone = learned.alone_ms(&terms);
            let least = alone.iter().copied().fold(alone.iter().sum::<f64>() / terms.threads as f64, f64::max);
            let spans = learned.timeline(&terms);
            let end = spans.iter().map(|span| span.end_ms).fold(0.0, f64::max);
            prop_assert!(end >= least * slowed * (1.0 - 1e-9), "{end} of {least}");
            let computed: Vec<&Span> = spans.iter().filter(|span| span.kind == SpanKind::Gpu).collect();
            prop_assert_eq!(computed.len(), terms.requests.len(), "each request once");
            let places: std::collections::BTreeSet<_> = computed.iter().map(|span| &span.place).collect();
            prop_assert!(places.len() <= terms.threads);
        }

        #[test]
        fn forecasts_grow_with_the_batch(flops in 1.0..1e9f64, bytes in 1.0..1e9f64, strategy in 0..4usize, learned in learned()) {
            let rates = Rates {
                flops_per_s: 1e9, bytes_per_s: 1e9, dispatch_s: 1e-5, submit_s: 1e-4, readback_s: 1e-3,
                upload_bytes_per_s: 1e9, readback_bytes_per_s: 1e9, threads: 2, utilisation: Default::default(),
            };
            let of = |batch: usize| {
                let by = batch as f64;
                let dispatch = DispatchCost { class: Class::Conv, flops: flops * by, bytes: bytes * by };
                let cost = ProgramCost {
                    model: "a".to_owned(), dispatches: vec![dispatch; 3], upload_bytes: 1e3 * by, readback_bytes: 1e3 * by,
                    ..ProgramCost::default()
                };
                let terms = |set: &[&ProgramCost]| rates.terms(set, Strategy::ALL[strategy], 1, Conditions::default());
                [learned.total(&terms(&[&cost]), &[]).0, learned.total(&terms(&[&cost, &cost]), &[]).0]
            };
            let all: Vec<[f64; 2]> = [1, 2, 5, 16].map(of).to_vec();
            for two in all.windows(2) {
                prop_assert!(two[0].iter().zip(&two[1]).all(|(less, more)| less < more), "{all:?}");
            }
        }
    }
}
