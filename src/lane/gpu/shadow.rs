//! The browser's own objects beneath wgpu's, which wgpu keeps to itself: a method of the device is shadowed on the
//! device object for the length of one call. Knows the device object; must never know what is made with it.

use crate::error::{Error, Kind, Result};
use js_sys::{Function, Object, Reflect};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};

/// The browser's device.
fn raw(device: &wgpu::Device) -> JsValue {
    device.as_webgpu().map_or(JsValue::UNDEFINED, |raw| JsValue::from(raw.clone()))
}

/// Calls the browser's own `method` of the device.
pub(super) fn call(device: &wgpu::Device, method: &str, argument: &JsValue) -> Result<JsValue> {
    let raw = raw(device);
    let failed = |e: JsValue| {
        let message = Reflect::get(&e, &"message".into()).ok().and_then(|m| m.as_string());
        Error::new(Kind::Internal, format!("{method}: {}", message.unwrap_or_else(|| format!("{e:?}"))))
    };
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

/// What the browser's own `method` makes of the descriptor that wgpu hands to it when `make` is called.
pub(super) fn made(device: &wgpu::Device, method: &str, make: impl FnOnce()) -> Result<JsValue> {
    let descriptor = learnt(device, method, make);
    call(device, method, &descriptor)
}

/// Runs `call` while the device's method is `instead`.
fn shadowed<T>(
    device: &wgpu::Device,
    method: &str,
    instead: impl FnMut(JsValue) -> JsValue + 'static,
    call: impl FnOnce() -> T,
) -> T {
    let raw = raw(device);
    let instead = Closure::<dyn FnMut(JsValue) -> JsValue>::new(instead);
    // Neither can fail on a platform object that takes own properties, as all do.
    let _ = Reflect::set(&raw, &method.into(), instead.as_ref());
    let result = call();
    let _ = Reflect::delete_property(raw.unchecked_ref::<Object>(), &method.into());
    result
}
