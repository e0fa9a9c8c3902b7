//! What the browser can do, across the boundary. Knows the form in which it crosses; must never know how it was found out.

use super::values::to_js;
use crate::browser::{self, detect::Detected};
use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;

/// `Capabilities`, as `pkg/index.d.ts` has it.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    detected: Detected,
    fingerprint: String,
}

/// Asks the browser: a `Capabilities`. Rejects never: what is not here says why.
#[wasm_bindgen]
pub fn detect() -> js_sys::Promise {
    wasm_bindgen_futures::future_to_promise(async {
        let detected = browser::detect().await;
        let fingerprint = detected.fingerprint();
        to_js(&Told { detected, fingerprint })
    })
}
