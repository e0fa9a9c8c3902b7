//! Calls of shapes that a session's lane has not built, while another lane can answer: nobody waits for a build. With lanes of tests,
//! which say themselves what a build takes. Knows the pool's API; must never know a device.

use super::common::{dense, expected, off, tensor};
use super::lane::Reference;
use super::pool::{host, options, request, run, source};
use consort::lane::Lane;
use consort::lane::host::next_turn;
use consort::pool::{Fallback, Keep, Listener, Pool, PoolOptions, Request, Session, Source};
use consort::predict::Goal;
use futures_util::future::join_all;
use std::cell::RefCell;
use std::rc::Rc;

type Told = Rc<RefCell<Vec<Fallback>>>;

/// A pool on two lanes, of which the first takes so long to build, and a session that lives there.
async fn slow(builds_ms: usize, own: PoolOptions) -> ([Rc<Reference>; 2], Pool, Rc<Session>, Told) {
    let lanes = [Reference::new("first"), Reference::new("second")];
    lanes[0].faults.builds_ms.set(builds_ms);
    // Calls are no short ones, which are tried by the clock.
    lanes.iter().for_each(|lane| lane.faults.slower.set(50.0));
    let (all, told) = (lanes.iter().map(|lane| Rc::clone(lane) as Rc<dyn Lane>).collect(), Told::default());
    let note = Rc::clone(&told);
    let listener = Listener::new(move |fallback| note.borrow_mut().push(fallback.clone()));
    let pool = Pool::on(all, None, PoolOptions { on_fallback: Some(listener), ..own }, None).await.unwrap();
    let session = pool.load(source("net", dense(1)), &|_, _, _| {}).await.unwrap();
    (lanes, pool, session, told)
}

/// A call of so many rows, which is right: the lane that answered it.
async fn call(pool: &Pool, session: &Session, rows: usize) -> &'static str {
    let outputs = run(pool, request(session, "x", tensor([rows, 8], rows))).await.unwrap();
    assert!(off(&host(&outputs)[0], &expected(&dense(1), &[tensor([rows, 8], rows)])[0]) < 1e-6, "{rows} rows");
    session.answered().unwrap().lane
}

/// Until nothing is built any more.
async fn built(lane: &Reference) {
    for _ in 0..2 * lane.faults.builds_ms.get() {
        next_turn().await;
    }
}

pub async fn new_shapes_are_answered_by_another_lane_until_they_are_built() {
    let (lanes, pool, session, told) = slow(400, options()).await;
    assert_eq!(call(&pool, &session, 2).await, "second");
    assert!(lanes[0].executed.borrow().is_empty(), "it is being built there");
    assert_eq!((session.lane(), lanes[0].prepared.get()), ("first", 2));
    assert!(lanes[1].counts().weights > 0);
    built(&lanes[0]).await;
    assert_eq!(call(&pool, &session, 2).await, "first", "these shapes go back by themselves");
    assert_eq!(call(&pool, &session, 3).await, "second", "others stand by");
    built(&lanes[0]).await;
    for i in 0..80 {
        // Now and then the other is tried, as between any lanes.
        call(&pool, &session, 3).await;
        assert_eq!(session.lane(), "first", "call {i}");
    }
    assert_eq!(lanes[1].counts().weights, 0, "nothing new came for a while");
    assert!(told.borrow().is_empty(), "no lane failed: {told:?}");
    pool.release(session.id);
    assert_eq!(lanes[0].counts().weights, 0);
}

pub async fn shapes_that_come_once_are_not_built_in_vain() {
    let (lanes, pool, session, _) = slow(400, options()).await;
    let answered = join_all((2..12).map(|rows| call(&pool, &session, rows))).await;
    assert_eq!(answered, ["second"; 10], "at once");
    for rows in 12..22 {
        assert_eq!(call(&pool, &session, rows).await, "second");
        built(&lanes[0]).await;
    }
    // The load's, the first, and the last that came meanwhile.
    assert_eq!(lanes[0].prepared.get(), 3, "nobody asked for what was built");
    assert_eq!(call(&pool, &session, 21).await, "second");
    built(&lanes[0]).await;
    assert_eq!(call(&pool, &session, 21).await, "first", "it came again");
    assert_eq!(lanes[0].prepared.get(), 4);
}

pub async fn a_build_that_fails_beside_calls_is_told_once() {
    let (lanes, pool, session, told) = slow(400, options()).await;
    lanes[0].faults.batch.set(Some(3));
    for _ in 0..3 {
        assert_eq!(call(&pool, &session, 3).await, "second");
        built(&lanes[0]).await;
    }
    assert_eq!(lanes[0].prepared.get(), 2, "it is not built again");
    let said = told.take();
    assert_eq!(said.len(), 1, "once: {said:?}");
    assert_eq!((said[0].session.as_str(), said[0].from, said[0].to), ("net", "first", "second"));
    assert!(said[0].reason.contains("no such batch"), "{said:?}");
    assert_eq!(session.lane(), "first");
    // What is no refusal of shapes is remembered for these shapes, too.
    lanes[0].faults.preparations.set(1);
    for _ in 0..3 {
        assert_eq!(call(&pool, &session, 4).await, "second");
        built(&lanes[0]).await;
    }
    assert_eq!((told.borrow().len(), lanes[0].prepared.get()), (1, 3));
    // Where the other cannot, it is waited for as ever.
    lanes[1].faults.batch.set(Some(5));
    assert_eq!(call(&pool, &session, 5).await, "first");
}

pub async fn a_build_is_waited_for_where_nothing_else_may_answer() {
    let memory = PoolOptions { goal: Goal::Memory, ..options() };
    let settled = PoolOptions { settled: true, ..options() };
    for (why, own) in [("weights on two lanes take memory", memory), ("nothing is tried", settled)] {
        let (lanes, pool, session, _) = slow(40, own).await;
        assert_eq!(call(&pool, &session, 2).await, "first", "{why}");
        assert_eq!((lanes[1].prepared.get(), lanes[1].counts().weights), (0, 0), "{why}");
    }
    let (lanes, pool, session, _) = slow(40, options()).await;
    let kept = Request { keep: Keep::All, ..request(&session, "x", tensor([2, 8], 1)) };
    run(&pool, kept).await.unwrap();
    assert_eq!(session.answered().unwrap().lane, "first", "what stays would have to follow");
    let only = Source { lanes: Some(vec!["first".to_owned()]), ..source("only", dense(1)) };
    let only = pool.load(only, &|_, _, _| {}).await.unwrap();
    assert_eq!(call(&pool, &only, 2).await, "first", "it may not run elsewhere");
    assert_eq!(lanes[1].prepared.get(), 0);
    // A call takes a millisecond on either lane: a build that takes none is not worth another's weights.
    let (lanes, pool, session, _) = slow(0, options()).await;
    assert_eq!((call(&pool, &session, 2).await, lanes[1].prepared.get()), ("first", 0));
}
