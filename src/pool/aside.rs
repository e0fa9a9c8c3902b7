//! Calls of shapes that are not made ready at their session's home, answered by another lane while they are made so beside them. Knows
//! what builds and calls are forecast to take; must never know what a lane builds.

use super::calls::{Calls, Checked};
use super::desk::Desk;
use super::homes::{Form, Home};
use super::ready::Ready;
use super::session::Session;
use crate::error::{Kind, Result};
use crate::lane::host::{LocalFuture, now_ms, sleep, spawn};
use crate::predict::Goal;
use crate::program::ProgramCost;
use futures_util::FutureExt as _;
use futures_util::future::{Either, Shared, select};
use std::pin::pin;
use std::rc::Rc;

impl Calls {
    /// The lane that answers a call of `form` before `desk`, that of its session's home, has made it ready, with what it runs there;
    /// nothing where it is worth to wait, or nothing is to be waited for.
    pub(super) async fn sooner(
        self: &Rc<Self>,
        call: &Checked,
        (desk, home): (&Rc<Desk>, &Rc<Home>),
        form: &Form,
    ) -> Option<(Rc<Desk>, Rc<Ready>)> {
        let session = &call.session;
        session.steady.set(session.steady.get() + 1);
        if home.ready_for(form).is_some() {
            home.beside.used(form);
            return None;
        }
        let stays = call.stays() || self.options.goal == Goal::Memory || self.options.settled || !session.portable();
        // The first shapes of a session are its load's, or as good as that.
        let last = home.ready().pop().filter(|_| !stays)?;
        let (began, build_ms) = (now_ms(), session.builds.ms(home.lane.opening(), true)?);
        let cost = &last.compiled.cost;
        let (other, ms) = self.soonest(call, desk, form, cost)?;
        // No call waits longer for a build than another lane takes for the whole answer.
        if ms >= build_ms {
            return None;
        }
        session.steady.set(0);
        self.build_beside(session, (desk, home), form, &other);
        let made = self.standing_by(session, &other, form);
        let ready = match home.under_way(form) {
            None => made.await.ok()?,
            Some(built) => match select(made, built.clone()).await {
                Either::Left((made, _)) => {
                    let ready = made.ok()?;
                    // What it costs is known now.
                    let left_ms = (build_ms - (now_ms() - began)).max(0.0);
                    if other.answers_in_ms(&ready.compiled.cost) < left_ms {
                        return Some((other, ready));
                    }
                    // It takes longer than it did before: it is waited for no longer.
                    match select(built, pin!(sleep(left_ms.ceil() as u32))).await {
                        Either::Left((Ok(_), _)) => return None,
                        _ => ready,
                    }
                }
                Either::Right((Ok(_), _)) => return None,
                Either::Right((Err(_), made)) => made.await.ok()?,
            },
        };
        Some((other, ready))
    }

    /// The other lane that is expected to answer first, and when.
    fn soonest(&self, call: &Checked, desk: &Desk, form: &Form, cost: &ProgramCost) -> Option<(Rc<Desk>, f64)> {
        let session = &call.session;
        let may = |other: &Rc<Desk>| {
            !other.like(desk)
                && session.refusal(&*other.lane).is_none()
                && !session.refused.borrow().contains(&(other.lane.opening(), form.shapes.clone()))
        };
        let timed = self.lanes.standing().into_iter().filter(may).map(|other| {
            let at = other.lane.opening();
            let there = session.home_at(at);
            let ready_ms = match &there {
                Some(home) if home.ready_for(form).is_some() => 0.0,
                _ => session.builds.ms(at, there.is_some()).unwrap_or_else(|| {
                    let weights_ms =
                        session.weight_bytes(&*other.lane) / other.lane.measured().upload_bytes_per_s * 1e3;
                    weights_ms + other.builds.ms(cost.dispatches.len())
                }),
            };
            let ms = ready_ms + other.answers_in_ms(cost);
            (other, ms)
        });
        timed.min_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// The session made ready at `other`, whether the call goes on to wait for it or not.
    fn standing_by(
        self: &Rc<Self>,
        session: &Rc<Session>,
        other: &Rc<Desk>,
        form: &Form,
    ) -> Shared<LocalFuture<Result<Rc<Ready>>>> {
        let (calls, session, other, form) = (Rc::clone(self), Rc::clone(session), Rc::clone(other), form.clone());
        let made: LocalFuture<_> = Box::pin(async move {
            let made = calls.made(&session, &other, form.clone()).await;
            match (&made, session.home_at(other.lane.opening())) {
                (Ok(_), Some(home)) => home.stands_by.set(true),
                (Err(error), _) if of_these_shapes(error.kind()) => {
                    session.refused.borrow_mut().insert((other.lane.opening(), form.shapes));
                }
                _ => {}
            }
            made
        });
        let made = made.shared();
        spawn(Box::pin(made.clone().map(drop)));
        made
    }

    /// Has `desk` make `form` ready beside the calls, which `other` answers meanwhile.
    fn build_beside(
        self: &Rc<Self>,
        session: &Rc<Session>,
        (desk, home): (&Rc<Desk>, &Rc<Home>),
        form: &Form,
        other: &Rc<Desk>,
    ) {
        if home.under_way(form).is_some() {
            return;
        }
        let Some(first) = home.beside.called(form) else { return };
        // Begun at once: whoever looks sees it.
        drop(desk.begun(session, home, &first));
        let (calls, session, desk, home) = (Rc::clone(self), Rc::clone(session), Rc::clone(desk), Rc::clone(home));
        let other = other.lane.name();
        spawn(Box::pin(async move {
            let mut next = Some(first);
            while let Some(form) = next {
                let built = desk.prepare(&session, &home, form.clone(), None).await;
                if let Err(error) = &built
                    && of_these_shapes(error.kind())
                {
                    calls.refused(&session, &desk, &form.shapes, other, error);
                }
                next = home.beside.ended(form, built.is_ok()).filter(|_| session.home().is_some());
            }
        }));
    }

    /// Notes that shapes cannot be made ready at `desk`, and tells so once.
    pub(super) fn refused(
        &self,
        session: &Session,
        desk: &Desk,
        shapes: &[Vec<usize>],
        other: &'static str,
        error: &crate::error::Error,
    ) {
        if session.refused.borrow_mut().insert((desk.lane.opening(), shapes.to_vec())) {
            self.tell(session, desk.lane.name(), other, error);
        }
    }
}

/// Whether an error of a preparation comes again with the same shapes: it is not that of a lane or pool that is gone.
fn of_these_shapes(kind: Kind) -> bool {
    !matches!(kind, Kind::DeviceLost | Kind::Closed | Kind::Aborted)
}
