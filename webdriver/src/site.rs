//! `cargo demo --build`: the demo page with all that it needs, as files that any static host serves below any path; and that it works
//! so. Knows what the page's files are; must never know what they do.

use crate::browsers::{Browser, Session};
use crate::drive::Drive;
use crate::licences;
use crate::serve::{ONNXRUNTIME, folders, onnxruntime};
use crate::setup::npm_packages;
use crate::tools::put;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the page takes of npm's packages, by the name that it has there, and whose licence lies beside.
const VENDORED: [(&str, &str); 2] = [("d3/dist/d3.min.js", "d3"), ("@observablehq/plot/dist/plot.umd.min.js", "plot")];
/// What nobody fetches.
const LEFT: [&str; 9] = [
    "draw.py",
    "index.d.ts",
    "types",
    "README.md",
    "consort.min.js",
    "consort.min.js.map",
    "parquet.min.js.map",
    "worker.min.js",
    "worker.min.js.map",
];
/// What a page takes at most, on a machine that is busy with others.
const MOST: Duration = Duration::from_secs(180);

/// Writes the page into `to`, with the models of the readers and those of `names`, of which none stands for those chosen at first.
pub fn build(root: &Path, to: &Path, names: &[String]) -> Result<()> {
    let _ = std::fs::remove_dir_all(to);
    copied(&root.join("www"), to)?;
    copied(&root.join("pkg"), &to.join("pkg"))?;
    for file in ["LICENSE-APACHE", "LICENSE-MIT"] {
        put(&to.join(file), &std::fs::read(root.join(file))?)?;
    }
    std::fs::create_dir_all(to.join("vendor"))?;
    for (file, name) in VENDORED {
        let from = npm_packages(root).join(file);
        let file = from.file_name().context("a file without a name")?;
        put(&to.join("vendor").join(file), &std::fs::read(&from)?)?;
        let licence = from.parent().and_then(Path::parent).context("a package without a folder")?.join("LICENSE");
        put(&to.join("vendor").join(format!("{name}.LICENSE")), &std::fs::read(licence)?)?;
    }
    let files = below(to, to)?;
    // Fetched at a click, and never kept.
    beside(root, &to.join("vendor/onnxruntime-web"))?;
    models(&root.join("target/models"), &to.join("models"), names)?;
    let facts =
        below(&to.join("models"), to)?.into_iter().filter(|file| file.ends_with(".json") || file.ends_with(".txt"));
    let kept: Vec<String> = files.into_iter().filter(|file| file != "index.html").chain(facts).collect();
    put(&to.join("files.json"), serde_json::to_string(&kept)?.as_bytes())?;
    let index = std::fs::read_to_string(to.join("index.html"))?;
    let index = index.replace("</head>", &format!("{}</head>", include_str!("../page/offline.html")));
    put(&to.join("index.html"), index.as_bytes())?;
    // Another build is another name, under which everything is fetched anew.
    let mut hasher = DefaultHasher::new();
    for file in below(to, to)? {
        file.hash(&mut hasher);
        std::fs::read(to.join(&file))?.hash(&mut hasher);
    }
    let worker = to.join("offline.js");
    let script = std::fs::read_to_string(&worker)?.replace("'development'", &format!("'{:016x}'", hasher.finish()));
    put(&worker, script.as_bytes())
}

/// Copies what the page puts beside ours; where that was never installed it says so when it is asked.
fn beside(root: &Path, to: &Path) -> Result<()> {
    let from = onnxruntime(root);
    if !from.is_dir() {
        println!("without onnxruntime-web, which is not in {}", from.display());
        return Ok(());
    }
    std::fs::create_dir_all(to)?;
    for file in ONNXRUNTIME {
        put(&to.join(file), &std::fs::read(from.join(file)).with_context(|| file.to_owned())?)?;
    }
    put(&to.join("LICENSE"), licences::onnxruntime(root)?.as_bytes())
}

/// Copies the models that the page offers, with their data, inputs and index, whose addresses become relative.
fn models(from: &Path, to: &Path, names: &[String]) -> Result<()> {
    std::fs::create_dir_all(to)?;
    let index: Value = serde_json::from_slice(&std::fs::read(from.join("index.json"))?)?;
    let mut offered = vec![];
    for entry in index.as_array().into_iter().flatten() {
        // The readers' models bring no data of their own beside them.
        let named =
            if names.is_empty() { entry["chosen"] == true } else { names.iter().any(|name| entry["name"] == **name) };
        if !named && !entry["external"].is_null() {
            continue;
        }
        let mut entry = entry.clone();
        entry["shapes"] = json!([]);
        let copy = |file: &str| put(&to.join(file), &std::fs::read(from.join(file)).with_context(|| file.to_owned())?);
        let moved = |url: &mut Value| -> Result<()> {
            let file = url.as_str().and_then(|url| url.rsplit('/').next()).context("a file without a name")?.to_owned();
            copy(&file)?;
            *url = json!(format!("models/{file}"));
            Ok(())
        };
        moved(&mut entry["url"])?;
        for input in entry["inputs"].as_array_mut().into_iter().flatten() {
            moved(&mut input["url"])?;
        }
        for file in entry["external"].as_array().into_iter().flatten() {
            copy(file.as_str().unwrap_or_default())?;
        }
        offered.push(entry);
    }
    for entry in std::fs::read_dir(from)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // What is known of answers stands beside models, and whose they are.
        if (name.ends_with(".json") && name != "index.json") || name.ends_with(".txt") {
            put(&to.join(&name), &std::fs::read(entry.path())?)?;
        }
    }
    put(&to.join("index.json"), serde_json::to_string(&offered)?.as_bytes())
}

fn copied(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())?.flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if LEFT.iter().any(|left| entry.file_name() == *left) {
            continue;
        }
        if path.is_dir() {
            copied(&path, &target)?;
        } else {
            put(&target, &std::fs::read(&path)?)?;
        }
    }
    Ok(())
}

/// Every file below `folder`, as its path from `root`, in order.
fn below(folder: &Path, root: &Path) -> Result<Vec<String>> {
    let mut files = vec![];
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files.extend(below(&path, root)?);
        } else {
            files.push(path.strip_prefix(root)?.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(files)
}

/// Builds the page, serves it below a path without any header of ours, has it read its samples, takes the site away, and has it read
/// them again.
pub fn tested(root: &Path, browser: Browser) -> Result<String> {
    let home = root.join("target/site").join(browser.id());
    let (site, away) = (home.join("some/where"), home.join("away"));
    let _ = std::fs::remove_dir_all(&home);
    build(root, &site, &["squeezenet1_1".to_owned()])?;
    let port = folders(std::slice::from_ref(&home), "")?.port;
    let url = format!("http://127.0.0.1:{port}/some/where/?drive=read");
    let other = Drive { root, browser, webgpu: true, url: format!("{url}&peer=wasm"), screenshots: vec![] };
    let drive = Drive { root, browser, webgpu: true, url, screenshots: vec![] };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let session = Session::start(root, browser, true).await?;
        let tested = async {
            let here = drive.within(&session, MOST).await.context("served below a path")?;
            read(&here)?;
            let compared = other.within(&session, MOST).await.context("with another runtime beside ours")?;
            has(&compared, &["Median of", "onnxruntime-web"])?;
            std::fs::rename(&site, &away)?;
            let gone = other.within(&session, MOST).await.context("once its site is gone")?;
            read(&gone)?;
            // What is fetched at a click is not kept.
            has(&gone, &["could not be compared"])
        };
        let end = tested.await;
        session.close().await;
        end
    })?;
    std::fs::remove_dir_all(&home)?;
    Ok("a static build below a path reads its samples, also once its site is gone, and puts another runtime beside ours".to_owned())
}

/// What the page said of both samples.
fn read(told: &Value) -> Result<()> {
    has(told, &["6 lines of text, 2 faces", "1 stretch of speech"])
}

fn has(told: &Value, parts: &[&str]) -> Result<()> {
    let told = told.to_string();
    match parts.iter().find(|part| !told.contains(**part)) {
        Some(part) => bail!("'{part}' is not in {told}"),
        None => Ok(()),
    }
}
