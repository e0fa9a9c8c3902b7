//! The pool on the system's Vulkan device: overlapping calls, shared weights, errors that harm nobody, learning.
#![cfg(all(not(target_arch = "wasm32"), feature = "gpu"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use consort::Kind;
use consort::graph::HostTensor;
use consort::kernels::Tuning;
use consort::lane::host::block_on;
use consort::onnx::ExternalData;
use consort::pool::{
    Feeds, Known, Measure, Outputs, Pool, PoolOptions, Recalled, Request, RunOptions, Session, Shelf, Source,
};
use consort::predict::Strategy;
use consort_models::{Data, Input, Model, find};
use futures_util::future::join_all;
use std::cell::RefCell;
use std::rc::Rc;

fn source(model: &Model, name: &str) -> Source {
    Source {
        name: name.to_owned(),
        bytes: model.onnx.into(),
        external: ExternalData::from([(model.data_file(), model.weights().unwrap())]),
        ..Source::default()
    }
}

fn feeds(inputs: Vec<Input>) -> Feeds {
    let tensor = |input: Input| match input.data {
        Data::F32(v) => (input.name, HostTensor::f32(input.dims, v).unwrap().into()),
        Data::I64(v) => (input.name, HostTensor::i64(input.dims, v).unwrap().into()),
        Data::I32(v) => (input.name, HostTensor::new(input.dims, consort::graph::Data::Int32(v)).unwrap().into()),
    };
    inputs.into_iter().map(tensor).collect()
}

fn host(outputs: &[Outputs]) -> Vec<Vec<HostTensor>> {
    outputs.iter().map(|o| o.iter().map(|(_, t)| t.host().unwrap().clone()).collect()).collect()
}

async fn pool() -> Pool {
    Pool::create(PoolOptions::default(), None).await.expect("a Vulkan device: apt-get install mesa-vulkan-drivers")
}

async fn load(pool: &Pool, model: &str, name: &str) -> Rc<Session> {
    pool.load(source(find(model).unwrap(), name), &|_, _, _| {}).await.unwrap()
}

#[test]
fn overlapping_calls_give_what_each_gives_alone() {
    block_on(async {
        let pool = pool().await;
        let names = ["squeezenet1_1", "mobilenet_v2"];
        let mut sessions = vec![];
        for name in names {
            sessions.push(load(&pool, name, name).await);
        }
        for round in 1..4 {
            let requests: Vec<Request> = sessions
                .iter()
                .zip(names)
                .map(|(s, n)| Request::new(s.id, feeds(find(n).unwrap().inputs_varied(round).unwrap())))
                .collect();
            let together = join_all(requests.iter().map(|r| pool.run(vec![r.clone()], RunOptions::default()))).await;
            for (request, together) in requests.into_iter().zip(together) {
                let alone = pool.run(vec![request], RunOptions::default()).await.unwrap();
                assert_eq!(host(&together.unwrap()), host(&alone), "round {round}");
            }
        }
    });
}

#[test]
fn sessions_of_one_file_hold_its_weights_once() {
    block_on(async {
        let pool = pool().await;
        let first = load(&pool, "squeezenet1_1", "first").await;
        let alone = pool.memory();
        load(&pool, "squeezenet1_1", "second").await;
        let both = pool.memory();
        assert!(alone.weights > 4_000_000);
        assert_eq!(both.weights, alone.weights);
        assert!(both.sessions.iter().all(|s| s.shared_weights == s.weights), "{both:?}");
        pool.release(first.id);
        assert_eq!(pool.memory().weights, alone.weights);
    });
}

#[test]
fn weights_as_f16_take_half_and_stay_near_the_golden() {
    block_on(async {
        for name in ["mobilenet_v2", "minilm_l6", "gpt2_small_kv"] {
            let pool = pool().await;
            let model = find(name).unwrap();
            load(&pool, name, "exact").await;
            let exact = pool.memory().weights;
            let halves = Source { halves: true, ..source(model, "halves") };
            let session = pool.load(halves, &|_, _, _| {}).await.unwrap();
            let added = pool.memory().weights - exact;
            assert!(added < exact * 11 / 20, "{name}: {added} bytes beside {exact}");
            let request = Request::new(session.id, feeds(model.inputs().unwrap()));
            let outputs = pool.run(vec![request], RunOptions::default()).await.unwrap();
            for golden in model.golden().unwrap() {
                let (_, output) = outputs[0].iter().find(|(n, _)| *n == golden.name).unwrap();
                let error = golden.relative_error(output.host().unwrap().as_f32().unwrap());
                assert!(error > 1e-7 && error < 5e-3, "{name}, {}: {error:.1e}", golden.name);
            }
        }
    });
}

/// What pools keep, for one adapter.
#[derive(Default)]
struct Kept(RefCell<Option<Known>>);

impl Shelf for Kept {
    fn recall(&self, _: &str) -> Recalled {
        Box::pin(std::future::ready(self.0.borrow().clone()))
    }

    fn keep(&self, _: &str, known: &Known) {
        *self.0.borrow_mut() = Some(known.clone());
    }
}

#[test]
fn products_of_f16_are_made_for_those_who_allow_them_only() {
    block_on(async {
        let kept = Rc::new(Kept::default());
        let shelf = || Some(Rc::clone(&kept) as Rc<dyn Shelf>);
        let now = || PoolOptions { measure: Measure::Now, ..PoolOptions::default() };
        Pool::create(now(), shelf()).await.unwrap();
        let mut known = kept.0.take().expect("a pool keeps what it measured");
        // As if they were the fastest here.
        known.tuning = Tuning { halved: true, ..Tuning::HARDWARE };
        kept.0.replace(Some(known));
        let pool = Pool::create(now(), shelf()).await.unwrap();
        let model = find("minilm_l6").unwrap();
        let exact = load(&pool, "minilm_l6", "exact").await;
        let free = Source { half_products: true, ..source(model, "free") };
        let free = pool.load(free, &|_, _, _| {}).await.unwrap();
        let mut errors = vec![];
        for session in [exact, free] {
            let request = Request::new(session.id, feeds(model.inputs().unwrap()));
            let outputs = pool.run(vec![request], RunOptions::default()).await.unwrap();
            let golden = &model.golden().unwrap()[0];
            let (_, output) = outputs[0].iter().find(|(n, _)| *n == golden.name).unwrap();
            errors.push(golden.relative_error(output.host().unwrap().as_f32().unwrap()));
        }
        println!("{errors:?}");
        assert!(errors[0] < 1e-4, "{errors:?}");
        let facts = pool.capabilities().devices.remove(0).facts.features;
        let f16 = facts.iter().any(|f| f == "shader-f16");
        assert!(
            if f16 { errors[1] > 3.0 * errors[0] && errors[1] < 1e-2 } else { errors[1] == errors[0] },
            "{errors:?}"
        );
    });
}

#[test]
fn a_failing_call_harms_no_other() {
    block_on(async {
        let pool = pool().await;
        let session = load(&pool, "squeezenet1_1", "net").await;
        let good = feeds(find("squeezenet1_1").unwrap().inputs().unwrap());
        let run = |feeds: Feeds| pool.run(vec![Request::new(session.id, feeds)], RunOptions::default());
        let before = host(&run(good.clone()).await.unwrap());
        let input = |name: &str, tensor: HostTensor| Feeds::from([(name.to_owned(), tensor.into())]);
        let cases = [
            (Feeds::new(), "input 'input' is missing"),
            (input("x", HostTensor::f32([1], vec![0.0]).unwrap()), "there is no input 'x'"),
            (input("input", HostTensor::i64([1], vec![0]).unwrap()), "takes float32, not int64"),
            (input("input", HostTensor::f32([1, 3, 2, 2], vec![0.0; 12]).unwrap()), "axis 2 is 224"),
        ];
        for (feeds, expected) in cases {
            let (bad, fine) = futures_util::future::join(run(feeds), run(good.clone())).await;
            let error = bad.unwrap_err();
            assert_eq!((error.kind(), error.model()), (Kind::InvalidInput, Some("net")), "{error}");
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(host(&fine.unwrap()), before);
        }
    });
}

#[test]
fn a_batch_of_nothing_gives_nothing() {
    block_on(async {
        let pool = pool().await;
        for name in ["squeezenet1_1", "mobilenet_v2"] {
            let session = load(&pool, name, name).await;
            let empty = |input: Input| {
                let dims: Vec<usize> = std::iter::once(0).chain(input.dims.into_iter().skip(1)).collect();
                match input.data {
                    Data::F32(_) => (input.name, HostTensor::f32(dims, vec![]).unwrap().into()),
                    _ => (input.name, HostTensor::i64(dims, vec![]).unwrap().into()),
                }
            };
            let feeds: Feeds = find(name).unwrap().inputs().unwrap().into_iter().map(empty).collect();
            let outputs = pool.run(vec![Request::new(session.id, feeds)], RunOptions::default()).await.unwrap();
            for tensor in &host(&outputs)[0] {
                assert_eq!((tensor.shape()[0], tensor.shape().len() > 1), (0, true), "{name}");
            }
        }
    });
}

#[test]
fn a_closed_pool_says_so() {
    block_on(async {
        let pool = pool().await;
        let session = load(&pool, "squeezenet1_1", "net").await;
        pool.release(session.id);
        let request = Request::new(session.id, Feeds::new());
        let error = pool.run(vec![request.clone()], RunOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Closed);
        pool.close();
        let error = pool.run(vec![request], RunOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Closed);
    });
}

#[test]
fn a_comparison_measures_what_was_predicted() {
    block_on(async {
        let pool = pool().await;
        let mut requests = vec![];
        for name in ["squeezenet1_1", "mobilenet_v2"] {
            let session = load(&pool, name, name).await;
            let inputs = feeds(find(name).unwrap().inputs().unwrap());
            // Before the predictor knows what kernels reach, it learns from no run.
            let shapes = inputs.iter().map(|(name, t)| (name.clone(), t.shape().to_vec())).collect();
            pool.predict(vec![(session.id, shapes)], None).await.unwrap();
            requests.push(Request::new(session.id, inputs));
        }
        for request in &requests {
            for _ in 0..4 {
                pool.run(vec![request.clone()], RunOptions::default()).await.unwrap();
            }
        }
        let report = pool.compare(requests, 3, None, &|_| ()).await.unwrap();
        let strategies: Vec<Strategy> = report.strategies.iter().map(|s| s.prediction.strategy).collect();
        assert_eq!(strategies[..2], Strategy::OF_LANE);
        for s in &report.strategies {
            let p = &s.prediction;
            println!(
                "{:?}: {:.0} ms in {:.0?}, measured {:.0}",
                p.strategy, p.predicted_ms, p.interval_ms, s.measured_ms
            );
            let off = (p.predicted_bytes as f64 / s.measured_bytes as f64 - 1.0).abs();
            assert!(off < 0.01, "{} bytes predicted, {} allocated", p.predicted_bytes, s.measured_bytes);
            assert!(s.measured_ms > 0.0 && p.interval_ms[0] < p.predicted_ms && p.predicted_ms < p.interval_ms[1]);
        }
        let (_, accuracy) = pool.accuracy().remove(0);
        println!(
            "{} of {}: {:?} → {:?}",
            accuracy.held_out, accuracy.observations, accuracy.error_before, accuracy.error_after
        );
        assert!(accuracy.observations >= 12 && accuracy.held_out >= 3, "{accuracy:?}");
    });
}
