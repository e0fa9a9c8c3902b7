//! What a drive of the demo page measured, as tables for people. Knows the report's form; must never know how it came.

use anyhow::{Result, bail};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;
use std::fmt::Write as _;

/// A model's outputs may be so far from its golden.
const RIGHT: f64 = 1e-3;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn ms(value: &Value) -> String {
    format!("{:.1}", number(value))
}

fn range(value: &Value) -> String {
    format!("{:.1} – {:.1}", number(&value[0]), number(&value[1]))
}

fn mb(value: &Value) -> String {
    format!("{:.2}", number(value) / 1e6)
}

fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| "unknown".to_owned(), |x| format!("{:.1} %", x * 100.0))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(head.to_vec()).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The tables.
pub fn text(report: &Value) -> String {
    let mut out = String::new();
    let models = list(&report["models"]).iter().map(|m| {
        let error = format!("{:.1e}", number(&m["relative_error"]));
        vec![text_of(&m["name"]), text_of(&m["lane"]), error, ms(&m["solo_ms"]), range(&m["spread_ms"])]
    });
    let strategies = list(&report["strategies"]).iter().map(|s| {
        let off = (number(&s["predicted_ms"]) / number(&s["measured_ms"]) - 1.0).abs() * 100.0;
        vec![
            text_of(&s["strategy"]),
            ms(&s["predicted_ms"]),
            range(&s["interval_ms"]),
            ms(&s["measured_ms"]),
            range(&s["spread_ms"]),
            format!("{off:.1} %"),
            mb(&s["predicted_bytes"]),
            mb(&s["measured_bytes"]),
        ]
    });
    let heads = ["strategy", "predicted ms", "interval", "measured ms", "quartiles", "off", "predicted MB", "held MB"];
    let r = &report["refinement"];
    let lines = [
        format!("{} on {}", text_of(&report["browser"]), text_of(&report["adapter"])),
        String::new(),
        table(&["model", "lane", "relative error", "alone ms", "range"], models).to_string(),
        String::new(),
        table(&heads, strategies).to_string(),
        String::new(),
        format!(
            "recommended {}, measured best {} (regret {})",
            text_of(&report["recommended"]),
            text_of(&report["measured_best"]),
            percent(&report["regret"])
        ),
        format!(
            "predictor: {} observations, {} held out; error on those {} by the probes alone, {} after refinement; {} inside \
             their interval",
            r["observations"],
            r["held_out"],
            percent(&r["error_before"]),
            percent(&r["error_after"]),
            percent(&r["coverage"])
        ),
    ];
    for line in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{line}");
    }
    out
}

/// Fails where a model's outputs are not its golden's.
pub fn check(report: &Value) -> Result<()> {
    let models = list(&report["models"]);
    let wrong: Vec<_> = models
        .iter()
        .filter(|m| m["relative_error"].as_f64().is_none_or(|e| e > RIGHT))
        .map(|m| text_of(&m["name"]))
        .collect();
    if models.is_empty() || !wrong.is_empty() {
        bail!("not within {RIGHT} of onnxruntime: {}", wrong.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_wrong_model_fails_the_demo() {
        let report = |error| json!({ "models": [{ "name": "a", "relative_error": error }] });
        assert!(check(&report(json!(1e-6))).is_ok());
        assert!(check(&report(json!(0.5))).is_err());
        assert!(check(&report(Value::Null)).is_err(), "an infinite error is null in JSON");
        assert!(check(&json!({ "models": [] })).is_err());
    }
}
