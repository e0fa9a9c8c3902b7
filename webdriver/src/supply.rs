//! What comes in and what would go out: licences, sources and known faults of crates, by cargo-deny, known faults of npm's packages, by
//! `npm audit`, and the package that crates.io would get. Knows cargo and npm; must never know what any of it does.

use crate::setup::deny;
use crate::tools::{cargo, quietly, says};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the package has beside sources, and what cargo adds to it.
const BESIDE: [&str; 4] = ["ARCHITECTURE.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];
const ADDED: [&str; 4] = [".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig"];

/// Folders with a lock file of npm: what the package is built of and the demo has, its consumers, and what is put beside ours or drives it.
const LOCKED: [&str; 5] =
    ["webdriver/npm", "tests/consumers", "webdriver/peers", "webdriver/duckdb", "webdriver/webnn"];
/// Severities of known faults that nothing may have.
const GRAVE: [&str; 2] = ["high", "critical"];

/// Known faults of all that the lock files of npm name, tools too: the package itself has no dependency.
pub fn audited(root: &Path) -> Result<()> {
    for folder in LOCKED {
        let mut npm = Command::new("npm");
        npm.current_dir(root.join(folder)).args(["audit", "--package-lock-only", "--json"]);
        // It fails where there is any fault, and where it could not ask: what it prints tells which.
        let output = npm.output().context("could not start npm")?;
        let said =
            serde_json::from_slice(&output.stdout).with_context(|| format!("what npm audit says of {folder}"))?;
        println!("{folder}: {}", faults(&said).with_context(|| folder.to_owned())?);
    }
    Ok(())
}

/// What there is to tell of an answer of `npm audit`: how many faults, of which none is grave, or why nobody was asked.
fn faults(said: &Value) -> Result<String> {
    let Some(found) = said["vulnerabilities"].as_object() else {
        let why =
            said["message"].as_str().with_context(|| format!("npm audit failed: {}", said["error"]["summary"]))?;
        return Ok(format!("the registry tells no known faults here, nothing was asked of them: {why}"));
    };
    let grave = found.iter().filter(|(_, fault)| GRAVE.iter().any(|severity| fault["severity"] == *severity));
    let named: Vec<String> = grave.map(|(name, fault)| format!("{name} {}", fault["range"])).collect();
    if named.is_empty() {
        return Ok(format!("{} known faults, none of them grave", found.len()));
    }
    bail!("grave faults are known of {}", named.join(", "))
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn grave_faults_fail_and_a_registry_without_any_list_is_named() {
        let of = |severity: &str| json!({ "vulnerabilities": { "a": { "severity": severity, "range": "<2" } } });
        assert!(faults(&of("moderate")).is_ok_and(|said| said.starts_with("1 known")));
        for severity in GRAVE {
            assert!(faults(&of(severity)).is_err_and(|error| error.to_string().contains("a \"<2\"")));
        }
        let refused = json!({ "message": "405 Method Not Allowed", "statusCode": 405, "error": { "summary": "" } });
        assert!(faults(&refused).is_ok_and(|said| said.contains("405")));
        let broken =
            json!({ "error": { "code": "ENOLOCK", "summary": "This command requires an existing lockfile." } });
        assert!(faults(&broken).is_err_and(|error| error.to_string().contains("lockfile")));
    }
}
