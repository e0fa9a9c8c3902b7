//! Makes a fresh machine ready: what is missing is installed where that is possible, else named with the line to type.
//! Knows tools and where they are found; must never know what they are used for.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs `command` with its output passed through; fails where it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let text = format!("{command:?}").replace('"', "");
    let status = command.status().with_context(|| format!("could not start: {text}"))?;
    if status.success() { Ok(()) } else { bail!("{status}: {text}") }
}

/// What `command` prints, trimmed; `None` where it cannot be started or fails.
fn says(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The first of `names` that is an executable on PATH.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|name| folders.iter().map(move |f| f.join(name))).find(|p| p.is_file())
}

/// The Vulkan device that the native tests run on.
pub fn vulkan() -> Result<()> {
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let any = || folders.iter().any(|f| std::fs::read_dir(f).is_ok_and(|mut d| d.next().is_some()));
    let loader = || {
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"]
            .iter()
            .any(|f| Path::new(f).join("libvulkan.so.1").exists())
    };
    if cfg!(not(target_os = "linux")) || (any() && loader()) {
        return Ok(());
    }
    apt(&["mesa-vulkan-drivers", "libvulkan1"])
}

fn apt(packages: &[&str]) -> Result<()> {
    let line = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    let root = says(Command::new("id").arg("-u")).as_deref() == Some("0");
    if !root || find(&["apt-get"]).is_none() {
        bail!("{} must be installed first. Type: sudo {line}", packages.join(" and "));
    }
    println!("installing {}", packages.join(" "));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-q");
        command
    };
    run(apt().arg("update"))?;
    run(apt().args(["install", "-y", "--no-install-recommends"]).args(packages))
}

/// The cargo that started this program.
pub fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
