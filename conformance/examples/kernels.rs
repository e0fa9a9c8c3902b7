//! Prints the table of `cargo kernels --native` as JSON.

#[cfg(not(target_arch = "wasm32"))]
fn main() -> anyhow::Result<()> {
    let table = consort::lane::host::block_on(consort_conformance::bench::measure(&|line| eprintln!("  {line}")))?;
    println!("{}", serde_json::to_string(&table)?);
    Ok(())
}

#[cfg(target_arch = "wasm32")]
fn main() {}
