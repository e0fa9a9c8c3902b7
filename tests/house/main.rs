//! The house rules that a compiler does not check: rooms use only lower rooms, every file says what it knows, none
//! grows beyond what can be read at once.
#![cfg(not(target_arch = "wasm32"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod files;
mod surface;

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
    ("processor", &["error", "graph", "kernels", "memory", "program"]),
    ("lane", &["error", "graph", "kernels", "memory", "processor", "program"]),
    ("predict", &["error", "kernels", "program"]),
    ("records", &["error", "predict"]),
    ("refine", &["error", "kernels", "predict", "program", "records"]),
    ("pool", &["error", "graph", "kernels", "lane", "memory", "onnx", "predict", "program", "records", "refine"]),
    ("browser", &["error"]),
    ("js", &["browser", "error", "graph", "onnx", "pool", "predict"]),
];
/// Most lines of a file.
const LINES: usize = 500;

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

/// Files by their path from `root`.
fn crate_files(root: &str) -> Vec<(String, String)> {
    let own = |(file, text): (String, String)| (file.trim_start_matches(root).trim_start_matches('/').to_owned(), text);
    sources(&[root]).into_iter().map(own).collect()
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    for root in ["src", "conformance/src", "models/src", "webdriver/src"] {
        let uses = files::uses(&crate_files(root));
        assert!(uses.values().any(|used| !used.is_empty()), "what the files of {root} use was not found");
        if let Some(circle) = files::circle(&uses) {
            panic!("in {root} each of these files uses the next, and the last the first:\n{}", circle.join("\n"));
        }
    }
}

/// Files outside a lane's own folder that use it or say its name: only `lane/open.rs` may.
fn namers(files: &[(String, String)]) -> Vec<String> {
    let lane = |file: &str| Some(file.strip_prefix("lane/")?.split_once('/')?.0.to_owned());
    let lanes: std::collections::BTreeSet<String> = files.iter().filter_map(|(file, _)| lane(file)).collect();
    let uses = files::uses(files);
    let mut faults = vec![];
    // The crate's features are named as what they bring.
    for (file, text) in files.iter().filter(|(file, _)| file != "lane/open.rs" && file != "lib.rs") {
        let own = lane(file);
        let others =
            uses.get(file).into_iter().flatten().filter(|other| lane(other).is_some_and(|l| own.as_ref() != Some(&l)));
        faults.extend(others.map(|other| format!("{file} uses {other}: it may know lanes by their interface only")));
        // WebNN has devices of the same names, and who asks for these knows no lane.
        let about_lanes = !file.starts_with("browser/");
        let said =
            lanes.iter().filter(|l| about_lanes && own.as_ref() != Some(l) && text.contains(&format!("\"{l}\"")));
        faults.extend(said.map(|l| format!("{file} says \"{l}\": which lanes there are is for lane/open.rs")));
    }
    faults
}

#[test]
fn nothing_above_lanes_names_one() {
    let faults = namers(&crate_files("src"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn who_names_a_lane_is_found() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let crate_of = |pool: &str| {
        namers(&[
            file("lib.rs", "pub mod lane; pub mod pool;"),
            file("lane/mod.rs", "mod fast; mod open; pub use fast::Fast; pub use open::open;"),
            file("lane/open.rs", "use super::fast::Fast; pub fn open() -> Fast { Fast }"),
            file("lane/fast/mod.rs", "mod inner; pub use inner::Fast;"),
            file("lane/fast/inner.rs", "pub struct Fast; const NAME: &str = \"fast\";"),
            file("pool/mod.rs", pool),
        ])
    };
    assert_eq!(crate_of("use crate::lane::open; fn pool() { open(); }"), Vec::<String>::new());
    assert_eq!(crate_of("use crate::lane::Fast; struct Pool(Fast);").len(), 1, "by a re-export");
    assert_eq!(crate_of("fn preferred() -> &'static str { \"fast\" }").len(), 1, "by its name");
}

/// Families of operators that know another, downwards and by name; all know `base`.
const FAMILIES: &[(&str, &[&str])] =
    &[("attention", &["product", "softmax"]), ("convolution", &["product"]), ("movement", &["product"])];

/// What files of a family use of a family that they must not know.
fn strangers(uses: &files::Uses) -> Vec<String> {
    let family = |file: &str| file.strip_prefix("kernels/")?.split_once('/').map(|(family, _)| family.to_owned());
    let mut faults = vec![];
    for (file, used) in uses {
        let Some(own) = family(file) else { continue };
        let may = FAMILIES.iter().find(|(name, _)| *name == own).map_or(&[][..], |(_, may)| may);
        let known = |other: &String| *other == own || other == "base" && own != "base" || may.contains(&other.as_str());
        let others = used.iter().filter(|other| family(other).is_some_and(|other| !known(&other)));
        faults.extend(others.map(|other| format!("{file} uses {other}, of a family that '{own}' must not know")));
    }
    faults
}

#[test]
fn a_family_of_operators_knows_only_those_below_it() {
    let faults = strangers(&files::uses(&crate_files("src")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_family_that_knows_another_is_found() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let crate_of = [
        file("kernels/base/map.rs", "use crate::kernels::resize::fraction;"),
        file("kernels/convolution/mod.rs", "use crate::kernels::product::Product; use crate::kernels::base::map;"),
        file("kernels/product/mod.rs", "pub struct Product; fn f() { crate::kernels::convolution::f() }"),
        file("kernels/resize/mod.rs", "pub fn fraction() {}"),
        file("kernels/mod.rs", "pub mod base; pub mod convolution; pub mod product; pub mod resize;"),
    ];
    let faults = strangers(&files::uses(&crate_of));
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("kernels/base/map.rs") && faults[1].starts_with("kernels/product/mod.rs"));
}

#[test]
fn a_circle_is_found_through_names_that_are_passed_on() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let mut crate_of = vec![
        file("lib.rs", "mod room; mod other;"),
        file("other.rs", "use crate::room::{Low, high}; fn f() { high::g(Low) }"),
        file("room/mod.rs", "mod low; pub mod high; pub use low::Low;"),
        file("room/low.rs", "pub struct Low;"),
        file("room/high.rs", "use super::Low; pub fn g(_: Low) {}"),
    ];
    let uses = files::uses(&crate_of);
    assert_eq!(uses["other.rs"].iter().collect::<Vec<_>>(), ["room/high.rs", "room/low.rs"]);
    assert_eq!(files::circle(&uses), None);
    crate_of[3].1 = "pub struct Low; fn f() { super::high::g(Low) }".to_owned();
    let circle = files::circle(&files::uses(&crate_of)).unwrap();
    assert_eq!(circle, ["room/high.rs", "room/low.rs"]);
}

#[test]
fn every_file_says_what_it_is_and_can_be_read_at_once() {
    let mut faults = vec![];
    for (file, text) in sources(&["src", "tests", "conformance", "models/src", "webdriver/src"]) {
        if !text.starts_with("//! ") {
            faults.push(format!("{file} lacks its opening doc: what it is, what it knows, what it must never know"));
        }
        let room = file.starts_with("src/") && file.ends_with("/mod.rs");
        let opening = text.lines().take_while(|line| line.starts_with("//!"));
        if room && !opening.collect::<String>().contains("must never") {
            faults.push(format!("{file} does not open with what its room must never know or decide"));
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
