//! Calls of several sessions that come together: one call in which what they have in common is computed once. With lanes of tests.
//! Knows the pool's API; must never know a device.

use super::common::{dense, embedding, expected, headed, off, tensor};
use super::lane::Reference;
use super::pool::{host, load, options, request, run};
use consort::graph::HostTensor;
use consort::lane::Lane;
use consort::pool::{Pool, PoolOptions, Request, RunOptions, Session};
use consort::predict::{Goal, Strategy};
use futures_util::future::join_all;
use std::rc::Rc;

/// Rounds in which a joint is made, tried and known.
const ROUNDS: usize = 16;
const HEADS: usize = 4;

struct Heads {
    lane: Rc<Reference>,
    pool: Pool,
    sessions: Vec<Rc<Session>>,
}

async fn heads_for(goal: Goal) -> Heads {
    let lane = Reference::new("lane");
    let pool = Pool::on(vec![Rc::clone(&lane) as Rc<dyn Lane>], None, PoolOptions { goal, ..options() }, None).await;
    let pool = pool.unwrap();
    let mut sessions = vec![];
    for head in 0..HEADS {
        sessions.push(load(&pool, &format!("head {head}"), headed(head)).await);
    }
    Heads { lane, pool, sessions }
}

impl Heads {
    fn requests(&self, inputs: &[HostTensor]) -> Vec<Request> {
        self.sessions.iter().zip(inputs).map(|(session, x)| request(session, "x", x.clone())).collect()
    }

    fn right(&self, head: usize, x: &HostTensor, outputs: &[HostTensor]) {
        let wanted = expected(&headed(head), std::slice::from_ref(x));
        assert_eq!(outputs.len(), 1);
        assert!(off(&outputs[0], &wanted[0]) < 1e-6, "head {head}");
    }

    /// Calls of all heads, each by its own caller, all right; how many works the lane was given for them.
    async fn round(&self, inputs: &[HostTensor]) -> usize {
        self.lane.executed.borrow_mut().clear();
        let calls = self.requests(inputs).into_iter().map(|request| run(&self.pool, request));
        for (head, outputs) in join_all(calls).await.into_iter().enumerate() {
            self.right(head, &inputs[head], &host(&outputs.unwrap()));
        }
        self.lane.executed.borrow().iter().sum()
    }

    /// All heads in one call with a strategy, all right; how many works the lane was given for them.
    async fn by(&self, inputs: &[HostTensor], strategy: Strategy) -> usize {
        self.lane.executed.borrow_mut().clear();
        let outputs = self.pool.run(self.requests(inputs), RunOptions::by(strategy)).await.unwrap();
        outputs.iter().enumerate().for_each(|(head, own)| self.right(head, &inputs[head], &host(own)));
        self.lane.executed.borrow().iter().sum()
    }
}

pub async fn heads_that_are_fed_the_same_become_one_call() {
    let heads = heads_for(Goal::Latency).await;
    let mut works = vec![];
    for seed in 0..ROUNDS {
        works.push(heads.round(&vec![tensor([2, 8], seed); HEADS]).await);
    }
    assert_eq!((works[0], works[ROUNDS - 1]), (HEADS, 1), "{works:?}");
    // Other inputs for each, and other shapes, are other sets; all of them are right.
    let apart: Vec<HostTensor> = (0..HEADS).map(|i| tensor([2, 8], i)).collect();
    heads.round(&apart).await;
    heads.round(&vec![tensor([3, 8], 1); HEADS]).await;
    // In another order they are the same set.
    let x = tensor([2, 8], 5);
    heads.lane.executed.borrow_mut().clear();
    let reversed = heads.requests(&vec![x.clone(); HEADS]).into_iter().rev().collect();
    let outputs = heads.pool.run(reversed, RunOptions::default()).await.unwrap();
    outputs.iter().rev().enumerate().for_each(|(head, own)| heads.right(head, &x, &host(own)));
    assert_eq!(*heads.lane.executed.borrow(), [1]);
}

pub async fn a_joint_is_made_at_once_where_it_is_asked_for() {
    let heads = heads_for(Goal::Latency).await;
    let same = vec![tensor([2, 8], 3); HEADS];
    assert_eq!(heads.by(&same, Strategy::Sequential).await, HEADS);
    assert_eq!(heads.by(&same, Strategy::Batched).await, 1);
    let two_and_two: Vec<HostTensor> = (0..HEADS).map(|i| tensor([2, 8], i / 2)).collect();
    assert_eq!(heads.by(&two_and_two, Strategy::Batched).await, 1);
    // Rows of one session, too.
    let requests = (0..8).map(|i| request(&heads.sessions[0], "x", tensor([2, 8], i))).collect();
    heads.lane.executed.borrow_mut().clear();
    let outputs = heads.pool.run(requests, RunOptions::by(Strategy::Batched)).await.unwrap();
    outputs.iter().enumerate().for_each(|(i, own)| heads.right(0, &tensor([2, 8], i), &host(own)));
    assert_eq!(*heads.lane.executed.borrow(), [1]);
}

pub async fn what_sessions_have_in_common_is_predicted_and_compared() {
    let heads = heads_for(Goal::Latency).await;
    let same = vec![tensor([2, 8], 3); HEADS];
    let shapes = [("x".to_owned(), vec![2, 8])].into();
    let asked = heads.sessions.iter().map(|session| (session.id, std::clone::Clone::clone(&shapes))).collect();
    let prediction = heads.pool.predict(asked, None).await.unwrap();
    let of = |strategy| prediction.strategies.iter().find(|s| s.strategy == strategy).unwrap();
    let (apart, batched) = (of(Strategy::Sequential), of(Strategy::Batched));
    assert!(batched.predicted_ms < apart.predicted_ms, "{batched:?} {apart:?}");
    assert_eq!(prediction.recommended, Strategy::Batched, "{}", prediction.reason);
    assert!(prediction.reason.contains("batched is predicted to take"), "{}", prediction.reason);
    assert!((batched.predicted_throughput - 4e3 / batched.predicted_ms).abs() < 1e-6);
    let comparison = heads.pool.compare(heads.requests(&same), 3, None, &|_| ()).await.unwrap();
    let batched = comparison.strategies.iter().find(|s| s.prediction.strategy == Strategy::Batched).unwrap();
    assert!(batched.measured_ms > 0.0);
    let models: Vec<&str> = batched.measured_timeline.iter().map(|span| span.model.as_str()).collect();
    assert!(models.contains(&"head 0 + head 1 + head 2 + head 3"), "{models:?}");
}

pub async fn a_joint_goes_with_the_first_of_its_sessions() {
    let heads = heads_for(Goal::Latency).await;
    heads.by(&vec![tensor([2, 8], 3); HEADS], Strategy::Batched).await;
    let held = heads.pool.memory().lanes[0].counts.weights;
    heads.pool.release(heads.sessions[3].id);
    // Its own head of 16 by 4; the rest is the others'.
    assert_eq!(held - heads.pool.memory().lanes[0].counts.weights, 16 * 4 * 4);
    for session in &heads.sessions[..3] {
        heads.pool.release(session.id);
    }
    assert_eq!(heads.pool.memory().lanes[0].counts.weights, 0);
}

pub async fn a_joint_that_fails_fails_no_call() {
    let heads = heads_for(Goal::Latency).await;
    let same = vec![tensor([2, 8], 3); HEADS];
    assert_eq!(heads.by(&same, Strategy::Batched).await, 1);
    heads.lane.faults.executions.set(1);
    assert_eq!(heads.by(&same, Strategy::Batched).await, 1 + HEADS, "each by itself");
    // One that cannot be made leaves each alone.
    let other = heads_for(Goal::Latency).await;
    other.by(&same, Strategy::Sequential).await;
    other.lane.faults.preparations.set(1);
    assert_eq!(other.by(&same, Strategy::Batched).await, HEADS);
}

pub async fn models_of_any_kind_may_be_one_call_and_none_is_where_memory_counts() {
    let heads = heads_for(Goal::Memory).await;
    for _ in 0..ROUNDS {
        assert_eq!(heads.round(&vec![tensor([2, 8], 3); HEADS]).await, HEADS);
    }
    let pool = heads_for(Goal::Latency).await.pool;
    let (net, table) = (load(&pool, "net", dense(1)).await, load(&pool, "table", embedding(2)).await);
    let ids = HostTensor::i64([3], vec![1, 5, 2]).unwrap();
    let requests = vec![request(&net, "x", tensor([2, 8], 1)), request(&table, "ids", ids.clone())];
    let outputs = pool.run(requests, RunOptions::by(Strategy::Batched)).await.unwrap();
    assert!(off(&host(&outputs[0])[0], &expected(&dense(1), &[tensor([2, 8], 1)])[0]) < 1e-6);
    assert!(off(&host(&outputs[1])[0], &expected(&embedding(2), &[ids])[0]) == 0.0);
}
