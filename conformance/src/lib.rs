//! Every kernel against its operator's CPU reference over many shapes and attributes: the same cases natively and in
//! each browser. Knows operators and a device, and a processor's engine; must never know pools.

pub mod bench;
pub mod case;
pub mod gpu;
pub mod orders;
pub mod replay;
pub mod suites;
#[cfg(target_arch = "wasm32")]
mod web;

use anyhow::{Result, anyhow, ensure};
use case::Case;
use consort::kernels::{KernelCall, QUAD, Tuning};
use suites::{SUITES, Suite};

/// Seed of the random cases: a failure can be seen again, here and in any browser.
const SEED: u64 = 20_261_124;

/// What products of f16 may be off: each factor is rounded to 11 bits, and so are sums of a few; some cases
/// have several in a row.
const F16_TOLERANCE: f64 = 4e-3;

/// A family's cases.
pub fn cases(suite: &Suite) -> Vec<Case> {
    (suite.cases)(&mut fastrand::Rng::with_seed(SEED))
}

/// Runs a family's cases as programs of a processor; how many its own routines computed, and of how many. Every failure.
pub fn run_on_processor(suite: &Suite) -> Result<(usize, usize)> {
    let cases = cases(suite);
    let (mut own, mut failures) = (0, vec![]);
    for case in &cases {
        match case.check_processor() {
            Ok(routines) => own += usize::from(routines),
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    let failed = failures.len();
    failures.truncate(8);
    ensure!(failed == 0, "{failed} of {} cases failed:\n\n{}", cases.len(), failures.join("\n\n"));
    Ok((own, cases.len()))
}

/// Runs a family's cases; says how many there were, or every one that failed.
pub async fn run(suite: &Suite, gpu: &gpu::Gpu) -> Result<usize> {
    let (mut failures, mut several) = (vec![], 0);
    let all = Tuning::all(gpu.subgroups);
    let cases: Vec<Case> = cases(suite).into_iter().filter(Case::on_gpu).collect();
    // A family that no GPU has a kernel for.
    if cases.is_empty() {
        return Ok(0);
    }
    for (i, case) in cases.iter().enumerate() {
        // What follows a product is the same to one whose threads share and to one whose do not: in turns.
        let spared = if i % 2 == 0 { Tuning::HARDWARE } else { Tuning::SHARED };
        let spares = |t: Tuning| t == spared || t.quads && i % 4 != 0;
        let tunings = all.iter().copied().filter(|&t| suite.name != "epilogues" || !spares(t));
        match case.check(gpu, tunings).await {
            Ok(variants) => several += usize::from(variants > 1),
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    // Weights as f16: of some cases, each with one set of variants.
    let mut halved = 0;
    let weighty = cases.iter().map(|case| case.clone().halved()).filter(Case::has_halves).enumerate();
    for (i, case) in weighty.filter(|(i, _)| i % 3 == 0) {
        match case.check(gpu, [all[i / 3 % all.len()]]).await {
            Ok(_) => halved += 1,
            Err(error) => failures.push(format!("with weights as f16: {error:#}")),
        }
    }
    let known = ["matrix products", "convolutions", "epilogues"].contains(&suite.name);
    ensure!(!known || halved > 10 || !failures.is_empty(), "only {halved} cases ran with weights as f16");
    // Products of f16, where the device has them.
    let f16 = Tuning { halved: true, ..Tuning::HARDWARE };
    let multiplies = |case: &&Case| case.lower(f16).is_ok_and(|l| l.calls.iter().any(has_f16));
    // What follows a product is the same to one of f16.
    let every = if suite.name == "epilogues" { 8 } else { 2 };
    let in_f16 = if gpu.f16 { cases.iter().filter(multiplies).step_by(every).collect() } else { vec![] };
    for case in &in_f16 {
        if let Err(error) = (*case).clone().tolerance(F16_TOLERANCE).check(gpu, [f16]).await {
            failures.push(format!("in f16: {error:#}"));
        }
    }
    ensure!(!gpu.f16 || !known || in_f16.len() > 1, "only {} cases ran in f16", in_f16.len());
    for (case, parts) in (suite.refusals)() {
        if let Err(error) = case.refused(parts) {
            failures.push(format!("{error:#}"));
        }
    }
    let failed = failures.len();
    failures.truncate(8);
    ensure!(failed == 0, "{failed} of {} cases failed:\n\n{}", cases.len(), failures.join("\n\n"));
    // All but those written not to.
    let joined = |case: &&Case| Tuning::ALL.into_iter().all(|tuning| case.joins(tuning).is_ok_and(|joins| joins));
    let count = if suite.name == "epilogues" { cases.iter().filter(joined).count() } else { 0 };
    ensure!(suite.name != "epilogues" || count * 5 > cases.len() * 4, "only {count} of {} cases joined", cases.len());
    let apart = |case: &&Case| case.lower(Tuning::SOFTWARE).is_ok_and(|l| l.calls.iter().any(has_several_endings));
    let apart = if suite.name == "epilogues" { cases.iter().filter(apart).count() } else { 4 };
    ensure!(apart >= 4, "only {apart} cases have a pipeline with several endings");
    let planes = |case: &&Case| case.lower(Tuning::HARDWARE).is_ok_and(|l| l.apart > 0);
    let planes = if suite.name == "planes apart" { cases.iter().filter(planes).count() } else { cases.len() };
    ensure!(planes * 4 > cases.len() * 3, "planes lie apart in only {planes} of {} cases", cases.len());
    let placed = |case: &&Case| {
        let lowered = case.lower(Tuning::HARDWARE);
        lowered.is_ok_and(|l| {
            (0..l.tensors.len()).any(|i| l.is_part(i)) && l.calls.iter().all(|c| c.shader.name != "concat")
        })
    };
    let placed = if suite.name == "planes apart" { cases.iter().filter(placed).count() } else { 5 };
    ensure!(placed >= 5, "only {placed} cases compute what is joined where it belongs");
    // Attention's moves, which cost nothing where their product is in fours or not.
    let in_place =
        |case: &&Case| Tuning::ALL.into_iter().all(|t| case.has_steps() && case.dispatches(t).is_ok_and(|n| n == 1));
    let in_place = if suite.name == "matrix products" { cases.iter().filter(in_place).count() } else { 18 };
    ensure!(in_place >= 18, "only {in_place} products are read and stored where their operands lie");
    // One kernel for all of it, moves before it included.
    let streamed = |case: &&Case| {
        let shaders = |t: Tuning| case.lower(t).map(|l| l.calls.iter().filter(|c| c.shader.name != "move").count());
        Tuning::ALL.into_iter().any(|t| shaders(t).is_ok_and(|n| n == 1))
    };
    let streamed = if suite.name == "attention" { cases.iter().filter(streamed).count() } else { cases.len() };
    ensure!(streamed * 10 > cases.len() * 9, "only {streamed} of {} cases stream", cases.len());
    let quads = |name: &&&str| gpu.subgroups >= QUAD || !name.contains("quads");
    for name in variants_of(suite.name).iter().filter(quads) {
        let has = |case: &Case, t| case.lower(t).is_ok_and(|l| l.calls.iter().any(|c| c.shader.name == *name));
        let there = cases.iter().any(|case| all.iter().any(|&t| has(case, t)));
        ensure!(there, "no case runs '{name}'");
    }
    let exchanging = |case: &&Case| {
        let has = |call: &KernelCall| call.snippets.iter().any(|(_, text)| text.contains("subgroupShuffleXor"));
        all.iter().any(|&t| case.lower(t).is_ok_and(|l| l.calls.iter().any(has)))
    };
    let exchanging = if suite.name == "rows" { cases.iter().filter(exchanging).count() } else { cases.len() };
    ensure!(gpu.subgroups == 0 || exchanging * 2 > cases.len(), "only {exchanging} cases ran with subgroups");
    // These have variants; a case large enough for each must be there.
    let varied = ["matrix products", "attention", "convolutions", "rows"].contains(&suite.name);
    ensure!(!varied || several > 10, "only {several} cases ran in more than one variant");
    Ok(cases.len())
}

/// Shaders that a suite must have run.
fn variants_of(suite: &str) -> &'static [&'static str] {
    match suite {
        "matrix products" => &[
            "product",
            "product-bias",
            "product-dot",
            "product-shared",
            "product-shared-bias",
            "product-quads",
            "product-join",
            "product-join-bias",
        ],
        "convolutions" => &[
            "conv-1x1",
            "conv-1x1-shared",
            "conv-1x1-shared-bias",
            "conv-1x1-quads",
            "conv-quads",
            "conv-quads-bias",
            "conv-implicit",
            "conv-implicit-bias",
            "conv-unfold",
            "conv-join",
            "conv-join-bias",
            "winograd-output",
            "depthwise",
        ],
        "attention" => &["attention", "attention-mask", "softmax-held"],
        _ => &[],
    }
}

fn has_f16(call: &KernelCall) -> bool {
    call.snippets.iter().any(|(key, text)| *key == "part" && text == "f16")
}

fn has_several_endings(call: &KernelCall) -> bool {
    call.snippets.iter().any(|(key, text)| *key == "finish" && text.contains("fn finish1("))
}

/// The suite of that name.
pub fn find(name: &str) -> Result<&'static Suite> {
    SUITES.iter().find(|s| s.name == name).ok_or_else(|| anyhow!("there is no suite '{name}'"))
}
