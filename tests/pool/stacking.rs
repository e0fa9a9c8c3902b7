//! Calls of one session that come together: one call of more rows where that takes less. With lanes of tests. Knows the pool's API;
//! must never know a device.

use super::calls::branching;
use super::common::{dense, expected, off, tensor};
use super::lane::Reference;
use super::pool::{host, load, options, request, run};
use consort::graph::{Data, HostTensor};
use consort::lane::Lane;
use consort::pool::{Pool, PoolOptions, Request, RunOptions, Session};
use consort::predict::{Goal, Strategy};
use futures_util::future::join_all;
use std::rc::Rc;

/// Rounds in which stacks are made, tried and known.
const ROUNDS: usize = 24;

async fn pool_for(goal: Goal) -> (Rc<Reference>, Pool, Rc<Session>) {
    let lane = Reference::new("lane");
    let pool = Pool::on(vec![Rc::clone(&lane) as Rc<dyn Lane>], None, PoolOptions { goal, ..options() }, None).await;
    let pool = pool.unwrap();
    let session = load(&pool, "net", dense(1)).await;
    (lane, pool, session)
}

/// Calls of so many rows each, all at once and all right; how many works the lane was given for them.
async fn round(lane: &Reference, pool: &Pool, session: &Session, rows: &[usize], seed: usize) -> usize {
    lane.executed.borrow_mut().clear();
    let inputs: Vec<_> = rows.iter().enumerate().map(|(i, &rows)| tensor([rows, 8], seed * 31 + i)).collect();
    let calls = inputs.iter().map(|x| run(pool, request(session, "x", x.clone())));
    for (i, (outputs, x)) in join_all(calls).await.into_iter().zip(&inputs).enumerate() {
        let wanted = expected(&dense(1), std::slice::from_ref(x));
        assert!(off(&host(&outputs.unwrap())[0], &wanted[0]) < 1e-6, "call {i} of {rows:?}");
    }
    lane.executed.borrow().iter().sum()
}

pub async fn callers_of_one_session_are_one_call_of_more_rows() {
    let (lane, pool, session) = pool_for(Goal::Latency).await;
    let mut works = vec![];
    for seed in 0..ROUNDS {
        works.push(round(&lane, &pool, &session, &[2; 16], seed).await);
    }
    assert_eq!((works[0], works[ROUNDS - 1]), (16, 1), "{works:?}");
    // Eleven are eight, two and one, once these are known, too.
    for seed in 0..ROUNDS {
        works.push(round(&lane, &pool, &session, &[2; 11], seed).await);
    }
    assert!(works[2 * ROUNDS - 1] < 11, "{works:?}");
    // One alone, and calls of other rows, are what they were.
    assert_eq!(round(&lane, &pool, &session, &[2], 1).await, 1);
    assert_eq!(round(&lane, &pool, &session, &[1, 3, 5], 1).await, 3);
}

pub async fn callers_that_decide_the_same_are_rows_of_one_call() {
    let (lane, pool, _) = pool_for(Goal::Latency).await;
    let sessions = [load(&pool, "one", branching()).await, load(&pool, "other", branching()).await];
    let call = |of: usize, seed: usize, which: bool| {
        let which = HostTensor::new([], Data::Bool(vec![u8::from(which)])).unwrap();
        let feeds = [("x".to_owned(), tensor([2, 8], seed).into()), ("which".to_owned(), which.into())].into();
        Request::new(sessions[of].id, feeds)
    };
    let works = async |calls: &[(usize, usize, bool)], strategy| {
        lane.executed.borrow_mut().clear();
        let requests = calls.iter().map(|&(of, seed, which)| call(of, seed, which)).collect();
        let outputs = pool.run(requests, RunOptions::by(strategy)).await.unwrap();
        let outputs: Vec<_> = outputs.iter().flat_map(host).collect();
        (outputs, lane.executed.borrow().iter().sum::<usize>())
    };
    // Eight that take one branch and four that take the other, mixed; then one session's beside another's.
    let mixed: Vec<(usize, usize, bool)> = (0..12).map(|i| (0, i, i % 3 > 0)).collect();
    let both = [(0, 1, true), (1, 2, false)];
    for (calls, few) in [(&mixed[..], 2), (&both[..], 1)] {
        let (apart, each) = works(calls, Strategy::Sequential).await;
        let (rows, times) = works(calls, Strategy::Batched).await;
        assert_eq!((each, times), (calls.len(), few));
        assert!(apart.iter().zip(&rows).all(|(a, b)| a.shape() == b.shape() && off(a, b) < 1e-6));
    }
}

pub async fn nothing_is_stacked_where_memory_counts() {
    let (lane, pool, session) = pool_for(Goal::Memory).await;
    for seed in 0..ROUNDS {
        assert_eq!(round(&lane, &pool, &session, &[2; 8], seed).await, 8);
    }
}

pub async fn a_stack_that_fails_fails_no_call() {
    let (lane, pool, session) = pool_for(Goal::Latency).await;
    for seed in 0..ROUNDS {
        round(&lane, &pool, &session, &[2; 8], seed).await;
    }
    assert_eq!(round(&lane, &pool, &session, &[2; 8], 1).await, 1);
    lane.faults.executions.set(1);
    assert_eq!(round(&lane, &pool, &session, &[2; 8], 2).await, 1 + 8, "each by itself");
}

pub async fn one_bad_request_of_many_is_refused_alone() {
    let (lane, pool, session) = pool_for(Goal::Latency).await;
    for seed in 0..ROUNDS {
        round(&lane, &pool, &session, &[2; 8], seed).await;
    }
    let bad: Request = request(&session, "x", tensor([2, 7], 1));
    let good = (0..7).map(|i| request(&session, "x", tensor([2, 8], i)));
    let answers = join_all([bad].into_iter().chain(good).map(|request| run(&pool, request))).await;
    assert!(answers[0].is_err() && answers[1..].iter().all(Result::is_ok));
}
