//! A processor's server: executions side by side, in slices, and stopped on their way.
#![cfg(not(target_arch = "wasm32"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/models.rs"]
mod models;

use consort::graph::specialise;
use consort::kernels::Registry;
use consort::onnx::content_hash;
use consort::processor::wire::{Answer, Fed, Order, Request, Run, read as message, written};
use consort::processor::{Alone, Reply, Scoped, Server, Team};
use consort_models::MODELS;
use models::graph;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::sync::Arc;

/// A clock of which each look takes a millisecond.
fn looks() -> f64 {
    thread_local! {
        static LOOKS: std::cell::Cell<f64> = const { std::cell::Cell::new(0.0) };
    }
    LOOKS.with(|looks| looks.replace(looks.get() + 1.0))
}

/// A server with a model as its program 0, a run of that, and what it is fed.
fn serving(name: &str) -> (Server, Run, Vec<consort::graph::Data>) {
    let model = MODELS.into_iter().find(|model| model.name == name).unwrap();
    let (graph, inputs) = graph(&model);
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|t| t.shape().to_vec()).collect();
    let special = specialise(&graph, &Registry, content_hash, &shapes).unwrap();
    let (order, large) = Order::of(&graph, &special);
    let mut server = Server::new(looks, vec![]);
    let mut ask = |request: Request, parts| {
        let reply = server.answer(&Alone, &written(&request).unwrap(), parts);
        let answer: Answer = message(&reply.head).unwrap();
        assert!(!matches!(answer, Answer::Failed(_)), "{answer:?}");
    };
    for (hash, value) in large {
        let value = value.unwrap();
        ask(Request::Weight { program: 0, hash, shape: value.shape().to_vec() }, vec![value.data().clone()]);
    }
    ask(Request::Prepare { program: 0, holder: 0, order }, vec![]);
    let fed = inputs.iter().map(|t| Fed::Part(t.shape().to_vec())).collect();
    let run = Run { program: 0, inputs: fed, kept: vec![None; graph.outputs.len()] };
    (server, run, inputs.iter().map(|t| t.data().clone()).collect())
}

/// The same, with what executes it twice.
fn twice(name: &str) -> (Server, Vec<u8>, Vec<consort::graph::Data>) {
    let (server, run, parts) = serving(name);
    let head = written(&Request::Execute { number: 1, runs: vec![run.clone(), run], threads: 1, side_by_side: false })
        .unwrap();
    (server, head, [parts.clone(), parts].concat())
}

#[test]
fn runs_side_by_side_give_what_they_give_one_after_another() {
    let (mut server, run, parts) = serving("squeezenet1_1");
    let mut execute = |count: usize, threads: usize, side_by_side: bool| {
        let head =
            written(&Request::Execute { number: 1, runs: vec![run.clone(); count], threads, side_by_side }).unwrap();
        let parts = (0..count).flat_map(|i| {
            let other = |data: &consort::graph::Data| match data {
                consort::graph::Data::Float32(v) => {
                    consort::graph::Data::Float32(v.iter().map(|x| x + i as f32).collect())
                }
                other => other.clone(),
            };
            parts.iter().map(other).collect::<Vec<_>>()
        });
        let reply = server.answer(&Scoped(3), &head, parts.collect());
        let Answer::Executed(spans, _) = message(&reply.head).unwrap() else { panic!("not executed") };
        assert!(spans.len() == count && spans.iter().all(|(begin, end)| begin < end), "{spans:?}");
        reply.parts
    };
    let apart = execute(4, 3, false);
    assert!(apart[0] != apart[1], "other inputs give other outputs");
    for threads in [3, 1] {
        assert_eq!(execute(4, threads, true), apart, "{threads} threads");
    }
    assert_eq!(execute(2, 3, true), apart[..2], "fewer than there are threads");
    // What fails on a thread fails the call.
    let head =
        written(&Request::Execute { number: 2, runs: vec![run.clone(); 3], threads: 3, side_by_side: true }).unwrap();
    let wrong = vec![consort::graph::Data::Float32(vec![]); parts.len() * 3];
    let Answer::Failed(_) = message(&server.answer(&Scoped(3), &head, wrong).head).unwrap() else { panic!("executed") };
}

#[test]
fn what_one_thread_takes_is_told_once_a_program_ran_by_one_and_by_several() {
    let (mut server, run, parts) = serving("squeezenet1_1");
    let mut alone = |team: &dyn Team, count: usize, threads: usize, side_by_side: bool| {
        let request = Request::Execute { number: 1, runs: vec![run.clone(); count], threads, side_by_side };
        let parts = vec![parts.clone(); count].concat();
        let reply = server.answer(team, &written(&request).unwrap(), parts);
        let answer = message(&reply.head).unwrap();
        let Answer::Executed(_, alone) = answer else { panic!("{answer:?}") };
        alone
    };
    assert_eq!(alone(&Scoped(3), 1, 3, false), [None]);
    assert_eq!(alone(&Scoped(3), 2, 3, true), [], "each by a thread of its own");
    assert!(alone(&Scoped(3), 2, 1, false).iter().all(|known| known.is_some_and(|times| times >= 1.0)));
    assert_eq!(alone(&Alone, 1, 1, false), [Some(1.0)], "there is no other way");
}

#[test]
fn an_execution_that_pauses_gives_what_a_whole_one_gives() {
    let (mut server, head, parts) = twice("squeezenet1_1");
    let whole = server.answer(&Alone, &head, parts.clone());
    let mut all = vec![];
    for slice_ms in [0.0, 7.0] {
        let mut reply: Option<Reply> = server.begin(&Alone, &head, parts.clone(), slice_ms);
        let mut pauses = 0;
        let sliced = loop {
            match reply {
                Some(reply) => break reply,
                None => (reply, pauses) = (server.more(&Alone, slice_ms), pauses + 1),
            }
        };
        all.push(pauses);
        assert_eq!(sliced.parts, whole.parts, "slices of {slice_ms} ms");
        let Answer::Executed(spans, _) = message(&sliced.head).unwrap() else { panic!("not executed") };
        assert!(spans.len() == 2 && spans[0].0 < spans[0].1 && spans[0].1 <= spans[1].0, "{spans:?}");
    }
    // Parts of steps; a slice of seven milliseconds is about seven looks at the clock, and its parts may be larger.
    assert!(all[0] > 500 && (all[0] / 60..all[0] / 4).contains(&all[1]), "{all:?} pauses");
}

#[test]
fn an_execution_that_paused_can_be_stopped_and_takes_no_other_question_before() {
    let (mut server, head, parts) = twice("squeezenet1_1");
    let whole = server.answer(&Alone, &head, parts.clone());
    let kind = |reply: &Reply| match message(&reply.head).unwrap() {
        Answer::Failed(error) => error.kind().as_str().to_owned(),
        other => format!("{other:?}"),
    };
    assert!(server.begin(&Alone, &head, parts.clone(), 0.0).is_none());
    assert_eq!(kind(&server.begin(&Alone, &head, parts.clone(), 0.0).unwrap()), "internal", "another question");
    server.stop(7);
    assert!(server.more(&Alone, 0.0).is_none(), "it goes on where another is to end");
    server.stop(1);
    assert_eq!(kind(&server.more(&Alone, 0.0).unwrap()), "aborted");
    assert_eq!(kind(&server.more(&Alone, 0.0).unwrap()), "internal", "nothing goes on");
    server.stop(0);
    assert_eq!(server.answer(&Alone, &head, parts).parts, whole.parts, "after that");
}

/// A server that is asked for whole executions, of which `stopped` are stopped on their way by another thread: all others give what
/// they always do.
fn stopped_by_another_thread(side_by_side: bool) {
    let (mut server, run, parts) = serving("resnet18");
    let team = Scoped(2);
    let mut execute = |number: u32, stopped: bool| {
        let runs = vec![run.clone(); 4];
        let head = written(&Request::Execute { number, runs, threads: 2, side_by_side }).unwrap();
        let (word, began) = (Arc::clone(server.stop_word()), Arc::new(std::sync::Barrier::new(2)));
        let meanwhile = stopped.then(|| {
            let began = Arc::clone(&began);
            std::thread::spawn(move || {
                began.wait();
                std::thread::sleep(std::time::Duration::from_millis(2));
                word.store(number, std::sync::atomic::Ordering::Relaxed);
            })
        });
        if stopped {
            began.wait();
        }
        let reply = server.answer(&team, &head, (0..4).flat_map(|_| parts.clone()).collect());
        meanwhile.into_iter().for_each(|thread| thread.join().unwrap());
        reply
    };
    let whole = execute(1, false);
    for number in 2..8 {
        let stopped = number % 2 == 0;
        let reply = execute(number, stopped);
        match message(&reply.head).unwrap() {
            Answer::Failed(error) if stopped => assert_eq!(error.kind().as_str(), "aborted"),
            Answer::Executed(..) if !stopped => assert_eq!(reply.parts, whole.parts, "run {number}"),
            other => panic!("run {number}, stopped: {stopped}: {other:?}"),
        }
    }
}

#[test]
fn an_execution_that_does_not_pause_is_stopped_by_the_word_that_it_reads() {
    stopped_by_another_thread(false);
}

#[test]
fn runs_side_by_side_are_stopped_on_all_threads() {
    stopped_by_another_thread(true);
}

/// What a processor has done when it ends, or not, at a moment that a test chose.
#[derive(Clone, Copy, Debug)]
struct Chance {
    /// After so many slices it is stopped, if that many there are.
    stopped_after: Option<usize>,
    /// Whether the number that is stopped is that of an earlier one.
    late: bool,
    slice_ms: f64,
}

#[test]
fn whatever_is_stopped_all_other_executions_are_answered_once_and_right() {
    let (mut server, run, parts) = serving("squeezenet1_1");
    let execute = |number| {
        written(&Request::Execute { number, runs: vec![run.clone()], threads: 1, side_by_side: false }).unwrap()
    };
    let whole = server.answer(&Alone, &execute(1), parts.clone()).parts;
    let chance = (
        prop::option::weighted(0.8, 0usize..20),
        prop::bool::weighted(0.2),
        prop_oneof![Just(0.0), Just(3.0), Just(f64::INFINITY)],
    );
    let chance = chance.prop_map(|(stopped_after, late, slice_ms)| Chance { stopped_after, late, slice_ms });
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut ended, mut number) = ([0, 0], 1);
    for _ in 0..100 {
        let chance = chance.new_tree(&mut runner).unwrap().current();
        number += 1;
        let (mut reply, mut slices) = (server.begin(&Alone, &execute(number), parts.clone(), chance.slice_ms), 0);
        let mut stopped = false;
        let reply = loop {
            if let Some(reply) = reply {
                break reply;
            }
            if chance.stopped_after == Some(slices) {
                server.stop(number - u32::from(chance.late));
                stopped = !chance.late;
            }
            (reply, slices) = (server.more(&Alone, chance.slice_ms), slices + 1);
            assert!(!stopped || reply.is_some(), "{chance:?}: it goes on");
        };
        match message(&reply.head).unwrap() {
            Answer::Failed(error) => assert!(stopped && error.kind().as_str() == "aborted", "{chance:?}: {error}"),
            Answer::Executed(..) => assert!(!stopped && reply.parts == whole, "{chance:?}"),
            other => panic!("{chance:?}: {other:?}"),
        }
        ended[usize::from(stopped)] += 1;
    }
    assert!(ended.iter().all(|&count| count > 10), "{ended:?} went on, were stopped");
}
