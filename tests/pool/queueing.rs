//! Calls that wait: whose turn it is, what cannot be in time, how many there may be, and that none is lost whatever becomes of them.
//! With lanes of tests. Knows the pool's API; must never know a device.

use super::common::{dense, expected, off, tensor};
use super::lane::Reference;
use super::pool::{host, load, options, request};
use consort::lane::Lane;
use consort::lane::host::{block_on, next_turn};
use consort::pool::{Measure, Pool, PoolOptions, Priority, RunOptions, Session};
use consort::predict::Strategy;
use consort::{Error, Kind, Result};
use futures_util::FutureExt as _;
use futures_util::future::{Either, join_all, select};
use proptest::prelude::{Just, ProptestConfig, any, prop, prop_oneof, proptest};
use proptest::strategy::Strategy as Made;
use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;

/// A pool whose executions take `turns` turns of the event loop.
async fn pool_of(turns: usize, more: PoolOptions) -> (Rc<Reference>, Pool) {
    let lane = Reference::new("lane");
    lane.faults.turns.set(turns);
    let pool = Pool::on(vec![Rc::clone(&lane) as Rc<dyn Lane>], None, more, None).await.unwrap();
    (lane, pool)
}

/// A session whose program is made, so that calls enter in the order in which they are made.
async fn warm(pool: &Pool, name: &str) -> Rc<Session> {
    let session = load(pool, name, dense(1)).await;
    call(pool, &session, RunOptions::default(), 0).await.unwrap();
    session
}

async fn call(pool: &Pool, session: &Session, options: RunOptions, seed: usize) -> Result<()> {
    let x = tensor([2, 8], seed);
    let outputs = pool.run(vec![request(session, "x", x.clone())], options).await?;
    assert!(off(&host(&outputs[0])[0], &expected(&dense(1), &[x])[0]) < 1e-6);
    Ok(())
}

/// Calls made at once, each of a session and with options: their places in the order in which they are answered.
async fn answered(pool: &Pool, calls: &[(&Session, RunOptions)]) -> Vec<usize> {
    let order = RefCell::new(vec![]);
    let each = calls.iter().enumerate().map(|(i, (session, options))| {
        let order = &order;
        async move {
            call(pool, session, *options, i).await.unwrap();
            order.borrow_mut().push(i);
        }
    });
    join_all(each).await;
    order.into_inner()
}

pub async fn the_urgent_are_answered_first() {
    let (_, pool) = pool_of(1, options()).await;
    let session = warm(&pool, "net").await;
    let of = |priority| (&*session, RunOptions { priority, ..RunOptions::default() });
    let calls = [of(Priority::Background), of(Priority::UserVisible), of(Priority::UserBlocking)];
    assert_eq!(answered(&pool, &calls).await, [2, 1, 0]);
}

pub async fn who_calls_often_does_not_keep_others_waiting() {
    let (_, pool) = pool_of(1, options()).await;
    let (often, once) = (warm(&pool, "often").await, warm(&pool, "once").await);
    // Of a strategy each is an execution of its own.
    let own = RunOptions::by(Strategy::Sequential);
    let mut calls = vec![(&*often, own); 20];
    calls.push((&*once, own));
    let order = answered(&pool, &calls).await;
    assert!(order.iter().position(|&i| i == 20).unwrap() <= 1, "{order:?}");
    assert!(order.iter().filter(|&&i| i < 20).is_sorted(), "calls of one session come in their order: {order:?}");
}

pub async fn what_cannot_be_in_time_is_told_at_once() {
    let (lane, pool) = pool_of(1, PoolOptions { measure: Measure::Now, ..options() }).await;
    let session = load(&pool, "net", dense(1)).await;
    call(&pool, &session, RunOptions::default(), 1).await.unwrap();
    lane.executed.borrow_mut().clear();
    let error = call(&pool, &session, RunOptions::default().within(0.0), 2).await.unwrap_err();
    assert_eq!((error.kind(), error.model()), (Kind::Deadline, Some("net")), "{error}");
    assert!(lane.executed.borrow().is_empty(), "it did not run");
    call(&pool, &session, RunOptions::default().within(60_000.0), 3).await.unwrap();
    assert_eq!(pool.queue().pending, 0);
}

pub async fn no_more_calls_wait_than_may() {
    let (_, pool) = pool_of(1, PoolOptions { max_pending: Some(3), ..options() }).await;
    let session = load(&pool, "net", dense(1)).await;
    let calls = (0..5).map(|seed| call(&pool, &session, RunOptions::default(), seed));
    let kinds: Vec<Option<Kind>> = join_all(calls).await.iter().map(|r| r.as_ref().err().map(Error::kind)).collect();
    assert_eq!(kinds, [None, None, None, Some(Kind::Busy), Some(Kind::Busy)]);
    call(&pool, &session, RunOptions::default(), 9).await.unwrap();
}

/// `call`, given up after so many turns.
async fn given_up(call: impl Future<Output = Result<()>>, after: usize) {
    let gone = async {
        for _ in 0..after {
            next_turn().await;
        }
    };
    let Either::Right(_) = select(pin!(call), pin!(gone)).await else { panic!("it was answered before") };
}

pub async fn an_execution_stops_once_nobody_waits_for_it() {
    let (lane, pool) = pool_of(1, PoolOptions { measure: Measure::Now, ..options() }).await;
    let (a, b) = (warm(&pool, "a").await, warm(&pool, "b").await);
    let seen = || pool.records().iter().map(|lane| lane.observations.len()).sum::<usize>();
    lane.faults.turns.set(1000);
    let auto = RunOptions::default();
    // Both run in one execution: who stays has an answer, and nothing is stopped.
    let stays = call(&pool, &b, auto, 1);
    let (_, answer) = futures_util::future::join(given_up(call(&pool, &a, auto, 0), 20), stays).await;
    answer.unwrap();
    assert_eq!((lane.stopped.get(), lane.executed.borrow().last()), (0, Some(&2)));
    let before = seen();
    futures_util::future::join(given_up(call(&pool, &a, auto, 0), 20), given_up(call(&pool, &b, auto, 1), 30)).await;
    for _ in 0..20 {
        next_turn().await;
    }
    assert_eq!((lane.stopped.get(), pool.queue().calls.len()), (1, 0), "it is over long before its thousand turns");
    assert_eq!(seen(), before, "what was stopped teaches nothing");
    lane.faults.turns.set(1);
    call(&pool, &a, auto, 2).await.unwrap();
    call(&pool, &b, auto, 3).await.unwrap();
}

pub async fn the_queue_shows_what_waits() {
    let (_, pool) = pool_of(8, options()).await;
    let (a, b) = (warm(&pool, "a").await, warm(&pool, "b").await);
    let one = RunOptions::by(Strategy::Sequential);
    let urgent = RunOptions { priority: Priority::UserBlocking, ..one.within(60_000.0) };
    let calls = async {
        let all = [call(&pool, &a, one, 1), call(&pool, &a, one, 2), call(&pool, &b, urgent, 3)];
        join_all(all).await.into_iter().for_each(|result| result.unwrap());
    };
    let seen = async {
        loop {
            let queue = pool.queue();
            if queue.calls.iter().any(|call| call.predicted_start_ms < 0.0) {
                return queue;
            }
            next_turn().await;
        }
    };
    let (mut calls, seen) = (pin!(calls), pin!(seen));
    let Either::Right((queue, _)) = select(calls.as_mut(), seen).await else { panic!("the calls were over before") };
    let names: Vec<_> = queue.calls.iter().map(|call| (&call.sessions[0][..], format!("{:?}", call.state))).collect();
    let state = |name, state: &str| (name, state.to_owned());
    assert_eq!(names, [state("b", "Running"), state("a", "Waiting"), state("a", "Waiting")]);
    assert_eq!(queue.pending, 3);
    let left = queue.calls[0].deadline_ms.unwrap();
    assert!(left > 0.0 && left <= 60_000.0 && queue.calls[1].deadline_ms.is_none());
    assert!(queue.calls[1].predicted_start_ms <= queue.calls[2].predicted_start_ms);
    calls.await;
    assert_eq!((pool.queue().pending, pool.queue().calls.len()), (0, 0));
}

/// What may become of a call.
#[derive(Clone, Debug)]
struct Fate {
    session: usize,
    priority: Priority,
    within_ms: Option<f64>,
    own: bool,
    /// After so many turns its caller goes.
    aborted: Option<usize>,
    /// After so many turns before it, the caller comes.
    after: usize,
}

fn fates() -> impl Made<Value = Vec<Fate>> {
    let priority = prop_oneof![Just(Priority::Background), Just(Priority::UserVisible), Just(Priority::UserBlocking)];
    let deadline = prop_oneof![Just(None), Just(Some(0.0)), Just(Some(0.5)), Just(Some(60_000.0))];
    let fate = (0usize..3, priority, deadline, any::<bool>(), prop::option::weighted(0.2, 0usize..12), 0usize..10);
    let fate = fate.prop_map(|(session, priority, within_ms, own, aborted, after)| Fate {
        session,
        priority,
        within_ms,
        own,
        aborted,
        after,
    });
    prop::collection::vec(fate, 1..40)
}

/// Each of the calls is answered rightly, or by an error that it may have, and once; afterwards the pool is as before.
async fn none_is_lost(fates: &[Fate], failures: usize, lost_after: Option<usize>) {
    let (lane, pool) = pool_of(2, options()).await;
    let mut sessions = vec![];
    for name in ["a", "b", "c"] {
        sessions.push(load(&pool, name, dense(1)).await);
    }
    lane.faults.executions.set(failures);
    let each = fates.iter().enumerate().map(|(seed, fate)| {
        let (pool, session) = (&pool, &sessions[fate.session]);
        async move {
            for _ in 0..fate.after {
                next_turn().await;
            }
            let strategy = fate.own.then_some(Strategy::Sequential);
            let options = RunOptions { strategy, priority: fate.priority, ..RunOptions::default() };
            let options = fate.within_ms.map_or(options, |ms| options.within(ms));
            let gone = async {
                match fate.aborted {
                    Some(turns) => {
                        for _ in 0..turns {
                            next_turn().await;
                        }
                    }
                    None => std::future::pending().await,
                }
            };
            match select(pin!(call(pool, session, options, seed)), pin!(gone)).await {
                Either::Left((result, _)) => result.err().map(|error| error.kind()),
                Either::Right(_) => Some(Kind::Aborted),
            }
        }
    });
    let all = join_all(each);
    let fault = async {
        if let Some(turns) = lost_after {
            for _ in 0..turns {
                next_turn().await;
            }
            *lane.faults.lost.borrow_mut() = Some("as the test asked".to_owned());
        }
        std::future::pending::<()>().await;
    };
    let Either::Left((kinds, _)) = select(pin!(all), pin!(fault)).await else { panic!("nothing was answered") };
    for (kind, fate) in kinds.into_iter().zip(fates) {
        let may = match kind {
            None => true,
            Some(Kind::Aborted) => fate.aborted.is_some(),
            Some(Kind::Deadline) => fate.within_ms.is_some_and(|ms| ms < 1e3),
            Some(Kind::Internal) => failures > 0,
            Some(Kind::DeviceLost) => lost_after.is_some(),
            Some(_) => false,
        };
        assert!(may, "{kind:?} of {fate:?}");
    }
    // What was aborted on the lane still ends there.
    for _ in 0..1000 {
        if pool.queue().calls.is_empty() {
            break;
        }
        next_turn().await;
    }
    let queue = pool.queue();
    assert!(queue.pending == 0 && queue.calls.is_empty(), "{queue:?}");
    if lost_after.is_none() {
        lane.faults.executions.set(0);
        call(&pool, &sessions[0], RunOptions::default(), 99).await.unwrap();
    }
    pool.close();
    assert!(call(&pool, &sessions[0], RunOptions::default(), 1).now_or_never().unwrap().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_call_is_lost_or_answered_twice(
        fates in fates(),
        failures in prop_oneof![3 => Just(0usize), 1 => 1usize..6],
        lost_after in prop::option::weighted(0.2, 0usize..30),
    ) {
        block_on(none_is_lost(&fates, failures, lost_after));
    }
}
