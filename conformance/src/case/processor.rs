//! A case on a processor, compared with the operator's CPU reference: a program of its own, as a lane makes it. Knows both
//! sides; must never know a routine.

use super::check::{head, relative_error};
use super::given::Case;
use anyhow::{Context, Result, ensure};
use consort::graph::{Graph, HostTensor, Specialised};
use consort::processor::{Alone, Arena, Scoped, Store, Team, execute};
use consort::program::{Residency, cpu};

impl Case {
    /// Runs the case as a processor's program and compares every output; whether routines of its own computed it.
    pub fn check_processor(&self) -> Result<bool> {
        self.compare_processor().with_context(|| self.describe())
    }

    /// The case as a graph, the same with its shapes, and its inputs in their order.
    pub(crate) fn ordered(&self) -> Result<(Graph, Specialised, Vec<HostTensor>)> {
        let types = self.types()?;
        let step_types = if self.steps.is_empty() { vec![] } else { self.step_types(&types[0])? };
        let special = self.special(&types, &step_types);
        let inputs = special.inputs.iter().filter_map(|id| self.inputs[id.0].clone()).collect();
        Ok((self.graph(), special, inputs))
    }

    fn compare_processor(&self) -> Result<bool> {
        let (graph, special, inputs) = self.ordered()?;
        let program = cpu::build(&graph, &special, &Residency::default())?;
        let own = !program.steps.iter().any(|step| step.routine.is_reference());
        let loaded = Store::default().load(0, program)?;
        let inputs: Vec<&HostTensor> = inputs.iter().collect();
        let expected = self.reference()?;
        let teams: [&dyn Team; 2] = [&Alone, &Scoped(3)];
        for team in teams {
            let mut arena = Arena::default();
            arena.poison(&loaded.program, team.threads());
            let outputs = execute(&loaded, &mut arena, team, &inputs, &|node| format!("node {node}"))?;
            for (i, (a, e)) in outputs.iter().zip(&expected).enumerate() {
                let (error, threads) = (relative_error(a, e), team.threads());
                let told = format!("{threads} threads {}\nreference {}", head(a), head(e));
                ensure!(error <= self.tolerance, "output {i}: relative error {error:.2e}\n{told}");
            }
        }
        Ok(own)
    }
}
