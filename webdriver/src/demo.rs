//! `cargo demo`: builds the package, serves the page, and opens it or drives it.

use crate::browsers::Browser;
use crate::drive::Drive;
use crate::serve::serve;
use crate::setup;
use crate::tools::root;
use crate::{data, package, report, site};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where and how the demo runs.
#[derive(Args)]
pub struct Options {
    /// Drives the page in a headless browser and prints its tables; so it is too where there is no display.
    #[arg(long)]
    headless: bool,
    /// The browser to drive.
    #[arg(long, value_enum, default_value = "chromium")]
    browser: Browser,
    /// Writes what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes a picture of the page to this file; again with another WIDTH for another width.
    #[arg(long, value_name = "[WIDTH:]FILE")]
    screenshot: Vec<String>,
    /// Only these models, by name.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    models: Vec<String>,
    /// Drives a browser without WebGPU, to see what the page says there.
    #[arg(long)]
    without_webgpu: bool,
    /// How often each set of models is run to learn from, before the comparison.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Writes the page with all that it needs into this folder, for any static host, and ends.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["headless", "json", "screenshot"])]
    build: Option<PathBuf>,
    /// The port of the page; a free one where absent.
    #[arg(long)]
    port: Option<u16>,
}

/// Runs the demo.
pub fn demo(options: &Options) -> Result<()> {
    let root = &root();
    package::build(root)?;
    data::write(root)?;
    // The page does all but that without it, and says so.
    if let Err(error) = setup::npm_peers(root) {
        println!("onnxruntime-web cannot be put beside ours: {error:#}");
    }
    if let Some(folder) = &options.build {
        // What is there is another's, unless it is a build of this page.
        let free = std::fs::read_dir(folder).map_or(true, |mut inside| inside.next().is_none());
        if !free && !folder.join("offline.js").is_file() {
            bail!("{} is not empty, and not what this command wrote", folder.display());
        }
        site::build(root, folder, &options.models)?;
        println!("the demo page lies in {}", folder.display());
        return Ok(());
    }
    let serving = serve(root, options.port)?;
    let page = format!("http://127.0.0.1:{}/", serving.port);
    let chosen = if options.models.is_empty() { String::new() } else { format!("models={}", options.models.join(",")) };
    if !headless(options) {
        let url = format!("{page}?{chosen}");
        println!("the demo page is at {url}\npress Ctrl+C to end");
        open(&url);
        loop {
            std::thread::park();
        }
    }
    setup::browser(root, options.browser)?;
    // What nobody looks at is not read.
    let read = if options.screenshot.is_empty() { "" } else { "&read=1" };
    let url = format!("{page}?drive=1&rounds={}{read}&{chosen}", options.rounds);
    let screenshots = options.screenshot.iter().map(|s| screenshot(s)).collect();
    let drive = Drive { root, browser: options.browser, webgpu: !options.without_webgpu, url, screenshots };
    let driven = drive.run(&mut |line| println!("  {line}"))?;
    let mut result = driven.result;
    if let Some(reason) = result["no_webgpu"].as_str() {
        println!("{}: without WebGPU: {reason}", driven.browser);
    }
    result["browser"] = Value::from(driven.browser);
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&result)? + "\n";
        std::fs::write(file, text).with_context(|| file.display().to_string())?;
    }
    println!("{}", report::text(&result));
    report::check(&result)
}

/// No one to look at a page, or nobody wants to.
fn headless(options: &Options) -> bool {
    let asked = options.headless || options.without_webgpu || options.json.is_some() || !options.screenshot.is_empty();
    let displays = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    asked || (cfg!(target_os = "linux") && !displays)
}

fn screenshot(text: &str) -> (u32, PathBuf) {
    let parts = text.split_once(':').and_then(|(width, file)| Some((width.parse().ok()?, PathBuf::from(file))));
    parts.unwrap_or_else(|| (1280, PathBuf::from(text)))
}

/// Opens the user's browser; the address was printed, so that nothing is lost where this fails.
fn open(url: &str) {
    let (command, before): (_, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        "windows" => ("cmd", &["/C", "start", ""]),
        _ => ("xdg-open", &[]),
    };
    let _ = Command::new(command).args(before).arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}
