//! What a pool does where a lane is lost that may be had again, or another can run its sessions: no call is lost. With lanes of
//! tests. Knows the pool's API; must never know a device.

use super::common::{FLOAT, Tiny, dense, embedding, expected, off, tensor};
use super::faults::says;
use super::lane::Reference;
use super::pool::{host, options, request, run, source};
use consort::Kind;
use consort::lane::Lane;
use consort::lane::host::next_turn;
use consort::pool::{Fallback, Feed, Keep, Listener, Opener, Origin, Pool, PoolOptions, Request, Session, Source};
use futures_util::future::{Either, join, join_all, select};
use std::cell::RefCell;
use std::rc::Rc;

/// Every lane that was opened, the last at the end.
type Opened = Rc<RefCell<Vec<Rc<Reference>>>>;

/// Opens lanes for tests by whatever name, which take `turns` for an execution.
fn opener(opened: &Opened, turns: usize) -> Opener {
    let opened = Rc::clone(opened);
    Rc::new(move |name| {
        let name = if name == "first" { "first" } else { "second" };
        let lane = Reference::new(name);
        lane.faults.turns.set(turns);
        opened.borrow_mut().push(Rc::clone(&lane));
        Box::pin(async move { Ok(lane as Rc<dyn Lane>) })
    })
}

/// A pool that opened `names` and may open those of `all`, with whom it told of what.
async fn pool_of(names: &[&str], all: &[&str], turns: usize) -> (Pool, Opened, Rc<RefCell<Vec<Fallback>>>) {
    let (opened, told) = (Opened::default(), Rc::new(RefCell::new(vec![])));
    let open = opener(&opened, turns);
    let mut lanes = vec![];
    for name in names {
        lanes.push(open(name).await.unwrap());
    }
    let note = Rc::clone(&told);
    let listener = Listener::new(move |fallback| note.borrow_mut().push(fallback.clone()));
    let lanes_of_all = Some(all.iter().map(|name| (*name).to_owned()).collect());
    let options = PoolOptions { lanes: lanes_of_all, on_fallback: Some(listener), ..options() };
    (Pool::on(lanes, Some(open), options, None).await.unwrap(), opened, told)
}

/// So many weights that a session forgets them once a lane holds them.
fn wide() -> Vec<u8> {
    let model = Tiny::new().input("x", FLOAT, ["batch".into(), 8.into()]).weight("w", [8, 9000], 3);
    model.node("MatMul", &["x", "w"], "y").outputs(&["y"])
}

/// `source` whose file can be had again.
fn again(of: Source) -> Source {
    let bytes = of.bytes.clone();
    let origin = Origin::new(move || {
        let bytes = bytes.clone();
        Box::pin(async move { Ok((bytes, Default::default())) })
    });
    Source { origin: Some(origin), ..of }
}

async fn loaded(pool: &Pool, of: Source) -> Rc<Session> {
    pool.load(of, &|_, _, _| {}).await.unwrap()
}

fn lose(lane: &Reference) {
    *lane.faults.lost.borrow_mut() = Some("as the test asked".to_owned());
}

/// Loses `lane` once it executes.
async fn lose_at_work(lane: &Reference) {
    while lane.executed.borrow().is_empty() {
        next_turn().await;
    }
    lose(lane);
}

/// Loses every lane of `opened` once it makes something ready, as long as nobody ends it.
async fn lose_at_loads(opened: &Opened) -> ! {
    loop {
        opened.borrow().iter().filter(|lane| lane.prepared.get() > 0).for_each(|lane| lose(lane));
        next_turn().await;
    }
}

/// What becomes of a load while the lanes that it meets are lost; `fails`: whether the first says something else of what it was at.
async fn loaded_meanwhile(pool: &Pool, opened: &Opened, fails: bool) -> consort::Result<Rc<Session>> {
    opened.borrow()[0].faults.preparations.set(usize::from(fails));
    let load = Box::pin(pool.load(again(source("wide", wide())), &|_, _, _| {}));
    match select(load, Box::pin(lose_at_loads(opened))).await {
        Either::Left((loaded, _)) => loaded,
        Either::Right((never, _)) => never,
    }
}

/// Twenty calls of `session` at once, all right.
async fn twenty(pool: &Pool, session: &Session, model: &[u8]) {
    let answers = join_all((0..20).map(|i| run(pool, request(session, "x", tensor([1, 8], i))))).await;
    for (i, answer) in answers.into_iter().enumerate() {
        let want = expected(model, &[tensor([1, 8], i)]);
        assert!(off(&host(&answer.unwrap())[0], &want[0]) < 1e-5, "call {i}");
    }
}

pub async fn calls_in_flight_on_a_lane_that_is_lost_are_answered_by_another() {
    let (pool, lanes, told) = pool_of(&["first", "second"], &["first", "second"], 5).await;
    let (first, second) = (Rc::clone(&lanes.borrow()[0]), Rc::clone(&lanes.borrow()[1]));
    let session = loaded(&pool, again(source("wide", wide()))).await;
    let beside = loaded(&pool, Source { lanes: Some(vec!["second".to_owned()]), ..source("beside", dense(1)) }).await;
    assert_eq!(session.lane(), "first");
    let (wide, dense) = (wide(), dense(1));
    let calls = join(twenty(&pool, &session, &wide), twenty(&pool, &beside, &dense));
    join(calls, lose_at_work(&first)).await;
    assert_eq!((session.lane(), beside.lane()), ("second", "second"));
    let told = told.take();
    assert_eq!(told.len(), 1, "once for the session, not for each call: {told:?}");
    assert_eq!((told[0].session.as_str(), told[0].from, told[0].to), ("wide", "first", "second"));
    assert!(told[0].reason.contains("as the test asked"));
    assert!(first.counts().weights == 0 && second.counts().weights > 0);
    assert_eq!(lanes.borrow().len(), 2, "what stands is taken before anything is opened");
}

pub async fn a_load_under_way_on_a_lane_that_is_lost_is_done_on_another() {
    for fails in [false, true] {
        let (pool, lanes, told) = pool_of(&["first", "second"], &["first", "second"], 0).await;
        // Only the first is lost.
        let doomed = Rc::new(RefCell::new(vec![Rc::clone(&lanes.borrow()[0])]));
        let session = loaded_meanwhile(&pool, &doomed, fails).await.unwrap();
        assert_eq!((session.lane(), lanes.borrow().len()), ("second", 2));
        twenty(&pool, &session, &wide()).await;
        let told = told.take();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((told[0].session.as_str(), told[0].from, told[0].to), ("wide", "first", "second"));
        assert!(told[0].reason.contains("as the test asked"), "{told:?}");
        assert_eq!(lanes.borrow()[0].counts().weights, 0);
    }
}

pub async fn a_load_under_way_on_the_only_lane_is_done_once_that_is_back() {
    for fails in [false, true] {
        let (pool, lanes, told) = pool_of(&["first"], &["first"], 0).await;
        let doomed = Rc::new(RefCell::new(vec![Rc::clone(&lanes.borrow()[0])]));
        let session = loaded_meanwhile(&pool, &doomed, fails).await.unwrap();
        assert_eq!((session.lane(), lanes.borrow().len(), told.borrow().len()), ("first", 2, 0));
        twenty(&pool, &session, &wide()).await;
    }
}

pub async fn a_load_that_no_lane_outlives_says_so() {
    let (pool, lanes, _) = pool_of(&["first", "second"], &["first", "second"], 0).await;
    let error = loaded_meanwhile(&pool, &lanes, false).await.unwrap_err();
    says(&error, Kind::DeviceLost, &["'wide'", "was lost"]);
    assert!(lanes.borrow().len() <= 4, "it is not tried for ever");
    assert!(lanes.borrow().iter().all(|lane| lane.counts().weights == 0));
}

pub async fn shapes_that_a_lane_refuses_run_on_another_and_the_rest_stays() {
    let (pool, lanes, told) = pool_of(&["first", "second"], &["first", "second"], 0).await;
    let (first, second) = (Rc::clone(&lanes.borrow()[0]), Rc::clone(&lanes.borrow()[1]));
    first.faults.batch.set(Some(3));
    let (model, batches) = (wide(), [2, 3, 2, 3, 4]);
    let session = loaded(&pool, again(source("wide", wide()))).await;
    for (i, batch) in batches.into_iter().enumerate() {
        let answer = host(&run(&pool, request(&session, "x", tensor([batch, 8], i))).await.unwrap());
        assert!(off(&answer[0], &expected(&model, &[tensor([batch, 8], i)])[0]) < 1e-5, "call {i}");
    }
    assert_eq!(session.lane(), "first");
    assert_eq!((first.executed.borrow().len(), second.executed.borrow().len()), (3, 2));
    assert_eq!(told.borrow().len(), 1, "once for the shapes, not for each call: {told:?}");
    assert!(told.borrow()[0].reason.contains("no such batch"), "{told:?}");
    second.faults.batch.set(Some(5));
    first.faults.batch.set(Some(5));
    let none = run(&pool, request(&session, "x", tensor([5, 8], 0))).await.unwrap_err();
    assert_eq!(none.kind(), Kind::Unsupported, "{none}");
    pool.release(session.id);
    assert_eq!((first.counts().weights, second.counts().weights), (0, 0));
    // At load, too.
    first.faults.batch.set(Some(1));
    let session = loaded(&pool, again(source("wide", wide()))).await;
    assert_eq!(session.lane(), "second");
}

pub async fn a_lane_that_is_lost_again_and_again_is_opened_as_often() {
    let (pool, lanes, told) = pool_of(&["first"], &["first"], 5).await;
    let session = loaded(&pool, again(source("wide", wide()))).await;
    let model = wide();
    for losses in 1..=20 {
        let lane = lanes.borrow().last().cloned().unwrap();
        lane.executed.take();
        join(twenty(&pool, &session, &model), lose_at_work(&lane)).await;
        assert_eq!(lanes.borrow().len(), losses + 1, "calls that wait for the same lane open it once");
    }
    assert!(told.borrow().is_empty(), "it never ran elsewhere");
    assert_eq!(pool.memory().lanes.len(), 1);
}

pub async fn a_lane_that_is_lost_before_it_answers_is_not_opened_for_ever() {
    let (pool, lanes, _) = pool_of(&["first"], &["first"], 0).await;
    let session = loaded(&pool, again(source("wide", wide()))).await;
    let ask = || run(&pool, request(&session, "x", tensor([1, 8], 1)));
    ask().await.unwrap();
    let lost = async {
        for _ in 0..40 {
            lanes.borrow().iter().for_each(|lane| lose(lane));
            next_turn().await;
        }
    };
    let (answer, ()) = join(ask(), lost).await;
    says(&answer.unwrap_err(), Kind::DeviceLost, &["'wide'", "was lost"]);
    assert!(lanes.borrow().len() <= 5, "{} were opened", lanes.borrow().len());
}

pub async fn weights_that_cannot_be_had_again_are_lost_with_their_lane() {
    let (pool, lanes, _) = pool_of(&["first", "second"], &["first", "second"], 0).await;
    let (gone, small) = (loaded(&pool, source("gone", wide())).await, loaded(&pool, source("small", dense(1))).await);
    lose(&lanes.borrow()[0]);
    let error = run(&pool, request(&gone, "x", tensor([1, 8], 1))).await.unwrap_err();
    says(&error, Kind::DeviceLost, &["'gone'", "'first' was lost"]);
    // Small weights never leave the host.
    run(&pool, request(&small, "x", tensor([1, 8], 1))).await.unwrap();
    assert_eq!(small.lane(), "second");
}

pub async fn a_file_that_changed_is_another_model() {
    let (pool, lanes, _) = pool_of(&["first", "second"], &["first", "second"], 0).await;
    let other = Tiny::new().input("x", FLOAT, ["batch".into(), 8.into()]).weight("w", [8, 9000], 4);
    let other = other.node("MatMul", &["x", "w"], "y").outputs(&["y"]);
    let changed = Source { origin: again(source("wide", other)).origin, ..source("wide", wide()) };
    let session = loaded(&pool, changed).await;
    lose(&lanes.borrow()[0]);
    let error = run(&pool, request(&session, "x", tensor([1, 8], 1))).await.unwrap_err();
    says(&error, Kind::MissingData, &["'wide'", "not what it was"]);
}

pub async fn a_tensor_on_a_lane_that_was_lost_is_lost() {
    let (pool, lanes, _) = pool_of(&["first"], &["first"], 0).await;
    let session = loaded(&pool, source("net", dense(1))).await;
    let kept = pool.upload(&tensor([1, 8], 1)).await.unwrap();
    let fed = || Request::new(session.id, [("x".to_owned(), Feed::Resident(Rc::clone(&kept)))].into());
    run(&pool, fed()).await.unwrap();
    lose(&lanes.borrow()[0]);
    run(&pool, request(&session, "x", tensor([1, 8], 1))).await.unwrap();
    assert_eq!(lanes.borrow().len(), 2);
    // The lane that came back has another tensor of that number, if any.
    let again = Request { keep: Keep::All, ..fed() };
    says(&run(&pool, again).await.unwrap_err(), Kind::DeviceLost, &["the tensor was on the lane 'first'"]);
}

pub async fn a_model_that_no_open_lane_takes_opens_one_that_does() {
    let (pool, lanes, told) = pool_of(&["first"], &["first", "second"], 0).await;
    *lanes.borrow()[0].faults.refused.borrow_mut() = Some("Gather".to_owned());
    assert_eq!(loaded(&pool, source("net", dense(1))).await.lane(), "first");
    assert_eq!(lanes.borrow().len(), 1);
    let rows = loaded(&pool, source("rows", embedding(1))).await;
    assert_eq!((rows.lane(), lanes.borrow().len()), ("second", 2));
    assert_eq!(told.borrow().len(), 1);
    assert!(told.borrow()[0].reason.contains("does not take Gather"));
    let only = Source { lanes: Some(vec!["first".to_owned()]), ..source("rows", embedding(1)) };
    says(&pool.load(only, &|_, _, _| {}).await.unwrap_err(), Kind::Unsupported, &["'first' does not take Gather"]);
}

pub async fn a_lane_that_was_lost_comes_back_when_it_is_faster() {
    let (pool, lanes, told) = pool_of(&["first", "second"], &["first", "second"], 0).await;
    // Long enough to be no short call, which is tried for longer.
    lanes.borrow()[1].faults.slower.set(150.0);
    let session = loaded(&pool, again(source("wide", wide()))).await;
    lose(&lanes.borrow()[0]);
    for i in 0..12 {
        run(&pool, request(&session, "x", tensor([1, 8], i))).await.unwrap();
        // What is opened and made ready beside the calls has a moment between them.
        for _ in 0..4 {
            next_turn().await;
        }
    }
    assert_eq!((session.lane(), lanes.borrow().len(), told.borrow().len()), ("first", 3, 1));
    let memory = pool.memory();
    assert!(memory.lanes[0].counts.weights > 0 && memory.lanes[1].counts.weights == 0, "{memory:?}");
}

pub async fn a_lane_that_is_opened_while_the_pool_closes_is_closed_too() {
    let (pool, lanes, _) = pool_of(&["first"], &["first"], 0).await;
    let session = loaded(&pool, again(source("wide", wide()))).await;
    lose(&lanes.borrow()[0]);
    let closing = async {
        while lanes.borrow().len() < 2 {
            next_turn().await;
        }
        pool.close();
    };
    let (answer, ()) = join(run(&pool, request(&session, "x", tensor([1, 8], 1))), closing).await;
    assert!(answer.is_err_and(|error| matches!(error.kind(), Kind::Closed | Kind::DeviceLost)));
    says(&run(&pool, request(&session, "x", tensor([1, 8], 1))).await.unwrap_err(), Kind::Closed, &["closed"]);
    assert_eq!(lanes.borrow().len(), 2, "nothing is opened for a pool that was closed");
}
