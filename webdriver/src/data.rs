//! Writes the workload models as files that the page fetches. Knows paths; must never know what a page does with them.

use crate::tools::put;
use crate::{facts, licences, published};
use anyhow::Result;
use consort_models::{CHOSEN, Data, Golden, Input, MODELS, Model, PUBLISHED, cases};
use serde_json::{Value, json};
use std::path::Path;

/// Writes the models below `target/models`, with an index of their inputs and goldens.
pub fn write(root: &Path) -> Result<()> {
    let home = root.join("target/models");
    std::fs::create_dir_all(&home)?;
    let mut index: Vec<Value> = MODELS.iter().map(|m| model(&home, m)).collect::<Result<_>>()?;
    published::fetch(root, &home)?;
    facts::write(root, &home)?;
    put(&home.join("LICENCES.txt"), licences::models(root)?.as_bytes())?;
    for p in &PUBLISHED {
        let mut entry = entry(&home, p.name, p.bytes, &[], &p.inputs()?, p.golden()?)?;
        entry["processor"] = json!(p.on_processors_only());
        index.push(entry);
    }
    for (i, entry) in index.iter_mut().enumerate() {
        entry["chosen"] = json!(i < CHOSEN);
    }
    put(&home.join("index.json"), serde_json::to_string(&index)?.as_bytes())
}

/// A model of the workload: its weights are made here.
fn model(home: &Path, model: &Model) -> Result<Value> {
    put(&home.join(format!("{}.onnx", model.name)), model.onnx)?;
    let weights = home.join(model.data_file());
    let bytes = match std::fs::metadata(&weights) {
        Ok(there) => there.len(),
        Err(_) => {
            let data = model.weights()?;
            put(&weights, &data)?;
            data.len() as u64
        }
    };
    let free: Vec<Value> = model.free.iter().map(|(name, size)| json!({ "name": name, "size": size })).collect();
    let bytes = bytes + model.onnx.len() as u64;
    let mut entry = entry(home, model.name, bytes, &free, &model.inputs()?, model.golden()?)?;
    entry["external"] = json!([model.data_file()]);
    Ok(entry)
}

/// An entry of the index; its inputs are written as files.
fn entry(home: &Path, name: &str, bytes: u64, free: &[Value], given: &[Input], golden: Vec<Golden>) -> Result<Value> {
    let mut shapes = vec![];
    for (i, case) in cases(name)?.into_iter().enumerate() {
        let inputs = written(home, &format!("{name}.shape{i}"), &case.inputs)?;
        shapes.push(json!({ "inputs": inputs, "golden": goldens(case.golden) }));
    }
    Ok(json!({
        "name": name,
        "url": format!("/models/{name}.onnx"),
        "bytes": bytes,
        "free": free,
        "inputs": written(home, name, given)?,
        "golden": goldens(golden),
        "shapes": shapes,
    }))
}

/// Inputs as files `NAME.I.bin`, and what an index says of them.
fn written(home: &Path, name: &str, given: &[Input]) -> Result<Vec<Value>> {
    let mut inputs = vec![];
    for input in given {
        // A name of an input may hold what a name of a file may not.
        let file = format!("{name}.{}.bin", inputs.len());
        let (kind, data): (_, Vec<u8>) = match &input.data {
            Data::F32(v) => ("float32", v.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Data::I64(v) => ("int64", v.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Data::I32(v) => ("int32", v.iter().flat_map(|x| x.to_le_bytes()).collect()),
        };
        put(&home.join(&file), &data)?;
        inputs.push(json!({ "name": input.name, "type": kind, "dims": input.dims, "url": format!("/models/{file}") }));
    }
    Ok(inputs)
}

fn goldens(golden: Vec<Golden>) -> Vec<Value> {
    let value = |g: Golden| json!({ "name": g.name, "dims": g.dims, "every": g.every, "values": g.values });
    golden.into_iter().map(value).collect()
}
