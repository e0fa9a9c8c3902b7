//! Static servers, on this machine only: of the page, the package, the models and the browser tests, and of any one folder.

use crate::broken::{self, Asked, Logs};
use crate::node_tests;
use crate::package::conformance;
use crate::setup::{npm_packages, peers};
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The running server; it ends with the program.
pub struct Serving {
    /// Where it listens.
    pub port: u16,
    asked: Asks,
}

/// What a server was asked for, in its order.
type Asks = Arc<Mutex<Vec<String>>>;

impl Serving {
    /// The URLs that were asked for since this was last asked.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().map(|mut urls| std::mem::take(&mut *urls)).unwrap_or_default()
    }
}

/// What makes a page cross-origin isolated, so that its threads may share memory.
pub const ISOLATED: &str = "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Embedder-Policy: require-corp\r\n";

/// What the page fetches of onnxruntime-web, to put it beside ours.
pub const ONNXRUNTIME: [&str; 4] = [
    "ort.wasm.bundle.min.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.bundle.min.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
];

/// Where these are.
pub fn onnxruntime(root: &Path) -> PathBuf {
    peers(root).join("node_modules/onnxruntime-web/dist")
}

/// Where the file behind a URL lies; none where there is none to be had.
type Place = Box<dyn Fn(&str) -> Option<PathBuf> + Send + Sync>;

/// Serves below `root` on `port`, or on a free one.
pub fn serve(root: &Path, port: Option<u16>) -> Result<Serving> {
    let root = root.to_owned();
    // A test shows a picture of this server on a page of another origin.
    let headers = format!("{ISOLATED}Cross-Origin-Resource-Policy: cross-origin\r\n");
    listen(port, headers, Box::new(move |url| place(&root, url)))
}

/// Serves all of `folders`, of each file the first's, on a free port, each answer with these `headers`, of which every one ends its line.
pub fn folders(folders: &[PathBuf], headers: &str) -> Result<Serving> {
    let folders = folders.to_owned();
    let place = move |url: &str| {
        let path = inside(url)?;
        let index = if path.is_empty() || path.ends_with('/') { "index.html" } else { "" };
        folders.iter().map(|folder| folder.join(format!("{path}{index}"))).find(|file| file.is_file())
    };
    listen(None, headers.to_owned(), Box::new(place))
}

/// A thread for each connection, which ends with its answer: servers that keep connections in a pool of threads (tiny_http 0.12)
/// leave one unread now and then where a browser opens several at once, and the page never begins.
fn listen(port: Option<u16>, headers: String, place: Place) -> Result<Serving> {
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0))).context("cannot serve")?;
    let port = listener.local_addr()?.port();
    let (headers, place, logs, asked) =
        (Arc::new(headers), Arc::new(place), Arc::new(Logs::default()), Asks::default());
    let serving = Serving { port, asked: asked.clone() };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (headers, place, logs, asked) = (headers.clone(), place.clone(), logs.clone(), asked.clone());
            // A browser that has gone away is no fault.
            std::thread::spawn(move || drop(answer(&place, &headers, &logs, &asked, &stream)));
        }
    });
    Ok(serving)
}

/// Reads one request and answers it.
fn answer(place: &Place, headers: &str, logs: &Logs, asks: &Asks, mut stream: &TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut asked = HashMap::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            asked.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let mut words = first.split(' ');
    let (method, url) = (words.next().unwrap_or("GET"), words.next().unwrap_or("/"));
    if let Ok(mut urls) = asks.lock() {
        urls.push(url.to_owned());
    }
    if url.starts_with("/broken/") {
        let file = |path: &str| std::fs::read(place(path)?).ok();
        return broken::answer(&Asked { method, url, headers: &asked }, &file, headers, logs, stream);
    }
    let found = place(url).and_then(|path| Some((std::fs::read(&path).ok()?, mime(&path))));
    let (status, body, mime) = match found {
        Some((body, mime)) => ("200 OK", body, mime),
        None => ("404 Not Found", format!("there is no {url}\n").into_bytes(), "text/plain; charset=utf-8"),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {mime}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         {headers}Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    stream.shutdown(std::net::Shutdown::Write)
}

/// The file behind a URL; none outside the folders that are served.
pub fn place(root: &Path, url: &str) -> Option<PathBuf> {
    let path = inside(url)?;
    let (folder, rest) = path.split_once('/').unwrap_or(("", path));
    let (base, rest) = match folder {
        "pkg" => (root.join("pkg"), rest),
        "models" => (root.join("target/models"), rest),
        "conformance" => (conformance(root), rest),
        "node-tests" => (node_tests::home(root), rest),
        "vendor" => match rest.strip_prefix("onnxruntime-web/") {
            Some(file) if ONNXRUNTIME.contains(&file) => (onnxruntime(root), file),
            Some(_) => return None,
            None => (npm_packages(root), vendored(rest)?),
        },
        // Its npm packages lie below `npm`, its pages beside.
        "peers" => match rest.strip_prefix("npm/") {
            Some(rest) => (peers(root).join("node_modules"), rest),
            None => (root.join("webdriver/peers"), rest),
        },
        "accuracy" => (root.join("webdriver/accuracy"), rest),
        "tests" => (root.join("tests/browser"), rest),
        _ => (root.join("www"), path),
    };
    Some(base.join(if rest.is_empty() { "index.html" } else { rest }))
}

/// The path that a URL names, where it stays inside of what is served.
fn inside(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next().unwrap_or("").trim_start_matches('/');
    let inside = Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
    (inside && !path.contains('\\')).then_some(path)
}

/// The files of npm's packages that the page loads.
fn vendored(name: &str) -> Option<&'static str> {
    match name {
        "d3.min.js" => Some("d3/dist/d3.min.js"),
        "plot.umd.min.js" => Some("@observablehq/plot/dist/plot.umd.min.js"),
        _ => None,
    }
}

fn mime(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("txt") => "text/plain; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("webp") => "image/webp",
        Some("svg") => "image/svg+xml",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_served_folders_are_reached() {
        let root = Path::new("/r");
        assert_eq!(place(root, "/"), Some(PathBuf::from("/r/www/index.html")));
        assert_eq!(place(root, "/?drive=1"), Some(PathBuf::from("/r/www/index.html")));
        assert_eq!(place(root, "/pkg/index.js"), Some(PathBuf::from("/r/pkg/index.js")));
        assert_eq!(place(root, "/models/a.onnx"), Some(PathBuf::from("/r/target/models/a.onnx")));
        assert_eq!(place(root, "/tests/"), Some(PathBuf::from("/r/tests/browser/index.html")));
        let binary = PathBuf::from("/r/target/peers/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm");
        assert_eq!(place(root, "/vendor/onnxruntime-web/ort-wasm-simd-threaded.wasm"), Some(binary));
        for bad in [
            "/../Cargo.toml",
            "/pkg/../Cargo.toml",
            "//etc/passwd/..",
            "/pkg/..\\x",
            "/vendor/binaryen/index.js",
            "/vendor/onnxruntime-web/package.json",
        ] {
            assert_eq!(place(root, bad), None, "{bad}");
        }
    }
}
