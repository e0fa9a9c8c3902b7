//! What a pool does with several lanes of one name: sessions shared out over them, calls beside a busy one, sets split. With lanes of
//! tests. Knows the pool's API; must never know a device.

use super::common::{dense, embedding, expected, off, tensor};
use super::lane::Reference;
use super::pool::{host, load, options, request, run};
use consort::graph::HostTensor;
use consort::lane::Lane;
use consort::lane::host::next_turn;
use consort::pool::{Comparison, Opener, Pool, PoolOptions, Request, RunOptions, Session};
use consort::predict::{Goal, Strategy};
use futures_util::future::{join, join_all, join3};
use std::cell::RefCell;
use std::rc::Rc;

type Opened = Rc<RefCell<Vec<Rc<Reference>>>>;

/// A pool of one lane that may open as many as `several`, each of which takes `turns` for an execution.
async fn pool_of(several: usize, turns: usize, goal: Goal) -> (Pool, Opened) {
    let opened = Opened::default();
    let note = Rc::clone(&opened);
    let open: Opener = Rc::new(move |_| {
        let lane = Reference::new("lane");
        lane.faults.turns.set(turns);
        note.borrow_mut().push(Rc::clone(&lane));
        Box::pin(async move { Ok(lane as Rc<dyn Lane>) })
    });
    let first = open("lane").await.unwrap();
    let options = PoolOptions { several, goal, ..options() };
    (Pool::on(vec![first], Some(open), options, None).await.unwrap(), opened)
}

fn right(outputs: &consort::pool::Outputs, model: &[u8], x: &HostTensor) -> bool {
    off(&host(outputs)[0], &expected(model, std::slice::from_ref(x))[0]) < 1e-6
}

/// Requests that each lane executed, so far.
fn executed(opened: &Opened) -> Vec<usize> {
    opened.borrow().iter().map(|lane| lane.executed.borrow().iter().sum()).collect()
}

fn ask(session: &Session, seed: usize) -> (Request, HostTensor) {
    let x = tensor([2, 8], seed);
    (request(session, "x", x.clone()), x)
}

pub async fn sessions_are_shared_out_over_as_many_lanes_as_there_may_be() {
    let (pool, opened) = pool_of(2, 0, Goal::Latency).await;
    let models = [dense(1), dense(2), dense(3)];
    let mut sessions = vec![];
    for model in &models {
        sessions.push(load(&pool, "net", model.clone()).await);
    }
    assert_eq!(opened.borrow().len(), 2, "two and no third");
    let again = load(&pool, "net", models[1].clone()).await;
    let shared = pool.memory().sessions.iter().filter(|s| s.shared_weights > 0).count();
    assert_eq!(shared, 2, "equal weights are held once: {:?}", pool.memory());
    for (session, model) in sessions.iter().chain([&again]).zip(models.iter().chain([&models[1]])) {
        let (request, x) = ask(session, 5);
        assert!(right(&run(&pool, request).await.unwrap(), model, &x));
    }
    assert_eq!(executed(&opened).iter().sum::<usize>(), 4);
    assert!(executed(&opened).iter().all(|&n| n > 0), "{:?}", executed(&opened));
    // They are one lane to whoever asks.
    assert_eq!((pool.capabilities().lanes, pool.profiles().len()), (vec!["lane"], 1));
    let memory = pool.memory();
    let held = opened.borrow().iter().map(|lane| lane.counts().total()).sum::<u64>();
    assert_eq!((memory.lanes.len(), memory.lanes[0].total), (1, held));
    let (small, opened) = pool_of(2, 0, Goal::Memory).await;
    for model in models {
        load(&small, "net", model).await;
    }
    assert_eq!(opened.borrow().len(), 1, "who wants memory has one");
}

pub async fn calls_of_sessions_on_like_lanes_run_at_once() {
    let (pool, opened) = pool_of(2, 5, Goal::Latency).await;
    let (a, b) = (load(&pool, "a", dense(1)).await, load(&pool, "b", dense(2)).await);
    let (of_a, of_b) = (run(&pool, ask(&a, 1).0), run(&pool, ask(&b, 2).0));
    let both = async {
        // Both are at work before either is done.
        while executed(&opened) != [1, 1] {
            next_turn().await;
        }
    };
    let (first, second, ()) = join3(of_a, of_b, both).await;
    assert!(first.is_ok() && second.is_ok());
}

pub async fn a_call_whose_lane_is_busy_runs_beside_it_where_its_session_is_ready() {
    let (pool, opened) = pool_of(2, 3, Goal::Latency).await;
    let model = embedding(1);
    let session = load(&pool, "rows", model.clone()).await;
    let many = vec![7i64; 3 << 20];
    let ids = HostTensor::i64([3 << 20], many).unwrap();
    for round in 0..4 {
        let calls = (0..2).map(|_| run(&pool, request(&session, "ids", ids.clone())));
        let late = async {
            for _ in 0..3 {
                next_turn().await;
            }
            run(&pool, request(&session, "ids", ids.clone())).await
        };
        let (first, second) = join(join_all(calls), late).await;
        for answer in first.into_iter().chain([second]) {
            assert_eq!(host(&answer.unwrap())[0].shape()[0], 3 << 20, "round {round}");
        }
    }
    let done = executed(&opened);
    assert_eq!((done.len(), done.iter().sum::<usize>()), (2, 12), "{done:?}");
    assert!(done[1] > 1, "{done:?}");
}

pub async fn a_set_is_split_where_that_is_asked_for_or_worth_it() {
    let (pool, opened) = pool_of(2, 1, Goal::Latency).await;
    let model = dense(1);
    let session = load(&pool, "net", model.clone()).await;
    let set = || (0..4).map(|seed| ask(&session, seed)).unzip::<_, _, Vec<_>, Vec<_>>();
    let (requests, inputs) = set();
    let split = RunOptions::by(Strategy::Split);
    let outputs = pool.run(requests, split).await.unwrap();
    assert!(outputs.iter().zip(&inputs).all(|(outputs, x)| right(outputs, &model, x)));
    assert_eq!(executed(&opened), [2, 2]);
    // All is ready there now, and half the time is worth it.
    let (requests, inputs) = set();
    let outputs = pool.run(requests, RunOptions::default()).await.unwrap();
    assert!(outputs.iter().zip(&inputs).all(|(outputs, x)| right(outputs, &model, x)));
    assert_eq!(executed(&opened), [4, 4]);
    // Who asks for one lane has one.
    let one = RunOptions::by(Strategy::Sequential);
    pool.run(set().0, one).await.unwrap();
    assert_eq!(executed(&opened), [8, 4]);
}

pub async fn a_split_is_predicted_and_compared_with_the_rest() {
    let (pool, opened) = pool_of(2, 1, Goal::Latency).await;
    let (a, b) = (load(&pool, "a", dense(1)).await, load(&pool, "b", dense(2)).await);
    let shapes = |s: &Session| (s.id, [("x".to_owned(), vec![2, 8])].into());
    let prediction = pool.predict(vec![shapes(&a), shapes(&b)], None).await.unwrap();
    let all: Vec<Strategy> = prediction.strategies.iter().map(|s| s.strategy).collect();
    assert_eq!(all, [Strategy::Sequential, Strategy::Parallel, Strategy::Split]);
    let (sequential, split) = (&prediction.strategies[0], &prediction.strategies[2]);
    assert!(split.predicted_ms < sequential.predicted_ms && prediction.recommended == Strategy::Split);
    assert!(split.interval_ms[0] < split.predicted_ms && split.predicted_ms < split.interval_ms[1]);
    let places = |spans: &[consort::predict::Span]| {
        let mut places: Vec<_> = spans.iter().map(|span| span.place.clone()).collect();
        places.dedup();
        places
    };
    assert_eq!(places(&split.timeline), ["lane", "lane 2"]);
    let before = executed(&opened);
    let rounds = RefCell::new(vec![]);
    let told = |so_far: &Comparison| rounds.borrow_mut().push((so_far.repeats, so_far.strategies[2].measured_ms));
    let report = pool.compare(vec![ask(&a, 1).0, ask(&b, 2).0], 3, None, &told).await.unwrap();
    assert_eq!(report.strategies.iter().map(|s| s.prediction.strategy).collect::<Vec<_>>(), all);
    let measured = &report.strategies[2];
    assert_eq!(places(&measured.measured_timeline), ["lane", "lane 2"]);
    assert!(measured.measured_ms > 0.0 && report.repeats == 3);
    assert!(rounds.borrow().iter().map(|&(round, _)| round).eq([1, 2, 3]), "{rounds:?}");
    assert_eq!(rounds.borrow()[2].1, measured.measured_ms, "the last round says what the comparison does");
    // Twice four runs on one lane, and four of one request on each.
    let after: Vec<usize> = executed(&opened).iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(after, [2 * 4 * 2 + 4, 4]);
}

pub async fn a_lane_that_is_lost_leaves_its_calls_to_one_like_it() {
    let (pool, opened) = pool_of(2, 2, Goal::Latency).await;
    let models = [dense(1), dense(2)];
    let sessions = [load(&pool, "a", models[0].clone()).await, load(&pool, "b", models[1].clone()).await];
    let lose = async {
        while executed(&opened)[1] == 0 {
            next_turn().await;
        }
        *opened.borrow()[1].faults.lost.borrow_mut() = Some("as the test asked".to_owned());
    };
    let asked: Vec<_> = (0..20).map(|i| (i % 2, ask(&sessions[i % 2], i))).collect();
    let calls = asked.iter().map(|(_, (request, _))| run(&pool, request.clone()));
    let (answers, ()) = join(join_all(calls), lose).await;
    for (answer, (of, (_, x))) in answers.iter().zip(&asked) {
        assert!(right(answer.as_ref().unwrap(), &models[*of], x));
    }
    assert_eq!(opened.borrow().len(), 2, "the other was there");
    load(&pool, "c", dense(3)).await;
    assert_eq!(opened.borrow().len(), 3, "a further one takes its place");
    assert_eq!(pool.memory().lanes.len(), 1);
}
