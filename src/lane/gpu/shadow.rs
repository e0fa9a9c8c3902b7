//! The browser's own objects beneath wgpu's, which wgpu keeps to itself: a method of the device is shadowed on the
//! device object for the length of one call. Knows the device object; must never know what is made with it.

use crate::error::{Error, Kind, Result};
use js_sys::{Function, Object, Reflect};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};

/// The browser's object beneath one of wgpu's; in a page there is no other backend.
pub(super) fn raw<T: Into<JsValue> + Clone>(object: Option<&T>) -> JsValue {
    object.cloned().map_or(JsValue::UNDEFINED, Into::into)
}

/// What an exception says.
pub(super) fn message(exception: &JsValue) -> String {
    let message = Reflect::get(exception, &"message".into()).ok().and_then(|m| m.as_string());
    message.unwrap_or_else(|| format!("{exception:?}"))
}

/// Calls the browser's own `method` of the device.
pub(super) fn call(device: &wgpu::Device, method: &str, argument: &JsValue) -> Result<JsValue> {
    let raw = raw(device.as_webgpu());
    let failed = |e: JsValue| Error::new(Kind::Internal, format!("{method}: {}", message(&e)));
    let function: Function = Reflect::get(&raw, &method.into()).and_then(|m| m.dyn_into()).map_err(failed)?;
    function.call1(&raw, argument).map_err(failed)
}

/// The descriptor that wgpu hands to `method` when `make` is called; nothing is made.
pub(super) fn learnt(device: &wgpu::Device, method: &str, make: impl FnOnce()) -> JsValue {
    let seen = Rc::new(RefCell::new(JsValue::UNDEFINED));
    let keep = Rc::clone(&seen);
    let learn = move |descriptor: JsValue| {
        *keep.borrow_mut() = descriptor;
        // wgpu holds what it is given and drops it unused.
        JsValue::from(Object::new())
    };
    shadowed(device, method, learn, make);
    seen.take()
}

/// Runs `call` while the device's method is `instead`.
fn shadowed<T>(
    device: &wgpu::Device,
    method: &str,
    instead: impl FnMut(JsValue) -> JsValue + 'static,
    call: impl FnOnce() -> T,
) -> T {
    let raw = raw(device.as_webgpu());
    let instead = Closure::<dyn FnMut(JsValue) -> JsValue>::new(instead);
    // Neither can fail on a platform object that takes own properties, as all do.
    let _ = Reflect::set(&raw, &method.into(), instead.as_ref());
    let result = call();
    let _ = Reflect::delete_property(raw.unchecked_ref::<Object>(), &method.into());
    result
}
