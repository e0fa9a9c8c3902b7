//! The JSON of inputs and goldens. Knows their form; must never know which models there are.

use crate::recipe;
use crate::types::{Case, Data, Error, Golden, Input};
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
    /// The counter from which the recipe makes them.
    #[serde(default)]
    first: u64,
    /// Integers that the recipe makes are below this.
    below: Option<u64>,
    /// A batch of windows of the model's own picture: row and column where the first begins, 16 rows on for each next.
    window: Option<[usize; 2]>,
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
    parse(file, text)?.into_iter().map(|input| read_input(file, input, &[])).collect()
}

fn read_input(file: &str, (name, input): (String, InputFile), own: &[Input]) -> Result<Input, Error> {
    let count: usize = input.shape.iter().product();
    let fault = |why: &str| Error(format!("{file}: input '{name}' of {}: {why}", input.dtype));
    let integers = || -> Result<Vec<i64>, Error> {
        if let Some(below) = input.below {
            return Ok(recipe::integers(count, input.first, below));
        }
        let list = input.values.as_ref().and_then(Value::as_array).ok_or_else(|| fault("no values"))?;
        list.iter().map(|v| v.as_i64().ok_or_else(|| fault("a value that is no integer"))).collect()
    };
    let (data, found) = match (input.dtype.as_str(), &input.values) {
        ("float32", None) if input.window.is_some() => {
            let picture = own.iter().find(|i| i.name == name).ok_or_else(|| fault("no picture of its own"))?;
            let values = windows(picture, &input.shape, input.window.unwrap_or_default());
            let values = values.ok_or_else(|| fault("not a window of its own picture"))?;
            let found = values.len();
            (Data::F32(values), found)
        }
        ("float32", None) => (Data::F32(recipe::uniform(count, input.first)), count),
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
}

/// Windows of one picture [1, channels, rows, columns], beyond its edges again from the first.
fn windows(picture: &Input, shape: &[usize], [row, column]: [usize; 2]) -> Option<Vec<f32>> {
    let (&[1, channels, rows, columns], &[batch, same, height, width], Data::F32(values)) =
        (picture.dims.as_slice(), shape, &picture.data)
    else {
        return None;
    };
    let mut out = Vec::with_capacity(batch * channels * height * width);
    for b in 0..batch {
        for plane in values.chunks_exact(rows * columns) {
            for y in 0..height {
                let line = ((row + 16 * b + y) % rows) * columns;
                out.extend((0..width).map(|x| plane[line + (column + x) % columns]));
            }
        }
    }
    (same == channels).then_some(out)
}

/// The outputs in a model's `golden.json`.
pub fn golden(model: &str, text: &str) -> Result<Vec<Golden>, Error> {
    let file = &format!("{model}.golden.json");
    parse(file, text)?.into_iter().map(|golden| read_golden(file, golden)).collect()
}

fn read_golden(file: &str, (name, golden): (String, GoldenFile)) -> Result<Golden, Error> {
    let values = floats(file, &golden.values)?;
    let count: usize = golden.shape.iter().product();
    if golden.every == 0 || values.len() != count.div_ceil(golden.every) {
        return Err(Error(format!("{file}: {} values of output '{name}'", values.len())));
    }
    Ok(Golden { name, dims: golden.shape, every: golden.every, values })
}

/// The cases in a model's `shapes/NAME.json`.
pub fn cases(model: &str, text: &str, own: &[Input]) -> Result<Vec<Case>, Error> {
    let file = &format!("shapes/{model}.json");
    let cases: Vec<Value> = serde_json::from_str(text).map_err(|e| Error(format!("{file}: {e}")))?;
    let part = |case: &Value, key: &str| case.get(key).map(Value::to_string).unwrap_or_default();
    let read = |case: &Value| {
        let inputs = parse(file, &part(case, "inputs"))?.into_iter().map(|i| read_input(file, i, own));
        let golden = parse(file, &part(case, "outputs"))?.into_iter().map(|g| read_golden(file, g));
        Ok(Case { inputs: inputs.collect::<Result<_, Error>>()?, golden: golden.collect::<Result<_, Error>>()? })
    };
    cases.iter().map(read).collect()
}
