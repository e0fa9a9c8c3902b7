//! Measures this adapter and this browser's waits: its ceilings first, in a fraction of a second, then what kernels
//! reach of them. Knows programs made to measure; must never know a model.

use super::{GpuLane, Input, Work};
use crate::error::{Error, Kind, Result};
use crate::graph::{HostTensor, Naming};
use crate::kernels::{Class, QUAD, Tuning};
use crate::lane::host::{next_turn, now_ms};
use crate::lane::interface::NOBODY;
use crate::lane::measured::Measured;
use crate::lane::pace::Moment;
use crate::lane::tensor::Output;
use crate::lane::work::{Outcome, Progress};
use crate::program::{DispatchCost, Program, Strategy, probe, schedule};
use std::rc::Rc;

/// A probe grows until it takes this long, so that clocks and noise are small beside it.
const LONG_ENOUGH_MS: f64 = 4.0;
/// Times each probe is run; the median counts.
const REPEATS: usize = 5;
/// A tuning is changed where another takes less than this share of its time.
const CLEAR_GAIN: f64 = 0.9;
/// A ceiling is looked for further up where four times the threads or bytes reached this much more.
const HIGHER: f64 = 1.15;
/// How many times larger than at first a probe of multiply-adds may grow: a dispatch has 65 535 workgroups at most.
const LARGEST_FMA: u32 = 256;
/// How many times larger one of a copy: the page's memory is not for probes.
const LARGEST_COPY: u32 = 16;
/// No probe repeats its body more often than this.
const MOST_DISPATCHES: usize = 512;

/// Name of the kernels that probes measure: another release may have others.
pub fn kernels() -> Result<String> {
    let mut naming = Naming::default();
    // Any size of subgroups: the kernels differ in no more.
    for tuning in Tuning::all(4).into_iter().chain(Tuning::HARDWARE.products()) {
        let mut programs = vec![probe::attention(tuning, 1)?];
        for class in Class::ALL {
            programs.extend(probe::class(class, tuning, 1)?);
        }
        for kernel in programs.iter().flat_map(|program| &program.kernels) {
            naming.add(kernel.wgsl.as_bytes()).add(&[0]);
        }
    }
    Ok(naming.name().to_string())
}

/// Measures the ceilings of `lane` and its waits, and sets how it waits. Where the fastest variants are not known from
/// before, an adapter gets those for its kind until [`tune`] has the word.
pub async fn measure(lane: &GpuLane, known: Option<Tuning>) -> Result<Measured> {
    let started = now_ms();
    let mut out = Measured::default();
    let first = [probe::nothing(1), probe::fma(32, 1, 1), probe::copy(1, 1), probe::transfer(probe::LARGE)];
    compiled(lane, first.into_iter().collect::<Result<_>>()?).await?;
    let nothing = Probe::new(lane, probe::nothing(1)?).await?;
    (out.nudge, out.readback_s) = waits(lane, &nothing).await?;
    lane.set_nudge(out.nudge);
    let floor = out.readback_s;

    let many = Probe::new(lane, probe::nothing(256)?).await?;
    out.dispatch_s = positive(many.seconds(f64::INFINITY).await? - floor) / 256.0;
    // One submit for each dispatch against one for all: what a submit costs beyond its dispatches.
    let split = Probe::new(lane, probe::nothing(32)?).await?;
    out.submit_s = positive(split.seconds(0.0).await? - split.seconds(f64::INFINITY).await?) / 31.0;

    // So long that beside it an empty dispatch is little.
    let rounds = if lane.facts().is_fallback_adapter { 32 } else { 512 };
    let fma = ceiling(lane, floor, |d| d.flops, LARGEST_FMA, |s, n| probe::fma(rounds, s, n)).await?;
    out.flops_per_s = fma.0;
    let threads = (probe::fma_threads(1) as f64 * fma.0 / fma.1).log2().round().exp2() as usize;
    out.threads = threads.min(Tuning::MOST_THREADS);
    (out.bytes_per_s, _) = ceiling(lane, floor, |d| d.bytes, LARGEST_COPY, probe::copy).await?;

    // The round trip of a large tensor, and of one of half the size, tell bytes from the fixed part.
    let whole = Probe::new(lane, probe::transfer(probe::LARGE)?).await?;
    let (there_and_back, record) = whole.timed(f64::INFINITY).await?;
    let bytes = probe::LARGE as f64 * 4.0;
    // Writing the inputs is the bulk of recording a program without dispatches; the rest is the way back.
    out.upload_bytes_per_s = bytes / positive(record);
    out.readback_bytes_per_s = bytes / positive(there_and_back - record - floor);

    match known {
        Some(tuning) => lane.set_tuning(tuning),
        None if lane.facts().is_fallback_adapter => {
            let near = lane.subgroups() >= QUAD && neighbours(lane, lane.subgroups()).await?;
            lane.set_tuning(if near { Tuning::QUADS } else { Tuning::NARROW });
        }
        None => {
            let near = lane.subgroups() > 0 && neighbours(lane, lane.subgroups()).await?;
            let subgroups = if near { lane.subgroups() } else { 0 };
            lane.set_tuning(Tuning { threads: out.threads, winograd: true, subgroups, ..Tuning::SHARED });
        }
    }
    lane.trim();
    out.probe_ms = now_ms() - started;
    Ok(out)
}

/// Finds the variants that are fastest here, one family after the other, and sets them.
pub async fn tune(lane: &GpuLane, measured: &Measured) -> Result<()> {
    let floor = measured.readback_s;
    // WebGPU leaves open which threads a subgroup has: kernels want neighbours.
    let size = lane.subgroups();
    let near = size > 0 && neighbours(lane, size).await?;
    let there = |set: &Tuning| !set.quads || near && size >= QUAD;
    // How many threads an adapter of many cores wants is measured; on a few cores it is what the set was made with.
    let many = |set: Tuning| set.barriers && !lane.facts().is_fallback_adapter;
    let fitted = |set: Tuning| if many(set) { Tuning { threads: measured.threads, ..set } } else { set };
    let products: Vec<Tuning> = Tuning::PRODUCTS.into_iter().filter(there).map(fitted).collect();
    let mut product = fastest(lane, floor, &products, probe::product).await?;
    // Transforms pay where products are fast beside them.
    if product.barriers {
        product = fastest(lane, floor, &product.convolutions(), probe::convolution).await?;
    }
    // Attention is made of products, and competes with the best of them.
    let attention = fastest(lane, floor, &product.attentions(), probe::attention).await?;
    lane.set_tuning(attention);
    if near {
        lane.set_tuning(fastest(lane, floor, &attention.rows(size), probe::rows).await?);
    }
    // For callers who allow it.
    if lane.has_f16() {
        lane.set_tuning(fastest(lane, floor, &lane.tuning().products(), probe::product).await?);
    }
    Ok(())
}

/// The most of what `of` counts that `make` reaches in a second, and what it reaches at its smallest. A few processor cores
/// are all busy then; elsewhere it grows while that brings more.
async fn ceiling(
    lane: &GpuLane,
    floor: f64,
    of: impl Fn(&DispatchCost) -> f64,
    largest: u32,
    make: impl Fn(u32, usize) -> Result<Program>,
) -> Result<(f64, f64)> {
    let (mut most, mut least) = (0.0f64, None);
    let mut scale = 1;
    loop {
        let sampled = sample(lane, floor, |n| make(scale, n)).await?;
        // A ceiling is what was reached once: noise only ever adds.
        let rate = total(&sampled.program, &of) / sampled.range.0;
        let higher = rate > HIGHER * most;
        most = most.max(rate);
        let least = *least.get_or_insert(rate);
        if !higher || lane.facts().is_fallback_adapter || scale * 4 > largest {
            return Ok((most, least));
        }
        scale *= 4;
    }
}

/// Whether every subgroup here is of `size` threads or more that lie beside each other in their workgroup.
pub async fn neighbours(lane: &GpuLane, size: usize) -> Result<bool> {
    let outcome = Probe::new(lane, probe::neighbours(size)?).await?.run(f64::INFINITY).await?;
    let found = outcome.outputs.iter().flatten().filter_map(Output::host).filter_map(HostTensor::as_f32).next();
    Ok(found.is_some_and(|threads| threads.iter().all(|&one| one == 1.0)))
}

/// The candidate with which what `make` gives is fastest, each at its best. They take turns, so that what else the
/// machine does hits all of them; one that is no clear gain over the lane's own or the first is not taken.
async fn fastest(
    lane: &GpuLane,
    floor: f64,
    candidates: &[Tuning],
    make: impl Fn(Tuning, usize) -> Result<Program>,
) -> Result<Tuning> {
    compiled(lane, candidates.iter().map(|&tuning| make(tuning, 1)).collect::<Result<_>>()?).await?;
    let mut probes = Vec::with_capacity(candidates.len());
    for &tuning in candidates {
        probes.push((tuning, long_enough(lane, floor, |n| make(tuning, n)).await?, f64::INFINITY));
    }
    for _ in 0..REPEATS {
        for (_, (probe, repeats), best) in &mut probes {
            let each = (probe.once(f64::INFINITY).await?.0 - floor) / *repeats as f64;
            *best = best.min(positive(each));
        }
    }
    let own = lane.tuning();
    let so_far = candidates.iter().copied().find(|&t| t == own).or(candidates.first().copied()).unwrap_or(own);
    let handicap = |tuning: Tuning, best: f64| if tuning == so_far { CLEAR_GAIN * best } else { best };
    let chosen = probes.iter().map(|&(tuning, _, best)| (tuning, handicap(tuning, best)));
    Ok(chosen.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(so_far, |(tuning, _)| tuning))
}

/// Compiles the probes of every class, so that none waits for its own.
pub async fn prepare_classes(lane: &GpuLane) -> Result<()> {
    let tuning = lane.tuning().whole();
    let classes = Class::ALL.into_iter().filter_map(|class| probe::class(class, tuning, 1).transpose());
    compiled(lane, classes.collect::<Result<_>>()?).await
}

/// The share of the ceilings that a small operator of `class` reaches, in (0, 1]; `None` where none is known.
pub async fn utilisation(lane: &GpuLane, class: Class, measured: &Measured) -> Result<Option<f64>> {
    let tuning = lane.tuning().whole();
    if probe::class(class, tuning, 1)?.is_none() {
        return Ok(None);
    }
    let make = |n| {
        probe::class(class, tuning, n)?.ok_or_else(|| Error::new(Kind::Internal, format!("no probe for {class:?}")))
    };
    let sampled = sample(lane, measured.readback_s, make).await?;
    Ok(Some(sampled.utilisation(measured.flops_per_s, measured.bytes_per_s, measured.dispatch_s)))
}

/// A moment to measure in, as soon as there is one.
async fn moment(lane: &GpuLane) -> Option<Moment> {
    match lane.pace() {
        Some(pace) => Some(pace.moment().await),
        None => None,
    }
}

/// Compiles what `programs` need so that no probe waits for its own: side by side where somebody waits, one in each moment where
/// nobody does.
async fn compiled(lane: &GpuLane, programs: Vec<Program>) -> Result<()> {
    if lane.pace().is_some_and(|pace| !pace.hurries()) {
        for program in programs {
            let _moment = moment(lane).await;
            lane.prepare(NOBODY, program, &Progress::SILENT).await?;
        }
        return Ok(());
    }
    let prepared = programs.into_iter().map(|program| lane.prepare(NOBODY, program, &Progress::SILENT));
    futures_util::future::try_join_all(prepared).await.map(drop)
}

/// What of `whole` is not the wait of `floor`, in seconds. That may have been measured beside a load that is gone by now, and be longer
/// than all of it: the body is a sixth at least, since it is repeated until it is long.
fn body(whole: f64, floor: f64) -> f64 {
    positive((whole - floor).max(whole / 6.0))
}

/// A difference of two measurements that must be above zero: at least a tenth of a microsecond.
fn positive(seconds: f64) -> f64 {
    seconds.max(1e-7)
}

fn total(program: &Program, of: impl Fn(&DispatchCost) -> f64) -> f64 {
    program.dispatches.iter().map(|d| of(&d.cost)).sum()
}

/// Whether to nudge, and the round trip of 4 bytes in seconds when doing so or not.
async fn waits(lane: &GpuLane, nothing: &Probe<'_>) -> Result<(bool, f64)> {
    let mut best = [0.0; 2];
    for nudge in [false, true] {
        lane.set_nudge(nudge);
        best[usize::from(nudge)] = nothing.seconds(f64::INFINITY).await?;
    }
    let [plain, nudged] = best;
    // Nudging costs submits: it must win clearly.
    let nudge = nudged < 0.7 * plain;
    Ok((nudge, if nudge { nudged } else { plain }))
}

/// The time of a program, beyond the waits.
#[derive(Debug)]
pub struct Sample {
    /// Median, in seconds.
    pub seconds: f64,
    /// Fastest and slowest, in seconds.
    pub range: (f64, f64),
    /// How often the body ran.
    pub repeats: usize,
    /// What ran: its body as often as was long enough, then a mark.
    pub program: Rc<Program>,
}

impl Sample {
    /// Floating-point operations per second, at its median.
    pub fn flops_per_s(&self) -> f64 {
        total(&self.program, |d| d.flops) / self.seconds
    }

    /// Bytes per second, at its median.
    pub fn bytes_per_s(&self) -> f64 {
        total(&self.program, |d| d.bytes) / self.seconds
    }

    /// The share of the adapter's ceilings that it reached, in (0, 1]; what empty dispatches take is not counted.
    pub fn utilisation(&self, flops_per_s: f64, bytes_per_s: f64, dispatch_s: f64) -> f64 {
        let ideal = total(&self.program, |d| (d.flops / flops_per_s).max(d.bytes / bytes_per_s));
        // At least a tenth of the time is the kernel's: an empty dispatch varies as much as that.
        let busy = (self.seconds - self.program.dispatches.len() as f64 * dispatch_s).max(0.1 * self.seconds);
        (ideal / busy).clamp(1e-4, 1.0)
    }
}

/// Times what `make` gives beyond `floor`, in seconds, its body repeated until that is long enough.
pub async fn sample(lane: &GpuLane, floor: f64, make: impl Fn(usize) -> Result<Program>) -> Result<Sample> {
    let (probe, repeats) = long_enough(lane, floor, make).await?;
    let mut each = Vec::with_capacity(REPEATS);
    for _ in 0..REPEATS {
        each.push(body(probe.once(f64::INFINITY).await?.0, floor));
    }
    let range = each.iter().fold((f64::INFINITY, 0.0f64), |(low, high), &s| (low.min(s), high.max(s)));
    let program = Rc::clone(&probe.work.prepared.program);
    Ok(Sample { seconds: median(each), range, repeats, program })
}

/// Repeats what `make` gives more and more often until it is long enough; it has run, and how often it repeats.
async fn long_enough<'a>(
    lane: &'a GpuLane,
    floor: f64,
    make: impl Fn(usize) -> Result<Program>,
) -> Result<(Probe<'a>, usize)> {
    let mut n = 1;
    loop {
        let probe = Probe::new(lane, make(n)?).await?;
        probe.once(f64::INFINITY).await?;
        let first = probe.once(f64::INFINITY).await?.0 - floor;
        if first * 1e3 >= LONG_ENOUGH_MS || n >= MOST_DISPATCHES {
            return Ok((probe, n));
        }
        n = more(n, first * 1e3);
    }
}

/// How often to repeat what took only `ms` for `n` times: at least twice as often, up to the most.
fn more(n: usize, ms: f64) -> usize {
    let wanted = LONG_ENOUGH_MS / ms.max(0.05) * 1.5;
    ((n as f64 * wanted).ceil() as usize).max(2 * n).min(MOST_DISPATCHES)
}

struct Probe<'a> {
    lane: &'a GpuLane,
    work: Work,
}

impl<'a> Probe<'a> {
    async fn new(lane: &'a GpuLane, program: Program) -> Result<Probe<'a>> {
        let inputs = program.inputs.iter().map(|p| Input::Words(Rc::from(vec![0u32; p.ty.len()]))).collect();
        let _moment = moment(lane).await;
        let prepared = lane.prepare(NOBODY, program, &Progress::SILENT).await?;
        Ok(Probe { lane, work: Work { prepared: Rc::new(prepared), inputs } })
    }

    /// Median time of the whole in seconds, after one run that does not count.
    async fn seconds(&self, submit_ms: f64) -> Result<f64> {
        self.timed(submit_ms).await.map(|(total, _)| total)
    }

    /// Median of the whole and of its recording, in seconds.
    async fn timed(&self, submit_ms: f64) -> Result<(f64, f64)> {
        self.once(submit_ms).await?;
        let (mut totals, mut records) = (Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            let (total, record) = self.once(submit_ms).await?;
            totals.push(total);
            records.push(record);
        }
        Ok((median(totals), median(records)))
    }

    async fn once(&self, submit_ms: f64) -> Result<(f64, f64)> {
        let outcome = self.run(submit_ms).await?;
        Ok((outcome.total_ms * 1e-3, outcome.record_ms * 1e-3))
    }

    async fn run(&self, submit_ms: f64) -> Result<Outcome> {
        let program = &*self.work.prepared.program;
        let each = vec![vec![1.0; program.dispatches.len()]];
        let schedule = schedule(&[program.extent()], Strategy::Sequential, &each, submit_ms);
        let moment = moment(self.lane).await;
        let turn = self.lane.turn().await;
        let pending = self.lane.submit(std::slice::from_ref(&self.work), &schedule).await?;
        let outcome = self.lane.finish(pending).await;
        drop((turn, moment));
        // Who waits for a turn has it before the next run.
        next_turn().await;
        outcome
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_was_measured_beside_a_load_makes_no_probe_last_nothing() {
        assert!((body(0.006, 0.001) - 0.005).abs() < 1e-12);
        assert_eq!(body(0.006, 0.02), 0.001);
    }

    #[test]
    fn a_probe_grows_until_it_may_not_whatever_it_took() {
        for start in 1..MOST_DISPATCHES {
            for ms in [-1.0, 0.0, 1e-3, 0.5, 2.0, 3.99] {
                let next = more(start, ms);
                assert!(next > start && next <= MOST_DISPATCHES, "{start} in {ms} ms: {next}");
            }
        }
    }
}
