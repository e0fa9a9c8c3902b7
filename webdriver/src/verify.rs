//! `cargo verify`: format, lints, and tests, natively and in real browsers, each step with its time.

use crate::setup::{cargo, run, vulkan};
use anyhow::{Context, Result};
use clap::Args;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What to verify.
#[derive(Args)]
pub struct Options {
    /// Leaves out the browsers.
    #[arg(long)]
    native: bool,
}

/// The steps so far and how long each took.
struct Steps(Vec<(String, Duration)>);

impl Steps {
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("── {name}");
        let since = Instant::now();
        work().with_context(|| name.to_owned())?;
        self.0.push((name.to_owned(), since.elapsed()));
        Ok(())
    }
}

/// Runs every step; stops at the first that fails.
pub fn verify(options: &Options) -> Result<()> {
    let root = &crate::root();
    let mut steps = Steps(vec![]);
    steps.step("format", || run(in_root(root).args(["fmt", "--all", "--check"])))?;
    steps.step("lints", || {
        run(in_root(root).args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    steps.step("native tests", || {
        vulkan()?;
        run(in_root(root).args(["test", "--quiet", "--workspace"]))
    })?;
    if !options.native {
        browsers(root, &mut steps)?;
    }
    println!("verified");
    for (name, time) in &steps.0 {
        println!("{:>7.1} s  {name}", time.as_secs_f64());
    }
    Ok(())
}

/// Nothing runs in a browser yet.
fn browsers(_root: &Path, _steps: &mut Steps) -> Result<()> {
    Ok(())
}

fn in_root(root: &Path) -> Command {
    let mut command = Command::new(cargo());
    command.current_dir(root);
    command
}
