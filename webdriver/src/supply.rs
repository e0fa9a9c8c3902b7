//! What comes into the crate and what would go out: licences, sources and known faults of what it is made of, by cargo-deny, and the
//! package that crates.io would get. Knows cargo; must never know what any of it does.

use crate::setup::deny;
use crate::tools::{cargo, quietly, says};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the package has beside sources, and what cargo adds to it.
const BESIDE: [&str; 4] = ["ARCHITECTURE.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];
const ADDED: [&str; 4] = [".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig"];

/// Licences, doubles and sources of everything in `Cargo.lock`; known faults, too, where their list can be had.
pub fn denied(root: &Path) -> Result<()> {
    let tool = deny(root)?;
    checked(root, &tool)?;
    let faults = quietly(Command::new(&tool).current_dir(root).args(["--locked", "check", "advisories"]));
    match faults {
        Err(error) if error.to_string().contains("failed to fetch advisory database") => {
            println!("the list of known faults is not to be had here: nothing was asked of it");
            Ok(())
        }
        other => other,
    }
}

/// The same but for known faults, which need the network, where the tool was built before: to build it takes minutes.
pub fn known(root: &Path, tool: Option<PathBuf>) -> Result<()> {
    match tool {
        Some(tool) => checked(root, &tool),
        None => {
            println!("licences and sources are not looked at: `cargo verify --deny` builds what does that, and looks");
            Ok(())
        }
    }
}

fn checked(root: &Path, tool: &Path) -> Result<()> {
    quietly(Command::new(tool).current_dir(root).args(["--locked", "check", "licenses", "bans", "sources"]))
}

/// crates.io would take the package, which has every source, the licences, and nothing else.
pub fn published(root: &Path) -> Result<()> {
    let with = ["--package", "consort", "--allow-dirty", "--quiet"];
    let list = says(Command::new(cargo()).current_dir(root).args(["package", "--list"]).args(with));
    let list = list.context("cargo package --list")?;
    let mut needed: Vec<String> = BESIDE.map(str::to_owned).to_vec();
    sources(&root.join("src"), root, &mut needed)?;
    if let Some(lacks) = needed.iter().find(|file| !list.lines().any(|line| line == *file)) {
        bail!("the crate's package lacks {lacks}: `include` in Cargo.toml names what it has");
    }
    let known = |line: &&str| !needed.iter().any(|file| file == line) && !ADDED.contains(line);
    if let Some(more) = list.lines().find(known) {
        bail!("the crate's package has {more}, which no build needs");
    }
    // It was built before: what is looked at is what the registry asks for.
    quietly(Command::new(cargo()).current_dir(root).args(["publish", "--dry-run", "--no-verify"]).args(with))
}

fn sources(folder: &Path, root: &Path, files: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, root, files)?;
        } else {
            files.push(path.strip_prefix(root)?.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}
