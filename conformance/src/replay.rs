//! A program of many small dispatches, replayed again and again: what the host does for each of them. Knows a lane;
//! must never know what a page compares it with.

use anyhow::{Context, Result, anyhow};
use consort::kernels::Tuning;
use consort::lane::Progress;
use consort::lane::gpu::{Gpu, GpuLane, Work};
use consort::program::{Strategy, probe, schedule};
use std::rc::Rc;

/// The program on a lane of its own.
#[derive(Debug)]
pub struct Replay {
    lane: GpuLane,
    work: Work,
}

impl Replay {
    /// `dispatches` of an operator on 64 elements, and 4 bytes read back at the end.
    pub async fn open(dispatches: usize) -> Result<Replay> {
        let lane = GpuLane::new(Gpu::open().await.map_err(|e| anyhow!("{e}"))?, None);
        let program = probe::operator(("Relu", vec![], &[&[64]]), Tuning::HARDWARE, dispatches);
        let program = program.map_err(|e| anyhow!("{e}"))?.context("Relu has no kernel")?;
        let prepared = lane.prepare(0, program, &Progress::SILENT).await.map_err(|e| anyhow!("{e}"))?;
        Ok(Replay { lane, work: Work { prepared: Rc::new(prepared), inputs: vec![] } })
    }

    /// Replays it in one submit, and waits for its end; the milliseconds from the first call of WebGPU to the submit.
    pub async fn once(&self) -> Result<f64> {
        let program = &*self.work.prepared.program;
        let schedule = schedule(&[program.extent()], Strategy::Sequential, &[], f64::INFINITY);
        let pending =
            self.lane.submit(std::slice::from_ref(&self.work), &schedule).await.map_err(|e| anyhow!("{e}"))?;
        let outcome = self.lane.finish(pending).await.map_err(|e| anyhow!("{e}"))?;
        Ok(outcome.record_ms)
    }
}
