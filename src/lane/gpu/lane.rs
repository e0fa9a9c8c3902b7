//! The `gpu` lane behind the interface of lanes. Knows both sides; must never do the work itself.

use super::execute::Work as OwnWork;
use super::prepare::{GpuLane, Prepared};
use super::probe;
use super::resident::{Input as OwnInput, NAME};
use super::types::refused;
use crate::error::{Error, Kind, Result};
#[cfg(target_arch = "wasm32")]
use crate::graph::TensorType;
use crate::graph::{Graph, HostTensor, Node};
use crate::kernels::{Class, Registry, Tuning};
use crate::lane::host::{Task, now_ms};
#[cfg(target_arch = "wasm32")]
use crate::lane::interface::Blank;
use crate::lane::interface::{Lane, Turn};
use crate::lane::measured::{Counts, Facts, Measured};
use crate::lane::pace::Pace;
use crate::lane::tensor::{Input, Resident};
use crate::lane::traffic::TrafficCounts;
use crate::lane::work::{Compiled, Footprint, Order, Outcome, Progress, Work};
use crate::memory::SlotPlan;
use crate::program::{Program, Schedule, build};
use std::rc::Rc;

/// What this lane made of a program.
fn own(compiled: &Compiled) -> Result<Rc<Prepared>> {
    let other = |_| Error::new(Kind::Internal, "a program of another lane");
    Rc::clone(&compiled.own).downcast::<Prepared>().map_err(other)
}

fn compiled(prepared: Prepared, built_ms: f64) -> Compiled {
    let prepared = Rc::new(prepared);
    let program = &prepared.program;
    Compiled {
        cost: program.cost(""),
        extent: program.extent(),
        outputs: program.outputs.iter().map(|p| p.name.clone()).collect(),
        footprint: Footprint {
            parameters: program.params.len() as u64,
            arena: program.arena_bytes,
            live: program.live_bytes,
            steps: program.dispatches.len() + 2,
            layout: program.layout.clone(),
        },
        weights: program.weights.keys().copied().collect(),
        brought_ms: 0.0,
        built_ms,
        own: prepared,
    }
}

/// A request as the device takes it.
fn taken(work: &Work) -> Result<OwnWork> {
    let input = |input: &Input| match input {
        Input::Host(tensor) => Ok(OwnInput::Words(Rc::from(tensor.to_device_words()?))),
        Input::Resident(tensor) => Ok(OwnInput::Resident(Rc::clone(tensor))),
    };
    Ok(OwnWork { prepared: own(&work.compiled)?, inputs: work.inputs.iter().map(input).collect::<Result<_>>()? })
}

impl Lane for GpuLane {
    fn name(&self) -> &'static str {
        NAME
    }

    fn opening(&self) -> u64 {
        self.opening
    }

    fn facts(&self) -> &Facts {
        self.facts()
    }

    fn refuses(&self, graph: &Graph) -> Option<Error> {
        let elsewhere =
            |node: &&Node| Registry.kernel(&node.domain, &node.op_type).is_some_and(|kernel| !kernel.on_gpu());
        let Some(node) = graph.nodes.iter().find(elsewhere) else { return refused(graph) };
        let text = format!("operator {} runs on a processor only", node.op_type);
        Some(Error::new(Kind::Unsupported, text).in_node(&node.name))
    }

    fn check(&self) -> Result<()> {
        self.check()
    }

    fn cause(&self, error: Error) -> Task<'_, Error> {
        Box::pin(self.cause(error))
    }

    fn prepare<'a>(&'a self, holder: u64, order: Order<'_>, progress: &'a Progress<'a>) -> Task<'a, Result<Compiled>> {
        let began = now_ms();
        let program = build(order.graph, order.special, order.residency, order.tuning);
        Box::pin(async move {
            let prepared = self.prepare(holder, program?, progress).await?;
            Ok(compiled(prepared, now_ms() - began))
        })
    }

    fn turn(&self) -> Task<'_, Turn<'_>> {
        Box::pin(self.turn())
    }

    fn execute<'a>(&'a self, works: &'a [Work], schedule: &'a Schedule, _share: usize) -> Task<'a, Result<Outcome>> {
        Box::pin(async move {
            let works: Vec<OwnWork> = works.iter().map(taken).collect::<Result<_>>()?;
            let pending = self.submit(&works, schedule).await?;
            self.finish(pending).await
        })
    }

    fn upload<'a>(&'a self, tensor: &'a HostTensor) -> Task<'a, Result<Resident>> {
        Box::pin(self.upload(tensor))
    }

    #[cfg(target_arch = "wasm32")]
    fn blank(&self, ty: TensorType) -> Task<'_, Result<Option<Blank>>> {
        Box::pin(self.blank(ty))
    }

    fn read<'a>(&'a self, tensor: &'a Resident) -> Task<'a, Result<HostTensor>> {
        Box::pin(self.read(tensor))
    }

    fn counts(&self) -> Counts {
        self.counts()
    }

    fn most_bytes(&self) -> u64 {
        self.most_bytes()
    }

    fn weights_of(&self, holder: u64) -> (u64, u64) {
        self.weights_of(holder)
    }

    fn predict_bytes(&self, programs: &[Rc<Compiled>], slots: &SlotPlan) -> u64 {
        let programs: Vec<Rc<Program>> =
            programs.iter().filter_map(|c| own(c).ok()).map(|p| Rc::clone(&p.program)).collect();
        self.predict_bytes(&programs, slots)
    }

    fn traffic(&self) -> TrafficCounts {
        self.traffic()
    }

    fn release(&self, holder: u64) {
        self.release(holder);
    }

    fn trim(&self) {
        self.trim();
    }

    fn close(&self) {
        self.close();
    }

    fn kernels(&self) -> Result<String> {
        probe::kernels()
    }

    fn measure(&self, known: Option<Tuning>) -> Task<'_, Result<Measured>> {
        Box::pin(async move {
            let measured = probe::measure(self, known).await?;
            self.measured.set(measured);
            Ok(measured)
        })
    }

    fn measured(&self) -> Measured {
        self.measured.get()
    }

    fn tuning(&self) -> Tuning {
        self.tuning()
    }

    fn paced(&self, pace: Pace) -> bool {
        self.set_pace(pace);
        true
    }

    fn tune(&self) -> Task<'_, Result<()>> {
        Box::pin(async move { probe::tune(self, &self.measured.get()).await })
    }

    fn prepare_classes(&self) -> Task<'_, Result<()>> {
        Box::pin(probe::prepare_classes(self))
    }

    fn utilisation(&self, class: Class) -> Task<'_, Result<Option<f64>>> {
        Box::pin(async move { probe::utilisation(self, class, &self.measured.get()).await })
    }
}
