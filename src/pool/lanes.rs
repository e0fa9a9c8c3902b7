//! The lanes of a pool: those that are open, those that may be opened once they are needed, and those that were lost and come
//! back. Knows lanes by their names; must never know where a session lives.

use super::activity::Activity;
use super::desk::{Counted, Desk};
use super::known::{Known, Shelf};
use super::options::{Measure, PoolOptions};
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::lane::host::{LocalFuture, spawn};
use crate::lane::{self, Lane, Precision};
use crate::program::ProgramCost;
use futures_util::FutureExt as _;
use futures_util::future::Shared;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

/// Opens the lane of a name.
pub type Opener = Rc<dyn Fn(&str) -> LocalFuture<Result<Rc<dyn Lane>>>>;
/// In what a session is computed, by lane.
pub type Precisions = BTreeMap<String, Precision>;
type OpeningDesk = Shared<LocalFuture<Result<Rc<Desk>>>>;

/// How often in a row a lane is opened again that was lost before it answered a call.
const MOST_LOSSES: u32 = 3;

/// The lanes of a pool.
pub struct Lanes {
    /// The preferred lane first; never empty.
    desks: RefCell<Vec<Rc<Desk>>>,
    /// Names of lanes that may be opened, the preferred first.
    names: Vec<String>,
    opener: Option<Opener>,
    options: PoolOptions,
    shelf: Option<Rc<dyn Shelf>>,
    /// Lanes that were opened, or opened again, because calls may be faster there, by the opening that was lost.
    hoped: RefCell<BTreeSet<(String, u64)>>,
    closed: Cell<bool>,
    activity: Rc<Activity>,
    /// How many lanes are on their way beside others of their name.
    coming: Cell<usize>,
    /// Lanes on their way.
    opening: RefCell<BTreeMap<String, OpeningDesk>>,
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").field("desks", &self.desks).finish_non_exhaustive()
    }
}

/// A desk for a lane whose ceilings are measured.
///
/// `known`: what was measured of it before.
pub(super) async fn desk(
    lane: Rc<dyn Lane>,
    options: &PoolOptions,
    shelf: &Option<Rc<dyn Shelf>>,
    known: Option<Known>,
    activity: &Rc<Activity>,
) -> Result<Rc<Desk>> {
    let (desk, known) = match Desk::open_lane(Rc::clone(&lane), options, shelf.clone(), known, activity).await {
        Ok(opened) => opened,
        Err(error) => return Err(lane.cause(error).await),
    };
    let desk = Rc::new(desk);
    desk.pace();
    if let Some(known) = known {
        desk.take_in(&known);
    }
    if options.measure == Measure::Now {
        desk.measure_now().await?;
    }
    Ok(desk)
}

impl Lanes {
    /// Those of `desks`; `opener` opens those of `names`, and them again.
    pub(super) fn new(
        desks: Vec<Rc<Desk>>,
        names: Vec<String>,
        opener: Option<Opener>,
        options: &PoolOptions,
        shelf: Option<Rc<dyn Shelf>>,
    ) -> Result<Rc<Lanes>> {
        let Some(first) = desks.first() else {
            return Err(Error::new(Kind::Unsupported, "a pool of no lanes"));
        };
        let activity = Rc::clone(&first.activity);
        let (desks, opening, options) = (RefCell::new(desks), RefCell::default(), options.clone());
        Ok(Rc::new(Lanes {
            desks,
            names,
            opener,
            options,
            shelf,
            hoped: RefCell::default(),
            closed: Cell::default(),
            activity,
            coming: Cell::default(),
            opening,
        }))
    }

    /// Ends every lane; none is opened any more.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.all().iter().for_each(|desk| desk.lane.close());
    }

    /// What all are at work on.
    pub(super) fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Every desk, the preferred first.
    pub(super) fn all(&self) -> Vec<Rc<Desk>> {
        self.desks.borrow().clone()
    }

    /// The first desk of each name.
    pub(super) fn kinds(&self) -> Vec<Rc<Desk>> {
        let mut kinds: Vec<Rc<Desk>> = vec![];
        for desk in self.all() {
            if !kinds.iter().any(|kind| kind.like(&desk)) {
                kinds.push(desk);
            }
        }
        kinds
    }

    /// Names of the lanes that `session` may run on, the preferred first, of those that are open with in what it is computed there, and of
    /// the others with why it may not.
    pub(super) fn of(&self, session: &Session) -> (Vec<String>, Precisions, BTreeMap<String, String>) {
        let (kinds, workers) = (self.kinds(), self.options.workers.as_ref());
        let never =
            |name: &&String| !kinds.iter().any(|desk| desk.lane.name() == **name) && lane::expected(name, workers);
        let (mut can, mut precisions, mut cannot) = (vec![], BTreeMap::new(), BTreeMap::new());
        let open = kinds.iter().map(|desk| (desk.lane.name().to_owned(), Some(desk)));
        for (name, desk) in open.chain(self.names.iter().filter(never).map(|name| (name.clone(), None))) {
            let refused = match desk {
                Some(desk) => session.refusal(&*desk.lane),
                None => session.refuses(&name),
            };
            if let Some(why) = refused {
                cannot.insert(name, why.to_string());
                continue;
            }
            precisions.extend(desk.and_then(|desk| Some((name.clone(), session.precision(&*desk.lane)?))));
            can.push(name);
        }
        (can, precisions, cannot)
    }

    /// The desk of a lane of that name that was lost.
    fn lost(&self, lane: &str) -> Option<Rc<Desk>> {
        self.desks.borrow().iter().find(|desk| desk.lane.name() == lane && desk.lane.check().is_err()).cloned()
    }

    /// The desk of the lane of that opening, unless it was opened again since.
    pub(super) fn at(&self, opening: u64) -> Option<Rc<Desk>> {
        self.desks.borrow().iter().find(|desk| desk.lane.opening() == opening).cloned()
    }

    /// The desks of the lanes that can be asked now.
    pub(super) fn standing(&self) -> Vec<Rc<Desk>> {
        self.desks.borrow().iter().filter(|desk| desk.lane.check().is_ok()).cloned().collect()
    }

    /// Names of the lanes that cannot be asked now, but may be opened: the lost, then those that never were open.
    pub(super) fn spare(&self) -> Vec<String> {
        if self.opener.is_none() {
            return vec![];
        }
        let desks = self.desks.borrow();
        let name = |desk: &Rc<Desk>| desk.lane.name().to_owned();
        let stands = |of: &Rc<Desk>| desks.iter().any(|desk| desk.like(of) && desk.lane.check().is_ok());
        let mut lost: Vec<_> =
            desks.iter().filter(|desk| !stands(desk) && desk.losses.get() < MOST_LOSSES).map(name).collect();
        lost.dedup();
        let never = self.names.iter().filter(|name| !desks.iter().any(|desk| desk.lane.name() == **name)).cloned();
        lost.into_iter().chain(never).collect()
    }

    /// Opens lanes that `allowed` names and cannot be asked now, beside the calls, where one may take less than `ms` for `cost`: a
    /// lane that was lost by its forecast, one that never was open by what it can do at best.
    pub(super) fn hope(self: &Rc<Self>, allowed: &dyn Fn(&str) -> bool, cost: &ProgramCost, ms: f64) {
        for name in self.spare().into_iter().filter(|name| allowed(name)) {
            let flops = cost.dispatches.iter().map(|d| d.flops).sum();
            let (hopeful, was) = match self.lost(&name) {
                Some(lost) => (lost.forecast_ms(cost) < ms, lost.lane.opening()),
                None => (lane::hopeful(&name, flops, ms, self.options.workers.as_ref()), 0),
            };
            if hopeful && self.hoped.borrow_mut().insert((name.clone(), was)) {
                let lanes = Rc::clone(self);
                // What cannot be opened is not missed.
                spawn(Box::pin(async move { lanes.opened(&name).await.map_or((), drop) }));
            }
        }
    }

    /// The desk of a lane that is open, or is opened now; callers that want the same one wait together.
    pub(super) async fn opened(self: &Rc<Self>, name: &str) -> Result<Rc<Desk>> {
        if let Some(desk) = self.standing().into_iter().find(|desk| desk.lane.name() == name) {
            return Ok(desk);
        }
        let under_way = self.opening.borrow().get(name).cloned();
        let under_way = match under_way {
            Some(under_way) => under_way,
            None => {
                let (lanes, of) = (Rc::clone(self), name.to_owned());
                let open: LocalFuture<_> = Box::pin(async move {
                    let opened = lanes.open(&of).await;
                    // Nobody else may: it could be another's by then.
                    lanes.opening.borrow_mut().remove(&of);
                    opened
                });
                let open = open.shared();
                self.opening.borrow_mut().insert(name.to_owned(), open.clone());
                open
            }
        };
        under_way.await
    }

    async fn open(&self, name: &str) -> Result<Rc<Desk>> {
        let lane = self.lane(name).await?;
        let lost = self.lost(name);
        let known = lost.as_ref().and_then(|lost| lost.probing.known.borrow().clone());
        let desk = desk(lane, &self.options, &self.shelf, known, &self.activity).await?;
        if let Some(lost) = lost {
            desk.follows(&lost);
        }
        self.took_in(desk)
    }

    async fn lane(&self, name: &str) -> Result<Rc<dyn Lane>> {
        let none = || Error::new(Kind::Unsupported, format!("the lane '{name}' cannot be opened here"));
        self.opener.as_ref().ok_or_else(none)?(name).await
    }

    /// `desk` in the place of one of its name that was lost, or beside the others.
    fn took_in(&self, desk: Rc<Desk>) -> Result<Rc<Desk>> {
        if self.closed.get() {
            // The pool was closed meanwhile: nobody would close it later.
            desk.lane.close();
            return Err(Error::new(Kind::Closed, "the pool was closed"));
        }
        let lost = self.lost(desk.lane.name());
        let mut desks = self.desks.borrow_mut();
        match lost.and_then(|lost| desks.iter_mut().find(|old| Rc::ptr_eq(old, &lost))) {
            Some(old) => {
                old.lane.close();
                *old = Rc::clone(&desk);
            }
            None => desks.push(Rc::clone(&desk)),
        }
        Ok(desk)
    }

    /// The desks of the lanes that can be asked now, each with its name beside the others.
    pub(super) fn places(&self) -> Vec<(Rc<Desk>, String)> {
        let standing = self.standing();
        let place = |(at, desk): (usize, &Rc<Desk>)| {
            let name = desk.lane.name();
            let before = standing[..at].iter().filter(|other| other.like(desk)).count();
            let place = if before == 0 { name.to_owned() } else { format!("{name} {}", before + 1) };
            (Rc::clone(desk), place)
        };
        standing.iter().enumerate().map(place).collect()
    }

    /// The lanes that can be asked now and are like that of `desk`: it among them.
    pub(super) fn alike(&self, desk: &Desk) -> Vec<Rc<Desk>> {
        self.standing().into_iter().filter(|other| other.like(desk)).collect()
    }

    /// Whether one more lane like that of `desk` may be opened.
    pub(super) fn may_have_another(&self, desk: &Desk) -> bool {
        let most = if desk.lane.adds_up() { self.options.several } else { 1 };
        let fails = self.lost(desk.lane.name()).is_some_and(|lost| lost.losses.get() >= MOST_LOSSES);
        self.opener.is_some() && !fails && self.alike(desk).len() + self.coming.get() < most
    }

    /// One more lane like that of `desk`; nothing where it cannot be had.
    pub(super) async fn another(&self, desk: &Desk) -> Option<Rc<Desk>> {
        if !self.may_have_another(desk) {
            return None;
        }
        // It may be dropped at the wait.
        let _coming = Counted::new(&self.coming);
        let lane = self.lane(desk.lane.name()).await.ok()?;
        let another = desk.beside(lane, &self.options);
        // It may come for one that was lost.
        another.losses.set(self.lost(desk.lane.name()).map_or(0, |lost| lost.losses.get() + 1));
        self.took_in(Rc::new(another)).ok()
    }
}
