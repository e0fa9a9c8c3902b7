//! `cargo kernels`: every kernel family against the adapter's own ceilings, in a browser or natively.

use crate::browsers::Browser;
use crate::drive::Drive;
use crate::package::conformance;
use crate::serve::serve;
use crate::tools::{cargo, root, run};
use crate::{data, package, setup};
use anyhow::{Context, Result, bail};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where it measures.
#[derive(Args)]
pub struct Options {
    /// Natively, through Vulkan, Metal or Direct3D 12, instead of in a browser.
    #[arg(long, conflicts_with = "browser")]
    native: bool,
    /// The browser to measure in.
    #[arg(long, value_enum, default_value = "chromium")]
    browser: Browser,
    /// Measures this lane: `cpu` is a worker of a page.
    #[arg(long, default_value = "gpu")]
    lane: String,
    /// Threads of the lane `cpu`.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// For the lane `cpu`: these models, step by step, instead of the kernels.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    models: Vec<String>,
    /// Writes what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures, and prints the table.
pub fn kernels(options: &Options) -> Result<()> {
    if options.lane == "cpu" {
        return processor(options);
    }
    let result = if options.native { native()? } else { browser(options.browser)? };
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&result)? + "\n";
        std::fs::write(file, text).with_context(|| file.display().to_string())?;
    }
    println!("{}", text(&result));
    Ok(())
}

fn native() -> Result<Value> {
    setup::vulkan()?;
    let mut command = Command::new(cargo());
    command.current_dir(root()).args(["run", "--quiet", "--package", "consort-conformance", "--example"]);
    let output = command.arg("kernels").stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("the native run ended with {}", output.status);
    }
    let mut result: Value = serde_json::from_slice(&output.stdout)?;
    result["browser"] = Value::from("native");
    Ok(result)
}

/// Requests and answers are the example's; this brings them to a page and back.
fn processor(options: &Options) -> Result<()> {
    let root = &root();
    package::build(root)?;
    if !options.models.is_empty() {
        data::write(root)?;
    }
    setup::browser(root, options.browser)?;
    let folder = conformance(root).join("processor");
    let example = |what: &str, rest: &[String]| {
        let build = ["run", "--quiet", "--package", "consort-conformance", "--example", "processor", "--", what];
        run(Command::new(cargo()).current_dir(root).args(build).arg(&folder).args(rest))
    };
    example("write", &options.models)?;
    let serving = serve(root, None)?;
    let url = format!("http://127.0.0.1:{}/tests/processor.html?threads={}", serving.port, options.threads);
    let drive = Drive { root, browser: options.browser, webgpu: true, url, screenshots: vec![] };
    let driven = drive.run(&mut |_| ())?;
    std::fs::write(folder.join("answers.json"), serde_json::to_vec(&driven.result["answers"])?)?;
    println!("{}", driven.browser);
    example("read", &[])
}

fn browser(browser: Browser) -> Result<Value> {
    let root = &root();
    package::build_conformance(root)?;
    setup::browser(root, browser)?;
    let serving = serve(root, None)?;
    let url = format!("http://127.0.0.1:{}/tests/kernels.html", serving.port);
    let drive = Drive { root, browser, webgpu: true, url, screenshots: vec![] };
    let driven = drive.run(&mut |line| println!("  {line}"))?;
    let mut result = driven.result;
    result["browser"] = Value::from(driven.browser);
    Ok(result)
}

fn text(result: &Value) -> String {
    let number = |v: &Value| v.as_f64().unwrap_or(f64::NAN);
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let adapter = &result["adapter"];
    let name: Vec<String> =
        ["vendor", "architecture", "device", "description"].iter().map(|k| word(&adapter[*k])).collect();
    let mut out = format!(
        "{}, {}\nceilings: {:.1} GFLOP/s of multiply-adds in registers, {:.2} GB/s of a copy; waits in ms:",
        word(&result["browser"]),
        name.iter().filter(|t| !t.is_empty()).cloned().collect::<Vec<_>>().join(" "),
        number(&result["gflops"]),
        number(&result["gbytes"]),
    );
    for (name, ms) in result["waits_ms"].as_object().into_iter().flatten() {
        out += &format!(" {name} {:.3}", number(ms));
    }
    let replay = &result["replay"];
    if !replay.is_null() {
        out += &format!(
            "\nhost time of a replayed dispatch: {:.2} µs, by hand-written JavaScript {:.2} µs: {:.2}x ({:.2}–{:.2})",
            number(&replay["ours_us"]),
            number(&replay["by_hand_us"]),
            number(&replay["ratio"]),
            number(&replay["spread"][0]),
            number(&replay["spread"][1]),
        );
    }
    out += &format!("\nvariants: {}\n", result["tuning"]);
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(vec!["family", "size", "shader", "ms", "of five", "GFLOP/s", "GB/s", "of the ceiling"]);
    for row in result["rows"].as_array().into_iter().flatten() {
        let shaders: Vec<String> = row["shaders"].as_array().into_iter().flatten().map(word).collect();
        table.add_row(vec![
            word(&row["family"]),
            word(&row["size"]),
            shaders.join(" + "),
            format!("{:.3}", number(&row["ms"])),
            format!("{:.3}–{:.3}", number(&row["range_ms"][0]), number(&row["range_ms"][1])),
            format!("{:.2}", number(&row["gflops"])),
            format!("{:.2}", number(&row["gbytes"])),
            match row["directly_of_ceiling"].as_f64() {
                Some(directly) => {
                    format!("{:.0} % ({:.0} % counted directly)", 100.0 * number(&row["of_ceiling"]), 100.0 * directly)
                }
                None => format!("{:.0} %", 100.0 * number(&row["of_ceiling"])),
            },
        ]);
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    out + &table.to_string()
}
