//! `cargo peers`: our lane and its peers on the same models and inputs, interleaved in one page.

use crate::browsers::Browser;
use crate::drive::Drive;
use crate::serve::serve;
use crate::tools::root;
use crate::{data, first, package, setup, split, together};
use anyhow::{Context, Result, bail};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// With what it compares, where.
#[derive(Args)]
pub struct Options {
    /// Browsers are always driven headless here; taken so that it reads like the other commands.
    #[arg(long)]
    headless: bool,
    /// The browser to drive.
    #[arg(long, value_enum, default_value = "chromium")]
    browser: Browser,
    /// Only these models, by name, or `all`.
    #[arg(long, value_name = "all|NAME,…", value_delimiter = ',', default_value = "all")]
    models: Vec<String>,
    /// Our lane; `best`: the one that the pool finds, beside each peer and the fastest of them; `auto`: which one each model runs on after twenty calls, beside what each takes, and the models of whole pages at once.
    #[arg(long, default_value = "gpu")]
    lane: String,
    /// Threads of the lane `cpu`; its peer is the WASM of onnxruntime-web with as many, unless `--peers` says otherwise.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Only peers whose name has one of these parts, e.g. `webgpu`.
    #[arg(long, value_name = "PART,…", value_delimiter = ',')]
    peers: Vec<String>,
    /// Another comparison: `first`: from the import to the first result of one model (mobilenet_v2, or the first of `--models`), and the
    /// bytes fetched for it; `together-webnn`: sessions called at once on WebNN, how many calls come back right; `split-webnn`: sets of
    /// models (or the set of `--models`) on one lane, and split over WebNN and the processor.
    #[arg(long, value_parser = ["first", "together-webnn", "split-webnn"])]
    page: Option<String>,
    /// Rounds of that comparison: browsers that are opened one after another (12 unless said otherwise), or calls (200; 15 of sets).
    #[arg(long)]
    rounds: Option<usize>,
    /// Writes what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures, and prints the table.
pub fn peers(options: &Options) -> Result<()> {
    let root = &root();
    package::build(root)?;
    data::write(root)?;
    setup::npm_peers(root)?;
    setup::browser(root, options.browser)?;
    let serving = serve(root, None)?;
    if let Some(page) = &options.page {
        if page == "first" {
            let model = options.models.iter().find(|name| *name != "all").map_or(first::MODEL, String::as_str);
            let rounds = options.rounds.unwrap_or(12);
            let (text, result) = first::first(root, options.browser, &serving, (model, &options.peers), rounds)?;
            write(options, &result)?;
            println!("{text}");
            // The bars are of this model.
            if model != first::MODEL {
                return Ok(());
            }
            let [(times, slow), (bytes, large)] = [first::times_held(&result), first::bytes_held(&result)];
            println!("{}", [times, bytes].concat().join("\n"));
            let failed = [slow, large].concat();
            return if failed.is_empty() { Ok(()) } else { bail!("not held: {}", failed.join("; ")) };
        }
        let url = format!("http://127.0.0.1:{}/peers/{page}.html?", serving.port);
        if page == "split-webnn" {
            let rounds = options.rounds.unwrap_or(15);
            let (text, result) = split::split(root, options.browser, &url, &options.models, rounds)?;
            write(options, &result)?;
            println!("{text}");
            return Ok(());
        }
        let rounds = options.rounds.unwrap_or(200) as u64;
        println!("{}", together::together(root, options.browser, &url, &options.models, rounds)?);
        return Ok(());
    }
    let auto = options.lane == "auto";
    let mut url = format!("http://127.0.0.1:{}/peers/{}?", serving.port, if auto { "auto.html" } else { "" });
    if options.models != ["all"] {
        url += &format!("models={}&", options.models.join(","));
    }
    url += &format!("lane={}&threads={}&", options.lane, options.threads);
    let same = format!("wasm, {} thread", options.threads);
    let peers = match options.lane.as_str() {
        "cpu" if options.peers.is_empty() => vec![same],
        // Its WebGPU is slower than any of these wherever it was tried without a hardware GPU; ask for it to see.
        "best" if options.peers.is_empty() => vec!["wasm".to_owned(), "webnn".to_owned()],
        _ => options.peers.clone(),
    };
    if !peers.is_empty() {
        url += &format!("peers={}", peers.join(";"));
    }
    let drive = Drive { root, browser: options.browser, webgpu: true, url, screenshots: vec![] };
    let driven = drive.run(&mut |line| println!("  {line}"))?;
    let mut result = driven.result;
    result["browser"] = Value::from(driven.browser);
    write(options, &result)?;
    println!("{}", if auto { routed(&result) } else { text(&result) });
    Ok(())
}

fn write(options: &Options, result: &Value) -> Result<()> {
    let Some(file) = &options.json else { return Ok(()) };
    let text = serde_json::to_string_pretty(result)? + "\n";
    std::fs::write(file, text).with_context(|| file.display().to_string())
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or(f64::NAN)
}

fn word(v: &Value) -> String {
    v.as_str().unwrap_or_default().to_owned()
}

/// Which lane each model runs on beside what each lane takes, and the models of whole pages beside a peer.
fn routed(result: &Value) -> String {
    let list = |v: &Value| v.as_array().into_iter().flatten().map(word).collect::<Vec<_>>().join(", ");
    let ms = |v: &Value| v.as_f64().map_or("–".to_owned(), |ms| format!("{ms:.1}"));
    let mut lanes = Table::new();
    lanes.load_style(presets::ASCII_MARKDOWN);
    let each = || result["lanes"].as_array().into_iter().flatten();
    let mut names: Vec<&String> = each().filter_map(|case| case["ms"].as_object()).flat_map(|ms| ms.keys()).collect();
    names.sort();
    names.dedup();
    let header = ["model", "lane"].map(str::to_owned).into_iter();
    let header = header.chain(names.iter().map(|name| format!("{name} ms")));
    lanes.set_header(header.chain(["slower than the best", "off by"].map(str::to_owned)));
    let mut least = 0.0f64;
    for case in each() {
        let regret = number(&case["regret"]);
        least = least.max(regret);
        let off = format!("{:.1e}", number(&case["golden_off"]));
        let row = [word(&case["name"]), word(&case["lane"])].into_iter();
        let row = row.chain(names.iter().map(|name| ms(&case["ms"][name.as_str()])));
        lanes.add_row(row.chain([format!("{:.1} %", regret * 100.0), off]));
    }
    let mut pages = Table::new();
    pages.load_style(presets::ASCII_MARKDOWN);
    pages.set_header(vec![
        "page",
        "models",
        "lanes",
        "ours ms, at once",
        "peer ms, in turn",
        "ratio",
        "range",
        "off by",
    ]);
    for case in result["pages"].as_array().into_iter().flatten() {
        let spread = format!("{:.2}–{:.2}", number(&case["spread"][0]), number(&case["spread"][1]));
        let (ours, peer) = (ms(&case["ours_ms"]), ms(&case["peer_ms"]));
        let (ratio, off) = (format!("{:.2}x", number(&case["ratio"])), format!("{:.1e}", number(&case["golden_off"])));
        pages.add_row(vec![
            word(&case["name"]),
            list(&case["models"]),
            list(&case["lanes"]),
            ours,
            peer,
            ratio,
            spread,
            off,
        ]);
    }
    let (browser, peer) = (word(&result["browser"]), word(&result["peer"]));
    format!("{browser}\n{lanes}\nslower than the best by {:.1} % at most\n\n{pages}\npeer: {peer}\n", least * 100.0)
}

fn text(result: &Value) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(vec![
        "model",
        "peer",
        "ours ms",
        "peer ms",
        "ratio",
        "range",
        "first: ours ms",
        "peer ms",
        "off by",
    ]);
    let mut failures = String::new();
    let mut ratios: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for case in result["cases"].as_array().into_iter().flatten() {
        let mut row = vec![word(&case["name"]), word(&case["peer"])];
        if let Some(message) = case["message"].as_str() {
            failures += &format!("{} on {}: {message}\n", row[0], row[1]);
            continue;
        }
        ratios.entry(word(&case["peer"])).or_default().push(number(&case["ratio"]));
        row.extend(["ours_ms", "peer_ms"].map(|key| format!("{:.1}", number(&case[key]))));
        row.push(format!("{:.2}x", number(&case["ratio"])));
        row.push(format!("{:.2}–{:.2}", number(&case["spread"][0]), number(&case["spread"][1])));
        row.extend(["ours_first_ms", "peer_first_ms"].map(|key| format!("{:.0}", number(&case[key]))));
        row.push(format!("{:.1e}", number(&case["outputs_off"])));
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut out = format!("{}\n{table}\n", word(&result["browser"]));
    for (peer, ratios) in &ratios {
        let mean = (ratios.iter().map(|r| r.ln()).sum::<f64>() / ratios.len() as f64).exp();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        out += &format!("{peer}: geometric mean {mean:.2}x over {} models, least {least:.2}x\n", ratios.len());
    }
    if ratios.len() > 1 {
        out += &best(result);
    }
    if failures.is_empty() { out } else { out + "did not run:\n" + &failures }
}

/// Each model beside the fastest of its peers.
fn best(result: &Value) -> String {
    let mut fastest: BTreeMap<String, &Value> = BTreeMap::new();
    for case in result["cases"].as_array().into_iter().flatten().filter(|case| case["ratio"].is_number()) {
        let now = fastest.entry(word(&case["name"])).or_insert(case);
        if number(&case["peer_ms"]) < number(&now["peer_ms"]) {
            *now = case;
        }
    }
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(vec!["model", "our lane", "ours ms", "the fastest peer", "peer ms", "ratio", "range"]);
    let ratios: Vec<f64> = fastest.values().map(|case| number(&case["ratio"])).collect();
    for (name, case) in &fastest {
        let range = format!("{:.2}–{:.2}", number(&case["spread"][0]), number(&case["spread"][1]));
        let [ours, peer] = ["ours_ms", "peer_ms"].map(|key| format!("{:.1}", number(&case[key])));
        let ratio = format!("{:.2}x", number(&case["ratio"]));
        table.add_row(vec![name.clone(), word(&case["lane"]), ours, word(&case["peer"]), peer, ratio, range]);
    }
    let mean = (ratios.iter().map(|r| r.ln()).sum::<f64>() / ratios.len().max(1) as f64).exp();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    format!("\n{table}\nbeside the fastest peer of each model: geometric mean {mean:.2}x, least {least:.2}x\n")
}
