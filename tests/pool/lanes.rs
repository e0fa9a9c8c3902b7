//! What a pool does when a lane fails, is lost, refuses a model, or is one of two: with lanes that do so on request. Knows
//! the pool's API and the lanes of tests; must never know a device.

use super::common::{Tiny, dense, embedding, expected, off, tensor};
use super::faults::says;
use super::lane::Reference;
use super::pool::{host, load, options, request, run, source};
use consort::graph::HostTensor;
use consort::kernels::Class;
use consort::lane::Precision;
use consort::lane::host::next_turn;
use consort::pool::{Answered, Feed, Keep, Measure, Pool, PoolOptions, Request, RunOptions, Session, Source};
use consort::predict::Strategy;
use consort::{Error, Kind};
use futures_util::FutureExt as _;
use futures_util::future::{join, join_all};
use std::collections::BTreeMap;
use std::rc::Rc;

async fn on(lanes: &[&Rc<Reference>]) -> Pool {
    with(lanes, options()).await
}

async fn with(lanes: &[&Rc<Reference>], options: PoolOptions) -> Pool {
    let lanes = lanes.iter().map(|&lane| Rc::clone(lane) as Rc<dyn consort::lane::Lane>).collect();
    Pool::on(lanes, None, options, None).await.unwrap()
}

/// A pool on two lanes, and a session on each.
async fn two() -> ([Rc<Reference>; 2], Pool, [Rc<Session>; 2]) {
    let lanes = [Reference::new("first"), Reference::new("second")];
    let pool = on(&[&lanes[0], &lanes[1]]).await;
    let of = async |name: &str| {
        let lanes = Some(vec![name.to_owned()]);
        pool.load(Source { lanes, ..source(name, dense(1)) }, &|_, _, _| {}).await.unwrap()
    };
    let sessions = [of("first").await, of("second").await];
    (lanes, pool, sessions)
}

fn ask(session: &Session) -> Request {
    request(session, "x", tensor([2, 8], 1))
}

fn right(outputs: &consort::pool::Outputs) -> bool {
    off(&host(outputs)[0], &expected(&dense(1), &[tensor([2, 8], 1)])[0]) < 1e-6
}

pub async fn calls_of_one_turn_share_an_execution_but_not_with_one_that_names_a_strategy() {
    let lane = Reference::new("only");
    let pool = on(&[&lane]).await;
    let session = load(&pool, "net", dense(1)).await;
    let answers = join_all((0..20).map(|_| run(&pool, ask(&session)))).await;
    assert!(answers.iter().all(|answer| right(answer.as_ref().unwrap())));
    assert_eq!(lane.executed.take(), [16, 4]);
    let named = RunOptions::by(Strategy::Parallel);
    let (a, b) = join(pool.run(vec![ask(&session)], named), run(&pool, ask(&session))).await;
    assert!(right(&a.unwrap()[0]) && right(&b.unwrap()));
    assert_eq!(lane.executed.take(), [1, 1]);
}

pub async fn an_execution_that_fails_is_repeated_for_each_of_its_calls_alone() {
    let lane = Reference::new("only");
    let pool = on(&[&lane]).await;
    let session = load(&pool, "net", dense(1)).await;
    // That of all three, and that of the first of them alone.
    lane.faults.executions.set(2);
    let answers = join_all((0..3).map(|_| run(&pool, ask(&session)))).await;
    let (fine, failed): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(failed.len(), 1);
    says(failed[0].as_ref().unwrap_err(), Kind::Internal, &["'net'", "as the test asked"]);
    assert!(fine.into_iter().all(|answer| right(&answer.unwrap())));
    assert_eq!(lane.executed.take(), [3, 1, 1, 1]);
    assert!(right(&run(&pool, ask(&session)).await.unwrap()), "the next call");
}

pub async fn a_preparation_that_fails_leaves_nothing_and_may_be_tried_again() {
    let lane = Reference::new("only");
    let pool = on(&[&lane]).await;
    lane.faults.preparations.set(1);
    let error = pool.load(source("net", dense(1)), &|_, _, _| {}).await.unwrap_err();
    says(&error, Kind::Internal, &["'net'", "a preparation failed"]);
    assert_eq!((pool.memory().total, pool.memory().sessions.len()), (0, 0));
    let session = load(&pool, "net", dense(1)).await;
    lane.faults.preparations.set(1);
    let other = || request(&session, "x", tensor([5, 8], 1));
    says(&run(&pool, other()).await.unwrap_err(), Kind::Internal, &["'net'", "a preparation failed"]);
    run(&pool, other()).await.unwrap();
}

pub async fn a_load_that_nobody_waits_for_leaves_nothing_and_no_observation_is_lost() {
    let lane = Reference::new("only");
    let pool = on(&[&lane]).await;
    let session = load(&pool, "net", dense(1)).await;
    let before = pool.memory().weights;
    let progress = |_, _, _| {};
    let mut gone = Box::pin(pool.load(source("gone", embedding(3)), &progress));
    assert!(gone.as_mut().now_or_never().is_none());
    assert!(pool.memory().weights > before, "its weights were on their way");
    drop(gone);
    assert_eq!(pool.memory().weights, before);
    pool.predict(vec![(session.id, [("x".to_owned(), vec![2, 8])].into())], None).await.unwrap();
    for _ in 0..4 {
        run(&pool, ask(&session)).await.unwrap();
    }
    // The first run of a program is none; a load that were still counted would spoil all.
    assert_eq!(pool.accuracy()[0].1.observations, 3);
}

pub async fn a_call_that_nobody_waits_for_is_taken_back_or_ends_unheard() {
    let lane = Reference::new("only");
    let pool = on(&[&lane]).await;
    let session = load(&pool, "net", dense(1)).await;
    run(&pool, ask(&session)).await.unwrap();
    lane.executed.take();
    lane.faults.turns.set(20);
    let mut running = Box::pin(run(&pool, ask(&session)));
    assert!(running.as_mut().now_or_never().is_none());
    while lane.executed.borrow().is_empty() {
        next_turn().await;
    }
    let mut waiting = Box::pin(run(&pool, ask(&session)));
    assert!(waiting.as_mut().now_or_never().is_none());
    let behind = run(&pool, ask(&session));
    drop((running, waiting));
    assert!(right(&behind.await.unwrap()));
    assert_eq!(lane.executed.take(), [1, 1], "the second was never begun");
}

pub async fn a_lane_that_is_lost_ends_its_calls_and_the_other_goes_on() {
    let (lanes, pool, [first, second]) = two().await;
    lanes[0].faults.turns.set(5);
    let lose = async {
        while lanes[0].executed.borrow().is_empty() {
            next_turn().await;
        }
        *lanes[0].faults.lost.borrow_mut() = Some("as the test asked".to_owned());
    };
    let of_first = join_all((0..20).map(|_| run(&pool, ask(&first))));
    let of_second = join_all((0..20).map(|_| run(&pool, ask(&second))));
    let ((ended, unharmed), ()) = join(join(of_first, of_second), lose).await;
    assert_eq!(ended.len(), 20);
    for answer in ended {
        says(&answer.unwrap_err(), Kind::DeviceLost, &["'first' was lost", "as the test asked"]);
    }
    assert!(unharmed.iter().all(|answer| right(answer.as_ref().unwrap())));
    says(&run(&pool, ask(&first)).await.unwrap_err(), Kind::DeviceLost, &["'first' was lost"]);
    assert!(right(&run(&pool, ask(&second)).await.unwrap()));
    let third = load(&pool, "third", dense(1)).await;
    assert_eq!(third.lane(), "second", "what is loaded then goes where a lane is");
    assert!(right(&run(&pool, ask(&third)).await.unwrap()));
    let only = Source { lanes: Some(vec!["first".to_owned()]), ..source("lost", dense(1)) };
    says(&pool.load(only, &|_, _, _| {}).await.unwrap_err(), Kind::DeviceLost, &["'first' was lost"]);
}

pub async fn a_call_over_two_lanes_is_one_execution_on_each() {
    let (lanes, pool, [first, second]) = two().await;
    let set = vec![ask(&second), ask(&first), ask(&second)];
    let outputs = pool.run(set, RunOptions::default()).await.unwrap();
    assert!(outputs.len() == 3 && outputs.iter().all(right));
    assert_eq!((lanes[0].executed.take(), lanes[1].executed.take()), (vec![1], vec![2]));
    let ids = HostTensor::i64([3], vec![3, 0, 9]).unwrap();
    let rows = Source { lanes: Some(vec!["first".to_owned()]), ..source("rows", embedding(1)) };
    let rows = pool.load(rows, &|_, _, _| {}).await.unwrap();
    // Each of a call has its own answer in its own place.
    let outputs =
        pool.run(vec![ask(&second), request(&rows, "ids", ids.clone())], RunOptions::default()).await.unwrap();
    assert!(right(&outputs[0]));
    assert_eq!(host(&outputs[1]), expected(&embedding(1), &[ids]));
}

pub async fn a_fault_on_one_lane_fails_the_call_and_nothing_else() {
    let (lanes, pool, [first, second]) = two().await;
    lanes[1].faults.executions.set(1);
    let both = pool.run(vec![ask(&first), ask(&second)], RunOptions::default());
    let (both, beside) = join(both, run(&pool, ask(&first))).await;
    says(&both.unwrap_err(), Kind::Internal, &["'second'", "as the test asked"]);
    assert!(right(&beside.unwrap()));
    assert!(right(&run(&pool, ask(&second)).await.unwrap()));
}

pub async fn a_tensor_of_one_lane_feeds_a_session_of_another() {
    let (_, pool, [first, second]) = two().await;
    let rows = Tiny::new().input("rows", super::common::FLOAT, ["n".into(), 8.into()]).node("Neg", &["rows"], "x");
    let rows = Source { lanes: Some(vec!["first".to_owned()]), ..source("rows", rows.outputs(&["x"])) };
    let rows = pool.load(rows, &|_, _, _| {}).await.unwrap();
    let kept = Request { keep: Keep::All, ..request(&rows, "rows", tensor([2, 8], 1)) };
    let x = Rc::clone(run(&pool, kept).await.unwrap()[0].1.resident().unwrap());
    assert_eq!(x.lane, "first");
    let memory = pool.memory();
    assert!(memory.lanes[0].counts.tensors > 0 && memory.lanes[1].counts.tensors == 0, "{memory:?}");
    for session in [&first, &second] {
        let fed = Request::new(session.id, [("x".to_owned(), Feed::Resident(Rc::clone(&x)))].into());
        let turned = HostTensor::f32([2, 8], tensor([2, 8], 1).as_f32().unwrap().iter().map(|v| -v).collect());
        let want = expected(&dense(1), &[turned.unwrap()]);
        assert!(off(&host(&run(&pool, fed).await.unwrap())[0], &want[0]) < 1e-6, "on {}", session.lane());
    }
}

pub async fn what_is_told_is_told_by_lane() {
    let (_, pool, [first, second]) = two().await;
    assert_eq!((first.lane(), second.lane()), ("first", "second"));
    assert_eq!(pool.capabilities().lanes, ["first", "second"]);
    assert_eq!(pool.profiles().iter().map(|p| p.lane).collect::<Vec<_>>(), ["first", "second"]);
    assert_ne!(pool.profiles()[0].fingerprint, pool.profiles()[1].fingerprint);
    run(&pool, ask(&second)).await.unwrap();
    let memory = pool.memory();
    let lanes: Vec<_> = memory.lanes.iter().map(|l| (l.lane, l.counts.weights > 0, l.counts.arenas > 0)).collect();
    assert_eq!(lanes, [("first", true, false), ("second", true, true)]);
    assert_eq!(memory.weights, memory.lanes.iter().map(|l| l.counts.weights).sum::<u64>());
    // Equal weights are held once on a lane, and once on each.
    assert!(memory.sessions.iter().all(|s| s.shared_weights == 0 && s.weights > 0), "{memory:?}");
    pool.predict(vec![(second.id, [("x".to_owned(), vec![2, 8])].into())], None).await.unwrap();
    run(&pool, ask(&second)).await.unwrap();
    let seen: Vec<_> = pool.accuracy().iter().map(|(lane, a)| (*lane, a.observations)).collect();
    assert_eq!(seen, [("first", 0), ("second", 1)]);
    let shapes = |s: &Session| (s.id, [("x".to_owned(), vec![2, 8])].into());
    // Neither may run where the other does: they run at once.
    let both = pool.predict(vec![shapes(&first), shapes(&second)], None).await.unwrap();
    assert_eq!(both.strategies.iter().map(|s| s.strategy).collect::<Vec<_>>(), [Strategy::Split]);
    let places: Vec<_> = both.strategies[0].timeline.iter().map(|span| span.place.as_str()).collect();
    assert!(places.contains(&"first") && places.contains(&"second"), "{places:?}");
    assert_eq!(pool.predict(vec![shapes(&second)], None).await.unwrap().lane, "second");
    assert_eq!(pool.memory_map(second.id).unwrap().unwrap().lane, "second");
}

pub async fn a_model_goes_to_the_first_lane_that_takes_it() {
    let (lanes, pool, _) = two().await;
    assert_eq!(load(&pool, "net", dense(1)).await.lane(), "first");
    *lanes[0].faults.refused.borrow_mut() = Some("Gather".to_owned());
    assert_eq!(load(&pool, "rows", embedding(1)).await.lane(), "second");
    assert_eq!(load(&pool, "net", dense(1)).await.lane(), "first");
    *lanes[1].faults.refused.borrow_mut() = Some("Gather".to_owned());
    let error = pool.load(source("rows", embedding(1)), &|_, _, _| {}).await.unwrap_err();
    says(&error, Kind::Unsupported, &["'rows'", "'first' does not take Gather"]);
    assert_eq!(error.node(), Some("Gather_0"));
    let rows = Source { lanes: Some(vec!["second".to_owned()]), ..source("rows", dense(1)) };
    let rows = pool.load(rows, &|_, _, _| {}).await.unwrap();
    let (can, _, cannot) = pool.lanes(&rows);
    assert_eq!((can, cannot.keys().cloned().collect()), (vec!["second".to_owned()], vec!["first".to_owned()]));
    let third = Source { lanes: Some(vec!["third".to_owned()]), ..source("net", dense(1)) };
    let error = pool.load(third, &|_, _, _| {}).await.unwrap_err();
    says(&error, Kind::Unsupported, &["'net'", "'first', 'second'"]);
}

pub async fn a_lane_measures_itself_between_calls_and_never_beside_one() {
    let lane = Reference::new("only");
    let pool = with(&[&lane], PoolOptions { measure: Measure::Idle, ..options() }).await;
    let session = load(&pool, "net", dense(1)).await;
    let mut observed = vec![];
    for _ in 0..6 {
        run(&pool, ask(&session)).await.unwrap();
        // It looks now and then whether the lane idles.
        consort::lane::host::sleep(60).await;
        observed.push(pool.accuracy()[0].1.observations);
    }
    assert_eq!((observed[0], observed[5]), (0, 5), "{observed:?}");
}

pub async fn a_class_that_cannot_be_measured_leaves_the_others_their_forecasts() {
    for lost in [false, true] {
        let lane = Reference::new("only");
        lane.faults.unmeasured.set(Some(Class::Gemv));
        let pool = on(&[&lane]).await;
        let session = load(&pool, "net", dense(1)).await;
        *lane.faults.lost.borrow_mut() = lost.then(|| "as the test asked".to_owned());
        let set = vec![(session.id, BTreeMap::from([("x".to_owned(), vec![2, 8])]))];
        match pool.predict(set, None).await {
            Ok(forecast) => assert!(!lost && forecast.strategies[0].predicted_ms > 0.0, "{forecast:?}"),
            Err(error) => assert!(lost && error.kind() == Kind::DeviceLost, "{error}"),
        }
    }
}

pub async fn a_pool_of_no_lanes_is_none() {
    let error: Error = Pool::on(vec![], None, options(), None).await.unwrap_err();
    says(&error, Kind::Unsupported, &["no lanes"]);
}

pub async fn a_session_of_float32_keeps_away_from_lanes_of_fewer_bits() {
    let lanes = [Reference::new("first"), Reference::new("second")];
    let pool = on(&[&lanes[0], &lanes[1]]).await;
    let exact = |name: &str| Source { exact: true, ..source(name, dense(1)) };
    lanes[0].faults.bits.set(Some(11));
    let any = pool.load(source("any", dense(1)), &|_, _, _| {}).await.unwrap();
    let session = pool.load(exact("exact"), &|_, _, _| {}).await.unwrap();
    assert_eq!((any.lane(), session.lane()), ("first", "second"));
    let (can, precisions, cannot) = pool.lanes(&session);
    assert_eq!((can, &precisions["second"]), (vec!["second".to_owned()], &Precision::F32));
    assert!(cannot["first"].contains("11 bits"), "{cannot:?}");
    assert_eq!(pool.lanes(&any).1["first"], Precision::F16);
    for session in [&any, &session] {
        for i in 0..8 {
            run(&pool, request(session, "x", tensor([2, 8], i))).await.unwrap();
        }
    }
    let of = |lane, precision| Some(Answered { lane, precision: Some(precision) });
    assert_eq!(session.answered(), of("second", Precision::F32), "it is tried nowhere else");
    assert_eq!(any.answered(), of("first", Precision::F16));
    *lanes[1].faults.lost.borrow_mut() = Some("as the test asked".to_owned());
    let lost = run(&pool, request(&session, "x", tensor([2, 8], 1))).await.unwrap_err();
    assert_eq!(lost.kind(), Kind::DeviceLost, "{lost}");
    let none = pool.load(exact("none"), &|_, _, _| {}).await.unwrap_err();
    assert!(none.kind() == Kind::Unsupported && none.to_string().contains("11 bits"), "{none}");
}
