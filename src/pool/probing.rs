//! What the predictor needs beyond the ceilings: the share of them that each kernel class reaches here. Measured once,
//! while the pool idles or when a prediction asks. Knows when to measure; must never know how.

use super::known::{Known, Shelf, fingerprint};
use super::{Inner, Measure};
use crate::error::{Error, Kind, Result};
use crate::kernels::Class;
use crate::lane::gpu::probe;
use crate::lane::host::{LocalFuture, sleep, spawn};
use futures_util::FutureExt as _;
use futures_util::future::Shared;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// How often, in milliseconds, a measurement that nobody waits for looks whether the pool idles.
const LOOK_MS: u32 = 20;

/// The measurement: not begun, under way, or done.
pub struct Probing {
    shelf: Option<Rc<dyn Shelf>>,
    kernels: String,
    under_way: RefCell<Option<Shared<LocalFuture<Result<()>>>>>,
    done: Cell<bool>,
    /// Whether it was begun unasked: what fails then is tried again only when asked for.
    begun: Cell<bool>,
    /// Whether someone waits for it.
    wanted: Cell<bool>,
}

impl std::fmt::Debug for Probing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probing").field("done", &self.done).finish_non_exhaustive()
    }
}

impl Probing {
    /// Nothing is known yet; what will be is put on `shelf` as of `kernels`.
    pub(super) fn new(shelf: Option<Rc<dyn Shelf>>, kernels: String) -> Probing {
        Probing {
            shelf,
            kernels,
            under_way: RefCell::default(),
            done: Cell::default(),
            begun: Cell::default(),
            wanted: Cell::default(),
        }
    }

    /// Whether the predictor knows what classes reach.
    pub(super) fn done(&self) -> bool {
        self.done.get()
    }
}

impl Inner {
    /// Goes by what was measured before.
    pub(super) fn take_in(&self, known: &Known) {
        let mut predictor = self.predictor.borrow_mut();
        known.shares.iter().for_each(|(&class, &share)| predictor.reaches(class, share));
        self.probing.done.set(true);
    }

    /// Measures what is not measured yet, now.
    pub(super) async fn measured(self: &Rc<Self>) -> Result<()> {
        self.probing.wanted.set(true);
        self.measure().await
    }

    /// Measures between calls, after the first has its result.
    pub(super) fn measure_when_idle(self: &Rc<Self>) {
        if self.measure == Measure::Idle && !self.probing.done() && !self.probing.begun.replace(true) {
            let inner = Rc::clone(self);
            // Who wants to know asks, and then meets the error.
            spawn(Box::pin(async move { inner.measure().map(drop).await }));
        }
    }

    async fn measure(self: &Rc<Self>) -> Result<()> {
        if self.probing.done() {
            return Ok(());
        }
        let shared = {
            let mut under_way = self.probing.under_way.borrow_mut();
            let inner = Rc::clone(self);
            let begin = || {
                let steps: LocalFuture<_> = Box::pin(async move { inner.steps().await });
                steps.shared()
            };
            under_way.get_or_insert_with(begin).clone()
        };
        let result = shared.await;
        // It holds the pool, and one that failed may succeed later.
        self.probing.under_way.take();
        result
    }

    async fn steps(&self) -> Result<()> {
        // The guess that it began with may be wrong.
        self.step(async || probe::tune(&self.lane, &self.ceilings).await).await?;
        self.step(async || probe::prepare_classes(&self.lane).await).await?;
        let mut shares = BTreeMap::new();
        for class in Class::ALL {
            let reached = self.step(async || probe::utilisation(&self.lane, class, &self.ceilings).await).await?;
            shares.extend(reached.map(|share| (class, share)));
        }
        self.lane.trim();
        let known = Known { kernels: self.probing.kernels.clone(), tuning: self.lane.tuning(), shares };
        self.take_in(&known);
        if let Some(shelf) = &self.probing.shelf {
            shelf.keep(&fingerprint(self.lane.facts()), &known);
        }
        Ok(())
    }

    /// One step, begun beside no execution; where nobody waits, beside no preparation either. A call that comes meanwhile
    /// waits for one run of what is measured, not for the step: see [`crate::lane::gpu::GpuLane::turn`].
    async fn step<T>(&self, what: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        let idle = || self.queue.idle() && self.preparing.get() == 0;
        while !(self.probing.wanted.get() || self.closed.get() || idle()) {
            sleep(LOOK_MS).await;
        }
        if self.closed.get() {
            return Err(Error::new(Kind::Closed, "the pool is closed"));
        }
        what().await
    }
}
