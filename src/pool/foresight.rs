//! What every strategy is expected to take for a set of requests: those of a lane that takes all of them, and the set split
//! over several. Knows plans and splits; must never know how either runs.

use super::batching::Unit;
use super::calls::Calls;
use super::desk::Desk;
use super::homes::Form;
use super::joining::{Asked, expected};
use super::joints::Fed;
use super::plan::Plan;
use super::ready::Ready;
use super::report::{Prediction, StrategyPrediction};
use super::session::Session;
use super::spread::{Placed, Spread};
use crate::error::{Error, Kind, Result};
use crate::predict::{Candidate, Choice, Goal, Strategy, choose};
use std::rc::Rc;

/// A set of requests on one lane.
#[derive(Debug)]
pub(super) struct OnLane {
    pub(super) desk: Rc<Desk>,
    pub(super) ready: Vec<Rc<Ready>>,
    pub(super) plans: Vec<Plan>,
    /// As fewer calls, where that may be worth it.
    pub(super) batch: Option<Batch>,
}

/// A set of requests as fewer calls.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) units: Vec<Unit>,
    pub(super) plan: Plan,
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
        let plans = self.on_lane.iter().flat_map(|on| on.plans().map(Plan::prediction));
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

impl Batch {
    /// The programs.
    fn ready(&self) -> Vec<&Ready> {
        self.units.iter().map(|unit| &*unit.ready).collect()
    }
}

impl OnLane {
    /// The programs.
    pub(super) fn set(&self) -> Vec<&Ready> {
        self.ready.iter().map(|ready| &**ready).collect()
    }

    /// The bytes that each plan will hold, as the lane is now.
    pub(super) fn bytes(&self) -> impl Iterator<Item = u64> {
        let set = self.set();
        let plans = self.plans.iter().map(move |plan| self.desk.bytes(&set, plan));
        plans.chain(self.batch.as_ref().map(|batch| self.desk.bytes(&batch.ready(), &batch.plan)))
    }

    /// The plan of each strategy that there is.
    fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.plans.iter().chain(self.batch.as_ref().map(|batch| &batch.plan))
    }

    /// Takes in `set` as fewer calls, its requests `fed` so.
    async fn batched(&mut self, set: &[Placed], fed: Option<&Fed>) {
        let asked: Vec<Asked> =
            set.iter().zip(&self.ready).map(|(placed, ready)| Asked::placed(placed, ready)).collect();
        let guessed = expected(&asked);
        let units = self.desk.units(&asked, Some(fed.unwrap_or(&guessed))).await;
        if units.len() < set.len() {
            let ready: Vec<&Ready> = units.iter().map(|unit| &*unit.ready).collect();
            let mut plan = self.desk.plan(&ready, Strategy::Batched);
            plan.forecast.throughput = set.len() as f64 / plan.forecast.total_ms * 1e3;
            self.batch = Some(Batch { units, plan });
        }
    }

    /// The best of the lane's strategies.
    fn choice(&self, goal: Goal) -> Result<Choice> {
        let choice = self.desk.choice(&self.set(), &self.plans, goal)?;
        let best = self.plans.iter().find(|plan| plan.schedule.strategy == choice.strategy);
        let two: Vec<Candidate> = best
            .into_iter()
            .chain(self.batch.as_ref().map(|batch| &batch.plan))
            .map(|p| p.prediction().candidate())
            .collect();
        if two.len() < 2 {
            return Ok(choice);
        }
        Ok(choose(goal, &two, self.desk.budget, 0.0).unwrap_or(choice))
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
    /// `fed`: which inputs are the same, where that is known.
    pub(super) async fn foresee(&self, set: &[Placed], goal: Goal, fed: Option<&Fed>) -> Result<Foresight> {
        self.enough(set).await;
        let mut on_lane = self.on_lane(set).await?;
        let split = self.split(set).filter(|split| split.parts.len() > 1);
        let desks = split.iter().flat_map(|split| split.parts.iter().map(|part| &part.desk));
        for desk in desks.chain(on_lane.as_ref().map(|on| &on.desk)) {
            desk.measure_now().await?;
        }
        if let Some(on) = &mut on_lane {
            on.plans = on.desk.plans(&on.set());
            on.batched(set, fed).await;
        }
        // The rates by which it was shared out may be other ones now.
        let split = self.split(set).filter(|split| split.parts.len() > 1).map(|split| {
            let prediction = split.prediction(set, &self.sharing.get());
            (split, prediction)
        });
        let choice = match (&on_lane, &split) {
            (Some(on), None) => on.choice(goal)?,
            (Some(on), Some((_, split))) => {
                let choice = on.choice(goal)?;
                let best = on.plans().find(|plan| plan.schedule.strategy == choice.strategy);
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
        let Some(desk) = self.common(set) else { return Ok(None) };
        let mut ready = vec![];
        for placed in set {
            ready.push(if placed.desk.like(&desk) {
                Rc::clone(&placed.ready)
            } else {
                self.made(&placed.session, &desk, placed.form.clone()).await?
            });
        }
        Ok(Some(OnLane { desk, ready, plans: vec![], batch: None }))
    }
}
