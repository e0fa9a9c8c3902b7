//! Every model at other shapes than its own: other batches, lengths and sizes; goldens by
//! onnxruntime through `shapes.py`. Knows those files; must never know how a model is run.

use crate::files;
use crate::published::{PUBLISHED, Published};
use crate::types::{Case, Error};

macro_rules! cases {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("../data/shapes/", $name, ".json")))),*]
    };
}

#[rustfmt::skip]
const FILES: [(&str, &str); 17] = cases!(
    "squeezenet1_1", "mobilenet_v2", "resnet18", "minilm_l6", "vit_tiny", "clip_tiny", "gpt2_small_kv",
    "whisper_tiny_encoder", "ocr_det_v4", "ocr_cls", "ocr_rec_v4", "face_pnet", "face_rnet", "face_onet", "file_type",
    "music_pitch", "voice_vad"
);

/// The cases of a model; none where it is not known.
pub fn cases(model: &str) -> Result<Vec<Case>, Error> {
    let Some((name, text)) = FILES.iter().find(|(name, _)| *name == model) else { return Ok(vec![]) };
    let published = PUBLISHED.iter().find(|p| p.name == model);
    let own = published.map(Published::inputs).transpose()?.unwrap_or_default();
    files::cases(name, text, &own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MODELS;

    #[test]
    fn every_model_has_two_cases_of_other_shapes() {
        let own = MODELS.iter().map(|m| (m.name, m.inputs().unwrap()));
        for (name, own) in own.chain(PUBLISHED.iter().map(|p| (p.name, p.inputs().unwrap()))) {
            let cases = cases(name).unwrap();
            assert_eq!(cases.len(), 2, "{name}");
            for case in cases {
                assert_eq!(case.inputs.len(), own.len(), "{name}");
                let other = case.inputs.iter().any(|i| own.iter().all(|o| o.name != i.name || o.dims != i.dims));
                assert!(other && !case.golden.is_empty(), "{name}");
            }
        }
    }
}
