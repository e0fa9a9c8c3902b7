//! Which of two lanes a session's calls run on: the one that is measured to be faster, found by few calls. With lanes of tests.
//! Knows the pool's API; must never know a device.

use super::common::{dense, expected, off, tensor};
use super::lane::Reference;
use super::pool::{host, options, request, run, source};
use consort::lane::Lane;
use consort::pool::{Keep, Pool, PoolOptions, Request, Session, Source};
use consort::predict::Goal;
use std::rc::Rc;

/// Calls take so many times what a lane of tests says: those of a few milliseconds are tried for a while by the clock.
const LONG: f64 = 50.0;

/// A pool on two lanes of equal forecasts that take `slower` times as long, and a session on the first.
async fn raced(slower: [f64; 2], goal: Goal) -> ([Rc<Reference>; 2], Pool, Rc<Session>) {
    let lanes = [Reference::new("first"), Reference::new("second")];
    lanes.iter().zip(slower).for_each(|(lane, slower)| lane.faults.slower.set(LONG * slower));
    let all = lanes.iter().map(|lane| Rc::clone(lane) as Rc<dyn Lane>).collect();
    let pool = Pool::on(all, None, PoolOptions { goal, ..options() }, None).await.unwrap();
    let session = pool.load(source("net", dense(1)), &|_, _, _| {}).await.unwrap();
    (lanes, pool, session)
}

/// Forty calls, one after another, all right; how many ran on each lane.
async fn forty(pool: &Pool, session: &Session, lanes: &[Rc<Reference>; 2], keep: Keep) -> [usize; 2] {
    lanes.iter().for_each(|lane| drop(lane.executed.take()));
    for i in 0..40 {
        let asked = Request { keep: keep.clone(), ..request(session, "x", tensor([2, 8], i)) };
        let outputs = run(pool, asked).await.unwrap();
        if keep == Keep::Nothing {
            assert!(off(&host(&outputs)[0], &expected(&dense(1), &[tensor([2, 8], i)])[0]) < 1e-6, "call {i}");
        }
    }
    [0, 1].map(|i| lanes[i].executed.borrow().len())
}

pub async fn a_session_moves_to_the_lane_that_is_measured_to_be_faster() {
    let (lanes, pool, session) = raced([1.0, 0.5], Goal::Latency).await;
    let [first, second] = forty(&pool, &session, &lanes, Keep::Nothing).await;
    assert!(first <= 20 && second >= 20, "{first} and {second}");
    assert_eq!(session.lane(), "second");
    assert_eq!(lanes[0].counts().weights, 0, "weights lie on a lane only when it is used there");
    assert!(lanes[1].counts().weights > 0);
    // It is corrected by what it measures.
    lanes[1].faults.slower.set(4.0 * LONG);
    forty(&pool, &session, &lanes, Keep::Nothing).await;
    assert_eq!(session.lane(), "first");
    assert_eq!(lanes[1].counts().weights, 0);
}

pub async fn a_lane_that_is_slower_is_tried_and_left() {
    let (lanes, pool, session) = raced([1.0, 1.5], Goal::Latency).await;
    let [first, second] = forty(&pool, &session, &lanes, Keep::Nothing).await;
    // What its runs took that nobody waited for is enough to see it; a call that meets it ends that.
    assert!(first >= 35 && (2..=11).contains(&second), "{first} and {second}");
    assert_eq!((session.lane(), lanes[1].counts().weights), ("first", 0));
    assert_eq!(forty(&pool, &session, &lanes, Keep::Nothing).await, [40, 0]);
}

pub async fn nothing_is_tried_where_a_call_would_pay_for_it() {
    let (lanes, pool, session) = raced([1.0, 0.5], Goal::Memory).await;
    assert_eq!(forty(&pool, &session, &lanes, Keep::Nothing).await, [40, 0], "weights on two lanes take memory");
    let (lanes, pool, session) = raced([1.0, 0.5], Goal::Latency).await;
    assert_eq!(forty(&pool, &session, &lanes, Keep::All).await, [40, 0], "what stays would have to follow");
    let (lanes, pool, _) = raced([1.0, 0.5], Goal::Latency).await;
    let only = Source { lanes: Some(vec!["first".to_owned()]), ..source("only", dense(1)) };
    let only = pool.load(only, &|_, _, _| {}).await.unwrap();
    assert_eq!(forty(&pool, &only, &lanes, Keep::Nothing).await, [40, 0], "it may not run there");
    *lanes[1].faults.refused.borrow_mut() = Some("MatMul".to_owned());
    let net = pool.load(source("net", dense(1)), &|_, _, _| {}).await.unwrap();
    assert_eq!(forty(&pool, &net, &lanes, Keep::Nothing).await, [40, 0], "the lane does not take it");
}

pub async fn a_lane_that_cannot_be_made_ready_is_not_tried_again() {
    let (lanes, pool, session) = raced([1.0, 0.5], Goal::Latency).await;
    lanes[1].faults.preparations.set(1);
    assert_eq!(forty(&pool, &session, &lanes, Keep::Nothing).await, [40, 0]);
    assert_eq!(lanes[1].counts().weights, 0);
}
