//! What every strategy is expected to take for a set of requests: those of a lane that takes all of them, and the set split
//! over several. Knows plans and splits; must never know how either runs.

use super::calls::Calls;
use super::desk::Desk;
use super::homes::{Form, Ready};
use super::plan::Plan;
use super::report::{Prediction, StrategyPrediction};
use super::session::Session;
use super::spread::{Placed, Spread};
use crate::error::{Error, Kind, Result};
use crate::predict::{Choice, Goal, choose};
use std::rc::Rc;

/// A set of requests on one lane.
#[derive(Debug)]
pub(super) struct OnLane {
    pub(super) desk: Rc<Desk>,
    pub(super) ready: Vec<Rc<Ready>>,
    pub(super) plans: Vec<Plan>,
}

/// What may be done with a set, and what is best.
#[derive(Debug)]
pub(super) struct Foresight {
    /// Nothing where no lane takes all.
    pub(super) on_lane: Option<OnLane>,
    /// Nothing where it would be on one lane.
    pub(super) split: Option<(Spread, StrategyPrediction)>,
    pub(super) choice: Choice,
}

impl Foresight {
    /// What is expected, as it is told.
    pub(super) fn prediction(&self) -> Prediction {
        let plans = self.on_lane.iter().flat_map(|on| on.plans.iter().map(Plan::prediction));
        let split = self.split.iter().map(|(_, prediction)| prediction.clone());
        let lane = self.on_lane.as_ref().map(|on| on.desk.lane.name());
        Prediction {
            lane: lane.or_else(|| Some(self.split.as_ref()?.0.parts.first()?.desk.lane.name())).unwrap_or_default(),
            strategies: plans.chain(split).collect(),
            recommended: self.choice.strategy,
            reason: self.choice.reason.clone(),
        }
    }
}

impl OnLane {
    /// The programs.
    pub(super) fn set(&self) -> Vec<&Ready> {
        self.ready.iter().map(|ready| &**ready).collect()
    }
}

impl Calls {
    /// A request made ready where its session's next call runs.
    pub(super) async fn at_home(&self, session: &Rc<Session>, form: Form) -> Result<Placed> {
        let (desk, home) = self.home(session).await?;
        // What is computed may depend on elements, of which a prediction has none: those of the last call are taken.
        let decided = !session.graph.borrow().deciding.is_empty();
        let form = if decided { home.met(&form.shapes).unwrap_or(form) } else { form };
        let ready = desk.prepare(session, &home, form.clone(), None).await?;
        Ok(Placed { session: Rc::clone(session), form, desk, ready })
    }

    /// What every strategy is expected to take for `set`, by measured rates.
    pub(super) async fn foresee(&self, set: &[Placed], goal: Goal) -> Result<Foresight> {
        self.enough(set).await;
        let mut on_lane = self.on_lane(set).await?;
        let split = self.split(set).filter(|split| split.parts.len() > 1);
        let desks = split.iter().flat_map(|split| split.parts.iter().map(|part| &part.desk));
        for desk in desks.chain(on_lane.as_ref().map(|on| &on.desk)) {
            desk.measure_now().await?;
        }
        if let Some(on) = &mut on_lane {
            on.plans = on.desk.plans(&on.set());
        }
        // The rates by which it was shared out may be other ones now.
        let split = self.split(set).filter(|split| split.parts.len() > 1).map(|split| {
            let prediction = split.prediction(set, &self.sharing.get());
            (split, prediction)
        });
        let choice = match (&on_lane, &split) {
            (Some(on), None) => on.desk.choice(&on.set(), &on.plans, goal)?,
            (Some(on), Some((_, split))) => {
                let choice = on.desk.choice(&on.set(), &on.plans, goal)?;
                let best = on.plans.iter().find(|plan| plan.schedule.strategy == choice.strategy);
                let candidates = best.map(|best| [best.prediction().candidate(), split.candidate()]);
                candidates.and_then(|two| choose(goal, &two, None, self.sharing.get().doubt())).unwrap_or(choice)
            }
            (None, Some((_, split))) => {
                let alone = choose(goal, &[split.candidate()], None, 0.0);
                alone.ok_or_else(|| Error::new(Kind::Internal, "there is no strategy to choose from"))?
            }
            (None, None) => {
                let text = "no lane takes all of these requests, and they cannot be split over several";
                return Err(Error::new(Kind::Unsupported, text));
            }
        };
        Ok(Foresight { on_lane, split, choice })
    }

    /// `set` on the first of its lanes that takes all of it; nothing where none does.
    async fn on_lane(&self, set: &[Placed]) -> Result<Option<OnLane>> {
        let takes_all = |desk: &&Rc<Desk>| set.iter().all(|placed| self.may(placed, desk));
        let Some(desk) = set.iter().map(|placed| &placed.desk).find(takes_all) else { return Ok(None) };
        let mut ready = vec![];
        for placed in set {
            ready.push(if placed.desk.like(desk) {
                Rc::clone(&placed.ready)
            } else {
                self.made(&placed.session, desk, placed.form.clone()).await?
            });
        }
        Ok(Some(OnLane { desk: Rc::clone(desk), ready, plans: vec![] }))
    }
}
