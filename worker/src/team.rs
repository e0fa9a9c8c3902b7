//! Threads of one memory that compute together: whoever calls takes part, helpers wait for work by spinning a while before
//! they sleep. Knows how work is shared out; must never know what it is.
//!
//! A helper that is asleep or not there yet is not waited for: it takes part only if it enters before all units are taken.

use consort::processor::{Clock, Team};
use consort::{Error, Result};
use std::arch::wasm32::{memory_atomic_notify, memory_atomic_wait32};
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::ops::Range;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicI32, AtomicUsize};
use std::sync::{Mutex, PoisonError};

/// What computes some units, given the number of the thread.
type Each<'a> = dyn Fn(usize, Range<usize>) -> Result<()> + Sync + 'a;

/// Looks of a helper for work before it sleeps: about as long as a model takes between two steps that it may take part in.
const LOOKS: usize = 100_000;
/// Milliseconds that it goes on looking where it was woken sooner than that before: calls come one after another, and what is shorter
/// would be half over by the time that it is awake.
const SOON_MS: f64 = 3.0;
/// Parts that the units of a phase are divided into for each thread: one that is held up leaves the rest to the others.
const PARTS: usize = 4;

/// Work that is open to helpers.
struct Work {
    /// Counts what was opened; odd while it is open.
    turn: AtomicI32,
    /// Helpers that look at it.
    inside: AtomicUsize,
    /// Helpers that sleep, or are about to.
    asleep: AtomicUsize,
    /// Threads that take part at most.
    limit: AtomicUsize,
    next: AtomicUsize,
    units: AtomicUsize,
    part: AtomicUsize,
    each: UnsafeCell<Option<*const Each<'static>>>,
    failed: Mutex<Option<Error>>,
}

// SAFETY: `each` is written while the work is closed and nobody inside, and read by those inside while it is open.
unsafe impl Sync for Work {}

static WORK: Work = Work {
    turn: AtomicI32::new(0),
    inside: AtomicUsize::new(0),
    asleep: AtomicUsize::new(0),
    limit: AtomicUsize::new(usize::MAX),
    next: AtomicUsize::new(0),
    units: AtomicUsize::new(0),
    part: AtomicUsize::new(1),
    each: UnsafeCell::new(None),
    failed: Mutex::new(None),
};

impl Work {
    /// Takes parts until there are none. Never inlined: an engine does not replace a function that is running, and a
    /// helper's loop runs for ever.
    #[inline(never)]
    fn take(&self, thread: usize, each: &Each<'_>) {
        let (units, part) = (self.units.load(SeqCst), self.part.load(SeqCst));
        loop {
            let from = self.next.fetch_add(part, SeqCst);
            if from >= units {
                return;
            }
            if let Err(error) = each(thread, from..(from + part).min(units)) {
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    }

    /// A helper's part in the work that is open, if any is.
    #[inline(never)]
    fn help(&self, thread: usize) {
        self.inside.fetch_add(1, SeqCst);
        // It may have been closed before this helper was inside: then nobody waits for it.
        if self.turn.load(SeqCst) % 2 == 1 {
            // SAFETY: it is open, and who opened it waits for all inside before what it points to goes.
            if let Some(each) = unsafe { *self.each.get() } {
                self.take(thread, unsafe { &*each });
            }
        }
        self.inside.fetch_sub(1, SeqCst);
    }
}

/// So many threads, the caller among them.
pub struct Threads(pub usize);

impl Team for Threads {
    fn threads(&self) -> usize {
        self.0
    }

    fn limit(&self, threads: usize) {
        WORK.limit.store(threads.max(1), SeqCst);
    }

    fn run(&self, units: usize, each: &Each<'_>) -> Result<()> {
        let threads = self.0.min(WORK.limit.load(SeqCst));
        if units < 2 || threads < 2 {
            return if units == 0 { Ok(()) } else { each(0, 0..units) };
        }
        // SAFETY: only its lifetime is left out; nobody uses it once this returns, as all inside are waited for.
        let open = unsafe { std::mem::transmute::<*const Each<'_>, *const Each<'static>>(std::ptr::from_ref(each)) };
        // SAFETY: the work is closed and nobody inside.
        unsafe { *WORK.each.get() = Some(open) };
        WORK.units.store(units, SeqCst);
        WORK.part.store((units / (threads * PARTS)).max(1), SeqCst);
        WORK.next.store(0, SeqCst);
        WORK.turn.fetch_add(1, SeqCst);
        if WORK.asleep.load(SeqCst) > 0 {
            // SAFETY: the address is that of an atomic.
            unsafe { memory_atomic_notify(WORK.turn.as_ptr(), u32::MAX) };
        }
        WORK.take(0, each);
        WORK.turn.fetch_add(1, SeqCst);
        while WORK.inside.load(SeqCst) > 0 {
            spin_loop();
        }
        WORK.failed.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

/// What a helper does between two turns: it looks for the next, and sleeps where that is long in coming.
struct Wait {
    clock: Clock,
    /// Whether the last one came soon.
    soon: bool,
}

impl Wait {
    /// Sleeps, or looks on, where nothing came since `since`, by so many looks.
    #[inline(never)]
    fn idle(&mut self, since: f64, seen: i32, takes_part: bool) {
        if self.soon && takes_part && (self.clock)() - since < SOON_MS {
            return;
        }
        WORK.asleep.fetch_add(1, SeqCst);
        // SAFETY: the address is that of an atomic. Where the turn has changed it returns at once.
        unsafe { memory_atomic_wait32(WORK.turn.as_ptr(), seen, -1) };
        WORK.asleep.fetch_sub(1, SeqCst);
        self.soon = (self.clock)() - since < SOON_MS;
    }
}

/// Helps, as the thread of that number, until the worker is ended.
pub fn help(thread: usize, clock: Clock) -> ! {
    let (mut seen, mut wait) = (0, Wait { clock, soon: false });
    loop {
        let (mut looks, mut since) = (0, None);
        while WORK.turn.load(SeqCst) == seen {
            looks += 1;
            if looks == LOOKS {
                let since = *since.get_or_insert_with(clock);
                wait.idle(since, seen, thread < WORK.limit.load(SeqCst));
                looks = 0;
            }
            spin_loop();
        }
        seen = WORK.turn.load(SeqCst);
        if seen % 2 != 0 && thread < WORK.limit.load(SeqCst) {
            WORK.help(thread);
        }
    }
}
