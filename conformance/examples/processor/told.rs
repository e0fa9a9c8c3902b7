//! Answers as tables. Knows what was asked; must never know a page.

use crate::asked::Index;
use anyhow::{Context, Result, bail};
use consort::processor::wire::{Answer, Prepared, read as message};
use std::collections::BTreeMap;
use std::path::Path;

/// Prints what `answers.json` in `folder`, a list of answers in hexadecimal, says to what was asked.
pub fn read(folder: &Path) -> Result<()> {
    let index: Index = serde_json::from_slice(&std::fs::read(folder.join("requests.json"))?)?;
    let answers: Vec<String> = serde_json::from_slice(&std::fs::read(folder.join("answers.json"))?)?;
    let (mut ceilings, mut prepared) = ((1.0, 1.0), Prepared::default());
    for (asked, answer) in index.requests.iter().zip(&answers) {
        let bytes: Vec<u8> = (0..answer.len() / 2)
            .map(|i| u8::from_str_radix(&answer[2 * i..2 * i + 2], 16))
            .collect::<Result<_, _>>()?;
        let case = index.cases.get(asked.case).context("an answer to nothing")?;
        match message::<Answer>(&bytes)? {
            Answer::Failed(error) => bail!("{}: {error}", case.name),
            Answer::Here { threads, features, .. } => println!("{threads} thread(s), {}", features.join(", ")),
            Answer::Ceilings { flops_per_s, bytes_per_s, dispatch_s } => {
                ceilings = (flops_per_s, bytes_per_s);
                println!(
                    "ceilings: {:.1} GFLOP/s of multiply-adds in registers, {:.1} GB/s of a copy, {:.2} µs a step",
                    flops_per_s / 1e9,
                    bytes_per_s / 1e9,
                    dispatch_s * 1e6
                );
            }
            Answer::Prepared(ready) => prepared = ready,
            Answer::Profiled(steps) if case.kernel => kernel(&case.name, &prepared, &steps, ceilings),
            Answer::Profiled(steps) => model(&case.name, &prepared, &steps, ceilings),
            _ => {}
        }
    }
    Ok(())
}

/// Time in milliseconds, share of the multiply-adds' ceiling and of the copy's.
fn shares(prepared: &Prepared, steps: &[(String, f64)], (flops, bytes): (f64, f64)) -> (f64, f64, f64) {
    let ms: f64 = steps.iter().map(|(_, ms)| ms).sum();
    let all: (f64, f64) = prepared.costs.iter().fold((0.0, 0.0), |a, c| (a.0 + c.flops, a.1 + c.bytes));
    (ms, all.0 / (ms / 1e3) / flops, all.1 / (ms / 1e3) / bytes)
}

fn kernel(name: &str, prepared: &Prepared, steps: &[(String, f64)], ceilings: (f64, f64)) {
    let (ms, flops, bytes) = shares(prepared, steps, ceilings);
    println!(
        "{name:48} {ms:8.3} ms {:6.1} GFLOP/s {:5.0} % {:6.1} GB/s {:5.0} %",
        flops * ceilings.0 / 1e9,
        100.0 * flops,
        bytes * ceilings.1 / 1e9,
        100.0 * bytes
    );
}

fn model(name: &str, prepared: &Prepared, steps: &[(String, f64)], ceilings: (f64, f64)) {
    let (total, flops, _) = shares(prepared, steps, ceilings);
    println!("\n{name}: {total:.2} ms in {} steps, {:.1} GFLOP/s", steps.len(), flops * ceilings.0 / 1e9);
    let mut kinds: BTreeMap<&str, (f64, f64, usize)> = BTreeMap::new();
    for ((step, ms), cost) in steps.iter().zip(&prepared.costs) {
        let kind = kinds.entry(step.split(' ').next().unwrap_or_default()).or_default();
        *kind = (kind.0 + ms, kind.1 + cost.flops, kind.2 + 1);
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    for (kind, (ms, flops, count)) in kinds {
        println!("  {:5.1} % {ms:8.3} ms {count:4} × {kind}, {:.1} GFLOP/s", 100.0 * ms / total, flops / ms / 1e6);
    }
    let mut dear: Vec<_> = steps.iter().zip(&prepared.costs).collect();
    dear.sort_by(|a, b| b.0.1.total_cmp(&a.0.1));
    for ((step, ms), cost) in dear.into_iter().take(12) {
        println!("    {ms:8.3} ms {:6.1} GFLOP/s {:6.1} GB/s {step}", cost.flops / ms / 1e6, cost.bytes / ms / 1e6);
    }
}
