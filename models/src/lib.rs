//! The workload models: graphs as PyTorch exports them, recipes that make their weights, inputs, and goldens by
//! onnxruntime. Knows the files in `data/`; must never know how a model is run.

mod files;
mod published;
mod recipe;
mod shapes;
mod types;

pub use published::{PUBLISHED, Published};
pub use shapes::cases;
pub use types::{Case, Data, Error, Golden, Input};

use serde::Deserialize;

/// One model with everything that goes with it.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Name of its files.
    pub name: &'static str,
    /// The graph; its large weights are external data.
    pub onnx: &'static [u8],
    /// Free dimensions of its inputs with the sizes that [`Model::inputs`] have.
    pub free: &'static [(&'static str, usize)],
    weights: &'static str,
    inputs: &'static str,
    golden: &'static str,
}

macro_rules! model {
    ($name:literal $(, $dim:literal = $size:literal)*) => {
        Model {
            free: &[$(($dim, $size)),*],
            name: $name,
            onnx: include_bytes!(concat!("../data/", $name, ".onnx")),
            weights: include_str!(concat!("../data/", $name, ".weights.json")),
            inputs: include_str!(concat!("../data/", $name, ".inputs.json")),
            golden: include_str!(concat!("../data/", $name, ".golden.json")),
        }
    };
}

/// Every model.
pub const MODELS: [Model; 8] = [
    model!("squeezenet1_1", "batch" = 1),
    model!("mobilenet_v2", "batch" = 1),
    model!("resnet18", "batch" = 1),
    model!("minilm_l6", "batch" = 1, "seq" = 32),
    model!("vit_tiny", "batch" = 1),
    model!("clip_tiny", "texts" = 2, "seq" = 16, "images" = 2),
    model!("gpt2_small_kv", "batch" = 1, "seq" = 3, "past" = 5, "total" = 8),
    model!("whisper_tiny_encoder", "batch" = 1),
];

/// How many of [`MODELS`], from the first on, the demo page has chosen unless told otherwise.
pub const CHOSEN: usize = 4;

#[derive(Deserialize)]
struct Weights {
    bytes: usize,
    tensors: Vec<recipe::Tensor>,
}

/// The model of that name.
pub fn find(name: &str) -> Option<&'static Model> {
    static ALL: [Model; 8] = MODELS;
    ALL.iter().find(|m| m.name == name)
}

impl Model {
    /// Name of the external data file that the graph refers to.
    pub fn data_file(&self) -> String {
        format!("{}.onnx.data", self.name)
    }

    /// The bytes of that file, made by the recipe.
    pub fn weights(&self) -> Result<Vec<u8>, Error> {
        let fault = |why: String| Error(format!("{}.weights.json: {why}", self.name));
        let file: Weights = serde_json::from_str(self.weights).map_err(|e| fault(e.to_string()))?;
        recipe::file(file.bytes, &file.tensors).map_err(fault)
    }

    /// The inputs for which the goldens were made.
    pub fn inputs(&self) -> Result<Vec<Input>, Error> {
        files::inputs(self.name, self.inputs)
    }

    /// Other inputs of the same shapes for each `seed`; ids stay within those seen, masks stay as they are.
    pub fn inputs_varied(&self, seed: u64) -> Result<Vec<Input>, Error> {
        let mut inputs = self.inputs()?;
        for input in &mut inputs {
            match &mut input.data {
                Data::F32(values) => *values = recipe::uniform(values.len(), seed << 32),
                Data::I32(values) => {
                    let by = seed as usize % values.len().max(1);
                    values.rotate_left(by);
                }
                Data::I64(values) => {
                    if values.iter().any(|&v| v > 1) && !values.is_empty() {
                        let by = seed as usize % values.len();
                        values.rotate_left(by);
                    }
                }
            }
        }
        Ok(inputs)
    }

    /// What onnxruntime gave.
    pub fn golden(&self) -> Result<Vec<Golden>, Error> {
        files::golden(self.name, self.golden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_whole() {
        for model in &MODELS {
            assert!(!model.inputs().unwrap().is_empty(), "{}", model.name);
            let goldens = model.golden().unwrap();
            assert!(goldens.iter().all(|g| g.values.iter().all(|v| v.is_finite())), "{}", model.name);
        }
    }

    #[test]
    fn the_recipe_makes_the_weights_that_the_goldens_were_made_with() {
        let digests: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(include_str!("../data/digests.json")).unwrap();
        for model in &MODELS {
            let digest = blake3::hash(&model.weights().unwrap()).to_hex().to_string();
            assert_eq!(digests[model.name], digest, "{}", model.name);
        }
    }

    #[test]
    fn inputs_differ_by_seed_and_keep_their_masks() {
        let model = find("minilm_l6").unwrap();
        let (golden, other) = (model.inputs().unwrap(), model.inputs_varied(3).unwrap());
        assert_ne!(golden[0], other[0]);
        assert_eq!(golden[1], other[1]);
        assert_ne!(find("resnet18").unwrap().inputs_varied(1).unwrap(), find("resnet18").unwrap().inputs().unwrap());
    }

    #[test]
    fn an_output_of_another_size_is_infinitely_wrong() {
        let golden = &find("resnet18").unwrap().golden().unwrap()[0];
        assert!(golden.relative_error(&[0.0; 3]).is_infinite());
        assert_eq!(golden.relative_error(&golden.values), 0.0);
    }
}
