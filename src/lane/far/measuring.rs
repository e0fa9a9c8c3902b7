//! How fast what answers is, and the way to it. Knows the messages that tell; must never know a model.

use super::held::{Held, unexpected};
use crate::error::Result;
use crate::graph::{HostTensor, TensorType};
use crate::lane::host::now_ms;
use crate::lane::measured::Measured;
use crate::lane::tensor::Resident;
use crate::processor::wire::{Answer, Request};

/// Floats that are sent there and back to see how fast that is.
const SENT: usize = 1 << 18;
/// How often each way is measured; the median counts.
const REPEATS: usize = 3;
/// How often the classes are measured at most.
pub(super) const PASSES: usize = 6;

/// Times what `request` asks, in seconds: the median.
async fn seconds(held: &Held, request: &Request, parts: &[&HostTensor]) -> Result<f64> {
    let mut each = vec![];
    for _ in 0..REPEATS {
        let began = now_ms();
        held.ask(request, parts).await?;
        each.push((now_ms() - began) / 1e3);
    }
    each.sort_by(f64::total_cmp);
    Ok(each[REPEATS / 2])
}

/// Measures what answers; `resident` gives a tensor that stays there, and its number.
pub async fn measured(held: &Held, resident: impl Fn(TensorType) -> (Resident, u64)) -> Result<Measured> {
    let began = now_ms();
    let (Answer::Ceilings { flops_per_s, bytes_per_s, dispatch_s }, _) = held.ask(&Request::Measure, &[]).await? else {
        return Err(unexpected());
    };
    let readback_s = seconds(held, &Request::Greet, &[]).await?;
    let floats = HostTensor::f32([SENT], vec![1.0; SENT])?;
    let (resident, number) = resident(TensorType::new(floats.dtype(), [SENT]));
    let there = seconds(held, &Request::Keep { tensor: number, shape: vec![SENT] }, &[&floats]).await?;
    let back = seconds(held, &Request::Read(number), &[]).await?;
    // Below a tenth of the way's own time nothing can be told.
    let rate = |seconds: f64| resident.bytes as f64 / (seconds - readback_s).max(0.1 * readback_s).max(1e-6);
    Ok(Measured {
        flops_per_s,
        threads: 1,
        bytes_per_s,
        dispatch_s: dispatch_s.max(1e-9),
        submit_s: 1e-9,
        readback_s: readback_s.max(1e-6),
        upload_bytes_per_s: rate(there),
        readback_bytes_per_s: rate(back),
        nudge: false,
        probe_ms: now_ms() - began,
    })
}
