//! Fetching a file in pieces, with progress, until an AbortSignal fires.

use crate::error::{Error, Kind, Result};
use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, ReadableStreamDefaultReader, Response};

/// Rejected or thrown value in words.
fn words(value: &JsValue) -> String {
    let message = Reflect::get(value, &"message".into()).ok().and_then(|m| m.as_string());
    message.unwrap_or_else(|| format!("{value:?}"))
}

/// The error of something that `signal` may have stopped.
fn fault(url: &str, cause: &JsValue, signal: Option<&AbortSignal>) -> Error {
    if signal.is_some_and(AbortSignal::aborted) {
        return Error::new(Kind::Aborted, format!("the fetch of {url} was aborted"));
    }
    Error::new(Kind::Fetch, format!("{url} could not be fetched: {}", words(cause)))
}

/// `path` as an absolute URL: against `base`, or where there is none as the page itself takes addresses, which a
/// `<base>` element sets and a frame without an address has of its parent; a worker has only its own address.
pub fn resolve(path: &str, base: Option<&str>) -> Result<String> {
    let text = |of: &str, key: &str| {
        let object = Reflect::get(&js_sys::global(), &of.into()).ok()?;
        Reflect::get(&object, &key.into()).ok().and_then(|t| t.as_string())
    };
    let page = || text("document", "baseURI").or_else(|| text("location", "href")).unwrap_or_default();
    let base = base.map_or_else(page, str::to_owned);
    web_sys::Url::new_with_base(path, &base)
        .map(|url| url.href())
        .map_err(|e| Error::new(Kind::Fetch, format!("'{path}' is no URL: {}", words(&e))))
}

/// The bytes behind `url`, piece by piece: `each` takes one, and the bytes in all where the server says it (else 0).
pub async fn fetch(url: &str, signal: Option<&AbortSignal>, each: &mut dyn FnMut(&[u8], u64)) -> Result<()> {
    let init = js_sys::Object::new();
    if let Some(signal) = signal {
        // Setting a property of a plain object cannot fail.
        let _ = Reflect::set(&init, &"signal".into(), signal);
    }
    let global = js_sys::global();
    let function: js_sys::Function = Reflect::get(&global, &"fetch".into())
        .ok()
        .and_then(|f| f.dyn_into().ok())
        .ok_or_else(|| Error::new(Kind::Fetch, "there is no fetch here"))?;
    let promise: Promise =
        function.call2(&global, &url.into(), &init).map_err(|e| fault(url, &e, signal))?.unchecked_into();
    let response: Response = JsFuture::from(promise).await.map_err(|e| fault(url, &e, signal))?.unchecked_into();
    if !response.ok() {
        return Err(Error::new(
            Kind::Fetch,
            format!("{url} could not be fetched: status {} {}", response.status(), response.status_text()),
        ));
    }
    let stated = response.headers().get("content-length").ok().flatten().and_then(|l| l.parse::<u64>().ok());
    let Some(body) = response.body() else { return Ok(()) };
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    loop {
        let piece = JsFuture::from(reader.read()).await.map_err(|e| fault(url, &e, signal))?;
        let done = Reflect::get(&piece, &"done".into()).is_ok_and(|d| d.is_truthy());
        if done {
            return Ok(());
        }
        let chunk: Uint8Array =
            Reflect::get(&piece, &"value".into()).map_err(|e| fault(url, &e, signal))?.unchecked_into();
        each(&chunk.to_vec(), stated.unwrap_or(0));
    }
}

/// Resolves when `signal` fires; never where there is none.
pub async fn aborted(signal: Option<AbortSignal>) -> Error {
    let error = || Error::new(Kind::Aborted, "the call was aborted by its signal");
    let Some(signal) = signal else { return std::future::pending().await };
    if signal.aborted() {
        return error();
    }
    let (sender, fired) = futures_channel::oneshot::channel::<()>();
    let mut sender = Some(sender);
    let listener = Closure::<dyn FnMut()>::new(move || {
        if let Some(sender) = sender.take() {
            // Whoever waited may have gone.
            let _ = sender.send(());
        }
    });
    let guard = Listening { signal, listener };
    guard.set(true);
    // The sender lives as long as the listener, which the guard holds.
    let _ = fired.await;
    error()
}

/// Takes the listener off the signal however the wait ends.
struct Listening {
    signal: AbortSignal,
    listener: Closure<dyn FnMut()>,
}

impl Listening {
    fn set(&self, on: bool) {
        let function = self.listener.as_ref().unchecked_ref();
        // Both fail only for names of events that are none.
        let _ = if on {
            self.signal.add_event_listener_with_callback("abort", function)
        } else {
            self.signal.remove_event_listener_with_callback("abort", function)
        };
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.set(false);
    }
}
