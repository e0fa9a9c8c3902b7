//! `cargo peers --page split-webnn`: sets of models on one lane beside the same split over WebNN and the processor, and what both take
//! of each other. Knows what the page says; must never know a model.

use crate::browsers::Browser;
use crate::drive::Drive;
use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;
use std::path::Path;

/// Sets of two to five where no models are named.
const SETS: [&[&str]; 8] = [
    &["vit_tiny", "minilm_l6"],
    &["resnet18", "vit_tiny"],
    &["gpt2_small_kv", "mobilenet_v2"],
    &["music_pitch", "vit_tiny", "minilm_l6"],
    &["resnet18", "squeezenet1_1", "mobilenet_v2"],
    &["music_pitch", "gpt2_small_kv", "resnet18", "clip_tiny"],
    &["minilm_l6", "clip_tiny", "vit_tiny", "mobilenet_v2"],
    &["squeezenet1_1", "mobilenet_v2", "minilm_l6", "clip_tiny", "gpt2_small_kv"],
];
/// Models of which it is measured what the lanes take of each other.
const SLOWED: [&str; 2] = ["resnet18", "minilm_l6"];

/// Compares by so many rounds; `page` is the address, which ends so that more can be said in it. `models`: one set of them.
pub fn split(root: &Path, browser: Browser, page: &str, models: &[String], rounds: usize) -> Result<(String, Value)> {
    let sets: Vec<String> = match models {
        [all] if all == "all" => SETS.iter().map(|set| set.join(",")).collect(),
        one => vec![one.join(",")],
    };
    let url = format!("{page}sets={}&slowed={}&rounds={rounds}", sets.join(";"), SLOWED.join(","));
    let drive = Drive { root, browser, webgpu: true, url, screenshots: vec![] };
    let driven = drive.run(&mut |line| println!("  {line}"))?;
    let mut result = driven.result;
    result["browser"] = Value::from(driven.browser);
    Ok((text(&result), result))
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or(f64::NAN)
}

fn word(v: &Value) -> &str {
    v.as_str().unwrap_or_default()
}

fn each(v: &Value) -> impl Iterator<Item = &Value> {
    v.as_array().into_iter().flatten()
}

fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn text(result: &Value) -> String {
    let names = |set: &Value| each(&set["models"]).map(word).collect::<Vec<_>>().join(", ");
    let sets = each(&result["sets"]).map(|set| {
        let (split, places) = (&set["split"], each(&set["places"]));
        let spread = format!("{:.2}–{:.2}", number(&split["spread"][0]), number(&split["spread"][1]));
        vec![
            names(set),
            format!("{}, {}", word(&set["lane"]), word(&set["strategy"])),
            format!("{:.1}", number(&set["ms"])),
            places.map(|place| word(&place[1])).collect::<Vec<_>>().join(", "),
            word(&split["name"]).to_owned(),
            format!("{:.1}", number(&split["ms"])),
            format!("{:.2}x", number(&split["ratio"])),
            spread,
            number(&set["rounds"]).to_string(),
        ]
    });
    let header = ["models", "best on one lane", "ms", "split", "over", "ms", "ratio", "quartiles", "rounds"];
    let sets = table(&header, sets);
    let lanes = each(&result["slowed"]).map(|one| {
        let ms = |lane: &str, when: &str| format!("{:.1}", number(&one[lane][when]));
        let factor = |lane: &str| format!("{:.2}x", number(&one[lane]["factor"]));
        vec![
            word(&one["name"]).to_owned(),
            number(&one["threads"]).to_string(),
            ms("webnn", "alone"),
            ms("webnn", "beside"),
            factor("webnn"),
            ms("cpu", "alone"),
            ms("cpu", "beside"),
            factor("cpu"),
        ]
    });
    let header = ["model", "threads of cpu", "webnn ms", "beside cpu", "slower", "cpu ms", "beside webnn", "slower"];
    let lanes = table(&header, lanes);
    let best = each(&result["sets"]).min_by(|a, b| {
        let ratio = |set: &Value| number(&set["split"]["ratio"]);
        ratio(a).total_cmp(&ratio(b))
    });
    let best = best.map_or(String::new(), |set| format!("{} at {:.2}x", names(set), number(&set["split"]["ratio"])));
    format!("{}\n{sets}\n\nbest: {best}\n\n{lanes}\n", word(&result["browser"]))
}
