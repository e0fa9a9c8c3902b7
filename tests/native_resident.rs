//! Tensors that stay on the device: a key/value cache fed back moves no bytes and changes no result.
#![cfg(all(not(target_arch = "wasm32"), feature = "gpu"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use consort::Kind;
use consort::graph::{DType, HostTensor};
use consort::lane::host::block_on;
use consort::onnx::ExternalData;
use consort::pool::{Feed, Feeds, Keep, Outputs, Pool, PoolOptions, Request, RunOptions, Session, Source};
use consort_models::find;
use std::rc::Rc;

async fn load(name: &str) -> (Pool, Rc<Session>) {
    let pool =
        Pool::create(PoolOptions::default(), None).await.expect("a Vulkan device: apt-get install mesa-vulkan-drivers");
    let model = find(name).unwrap();
    let source = Source {
        name: name.to_owned(),
        bytes: model.onnx.into(),
        external: ExternalData::from([(model.data_file(), model.weights().unwrap())]),
        ..Source::default()
    };
    let session = pool.load(source, &|_, _, _| {}).await.unwrap();
    (pool, session)
}

async fn run(pool: &Pool, session: &Session, feeds: Feeds, keep: Keep) -> Outputs {
    let request = Request { session: session.id, feeds, keep };
    pool.run(vec![request], RunOptions::default()).await.unwrap().remove(0)
}

/// The feeds of one step: `ids`, and the cache that the last step left, or an empty one.
fn step(session: &Session, ids: &[i64], cache: Option<&Outputs>) -> Feeds {
    let input = |info: consort::pool::ValueInfo| {
        if info.dtype == DType::Int64 {
            return (info.name, HostTensor::i64([1, ids.len()], ids.to_vec()).unwrap().into());
        }
        let from = info.name.replace("past_key_values", "present");
        let held = cache.map(|outputs| {
            let (_, tensor) = outputs.iter().find(|(name, _)| *name == from).unwrap();
            Feed::Resident(Rc::clone(tensor.resident().unwrap()))
        });
        (info.name, held.unwrap_or_else(|| HostTensor::f32([1, 6, 0, 64], vec![]).unwrap().into()))
    };
    session.input_info().into_iter().map(input).collect()
}

/// The likeliest token after the last of `outputs`' logits.
fn next_token(outputs: &Outputs) -> i64 {
    let logits = outputs.iter().find(|(name, _)| name == "logits").unwrap().1.host().unwrap();
    let last = &logits.as_f32().unwrap()[logits.shape()[2] * (logits.shape()[1] - 1)..];
    (0..last.len()).max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap() as i64
}

fn cache_names(session: &Session) -> Keep {
    let names = session.output_info().into_iter().map(|o| o.name);
    Keep::Only(names.filter(|name| name != "logits").collect())
}

#[test]
fn a_cache_on_the_device_makes_the_same_tokens_and_moves_nothing() {
    block_on(async {
        let (pool, session) = load("gpt2_small_kv").await;
        let keep = cache_names(&session);
        let before = pool.memory().tensors;
        let mut plain = vec![17i64, 4021, 99];
        let mut ids = plain.clone();
        let mut cache: Option<Outputs> = None;
        for _ in 0..5 {
            let whole = run(&pool, &session, step(&session, &plain, None), Keep::Nothing).await;
            let from = cache.as_ref().map_or(0, |_| ids.len() - 1);
            let counts = pool.traffic();
            let outputs = run(&pool, &session, step(&session, &ids[from..], cache.as_ref()), keep.clone()).await;
            let moved = pool.traffic();
            assert_eq!(moved.uploaded_bytes - counts.uploaded_bytes, (ids.len() - from) as u64 * 4, "only the tokens");
            assert_eq!(moved.read_back_bytes - counts.read_back_bytes, (ids.len() - from) as u64 * 8192 * 4);
            assert_eq!(moved.readbacks - counts.readbacks, 1);
            assert_eq!(next_token(&outputs), next_token(&whole));
            plain.push(next_token(&whole));
            ids.push(next_token(&outputs));
            cache = Some(outputs);
        }
        // Key and value of six layers, six heads of 64, seven positions: what the last step left, and nothing before.
        assert_eq!(pool.memory().tensors, 12 * 6 * 64 * 7 * 4);
        drop(cache);
        assert_eq!(pool.memory().tensors, before);
    });
}

#[test]
fn a_tensor_may_be_fed_twice_kept_and_read() {
    block_on(async {
        let (pool, session) = load("gpt2_small_kv").await;
        let first = run(&pool, &session, step(&session, &[5, 6], None), Keep::All).await;
        let key = Rc::clone(first.iter().find(|(n, _)| n == "present.0.key").unwrap().1.resident().unwrap());
        let host = pool.read(&key).await.unwrap();
        // Every past tensor is the same one: by the host, and by one buffer on the device.
        let feeds = |feed: Feed| -> Feeds {
            let mut feeds = step(&session, &[7], Some(&first));
            feeds.iter_mut().filter(|(name, _)| name.starts_with("past")).for_each(|(_, f)| *f = feed.clone());
            feeds
        };
        let resident = run(&pool, &session, feeds(Feed::Resident(key)), Keep::Nothing).await;
        let plain = run(&pool, &session, feeds(Feed::Host(host.clone())), Keep::Nothing).await;
        for ((name, a), (_, b)) in resident.iter().zip(&plain) {
            assert_eq!(a.host(), b.host(), "{name}");
        }
        let again = pool.upload(&host).await.unwrap();
        assert_eq!(pool.read(&again).await.unwrap(), host);
        let id = pool.hold(again);
        assert_eq!(pool.tensor(id).unwrap().ty.shape, [1, 6, 2, 64]);
        pool.dispose(id);
        assert_eq!(pool.tensor(id).unwrap_err().kind(), Kind::Closed);
        let wrong = Keep::Only(["nothing".to_owned()].into());
        let request = Request { session: session.id, feeds: step(&session, &[1], None), keep: wrong };
        let error = pool.run(vec![request], RunOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput);
        assert!(error.to_string().contains("there is no output 'nothing'"), "{error}");
    });
}
