//! The house rules that a compiler does not check: rooms use only lower rooms, every file says what it knows, none
//! grows beyond what can be read at once.
#![cfg(not(target_arch = "wasm32"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Each room with the rooms that it may use, from the lowest up. ARCHITECTURE.md draws the same map.
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("graph", &["error"]),
    ("onnx", &["error", "graph"]),
    ("kernels", &["error", "graph"]),
    ("memory", &["error", "graph"]),
    ("program", &["error", "graph", "kernels", "memory"]),
    ("lane", &["error", "graph", "kernels", "memory", "program"]),
    ("predict", &["error", "kernels", "program"]),
    ("records", &["error", "predict"]),
    ("refine", &["error", "kernels", "predict", "program", "records"]),
    ("pool", &["error", "graph", "kernels", "lane", "memory", "onnx", "predict", "program", "records", "refine"]),
    ("browser", &["error"]),
    ("js", &["browser", "error", "graph", "onnx", "pool", "predict"]),
];
/// Most lines of a file.
const LINES: usize = 600;

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of this crate") {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// Files of the given folders, by their path from the repository, with their text.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![];
    folders.iter().for_each(|folder| rust_files(&root.join(folder), &mut files));
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
    files.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// The rooms that `text` names by `crate::…` or `crate::{…, …}`.
fn used(text: &str) -> Vec<String> {
    let word = |rest: &str| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
    let named = |rest: &str| match rest.strip_prefix('{') {
        Some(list) => list.split('}').next().unwrap().split(',').map(|one| word(one.trim())).collect(),
        None => vec![word(rest)],
    };
    let mut rooms: Vec<String> =
        text.split("crate::").skip(1).flat_map(named).filter(|room: &String| !room.is_empty()).collect();
    rooms.sort();
    rooms.dedup();
    rooms
}

#[test]
fn no_room_uses_an_upper_one() {
    let allowed: BTreeMap<_, _> = ROOMS.iter().copied().collect();
    let mut faults = vec![];
    for (file, text) in sources(&["src"]) {
        let room = file.trim_start_matches("src/").split('/').next().unwrap().trim_end_matches(".rs");
        if room == "lib" {
            continue;
        }
        let Some(may) = allowed.get(room) else {
            faults.push(format!("{file}: the room '{room}' stands in no list: add it to ROOMS and ARCHITECTURE.md"));
            continue;
        };
        for other in used(&text).into_iter().filter(|other| other != room && !may.contains(&other.as_str())) {
            faults.push(format!("{file} uses '{other}', which '{room}' must not know: it may use {}", may.join(", ")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_map_has_no_circle() {
    for (at, (room, uses)) in ROOMS.iter().enumerate() {
        for other in *uses {
            let below = ROOMS[..at].iter().any(|(name, _)| name == other);
            assert!(below, "'{room}' may use '{other}', which does not stand below it");
        }
    }
}

#[test]
fn the_files_of_webdriver_have_no_circle() {
    let mut uses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, text) in sources(&["webdriver/src"]) {
        let name = file.trim_start_matches("webdriver/src/").split('/').next().unwrap().trim_end_matches(".rs");
        uses.entry(name.to_owned()).or_default().extend(used(&text).into_iter().filter(|other| other != name));
    }
    assert!(uses["demo"].contains(&"data".to_owned()), "what demo.rs uses was not found");
    // What uses nothing that is left stands at the bottom: taken away again and again, nothing may remain.
    while let Some(lowest) = uses.keys().find(|name| uses[*name].iter().all(|other| !uses.contains_key(other))) {
        let lowest = lowest.clone();
        uses.remove(&lowest);
    }
    assert!(uses.is_empty(), "each of these uses another, in a circle: {uses:?}");
}

#[test]
fn every_file_says_what_it_is_and_can_be_read_at_once() {
    let mut faults = vec![];
    for (file, text) in sources(&["src", "tests", "conformance", "models/src", "webdriver/src"]) {
        if !text.starts_with("//! ") {
            faults.push(format!("{file} lacks its opening doc: what it is, what it knows, what it must never know"));
        }
        if text.lines().count() > LINES {
            faults.push(format!("{file} has more than {LINES} lines: split it"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_map_of_architecture_names_every_room() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    for (room, _) in ROOMS {
        let named = text.contains(&format!("src/{room}"));
        assert!(named, "ARCHITECTURE.md does not name src/{room}");
    }
}
