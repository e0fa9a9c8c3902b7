//! Measures a processor: its ceilings, and the share of them that a class of routines reaches. Knows programs made to measure;
//! must never know a model.

use super::alone::alone;
use super::engine::{Arena, Cursor, Whole, advance, feed};
use super::team::Team;
use crate::error::{Error, Result};
use crate::kernels::Class;
use crate::kernels::base::cpu::ceiling::{FLOPS_A_TURN, multiply_adds};
use crate::kernels::base::cpu::simd::LINE;
use crate::program::examples::example;
use std::hint::black_box;

/// Milliseconds on a clock that only goes forward.
pub type Clock = fn() -> f64;

/// What is measured grows until it takes so long, so that the clock is small beside it: as many of the clock's steps, between these
/// where an engine makes it fast meanwhile, and less where it is fast from the start.
const STEPS: f64 = 50.0;
const LONG_ENOUGH_MS: [f64; 2] = [1.0, 3.0];
const FAST_MS: [f64; 2] = [0.3, 3.0];
/// It is run until so many in a row were not faster than what was the fastest by then, which counts, as it was disturbed least; an
/// engine may still be making it fast.
const STEADY: usize = 4;
/// So much is faster.
const FASTER: f64 = 0.98;
/// How often it is run at most.
const MOST_REPEATS: usize = 40;
/// Turns of multiply-adds in one call.
const FMA_TURNS: usize = 1 << 12;
/// Floats that the copy moves: more than the nearest caches hold.
const COPIED: usize = 1 << 20;
/// Readings of a clock within which it goes forward.
const MOST_READINGS: usize = 1 << 20;
/// Nothing is run more often than this between two looks at the clock.
const MOST_TURNS: usize = 1 << 28;

/// A processor's ceilings, of all threads together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ceilings {
    /// Floating-point operations a second in registers; a multiply-add counts two.
    pub flops_per_s: f64,
    /// Bytes a second that a copy reads and writes.
    pub bytes_per_s: f64,
    /// Seconds of a step that computes nothing.
    pub dispatch_s: f64,
}

/// Milliseconds between two readings of the clock that differ; nothing of a clock that stands still.
fn step(clock: Clock) -> f64 {
    let next = |from: f64| (0..MOST_READINGS).map(|_| clock()).find(|now| *now > from);
    next(clock()).and_then(|one| next(one).map(|two| two - one)).unwrap_or_default()
}

/// Seconds of one turn of `run`, which is told how many to make.
fn seconds(clock: Clock, [least, most]: [f64; 2], mut run: impl FnMut(usize) -> Result<()>) -> Result<f64> {
    let mut timed = |turns: usize| {
        let began = clock();
        run(turns)?;
        Ok::<f64, Error>(clock() - began)
    };
    let long_enough = (STEPS * step(clock)).clamp(least, most);
    let mut turns = 1;
    let mut best = timed(turns)?;
    while best < long_enough && turns < MOST_TURNS {
        turns *= 2;
        best = timed(turns)?;
    }
    let (mut repeats, mut steady) = (0, 0);
    while steady < STEADY && repeats < MOST_REPEATS {
        let ms = timed(turns)?;
        steady = if ms < FASTER * best { 0 } else { steady + 1 };
        best = best.min(ms);
        repeats += 1;
        // An engine that makes it fast makes it too short.
        if best < long_enough / 2.0 && turns < MOST_TURNS {
            (turns, best) = (turns * 2, best * 2.0);
        }
    }
    // A clock may stand still for a while: nothing takes no time.
    Ok((best / 1e3 / turns as f64).max(1e-12))
}

/// Measures the ceilings of `team`.
#[inline(never)]
pub fn ceilings(team: &dyn Team, clock: Clock) -> Result<Ceilings> {
    let threads = team.threads();
    let turn = seconds(clock, LONG_ENOUGH_MS, |turns| {
        team.run(threads, &|_, units| {
            for _ in units {
                // Called often: an engine makes a function fast between two calls of it.
                for _ in 0..turns {
                    black_box(multiply_adds(FMA_TURNS, black_box(1e-6)));
                }
            }
            Ok(())
        })
    })?;
    let (from, mut to) = (vec![1.0f32; COPIED], vec![0.0; COPIED]);
    let copied = seconds(clock, FAST_MS, |turns| {
        for _ in 0..turns {
            to.copy_from_slice(black_box(&from));
            black_box(&to);
        }
        Ok(())
    })?;
    let nothing = seconds(clock, LONG_ENOUGH_MS, |turns| {
        (0..turns).try_for_each(|_| {
            team.run(threads, &|_, units| {
                black_box(units);
                Ok(())
            })
        })
    })?;
    Ok(Ceilings {
        flops_per_s: (FMA_TURNS * FLOPS_A_TURN * threads) as f64 / turn,
        bytes_per_s: (COPIED * 4 * 2) as f64 / copied,
        dispatch_s: nothing,
    })
}

/// The share of `ceilings` that a small operator of `class` reaches, up to [`Class::MOST_SHARE`].
#[inline(never)]
pub fn utilisation(class: Class, ceilings: &Ceilings, team: &dyn Team, clock: Clock) -> Result<f64> {
    let (loaded, input) = alone(&example(class))?;
    let ideal: f64 = loaded
        .program
        .steps
        .iter()
        .map(|s| (s.cost.flops / ceilings.flops_per_s).max(s.cost.bytes / ceilings.bytes_per_s))
        .sum();
    let mut arena = Arena::default();
    // A model's operators find in the arena what those before them left there, and nothing is copied in or out.
    feed(&loaded, &mut arena, team, &[&input])?;
    let mut steps = || {
        let at = &mut Cursor::default();
        advance(&loaded, &mut arena, team, at, &|_| String::new(), &mut Whole(|_| {})).map(drop)
    };
    let mut took = seconds(clock, LONG_ENOUGH_MS, |turns| (0..turns).try_for_each(|_| steps()))?;
    if class == Class::Gemv {
        // Weights that are read once a run come from afar: others were read since. From near at hand they come no slower.
        let others = vec![0.0f32; COPIED];
        let away = || read(team, &others);
        let both = seconds(clock, LONG_ENOUGH_MS, |turns| (0..turns).try_for_each(|_| away().and_then(|()| steps())))?;
        took = took.max(both - seconds(clock, LONG_ENOUGH_MS, |turns| (0..turns).try_for_each(|_| away()))?);
    }
    Ok((ideal / took).clamp(1e-4, Class::MOST_SHARE))
}

/// Has each thread of `team` read its part of `floats`, a line of a cache at a time.
fn read(team: &dyn Team, floats: &[f32]) -> Result<()> {
    let part = floats.len().div_ceil(team.threads()).max(1);
    team.run(floats.len().div_ceil(part), &|_, units| {
        for unit in units {
            let own = floats.chunks(part).nth(unit).unwrap_or_default();
            black_box(own.iter().step_by(LINE).sum::<f32>());
        }
        Ok(())
    })
}
