//! Sessions, the request queue, plans and their comparison with what happened: where prediction and lanes meet.
//! Knows lanes by their interface, programs and the predictor; must never know a lane by name, JS values or how a file is
//! fetched.

mod activity;
mod aside;
mod batching;
mod builds;
mod calls;
mod compare;
mod desk;
mod executing;
mod foresight;
mod homes;
mod importing;
mod joining;
mod joints;
mod known;
mod lanes;
mod measuring;
mod options;
mod order;
mod plan;
// The room's own subject.
#[allow(clippy::module_inception)]
mod pool;
mod preparing;
mod probing;
mod queue;
mod ready;
mod report;
mod routes;
mod session;
mod split;
mod spread;
mod stacking;
mod stacks;
mod tensors;
mod trials;
mod warming;

pub use crate::lane::{About, Facts, Far, Opening, Output, Resident, Told, TrafficCounts, Workers};
pub use crate::refine::Imported;
pub use known::{Known, Recalled, Shelf};
pub use lanes::{Opener, Precisions};
pub use options::{
    Fallback, Feeds, Files, Listener, LoadProgress, Measure, Origin, Outputs, Phase, PoolOptions, Priority, Request,
    RunOptions, Shapes, Source,
};
pub use pool::Pool;
pub use report::{
    Answered, Capabilities, Comparison, Device, LaneMemory, LaneRecords, MemoryMap, MemoryReport, Prediction, Profile,
    QueueReport,
};
pub use session::{Session, ValueInfo};
pub use tensors::{Feed, Keep};
