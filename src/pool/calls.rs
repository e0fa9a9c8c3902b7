//! Calls on their way to a lane: each request checked, given a home, made ready there and run; where a lane is lost, on another
//! that can, or on the same opened again. Knows sessions and lanes; must never know how either computes.

use super::desk::{Counted, Desk};
use super::executing;
use super::homes::{CALM, Form, Home};
use super::lanes::Lanes;
use super::options::{Fallback, Outputs, PoolOptions, Request, RunOptions};
use super::queue::{Execution, Item, Part};
use super::ready::Ready;
use super::report::Answered;
use super::routes::Next;
use super::session::Session;
use super::spread::{Placed, Sharing, shares};
use super::tensors::{Feed, Keep};
use super::warming::warm;
use crate::error::{Error, Kind, Result};
use crate::graph::HostTensor;
use crate::lane::host::{now_ms, spawn};
use crate::lane::{Input, Resident};
use crate::predict::{Goal, Strategy};
use futures_util::future::join_all;
use std::cell::Cell;
use std::rc::Rc;

/// How often a request or a load is begun whose lanes are lost.
pub(super) const ATTEMPTS: usize = 3;

/// Requests that are ready, with their places among all, by lane.
pub(super) type Sets = Vec<(Rc<Desk>, Vec<(usize, Item)>)>;

/// A request that was checked.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) session: Rc<Session>,
    inputs: Vec<Input>,
    keep: Keep,
}

/// Adds a request to those of its lane.
pub(super) fn add(sets: &mut Sets, desk: Rc<Desk>, place: usize, item: Item) {
    match sets.iter_mut().find(|(of, _)| Rc::ptr_eq(of, &desk)) {
        Some((_, items)) => items.push((place, item)),
        None => sets.push((desk, vec![(place, item)])),
    }
}

impl Checked {
    /// Whether it reads or leaves tensors on a lane: they would have to follow it to another.
    pub(super) fn stays(&self) -> bool {
        self.keep != Keep::Nothing || self.inputs.iter().any(|input| matches!(input, Input::Resident(_)))
    }

    pub(super) fn form(&self) -> Result<Form> {
        self.session.form(&self.inputs, &self.keep)
    }

    fn shapes(&self) -> Vec<Vec<usize>> {
        self.inputs.iter().map(|input| input.shape().to_vec()).collect()
    }
}

/// Places calls on the lanes of a pool.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) lanes: Rc<Lanes>,
    pub(super) options: PoolOptions,
    /// Numbers by which lanes know who holds what.
    holders: Cell<u64>,
    /// What lanes take from each other that run at once.
    pub(super) sharing: Cell<Sharing>,
    /// Calls without an answer.
    pub(super) pending: Cell<usize>,
}

impl Calls {
    pub(super) fn new(lanes: &Rc<Lanes>, options: &PoolOptions) -> Calls {
        let (lanes, holders) = (Rc::clone(lanes), Cell::new(1));
        Calls { lanes, options: options.clone(), holders, sharing: Cell::default(), pending: Cell::default() }
    }

    /// A new home for `session` at `desk`.
    pub(super) fn settled(&self, session: &Session, desk: &Rc<Desk>) -> Rc<Home> {
        let holder = self.holders.replace(self.holders.get() + 1);
        Home::new(&desk.lane, (&desk.tenants, &desk.joints), holder, session.half_products)
    }

    /// A request with its inputs in the model's order.
    pub(super) fn checked(&self, session: Rc<Session>, request: Request) -> Result<Checked> {
        let input = |feed| match feed {
            Feed::Host(tensor) => Input::Host(Rc::new(tensor)),
            Feed::Resident(tensor) => Input::Resident(tensor),
        };
        let feeds = request.feeds.into_iter().map(|(name, feed)| (name, input(feed))).collect();
        let inputs = session.inputs(&feeds)?;
        let checked = Checked { session, inputs, keep: request.keep };
        // What is wrong with it is said before anything is made ready.
        checked.session.form(&checked.inputs, &checked.keep)?;
        Ok(checked)
    }

    /// Runs all: those of one lane in one execution, lanes side by side. Outputs come in their order.
    pub(super) async fn run(self: &Rc<Self>, calls: &[Checked], options: RunOptions) -> Result<Vec<Outputs>> {
        if let Some(most) = self.options.max_pending.filter(|&most| self.pending.get() >= most) {
            return Err(Error::new(Kind::Busy, format!("{most} calls have no answer yet, as many as there may be")));
        }
        let _pending = Counted::new(&self.pending);
        let mut answers: Vec<Option<Outputs>> = calls.iter().map(|_| None).collect();
        let mut left: Vec<usize> = (0..calls.len()).collect();
        let mut attempt = 1;
        while !left.is_empty() {
            let sets = self.placed(calls, &left, &options).await?;
            left.clear();
            for (result, places, desk) in self.at_once(sets, options).await {
                match result {
                    Ok(execution) => {
                        desk.losses.set(0);
                        for session in places.iter().map(|&place| &calls[place].session) {
                            let precision = session.precision(&*desk.lane);
                            session.answered.set(Some(Answered { lane: desk.lane.name(), precision }));
                        }
                        if let ([place], Some(ms)) = (&places[..], execution.took_ms) {
                            let call = &calls[*place];
                            call.session.routes.took(desk.lane.opening(), &call.shapes(), ms, now_ms());
                        }
                        places.into_iter().zip(execution.outputs).for_each(|(place, own)| answers[place] = Some(own));
                    }
                    Err(error) if error.kind() == Kind::DeviceLost && attempt < ATTEMPTS => left.extend(places),
                    Err(error) => return Err(error),
                }
            }
            attempt += 1;
        }
        let nothing = || Error::new(Kind::Internal, "a request was not answered");
        answers.into_iter().map(|answer| answer.ok_or_else(nothing)).collect()
    }

    /// Runs `sets`, each on its lane, all at once.
    pub(super) async fn at_once(
        &self,
        sets: Sets,
        options: RunOptions,
    ) -> Vec<(Result<Execution>, Vec<usize>, Rc<Desk>)> {
        // A lane takes its part of a split set like any other set.
        let options = match options.strategy {
            Some(Strategy::Split) => RunOptions { strategy: Some(Strategy::Sequential), ..options },
            _ => options,
        };
        let ms = |(desk, items): &(Rc<Desk>, Vec<(usize, Item)>)| {
            let each = items.iter().map(|(_, item)| desk.forecast_ms(&item.ready.compiled.cost));
            (Rc::clone(desk), each.sum())
        };
        // One alone shares nothing: what it takes need not be known here.
        let all: Vec<(Rc<Desk>, f64)> = if sets.len() > 1 { sets.iter().map(ms).collect() } else { vec![] };
        let shares = shares(&all);
        let runs = sets.into_iter().enumerate().map(|(i, (desk, items))| {
            let (places, items): (Vec<usize>, Vec<Item>) = items.into_iter().unzip();
            let part = Part { share: shares.get(i).copied().unwrap_or(1), beside: all.len() > 1 };
            async move { (executing::run(&desk, items, options, part).await, places, desk) }
        });
        let runs = join_all(runs).await;
        if runs.len() > 1 {
            self.learn(runs.iter().filter_map(|(result, _, desk)| Some((desk, result.as_ref().ok()?))));
        }
        runs
    }

    /// The calls at `places` made ready, each at its home or where it may be done sooner.
    async fn placed(self: &Rc<Self>, calls: &[Checked], places: &[usize], options: &RunOptions) -> Result<Sets> {
        let routed = calls.len() == 1 && options.strategy.is_none();
        let mut ready = vec![];
        for &place in places {
            ready.push(self.ready(&calls[place], routed).await?);
        }
        let desks = self.shared_out(calls, places, &ready, options).await;
        let mut sets: Sets = vec![];
        for ((&place, (placed, item)), desk) in places.iter().zip(ready).zip(desks) {
            let (desk, item) = match desk {
                // What cannot be made ready there runs at home.
                Some(desk) => match self.at(&calls[place], &desk).await {
                    Ok(item) => (desk, item),
                    Err(_) => (placed.desk, item),
                },
                None => (placed.desk, item),
            };
            add(&mut sets, desk, place, item);
        }
        Ok(sets)
    }

    /// A call made ready at `desk`, whose session has a home there from then on.
    pub(super) async fn at(&self, call: &Checked, desk: &Rc<Desk>) -> Result<Item> {
        let inputs = self.brought(&call.inputs, desk).await?;
        let form = call.session.form(&inputs, &call.keep)?;
        let ready = self.made(&call.session, desk, form).await?;
        Ok(Item::new(Rc::clone(&call.session), ready, inputs))
    }

    /// A session made ready at `desk`, where it has a home from then on.
    pub(super) async fn made(&self, session: &Rc<Session>, desk: &Rc<Desk>, form: Form) -> Result<Rc<Ready>> {
        let there = session.home_at(desk.lane.opening());
        let home = there.unwrap_or_else(|| self.settled(session, desk));
        let ready = desk.prepare(session, &home, form, None).await?;
        // It may have been released meanwhile, and another call may have come here first.
        if session.home().is_some() && session.home_at(desk.lane.opening()).is_none() {
            session.visits(&home);
        }
        Ok(ready)
    }

    pub(super) async fn ready(self: &Rc<Self>, call: &Checked, routed: bool) -> Result<(Placed, Item)> {
        let mut attempt = 1;
        loop {
            let (desk, home) = self.home(&call.session).await?;
            let (desk, home) = if routed { self.routed(call, desk, home)? } else { (desk, home) };
            let (desk, home) = if routed { self.beside(call, desk, home)? } else { (desk, home) };
            let (desk, spared) = match self.instead(call, &desk) {
                Some(other) => (other, true),
                None => (desk, false),
            };
            let made = async {
                let inputs = self.brought(&call.inputs, &desk).await?;
                let form = call.session.form(&inputs, &call.keep)?;
                let sooner = if routed && !spared { self.sooner(call, (&desk, &home), &form).await } else { None };
                if let Some((desk, ready)) = sooner {
                    let placed = Placed { session: Rc::clone(&call.session), form, desk, ready: Rc::clone(&ready) };
                    return Ok((placed, Item::new(Rc::clone(&call.session), ready, inputs)));
                }
                let ready = if spared {
                    self.made(&call.session, &desk, form.clone()).await?
                } else {
                    desk.prepare(&call.session, &home, form.clone(), None).await?
                };
                let (session, desk) = (Rc::clone(&call.session), Rc::clone(&desk));
                let placed = Placed { session, form, desk, ready: Rc::clone(&ready) };
                Ok((placed, Item::new(Rc::clone(&call.session), ready, inputs)))
            };
            match made.await {
                Ok(ready) => return Ok(ready),
                Err(error) if Error::kind(&error) == Kind::DeviceLost && attempt < ATTEMPTS && !home.stands() => {
                    attempt += 1
                }
                // What one lane cannot do with these shapes another may.
                Err(error) if Error::kind(&error) == Kind::Unsupported && !call.stays() => {
                    let of = (desk.lane.opening(), call.shapes());
                    let new = call.session.refused.borrow_mut().insert(of);
                    let Some(other) = self.instead(call, &desk) else { return Err(error) };
                    if new {
                        self.tell(&call.session, desk.lane.name(), other.lane.name(), &error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The desk of another lane for a call whose shapes that of `desk` refused; nothing where it did not, or there is none.
    fn instead(&self, call: &Checked, desk: &Rc<Desk>) -> Option<Rc<Desk>> {
        let (session, shapes) = (&call.session, call.shapes());
        let refused = session.refused.borrow();
        let refuses = |desk: &Rc<Desk>| refused.contains(&(desk.lane.opening(), shapes.clone()));
        if refused.is_empty() || !refuses(desk) {
            return None;
        }
        let takes = |other: &Rc<Desk>| session.refusal(&*other.lane).is_none() && !refuses(other);
        self.lanes.standing().into_iter().find(takes)
    }

    /// Where the next call of `session` runs: where the last did, as long as that lane stands.
    pub(super) async fn home(&self, session: &Rc<Session>) -> Result<(Rc<Desk>, Rc<Home>)> {
        let Some(last) = session.home() else {
            return Err(Error::new(Kind::Closed, "the session was released"));
        };
        let desk = self.lanes.at(last.lane.opening());
        let why = match (desk, last.lane.check()) {
            (Some(desk), Ok(())) => return Ok((desk, last)),
            (_, Err(why)) => why,
            (None, Ok(())) => Error::new(Kind::DeviceLost, format!("the lane '{}' was lost", last.lane.name())),
        };
        if !session.portable() {
            return Err(why.in_model(&session.name));
        }
        let standing = self.lanes.standing();
        let lived = standing.iter().find_map(|desk| Some((Rc::clone(desk), session.home_at(desk.lane.opening())?)));
        let (desk, home) = match lived {
            Some(lived) => lived,
            None => {
                let takes = |desk: &Rc<Desk>| session.refusal(&*desk.lane).is_none();
                let desk = match standing.into_iter().find(takes) {
                    Some(desk) => desk,
                    None => self.spare(session, &takes).await.ok_or_else(|| why.clone().in_model(&session.name))?,
                };
                // Another call of the session may have come here first.
                let home = session.home_at(desk.lane.opening()).unwrap_or_else(|| self.settled(session, &desk));
                (desk, home)
            }
        };
        self.moved(session, &last, &home, &why);
        Ok((desk, home))
    }

    /// Where a call runs whose session lives at `home`: there, or on another lane that it is tried on or moves to.
    fn routed(&self, call: &Checked, desk: Rc<Desk>, home: Rc<Home>) -> Result<(Rc<Desk>, Rc<Home>)> {
        let session = &call.session;
        if call.stays() || self.options.goal == Goal::Memory || self.options.settled || !session.portable() {
            return Ok((desk, home));
        }
        let form = session.form(&call.inputs, &call.keep)?;
        if let (Some(ready), Some(ms)) =
            (home.ready_for(&form), session.routes.usual(home.lane.opening(), &form.shapes))
        {
            self.lanes.hope(&|name| session.allows(name), &ready.compiled.cost, ms);
        }
        for other in self.lanes.kinds() {
            let (now, at) = (home.lane.opening(), other.lane.opening());
            if other.like(&desk)
                || other.lane.check().is_err()
                || session.refusal(&*other.lane).is_some()
                || session.refused.borrow().contains(&(at, form.shapes.clone()))
            {
                continue;
            }
            // The same work at the other lane's rates: what it makes of the graph is not known yet.
            let forecast = || Some(other.forecast_ms(&home.ready_for(&form)?.compiled.cost));
            let build_ms = session.builds.ms(at, false).unwrap_or(0.0);
            let next = session.routes.next((now, at), &form.shapes, (now_ms(), build_ms), forecast);
            let there = session.home_at(at);
            let ready = there.as_ref().is_some_and(|there| there.ready_for(&form).is_some());
            match (next, there) {
                // It was tried and is not better: the weights stay on one lane only.
                (Next::Stay, Some(there))
                    if session.routes.usual(now, &form.shapes).is_some()
                        // Nor does it stand by for shapes that are not ready here.
                        && (!there.stands_by.get() || session.steady.get() >= CALM) =>
                {
                    session.leaves(|home| std::ptr::eq(home, &*there));
                }
                (Next::Stay, _) => {}
                (Next::Beside, _) => return Ok((desk, home)),
                (_, there) if !ready => self.visit(session, &other, there, &form),
                (_, None) => {}
                (Next::Try, Some(there)) => return Ok((other, there)),
                (Next::Move, Some(there)) => {
                    session.moves_to(&there);
                    session.leaves(|home| !std::ptr::eq(home, &*there));
                    return Ok((other, there));
                }
            }
        }
        Ok((desk, home))
    }

    /// Makes a session ready at `desk`, beside its calls.
    pub(super) fn visit(&self, session: &Rc<Session>, desk: &Rc<Desk>, home: Option<Rc<Home>>, form: &Form) {
        // Once: what fails there fails again.
        if !session.visited.borrow_mut().insert(desk.lane.opening()) {
            return;
        }
        let new = home.is_none();
        let home = home.unwrap_or_else(|| self.settled(session, desk));
        let (session, desk, form) = (Rc::clone(session), Rc::clone(desk), form.clone());
        spawn(Box::pin(async move {
            // Until it is warm its calls take from those of the other lanes.
            let _under_way = Counted::new(&desk.activity.preparing);
            if let Ok(ready) = desk.prepare(&session, &home, form.clone(), None).await {
                // Lanes of one name share what a browser compiled.
                if session.home().is_some_and(|home| home.lane.name() != desk.lane.name()) {
                    warm(&session, &desk, &ready, &form).await;
                }
                if session.home().is_none() {
                    return;
                }
                if new {
                    session.visits(&home);
                }
                session.visited.borrow_mut().remove(&desk.lane.opening());
            }
        }));
    }

    /// A lane that is opened now and takes the session.
    pub(super) async fn spare(&self, session: &Session, takes: &dyn Fn(&Rc<Desk>) -> bool) -> Option<Rc<Desk>> {
        for name in self.lanes.spare().into_iter().filter(|name| session.allows(name)) {
            for _ in 0..ATTEMPTS {
                match self.lanes.opened(&name).await {
                    Ok(desk) if takes(&desk) => return Some(desk),
                    // It may be lost while it is opened, too.
                    Err(error) if error.kind() == Kind::DeviceLost => {}
                    _ => break,
                }
            }
        }
        None
    }

    /// `session` lives at `home` from now on, and no more where a lane was lost; who listens is told why.
    fn moved(&self, session: &Rc<Session>, from: &Home, home: &Rc<Home>, why: &Error) {
        let first = session.home().is_none_or(|now| !Rc::ptr_eq(&now, home));
        session.moves_to(home);
        session.leaves(|home| !home.stands());
        if first && from.lane.name() != home.lane.name() {
            self.tell(session, from.lane.name(), home.lane.name(), why);
        }
    }

    /// Tells who listens that a session runs elsewhere.
    pub(super) fn tell(&self, session: &Session, from: &'static str, to: &'static str, why: &Error) {
        if let Some(listener) = &self.options.on_fallback {
            listener.tell(&Fallback { session: session.name.clone(), from, to, reason: why.to_string() });
        }
    }

    /// `inputs` with what lies on another lane than that of `desk` read from there.
    async fn brought(&self, inputs: &[Input], desk: &Desk) -> Result<Vec<Input>> {
        let mut brought = vec![];
        for input in inputs {
            brought.push(match input {
                Input::Resident(tensor) if tensor.opening != desk.lane.opening() => {
                    Input::Host(Rc::new(self.read(tensor).await?))
                }
                input => input.clone(),
            });
        }
        Ok(brought)
    }

    /// Reads a tensor back.
    pub(super) async fn read(&self, tensor: &Resident) -> Result<HostTensor> {
        let gone = || format!("the tensor was on the lane '{}', which was lost", tensor.lane);
        let desk = self.lanes.at(tensor.opening).ok_or_else(|| Error::new(Kind::DeviceLost, gone()))?;
        let lane = &desk.lane;
        lane.check()?;
        match lane.read(tensor).await {
            Ok(tensor) => Ok(tensor),
            Err(error) => Err(lane.cause(error).await),
        }
    }
}
