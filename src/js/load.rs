//! Loading as JS asks for it: the model and its external data had in pieces or taken as bytes, progress called back.

use super::values::{from_js, set};
use crate::browser::{Files, Piece, resolve};
use crate::error::{Error, Kind, Result};
use crate::onnx::{ExternalData, external_files};
use crate::pool::{Origin, Phase, Pool, Precisions, Session, Source, ValueInfo};
use js_sys::{Array, Function, Object, Reflect, Uint8Array};
use prost::bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

/// What `load` resolves to.
#[derive(Serialize)]
pub struct Loaded {
    id: f64,
    name: String,
    lanes: Vec<String>,
    precisions: Precisions,
    refusals: BTreeMap<String, String>,
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
}

impl Loaded {
    pub fn of(pool: &Pool, session: &Session) -> Loaded {
        let (lanes, precisions, refusals) = pool.lanes(session);
        Loaded {
            id: session.id as f64,
            name: session.name.clone(),
            lanes,
            precisions,
            refusals,
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
    weights: Precision,
    products: Precision,
    precision: Least,
    lanes: Option<Vec<String>>,
}

/// Which lanes compute in enough bits.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Least {
    #[default]
    Any,
    F32,
}

/// How weights lie on the device, or what products may multiply.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Precision {
    #[default]
    Float32,
    Float16,
}

/// The name of a file without its folders and ending.
fn stem(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let file = path.rsplit('/').next().unwrap_or(path);
    file.strip_suffix(".onnx").unwrap_or(file).to_owned()
}

pub async fn load(pool: &Pool, source: &JsValue, options: &JsValue, files: Files) -> Result<Rc<Session>> {
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
    if let (Least::F32, Precision::Float16) = (&plain.precision, &plain.products) {
        let text = "products of float16 are not of the precision 'f32'";
        return Err(Error::new(Kind::InvalidInput, text).in_model(&name));
    }
    let progress = Progress { callback: field(options, "onProgress").dyn_into().ok(), last: Cell::new(None) };
    let wanted = Wanted { source, url: url.as_deref(), options, files: &files, again: false };
    let fetched = wanted.fetch().await.map_err(|e| e.in_model(&name))?;
    let origin = origin(source, url, options, files)?;
    let halves = matches!(plain.weights, Precision::Float16);
    let half_products = matches!(plain.products, Precision::Float16);
    let exact = matches!(plain.precision, Least::F32);
    let (bytes, external) = fetched;
    let lanes = plain.lanes;
    let source =
        Source { name, bytes, external, free_dimensions, halves, half_products, exact, lanes, origin: Some(origin) };
    pool.load(source, &|phase, done, total| progress.tell(phase, done, total)).await
}

/// Fetches the files of a model and keeps nothing of them here.
pub async fn preload(source: &JsValue, options: &JsValue, files: Files) -> Result<()> {
    let url = source.as_string().map(|s| resolve(&s, None)).transpose()?;
    Wanted { source, url: url.as_deref(), options, files: &files, again: false }.fetch_into(None).await.map(|_| ())
}

/// `value` as what the browser keeps for the page: bytes outside of its memory, addresses as they are.
fn put_by(value: &JsValue) -> Result<JsValue> {
    let Some(bytes) = value.dyn_ref::<Uint8Array>() else { return Ok(value.clone()) };
    let blob = Blob::new_with_u8_array_sequence(&Array::of1(bytes));
    blob.map(Into::into).map_err(|_| Error::new(Kind::OutOfMemory, "the browser does not keep the model's file"))
}

/// What was put by.
async fn taken(value: JsValue) -> Result<JsValue> {
    let Some(blob) = value.dyn_ref::<Blob>() else { return Ok(value) };
    let gone = |_| Error::new(Kind::Fetch, "the browser no longer has the model's file");
    JsFuture::from(blob.array_buffer()).await.map(|buffer| Uint8Array::new(&buffer).into()).map_err(gone)
}

/// From where the files of a load come once more: their addresses, or what the browser keeps of given bytes.
fn origin(source: &JsValue, url: Option<String>, options: &JsValue, files: Files) -> Result<Origin> {
    let (model, given) = (put_by(source)?, field(options, "externalData"));
    let mut external = vec![];
    if let Some(given) = given.dyn_ref::<Object>() {
        for entry in Object::entries(given).iter().map(|entry| Array::from(&entry)) {
            external.push((entry.get(0).as_string().unwrap_or_default(), put_by(&entry.get(1))?));
        }
    }
    Ok(Origin::new(move || {
        let (model, url, external, files) = (model.clone(), url.clone(), external.clone(), files.clone());
        Box::pin(async move {
            let (given, options) = (Object::new(), Object::new());
            for (file, value) in external {
                set(&given, &file, &taken(value).await?);
            }
            set(&options, "externalData", &given);
            let source = &taken(model).await?;
            Wanted { source, url: url.as_deref(), options: &options, files: &files, again: true }.fetch().await
        })
    }))
}

pub(super) fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or_default()
}

fn plain(options: &JsValue) -> Result<Plain> {
    let object = Object::new();
    for name in ["name", "freeDimensions", "weights", "products", "precision", "lanes"] {
        let value = field(options, name);
        if !value.is_undefined() {
            set(&object, name, &value);
        }
    }
    from_js(object.into(), "the load's options")
}

/// Bytes of a given file that are copied from the page at once.
const PIECE: u32 = 4 << 20;

/// The files of a model, and from where they come.
struct Wanted<'a> {
    source: &'a JsValue,
    /// Where the model is, unless its bytes are given.
    url: Option<&'a str>,
    options: &'a JsValue,
    files: &'a Files,
    /// Whether they were here before.
    again: bool,
}

impl Wanted<'_> {
    async fn fetch(&self) -> Result<(Bytes, ExternalData)> {
        let mut external = ExternalData::default();
        let bytes = self.fetch_into(Some(&mut external)).await?;
        Ok((bytes, external))
    }

    /// The model's bytes; what it names beside goes into `external`, or nowhere.
    async fn fetch_into(&self, mut external: Option<&mut ExternalData>) -> Result<Bytes> {
        let bytes = Bytes::from(self.model().await?);
        let given = field(self.options, "externalData");
        let named = external_files(bytes.clone()).map_err(|e| match self.url {
            Some(url) => Error::new(e.kind(), format!("{e}, from {url}")),
            None => e,
        })?;
        for (file, tensors) in named {
            let value = if given.is_object() { field(&given, &file) } else { JsValue::UNDEFINED };
            let at = match (value.dyn_ref::<Uint8Array>(), value.as_string(), self.url) {
                (Some(bytes), _, _) => {
                    if let Some(external) = &mut external {
                        external.announce(&file, tensors);
                        for start in (0..bytes.length()).step_by(PIECE as usize) {
                            let end = (start + PIECE).min(bytes.length());
                            external.feed(&file, &bytes.subarray(start, end).to_vec());
                        }
                    }
                    continue;
                }
                (None, Some(path), _) => resolve(&path, None)?,
                (None, None, Some(url)) => resolve(&file, Some(url)).map_err(|e| missing(e, &file))?,
                // The reader names the tensor that needs it.
                (None, None, None) => continue,
            };
            let mut each = |piece: Piece<'_>| {
                let Some(external) = &mut external else { return };
                // Where it begins anew nothing stays of what came before.
                if piece.at == 0 {
                    external.announce(&file, tensors.clone());
                }
                external.feed(&file, piece.bytes);
            };
            // One without a byte is there, too.
            each(Piece { bytes: &[], at: 0, total: 0 });
            let fetched = self.files.fetch(&at, Some(&file), self.again, &mut each).await;
            // What the page itself named was asked for; what the model names beside it is missing.
            fetched.map_err(|e| if value.is_string() { e } else { missing(e, &file) })?;
        }
        Ok(bytes)
    }

    async fn model(&self) -> Result<Vec<u8>> {
        match (self.url, self.source.dyn_ref::<Uint8Array>()) {
            (Some(url), _) => {
                let mut bytes = vec![];
                let mut each = |Piece { bytes: piece, at, total }: Piece<'_>| {
                    if at == 0 {
                        bytes.clear();
                    }
                    // A server may state any length: what it sends is what is kept.
                    let room = (total.min(64 << 20) as usize).saturating_sub(bytes.len());
                    bytes.reserve_exact(room.max(piece.len()));
                    bytes.extend_from_slice(piece);
                };
                self.files.fetch(url, None, self.again, &mut each).await?;
                Ok(bytes)
            }
            (None, Some(bytes)) => Ok(bytes.to_vec()),
            (None, None) => Err(Error::new(Kind::InvalidInput, "a model is loaded from a URL or from bytes")),
        }
    }
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
            Phase::Decode => "decode",
            Phase::Upload => "upload",
            Phase::Compile => "compile",
            Phase::Ready => "ready",
        };
        set(&value, "phase", &name.into());
        set(&value, "done", &(done as f64).into());
        set(&value, "total", &(total as f64).into());
        // A callback that throws must not stop the load.
        let _ = callback.call1(&JsValue::UNDEFINED, &value);
    }
}
