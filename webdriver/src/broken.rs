//! A server that does to files what networks and hosts do: below `/broken/` each file comes as the query says. Of the requests that
//! have one `id` the first `times` (1 where it is not said) are treated so:
//!
//! `cut=B` the connection ends after B bytes of the body; `stall=B` no byte comes after B, and none after the head where B is 0;
//! `silent` not even a head comes; `status=S` this status; `html` a page in place of the file; `length=N` the head states N bytes more
//! than come, or fewer. And all of them: `change=PATH` from the second request on the file is another; `ranges=none`, or `blind`: a part
//! comes whatever version was asked for; `etag=weak`, or `none`; `modified=none`; `gzip` encoded, with its length; `fresh=S` may be kept
//! so many seconds; `store=none` may not be kept; `cors` for other origins, which may ask nothing but what needs no leave.
//! `/broken/log?id=…` says what was asked and answered.
//!
//! Knows HTTP; must never know who asks.

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A stalled connection is held so long at most.
const HELD: Duration = Duration::from_secs(30);

/// A request as it was read.
pub struct Asked<'a> {
    /// `GET`, `HEAD`, …
    pub method: &'a str,
    /// Path and query.
    pub url: &'a str,
    /// By their names in small letters.
    pub headers: &'a HashMap<String, String>,
}

impl Asked<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What was asked under each id, and what was answered.
#[derive(Default)]
pub struct Logs(Mutex<HashMap<String, Vec<Value>>>);

impl Logs {
    fn begun(&self, id: &str, entry: Value) -> usize {
        let mut logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let log = logs.entry(id.to_owned()).or_default();
        log.push(entry);
        log.len() - 1
    }

    /// So many bytes of a body were sent by now.
    fn sent(&self, id: &str, at: usize, status: u16, bytes: usize) {
        let mut logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = logs.get_mut(id).and_then(|log| log.get_mut(at)) {
            entry["status"] = status.into();
            entry["bytes"] = bytes.into();
        }
    }

    fn of(&self, id: &str) -> Value {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned().unwrap_or_default().into()
    }
}

/// What a query asks for.
struct Wish<'a>(HashMap<&'a str, &'a str>);

impl<'a> Wish<'a> {
    fn of(url: &'a str) -> Wish<'a> {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        Wish(query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.0.get(name) == Some(&value)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.parse().ok()
    }
}

/// What is sent: a head, a body of which so many bytes come, and whether the connection is held open then.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    comes: usize,
    held: bool,
}

/// Answers what is asked below `/broken`, each time with `headers` besides; `file` has the bytes behind a path.
pub fn answer(
    asked: &Asked,
    file: &dyn Fn(&str) -> Option<Vec<u8>>,
    headers: &str,
    logs: &Logs,
    stream: &TcpStream,
) -> std::io::Result<()> {
    let (path, wish) = (asked.url.split('?').next().unwrap_or(""), Wish::of(asked.url));
    let id = wish.0.get("id").copied().unwrap_or_default();
    if path == "/broken/log" {
        let body = logs.of(id).to_string().into_bytes();
        let comes = body.len();
        let own = vec![("Content-Type", "application/json".to_owned()), ("Content-Length", comes.to_string())];
        let answer = Answer { status: 200, headers: own, body, comes, held: false };
        return send(stream, asked, headers, &answer, &mut |_| ());
    }
    let asks = |name| asked.header(name).map_or(Value::Null, Value::from);
    let entry = json!({
        "method": asked.method, "path": path, "range": asks("range"), "ifRange": asks("if-range"),
        "ifNoneMatch": asks("if-none-match"), "ifModifiedSince": asks("if-modified-since"),
    });
    let at = logs.begun(id, entry);
    let broken = (at as i64) < wish.number("times").unwrap_or(1);
    if broken && wish.has("silent") {
        logs.sent(id, at, 0, 0);
        return hold(stream);
    }
    let path = path.trim_start_matches("/broken");
    let path = wish.0.get("change").filter(|_| at > 0).copied().unwrap_or(path);
    let answer = answered(asked, &wish, broken, file(path));
    logs.sent(id, at, answer.status, 0);
    send(stream, asked, headers, &answer, &mut |sent| logs.sent(id, at, answer.status, sent))?;
    if answer.held {
        return hold(stream);
    }
    stream.shutdown(std::net::Shutdown::Write)
}

/// What the file is answered with.
fn answered(asked: &Asked, wish: &Wish, broken: bool, file: Option<Vec<u8>>) -> Answer {
    let mut headers = vec![];
    if wish.has("cors") {
        headers.push(("Access-Control-Allow-Origin", "*".to_owned()));
        if wish.is("cors", "exposed") {
            headers.push(("Access-Control-Expose-Headers", "ETag, Content-Range, Accept-Ranges".to_owned()));
        }
    }
    let cache = match wish.number("fresh") {
        _ if wish.is("store", "none") => "no-store".to_owned(),
        Some(seconds) => format!("max-age={seconds}"),
        None => "no-cache".to_owned(),
    };
    headers.push(("Cache-Control", cache));
    let plain = |status: u16, mut headers: Vec<_>, mime: &str, body: Vec<u8>| {
        headers.extend([("Content-Type", mime.to_owned()), ("Content-Length", body.len().to_string())]);
        Answer { status, headers, comes: body.len(), body, held: false }
    };
    if !["GET", "HEAD"].contains(&asked.method) {
        return plain(405, headers, "text/plain", b"only GET and HEAD\n".to_vec());
    }
    if let Some(status) = wish.number("status").filter(|_| broken) {
        return plain(status as u16, headers, "text/plain", b"not now\n".to_vec());
    }
    if broken && wish.has("html") {
        return plain(200, headers, "text/html; charset=utf-8", b"<!doctype html>\n<title>Sign in</title>\n".to_vec());
    }
    let Some(body) = file else { return plain(404, headers, "text/plain", b"there is no such file\n".to_vec()) };
    let (tag, when) = version(&body, wish);
    headers.extend(tag.iter().map(|tag| ("ETag", tag.clone())));
    headers.extend(when.iter().map(|when| ("Last-Modified", when.clone())));
    let known = match (asked.header("if-none-match"), asked.header("if-modified-since")) {
        (Some(asked), _) => {
            tag.as_deref().is_some_and(|tag| asked.trim_start_matches("W/") == tag.trim_start_matches("W/"))
        }
        (None, since) => since.is_some() && since == when.as_deref(),
    };
    if known {
        return Answer { status: 304, headers, body: vec![], comes: 0, held: false };
    }
    let whole = body.len();
    let ranged = asked.header("range").filter(|_| !wish.is("ranges", "none")).filter(|_| {
        let asked = asked.header("if-range");
        wish.is("ranges", "blind") || asked.is_none_or(|asked| [tag.as_deref(), when.as_deref()].contains(&Some(asked)))
    });
    let from = ranged.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    headers.push(("Accept-Ranges", if wish.is("ranges", "none") { "none" } else { "bytes" }.to_owned()));
    headers.push(("Content-Type", "application/octet-stream".to_owned()));
    let (status, body) = match from {
        Some(from) if from >= whole => {
            headers.extend([("Content-Range", format!("bytes */{whole}")), ("Content-Length", "0".to_owned())]);
            return Answer { status: 416, headers, body: vec![], comes: 0, held: false };
        }
        Some(from) => {
            headers.push(("Content-Range", format!("bytes {from}-{}/{whole}", whole - 1)));
            (206, body.get(from..).unwrap_or_default().to_vec())
        }
        None if wish.has("gzip") => {
            headers.push(("Content-Encoding", "gzip".to_owned()));
            (200, zipped(&body))
        }
        None => (200, body),
    };
    let states = body.len() as i64 + wish.number("length").filter(|_| broken).unwrap_or(0);
    headers.push(("Content-Length", states.to_string()));
    let ends = |name| wish.number(name).filter(|_| broken).map(|bytes| (bytes as usize).min(body.len()));
    let comes = ends("cut").or(ends("stall")).unwrap_or(body.len());
    Answer { status, headers, comes, held: broken && wish.has("stall"), body }
}

/// Names of a file's version: of its bytes, and a time that differs with them.
fn version(body: &[u8], wish: &Wish) -> (Option<String>, Option<String>) {
    let hash = body
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let tag =
        (!wish.is("etag", "none")).then(|| format!("{}\"{hash:x}\"", if wish.is("etag", "weak") { "W/" } else { "" }));
    let when = format!("Tue, {:02} Jan 2024 {:02}:00:00 GMT", 1 + hash % 28, hash / 28 % 24);
    (tag, (!wish.is("modified", "none")).then_some(when))
}

fn zipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

fn send(
    mut stream: &TcpStream,
    asked: &Asked,
    headers: &str,
    answer: &Answer,
    sent: &mut dyn FnMut(usize),
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Broken\r\n{headers}", answer.status);
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "Connection: close\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    if asked.method == "HEAD" {
        return Ok(());
    }
    let mut before = 0;
    for piece in answer.body.get(..answer.comes).unwrap_or_default().chunks(1 << 16) {
        stream.write_all(piece)?;
        before += piece.len();
        sent(before);
    }
    Ok(())
}

/// Keeps a connection until whoever asked goes.
fn hold(mut stream: &TcpStream) -> std::io::Result<()> {
    let since = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    while since.elapsed() < HELD {
        match stream.read(&mut [0; 64]) {
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            // It has gone.
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str, headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let asked = Asked { method: "GET", url, headers: &headers };
        answered(&asked, &Wish::of(url), true, Some(b"0123456789".to_vec()))
    }

    fn header(answer: &Answer, name: &str) -> Option<String> {
        answer.headers.iter().find(|(of, _)| *of == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn a_part_is_what_is_left_of_the_version_that_was_asked_for() {
        let whole = of("/broken/f", &[]);
        let tag = header(&whole, "ETag").unwrap_or_default();
        let part = of("/broken/f", &[("range", "bytes=4-"), ("if-range", &tag)]);
        assert_eq!((part.status, part.body.as_slice()), (206, &b"456789"[..]));
        assert_eq!(header(&part, "Content-Range").as_deref(), Some("bytes 4-9/10"));
        assert_eq!(of("/broken/f", &[("range", "bytes=4-"), ("if-range", "\"other\"")]).status, 200);
        assert_eq!(of("/broken/f", &[("range", "bytes=10-")]).status, 416);
        assert_eq!(of("/broken/f", &[("if-none-match", &tag)]).status, 304);
    }

    #[test]
    fn what_breaks_is_as_the_query_says() {
        assert_eq!(of("/broken/f?cut=3", &[]).comes, 3);
        let stalled = of("/broken/f?stall=0", &[]);
        assert!(stalled.held && stalled.comes == 0);
        assert_eq!(header(&of("/broken/f?length=-2", &[]), "Content-Length").as_deref(), Some("8"));
        assert!(of("/broken/f?html", &[]).body.starts_with(b"<!doctype html>"));
    }
}
