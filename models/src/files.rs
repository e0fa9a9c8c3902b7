//! The JSON of inputs and goldens. Knows their form; must never know which models there are.

use crate::{Data, Error, Golden, Input, recipe};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Deserialize)]
struct InputFile {
    dtype: String,
    shape: Vec<usize>,
    /// Left out where the recipe makes them; base64 of little-endian float32; or integers.
    values: Option<Value>,
}

#[derive(Deserialize)]
struct GoldenFile {
    shape: Vec<usize>,
    every: usize,
    values: String,
}

fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<Vec<(String, T)>, Error> {
    let fault = |e: serde_json::Error| Error(format!("{file}: {e}"));
    let map: serde_json::Map<String, Value> = serde_json::from_str(text).map_err(fault)?;
    map.into_iter().map(|(name, value)| Ok((name, serde_json::from_value(value).map_err(fault)?))).collect()
}

fn floats(file: &str, text: &str) -> Result<Vec<f32>, Error> {
    let bytes = STANDARD.decode(text).map_err(|e| Error(format!("{file}: {e}")))?;
    Ok(bytes.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect())
}

/// The inputs in a model's `inputs.json`.
pub fn inputs(model: &str, text: &str) -> Result<Vec<Input>, Error> {
    let file = &format!("{model}.inputs.json");
    let read = |(name, input): (String, InputFile)| {
        let count: usize = input.shape.iter().product();
        let fault = |why: &str| Error(format!("{file}: input '{name}' of {}: {why}", input.dtype));
        let integers = || -> Result<Vec<i64>, Error> {
            let list = input.values.as_ref().and_then(Value::as_array).ok_or_else(|| fault("no values"))?;
            list.iter().map(|v| v.as_i64().ok_or_else(|| fault("a value that is no integer"))).collect()
        };
        let (data, found) = match (input.dtype.as_str(), &input.values) {
            ("float32", None) => (Data::F32(recipe::uniform(count, 0)), count),
            ("float32", Some(Value::String(text))) => {
                let values = floats(file, text)?;
                (Data::F32(values.clone()), values.len())
            }
            ("int64", _) => {
                let values = integers()?;
                (Data::I64(values.clone()), values.len())
            }
            ("int32", _) => {
                let values: Result<Vec<i32>, _> = integers()?.into_iter().map(i32::try_from).collect();
                let values = values.map_err(|_| fault("a value beyond 32 bits"))?;
                (Data::I32(values.clone()), values.len())
            }
            _ => return Err(fault("an unknown form")),
        };
        if found != count {
            return Err(fault(&format!("{found} values for shape {:?}", input.shape)));
        }
        Ok(Input { name, dims: input.shape, data })
    };
    parse(file, text)?.into_iter().map(read).collect()
}

/// The outputs in a model's `golden.json`.
pub fn golden(model: &str, text: &str) -> Result<Vec<Golden>, Error> {
    let file = &format!("{model}.golden.json");
    let read = |(name, golden): (String, GoldenFile)| {
        let values = floats(file, &golden.values)?;
        let count: usize = golden.shape.iter().product();
        if golden.every == 0 || values.len() != count.div_ceil(golden.every) {
            return Err(Error(format!("{file}: {} values of output '{name}'", values.len())));
        }
        Ok(Golden { name, dims: golden.shape, every: golden.every, values })
    };
    parse(file, text)?.into_iter().map(read).collect()
}
