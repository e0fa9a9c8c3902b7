//! Builds the npm package's wasm: cargo, then wasm-bindgen, then wasm-opt. Knows the build; must never know browsers.

use crate::setup::{cargo, npm, npm_packages, run, wasm_target};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use wasm_bindgen_cli_support::Bindgen;

/// What rustc's output uses beyond the first version of wasm.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// Builds `pkg/generated` where a source is newer than it.
pub fn build(root: &Path) -> Result<()> {
    npm(root)?;
    let out = root.join("pkg/generated");
    let done = out.join("consort_bg.wasm");
    if let Some(built) = modified(&done)
        && newest(&[root.join("src"), root.join("Cargo.toml"), root.join("Cargo.lock")]) < Some(built)
    {
        return Ok(());
    }
    wasm_target()?;
    let tool = npm_packages(root).join("binaryen/bin/wasm-opt");
    println!("building the npm package");
    // Link-time optimisation is dropped for a crate that is an rlib too: only the cdylib is asked for.
    let build = ["rustc", "--quiet", "--profile", "npm", "--package", "consort", "--lib", "--crate-type", "cdylib"];
    run(Command::new(cargo()).current_dir(root).args(build).args(["--target", "wasm32-unknown-unknown"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let mut bindgen = Bindgen::new();
    bindgen.input_path(target.join("wasm32-unknown-unknown/npm/consort.wasm"));
    bindgen.web(true)?.typescript(false).omit_default_module_path(false).out_name("consort");
    bindgen.generate(&out).context("wasm-bindgen")?;
    let small = out.join("consort_small.wasm");
    run(Command::new(tool).arg("-O3").args(FEATURES).arg(&done).arg("-o").arg(&small))?;
    std::fs::rename(&small, &done)?;
    println!("pkg/generated/consort_bg.wasm: {} KB", std::fs::metadata(&done)?.len() / 1000);
    Ok(())
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// When the newest file at or below `paths` was written.
fn newest(paths: &[PathBuf]) -> Option<SystemTime> {
    paths
        .iter()
        .filter_map(|path| {
            let below = std::fs::read_dir(path).ok().map(|d| d.flatten().map(|e| e.path()).collect::<Vec<_>>());
            modified(path).max(below.and_then(|below| newest(&below)))
        })
        .max()
}
