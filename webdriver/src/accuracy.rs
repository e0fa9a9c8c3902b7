//! `cargo accuracy`: a browser runs the workload; the judge says how right forecasts and choices were. Knows pages and files; must
//! never know how a forecast is made.

use crate::browsers::Browser;
use crate::drive::Drive;
use crate::serve::serve;
use crate::tools::{cargo, root, run};
use crate::{data, package, setup};
use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// What is judged, where.
#[derive(Args)]
pub struct Options {
    /// Browsers are always driven headless here; taken so that it reads like the other commands.
    #[arg(long)]
    headless: bool,
    /// The browser to drive.
    #[arg(long, value_enum, default_value = "chromium")]
    browser: Browser,
    /// The lanes, each by itself, then all together; `webnn` too where the browser has it.
    #[arg(long, value_name = "LANE,…", value_delimiter = ',')]
    lanes: Vec<String>,
    /// About how many minutes the workload takes.
    #[arg(long, default_value_t = 12.0, value_name = "MINUTES")]
    budget: f64,
    /// Writes the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes what was recorded to this file, as JSON: the judge takes it in place of a run.
    #[arg(long, value_name = "FILE")]
    dataset: Option<PathBuf>,
    /// Judges what was recorded before, and runs nothing.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["browser", "lanes", "budget", "dataset"])]
    from: Option<PathBuf>,
}

/// Measures, and prints the tables.
pub fn accuracy(options: &Options) -> Result<()> {
    let root = &root();
    let dataset = match &options.from {
        Some(file) => std::path::absolute(file)?,
        None => recorded(options)?,
    };
    let mut judge = Command::new(cargo());
    judge.current_dir(root).args(["run", "--quiet", "--release", "--package", "consort-judge", "--"]).arg(&dataset);
    if let Some(file) = &options.json {
        judge.arg("--json").arg(std::path::absolute(file)?);
    }
    run(&mut judge)
}

/// The file with what a browser recorded.
fn recorded(options: &Options) -> Result<PathBuf> {
    let root = &root();
    package::build(root)?;
    data::write(root)?;
    setup::browser(root, options.browser)?;
    let serving = serve(root, None)?;
    let lanes = match (&options.lanes[..], options.browser) {
        ([], Browser::ChromiumWebnn) => "cpu,webnn".to_owned(),
        ([], _) => "cpu,gpu".to_owned(),
        (given, _) => given.join(","),
    };
    let url = format!("http://127.0.0.1:{}/accuracy/?lanes={lanes}&minutes={}", serving.port, options.budget);
    let drive = Drive { root, browser: options.browser, webgpu: true, url, screenshots: vec![] };
    let driven = drive.run(&mut |line| println!("{line}"))?;
    let mut result = driven.result;
    result["browser"] = Value::from(driven.browser);
    let file = match &options.dataset {
        Some(file) => std::path::absolute(file)?,
        None => root.join("target/accuracy.json"),
    };
    std::fs::write(&file, result.to_string() + "\n").with_context(|| file.display().to_string())?;
    Ok(file)
}
