//! What `cargo kernels --lane cpu` asks a processor in a page, and its answers as tables: kernels beside the processor's
//! ceilings, and models step by step. `… --example processor -- write FOLDER [MODEL…]`, then `… -- read FOLDER`.

#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(target_arch = "wasm32"))]
#[path = "processor/asked.rs"]
mod asked;
#[cfg(not(target_arch = "wasm32"))]
#[path = "processor/told.rs"]
mod told;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [what, folder, models @ ..] if what == "write" => asked::write(folder.as_ref(), models),
        [what, folder] if what == "read" => told::read(folder.as_ref()),
        _ => anyhow::bail!("write FOLDER [MODEL…] or read FOLDER"),
    }
}
