//! Opens the lanes of this machine: the only file that names one. Must never know what is run on them.

use super::far::FarLane;
use super::gpu::{Gpu, GpuLane};
use super::interface::Lane;
use super::workers::Workers;
use crate::error::{Error, Kind, Result};
use std::rc::Rc;

/// The lanes that are known, the preferred first.
pub const NAMES: [&str; 3] = ["gpu", WEBNN, CPU];
/// A processor's name.
const CPU: &str = "cpu";
/// What a browser has for graphs.
const WEBNN: &str = "webnn";
/// More floating-point operations a second than a thread of any processor makes in wasm: 128 bits, twice a cycle.
const THREAD_FLOPS_PER_S: f64 = 100e9;

/// Opens the lanes of `names`, or the first that this machine has, each with at most `budget` bytes; `workers` is where
/// processors come from. `Unsupported` where none of `names` is known, and the first lane's own error where none opens.
pub async fn open(
    names: Option<&[String]>,
    budget: Option<u64>,
    workers: Option<&Workers>,
) -> Result<Vec<Rc<dyn Lane>>> {
    let wanted = match names {
        Some(names) => NAMES.into_iter().filter(|name| names.iter().any(|n| n == name)).collect(),
        None => unasked(workers),
    };
    if wanted.is_empty() {
        let text = format!("none of the lanes asked for is known; there is '{}'", NAMES.join("', '"));
        return Err(Error::new(Kind::Unsupported, text));
    }
    let (mut lanes, mut why) = (vec![], None);
    for name in wanted {
        if names.is_none() && !lanes.is_empty() {
            break;
        }
        match one(name, budget, workers).await {
            Ok(lane) => lanes.push(lane),
            Err(error) => why = why.or(Some(error)),
        }
    }
    match why {
        Some(error) if lanes.is_empty() => Err(error),
        _ => Ok(lanes),
    }
}

/// The lanes that can be had where nobody asks for one by name, as far as that is known, the preferred first.
pub fn unasked(workers: Option<&Workers>) -> Vec<&'static str> {
    let Some(workers) = workers else { return NAMES.into_iter().filter(|name| *name != WEBNN).collect() };
    workers.lanes().iter().filter_map(|lane| NAMES.into_iter().find(|name| name == lane)).collect()
}

/// Lanes beside `first`, which was measured, that may be faster than it: an adapter of software, or a weak one, is slower than a
/// processor of `threads`. What they need is fetched only then.
pub async fn rivals(
    first: &dyn Lane,
    threads: usize,
    budget: Option<u64>,
    workers: Option<&Workers>,
) -> Vec<Rc<dyn Lane>> {
    let mut rivals = vec![];
    if first.name() == CPU || first.measured().flops_per_s >= threads as f64 * THREAD_FLOPS_PER_S {
        return rivals;
    }
    let there = unasked(workers);
    for name in [WEBNN, CPU].into_iter().filter(|name| *name != first.name() && there.contains(name)) {
        rivals.extend(one(name, budget, workers).await.ok());
    }
    rivals
}

/// Whether the lane of that name, which is not open, may take less than `ms` for so many floating-point operations: a bound, not
/// what is to be expected.
pub fn hopeful(name: &str, flops: f64, ms: f64, workers: Option<&Workers>) -> bool {
    let most = |workers: &Workers| workers.threads() as f64 * THREAD_FLOPS_PER_S;
    expected(name, workers) && workers.is_some_and(|workers| flops / most(workers) * 1e3 < ms)
}

/// Whether the lane of that name, which is not open, will be had where it is asked for, as far as that is known.
pub fn expected(name: &str, workers: Option<&Workers>) -> bool {
    match name {
        CPU => workers.is_some(),
        WEBNN => unasked(workers).contains(&WEBNN),
        _ => false,
    }
}

/// The lane of that name. `Unsupported` where this machine has none.
pub async fn one(name: &str, budget: Option<u64>, workers: Option<&Workers>) -> Result<Rc<dyn Lane>> {
    if let Some(name) = [CPU, WEBNN].into_iter().find(|far| *far == name) {
        let none = || Error::new(Kind::Unsupported, format!("nothing here opens the lane '{name}'"));
        let far = workers.ok_or_else(none)?.open(name).await?;
        return Ok(Rc::new(FarLane::open(name, far, budget).await?));
    }
    Ok(Rc::new(GpuLane::new(Gpu::open().await?, budget)))
}
