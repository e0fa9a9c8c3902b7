//! In which order calls run that wait for one lane: the urgent first, of equal ones those of whoever had least of the lane lately,
//! and one with a deadline as soon as it would be late otherwise. Knows times; must never know what a call is.

use super::options::Priority;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What decides when a call runs.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) priority: Priority,
    /// What it is forecast to take of the lane, in milliseconds.
    pub(super) cost_ms: f64,
    /// The least that it may take.
    pub(super) least_ms: f64,
    /// When it is to have ended, by the host's clock.
    pub(super) deadline_ms: Option<f64>,
    /// Where it begins in the account of those who share the lane.
    pub(super) start: f64,
}

impl Claim {
    /// Whether it would be late, begun at `now`.
    fn late(&self, now: f64) -> bool {
        self.deadline_ms.is_some_and(|deadline| now + self.cost_ms > deadline)
    }

    /// Whether no luck makes it be in time, begun at `now`.
    pub(super) fn hopeless(&self, now: f64) -> bool {
        self.deadline_ms.is_some_and(|deadline| now + self.least_ms > deadline)
    }
}

/// How much each session had of a lane, as start-time fair queueing counts it: a call begins where the last of its session ends,
/// and nobody saves up what they do not use.
#[derive(Debug, Default)]
pub(super) struct Account(RefCell<(f64, BTreeMap<u64, f64>)>);

impl Account {
    /// Where a call begins that takes `cost_ms` for these sessions.
    pub(super) fn enter(&self, sessions: impl Iterator<Item = u64> + Clone, cost_ms: f64) -> f64 {
        let (now, ends) = &mut *self.0.borrow_mut();
        let start = sessions.clone().filter_map(|id| ends.get(&id).copied()).fold(*now, f64::max);
        ends.extend(sessions.map(|id| (id, start + cost_ms)));
        start
    }

    /// A call runs that began there.
    pub(super) fn reached(&self, start: f64) {
        let (now, ends) = &mut *self.0.borrow_mut();
        *now = now.max(start);
        ends.retain(|_, end| *end > *now);
    }
}

/// Places of `waiting` in the order in which they are to run, which is as they came where all is equal.
pub(super) fn order(waiting: &[Claim], now: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..waiting.len()).collect();
    let (rank, start) = (|i: usize| waiting[i].priority, |i: usize| waiting[i].start);
    order.sort_by(|&a, &b| rank(b).cmp(&rank(a)).then(start(a).total_cmp(&start(b))).then(a.cmp(&b)));
    if waiting.iter().all(|claim| claim.deadline_ms.is_none()) {
        return order;
    }
    let Some(&first) = order.first() else { return order };
    // Those that would be late in their turn and are not yet: the earliest deadline goes first.
    let mut begins = now;
    let mut urgent: Option<usize> = None;
    for &i in order.iter().take_while(|&&i| rank(i) == rank(first)) {
        let earlier = |other: usize| waiting[i].deadline_ms < waiting[other].deadline_ms;
        if waiting[i].late(begins) && !waiting[i].late(now) && urgent.is_none_or(earlier) {
            urgent = Some(i);
        }
        begins += waiting[i].cost_ms;
    }
    if let Some(urgent) = urgent {
        order.retain(|&i| i != urgent);
        order.insert(0, urgent);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(priority: Priority, cost_ms: f64, deadline_ms: Option<f64>, start: f64) -> Claim {
        Claim { priority, cost_ms, least_ms: cost_ms / 2.0, deadline_ms, start }
    }

    #[test]
    fn who_calls_once_need_not_wait_for_who_calls_often() {
        let account = Account::default();
        let mut waiting: Vec<Claim> =
            (0..10).map(|_| claim(Priority::default(), 5.0, None, account.enter([1].into_iter(), 5.0))).collect();
        waiting.push(claim(Priority::default(), 20.0, None, account.enter([2].into_iter(), 20.0)));
        assert_eq!(order(&waiting, 0.0)[..3], [0, 10, 1], "the other's first is the second to run");
        account.reached(25.0);
        assert_eq!(account.enter([2].into_iter(), 1.0), 25.0, "nobody saves up");
        assert_eq!(account.enter([1, 2].into_iter(), 1.0), 50.0, "a set begins where the last of its sessions ends");
    }

    #[test]
    fn the_urgent_go_first_whoever_calls() {
        let of = |priority, start| claim(priority, 1.0, None, start);
        let waiting = [of(Priority::Background, 0.0), of(Priority::UserVisible, 5.0), of(Priority::UserBlocking, 9.0)];
        assert_eq!(order(&waiting, 0.0), [2, 1, 0]);
    }

    #[test]
    fn a_deadline_overtakes_where_it_would_be_missed() {
        let with = |deadline| claim(Priority::default(), 10.0, deadline, 0.0);
        assert_eq!(order(&[with(None), with(None), with(Some(30.0))], 0.0), [0, 1, 2], "there is time");
        assert_eq!(order(&[with(None), with(None), with(Some(29.0))], 0.0), [2, 0, 1]);
        assert_eq!(order(&[with(None), with(Some(19.0)), with(Some(18.0))], 0.0), [2, 0, 1], "the earliest first");
        assert_eq!(order(&[with(None), with(Some(9.0))], 0.0), [0, 1], "it is late anyway: it harms nobody");
        let urgent = claim(Priority::UserBlocking, 10.0, None, 0.0);
        assert_eq!(order(&[with(Some(15.0)), urgent], 0.0), [1, 0], "but never who is more urgent");
    }
}
