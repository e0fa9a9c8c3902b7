//! How right a predictor is on executions that it never saw, and how good its choices are: what `cargo accuracy` prints. Knows what a
//! browser recorded; must never know a browser.
//!
//! Forecasts are made here, by the same predictor, in the order in which the executions ran: those of a split are kept away from it.
//! Choices were made in the page, before any of the strategies ran.

mod choices;
mod data;
mod replay;
mod splits;
mod stats;
mod tables;

use anyhow::{Context, Result};
use clap::Parser;
use std::path::PathBuf;

#[derive(Parser)]
#[command(about = "Judges what `cargo accuracy` recorded")]
struct Arguments {
    /// What was recorded.
    dataset: PathBuf,
    /// Writes the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Prints so many sets of each split and so many choices, the worst first.
    #[arg(long, value_name = "N", default_value_t = 0)]
    worst: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let name = || arguments.dataset.display().to_string();
    let text = std::fs::read_to_string(&arguments.dataset).with_context(name)?;
    let dataset: data::Dataset = serde_json::from_str(&text).with_context(name)?;
    let lanes: Vec<tables::Lane> = dataset.records.iter().map(tables::lane).collect();
    let choices = choices::judged(&dataset.choices);
    println!("{}\n", dataset.browser);
    lanes.iter().for_each(|lane| println!("{}", tables::printed(lane, arguments.worst)));
    println!("{}", choices::printed(&choices, &dataset.choices, arguments.worst));
    if let Some(file) = &arguments.json {
        let figures = tables::figures(&dataset.browser, &lanes, &choices);
        std::fs::write(file, serde_json::to_string_pretty(&figures)? + "\n")
            .with_context(|| file.display().to_string())?;
    }
    Ok(())
}
