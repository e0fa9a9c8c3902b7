//! The probes: what `probe.js` is told, as values, within a time limit. Knows promises; must never know what follows from an
//! answer.

use super::facts::{Detected, Found, Pressure, Storage, System, Timestamps, WebGpu, WebNn, WebNnContext};
use super::wasm::Wasm;
use futures_util::future::{Either, join3, select};
use gloo::timers::future::TimeoutFuture;
use js_sys::{Promise, Reflect, Uint8Array, WebAssembly};
use serde::de::DeserializeOwned;
use std::pin::pin;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;

/// How long a probe may take, in milliseconds.
const LIMIT_MS: u32 = 3000;

#[wasm_bindgen(module = "/src/browser/detect/probe.js")]
extern "C" {
    fn webgpu() -> Promise;
    #[wasm_bindgen(js_name = timestampResolution)]
    fn timestamp_resolution() -> Promise;
    #[wasm_bindgen(catch, js_name = webnn)]
    fn webnn_there() -> Result<(), JsValue>;
    #[wasm_bindgen(js_name = webnnContext)]
    fn webnn_context(device: &str) -> Promise;
    #[wasm_bindgen(catch)]
    fn system() -> Result<JsValue, JsValue>;
    fn storage() -> Promise;
    #[wasm_bindgen(catch)]
    fn pressure() -> Result<JsValue, JsValue>;
}

fn words(thrown: &JsValue) -> String {
    let message = Reflect::get(thrown, &"message".into()).ok().and_then(|m| m.as_string());
    message.or_else(|| thrown.as_string()).unwrap_or_else(|| format!("{thrown:?}"))
}

fn told<T: DeserializeOwned>(answer: Result<JsValue, JsValue>) -> Result<T, String> {
    let value = answer.map_err(|thrown| words(&thrown))?;
    serde_wasm_bindgen::from_value(value).map_err(|e| format!("an answer of another form: {e}"))
}

fn found<T>(told: Result<T, String>) -> Found<T> {
    told.map_or_else(Found::missing, Found::here)
}

/// What `promise` gives, within the limit.
async fn asked<T: DeserializeOwned>(promise: Promise) -> Result<T, String> {
    match select(pin!(JsFuture::from(promise)), TimeoutFuture::new(LIMIT_MS)).await {
        Either::Left((answer, _)) => told(answer),
        Either::Right(_) => Err(format!("no answer within {LIMIT_MS} ms")),
    }
}

fn now_ms() -> f64 {
    let clock = Reflect::get(&js_sys::global(), &"performance".into());
    let clock: Option<web_sys::Performance> = clock.ok().map(wasm_bindgen::JsCast::unchecked_into);
    clock.map_or_else(js_sys::Date::now, |clock| clock.now())
}

async fn webnn() -> Found<WebNn> {
    if let Err(thrown) = webnn_there() {
        return Found::missing(words(&thrown));
    }
    let context = async |device| found(asked::<WebNnContext>(webnn_context(device)).await);
    let (cpu, gpu, npu) = join3(context("cpu"), context("gpu"), context("npu")).await;
    Found::here(WebNn { cpu, gpu, npu })
}

/// Asks the browser for all of it, side by side.
pub async fn detect() -> Detected {
    let started = now_ms();
    let gpu = async {
        let webgpu = found(asked::<WebGpu>(webgpu()).await);
        let resolution = asked::<f64>(timestamp_resolution()).await;
        (webgpu, found(resolution.map(|resolution_ns| Timestamps { resolution_ns })))
    };
    let ((webgpu, timestamps), webnn, storage) = join3(gpu, webnn(), asked::<Storage>(storage())).await;
    Detected {
        webgpu,
        timestamps,
        webnn,
        wasm: Wasm::by(|bytes| WebAssembly::validate(&Uint8Array::from(bytes)).unwrap_or(false)),
        system: told::<System>(system()).unwrap_or_default(),
        storage: found(storage),
        pressure: found(told::<Pressure>(pressure())),
        detect_ms: now_ms() - started,
    }
}
