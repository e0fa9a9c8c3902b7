//! Loading as JS asks for it: the model and its external data fetched or taken as bytes, progress called back.

use super::signal;
use super::values::{from_js, set};
use crate::browser::{fetch, resolve};
use crate::error::{Error, Kind, Result};
use crate::onnx::{ExternalData, external_files};
use crate::pool::{Phase, Pool, Session, Source, ValueInfo};
use js_sys::{Function, Object, Reflect, Uint8Array};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};

/// What `load` resolves to.
#[derive(Serialize)]
pub struct Loaded {
    id: f64,
    name: String,
    lane: &'static str,
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
}

impl Loaded {
    pub fn of(session: &Session) -> Loaded {
        Loaded {
            id: session.id as f64,
            name: session.name.clone(),
            lane: "gpu",
            inputs: session.input_info(),
            outputs: session.output_info(),
        }
    }
}

/// The options that are plain values; the others are read by hand.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Plain {
    name: Option<String>,
    free_dimensions: BTreeMap<String, f64>,
}

/// The name of a file without its folders and ending.
fn stem(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let file = path.rsplit('/').next().unwrap_or(path);
    file.strip_suffix(".onnx").unwrap_or(file).to_owned()
}

pub async fn load(pool: &Pool, source: &JsValue, options: &JsValue) -> Result<Rc<Session>> {
    let plain = plain(options)?;
    let url = source.as_string().map(|s| resolve(&s, None)).transpose()?;
    let name = plain.name.unwrap_or_else(|| url.as_deref().map_or_else(|| "model".to_owned(), stem));
    let free_dimensions = plain
        .free_dimensions
        .into_iter()
        .map(|(dim, size)| {
            let whole = size >= 1.0 && size.fract() == 0.0 && size < 1e9;
            let refuse = || Error::new(Kind::InvalidInput, format!("free dimension '{dim}' of size {size}"));
            if whole { Ok((dim, size as usize)) } else { Err(refuse()) }
        })
        .collect::<Result<_>>()?;
    let progress = Progress { callback: field(options, "onProgress").dyn_into().ok(), last: Cell::new(None) };
    let fetched = fetch_all(source, url.as_deref(), options, &progress).await.map_err(|e| e.in_model(&name))?;
    let source = Source { name, bytes: fetched.0, external: fetched.1, free_dimensions };
    pool.load(source, &|phase, done, total| progress.tell(phase, done, total)).await
}

fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or_default()
}

fn plain(options: &JsValue) -> Result<Plain> {
    let object = Object::new();
    for name in ["name", "freeDimensions"] {
        let value = field(options, name);
        if !value.is_undefined() {
            set(&object, name, &value);
        }
    }
    from_js(object.into(), "the load's options")
}

async fn fetch_all(
    source: &JsValue,
    url: Option<&str>,
    options: &JsValue,
    progress: &Progress,
) -> Result<(Vec<u8>, ExternalData)> {
    let signal = signal(options);
    let report = |done, total| progress.tell(Phase::Fetch, done, total);
    let bytes = match (url, source.dyn_ref::<Uint8Array>()) {
        (Some(url), _) => fetch(url, signal.as_ref(), &report).await?,
        (None, Some(bytes)) => bytes.to_vec(),
        (None, None) => return Err(Error::new(Kind::InvalidInput, "a model is loaded from a URL or from bytes")),
    };
    let given = field(options, "externalData");
    let mut external = ExternalData::new();
    let mut before = bytes.len() as u64;
    for file in external_files(&bytes)? {
        let value = if given.is_object() { field(&given, &file) } else { JsValue::UNDEFINED };
        let data = match (value.dyn_ref::<Uint8Array>(), value.as_string(), url) {
            (Some(bytes), _, _) => bytes.to_vec(),
            (None, Some(path), _) => {
                let at = resolve(&path, None)?;
                fetch(&at, signal.as_ref(), &|done, total| report(before + done, after(before, total))).await?
            }
            (None, None, Some(url)) => {
                let at = resolve(&file, Some(url)).map_err(|e| missing(e, &file))?;
                fetch(&at, signal.as_ref(), &|done, total| report(before + done, after(before, total)))
                    .await
                    .map_err(|e| missing(e, &file))?
            }
            // The reader names the tensor that needs it.
            (None, None, None) => continue,
        };
        before += data.len() as u64;
        external.insert(file, data);
    }
    Ok((bytes, external))
}

/// Bytes in all where `before` came first; 0 stays unknown.
fn after(before: u64, total: u64) -> u64 {
    if total == 0 { 0 } else { before + total }
}

/// A file that the model needs and the server does not have is missing data, whatever the transport said.
fn missing(error: Error, file: &str) -> Error {
    if error.kind() == Kind::Fetch {
        Error::new(Kind::MissingData, format!("external data '{file}': {error}"))
    } else {
        error
    }
}

/// Calls back, at most once for each whole percent: a callback for each network packet would slow the load.
struct Progress {
    callback: Option<Function>,
    last: Cell<Option<(Phase, u64)>>,
}

impl Progress {
    fn tell(&self, phase: Phase, done: u64, total: u64) {
        let Some(callback) = &self.callback else { return };
        let step = (done * 100).checked_div(total).unwrap_or(done >> 20);
        if self.last.replace(Some((phase, step))) == Some((phase, step)) {
            return;
        }
        let value = Object::new();
        let name = match phase {
            Phase::Fetch => "fetch",
            Phase::Upload => "upload",
            Phase::Compile => "compile",
        };
        set(&value, "phase", &name.into());
        set(&value, "done", &(done as f64).into());
        set(&value, "total", &(total as f64).into());
        // A callback that throws must not stop the load.
        let _ = callback.call1(&JsValue::UNDEFINED, &value);
    }
}
