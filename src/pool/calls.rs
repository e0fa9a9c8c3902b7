//! Calls on their way to a lane: each request checked, given a home, made ready there and run; where a lane is lost, on another
//! that can, or on the same opened again. Knows sessions and lanes; must never know how either computes.

use super::desk::Desk;
use super::executing;
use super::homes::{Form, Home};
use super::lanes::Lanes;
use super::options::{Fallback, Outputs, PoolOptions, Request, RunOptions};
use super::queue::Item;
use super::routes::Next;
use super::session::Session;
use super::tensors::{Feed, Keep};
use crate::error::{Error, Kind, Result};
use crate::graph::HostTensor;
use crate::lane::host::spawn;
use crate::lane::{Input, Resident};
use crate::predict::Goal;
use futures_util::future::join_all;
use std::cell::Cell;
use std::rc::Rc;

/// How often a request is begun whose lanes are lost.
const ATTEMPTS: usize = 3;

/// Requests that are ready, with their places among all, by lane.
pub(super) type Sets = Vec<(Rc<Desk>, Vec<(usize, Item)>)>;

/// A request that was checked.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) session: Rc<Session>,
    inputs: Vec<Input>,
    keep: Keep,
}

impl Checked {
    fn shapes(&self) -> Vec<Vec<usize>> {
        self.inputs.iter().map(|input| input.shape().to_vec()).collect()
    }
}

/// Places calls on the lanes of a pool.
#[derive(Debug)]
pub(super) struct Calls {
    lanes: Rc<Lanes>,
    options: PoolOptions,
    /// Numbers by which lanes know who holds what.
    holders: Cell<u64>,
}

impl Calls {
    pub(super) fn new(lanes: &Rc<Lanes>, options: &PoolOptions) -> Calls {
        Calls { lanes: Rc::clone(lanes), options: options.clone(), holders: Cell::new(1) }
    }

    /// A new home for `session` at `desk`.
    pub(super) fn settled(&self, session: &Session, desk: &Rc<Desk>) -> Rc<Home> {
        Home::new(&desk.lane, self.holders.replace(self.holders.get() + 1), session.half_products)
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
    pub(super) async fn run(&self, calls: &[Checked], options: RunOptions) -> Result<Vec<Outputs>> {
        let mut answers: Vec<Option<Outputs>> = calls.iter().map(|_| None).collect();
        let mut left: Vec<usize> = (0..calls.len()).collect();
        let mut attempt = 1;
        while !left.is_empty() {
            let routed = calls.len() == 1 && options.strategy.is_none();
            let sets = self.placed(calls, &left, routed).await?;
            let runs = sets.into_iter().map(|(desk, items)| {
                let (places, items): (Vec<usize>, Vec<Item>) = items.into_iter().unzip();
                async move { (executing::run(&desk, items, options).await, places, desk) }
            });
            left.clear();
            for (result, places, desk) in join_all(runs).await {
                match result {
                    Ok(execution) => {
                        desk.losses.set(0);
                        if let ([place], true) = (&places[..], execution.clean) {
                            let (call, ms) = (&calls[*place], execution.outcome.total_ms);
                            call.session.routes.took(desk.lane.opening(), &call.shapes(), ms);
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

    /// The calls at `places` made ready, each at its home; `routed`: or on a lane that may be faster.
    pub(super) async fn placed(&self, calls: &[Checked], places: &[usize], routed: bool) -> Result<Sets> {
        let mut sets: Sets = vec![];
        for &place in places {
            let call = &calls[place];
            let (desk, item) = self.ready(call, routed).await?;
            match sets.iter_mut().find(|(of, _)| Rc::ptr_eq(of, &desk)) {
                Some((_, items)) => items.push((place, item)),
                None => sets.push((desk, vec![(place, item)])),
            }
        }
        Ok(sets)
    }

    async fn ready(&self, call: &Checked, routed: bool) -> Result<(Rc<Desk>, Item)> {
        let mut attempt = 1;
        loop {
            let (desk, home) = self.home(&call.session).await?;
            let (desk, home) = if routed { self.routed(call, desk, home)? } else { (desk, home) };
            let made = async {
                let inputs = self.brought(&call.inputs, &desk).await?;
                let form = call.session.form(&inputs, &call.keep)?;
                let ready = desk.prepare(&call.session, &home, form, None).await?;
                Ok(Item::new(Rc::clone(&call.session), ready, inputs))
            };
            match made.await {
                Ok(item) => return Ok((desk, item)),
                Err(error) if Error::kind(&error) == Kind::DeviceLost && attempt < ATTEMPTS && !home.stands() => {
                    attempt += 1
                }
                Err(error) => return Err(error),
            }
        }
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
                let takes = |desk: &Rc<Desk>| {
                    session.allows(desk.lane.name()) && desk.lane.refuses(&session.graph.borrow()).is_none()
                };
                let desk = match standing.into_iter().find(takes) {
                    Some(desk) => desk,
                    None => self.another(session, &takes).await.ok_or_else(|| why.clone().in_model(&session.name))?,
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
        // What stays on a lane would have to follow its session.
        let stays = call.keep != Keep::Nothing || call.inputs.iter().any(|input| matches!(input, Input::Resident(_)));
        if stays || self.options.goal == Goal::Memory || !session.portable() {
            return Ok((desk, home));
        }
        let form = session.form(&call.inputs, &call.keep)?;
        if let (Some(ready), Some(ms)) =
            (home.ready_for(&form), session.routes.usual(home.lane.opening(), &form.shapes))
        {
            self.lanes.hope(&|name| session.allows(name), &ready.compiled.cost, ms);
        }
        for other in self.lanes.standing().into_iter().filter(|other| session.allows(other.lane.name())) {
            let (now, at) = (home.lane.opening(), other.lane.opening());
            if now == at || other.lane.refuses(&session.graph.borrow()).is_some() {
                continue;
            }
            // The same work at the other lane's rates: what it makes of the graph is not known yet.
            let forecast = || Some(other.forecast_ms(&home.ready_for(&form)?.compiled.cost));
            let next = session.routes.next(now, at, &form.shapes, forecast);
            let there = session.home_at(at);
            let ready = there.as_ref().is_some_and(|there| there.ready_for(&form).is_some());
            match (next, there) {
                // It was tried and is not better: the weights stay on one lane only.
                (Next::Stay, Some(there)) if session.routes.usual(now, &form.shapes).is_some() => {
                    session.leaves(|home| std::ptr::eq(home, &*there));
                }
                (Next::Stay, _) => {}
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
    fn visit(&self, session: &Rc<Session>, desk: &Rc<Desk>, home: Option<Rc<Home>>, form: &Form) {
        // Once: what fails there fails again.
        if !session.visited.borrow_mut().insert(desk.lane.opening()) {
            return;
        }
        let new = home.is_none();
        let home = home.unwrap_or_else(|| self.settled(session, desk));
        let (session, desk, form) = (Rc::clone(session), Rc::clone(desk), form.clone());
        spawn(Box::pin(async move {
            if desk.prepare(&session, &home, form, None).await.is_ok() && session.home().is_some() {
                if new {
                    session.visits(&home);
                }
                session.visited.borrow_mut().remove(&desk.lane.opening());
            }
        }));
    }

    /// A lane that is opened now and takes the session.
    async fn another(&self, session: &Session, takes: &dyn Fn(&Rc<Desk>) -> bool) -> Option<Rc<Desk>> {
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
        let desk = self.lanes.named(tensor.lane)?;
        let lane = &desk.lane;
        lane.check()?;
        if lane.opening() != tensor.opening {
            return Err(Error::new(
                Kind::DeviceLost,
                format!("the tensor was on the lane '{}', which was lost", tensor.lane),
            ));
        }
        match lane.read(tensor).await {
            Ok(tensor) => Ok(tensor),
            Err(error) => Err(lane.cause(error).await),
        }
    }
}
