//! What a browser can do, found out in a real one, by `wasm-pack test`: of the form that it should have, the same when asked
//! again, and no harm where something is missing. Knows what a caller sees; must never know how it is asked.
#![cfg(all(target_arch = "wasm32", feature = "gpu"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use consort::browser::{detect, detect::Wasm};
use js_sys::{Function, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[test]
async fn the_adapter_is_told_with_its_limits() {
    let found = detect().await;
    let gpu = found.webgpu.facts().expect("a browser with WebGPU: webdriver.json has the flags for tests");
    assert!(gpu.limits["maxBufferSize"] >= 268_435_456.0, "{gpu:?}");
    assert!(gpu.limits.len() > 20, "{gpu:?}");
    assert!(gpu.features.is_sorted() && !gpu.features.is_empty(), "{gpu:?}");
}

#[test]
async fn the_clock_is_measured_or_says_why_not() {
    match detect().await.timestamps {
        found if found.facts().is_some() => {
            let resolution = found.facts().unwrap().resolution_ns;
            assert!(resolution > 0.0 && resolution < 1e9 && resolution.fract() == 0.0, "{resolution}");
        }
        missing => assert!(!missing.reason().unwrap().is_empty()),
    }
}

#[test]
async fn the_proposals_that_every_browser_takes_are_there() {
    let Wasm { simd, threads, .. } = detect().await.wasm;
    assert!(simd && threads);
}

#[test]
async fn the_machine_is_told() {
    let found = detect().await;
    assert!(found.system.cores.unwrap() >= 1.0);
    let storage = found.storage.facts().unwrap();
    assert!(storage.quota_bytes > storage.usage_bytes && storage.usage_bytes >= 0.0);
    assert!(found.detect_ms > 0.0 && found.detect_ms < 9000.0, "{}", found.detect_ms);
}

#[test]
async fn what_is_asked_twice_has_one_name() {
    assert_eq!(detect().await.fingerprint(), detect().await.fingerprint());
}

/// Runs `detect` while `navigator[name]` is what `body` returns.
async fn with(name: &str, body: &str) -> consort::browser::detect::Detected {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).unwrap();
    let instead = Function::new_no_args(body).call0(&JsValue::UNDEFINED).unwrap();
    let define = Function::new_with_args("o, n, value", "Object.defineProperty(o, n, { value, configurable: true })");
    define.call3(&JsValue::UNDEFINED, &navigator, &name.into(), &instead).unwrap();
    let found = detect().await;
    let object: &js_sys::Object = navigator.unchecked_ref();
    Reflect::delete_property(object, &name.into()).unwrap();
    found
}

#[test]
async fn a_probe_that_never_answers_is_given_up_and_harms_no_other() {
    let found = with("gpu", "return { requestAdapter: () => new Promise(() => {}) }").await;
    assert!(found.webgpu.reason().unwrap().contains("3000 ms"), "{:?}", found.webgpu);
    assert!(found.timestamps.reason().unwrap().contains("3000 ms"), "{:?}", found.timestamps);
    assert!(found.wasm.simd && found.storage.facts().is_some());
}

#[test]
async fn a_probe_that_throws_says_what() {
    let found = with("gpu", "return { requestAdapter() { throw new Error('out of order') } }").await;
    assert_eq!(found.webgpu.reason(), Some("out of order"));
    let found =
        with("ml", "return { createContext: async ({ deviceType }) => { throw new Error(`no ${deviceType}`) } }").await;
    let webnn = found.webnn.facts().unwrap();
    assert_eq!([&webnn.cpu, &webnn.gpu, &webnn.npu].map(|c| c.reason().unwrap()), ["no cpu", "no gpu", "no npu"]);
    assert!(found.webgpu.facts().is_some());
}

#[test]
async fn a_browser_without_webgpu_says_so() {
    let found = with("gpu", "return undefined").await;
    assert!(found.webgpu.reason().unwrap().contains("navigator.gpu"), "{:?}", found.webgpu);
}
