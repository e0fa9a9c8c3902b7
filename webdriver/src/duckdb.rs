//! Records that a page exports, asked of DuckDB: they are a table to whoever reads Parquet, and say what the page says. Knows both answers;
//! must never know how either is come by.

use crate::browsers::Browser;
use crate::drive::Drive;
use crate::setup::install;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Has a page run some calls, and DuckDB say how far off forecasts were by strategy: what was found.
pub fn tested(root: &Path, browser: Browser, port: u16) -> Result<String> {
    let home = root.join("target/duckdb");
    install(&root.join("webdriver/duckdb"), &home)?;
    let url = format!("http://127.0.0.1:{port}/tests/duckdb.html");
    let driven = Drive { root, browser, webgpu: true, url, screenshots: vec![] }.run(&mut |_| ())?;
    let (told, file) = (home.join("told.json"), home.join("records.parquet"));
    std::fs::write(&told, serde_json::to_vec(&driven.result)?).with_context(|| told.display().to_string())?;
    let mut ask = Command::new("node");
    ask.arg(root.join("webdriver/duckdb/ask.mjs")).arg(home.join("node_modules")).arg(told).arg(file);
    let output = ask.output().context("node")?;
    if !output.status.success() {
        bail!("DuckDB did not answer: {}", String::from_utf8_lossy(&output.stderr));
    }
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    agree(&rows, &driven.result["strategies"])
}

/// Whether rows of `strategy`, `count`, `error` and so on are what a page says by strategy.
fn agree(rows: &[Value], strategies: &Value) -> Result<String> {
    let all = strategies.as_object().context("the page names no strategies")?;
    if all.len() < 2 || rows.len() != all.len() {
        bail!("DuckDB has {} strategies, the page {}", rows.len(), all.len());
    }
    let mut said = vec![];
    for row in rows {
        let strategy = row["strategy"].as_str().unwrap_or_default();
        let of = all.get(strategy).with_context(|| format!("the page has no strategy '{strategy}'"))?;
        for (column, field) in [("error", "time"), ("computed", "time"), ("bytes", "bytes")] {
            let (ours, theirs) = (of[field].as_f64(), row[column].as_f64());
            if !matches!((ours, theirs), (Some(a), Some(b)) if (a - b).abs() <= 1e-9) {
                bail!("{strategy}: DuckDB says {column} is {theirs:?}, the page {ours:?}");
            }
        }
        if of["count"] != row["count"] || row["told"] != 1 {
            bail!("{strategy}: DuckDB counts {}, the page {}", row["count"], of["count"]);
        }
        said.push(format!("{strategy} {:.1} % in {}", 100.0 * of["time"].as_f64().unwrap_or(0.0), row["count"]));
    }
    Ok(said.join(", "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::agree;
    use serde_json::json;

    #[test]
    fn answers_agree_to_the_last_strategy() {
        let row = |strategy: &str, error: f64| json!({ "strategy": strategy, "count": 3, "error": error, "computed": error, "bytes": 0.0, "told": 1 });
        let own = |time: f64| json!({ "count": 3, "time": time, "bytes": 0.0 });
        let page = json!({ "parallel": own(0.25), "sequential": own(0.5) });
        let said = agree(&[row("parallel", 0.25), row("sequential", 0.5)], &page).unwrap();
        assert_eq!(said, "parallel 25.0 % in 3, sequential 50.0 % in 3");
        assert!(agree(&[row("parallel", 0.25)], &page).is_err(), "one is missing");
        assert!(agree(&[row("parallel", 0.25), row("sequential", 0.6)], &page).is_err(), "an error differs");
        assert!(agree(&[row("parallel", 0.25), row("split", 0.5)], &page).is_err(), "another strategy");
    }
}
