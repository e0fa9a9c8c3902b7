//! Prints a digest of the program of every workload model under every set of variants: what a change of the kernels'
//! rooms must leave alone. `cargo run -p consort-conformance --example programs`

#[cfg(not(target_arch = "wasm32"))]
fn main() -> anyhow::Result<()> {
    use consort::graph::specialise;
    use consort::kernels::{Registry, Tuning};
    use consort::onnx::{ExternalData, content_hash, read};
    use consort::program::{Residency, build};
    use consort_models::MODELS;
    use std::hash::{DefaultHasher, Hash, Hasher};

    let mut sets = Tuning::all(4);
    sets.extend([Tuning::SHARED, Tuning::HARDWARE].map(|set| Tuning { halved: true, ..set }));
    for model in MODELS {
        let external = ExternalData::from([(model.data_file(), model.weights()?)]);
        let graph = read(model.name, model.onnx, &external, &Registry)?;
        let given = model.inputs()?;
        let shape = |name: &str| given.iter().find(|i| i.name == name).map(|i| i.dims.clone()).unwrap_or_default();
        let shapes: Vec<Vec<usize>> = graph.inputs.iter().map(|&id| shape(&graph.value(id).name)).collect();
        let special = specialise(&graph, &Registry, content_hash, &shapes)?;
        for (i, &tuning) in sets.iter().enumerate() {
            for short in [false, true] {
                let program = build(&graph, &special, &Residency { short, ..Residency::default() }, tuning)?;
                let mut hasher = DefaultHasher::new();
                format!("{program:?}").hash(&mut hasher);
                let (dispatches, digest) = (program.dispatches.len(), hasher.finish());
                println!("{:20} set {i} short {short:5} {dispatches:4} dispatches {digest:016x}", model.name);
            }
        }
    }
    Ok(())
}

#[cfg(target_arch = "wasm32")]
fn main() {}
