//! Requests of one execution as fewer calls: rows of one session's, joints of several sessions', where that is measured to take less
//! or asked for. Knows requests and times; must never know what a lane makes of them.

use super::desk::Desk;
use super::joining::{Asked, fed};
use super::joints::{Fed, Joint, Set};
use super::options::Outputs;
use super::queue::Item;
use super::ready::{Ready, Stack};
use crate::lane::host::spawn;
use crate::predict::Goal;
use std::rc::Rc;

/// Requests of a session that are one call at most.
const MOST: usize = 16;
/// Requests that take longer alone, in milliseconds, have little to gain by being rows of one call.
const LONG_MS: f64 = 50.0;
/// Nor have those that take longer than this by being joined where they have nothing in common.
const SHORT_MS: f64 = 2.0;

/// What several requests are one call by.
#[derive(Clone, Debug)]
enum Way {
    Alone,
    Rows(Rc<Stack>),
    Joint(Rc<Joint>),
}

/// Requests that are one call.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// Its program.
    pub(super) ready: Rc<Ready>,
    /// The program of each of its requests.
    programs: Vec<Rc<Ready>>,
    /// Places of its requests among all.
    pub(super) places: Vec<usize>,
    way: Way,
}

/// A unit with its inputs: what one item of an execution stands for.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) item: Item,
    unit: Unit,
}

impl Unit {
    fn alone(ready: &Rc<Ready>, place: usize) -> Unit {
        Unit { ready: Rc::clone(ready), programs: vec![Rc::clone(ready)], places: vec![place], way: Way::Alone }
    }

    fn rows(stack: Rc<Stack>, of: &Rc<Ready>, places: Vec<usize>) -> Unit {
        let programs = vec![Rc::clone(of); places.len()];
        Unit { ready: Rc::clone(&stack.ready), programs, places, way: Way::Rows(stack) }
    }

    fn joint(joint: Rc<Joint>, programs: Vec<Rc<Ready>>, places: Vec<usize>) -> Unit {
        Unit { ready: Rc::clone(&joint.ready), programs, places, way: Way::Joint(joint) }
    }

    /// What its program is known as.
    pub(super) fn name(&self) -> String {
        self.ready.compiled.cost.model.clone()
    }

    /// It with the inputs of `items`; nothing where they cannot be one call.
    fn with(self, items: &[Item]) -> Option<Member> {
        let own: Vec<&Item> = self.places.iter().map(|&place| &items[place]).collect();
        let item = match &self.way {
            Way::Alone => own[0].clone(),
            Way::Rows(stack) => stack.call(&own)?,
            Way::Joint(joint) => joint.call(&own),
        };
        Some(Member { item, unit: self })
    }
}

impl Member {
    /// Each of `items` by itself.
    pub(super) fn each(items: &[Item]) -> Vec<Member> {
        (0..items.len()).map(|place| Member::alone(items, place)).collect()
    }

    fn alone(items: &[Item], place: usize) -> Member {
        Member { item: items[place].clone(), unit: Unit::alone(&items[place].ready, place) }
    }

    /// Puts the outputs of each of its requests at their places in `all`; false where that cannot be.
    pub(super) fn apart(&self, outputs: Outputs, all: &mut [Outputs]) -> bool {
        let each = match &self.unit.way {
            Way::Alone => Some(vec![outputs]),
            Way::Rows(stack) => stack.apart(outputs),
            Way::Joint(joint) => joint.apart(outputs, &self.unit.programs),
        };
        let Some(each) = each else { return false };
        self.unit.places.iter().zip(each).for_each(|(&place, own)| all[place] = own);
        true
    }
}

/// Requests that came together, as what is known of their set.
#[derive(Debug)]
pub(super) struct Company {
    set: Rc<Set>,
    /// The requests' places, in the order of their sessions: in whatever order they come they are one set.
    places: Vec<usize>,
}

impl Company {
    /// Of `programs` of several sessions, each once and all fed so.
    fn of(desk: &Desk, programs: &[Rc<Ready>], places: Vec<usize>, fed: Fed) -> Company {
        let set = desk.joints.of(places.iter().map(|&place| &programs[place]), fed);
        Company { set, places }
    }

    fn unit(&self, joint: Rc<Joint>, programs: &[Rc<Ready>]) -> Unit {
        let own = self.places.iter().map(|&place| Rc::clone(&programs[place])).collect();
        Unit::joint(joint, own, self.places.clone())
    }
}

/// The places of requests of `sessions` in the sessions' order; nothing where one has several, or there is one only.
fn in_order(sessions: &[u64]) -> Option<Vec<usize>> {
    let mut places: Vec<usize> = (0..sessions.len()).collect();
    places.sort_by_key(|&place| sessions[place]);
    let apart = places.windows(2).all(|two| sessions[two[0]] != sessions[two[1]]);
    (apart && places.len() > 1 && places.len() <= MOST).then_some(places)
}

/// The most requests of `count` that are rows of one call.
fn rows_of(count: usize) -> usize {
    1 << count.min(MOST).ilog2()
}

impl Desk {
    /// `items` with those as one that are worth it; what may be worth it and is not ready is made so beside the calls.
    pub(super) fn batched(self: &Rc<Self>, items: &[Item]) -> (Vec<Member>, Option<Company>) {
        if self.goal == Goal::Memory || self.settled {
            return (Member::each(items), None);
        }
        // A joint has to be better than the best of what there is without it.
        let programs: Vec<&Rc<Ready>> = items.iter().map(|item| &item.ready).collect();
        let settled = items.len() > 1 && (self.lane.threads() < 2 || self.trials.settled(&programs));
        let company = if settled { self.company(items) } else { None };
        let joint = |company: &Company| {
            let joint = company.set.stacks.borrow_mut().best(items.len())?;
            company.unit(joint, &owned(items)).with(items)
        };
        if let Some(member) = company.as_ref().and_then(joint) {
            return (vec![member], company);
        }
        let mut left: Vec<usize> = (0..items.len()).collect();
        let mut members = vec![];
        while let Some(&first) = left.first() {
            let like = |&i: &usize| Rc::ptr_eq(&items[i].ready, &items[first].ready);
            let group: Vec<usize> = left.iter().copied().filter(like).take(MOST).collect();
            let stack = if group.len() > 1 { self.stack_for(&items[first], group.len()) } else { None };
            let whole = stack.and_then(|stack| {
                let places = group[..stack.times].to_vec();
                Unit::rows(stack, &items[first].ready, places).with(items)
            });
            let member = whole.unwrap_or_else(|| Member::alone(items, first));
            left.retain(|i| !member.unit.places.contains(i));
            members.push(member);
        }
        (members, company)
    }

    /// What is known of `items` as a set, where they are of several sessions; their joint is made beside the calls once it is known
    /// what they take apart.
    fn company(self: &Rc<Self>, items: &[Item]) -> Option<Company> {
        let places = in_order(&items.iter().map(|item| item.session.id).collect::<Vec<_>>())?;
        let sorted: Vec<&Item> = places.iter().map(|&place| &items[place]).collect();
        let fed = fed(&sorted)?;
        let asked: Vec<Asked> = sorted.into_iter().map(Asked::of).collect();
        let company = Company::of(self, &owned(items), places, fed);
        let set = &company.set;
        if set.stacks.borrow_mut().begins(set.len(), f64::INFINITY) {
            let apart = set.stacks.borrow().usual(1).is_some_and(|ms| ms <= SHORT_MS);
            let (desk, set) = (Rc::clone(self), Rc::clone(set));
            spawn(Box::pin(async move {
                let joint = desk.made_joint(&asked, &set.fed, apart).await;
                set.made(joint);
            }));
        }
        Some(company)
    }

    fn stack_for(self: &Rc<Self>, item: &Item, count: usize) -> Option<Rc<Stack>> {
        let mut stacks = item.ready.stacks.borrow_mut();
        let most = rows_of(count);
        if stacks.begins(most, LONG_MS) {
            let (desk, asked) = (Rc::clone(self), Asked::of(item));
            spawn(Box::pin(async move {
                let stack = desk.made_stack(&asked.session, &asked.ready, most).await;
                asked.ready.stacks.borrow_mut().made(most, stack.map(Rc::new));
            }));
        }
        stacks.best(count)
    }

    /// `asked` as few calls as may be worth it, `fed` so (in the order of `asked`), what is not ready made so now.
    pub(super) async fn units(self: &Rc<Self>, asked: &[Asked], fed: Option<&Fed>) -> Vec<Unit> {
        let ms = |asked: &Asked| self.forecast_ms(&asked.ready.compiled.cost);
        let programs: Vec<Rc<Ready>> = asked.iter().map(|asked| Rc::clone(&asked.ready)).collect();
        let sessions: Vec<u64> = asked.iter().map(|asked| asked.session.id).collect();
        if let (Some(places), Some(fed)) = (in_order(&sessions), fed) {
            let sorted: Vec<Asked> = places.iter().map(|&place| asked[place].clone()).collect();
            let fed = renumbered(places.iter().map(|&place| &fed[place]));
            let company = Company::of(self, &programs, places, fed);
            let set = &company.set;
            if set.stacks.borrow_mut().claims(set.len()) {
                let apart = sorted.iter().map(ms).sum::<f64>() <= SHORT_MS * set.len() as f64;
                let joint = self.made_joint(&sorted, &set.fed, apart).await;
                set.made(joint);
            }
            let joint = set.stacks.borrow().there(set.len());
            if let Some(joint) = joint {
                return vec![company.unit(joint, &programs)];
            }
        }
        let mut left: Vec<usize> = (0..asked.len()).collect();
        let mut units = vec![];
        while let Some(&first) = left.first() {
            let (session, of) = (&asked[first].session, &asked[first].ready);
            let like = |&i: &usize| Rc::ptr_eq(&asked[i].ready, of);
            let group: Vec<usize> = left.iter().copied().filter(like).collect();
            let times = if ms(&asked[first]) <= LONG_MS { rows_of(group.len()) } else { 1 };
            if times > 1 && of.stacks.borrow_mut().claims(times) {
                let stack = self.made_stack(session, of, times).await;
                of.stacks.borrow_mut().made(times, stack.map(Rc::new));
            }
            let stack = of.stacks.borrow().there(times);
            let unit = match stack {
                Some(stack) => Unit::rows(stack, of, group[..times].to_vec()),
                None => Unit::alone(of, first),
            };
            left.retain(|i| !unit.places.contains(i));
            units.push(unit);
        }
        units
    }

    /// `items` as few calls as there can be.
    pub(super) async fn few(self: &Rc<Self>, items: &[Item]) -> Vec<Member> {
        let asked: Vec<Asked> = items.iter().map(Asked::of).collect();
        let fed = fed(&items.iter().collect::<Vec<_>>());
        let mut members = vec![];
        for unit in self.units(&asked, fed.as_ref()).await {
            let places = unit.places.clone();
            match unit.with(items) {
                Some(member) => members.push(member),
                None => members.extend(places.into_iter().map(|place| Member::alone(items, place))),
            }
        }
        members
    }

    /// Learns what an execution of `members` took, where nothing else was at work: of a set, or of requests that are alike.
    pub(super) fn batch_took(members: &[Member], company: Option<&Company>, ms: f64) {
        let Some(first) = members.first() else { return };
        let times = |member: &Member| member.unit.places.len();
        let requests: usize = members.iter().map(times).sum();
        if let Some(Company { set, .. }) = company {
            let joint = matches!(first.unit.way, Way::Joint(_));
            set.stacks.borrow_mut().took(if joint { set.len() } else { 1 }, ms / requests as f64);
        }
        let base = |member: &Member| Rc::clone(&member.unit.programs[0]);
        let alike = |member: &Member| Rc::ptr_eq(&base(member), &base(first)) && times(member) == times(first);
        if !matches!(first.unit.way, Way::Joint(_)) && members.iter().all(alike) {
            base(first).stacks.borrow_mut().took(times(first), ms / requests as f64);
        }
    }
}

fn owned(items: &[Item]) -> Vec<Rc<Ready>> {
    items.iter().map(|item| Rc::clone(&item.ready)).collect()
}

/// What is fed, with numbers in the order in which they come.
fn renumbered<'a>(all: impl Iterator<Item = &'a Vec<usize>>) -> Fed {
    let mut seen: Vec<usize> = vec![];
    let mut number = |n: &usize| {
        seen.iter().position(|other| other == n).unwrap_or_else(|| {
            seen.push(*n);
            seen.len() - 1
        })
    };
    all.map(|own| own.iter().map(&mut number).collect()).collect()
}
