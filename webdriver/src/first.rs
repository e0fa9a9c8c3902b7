//! `cargo peers --page first`: what a visitor waits for and fetches, from the import to the first result, beside the peers.
//! Each round is a browser of its own, in which all take turns; must never know how a model is run.

use crate::browsers::Browser;
use crate::drive::Drive;
use crate::serve::Serving;
use crate::tools::says;
use anyhow::{Context, Result, bail};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The model that ours must be so much sooner with.
pub const MODEL: &str = "mobilenet_v2";
/// Who takes turns; the first is ours.
const SIDES: [&str; 4] =
    ["consort", "onnxruntime-web webgpu", "onnxruntime-web wasm, 1 thread", "onnxruntime-web wasm, 2 threads"];
/// How ours must stand beside a peer of this name: the most that its time may be of the peer's, and its bytes.
const BARS: [(&str, f64, f64); 2] = [("onnxruntime-web webgpu", 0.5, 0.2), ("onnxruntime-web wasm", 0.8, 1.0 / 3.0)];

/// By this a page tells who asks from then on.
const BEGIN: &str = "/peers/realms.js?begin=";

/// What came out of one round, and what each fetched for it.
struct Round {
    sides: Vec<Value>,
    fetched: BTreeMap<String, BTreeSet<PathBuf>>,
}

/// Measures `model` in so many rounds, and gives the table's text and what it was made of.
/// `peers`: only those whose name has one of these parts; all where there are none.
pub fn first(
    root: &Path,
    browser: Browser,
    serving: &Serving,
    (model, peers): (&str, &[String]),
    rounds: usize,
) -> Result<(String, Value)> {
    let (mut all, mut version) = (vec![], String::new());
    let wanted =
        |name: &&str| peers.is_empty() || *name == SIDES[0] || peers.iter().any(|part| name.contains(part.as_str()));
    for number in 0..rounds {
        // The two of WASM share a file, which a browser compiles once: each has its own.
        let mut sides: Vec<&str> = [SIDES[0], SIDES[1], SIDES[2 + number % 2]].into_iter().filter(wanted).collect();
        let turns = number / 2 % sides.len();
        sides.rotate_left(turns);
        let sides = sides.join(";").replace(' ', "%20");
        let url = format!("http://127.0.0.1:{}/peers/first.html?model={model}&sides={sides}", serving.port);
        serving.asked();
        let driven = Drive { root, browser, webgpu: true, url, screenshots: vec![] }.run(&mut |_| ())?;
        version = driven.browser;
        let sides = driven.result["sides"].as_array().cloned().unwrap_or_default();
        let said = sides.iter().map(|side| match side["message"].as_str() {
            Some(message) => format!("{}: {message}", text(&side["name"])),
            None => format!("{} {:.0} ms", text(&side["name"]), number_of(&side["ms"])),
        });
        println!("  round {}: {}", number + 1, said.collect::<Vec<_>>().join(", "));
        all.push(Round { sides, fetched: fetched(&serving.asked()) });
    }
    table(root, &version, model, &all)
}

/// The files that each asked for, but for models.
fn fetched(urls: &[String]) -> BTreeMap<String, BTreeSet<PathBuf>> {
    let (mut by, mut who) = (BTreeMap::<String, BTreeSet<PathBuf>>::new(), String::new());
    for url in urls {
        if let Some(name) = url.strip_prefix(BEGIN) {
            who = name.replace("%20", " ").replace("%2C", ",");
        } else if !who.is_empty() && !url.starts_with("/models/") {
            let file = url.split(['?', '#']).next().unwrap_or_default();
            by.entry(who.clone()).or_default().insert(PathBuf::from(file));
        }
    }
    by
}

fn text(v: &Value) -> String {
    v.as_str().unwrap_or_default().to_owned()
}

fn number_of(v: &Value) -> f64 {
    v.as_f64().unwrap_or(f64::NAN)
}

/// The middle, and what lies between a tenth and nine tenths.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |q: f64| values.get((q * (values.len().max(1) - 1) as f64).round() as usize).copied().unwrap_or(f64::NAN);
    [at(0.5), at(0.1), at(0.9)]
}

/// Bytes of these files by brotli, which is how a good host sends them. What was counted is kept by content: that of a peer takes a minute.
fn bytes(root: &Path, files: &BTreeSet<PathBuf>) -> Result<u64> {
    let script = include_str!("../page/brotli.js");
    let place = |file: &PathBuf| {
        crate::serve::place(root, &file.to_string_lossy()).with_context(|| format!("there is no {}", file.display()))
    };
    let files = files.iter().map(place).collect::<Result<Vec<_>>>()?;
    let said = says(Command::new("node").args(["-e", script]).arg(root.join("target/brotli")).args(&files));
    said.and_then(|said| said.parse().ok()).context("what node says of brotli")
}

fn table(root: &Path, browser: &str, model: &str, all: &[Round]) -> Result<(String, Value)> {
    let of = |round: &Round, name: &str, key: &str| {
        round.sides.iter().find(|side| side["name"] == name).and_then(|side| side[key].as_f64())
    };
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(vec![
        "who",
        "import ms",
        "load ms",
        "first call ms",
        "together ms",
        "range",
        "beside ours",
        "range",
        "fetched KB",
        "beside ours",
        "off by",
    ]);
    let (mut rows, mut own) = (vec![], 0);
    for name in SIDES {
        let files: BTreeSet<PathBuf> =
            all.iter().filter_map(|round| round.fetched.get(name)).flatten().cloned().collect();
        let bytes = bytes(root, &files)?;
        if name == SIDES[0] {
            own = bytes;
        }
        let each = |key: &str| spread(all.iter().filter_map(|round| of(round, name, key)).collect());
        let ratios = all.iter().filter_map(|round| Some(of(round, name, "ms")? / of(round, SIDES[0], "ms")?));
        let (ms, ratio) = (each("ms"), spread(ratios.collect()));
        if ms[0].is_nan() {
            match all.iter().flat_map(|round| &round.sides).find(|side| side["name"] == name) {
                Some(failed) => bail!("{name} gave no result: {}", text(&failed["message"])),
                None => continue,
            }
        }
        let whole = |v: f64| format!("{v:.0}");
        table.add_row(vec![
            name.to_owned(),
            whole(each("import_ms")[0]),
            whole(each("load_ms")[0]),
            whole(each("run_ms")[0]),
            whole(ms[0]),
            format!("{:.0}–{:.0}", ms[1], ms[2]),
            format!("{:.2}x", ratio[0]),
            format!("{:.2}–{:.2}", ratio[1], ratio[2]),
            whole(bytes as f64 / 1e3),
            format!("{:.1}x", bytes as f64 / own as f64),
            format!("{:.1e}", each("off")[2]),
        ]);
        let lane =
            all.iter().flat_map(|round| &round.sides).find(|side| side["name"] == name).map(|side| &side["lane"]);
        let range = [ratio[1], ratio[2]];
        rows.push(
            json!({ "who": name, "ms": ms[0], "ratio": ratio[0], "range": range, "bytes": bytes, "files": files, "lane": lane }),
        );
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let text = format!("{browser}, {model}, {} browsers\n{table}\n", all.len());
    Ok((text, json!({ "browser": browser, "model": model, "rows": rows })))
}

/// Whether the bytes of a result of `first` are as few as they must be, a line for each peer; then those that are not.
pub fn bytes_held(result: &Value) -> (Vec<String>, Vec<String>) {
    let told = |peer: &Value, share: f64, most: f64| {
        format!("bytes, of {}: {share:.3} of its, at most {most:.3}", text(&peer["who"]))
    };
    let share = |ours: &Value, peer: &Value| number_of(&ours["bytes"]) / number_of(&peer["bytes"]);
    beside(result, |ours, peer, (_, _, most)| {
        let share = share(ours, peer);
        Some((told(peer, share, most), if share <= most { Held::Yes } else { Held::No }))
    })
}

/// The same of times: one that lies beyond its bar in the middle, and with its whole range, is not held.
pub fn times_held(result: &Value) -> (Vec<String>, Vec<String>) {
    beside(result, |ours, peer, (name, most, _)| {
        // Beside a processor ours must be so much faster where it has no other place to go.
        if name.ends_with("wasm") && ours["lane"] != "cpu" {
            return None;
        }
        // Ratios are the peer's by ours: the least of these is the most of ours by the peer's.
        let [middle, low, high] =
            [&peer["ratio"], &peer["range"][1], &peer["range"][0]].map(|ratio| 1.0 / number_of(ratio));
        let said = format!("time, of {}: {middle:.2} of its ({low:.2}–{high:.2}), at most {most}", text(&peer["who"]));
        // What is no number holds nothing.
        Some((
            said,
            if middle <= most {
                Held::Yes
            } else if low <= most {
                Held::Unsure
            } else {
                Held::No
            },
        ))
    })
}

/// Whether a bar is held.
enum Held {
    Yes,
    /// Some rounds say so, and some not.
    Unsure,
    No,
}

/// What `judge` says of ours beside each peer that has bars.
fn beside(
    result: &Value,
    judge: impl Fn(&Value, &Value, (&str, f64, f64)) -> Option<(String, Held)>,
) -> (Vec<String>, Vec<String>) {
    let rows: Vec<&Value> = result["rows"].as_array().into_iter().flatten().collect();
    let (mut lines, mut failed) = (vec![], vec![]);
    let Some((ours, peers)) = rows.split_first() else { return (lines, vec!["nothing was measured".to_owned()]) };
    for peer in peers {
        let Some(&bar) = BARS.iter().find(|(name, ..)| text(&peer["who"]).starts_with(name)) else { continue };
        let Some((said, held)) = judge(ours, peer, bar) else { continue };
        let verdict = match held {
            Held::Yes => "holds",
            Held::Unsure => "not settled by these rounds",
            Held::No => "DOES NOT HOLD",
        };
        if matches!(held, Held::No) {
            failed.push(said.clone());
        }
        lines.push(format!("{said}: {verdict}"));
    }
    (lines, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_held_by_the_middle_and_broken_by_the_whole_range() {
        let of = |lane: &str, ratio: f64, range: [f64; 2], bytes: u64| {
            json!({ "rows": [
                { "who": SIDES[0], "ratio": 1.0, "range": [1.0, 1.0], "bytes": 10, "lane": lane },
                { "who": SIDES[1], "ratio": 3.0, "range": [2.5, 4.0], "bytes": 50 },
                { "who": SIDES[2], "ratio": ratio, "range": range, "bytes": bytes },
            ] })
        };
        let ends = |(lines, failed): (Vec<String>, Vec<String>)| {
            (
                lines.iter().filter_map(|line| line.rsplit(": ").next().map(str::to_owned)).collect::<Vec<_>>(),
                failed.len(),
            )
        };
        let said = |last: &str| vec!["holds".to_owned(), last.to_owned()];
        assert_eq!(ends(times_held(&of("cpu", 1.3, [1.1, 1.5], 30))), (said("holds"), 0));
        assert_eq!(ends(times_held(&of("cpu", 1.2, [1.1, 1.3], 30))), (said("not settled by these rounds"), 0));
        assert_eq!(ends(times_held(&of("cpu", 1.1, [1.0, 1.2], 30))), (said("DOES NOT HOLD"), 1));
        assert_eq!(ends(times_held(&of("gpu", 1.1, [1.0, 1.2], 30))).0, ["holds"], "a GPU is no processor");
        assert_eq!(ends(bytes_held(&of("cpu", 1.3, [1.1, 1.5], 30))), (said("holds"), 0));
        assert_eq!(ends(bytes_held(&of("cpu", 1.3, [1.1, 1.5], 29))), (said("DOES NOT HOLD"), 1));
        assert_eq!(times_held(&json!({ "rows": [] })).1.len(), 1);
        let mut unknown = of("cpu", 1.3, [1.1, 1.5], 30);
        unknown["rows"][1]["ratio"] = Value::Null;
        unknown["rows"][1]["range"] = Value::Null;
        assert_eq!(times_held(&unknown).1.len(), 1, "what is no number");
    }

    #[test]
    fn files_are_theirs_who_asked_for_them() {
        let urls = [
            "/pkg/a.js",
            "/peers/realms.js?begin=one%20of%20us",
            "/pkg/a.js",
            "/pkg/b.wasm?x",
            "/models/m.onnx",
            "/pkg/a.js",
        ];
        let urls =
            urls.map(str::to_owned).into_iter().chain(["/peers/realms.js?begin=".to_owned(), "/pkg/c.js".to_owned()]);
        let by = fetched(&urls.collect::<Vec<_>>());
        assert_eq!(by.keys().collect::<Vec<_>>(), ["one of us"]);
        assert_eq!(by["one of us"], BTreeSet::from(["/pkg/a.js".into(), "/pkg/b.wasm".into()]));
    }
}
