//! The suites on the system's Vulkan device.
#![cfg(not(target_arch = "wasm32"))]
// A test may fail loudly.
#![allow(clippy::expect_used, clippy::panic)]

use consort::lane::host::block_on;
use consort_conformance::gpu::Gpu;
use consort_conformance::{find, run, run_on_processor, suites::SUITES};

fn suite(name: &str) {
    block_on(async {
        let gpu = Gpu::open().await.expect("an adapter");
        let suite = find(name).expect("a suite of that name");
        let count = run(suite, &gpu).await.unwrap_or_else(|e| panic!("{e:#}"));
        println!("{count} cases");
    });
}

macro_rules! suites {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(#[test] fn $test() { suite($name); })*

        #[test]
        fn no_suite_is_left_out() {
            assert_eq!([$($name),*], *SUITES.iter().map(|s| s.name).collect::<Vec<_>>());
        }
    };
}

suites! {
    matrix_products: "matrix products",
    attention: "attention",
    convolutions: "convolutions",
    pooling: "pooling",
    element_wise: "element-wise",
    moves: "moves",
    rows: "rows",
    epilogues: "epilogues",
    planes_apart: "planes apart",
    recurrent: "recurrent",
}

#[test]
fn every_suite_is_right_on_a_processor() {
    let mut counts = (0, 0);
    for suite in SUITES {
        let (own, all) = run_on_processor(suite).unwrap_or_else(|e| panic!("{}: {e:#}", suite.name));
        println!("{}: {all} cases, {own} by routines", suite.name);
        counts = (counts.0 + own, counts.1 + all);
    }
    // Right by their references alone they would be, too.
    assert!(counts.0 * 10 > counts.1 * 8, "only {} of {} cases by routines", counts.0, counts.1);
}
