//! Where calls run that come together: sessions shared out over like lanes, a call beside a busy lane, a set split over several.
//! Knows forecasts and homes; must never know what a lane is.

use super::calls::{Calls, Checked};
use super::desk::Desk;
use super::homes::{CALM, Home};
use super::options::RunOptions;
use super::queue::{Execution, Item};
use super::session::Session;
use super::spread::{Placed, Spread, ends, spread};
use crate::error::Result;
use crate::lane::host::spawn;
use crate::predict::{Goal, Strategy};
use std::rc::Rc;

/// A set is split where that is forecast to take at most so much of its time: less is not sure enough to be worth the weights.
const WORTH: f64 = 0.8;
/// A session is made ready on a further lane where its calls take so many times as long as the way there and back.
const WAITED: f64 = 4.0;

impl Calls {
    /// The lane like that of `first` on which `session` is to live: where its weights are already, or one with the fewest
    /// sessions, or a further one.
    pub(super) async fn roomiest(&self, session: &Session, first: Rc<Desk>) -> Rc<Desk> {
        if self.options.goal == Goal::Memory || first.lane.threads() > 1 {
            return first;
        }
        let alike = self.lanes.alike(&first);
        let holds = |desk: &&Rc<Desk>| desk.lane.holds(&session.graph.borrow());
        if let Some(holder) = alike.iter().find(holds) {
            return Rc::clone(holder);
        }
        let least = alike.into_iter().min_by_key(|desk| (desk.tenants.get(), desk.lane.counts().weights));
        let least = least.unwrap_or_else(|| Rc::clone(&first));
        match least.tenants.get() {
            0 => least,
            _ => self.lanes.another(&first).await.unwrap_or(least),
        }
    }

    /// Where a call runs whose lane may be busy: there, or on one like it that is idle, where its session is made ready beside its
    /// calls first.
    pub(super) fn beside(
        self: &Rc<Self>,
        call: &Checked,
        desk: Rc<Desk>,
        home: Rc<Home>,
    ) -> Result<(Rc<Desk>, Rc<Home>)> {
        let session = &call.session;
        let like = |other: &Home| other.lane.name() == home.lane.name() && !std::ptr::eq(other, &*home);
        // Those that come together share out the threads there are, and may have much in common.
        if desk.queue.idle() || (desk.lane.threads() > 1 && desk.queue.gathers()) {
            if session.calm.replace(session.calm.get() + 1) == CALM {
                session.leaves(like);
            }
            return Ok((desk, home));
        }
        session.calm.set(0);
        if call.stays() || self.options.goal == Goal::Memory || !session.portable() {
            return Ok((desk, home));
        }
        let form = call.form()?;
        let Some(ready) = home.ready_for(&form) else { return Ok((desk, home)) };
        let alike = self.lanes.alike(&desk);
        let idle: Vec<&Rc<Desk>> = alike.iter().filter(|desk| desk.queue.idle()).collect();
        let lives = |desk: &&Rc<Desk>| {
            let there = session.home_at(desk.lane.opening())?;
            there.ready_for(&form).map(|_| (Rc::clone(desk), there))
        };
        if let Some(other) = idle.iter().find_map(|&desk| lives(&desk)) {
            return Ok(other);
        }
        let way_ms = desk.lane.measured().readback_s * 1e3;
        if desk.forecast_ms(&ready.compiled.cost) > WAITED * way_ms {
            match idle.iter().min_by_key(|desk| desk.tenants.get()) {
                Some(other) => self.visit(session, other, session.home_at(other.lane.opening()), &form),
                None => self.another_beside(&desk),
            }
        }
        Ok((desk, home))
    }

    /// Opens a further lane like that of `desk`, beside the calls.
    fn another_beside(self: &Rc<Self>, desk: &Rc<Desk>) {
        if self.lanes.may_have_another(desk) {
            let (calls, desk) = (Rc::clone(self), Rc::clone(desk));
            spawn(Box::pin(async move { drop(calls.lanes.another(&desk).await) }));
        }
    }

    /// Where each of the calls at `places` is to run, if not at its home: where `options` ask for a split, or one is forecast to be
    /// worth it and all is ready there; what is not ready is made so beside the calls.
    pub(super) async fn shared_out(
        self: &Rc<Self>,
        calls: &[Checked],
        places: &[usize],
        ready: &[(Placed, Item)],
        options: &RunOptions,
    ) -> Vec<Option<Rc<Desk>>> {
        let nowhere = || vec![None; places.len()];
        let set: Vec<Placed> = ready.iter().map(|(placed, _)| placed.clone()).collect();
        let memory = options.goal.unwrap_or(self.options.goal) == Goal::Memory;
        let split = match options.strategy {
            Some(Strategy::Batched) => return self.gathered(&set),
            Some(Strategy::Split) => {
                self.enough(&set).await;
                self.split(&set)
            }
            None if places.len() > 1 && !memory && !places.iter().any(|&place| calls[place].stays()) => {
                self.worthwhile(&set)
            }
            _ => None,
        };
        let Some(split) = split else { return nowhere() };
        let mut desks = nowhere();
        for part in &split.parts {
            for &i in part.requests.iter().filter(|&&i| !Rc::ptr_eq(&set[i].desk, &part.desk)) {
                desks[i] = Some(Rc::clone(&part.desk));
            }
        }
        desks
    }

    /// Where those of `set` are to run that do not live on the first of its lanes that takes all of them.
    fn gathered(&self, set: &[Placed]) -> Vec<Option<Rc<Desk>>> {
        let desk = self.common(set);
        let away = |placed: &Placed| desk.clone().filter(|desk| !Rc::ptr_eq(&placed.desk, desk));
        set.iter().map(away).collect()
    }

    /// The first of the lanes of `set` that takes all of it.
    pub(super) fn common(&self, set: &[Placed]) -> Option<Rc<Desk>> {
        let takes_all = |desk: &&Rc<Desk>| set.iter().all(|placed| self.may(placed, desk));
        set.iter().map(|placed| &placed.desk).find(takes_all).cloned()
    }

    /// Opens further lanes until there is one for each of `set`, as far as there may be.
    pub(super) async fn enough(&self, set: &[Placed]) {
        for placed in set {
            let alike = set.iter().filter(|other| other.desk.like(&placed.desk)).count();
            while self.lanes.alike(&placed.desk).len() < alike && self.lanes.another(&placed.desk).await.is_some() {}
        }
    }

    /// `set` shared out over all lanes that there are.
    pub(super) fn split(&self, set: &[Placed]) -> Option<Spread> {
        spread(set, &self.lanes.places(), &|placed, desk| self.may(placed, desk))
    }

    /// Whether a request may run at `desk`.
    pub(super) fn may(&self, placed: &Placed, desk: &Rc<Desk>) -> bool {
        let session = &placed.session;
        Rc::ptr_eq(&placed.desk, desk) || (session.portable() && session.refusal(&*desk.lane).is_none())
    }

    /// `set` split over lanes where all of it is ready, if that is worth it; where it would be and is not ready, it will be.
    fn worthwhile(self: &Rc<Self>, set: &[Placed]) -> Option<Spread> {
        // What was never measured says too little of itself.
        let known = |desk: &Rc<Desk>| desk.probing.done() || set.iter().any(|placed| placed.desk.like(desk));
        let places: Vec<_> = self.lanes.places().into_iter().filter(|(desk, _)| known(desk)).collect();
        let sharing = self.sharing.get();
        let home = spread(set, &places, &|placed, desk| Rc::ptr_eq(&placed.desk, desk))?;
        let lives = |placed: &Placed, desk: &Rc<Desk>| {
            let there = placed.session.home_at(desk.lane.opening());
            there.is_some_and(|there| there.ready_for(&placed.form).is_some())
        };
        let now = spread(set, &places, &|placed, desk| Rc::ptr_eq(&placed.desk, desk) || lives(placed, desk))?;
        let best = spread(set, &places, &|placed, desk| self.may(placed, desk))?;
        if best.total_ms(&sharing) < WORTH * now.total_ms(&sharing) {
            for (i, part) in best.parts.iter().flat_map(|part| part.requests.iter().map(move |&i| (i, part))) {
                let placed = &set[i];
                if !Rc::ptr_eq(&placed.desk, &part.desk) && !lives(placed, &part.desk) {
                    let there = placed.session.home_at(part.desk.lane.opening());
                    self.visit(&placed.session, &part.desk, there, &placed.form);
                }
            }
        }
        // More lanes than there are may do even better.
        for placed in set {
            if best.parts.len() < set.len() && self.lanes.alike(&placed.desk).iter().all(|desk| used(&best, desk)) {
                self.another_beside(&placed.desk);
            }
        }
        (now.total_ms(&sharing) < WORTH * home.total_ms(&sharing)).then_some(now)
    }

    /// Learns from executions of several lanes at once.
    pub(super) fn learn<'a>(&self, runs: impl Iterator<Item = (&'a Rc<Desk>, &'a Execution)>) {
        let (desks, runs): (Vec<&Rc<Desk>>, Vec<&Execution>) = runs.filter(|(_, run)| run.warm).unzip();
        if runs.len() < 2 {
            return;
        }
        let (began, ended) = span(&runs);
        let alone = desks.into_iter().zip(&runs).map(|(desk, run)| (Rc::clone(desk), run.forecast_ms));
        let forecast = ends(&alone.collect::<Vec<_>>()).into_iter().fold(0.0, f64::max);
        let mut sharing = self.sharing.get();
        sharing.took(ended - began, forecast);
        self.sharing.set(sharing);
    }
}

/// When the first of `runs` began, and the last ended.
pub(super) fn span(runs: &[&Execution]) -> (f64, f64) {
    let began = runs.iter().map(|run| run.began_ms).fold(f64::INFINITY, f64::min);
    let ended = runs.iter().map(|run| run.began_ms + run.outcome.total_ms).fold(f64::NEG_INFINITY, f64::max);
    (began, ended)
}

fn used(split: &Spread, desk: &Rc<Desk>) -> bool {
    split.parts.iter().any(|part| Rc::ptr_eq(&part.desk, desk))
}
