//! Tensors, errors and plain values across the boundary.

use crate::error::{Error, Kind, Result};
use crate::graph::{DType, Data, HostTensor};
use crate::pool::{Feed, Output, Outputs, Pool};
use js_sys::{Array, ArrayBuffer, Function, Object, Reflect, Uint8Array};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::rc::Rc;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::AbortSignal;

// What each call reads and gives: names that JavaScript knows need not be made strings each time.
#[wasm_bindgen]
extern "C" {
    /// A request, or a tensor; any other object has none of it.
    pub type Plain;
    #[wasm_bindgen(method, getter, catch)]
    pub fn session(this: &Plain) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter, catch)]
    pub fn feeds(this: &Plain) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter, catch)]
    pub fn keep(this: &Plain) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter, catch)]
    fn resident(this: &Plain) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter, catch)]
    fn dims(this: &Plain) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter, catch, js_name = type)]
    fn kind(this: &Plain) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter, catch)]
    fn data(this: &Plain) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, setter)]
    fn set_type(this: &Plain, name: &str);
    #[wasm_bindgen(method, setter)]
    fn set_dims(this: &Plain, dims: Array);
    #[wasm_bindgen(method, setter)]
    fn set_data(this: &Plain, data: JsValue);

    type View;
    #[wasm_bindgen(method, getter)]
    fn constructor(this: &View) -> Function;
    #[wasm_bindgen(method, getter)]
    fn buffer(this: &View) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = byteOffset)]
    fn byte_offset(this: &View) -> u32;
    #[wasm_bindgen(method, getter, js_name = byteLength)]
    fn byte_length(this: &View) -> u32;
}

/// An error as JS catches it: `{kind, message, model?, node?}`.
pub fn thrown(error: &Error) -> JsValue {
    let object = Object::new();
    set(&object, "kind", &error.kind().as_str().into());
    set(&object, "message", &error.to_string().into());
    for (name, value) in [("model", error.model()), ("node", error.node())] {
        if let Some(value) = value {
            set(&object, name, &value.into());
        }
    }
    object.into()
}

/// Sets a property of a plain object, which cannot fail.
pub fn set(object: &Object, name: &str, value: &JsValue) {
    let _ = Reflect::set(object, &name.into(), value);
}

/// A report as a plain object; 64-bit counts become numbers.
pub fn to_js<T: Serialize>(value: &T) -> std::result::Result<JsValue, JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|e| thrown(&Error::new(Kind::Internal, e.to_string())))
}

/// A plain object as a value; `undefined` and `null` are the default.
pub fn from_js<T: DeserializeOwned>(value: JsValue, what: &str) -> Result<T> {
    let value = if value.is_undefined() || value.is_null() { Object::new().into() } else { value };
    serde_wasm_bindgen::from_value(value).map_err(|e| Error::new(Kind::InvalidInput, format!("{what}: {e}")))
}

/// Inputs by name, read from `{name: {type, data, dims}}`.
pub struct Feeds;

impl Feeds {
    /// Copies the feeds out of JS; a tensor on the device is `{resident: its number}`.
    pub fn read(pool: &Pool, value: &JsValue) -> Result<crate::pool::Feeds> {
        if !value.is_object() {
            return Err(Error::new(Kind::InvalidInput, "the feeds are not an object of tensors"));
        }
        Object::entries(value.unchecked_ref())
            .iter()
            .map(|entry| {
                let entry: Array = entry.unchecked_into();
                let name = entry.get(0).as_string().unwrap_or_default();
                let value = entry.get(1);
                let resident = value.unchecked_ref::<Plain>().resident().ok().and_then(|id| id.as_f64());
                let feed = match resident {
                    Some(id) => pool.tensor(id as u64).map(Feed::Resident),
                    None => tensor(&value).map(Feed::Host),
                };
                let feed = feed.map_err(|e| Error::new(e.kind(), format!("input '{name}': {e}")))?;
                Ok((name, feed))
            })
            .collect()
    }
}

/// The typed arrays that hold elements of a type, the first that a browser has being what it gets.
fn arrays(dtype: DType) -> &'static [&'static str] {
    match dtype {
        DType::Float32 => &["Float32Array"],
        DType::Int64 => &["BigInt64Array"],
        DType::Int32 => &["Int32Array"],
        DType::Bool | DType::Uint8 => &["Uint8Array"],
        DType::Int8 => &["Int8Array"],
        DType::Uint16 => &["Uint16Array"],
        DType::Int16 => &["Int16Array"],
        DType::Uint32 => &["Uint32Array"],
        DType::Uint64 => &["BigUint64Array"],
        DType::Float16 => &["Float16Array", "Uint16Array"],
        DType::Float64 => &["Float64Array"],
    }
}

/// The bytes of a typed array that holds elements of a type; nothing where it holds others.
fn bytes_of(value: &JsValue, dtype: DType) -> Option<Uint8Array> {
    if !ArrayBuffer::is_view(value.unchecked_ref()) {
        return None;
    }
    let view: &View = value.unchecked_ref();
    let named = view.constructor().name().as_string()?;
    if !arrays(dtype).contains(&named.as_str()) {
        return None;
    }
    Some(Uint8Array::new_with_byte_offset_and_length(&view.buffer(), view.byte_offset(), view.byte_length()))
}

/// A typed array of its own with elements of a type, from their bytes.
fn array_of(dtype: DType, bytes: &[u8]) -> JsValue {
    if dtype == DType::Float32 {
        return js_sys::Float32Array::new(&Uint8Array::from(bytes).buffer()).into();
    }
    let array = |name: &&str| Reflect::get(&js_sys::global(), &(*name).into()).ok()?.dyn_into::<Function>().ok();
    let buffer = Uint8Array::from(bytes).buffer();
    let made = arrays(dtype).iter().find_map(array).and_then(|of| Reflect::construct(&of, &Array::of1(&buffer)).ok());
    made.map_or(JsValue::UNDEFINED, JsValue::from)
}

/// A tensor `{type, data, dims}`.
pub fn tensor(value: &JsValue) -> Result<HostTensor> {
    let refuse = |what: &str| Error::new(Kind::InvalidInput, what.to_owned());
    let (value, none): (&Plain, _) = (value.unchecked_ref(), |_| refuse("not a tensor"));
    let dims: Array = value.dims().map_err(none)?.dyn_into().map_err(|_| refuse("a tensor without dims"))?;
    let shape: Vec<usize> = dims
        .iter()
        .map(|d| {
            let size = d.as_f64().filter(|d| *d >= 0.0 && d.fract() == 0.0 && *d < 9e15);
            size.map(|d| d as usize).ok_or_else(|| refuse("a tensor whose dims are not whole numbers"))
        })
        .collect::<Result<_>>()?;
    let name = value.kind().map_err(none)?.as_string().unwrap_or_default();
    let dtype = DType::of_name(&name).ok_or_else(|| refuse(&format!("a tensor of type '{name}'")))?;
    let mismatch = || refuse(&format!("a {name} tensor whose data is of another type"));
    let bytes = bytes_of(&value.data().map_err(none)?, dtype).ok_or_else(mismatch)?;
    let room = || Error::new(Kind::OutOfMemory, "there is no memory for a tensor");
    let mut data = Data::room(dtype, bytes.length() as usize / dtype.host_bytes()).ok_or_else(room)?;
    bytes.copy_to(data.bytes_mut());
    data.settle();
    HostTensor::new(shape, data)
}

/// Outputs as `{name: {type, dims, data}}`; one that stays on the device has `resident`, its number, for `data`.
pub fn outputs_to_js(pool: &Pool, outputs: &Outputs) -> JsValue {
    let object = Object::new();
    for (name, output) in outputs {
        let value = match output {
            Output::Host(tensor) => tensor_to_js(tensor),
            Output::Resident(tensor) => {
                let value = described(tensor.ty.dtype, &tensor.ty.shape);
                set(&value, "resident", &(pool.hold(Rc::clone(tensor)) as f64).into());
                value
            }
        };
        set(&object, name, &value);
    }
    object.into()
}

fn described(dtype: DType, shape: &[usize]) -> Object {
    let value = Object::new();
    let described: &Plain = value.unchecked_ref();
    described.set_type(dtype.name());
    described.set_dims(shape.iter().map(|&d| JsValue::from(d as f64)).collect());
    value
}

/// A tensor as `{type, dims, data}`.
pub fn tensor_to_js(tensor: &HostTensor) -> Object {
    let value = described(tensor.dtype(), tensor.shape());
    value.unchecked_ref::<Plain>().set_data(array_of(tensor.dtype(), tensor.bytes()));
    value
}

/// The `signal` of an options object.
pub fn signal(options: &JsValue) -> Option<AbortSignal> {
    Reflect::get(options, &"signal".into()).ok()?.dyn_into().ok()
}
