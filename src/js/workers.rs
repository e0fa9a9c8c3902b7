//! Processors that the page opens, as objects with `carrier(bytes)`, `ask(head, parts, about, program)`, a promise, `close()`, `lost`, and
//! where it has them `stop(number)`, `rest()` and `twice`. Knows how bytes cross; must never know what they say.

use crate::error::{Error, Kind, Result};
use crate::graph::{DType, Data, HostTensor};
use crate::pool::{About, Far, Opening, Told, Workers};
use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use std::pin::Pin;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// One of them.
#[derive(Debug)]
struct JsFar(JsValue);

fn said(error: &JsValue) -> String {
    let message = Reflect::get(error, &"message".into()).ok().and_then(|m| m.as_string());
    message.or_else(|| error.as_string()).unwrap_or_else(|| format!("{error:?}"))
}

/// Processors that `open` opens, each of so many threads at most, where there seem to be these lanes.
pub(super) fn opened_by(open: Function, threads: usize, lanes: Vec<String>) -> Workers {
    let opened = move |lane: &str| -> Opening {
        let opening = open.call1(&JsValue::UNDEFINED, &lane.into()).map(|promise| Promise::resolve(&promise));
        Box::pin(async move {
            let failed = |e: JsValue| Error::new(Kind::Unsupported, format!("no worker could be opened: {}", said(&e)));
            let object = JsFuture::from(opening.map_err(failed)?).await.map_err(failed)?;
            Ok(Box::new(JsFar(object)) as Box<dyn Far>)
        })
    };
    Workers::new(opened, threads, lanes)
}

impl JsFar {
    fn call(&self, method: &str, arguments: &Array) -> Result<JsValue, JsValue> {
        let function: Function = Reflect::get(&self.0, &method.into())?.dyn_into()?;
        Reflect::apply(&function, &self.0, arguments)
    }
}

fn told(answer: &JsValue) -> Result<Told, JsValue> {
    let field = |name: &str| Reflect::get(answer, &name.into());
    let head: Uint8Array = field("head")?.dyn_into()?;
    let mut parts = vec![];
    for part in field("parts")?.dyn_into::<Array>()?.iter() {
        let part: Array = part.dyn_into()?;
        let (number, bytes) = (part.get(0).as_f64().unwrap_or(-1.0) as u32, part.get(1).dyn_into::<Uint8Array>()?);
        let dtype = DType::of_number(number).ok_or("elements of no known type")?;
        let len = bytes.length() as usize / dtype.host_bytes();
        let mut data = Data::room(dtype, len).ok_or("there is no memory for an answer")?;
        bytes.copy_to(data.bytes_mut());
        parts.push(data);
    }
    Ok(Told { head: head.to_vec(), parts })
}

impl Far for JsFar {
    fn ask(&self, head: Vec<u8>, parts: &[&HostTensor], about: About) -> Pin<Box<dyn Future<Output = Result<Told>>>> {
        let part = |tensor: &&HostTensor| {
            let bytes = tensor.bytes();
            let carrier = self.call("carrier", &Array::of1(&(bytes.len() as f64).into())).ok();
            let carrier: Option<Uint8Array> = carrier.and_then(|carrier| carrier.dyn_into().ok());
            let carrier = carrier.unwrap_or_else(|| Uint8Array::new_with_length(bytes.len() as u32));
            carrier.copy_from(bytes);
            Array::of2(&tensor.dtype().number().into(), &carrier)
        };
        let parts: Array = parts.iter().map(part).collect();
        // As `pkg/cpu/short.js` reads it.
        let (about, program) = match about {
            About::Other => (0, 0),
            About::Brings(program) => (1, program),
            About::Runs(program) => (2, program),
            About::Frees(program) => (3, program.unwrap_or(0)),
        };
        let head = Uint8Array::from(head.as_slice());
        let asked = self.call("ask", &Array::of4(&head, &parts, &about.into(), &(program as f64).into()));
        Box::pin(async move {
            // Whatever it was, the processor is not to be asked again.
            let lost =
                |e: JsValue| Error::new(Kind::DeviceLost, format!("the processor's worker is gone: {}", said(&e)));
            let answer = JsFuture::from(Promise::resolve(&asked.map_err(lost)?)).await.map_err(lost)?;
            told(&answer).map_err(|e| Error::new(Kind::Internal, format!("an answer cannot be read: {}", said(&e))))
        })
    }

    fn stop(&self, number: u32) {
        // What cannot be stopped ends by itself.
        let _ = self.call("stop", &Array::of1(&number.into()));
    }

    fn rest(&self) {
        // What cannot rest goes on.
        let _ = self.call("rest", &Array::new());
    }

    fn twice(&self) -> u64 {
        Reflect::get(&self.0, &"twice".into()).ok().and_then(|bytes| bytes.as_f64()).unwrap_or(0.0) as u64
    }

    fn lost(&self) -> Option<String> {
        Reflect::get(&self.0, &"lost".into()).ok()?.as_string()
    }

    fn close(&self) {
        // What cannot be closed is closed.
        let _ = self.call("close", &Array::new());
    }
}
