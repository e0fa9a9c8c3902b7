//! `cargo accuracy`, `cargo demo`, `cargo kernels`, `cargo peers` and `cargo verify`: everything that is done to Consort from outside, on a fresh machine too.
//! Knows tools, browsers and files; must never know how a model is run.

mod accuracy;
mod broken;
mod browsers;
mod consumers;
mod data;
mod demo;
mod drive;
mod duckdb;
mod facts;
mod first;
mod kernels;
mod keys;
mod licences;
mod likeness;
mod look;
mod node_tests;
mod pack;
mod package;
mod peers;
mod published;
mod report;
mod serve;
mod setup;
mod shorter;
mod site;
mod split;
mod supply;
mod together;
mod tools;
mod verify;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "consort-webdriver", about = "Builds, serves, drives and verifies Consort")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures how right forecasts and choices are, on executions that the predictor never saw.
    Accuracy(accuracy::Options),
    /// Opens the demo page; with no display, or --headless, drives it and prints its tables.
    Demo(demo::Options),
    /// Measures every kernel family against the adapter's own ceilings.
    Kernels(kernels::Options),
    /// Measures our lane and its peers on the same models, in one page.
    Peers(peers::Options),
    /// Formats, lints, and tests natively and in real browsers.
    Verify(verify::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Accuracy(options) => accuracy::accuracy(&options),
        Command::Demo(options) => demo::demo(&options),
        Command::Kernels(options) => kernels::kernels(&options),
        Command::Peers(options) => peers::peers(&options),
        Command::Verify(options) => verify::verify(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
