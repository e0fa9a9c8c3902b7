//! `cargo peers --page together-webnn`: sessions called at once on WebNN, ours and a peer's, and what became of each call. Knows pages
//! that may die of it; must never know a model.

use crate::browsers::Browser;
use crate::drive::Drive;
use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The models where none are named: small ones, which the peer takes, too.
const MODELS: &str = "face_pnet,face_onet,ocr_cls,mobilenet_v2,squeezenet1_1";
/// Pages that are opened for one side at most.
const PAGES: usize = 5;
/// Who is asked, how the page is told, and in which manner.
const SIDES: [(&str, &str, &str); 3] = [
    ("Consort, lane webnn", "", "at once"),
    ("onnxruntime-web webnn", "&peer=onnxruntime-web webnn", "at once"),
    ("onnxruntime-web webnn", "&peer=onnxruntime-web webnn&turn=1", "one after another"),
];

/// What became of one side's calls.
#[derive(Default)]
struct Counts {
    rounds: u64,
    right: u64,
    wrong: u64,
    failed: u64,
    pages: u64,
    realms: u64,
    messages: BTreeMap<String, u64>,
}

impl Counts {
    fn add(&mut self, told: &Value) {
        let count = |name: &str| told[name].as_u64().unwrap_or(0);
        self.rounds += count("rounds");
        self.right += count("right");
        self.wrong += count("wrong");
        self.failed += count("failed");
        self.realms += count("realms");
        for (message, times) in told["messages"].as_object().into_iter().flatten() {
            *self.messages.entry(message.clone()).or_default() += times.as_u64().unwrap_or(0);
        }
    }
}

/// Runs so many rounds on each side; `page` is the address, which ends so that more can be said in it.
pub fn together(root: &Path, browser: Browser, page: &str, models: &[String], rounds: u64) -> Result<String> {
    let models = if models == ["all"] { MODELS.to_owned() } else { models.join(",") };
    let calls = models.split(',').count() as u64;
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(vec!["who", "called", "rounds", "right", "wrong", "failed", "pages", "realms"]);
    let mut messages = String::new();
    let mut version = String::new();
    for (who, query, manner) in SIDES {
        let mut counts = Counts::default();
        while counts.rounds < rounds && counts.pages < PAGES as u64 {
            counts.pages += 1;
            let left = rounds - counts.rounds;
            let url = format!("{page}models={models}&rounds={left}{}", query.replace(' ', "%20"));
            let mut last = Value::Null;
            let drive = Drive { root, browser, webgpu: true, url, screenshots: vec![] };
            let driven = drive.run(&mut |line| last = serde_json::from_str(line).unwrap_or(Value::Null));
            counts.add(&last);
            match driven {
                Ok(driven) => version = driven.browser,
                Err(error) => {
                    // The round in which the page ended has no answers.
                    counts.rounds += 1;
                    counts.failed += calls;
                    let told = format!("{error:#}");
                    let told = told.lines().next().unwrap_or_default().chars().take(200).collect();
                    *counts.messages.entry(told).or_default() += calls;
                }
            }
        }
        println!("  {who}, {manner}: {} right of {}", counts.right, counts.rounds * calls);
        let numbers = [counts.rounds, counts.right, counts.wrong, counts.failed, counts.pages, counts.realms];
        table.add_row([who, manner].map(str::to_owned).into_iter().chain(numbers.map(|n| n.to_string())));
        for (message, times) in &counts.messages {
            messages += &format!("{who}, {manner}: {times}x {message}\n");
        }
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    Ok(format!("{version}\n{models}, {rounds} rounds of {calls} calls\n\n{table}\n\n{messages}"))
}
