//! What a browser recorded. Plain values; must never know what is made of them.

use consort::predict::{Rates, Strategy};
use consort::records::Observation;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One run of `cargo accuracy`.
#[derive(Debug, Deserialize)]
pub struct Dataset {
    /// The browser with its version.
    pub browser: String,
    /// What each lane recorded by itself.
    pub records: Vec<Recorded>,
    /// What all lanes together were found to choose.
    pub choices: Vec<Chosen>,
}

/// What one lane recorded.
#[derive(Debug, Deserialize)]
pub struct Recorded {
    /// Its name.
    pub lane: String,
    /// When the machine had other work.
    pub load: Load,
    /// The pool's records of it.
    pub records: LaneRecords,
}

/// A stretch of time, by the clock of the observations.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Its begin.
    pub from_ms: f64,
    /// Its end.
    pub to_ms: f64,
}

/// The records of a lane, as a pool exports them.
#[derive(Debug, Deserialize)]
pub struct LaneRecords {
    /// What the probes measured.
    pub rates: Rates,
    /// All executions, oldest first.
    pub observations: Vec<Observation>,
}

/// One set with what was chosen for it and what each strategy took.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chosen {
    /// Its models.
    pub models: Vec<String>,
    /// The strategy that was recommended before any ran.
    pub recommended: Strategy,
    /// What its models take one by one, as a page would have measured them.
    pub sum_of_solos_ms: f64,
    /// Each strategy.
    pub strategies: Vec<Tried>,
}

/// One strategy, predicted and measured.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    /// Which.
    pub strategy: Strategy,
    /// Predicted, in milliseconds.
    pub predicted_ms: f64,
    /// With its interval.
    pub interval_ms: [f64; 2],
    /// Measured: the median.
    pub measured_ms: f64,
    /// Lower and upper quartile.
    pub spread_ms: [f64; 2],
    /// Predicted, in bytes.
    pub predicted_bytes: f64,
    /// Measured.
    pub measured_bytes: f64,
}

/// What makes executions alike: strategy and requests, each by its model and what it consists of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// Whether requests are interleaved.
    pub strategy: Strategy,
    /// Models with their shapes, sorted.
    pub requests: Vec<(String, String)>,
}

impl Group {
    /// That of an execution.
    pub fn of(observation: &Observation) -> Group {
        let shape = |request: &consort::predict::RequestTerms| {
            let each = request.class_ms.iter().chain([&request.dispatch_ms, &request.upload_ms]);
            each.map(|ms| format!("{ms:.3e}")).collect::<Vec<_>>().join(" ")
        };
        let mut requests: Vec<(String, String)> =
            observation.terms.requests.iter().map(|request| (request.model.clone(), shape(request))).collect();
        requests.sort();
        // Of one request there is one way, and what is one only as a batch is another one.
        let alone = requests.len() < 2 && observation.terms.strategy != Strategy::Batched;
        let strategy = if alone { Strategy::Sequential } else { observation.terms.strategy };
        Group { strategy, requests }
    }

    /// For people: what runs, each with what it takes by the probes.
    pub fn name(&self) -> String {
        let one = |(model, shape): &(String, String)| {
            let ms: f64 = shape.split(' ').filter_map(|ms| ms.parse::<f64>().ok()).sum();
            format!("{model} ({ms:.1} ms)")
        };
        let all: Vec<String> = self.requests.iter().map(one).collect();
        format!("{} {}", self.strategy.as_str(), all.join(", "))
    }

    /// Whether a model is in it.
    pub fn has(&self, model: &str) -> bool {
        self.requests.iter().any(|(name, _)| name == model)
    }

    /// Names of its models, each once.
    pub fn models(&self) -> Vec<&str> {
        let mut models: Vec<&str> = self.requests.iter().map(|(name, _)| &name[..]).collect();
        models.dedup();
        models
    }
}

/// The executions of one lane by group, in the order of time.
pub type Groups = BTreeMap<Group, Vec<usize>>;

/// Places of `observations`, by group; only of those that `counts`.
pub fn groups(observations: &[Observation], counts: impl Fn(&Observation) -> bool) -> Groups {
    let mut groups = Groups::new();
    for (i, observation) in observations.iter().enumerate().filter(|(_, o)| counts(o)) {
        groups.entry(Group::of(observation)).or_default().push(i);
    }
    groups
}
