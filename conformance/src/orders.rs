//! The cases as a page asks them of whatever answers as a processor does: what to ask as JSON, the elements beside it, and whether
//! what came back is right. Knows cases and messages; must never know who answers.

use crate::case::Case;
use anyhow::{Context, Result, anyhow};
use consort::graph::{Data, HostTensor};
use consort::processor::wire::{Fed, Request, Run};

/// One case as it is asked.
#[derive(Debug)]
pub struct Asked {
    /// What to ask, in this order, each with its elements.
    pub requests: Vec<(Request, Vec<HostTensor>)>,
    /// What its last answer should be.
    expected: Vec<HostTensor>,
    tolerance: f64,
    /// The case in words.
    pub name: String,
}

impl Asked {
    /// A case, as the program of that number.
    pub fn of(case: &Case, program: u64) -> Result<Asked> {
        let (graph, special, inputs) = case.ordered()?;
        let (order, large) = consort::processor::wire::Order::of(&graph, &special);
        let mut requests = vec![];
        for (hash, tensor) in large {
            let tensor = tensor.ok_or_else(|| anyhow!("a constant without elements"))?;
            let shape = tensor.shape().to_vec();
            requests.push((Request::Weight { program, hash, shape }, vec![(*tensor).clone()]));
        }
        requests.push((Request::Prepare { program, holder: program, order }, vec![]));
        let fed = inputs.iter().map(|input| Fed::Part(input.shape().to_vec())).collect();
        let run = Run { program, inputs: fed, kept: vec![None; special.outputs.len()] };
        requests.push((Request::Execute { number: 1, runs: vec![run], threads: 1, side_by_side: false }, inputs));
        let (expected, tolerance) = (case.reference()?, case.tolerance);
        Ok(Asked { requests, expected, tolerance, name: case.describe() })
    }

    /// What is wrong with the elements of an answer, in bytes; nothing where they are right.
    pub fn wrong(&self, answer: &[Vec<u8>]) -> Option<String> {
        if answer.len() != self.expected.len() {
            return Some(format!("{}\n{} outputs, not {}", self.name, answer.len(), self.expected.len()));
        }
        let judged = answer.iter().zip(&self.expected).enumerate().map(|(i, (bytes, expected))| {
            let data = Data::of_bytes(expected.dtype(), bytes).ok_or_else(|| anyhow!("output {i}: no elements"))?;
            let actual = HostTensor::new(expected.shape(), data).with_context(|| format!("output {i}"))?;
            let error = crate::case::relative_error(&actual, expected);
            let told = || {
                anyhow!(
                    "output {i}: relative error {error:.2e}\n{}\n{}",
                    crate::case::head(&actual),
                    crate::case::head(expected)
                )
            };
            if error <= self.tolerance { Ok(()) } else { Err(told()) }
        });
        let first = judged.filter_map(Result::err).next()?;
        Some(format!("{}\n{first:#}", self.name))
    }
}
