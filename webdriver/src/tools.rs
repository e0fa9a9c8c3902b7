//! What every file here may use: processes, programs on PATH, and where things of this repository lie.
//! The lowest of them: must never know a browser, a build or a test.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root, which does not depend on where the command was typed.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs `command` with its output passed through; fails where it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let text = format!("{command:?}").replace('"', "");
    let status = command.status().with_context(|| format!("could not start: {text}"))?;
    if status.success() { Ok(()) } else { bail!("{status}: {text}") }
}

/// What `command` prints, trimmed; `None` where it cannot be started or fails.
pub fn says(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The first of `names` that is an executable on PATH.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|name| folders.iter().map(move |f| f.join(name))).find(|p| p.is_file())
}

/// The cargo that started this program.
pub fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// Where tools of this repository are kept.
pub fn tools(root: &Path) -> PathBuf {
    root.join("target/tools")
}

/// Writes a file whole or not at all: a run that was stopped must not leave half of one.
pub fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = path.with_extension("part");
    std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path)).with_context(|| path.display().to_string())
}

/// As [`run`], but what it says is told only where it fails.
pub fn quietly(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("could not start {command:?}"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        bail!("{}: {command:?}\n{}", output.status, said.join("\n"));
    }
    Ok(())
}
