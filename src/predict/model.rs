//! The physical model: time as a sum of terms, each with a rate that the probes measured and a learned factor.
//!
//! device time = Σ max(F / ηP, B / ηβ) by kernel class, plus δ for each dispatch; executions add submits, transfers and one
//! wait for the outputs. Interleaved requests take max + ω'·rest of their device times, ω' being 1 until learned; where each of them
//! is run by one of T threads, a class's part is T·ω' as long, or as many times as runs have shown, and the busiest thread counts.
//! All of it is longer or shorter by the conditions it runs under, and by how the machine is just now.

use super::Strategy;
use super::conditions::{Conditions, LEVELS};
use crate::kernels::Class;
use crate::program::{DispatchCost, ProgramCost};
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the probes measured. Times in seconds, rates per second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rates {
    /// Floating-point operations; a multiply-add counts two.
    pub flops_per_s: f64,
    /// Bytes read and written.
    pub bytes_per_s: f64,
    /// One empty dispatch.
    pub dispatch_s: f64,
    /// One submit beyond the first.
    pub submit_s: f64,
    /// From submit to mapped outputs, of nothing.
    pub readback_s: f64,
    /// Input bytes.
    pub upload_bytes_per_s: f64,
    /// Output bytes.
    pub readback_bytes_per_s: f64,
    /// Threads that compute together, and may each run a request by itself.
    #[serde(default = "one")]
    pub threads: usize,
    /// Share of the ceilings that each kernel class reached, up to [`Class::MOST_SHARE`]; 1 until that is measured.
    pub utilisation: BTreeMap<Class, f64>,
}

fn one() -> usize {
    1
}

/// What was recorded before the last classes came has nothing of them.
fn by_class<'de, D: Deserializer<'de>>(from: D) -> Result<[f64; Class::ALL.len()], D::Error> {
    let some = Vec::<f64>::deserialize(from)?;
    let mut all = [0.0; Class::ALL.len()];
    let known =
        all.get_mut(..some.len()).ok_or_else(|| D::Error::invalid_length(some.len(), &"a time of each class"))?;
    known.copy_from_slice(&some);
    Ok(all)
}

/// Learned factors before those of single models: one per class, then dispatch, submit, wait, transfer, overlap, those of the
/// conditions, and the machine's.
pub const FIXED: usize = MACHINE + 1;
const DISPATCH: usize = Class::ALL.len();
pub(super) const SUBMIT: usize = DISPATCH + 1;
pub(super) const WAIT: usize = DISPATCH + 2;
pub(super) const TRANSFER: usize = DISPATCH + 3;
/// Of the shorter of requests that are interleaved; of requests that are each run by one thread.
pub const OVERLAP: usize = DISPATCH + 4;
/// The first of the conditions'.
pub const CONDITIONS: usize = OVERLAP + 1;
/// How much longer everything takes just now: it is forgotten within a minute.
pub const MACHINE: usize = CONDITIONS + LEVELS;

/// Logarithms of the learned factors: 0 is what the probes say.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficients {
    /// The first [`FIXED`].
    pub fixed: [f64; FIXED],
    /// One for each model, by name.
    pub models: BTreeMap<String, f64>,
}

impl Default for Coefficients {
    fn default() -> Self {
        Coefficients { fixed: [0.0; FIXED], models: BTreeMap::new() }
    }
}

/// One request's terms by the probes' rates, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestTerms {
    /// Name of the model.
    pub model: String,
    /// Device time by class.
    #[serde(deserialize_with = "by_class")]
    pub class_ms: [f64; Class::ALL.len()],
    /// Device time of dispatching.
    pub dispatch_ms: f64,
    /// Inputs to the GPU.
    pub upload_ms: f64,
    /// Outputs back.
    pub download_ms: f64,
    /// How many times as long one thread takes as all do, where runs have shown that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<f64>,
}

/// An execution's terms by the probes' rates, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// How it is executed.
    pub strategy: Strategy,
    /// Its requests.
    pub requests: Vec<RequestTerms>,
    /// Threads, of which each runs a request by itself where they are interleaved.
    #[serde(default = "one")]
    pub threads: usize,
    /// Submits beyond the first.
    pub submit_ms: f64,
    /// The wait for the outputs.
    pub wait_ms: f64,
    /// What it runs under.
    pub conditions: Conditions,
}

/// The places of `ms`, of equal ones the first before the others.
pub fn longest_first(ms: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ms.len()).collect();
    order.sort_by(|&a, &b| ms[b].total_cmp(&ms[a]));
    order
}

impl Rates {
    fn class_ms(&self, cost: &DispatchCost) -> f64 {
        let reached = self.utilisation.get(&cost.class).copied().unwrap_or(1.0);
        (cost.flops / self.flops_per_s).max(cost.bytes / self.bytes_per_s) / reached * 1e3
    }

    /// The terms of executing `costs` by `strategy` in `submits` submits under `conditions`.
    pub fn terms(&self, costs: &[&ProgramCost], strategy: Strategy, submits: usize, conditions: Conditions) -> Terms {
        let requests = costs
            .iter()
            .map(|cost| {
                let mut class_ms = [0.0; Class::ALL.len()];
                for dispatch in &cost.dispatches {
                    class_ms[dispatch.class as usize] += self.class_ms(dispatch);
                }
                RequestTerms {
                    model: cost.model.clone(),
                    class_ms,
                    dispatch_ms: cost.dispatches.len() as f64 * self.dispatch_s * 1e3,
                    upload_ms: cost.upload_bytes / self.upload_bytes_per_s * 1e3,
                    download_ms: cost.readback_bytes / self.readback_bytes_per_s * 1e3,
                    alone: cost.alone.get(),
                }
            })
            .collect();
        Terms {
            strategy,
            requests,
            threads: self.threads,
            submit_ms: submits.saturating_sub(1) as f64 * self.submit_s * 1e3,
            wait_ms: self.readback_s * 1e3,
            conditions,
        }
    }

    /// One dispatch under `coefficients`, in milliseconds.
    pub fn dispatch_ms(&self, cost: &DispatchCost, coefficients: &Coefficients) -> f64 {
        self.class_ms(cost) * coefficients.fixed[cost.class as usize].exp()
            + self.dispatch_s * 1e3 * coefficients.fixed[DISPATCH].exp()
    }
}

impl Terms {
    /// The same where `class` is measured by a share of the ceilings that is `by` times as large.
    pub fn rescale(&mut self, class: Class, by: f64) {
        self.requests.iter_mut().for_each(|request| request.class_ms[class as usize] /= by);
    }
}

impl Coefficients {
    pub(super) fn factor(&self, i: usize) -> f64 {
        self.fixed[i].exp()
    }

    fn model_factor(&self, model: &str) -> f64 {
        self.models.get(model).copied().unwrap_or(0.0).exp()
    }

    /// A request's own time on the device: of its classes, and of dispatching.
    pub(super) fn parts_ms(&self, request: &RequestTerms) -> (f64, f64) {
        let classes: f64 = request.class_ms.iter().enumerate().map(|(c, ms)| ms * self.factor(c)).sum();
        let of_model = self.model_factor(&request.model);
        (classes * of_model, request.dispatch_ms * self.factor(DISPATCH) * of_model)
    }

    fn device_ms(&self, request: &RequestTerms) -> f64 {
        let (classes, dispatching) = self.parts_ms(request);
        classes + dispatching
    }

    /// How many times as long all takes under its conditions, and as the machine is.
    pub(super) fn slowed(&self, terms: &Terms) -> f64 {
        let levels = terms.conditions.levels();
        let log: f64 = levels.iter().zip(&self.fixed[CONDITIONS..]).map(|(level, by)| level * by).sum();
        (log + self.fixed[MACHINE]).exp()
    }

    /// How much of each request's device time counts, of its classes and of dispatching: less or more than all where others run in
    /// between.
    pub(super) fn weights(&self, terms: &Terms) -> Vec<(f64, f64)> {
        if terms.strategy != Strategy::Parallel || terms.requests.len() < 2 {
            return vec![(1.0, 1.0); terms.requests.len()];
        }
        if terms.threads > 1 {
            return self.side_by_side(terms);
        }
        let device: Vec<f64> = terms.requests.iter().map(|r| self.device_ms(r)).collect();
        let longest = (0..device.len()).max_by(|&a, &b| device[a].total_cmp(&device[b])).unwrap_or(0);
        let weight = |i| if i == longest { 1.0 } else { self.factor(OVERLAP) };
        (0..device.len()).map(|i| (weight(i), weight(i))).collect()
    }

    /// The weights where each request is run by one thread: those of the thread that is done last count.
    fn side_by_side(&self, terms: &Terms) -> Vec<(f64, f64)> {
        let threads = self.threads(terms).into_iter();
        let last = threads.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, own)| own).unwrap_or_default();
        let one = |(i, request)| if last.contains(&i) { (self.by_one(terms, request), 1.0) } else { (0.0, 0.0) };
        terms.requests.iter().enumerate().map(one).collect()
    }

    /// How many times as long the classes of a request take by one thread.
    fn by_one(&self, terms: &Terms, request: &RequestTerms) -> f64 {
        request.alone.unwrap_or_else(|| terms.threads as f64 * self.factor(OVERLAP))
    }

    /// What each request takes by one thread.
    pub(super) fn alone_ms(&self, terms: &Terms) -> Vec<f64> {
        let one = |request| {
            let (classes, dispatching) = self.parts_ms(request);
            classes * self.by_one(terms, request) + dispatching
        };
        terms.requests.iter().map(one).collect()
    }

    /// When each thread is done, and with which requests in turn: the longest first, each where it begins soonest.
    pub(super) fn threads(&self, terms: &Terms) -> Vec<(f64, Vec<usize>)> {
        let ms = self.alone_ms(terms);
        let mut threads: Vec<(f64, Vec<usize>)> = vec![(0.0, vec![]); terms.threads];
        for i in longest_first(&ms) {
            if let Some((end, own)) = threads.iter_mut().min_by(|a, b| a.0.total_cmp(&b.0)) {
                *end += ms[i];
                own.push(i);
            }
        }
        threads
    }

    /// Time of an execution in milliseconds, with the derivative of its logarithm by each fixed coefficient and, in
    /// `models`' order, by each model's.
    pub fn total(&self, terms: &Terms, models: &[String]) -> (f64, Vec<f64>) {
        let mut by = vec![0.0; FIXED + models.len()];
        by[SUBMIT] = terms.submit_ms * self.factor(SUBMIT);
        by[WAIT] = terms.wait_ms * self.factor(WAIT);
        let weights = self.weights(terms);
        let mut total = by[SUBMIT] + by[WAIT];
        for (request, (weight, dispatching)) in terms.requests.iter().zip(weights) {
            let of_model = self.model_factor(&request.model);
            for (c, ms) in request.class_ms.iter().enumerate() {
                by[c] += ms * self.factor(c) * weight * of_model;
            }
            by[DISPATCH] += request.dispatch_ms * self.factor(DISPATCH) * dispatching * of_model;
            let (own, dispatched) = self.parts_ms(request);
            let device = own * weight + dispatched * dispatching;
            let transfer = (request.upload_ms + request.download_ms) * self.factor(TRANSFER);
            by[TRANSFER] += transfer;
            if terms.threads > 1 && terms.strategy == Strategy::Parallel && terms.requests.len() > 1 {
                by[OVERLAP] += if request.alone.is_none() { own * weight } else { 0.0 };
            } else if weight != 1.0 || self.is_overlapped(terms, request) {
                by[OVERLAP] += device;
            }
            if let Some(i) = models.iter().position(|m| *m == request.model) {
                by[FIXED + i] += device;
            }
            total += device + transfer;
        }
        by.iter_mut().for_each(|d| *d /= total);
        by[CONDITIONS..MACHINE].copy_from_slice(&terms.conditions.levels());
        by[MACHINE] = 1.0;
        (total * self.slowed(terms), by)
    }

    /// Whether the request runs between the dispatches of a longer one.
    fn is_overlapped(&self, terms: &Terms, request: &RequestTerms) -> bool {
        terms.strategy == Strategy::Parallel
            && terms.requests.len() > 1
            && terms.requests.iter().any(|r| self.device_ms(r) > self.device_ms(request))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Machine, Pressure};
    use super::*;
    use std::cell::Cell;

    fn rates() -> Rates {
        Rates {
            flops_per_s: 1e9,
            bytes_per_s: 1e9,
            dispatch_s: 1e-4,
            submit_s: 2e-4,
            readback_s: 1e-3,
            upload_bytes_per_s: 1e9,
            readback_bytes_per_s: 1e9,
            threads: 1,
            utilisation: BTreeMap::from([(Class::Conv, 0.5)]),
        }
    }

    fn cost(model: &str, flops: f64) -> ProgramCost {
        let dispatch = DispatchCost { class: Class::Conv, flops, bytes: 0.0 };
        ProgramCost {
            model: model.to_owned(),
            dispatches: vec![dispatch; 10],
            upload_bytes: 1e6,
            ..ProgramCost::default()
        }
    }

    // Its JSON is read natively only.
    #[cfg(not(target_arch = "wasm32"))]
    #[test]
    fn what_was_recorded_of_fewer_classes_has_none_of_the_others_and_of_more_is_refused() {
        let read = |classes: &[f64]| {
            let terms =
                serde_json::json!({"model": "a", "classMs": classes, "dispatchMs": 0, "uploadMs": 0, "downloadMs": 0});
            serde_json::from_value::<RequestTerms>(terms)
        };
        assert_eq!(read(&[1.0; 7]).unwrap().class_ms, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
        assert!(read(&[1.0; Class::ALL.len() + 1]).is_err());
    }

    #[test]
    fn a_total_is_the_sum_of_its_terms() {
        let (a, b) = (cost("a", 1e6), cost("b", 2e6));
        let terms = rates().terms(&[&a, &b], Strategy::Sequential, 3, Conditions::default());
        let (total, _) = Coefficients::default().total(&terms, &[]);
        // 10 × 2 ms + 10 × 4 ms, 20 dispatches, 2 submits more, 1 ms wait, 2 MB.
        assert!((total - (20.0 + 40.0 + 2.0 + 0.4 + 1.0 + 2.0)).abs() < 1e-9, "{total}");
    }

    #[test]
    fn side_by_side_the_busiest_thread_counts() {
        let small = ProgramCost { dispatches: vec![], upload_bytes: 0.0, ..cost("small", 0.0) };
        let long = cost("long", 1e6);
        let of = |costs: &[&ProgramCost], threads| {
            let rates = Rates { threads, readback_s: 0.0, ..rates() };
            let terms = rates.terms(costs, Strategy::Parallel, 1, Conditions::default());
            Coefficients::default().total(&terms, &[]).0 - costs.iter().map(|c| c.upload_bytes / 1e6).sum::<f64>()
        };
        // 10 × 2 ms and 10 dispatches of 0.1 ms: by one of two threads its classes take twice as long.
        assert!((of(&[&long, &small], 2) - (40.0 + 1.0)).abs() < 1e-9, "{}", of(&[&long, &small], 2));
        assert!((of(&[&long, &long, &long], 2) - 2.0 * 41.0).abs() < 1e-9, "two on the one, one on the other");
        let seen = ProgramCost { alone: Cell::new(Some(1.25)), ..long.clone() };
        assert!((of(&[&seen, &seen], 2) - 26.0).abs() < 1e-9, "what its threads gain was seen");
        let tiny = ProgramCost { dispatches: cost("", 0.0).dispatches, upload_bytes: 0.0, ..cost("tiny", 0.0) };
        assert!((of(&[&tiny; 8], 2) - 4.0).abs() < 1e-9, "what is dispatching only takes half as long by two");
    }

    #[test]
    fn derivatives_are_those_of_the_total() {
        derivatives(rates(), None);
        derivatives(Rates { threads: 2, ..rates() }, None);
        derivatives(Rates { threads: 2, ..rates() }, Some(1.5));
    }

    fn derivatives(rates: Rates, alone: Option<f64>) {
        let (a, b) = (cost("a", 1e6), cost("b", 2e6));
        b.alone.set(alone);
        let models = ["a".to_owned(), "b".to_owned()];
        let machine = Machine { hidden: true, pressure: Some(Pressure::Serious), on_battery: None };
        let conditions = Conditions { machine, busy: 1.5, ..Conditions::default() };
        let terms = rates.terms(&[&a, &b], Strategy::Parallel, 4, conditions);
        let (total, by) = Coefficients::default().total(&terms, &models);
        for (i, expected) in by.iter().enumerate() {
            let mut moved = Coefficients::default();
            match i.checked_sub(FIXED) {
                None => moved.fixed[i] = 1e-6,
                Some(m) => drop(moved.models.insert(models[m].clone(), 1e-6)),
            }
            let slope = ((moved.total(&terms, &models).0).ln() - total.ln()) / 1e-6;
            assert!((slope - expected).abs() < 1e-4, "coefficient {i}: {slope} against {expected}");
        }
    }
}
