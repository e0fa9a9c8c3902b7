//! What one dispatch may ask of any WebGPU adapter, checked while lowering.

use crate::error::{Error, Kind, Result};

/// Workgroups in one dimension of a dispatch.
const WORKGROUPS: usize = 65_535;

/// llvmpipe silently ends every loop of an invocation once all its loops together made 65 535 rounds.
pub const ROUNDS: usize = 65_000;

/// `rounds` of all loops of one invocation together, if an adapter makes them all.
pub fn rounds(rounds: usize) -> Result<usize> {
    if rounds <= ROUNDS {
        return Ok(rounds);
    }
    Err(Error::new(Kind::Unsupported, format!("{rounds} loop rounds in one kernel invocation, more than {ROUNDS}")))
}

/// `value` as a word of a kernel's parameters.
pub fn word(value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::new(Kind::Unsupported, format!("{value} is too large for the GPU")))
}

/// Workgroups in x, y and z, if a dispatch may have so many.
pub fn workgroups(counts: [usize; 3]) -> Result<[u32; 3]> {
    if counts.iter().any(|&n| n > WORKGROUPS) {
        return Err(Error::new(Kind::Unsupported, format!("a dispatch of {counts:?} workgroups")));
    }
    Ok(counts.map(|n| n as u32))
}
