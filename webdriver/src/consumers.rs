//! `cargo verify --consumers`: the npm package in people's tools: packed, installed, built with and driven in real browsers.
//! Knows npm, tools and servers; must never know what a page does with the package.

use crate::browsers::{Browser, Extension, Session};
use crate::drive::Drive;
use crate::serve::{ISOLATED, folders};
use crate::setup::install;
use crate::tools::{put, quietly};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The model that every consumer runs: the smallest of the workload.
const MODEL: &str = "face_rnet";
/// What a page takes at most, on a machine that is busy with others.
const MOST: Duration = Duration::from_secs(60);

/// What is built and looked over, by scripts of these names in `tests/consumers/package.json`.
const BUILDS: &[&str] =
    &["publint", "types", "typescript", "node", "extension", "vite", "vite-7", "webpack", "next", "next-webpack"];

/// Whose page, where its site lies below `target/consumers`, which is served too, its address there, and headers of every answer.
/// In both of these `CDN` stands for another origin that has the package.
type Page = (&'static str, &'static str, &'static str, &'static str);

const PAGES: &[Page] = &[
    ("static", "", "static/", ""),
    ("static, isolated", "", "static/", ISOLATED),
    ("web-worker", "", "web-worker/", ""),
    ("csp", "", "csp/", "Content-Security-Policy: script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'\r\n"),
    (
        "csp, strict",
        "",
        "csp/",
        "Content-Security-Policy: script-src 'nonce-consumer' 'strict-dynamic' 'wasm-unsafe-eval'\r\n",
    ),
    (
        "csp, no workers",
        "",
        "csp/?alone",
        "Content-Security-Policy: script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'\r\n",
    ),
    ("cross-origin", "", "cross-origin/?from=CDN", ""),
    ("cross-origin, isolated", "", "cross-origin/?from=CDN&isolated", ISOLATED),
    ("cross-origin, csp", "", "cross-origin/?from=CDN&alone", STRICT),
    ("vite", "vite/dist", "", ""),
    ("vite-7", "vite/dist-7", "", ""),
    ("webpack", "webpack", "", ""),
    ("next", "next/out", "", ""),
    ("next, by webpack", "next-webpack/out", "", ""),
];

/// What no tool looks for, and whoever has the package must find in it.
const BROUGHT: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT", "LICENSE-THIRD-PARTY", "README.md"];

/// How browsers know the extension, as its manifest says; Firefox is told a number.
const KEY_ID: &str = "hblcfklmfeagdjlogpfcinmokekphinh";
const GECKO_ID: &str = "consumer@consort.test";
const UUID: &str = "7e9a4d52-6c0b-4b8e-9d57-2f1c3a5b8e60";

/// A policy that lets a page have another origin's modules, and no worker but its own files.
const STRICT: &str = "Content-Security-Policy: script-src 'self' CDN 'wasm-unsafe-eval'; worker-src 'self'\r\n";
/// What another origin must say for anyone to take modules from it.
const SHARED: &str = "Access-Control-Allow-Origin: *\r\n";

/// Packs the package, installs and builds with it, and drives every consumer in each of `browsers`.
pub fn consumers(root: &Path, browsers: &[Browser]) -> Result<()> {
    let home = root.join("target/consumers");
    std::fs::create_dir_all(&home)?;
    let from = root.join("tests/consumers");
    install(&from, &home)?;
    let tarball = packed(root, &home)?;
    unpacked(&tarball, &home)?;
    published(root, &home)?;
    copied(&from, &home)?;
    model(root, &home)?;
    readmes(root, &home)?;
    let sources = digest(&[&from, &tarball, &home.join("model")])?;
    BUILDS.iter().try_for_each(|name| built(&home, name, &sources))?;
    let cdn = format!("http://127.0.0.1:{}", folders(std::slice::from_ref(&home), SHARED)?.port);
    let mut served = vec![];
    for &(name, site, address, headers) in PAGES {
        let port = folders(&[home.join(site), home.clone()], &headers.replace("CDN", &cdn))?.port;
        served.push((name, format!("http://127.0.0.1:{port}/{}", address.replace("CDN", &cdn))));
    }
    let development = Development::start(&home)?;
    served.push(("vite, in development", format!("http://127.0.0.1:{}/?model={cdn}/model/", development.port)));
    // Side by side: a browser that starts waits more than it computes.
    let ends: Vec<Result<()>> = std::thread::scope(|scope| {
        let served = &served;
        let running: Vec<_> =
            browsers.iter().map(|&browser| scope.spawn(move || driven(root, browser, served))).collect();
        let panicked = |_| Err(anyhow!("the driver of a browser panicked"));
        running.into_iter().map(|one| one.join().unwrap_or_else(panicked)).collect()
    });
    ends.into_iter().collect()
}

/// Vite's server, by which a page is written; it ends with its owner.
struct Development {
    port: u16,
    server: Child,
}

impl Development {
    fn start(home: &Path) -> Result<Development> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        // What it made of an older package it would not make again.
        let arguments =
            ["node_modules/vite/bin/vite.js", "vite", "--force", "--strictPort", "--host", "127.0.0.1", "--port"];
        let mut node = Command::new("node");
        node.current_dir(home).args(arguments).arg(port.to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        let mut development = Development { port, server: node.spawn().context("could not start Vite")? };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if since.elapsed() > MOST || development.server.try_wait()?.is_some() {
                bail!("Vite's server does not answer");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(development)
    }
}

impl Drop for Development {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Every page, one after another in one browser, a line for each; fails where any does, after all.
fn driven(root: &Path, browser: Browser, served: &[(&str, String)]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let folder = std::fs::canonicalize(root.join("target/consumers/extension"))?;
        let extension = Extension { folder: &folder, key_id: KEY_ID, gecko_id: GECKO_ID, uuid: UUID };
        // Its way of being headless has no extensions, and what is served as it is the other Chromium shows.
        let webnn = browser == Browser::ChromiumWebnn;
        let session = Session::with(root, browser, true, Some(&extension).filter(|_| !webnn)).await?;
        let page = ("extension", format!("{}page.html", extension.address(browser)));
        let mut failed = vec![];
        let built = |name: &&str| PAGES.iter().any(|(page, site, ..)| page == name && !site.is_empty());
        for (name, url) in served.iter().chain([&page]).filter(|(name, _)| !webnn || built(name)) {
            let since = Instant::now();
            let drive = Drive { root, browser, webgpu: true, url: url.clone(), screenshots: vec![] };
            let end = drive.within(&session, MOST).await;
            let took = since.elapsed().as_millis();
            match end {
                Ok(told) => println!("{browser:9} ok    {name}: {} ({took} ms)", told.as_str().unwrap_or_default()),
                Err(error) => {
                    println!("{browser:9} FAIL  {name}: {error:#} ({took} ms)");
                    failed.push(*name);
                }
            }
        }
        session.close().await;
        if failed.is_empty() { Ok(()) } else { bail!("{browser}: failed: {}", failed.join("; ")) }
    })
}

/// npm where the package is.
fn npm(root: &Path, arguments: &[&str]) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(root.join("pkg")).args(arguments);
    npm
}

/// What a command that does not fail prints, and what it tells beside.
fn heard(command: &mut Command) -> Result<(String, String)> {
    let output = command.output().with_context(|| format!("could not start {command:?}"))?;
    let [said, beside] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    if !output.status.success() {
        bail!("{}: {command:?}\n{said}\n{beside}", output.status);
    }
    Ok((said, beside))
}

/// The tarball that npm would publish.
fn packed(root: &Path, home: &Path) -> Result<PathBuf> {
    let mut npm = npm(root, &["pack", "--silent", "--pack-destination"]);
    let (said, _) = heard(npm.arg(home))?;
    let file = said.lines().last().context("npm pack names no file")?;
    let tarball = home.join("consort-ml.tgz");
    std::fs::rename(home.join(file), &tarball)?;
    Ok(tarball)
}

/// npm would publish it without a word, with its licences, and nobody who installs it gets more than it: there is nothing to audit.
fn published(root: &Path, home: &Path) -> Result<()> {
    let (_, told) = heard(&mut npm(root, &["publish", "--dry-run"]))?;
    // Who is logged in is for whoever publishes.
    if let Some(warning) = told.lines().find(|line| line.starts_with("npm warn") && !line.contains("logged in")) {
        bail!("npm publish --dry-run: {warning}");
    }
    let package = home.join("node_modules/consort-ml");
    if let Some(lacks) = BROUGHT.iter().find(|file| !package.join(file).is_file()) {
        bail!("the package lacks {lacks}");
    }
    let manifest: Value = serde_json::from_slice(&std::fs::read(package.join("package.json"))?)?;
    let more =
        ["dependencies", "optionalDependencies", "peerDependencies"].into_iter().find(|of| !manifest[of].is_null());
    more.map_or(Ok(()), |of| bail!("the package has {of}: whoever installs it gets more than was looked over"))
}

/// Puts the tarball's content where npm would, unless it is there.
fn unpacked(tarball: &Path, home: &Path) -> Result<()> {
    let (package, stamp) = (home.join("node_modules/consort-ml"), home.join("unpacked.tgz"));
    let bytes = std::fs::read(tarball)?;
    if package.is_dir() && std::fs::read(&stamp).is_ok_and(|before| before == bytes) {
        return Ok(());
    }
    // A folder that is not there is no obstacle.
    let _ = std::fs::remove_dir_all(&package);
    let part = home.join("part");
    let _ = std::fs::remove_dir_all(&part);
    tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice())).unpack(&part)?;
    // All of a tarball of npm's lies in that folder.
    std::fs::rename(part.join("package"), &package)?;
    put(&stamp, &bytes)
}

/// Copies the consumers' own files, which find the package from there.
fn copied(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)?.flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copied(&path, &target)?;
        } else {
            put(&target, &std::fs::read(&path)?)?;
        }
    }
    Ok(())
}

/// Writes the model, its inputs and its golden for pages to fetch.
fn model(root: &Path, home: &Path) -> Result<()> {
    let (models, to) = (root.join("target/models"), home.join("model"));
    let index: Value = serde_json::from_slice(&std::fs::read(models.join("index.json"))?)?;
    let entry = index.as_array().into_iter().flatten().find(|entry| entry["name"] == MODEL);
    let entry = entry.with_context(|| format!("there is no model {MODEL}"))?;
    std::fs::create_dir_all(&to)?;
    let copy = |url: &Value| -> Result<String> {
        let name = url.as_str().and_then(|url| url.rsplit('/').next()).context("a file without a name")?;
        put(&to.join(name), &std::fs::read(models.join(name))?)?;
        Ok(name.to_owned())
    };
    let mut inputs = vec![];
    for input in entry["inputs"].as_array().into_iter().flatten() {
        inputs.push(json!({ "name": input["name"], "dims": input["dims"], "file": copy(&input["url"])? }));
    }
    let told = json!({ "file": copy(&entry["url"])?, "inputs": inputs, "golden": entry["golden"] });
    put(&to.join("golden.json"), serde_json::to_string(&told)?.as_bytes())
}

/// What everything that is built is made of, as a number that is another where any of it is.
fn digest(sources: &[&Path]) -> Result<String> {
    fn add(path: &Path, hasher: &mut DefaultHasher) -> Result<()> {
        if !path.is_dir() {
            std::fs::read(path)?.hash(hasher);
            return Ok(());
        }
        let mut below: Vec<PathBuf> = std::fs::read_dir(path)?.flatten().map(|entry| entry.path()).collect();
        below.sort();
        below.hash(hasher);
        below.iter().try_for_each(|path| add(path, hasher))
    }
    let mut hasher = DefaultHasher::new();
    sources.iter().try_for_each(|path| add(path, &mut hasher))?;
    Ok(format!("{:016x}", hasher.finish()))
}

/// Builds one consumer, unless it was built of the same.
fn built(home: &Path, name: &str, sources: &str) -> Result<()> {
    let stamp = home.join(format!("{name}.built"));
    if std::fs::read(&stamp).is_ok_and(|before| before == sources.as_bytes()) {
        return Ok(());
    }
    let since = Instant::now();
    let mut npm = Command::new("npm");
    npm.current_dir(home).env("NEXT_TELEMETRY_DISABLED", "1").args(["run", "--silent", name]);
    quietly(&mut npm)?;
    println!("          built {name} ({} ms)", since.elapsed().as_millis());
    put(&stamp, sources.as_bytes())
}

/// The readmes of the package and of the repository begin with an example, which must do as it is pasted beside two models.
fn readmes(root: &Path, home: &Path) -> Result<()> {
    let page = home.join("static");
    for (readme, name) in
        [(home.join("node_modules/consort-ml/README.md"), "readme.js"), (root.join("README.md"), "root-readme.js")]
    {
        let text = std::fs::read_to_string(&readme)?;
        let example = text.split("```js\n").nth(1).and_then(|rest| rest.split("```").next());
        let example = example.with_context(|| format!("{} has no example", readme.display()))?;
        put(&page.join(name), example.as_bytes())?;
    }
    quietly(Command::new("node").arg(root.join("tests/consumers/static/models.mjs")).arg(&page))?;
    for name in ["first", "second"] {
        put(&page.join(format!("{name}.onnx")), &std::fs::read(home.join(format!("model/{MODEL}.onnx")))?)?;
    }
    Ok(())
}
