//! Files as the page has them, in pieces, and signals that fire. Knows that what comes over a network may begin anew; must never know
//! how it is fetched or kept, which is `pkg/files/`.

use crate::error::{Error, Kind, Result};
use js_sys::{Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortSignal;

/// Rejected or thrown value in words.
fn words(value: &JsValue) -> String {
    let message = Reflect::get(value, &"message".into()).ok().and_then(|m| m.as_string());
    message.unwrap_or_else(|| format!("{value:?}"))
}

/// What was thrown as `{kind, message}`; of `Fetch` where it says no kind.
fn thrown(value: &JsValue) -> Error {
    let kind = Reflect::get(value, &"kind".into()).ok().and_then(|kind| serde_wasm_bindgen::from_value(kind).ok());
    Error::new(kind.unwrap_or(Kind::Fetch), words(value))
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

/// What opens files for one load: an object with `open(url, file, again)`, which iterates over `{piece, at, total}` in its own time, and
/// throws `{kind, message}`.
#[derive(Clone, Debug)]
pub struct Files(JsValue);

/// Some bytes of a file.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// They.
    pub bytes: &'a [u8],
    /// How many come before them. None after others: the file begins anew, and nothing of what came before is of it.
    pub at: u64,
    /// How long the file is, where somebody says so; else 0.
    pub total: u64,
}

impl Files {
    /// Those that `opener` opens.
    pub fn of(opener: JsValue) -> Files {
        Files(opener)
    }

    /// The bytes behind `url`, of the model, or of `file` that it names; `again` where they were here before.
    pub async fn fetch(
        &self,
        url: &str,
        file: Option<&str>,
        again: bool,
        each: &mut dyn FnMut(Piece<'_>),
    ) -> Result<()> {
        let call = |of: &JsValue, name: &str, given: &js_sys::Array| -> Result<JsValue, JsValue> {
            Reflect::get(of, &name.into())?.dyn_into::<Function>()?.apply(of, given)
        };
        let given = js_sys::Array::of3(&url.into(), &file.map_or(JsValue::UNDEFINED, JsValue::from), &again.into());
        let iterator = call(&self.0, "open", &given).map_err(|e| thrown(&e))?;
        loop {
            let next = call(&iterator, "next", &js_sys::Array::new()).map_err(|e| thrown(&e))?;
            let next = JsFuture::from(Promise::resolve(&next)).await.map_err(|e| thrown(&e))?;
            let field = |of: &JsValue, name: &str| Reflect::get(of, &name.into()).unwrap_or_default();
            if field(&next, "done").is_truthy() {
                return Ok(());
            }
            let value = field(&next, "value");
            let number = |name: &str| field(&value, name).as_f64().unwrap_or_default() as u64;
            let bytes: Uint8Array = field(&value, "piece").unchecked_into();
            each(Piece { bytes: &bytes.to_vec(), at: number("at"), total: number("total") });
        }
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
