//! The interface by which pool, predictor and tuner know a lane. Knows programs' sizes, bytes and times; must never know
//! what a lane executes on.

use super::host::Task;
use super::measured::{Counts, Facts, Measured, Precision};
use super::pace::Pace;
use super::tensor::Resident;
use super::traffic::TrafficCounts;
use super::work::{Compiled, Order, Outcome, Progress, Work};
use crate::error::{Error, Result};
use crate::graph::{Graph, HostTensor, TensorType};
use crate::kernels::{Class, Tuning};
use crate::memory::SlotPlan;
use crate::program::Schedule;
use futures_util::lock::MutexGuard;
use std::any::Any;
use std::fmt;
use std::rc::Rc;

/// Held by whoever executes on a lane; the next may when it is dropped.
pub type Turn<'a> = MutexGuard<'a, ()>;

/// The holder of what a lane measures itself with: it has no weights, and its traffic is nobody's.
pub const NOBODY: u64 = u64::MAX;

/// A tensor whose elements are still to be written, and what the code that writes them knows it and its device by.
pub type Blank = (Resident, Box<dyn Any>);

/// A place that executes programs. One fault fails its own call; what the lane lost fails every call from then on, with
/// `DeviceLost`. All methods take `&self`: a lane is shared by everything that runs on it, in one thread.
pub trait Lane {
    /// Its name in the API.
    fn name(&self) -> &'static str;

    /// The number under which it was opened (`lane::opening`).
    fn opening(&self) -> u64;

    /// What its device says of itself.
    fn facts(&self) -> &Facts;

    /// Significant bits of products of float32 here; nothing where that could not be measured.
    fn bits(&self) -> Option<u32> {
        Some(Precision::FLOAT32)
    }

    /// Why `graph` cannot run here; nothing where it may.
    fn refuses(&self, graph: &Graph) -> Option<Error>;

    /// Threads by which it computes, which those of its name share out where several are at work.
    fn threads(&self) -> usize {
        1
    }

    /// Whether one more of its name does work beside it that it would not do itself.
    fn adds_up(&self) -> bool {
        false
    }

    /// Whether it has weights of `graph`, which a session of it would share.
    fn holds(&self, _graph: &Graph) -> bool {
        false
    }

    /// An error where the lane was lost.
    fn check(&self) -> Result<()>;

    /// `error` of an operation here, or the loss of the lane where that is its cause.
    fn cause(&self, error: Error) -> Task<'_, Error>;

    /// Makes `order` ready and brings its weights, for `holder`. The order is read before this returns.
    fn prepare<'a>(&'a self, holder: u64, order: Order<'_>, progress: &'a Progress<'a>) -> Task<'a, Result<Compiled>>;

    /// Waits for the lane: one execution at a time, and none beside a run of what the lane measures itself with. What is
    /// made ready or brought meanwhile needs no turn.
    fn turn(&self) -> Task<'_, Turn<'_>>;

    /// Executes `works` by `schedule` and waits for its end, as one of so many lanes of its name that are at work.
    fn execute<'a>(&'a self, works: &'a [Work], schedule: &'a Schedule, share: usize) -> Task<'a, Result<Outcome>>;

    /// Nobody waits any more for what is executed now: it may end with `Aborted` before its end, or go on where it cannot.
    fn stop(&self) {}

    /// Brings a tensor to the lane.
    fn upload<'a>(&'a self, tensor: &'a HostTensor) -> Task<'a, Result<Resident>>;

    /// A tensor of that type whose elements its platform's own code is to write, and what that knows it and its device by; nothing of
    /// a lane whose tensors no such code reaches.
    fn blank(&self, ty: TensorType) -> Task<'_, Result<Option<Blank>>> {
        drop(ty);
        Box::pin(async { Ok(None) })
    }

    /// Reads a tensor of this lane back.
    fn read<'a>(&'a self, tensor: &'a Resident) -> Task<'a, Result<HostTensor>>;

    /// Bytes allocated now.
    fn counts(&self) -> Counts;

    /// Most bytes that were ever allocated at one time.
    fn most_bytes(&self) -> u64;

    /// Bytes of weights that `holder` holds, and how many of these others hold too.
    fn weights_of(&self, holder: u64) -> (u64, u64);

    /// Bytes that executing `programs` in `slots` will hold: each weight once, parameters of each program once, arenas and
    /// staging as they are or will be made.
    fn predict_bytes(&self, programs: &[Rc<Compiled>], slots: &SlotPlan) -> u64;

    /// What crossed between host and lane so far.
    fn traffic(&self) -> TrafficCounts;

    /// Lets go of the weights that only `holder` held.
    fn release(&self, holder: u64);

    /// Frees arenas and staging, which the next execution makes anew.
    fn trim(&self);

    /// Frees everything; the lane is of no use any more.
    fn close(&self);

    /// Name of the kernels that are measured here: what was measured holds for these only.
    fn kernels(&self) -> Result<String>;

    /// Measures ceilings and waits. Where the fastest kernel variants are not known from before, the lane guesses them
    /// until [`Lane::tune`] has the word.
    fn measure(&self, known: Option<Tuning>) -> Task<'_, Result<Measured>>;

    /// What was measured last.
    fn measured(&self) -> Measured;

    /// Has it take what it measures of itself in moments of `pace`, now that it is open; false where each of [`Lane::tune`],
    /// [`Lane::prepare_classes`] and [`Lane::utilisation`] is one moment, which the caller takes.
    fn paced(&self, _pace: Pace) -> bool {
        false
    }

    /// The kernel variants that programs are made of from now on.
    fn tuning(&self) -> Tuning;

    /// Finds the variants that are fastest here and goes by them. It takes the lane's turn for one run at a time.
    fn tune(&self) -> Task<'_, Result<()>>;

    /// Makes ready what [`Lane::utilisation`] runs, so that no class waits for its own.
    fn prepare_classes(&self) -> Task<'_, Result<()>>;

    /// The share of the ceilings that a small operator of `class` reaches, up to [`Class::MOST_SHARE`]; `None` where none is known.
    fn utilisation(&self, class: Class) -> Task<'_, Result<Option<f64>>>;

    /// How often all classes are measured at most, until none is faster than before: where an engine may be making them fast, or others
    /// have the cores, once says little.
    fn passes(&self) -> usize {
        1
    }
}

/// By name: what a lane holds is long, and its form is nobody's.
impl fmt::Debug for dyn Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
