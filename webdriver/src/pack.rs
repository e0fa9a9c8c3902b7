//! `wasm-pack test`: the crate's own tests in real browsers, as anyone types them in the repository's root.
//! Knows that tool; must never know what a test does.

use crate::browsers::Browser;
use crate::tools::tools;
use anyhow::{Context, Result, anyhow, bail};
use std::path::Path;
use std::process::{Command, Output};

/// Fewer tests than this in a browser: some were not found.
const LEAST: usize = 25;

/// Runs the tests in every one of `browsers`, side by side; their output is shown where one fails.
pub fn test(root: &Path, browsers: &[Browser]) -> Result<()> {
    let ends: Vec<Result<()>> = std::thread::scope(|scope| {
        let running: Vec<_> = browsers.iter().map(|&browser| scope.spawn(move || within(root, browser))).collect();
        let panicked = |_| Err(anyhow!("wasm-pack's thread panicked"));
        running.into_iter().map(|one| one.join().unwrap_or_else(panicked)).collect()
    });
    ends.into_iter().collect()
}

fn within(root: &Path, browser: Browser) -> Result<()> {
    let (flag, driver) = match browser {
        Browser::Chromium | Browser::ChromiumWebnn => ("--chrome", "--chromedriver"),
        Browser::Firefox => ("--firefox", "--geckodriver"),
    };
    let line = format!("wasm-pack test --headless {flag}");
    let mut command = Command::new(tools(root).join("bin/wasm-pack"));
    command.current_dir(root).args(["test", "--headless", flag, driver]).arg(browser.driver_path(root)?);
    // It takes the wasm-bindgen that is on PATH where that has the right version, else fetches one.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(tools(root).join("bin")).chain(std::env::split_paths(&path)))?;
    command.env("PATH", path).env("WASM_PACK_CACHE", tools(root).join("wasm-pack"));
    let Output { status, stdout, stderr } = command.output().with_context(|| format!("could not start: {line}"))?;
    let (said, faults) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if !status.success() {
        println!("{said}\n{faults}");
        bail!("{status}: {line}");
    }
    let passed = passed(&said);
    if passed < LEAST {
        println!("{said}\n{faults}");
        bail!("{line}: only {passed} tests passed");
    }
    println!("{browser:9} ok    {line}: {passed} tests");
    Ok(())
}

/// The sum of what each file's last line says.
fn passed(said: &str) -> usize {
    let lines = said.lines().filter_map(|line| line.trim().strip_prefix("test result: ok. "));
    lines.filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::passed;

    #[test]
    fn the_tests_of_all_files_are_counted() {
        let said = "no tests to run!\ntest a ... ok\ntest result: ok. 34 passed; 0 failed\n\n\
                    test result: ok. 26 passed; 0 failed;\ntest result: FAILED. 9 passed; 1 failed";
        assert_eq!(passed(said), 60);
    }
}
