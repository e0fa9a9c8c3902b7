//! `cargo verify`: format, lints, and tests, natively and in real browsers, each step with its time.

use crate::browsers::Browser;
use crate::drive::Drive;
use crate::serve::serve;
use crate::setup::{self, vulkan};
use crate::tools::{cargo, root, run};
use crate::{consumers, data, duckdb, first, look, node_tests, pack, package, report, site, supply};
use anyhow::{Context, Result, anyhow, bail};
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
    /// Only this browser.
    #[arg(long, value_enum)]
    browser: Option<Browser>,
    /// Only the browser tests.
    #[arg(long, conflicts_with = "native")]
    web: bool,
    /// Of the browser tests only these, by file.
    #[arg(long, value_name = "NAME,…", requires = "web")]
    suites: Option<String>,
    /// The lane that the suite `node-tests` asks.
    #[arg(long, value_name = "gpu|webnn|cpu", default_value = "webnn", requires = "suites")]
    lane: String,
    /// Of the browser tests only `wasm-pack test`.
    #[arg(long, conflicts_with_all = ["native", "suites"])]
    pack: bool,
    /// Only what comes in, licences and sources of crates, known faults of these and of npm's packages where their lists can be had, and
    /// the crate's own package.
    #[arg(long, conflicts_with_all = ["native", "web", "pack", "consumers"])]
    deny: bool,
    /// Only the npm package in people's tools.
    #[arg(long, conflicts_with_all = ["native", "suites", "pack"])]
    consumers: bool,
}

/// The suite of the onnx package's tests of single nodes.
const NODE_TESTS: &str = "node-tests";

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
    let root = &root();
    let mut steps = Steps(vec![]);
    if options.deny {
        return steps.step("crates and npm's packages that come in, and the crate that would go out", || {
            supply::audited(root)?;
            supply::denied(root)?;
            supply::published(root)
        });
    }
    if !options.web && !options.pack && !options.consumers {
        native(root, &mut steps)?;
    }
    if !options.native {
        browsers(root, &mut steps, options)?;
    }
    println!("verified");
    for (name, time) in &steps.0 {
        println!("{:>7.1} s  {name}", time.as_secs_f64());
    }
    Ok(())
}

fn native(root: &Path, steps: &mut Steps) -> Result<()> {
    steps.step("format", || run(in_root(root).args(["fmt", "--all", "--check"])))?;
    steps.step("lints", || {
        run(in_root(root).args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
        // What only a page has is not built above.
        setup::wasm_target()?;
        let packages = ["consort", "consort-conformance", "consort-worker", "consort-codec"];
        let packages = packages.iter().flat_map(|name| ["--package", name]);
        let web = ["clippy", "--quiet", "--lib", "--tests"];
        run(in_root(root).args(web).args(packages).args(["--target", "wasm32-unknown-unknown", "--", "-D", "warnings"]))
    })?;
    steps.step("crates that come in, and the one that would go out", || {
        supply::known(root, setup::denies(root))?;
        supply::published(root)
    })?;
    steps.step("native tests", || {
        vulkan()?;
        run(in_root(root).args(["test", "--quiet", "--workspace"]))
    })
}

/// The browser tests in every browser, what a page sees where there is no WebGPU, and the crate's own tests.
fn browsers(root: &Path, steps: &mut Steps, options: &Options) -> Result<()> {
    let detects = options.suites.as_deref().is_none_or(|suites| suites.split(',').any(|suite| suite == "capabilities"));
    let wanted = |browser: &Browser| match options.browser {
        Some(only) => only == *browser,
        // What else it does the other Chromium shows.
        None => *browser != Browser::ChromiumWebnn || detects,
    };
    let all: Vec<Browser> = Browser::ALL.into_iter().filter(wanted).collect();
    let names: Vec<String> = all.iter().map(Browser::to_string).collect();
    let names = names.join(" and ");
    setup::wasm_target()?;
    std::thread::scope(|scope| {
        // Building a package ends on one core: tools are built beside it, and nothing beside the tests.
        let tools = scope.spawn(|| {
            all.iter().try_for_each(|&browser| setup::driver(root, browser))?;
            if options.suites.is_none() && !options.consumers { setup::wasm_pack(root) } else { Ok(()) }
        });
        if !options.pack {
            steps.step("npm package and models", || {
                package::build(root)?;
                if !options.consumers {
                    package::build_conformance(root)?;
                }
                let asked = |suites: &str| suites.split(',').any(|suite| suite == NODE_TESTS);
                if options.suites.as_deref().map_or(all.contains(&Browser::ChromiumWebnn), asked) && !options.consumers
                {
                    node_tests::write(root)?;
                }
                data::write(root)
            })?;
        }
        steps.step("tools and browsers", || {
            // A package manager is for one at a time.
            setup::npm_peers(root)?;
            setup::microphone(root)?;
            all.iter().try_for_each(|&browser| setup::installed(root, browser))?;
            tools.join().unwrap_or_else(|_| Err(anyhow!("the thread of the tools panicked")))
        })
    })?;
    if !options.pack && !options.consumers {
        pages(root, steps, options, &all, &names)?;
    }
    if options.suites.is_none() && !options.pack {
        steps.step("the npm package in people's tools", || consumers::consumers(root, &all))?;
    }
    // wasm-pack knows no other.
    let all: Vec<Browser> = all.into_iter().filter(|&browser| browser != Browser::ChromiumWebnn).collect();
    if options.suites.is_some() || options.consumers || all.is_empty() {
        return Ok(());
    }
    steps.step("wasm-pack test", || pack::test(root, &all))
}

/// The tests of the npm package, by those who import it.
fn pages(root: &Path, steps: &mut Steps, options: &Options, all: &[Browser], names: &str) -> Result<()> {
    let serving = serve(root, None)?;
    // Side by side: much of the time one of them compiles shaders, on one core.
    steps.step(&format!("browser tests in {names}"), || {
        let suites = options.suites.as_deref();
        let lane = options.lane.as_str();
        let ends: Vec<Result<()>> = std::thread::scope(|scope| {
            let running: Vec<_> = all
                .iter()
                .map(|&browser| scope.spawn(move || within(root, browser, serving.port, suites, lane)))
                .collect();
            let panicked = |_| Err(anyhow!("the driver of a browser panicked"));
            running.into_iter().map(|one| one.join().unwrap_or_else(panicked)).collect()
        });
        ends.into_iter().collect()
    })
}

/// The tests in one browser: those of `suites`, or all; `lane`: of the suite that is for any.
fn within(root: &Path, browser: Browser, port: u16, suites: Option<&str>, lane: &str) -> Result<()> {
    if suites == Some("page") {
        return page(root, browser, port);
    }
    if suites == Some("duckdb") {
        return exported(root, browser, port);
    }
    if suites == Some("first") {
        return fetched(root, browser);
    }
    if let Some(suites) = suites {
        // What a page without WebGPU sees is asked of one.
        let webgpu = suites.split(',').all(|suite| suite != "no-webgpu");
        // `worker`: with pools in workers of their own.
        let far = suites.strip_prefix("worker,");
        let more = format!("&lane={lane}{}", if far.is_some() { "&worker" } else { "" });
        return tests(root, browser, webgpu, port, far.unwrap_or(suites), &more);
    }
    if browser == Browser::ChromiumWebnn {
        // It is a Chromium in all that the others test.
        return tests(
            root,
            browser,
            true,
            port,
            "capabilities,webnn,webnn-kernels,webnn-operators,webnn-graphs,node-tests,machine",
            "",
        );
    }
    tests(
        root,
        browser,
        true,
        port,
        "capabilities,kernels,models,shapes,types,callers,queue,stop,pool,generation,errors,loading,cpu,here,short,memory,several,machine,records,far,media,paint,read,peer,own,laboratory",
        "",
    )?;
    tests(root, browser, false, port, "capabilities,no-webgpu,cpu", "")?;
    if browser == Browser::Chromium {
        exported(root, browser, port)?;
        fetched(root, browser)?;
    }
    page(root, browser, port)
}

/// What a page exports DuckDB opens, and it says the same.
fn exported(root: &Path, browser: Browser, port: u16) -> Result<()> {
    println!("{browser:9} ok    DuckDB opens exported records: {}", duckdb::tested(root, browser, port)?);
    Ok(())
}

/// What a page fetches for its first result takes so few bytes beside onnxruntime-web's, compressed alike.
fn fetched(root: &Path, browser: Browser) -> Result<()> {
    // One of its own: what it was asked for tells who fetched what.
    let serving = serve(root, None)?;
    let (_, result) = first::first(root, browser, &serving, (first::MODEL, &[]), 1)?;
    let (lines, failed) = first::bytes_held(&result);
    if !failed.is_empty() || lines.len() < 2 {
        bail!("not held: {}", failed.join("; "));
    }
    println!("{browser:9} ok    {}", lines.join("; "));
    Ok(())
}

/// The demo page does its work where there is WebGPU, as people want a page to, and where there is none, which it says.
fn page(root: &Path, browser: Browser, port: u16) -> Result<()> {
    let drive = |webgpu, query: &str| {
        let url = format!("http://127.0.0.1:{port}/{query}");
        Drive { root, browser, webgpu, url, screenshots: vec![] }.run(&mut |_| ()).map(|driven| driven.result)
    };
    let (result, told) =
        look::looked(root, browser, port, "?drive=1&read=1&rounds=1&models=squeezenet1_1,mobilenet_v2")?;
    report::check(&result)?;
    let (models, strategies) = (&result["models"], &result["strategies"]);
    if models.as_array().map(Vec::len) != Some(2) || strategies.as_array().map_or(0, Vec::len) < 2 {
        bail!("the page's report lacks a model or a strategy: {result}");
    }
    println!("{browser:9} ok    {}", site::tested(root, browser)?);
    if browser == Browser::Firefox {
        // Its driver does not open this page where WebGPU is switched off; why is not known yet. The suite no-webgpu runs there.
        println!("{browser:9} ok    the demo page, with WebGPU: {told}");
        return Ok(());
    }
    let without = drive(false, "?drive=1&rounds=1&models=squeezenet1_1,mobilenet_v2")?;
    report::check(&without)?;
    if without["no_webgpu"].as_str().is_none_or(str::is_empty) {
        bail!("the page did not say that there is no WebGPU: {without}");
    }
    println!("{browser:9} ok    the demo page, with WebGPU and without: {told}");
    Ok(())
}

/// Runs suites in a page, whose address has `more` at its end.
fn tests(root: &Path, browser: Browser, webgpu: bool, port: u16, suites: &str, more: &str) -> Result<()> {
    let url = format!("http://127.0.0.1:{port}/tests/?suites={suites}&browser={}&webgpu={webgpu}{more}", browser.id());
    let driven = Drive { root, browser, webgpu, url, screenshots: vec![] }
        .run(&mut |line| println!("{browser:9}{}", line.strip_prefix(' ').unwrap_or(line)))?;
    let failed: Vec<&str> =
        driven.result["failed"].as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
    if failed.is_empty() && driven.result["passed"].as_u64() > Some(0) {
        return Ok(());
    }
    bail!("{}: failed: {}", driven.browser, failed.join("; "))
}

fn in_root(root: &Path) -> Command {
    let mut command = Command::new(cargo());
    command.current_dir(root);
    command
}
