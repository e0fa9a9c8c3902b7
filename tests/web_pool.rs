//! The crate's own API in a real browser, by `wasm-pack test`: what a pool on any lane must do (`pool/calls.rs`), and what
//! WebGPU is. Knows what a caller sees; must never know how it is done.
#![cfg(all(target_arch = "wasm32", feature = "gpu"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "pool/calls.rs"]
mod calls;
mod common;
#[path = "common/pool.rs"]
mod pool;

use common::{FLOAT, Tiny, expected, off, tensor};
use consort::pool::Source;
use pool::{fresh, host, request, run, shared, source};
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[test]
async fn a_pool_says_what_the_adapter_is_and_what_it_reaches() {
    let pool = shared().await;
    let (facts, profile) = (pool.capabilities(), pool.profiles().remove(0));
    assert!(facts.lanes.contains(&"gpu"));
    let device = &facts.devices[0];
    assert!(device.facts.limits["maxBufferSize"] >= 268_435_456.0, "{:?}", device.facts.limits);
    assert_eq!(device.fingerprint, profile.fingerprint);
    let rates = [profile.gflops, profile.bandwidth_gbps, profile.upload_gbps, profile.readback_gbps];
    assert!(rates.iter().all(|r| r.is_finite() && *r > 0.0), "{profile:?}");
}

#[test]
async fn weights_as_f16_take_half() {
    let pool = fresh().await;
    let model = |seed| {
        let model = Tiny::new().input("x", FLOAT, [1.into(), 64.into()]).weight("w", [64, 256], seed);
        model.node("MatMul", &["x", "w"], "y").outputs(&["y"])
    };
    let halves = Source { halves: true, ..source("halves", model(1)) };
    let session = pool.load(halves, &|_, _, _| {}).await.unwrap();
    assert_eq!(pool.memory().weights, 64 * 256 * 2);
    let given = tensor([1, 64], 2);
    let have = host(&run(&pool, request(&session, "x", given.clone())).await.unwrap());
    let off = off(&have[0], &expected(&model(1), &[given])[0]);
    assert!(off > 0.0 && off < 1e-2, "off by {off}");
    pool.close();
}
