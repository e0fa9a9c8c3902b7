//! Opens the lanes of this machine: the only file that names one. Must never know what is run on them.

use super::gpu::{Gpu, GpuLane};
use super::interface::Lane;
use crate::error::{Error, Kind, Result};
use std::rc::Rc;

/// The lanes that there are, the preferred first.
pub const NAMES: [&str; 1] = ["gpu"];

/// Opens the lanes of `names`, or all, each with at most `budget` bytes; those that this machine has not are left out.
/// `Unsupported` where none of `names` is known, and the first lane's own error where none opens.
pub async fn open(names: Option<&[String]>, budget: Option<u64>) -> Result<Vec<Rc<dyn Lane>>> {
    let wanted = |name: &&str| names.is_none_or(|names| names.iter().any(|n| n == name));
    if !NAMES.iter().any(wanted) {
        let text = format!("none of the lanes asked for is known; there is '{}'", NAMES.join("', '"));
        return Err(Error::new(Kind::Unsupported, text));
    }
    Ok(vec![Rc::new(GpuLane::new(Gpu::open().await?, budget))])
}
