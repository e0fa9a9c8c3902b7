//! What a page keeps of adapters, through an object with `recall(key)`, a promise, `keep(key, value)`, and `spoilt(key, why)`, which
//! is told of what cannot be read.

use super::values::{from_js, to_js};
use crate::pool::{Known, Recalled, Shelf};
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The object.
#[derive(Debug)]
pub(super) struct JsShelf(pub(super) JsValue);

impl JsShelf {
    fn call(&self, method: &str, arguments: &[JsValue]) -> Option<JsValue> {
        let function: Function = Reflect::get(&self.0, &method.into()).ok()?.dyn_into().ok()?;
        Reflect::apply(&function, &self.0, &arguments.iter().collect()).ok()
    }
}

impl Shelf for JsShelf {
    fn recall(&self, key: &str) -> Recalled {
        let (shelf, key) = (JsShelf(self.0.clone()), JsValue::from(key));
        let promise =
            self.call("recall", std::slice::from_ref(&key)).and_then(|value| value.dyn_into::<Promise>().ok());
        Box::pin(async move {
            let value = JsFuture::from(promise?).await.ok().filter(|value| !value.is_undefined())?;
            // What is of no known form is measured again.
            from_js(value, "what was measured").map_err(|e| shelf.call("spoilt", &[key, e.to_string().into()])).ok()
        })
    }

    fn keep(&self, key: &str, known: &Known) {
        if let Ok(value) = to_js(known) {
            // A page that keeps nothing measures again.
            let _ = self.call("keep", &[key.into(), value]);
        }
    }
}
