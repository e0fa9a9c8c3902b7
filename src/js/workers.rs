//! Processors that the page opens, as objects with `carrier(bytes)`, `ask(head, parts, about, program)`, a promise, `close()`, `lost`, and
//! where it has them `stop(number)`, `rest()` and `twice`. Knows how bytes cross; must never know what they say.

use crate::error::{Error, Kind, Result};
use crate::graph::{DType, Data, HostTensor};
use crate::pool::{About, Far, Opening, Told, Workers};
use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use std::pin::Pin;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

// Names that JavaScript knows need not be made strings for each call.
#[wasm_bindgen]
extern "C" {
    #[derive(Debug)]
    type Object;
    #[wasm_bindgen(method)]
    fn carrier(this: &Object, bytes: f64) -> Uint8Array;
    #[wasm_bindgen(method, catch)]
    fn ask(this: &Object, head: Uint8Array, parts: Array, about: u32, program: f64) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn stop(this: &Object, number: u32) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn rest(this: &Object) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn close(this: &Object) -> Result<(), JsValue>;
    #[wasm_bindgen(method, getter)]
    fn twice(this: &Object) -> Option<f64>;
    #[wasm_bindgen(method, getter)]
    fn lost(this: &Object) -> Option<String>;

    type Answer;
    #[wasm_bindgen(method, getter)]
    fn head(this: &Answer) -> Uint8Array;
    #[wasm_bindgen(method, getter)]
    fn parts(this: &Answer) -> Array;
}

/// One of them.
#[derive(Debug)]
struct JsFar(Object);

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
            Ok(Box::new(JsFar(object.unchecked_into())) as Box<dyn Far>)
        })
    };
    Workers::new(opened, threads, lanes)
}

fn told(answer: &Answer) -> Result<Told, JsValue> {
    let mut parts = vec![];
    for part in answer.parts().iter() {
        let part: Array = part.dyn_into()?;
        let (number, bytes) = (part.get(0).as_f64().unwrap_or(-1.0) as u32, part.get(1).dyn_into::<Uint8Array>()?);
        let dtype = DType::of_number(number).ok_or("elements of no known type")?;
        let len = bytes.length() as usize / dtype.host_bytes();
        let mut data = Data::room(dtype, len).ok_or("there is no memory for an answer")?;
        bytes.copy_to(data.bytes_mut());
        parts.push(data);
    }
    Ok(Told { head: answer.head().to_vec(), parts })
}

impl Far for JsFar {
    fn ask(&self, head: Vec<u8>, parts: &[&HostTensor], about: About) -> Pin<Box<dyn Future<Output = Result<Told>>>> {
        let part = |tensor: &&HostTensor| {
            let bytes = tensor.bytes();
            let carrier = self.0.carrier(bytes.len() as f64);
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
        let asked = self.0.ask(head, parts, about, program as f64);
        Box::pin(async move {
            // Whatever it was, the processor is not to be asked again.
            let lost =
                |e: JsValue| Error::new(Kind::DeviceLost, format!("the processor's worker is gone: {}", said(&e)));
            let answer = JsFuture::from(asked.map_err(lost)?).await.map_err(lost)?;
            told(answer.unchecked_ref())
                .map_err(|e| Error::new(Kind::Internal, format!("an answer cannot be read: {}", said(&e))))
        })
    }

    fn stop(&self, number: u32) {
        // What cannot be stopped ends by itself.
        let _ = self.0.stop(number);
    }

    fn rest(&self) {
        // What cannot rest goes on.
        let _ = self.0.rest();
    }

    fn twice(&self) -> u64 {
        self.0.twice().unwrap_or(0.0) as u64
    }

    fn lost(&self) -> Option<String> {
        self.0.lost()
    }

    fn close(&self) {
        // What cannot be closed is closed.
        let _ = self.0.close();
    }
}
