//! Fetches the tests that come with the onnx package, most of them of single nodes, into `target/`, as two files that a page reads. Knows archives;
//! must never know what a test says.

use crate::published::package;
use crate::tools::put;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What has them, under the Apache-2.0 licence; its code is never run.
const PACKAGE: &str = "https://files.pythonhosted.org/packages/d5/61/6c457ee8c3a62a3cad0a4bfa4c5436bb3ac4df90c3551d40bee1224b5b51/onnx-1.19.1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl";
/// Where they lie in it: tests of single nodes, and of what PyTorch exported.
const FOLDER: &str = "onnx/backend/test/data/";
const KINDS: [&str; 3] = ["node", "pytorch-converted", "pytorch-operator"];

/// Where the page finds them.
pub fn home(root: &Path) -> PathBuf {
    root.join("target/node-tests")
}

/// Writes all files of all tests one after another, and an index of where each lies: by test, the model, its inputs and outputs in order.
pub fn write(root: &Path) -> Result<()> {
    let home = home(root);
    let (all, index, from) = (home.join("all.bin"), home.join("index.json"), home.join("from.txt"));
    let source = format!("{PACKAGE} {}", KINDS.join(" "));
    if index.is_file() && std::fs::read(&from).is_ok_and(|done| done == source.as_bytes()) {
        return Ok(());
    }
    let path = package(root, PACKAGE)?;
    let mut wheel = zip::ZipArchive::new(File::open(&path)?).with_context(|| path.display().to_string())?;
    let mut bytes = vec![];
    // By test, by file: where it begins and how long it is.
    let mut tests: BTreeMap<String, BTreeMap<String, [usize; 2]>> = BTreeMap::new();
    for i in 0..wheel.len() {
        let mut entry = wheel.by_index(i)?;
        let name = entry.name().to_owned();
        let Some((kind, rest)) = name.strip_prefix(FOLDER).and_then(|rest| rest.split_once('/')) else { continue };
        let Some((test, file)) = rest.split_once('/').filter(|_| KINDS.contains(&kind)) else { continue };
        let file = file.strip_prefix("test_data_set_0/").unwrap_or(file);
        if entry.is_file() && !file.contains('/') {
            let begin = bytes.len();
            let size = entry.read_to_end(&mut bytes)?;
            let test = if kind == KINDS[0] { test.to_owned() } else { format!("{kind}/{test}") };
            tests.entry(test).or_default().insert(file.to_owned(), [begin, size]);
        }
    }
    let list = |files: &BTreeMap<String, [usize; 2]>, kind: &str| -> Vec<[usize; 2]> {
        (0..).map_while(|i| files.get(&format!("{kind}_{i}.pb")).copied()).collect()
    };
    let tests: Vec<Value> = tests
        .iter()
        .map(|(name, files)| {
            let model = files.get("model.onnx").with_context(|| format!("{name} has no model"))?;
            let (inputs, outputs) = (list(files, "input"), list(files, "output"));
            Ok(json!({ "name": name, "model": model, "inputs": inputs, "outputs": outputs }))
        })
        .collect::<Result<_>>()?;
    std::fs::create_dir_all(&home)?;
    put(&all, &bytes)?;
    put(&index, serde_json::to_string(&tests)?.as_bytes())?;
    put(&from, source.as_bytes())
}
