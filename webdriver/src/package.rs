//! Builds wasm: cargo, then wasm-bindgen, and wasm-opt for the npm package. Knows the build; must never know browsers.

use crate::setup::{npm, npm_packages, rust_source, wasm_target};
use crate::tools::{cargo, put, quietly, run};
use crate::{licences, likeness, shorter};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use wasm_bindgen_cli_support::Bindgen;

/// What rustc's output uses beyond the first version of wasm.
const FEATURES: [&str; 8] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// What a processor's wasm uses besides; no other has any of it by being allowed to.
const VECTORS: [&str; 2] = ["--enable-relaxed-simd", "--enable-threads"];

/// What makes the page's wasm smaller by brotli than a plain `-O3` or `-Oz`: a pointer's offset is part of the load, as nothing
/// lies in the first KB (the stack's far end does), only small functions of one caller are taken in by it, what no value can be by
/// the whole file is not asked, and locals are counted anew at the end, so that the same code names the same ones.
const SMALL: [&str; 6] = [
    "-O2",
    "--low-memory-unused",
    "--one-caller-inline-max-function-size=100",
    "--gufa",
    "--coalesce-locals",
    "--reorder-locals",
];

/// Builds what of the package is built, where a source is newer than it.
pub fn build(root: &Path) -> Result<()> {
    npm(root)?;
    wasm_target()?;
    rust_source()?;
    // Linking by all of a program keeps one core busy, and so do most passes after it.
    let workers = PROCESSORS.map(|processor| move || build_worker(root, processor));
    let [simd, relaxed, threads] = &workers;
    at_once(&[simd, relaxed, threads, &|| build_page(root), &|| build_codec(root)])?;
    // Whoever gets the package gets its licences.
    for file in ["LICENSE-APACHE", "LICENSE-MIT"] {
        put(&root.join("pkg").join(file), &std::fs::read(root.join(file))?)?;
    }
    put(&root.join("pkg/LICENSE-THIRD-PARTY"), licences::parquet(&npm_packages(root))?.as_bytes())?;
    // One file for hosts that send files as they are; quick enough to do each time.
    let script = root.join("webdriver/npm/bundle.mjs");
    quietly(Command::new("node").arg(script).arg(npm_packages(root)).arg(root.join("pkg")))
}

/// Does all of `jobs`, as many at a time as there are cores: the first error. None of them is begun after one.
fn at_once(jobs: &[&(dyn Fn() -> Result<()> + Sync)]) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let first = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..cores.min(jobs.len()) {
            scope.spawn(|| {
                while first().is_none() {
                    let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                    if let Err(error) = job() {
                        first().get_or_insert(error);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Builds the page's own wasm into `pkg/generated`.
fn build_page(root: &Path) -> Result<()> {
    let out = root.join("pkg/generated");
    let done = out.join("consort_bg.wasm");
    if let Some(built) = modified(&done)
        && newest(&[root.join("src"), root.join("Cargo.toml"), root.join("Cargo.lock")]) < Some(built)
    {
        return Ok(());
    }
    let tool = npm_packages(root).join("binaryen/bin/wasm-opt");
    println!("building the npm package");
    wasm(root, "consort", "npm", &out)?;
    optimised(&tool, &SMALL, &done, &done)?;
    downloads(&done, PAGE_BYTES)
}

/// `wasm` after these passes of `tool`, and with like functions beside each other, as `done`.
fn optimised(tool: &Path, passes: &[&str], wasm: &Path, done: &Path) -> Result<()> {
    let part = done.with_extension("part");
    let wasm_opt = |passes: &[&str], from: &Path, to: &Path| {
        run(Command::new(tool).args(passes).args(FEATURES).args(VECTORS).arg(from).arg("-o").arg(to))
    };
    wasm_opt(passes, wasm, &part)?;
    std::fs::write(&part, likeness::named(&std::fs::read(&part)?)?)?;
    wasm_opt(&["--reorder-functions-by-name"], &part, done)?;
    Ok(std::fs::remove_file(&part)?)
}

/// Most bytes that the wasm of the page, and that of its workers, take on their way, by brotli.
const PAGE_BYTES: u64 = 460_000;
const WORKER_BYTES: u64 = 300_000;
const CODEC_BYTES: u64 = 60_000;

/// Prints what `file` takes on its way to a page; fails where that is more than `most`.
fn downloads(file: &Path, most: u64) -> Result<()> {
    let script = "console.log(require('zlib').brotliCompressSync(require('fs').readFileSync(process.argv[1])).length)";
    let out = Command::new("node").args(["-e", script]).arg(file).output().context("node")?;
    let bytes: u64 = String::from_utf8_lossy(&out.stdout).trim().parse().context("what node says of brotli")?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    println!("{name}: {} KB, {:.1} by brotli", std::fs::metadata(file)?.len() / 1000, bytes as f64 / 1e3);
    if bytes > most {
        // The next build looks again.
        std::fs::remove_file(file)?;
        bail!("{name} takes {bytes} bytes by brotli, more than {most}");
    }
    Ok(())
}

/// A processor's wasm: its name, what it is built for, and whether its threads share a memory.
type Processor = (&'static str, &'static str, bool);
const PROCESSORS: [Processor; 3] = [
    ("simd", "+simd128", false),
    ("relaxed", "+simd128,+relaxed-simd", false),
    ("threads", "+simd128,+relaxed-simd,+atomics,+bulk-memory,+mutable-globals", true),
];

/// A function that only one calls stays one of its own, unless it is as small as this: an engine decides by function what to make fast,
/// and takes the longer for it the larger that is, more than in proportion.
const APART: &str = "--one-caller-inline-max-function-size=200";

/// What the linker is told for a memory of several threads: its size at first and at most is what `pkg/cpu/processor.js` makes.
const SHARED: [&str; 8] = [
    "shared-memory",
    "import-memory",
    "initial-memory=8388608",
    "max-memory=2147483648",
    "export=__wasm_init_tls",
    "export=__tls_size",
    "export=__tls_align",
    "export=__stack_pointer",
];

/// Has `cargo` build the standard library, too; what it needs of a nightly is pinned with the toolchain.
fn with_std(cargo: &mut Command) -> &mut Command {
    cargo.env("RUSTC_BOOTSTRAP", "1").args(["-Z", "build-std=std,panic_abort"])
}

/// Builds the wasm of a page's workers into `pkg/cpu`.
fn build_worker(root: &Path, (name, features, shared): Processor) -> Result<()> {
    let tool = npm_packages(root).join("binaryen/bin/wasm-opt");
    let done = root.join("pkg/cpu").join(format!("{name}.wasm"));
    let sources = ["src", "worker", "Cargo.toml", "Cargo.lock"].map(|part| root.join(part));
    if let Some(built) = modified(&done)
        && newest(&sources) < Some(built)
    {
        return Ok(());
    }
    println!("building pkg/cpu/{name}.wasm");
    // Flags of its own need a folder of its own.
    let target = target(root).join("worker").join(name);
    let build = ["rustc", "--quiet", "--profile", "worker", "--package", "consort-worker"];
    let mut cargo = Command::new(cargo());
    cargo.current_dir(root).args(build).args(["--target", "wasm32-unknown-unknown", "--target-dir"]).arg(&target);
    let mut flags = format!("-C target-feature={features} -C strip=debuginfo");
    if shared {
        flags.extend(SHARED.iter().map(|flag| format!(" -C link-arg=--{flag}")));
        with_std(&mut cargo);
    }
    quietly(cargo.env("RUSTFLAGS", flags))?;
    let built = target.join("wasm32-unknown-unknown/worker/consort_worker.wasm");
    optimised(&tool, &["-O3", "--low-memory-unused", APART], &built, &done)?;
    downloads(&done, WORKER_BYTES)
}

/// Builds the wasm by which a worker before WebNN reads and writes messages, `pkg/webnn/codec.wasm`.
fn build_codec(root: &Path) -> Result<()> {
    let done = root.join("pkg/webnn/codec.wasm");
    let sources = ["src", "codec", "Cargo.toml", "Cargo.lock"].map(|part| root.join(part));
    if let Some(built) = modified(&done)
        && newest(&sources) < Some(built)
    {
        return Ok(());
    }
    println!("building pkg/webnn/codec.wasm");
    let build = ["rustc", "--quiet", "--profile", "npm", "--package", "consort-codec", "--lib"];
    let mut cargo = Command::new(cargo());
    cargo.current_dir(root).args(build).args(["--target", "wasm32-unknown-unknown", "--target-dir"]);
    quietly(cargo.arg(target(root).join("worker/codec")))?;
    let built = target(root).join("worker/codec/wasm32-unknown-unknown/npm/consort_codec.wasm");
    let tool = npm_packages(root).join("binaryen/bin/wasm-opt");
    optimised(&tool, &["-Oz"], &built, &done)?;
    downloads(&done, CODEC_BYTES)
}

/// Where the browser tests find the kernels' suites.
pub fn conformance(root: &Path) -> PathBuf {
    root.join("target/conformance")
}

/// Builds the kernels' suites for the browser tests.
pub fn build_conformance(root: &Path) -> Result<()> {
    // Cargo knows what is new; binding is quick.
    wasm(root, "consort-conformance", "dev", &conformance(root))
}

/// Builds the cdylib of `package` and binds it into `out`.
fn wasm(root: &Path, package: &str, profile: &str, out: &Path) -> Result<()> {
    wasm_target()?;
    // Link-time optimisation is dropped for a crate that is an rlib too: only the cdylib is asked for.
    let build = ["rustc", "--quiet", "--profile", profile, "--package", package, "--lib", "--crate-type", "cdylib"];
    let mut cargo = Command::new(cargo());
    cargo.current_dir(root).args(build).args(["--target", "wasm32-unknown-unknown"]);
    if profile == "npm" {
        cargo.args(["--no-default-features", "--features", "gpu"]);
        // A sixteenth less to download: the standard library's sorts and number formats are half as long when made for size.
        with_std(&mut cargo).args(["-Z", "build-std-features=optimize_for_size"]);
        // A panic says what was wrong; where that was, the browser's own trace tells by offsets into the wasm, and the places of all
        // panics need not be downloaded.
        cargo.env("RUSTFLAGS", "-Zlocation-detail=none");
    }
    run(&mut cargo)?;
    let folder = target(root).join("wasm32-unknown-unknown").join(if profile == "dev" { "debug" } else { profile });
    let name = package.replace('-', "_");
    let mut bindgen = Bindgen::new();
    bindgen.input_path(folder.join(format!("{name}.wasm")));
    bindgen.web(true)?.typescript(false).omit_default_module_path(false).out_name(&name);
    bindgen.generate(out).context("wasm-bindgen")?;
    if profile == "npm" { shorter::names(out, &name) } else { Ok(()) }
}

fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_built_and_nothing_more_once_something_failed() {
        let done = AtomicUsize::new(0);
        let built = || {
            done.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        assert!(at_once(&[&built, &built, &built, &built, &built]).is_ok() && done.into_inner() == 5);
        let begun = AtomicUsize::new(0);
        let fails = || {
            begun.fetch_add(1, Ordering::Relaxed);
            bail!("no room")
        };
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let jobs: Vec<&(dyn Fn() -> Result<()> + Sync)> = (0..4 * cores).map(|_| &fails as _).collect();
        assert!(at_once(&jobs).is_err_and(|e| e.to_string() == "no room"));
        assert!(begun.into_inner() <= cores);
    }
}
