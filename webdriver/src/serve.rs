//! A static server of the page, the package, the models and the browser tests, on this machine only.

use crate::package::conformance;
use crate::setup::{npm_packages, peers};
use anyhow::{Result, anyhow};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use tiny_http::{Header, Response, Server};

/// Requests that are answered at once; a browser opens six connections.
const THREADS: usize = 6;

/// The running server; it ends with the program.
pub struct Serving {
    /// Where it listens.
    pub port: u16,
}

/// Serves below `root` on `port`, or on a free one.
pub fn serve(root: &Path, port: Option<u16>) -> Result<Serving> {
    let server = Server::http(("127.0.0.1", port.unwrap_or(0))).map_err(|e| anyhow!("cannot serve: {e}"))?;
    let port = server.server_addr().to_ip().map_or(0, |a| a.port());
    let server = Arc::new(server);
    for _ in 0..THREADS {
        let (server, root) = (Arc::clone(&server), root.to_owned());
        std::thread::spawn(move || {
            for request in server.incoming_requests() {
                let answer = answer(&root, request.url());
                // A browser that has gone away is no fault.
                let _ = request.respond(answer);
            }
        });
    }
    Ok(Serving { port })
}

fn answer(root: &Path, url: &str) -> Response<std::io::Cursor<Vec<u8>>> {
    let found = place(root, url).and_then(|path| Some((std::fs::read(&path).ok()?, mime(&path))));
    let (status, body, mime) = match found {
        Some((body, mime)) => (200, body, mime),
        None => (404, format!("there is no {url}\n").into_bytes(), "text/plain; charset=utf-8"),
    };
    let headers = [
        ("Content-Type", mime),
        ("Cache-Control", "no-store"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Embedder-Policy", "require-corp"),
    ];
    let mut response = Response::from_data(body).with_status_code(status).with_chunked_threshold(usize::MAX);
    for (name, value) in headers {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    response
}

/// The file behind a URL; none outside the folders that are served.
fn place(root: &Path, url: &str) -> Option<PathBuf> {
    let path = url.split(['?', '#']).next().unwrap_or("").trim_start_matches('/');
    let inside = Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
    if !inside || path.contains('\\') {
        return None;
    }
    let (folder, rest) = path.split_once('/').unwrap_or(("", path));
    let (base, rest) = match folder {
        "pkg" => (root.join("pkg"), rest),
        "models" => (root.join("target/models"), rest),
        "conformance" => (conformance(root), rest),
        "vendor" => (npm_packages(root), vendored(rest)?),
        // Its npm packages lie below `npm`, its pages beside.
        "peers" => match rest.strip_prefix("npm/") {
            Some(rest) => (peers(root).join("node_modules"), rest),
            None => (root.join("webdriver/peers"), rest),
        },
        "tests" => (root.join("tests/browser"), rest),
        _ => (root.join("www"), path),
    };
    Some(base.join(if rest.is_empty() { "index.html" } else { rest }))
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
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
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
        for bad in
            ["/../Cargo.toml", "/pkg/../Cargo.toml", "//etc/passwd/..", "/pkg/..\\x", "/vendor/binaryen/index.js"]
        {
            assert_eq!(place(root, bad), None, "{bad}");
        }
    }
}
