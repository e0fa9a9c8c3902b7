//! The decoder on files that are cut, damaged, or not ONNX at all: an error of a stable kind, never a panic.
#![cfg(not(target_arch = "wasm32"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use consort::Kind;
use consort::graph::{Graph, specialise};
use consort::kernels::Registry;
use consort::onnx::{ExternalData, content_hash, external_files, read};
use consort_models::{Model, find};
use proptest::prelude::*;
use prost::bytes::Bytes;

thread_local! {
    static WEIGHTS: ExternalData = ExternalData::from([(model().data_file(), model().weights().unwrap())]);
}

fn model() -> &'static Model {
    find("squeezenet1_1").unwrap()
}

fn decode(bytes: impl Into<Bytes>) -> Result<Graph, consort::Error> {
    let bytes = bytes.into();
    external_files(bytes.clone())?;
    WEIGHTS.with(|weights| read("m", bytes, weights, &Registry))
}

/// What a file may be blamed for.
const BLAME: [Kind; 4] = [Kind::InvalidModel, Kind::Unsupported, Kind::MissingData, Kind::InvalidInput];

#[test]
fn the_whole_file_is_taken() {
    let graph = decode(model().onnx).unwrap();
    specialise(&graph, &Registry, content_hash, &[vec![1, 3, 224, 224]]).unwrap();
}

#[test]
fn external_data_of_a_wrong_length_names_the_file_and_the_tensor() {
    let short = ExternalData::from([(model().data_file(), vec![0; 100])]);
    let error = read("m", model().onnx, &short, &Registry).unwrap_err();
    assert_eq!(error.kind(), Kind::MissingData);
    assert!(error.to_string().contains("squeezenet1_1.onnx.data"), "{error}");
    assert_eq!(error.model(), Some("m"));
}

#[test]
fn a_length_beyond_the_file_is_refused_at_once() {
    // Field 2 (producer_name) and field 100 (unknown), of 2^62 and of 2^64 - 1 bytes.
    for tag in [&[0x12u8][..], &[0xa2, 0x06]] {
        for length in [&[0x80u8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40][..], &[0xff; 9]] {
            let last: &[u8] = if length[0] == 0xff { &[0x01] } else { &[] };
            let bytes = [tag, length, last, &[1, 2, 3]].concat();
            assert_eq!(decode(bytes.clone()).unwrap_err().kind(), Kind::InvalidModel, "{bytes:x?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_cut_file_is_refused(at in 0..model().onnx.len()) {
        // A cut may fall between two fields, before the operator set: then something needed is missing.
        let error = decode(&model().onnx[..at]).err();
        prop_assert!(error.is_some_and(|e| BLAME.contains(&e.kind())), "cut at {}", at);
    }

    #[test]
    fn noise_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let error = decode(bytes.clone()).unwrap_err();
        prop_assert!(BLAME.contains(&error.kind()), "{error}");
    }

    #[test]
    fn a_damaged_file_is_refused_or_still_makes_sense(
        damage in proptest::collection::vec((0..model().onnx.len(), any::<u8>()), 1..6),
    ) {
        let mut bytes = model().onnx.to_vec();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        let shapes = |graph: &Graph| graph.inputs.iter().map(|_| vec![1, 3, 224, 224]).collect::<Vec<_>>();
        let outcome = decode(bytes.clone()).and_then(|g| specialise(&g, &Registry, content_hash, &shapes(&g)));
        if let Err(error) = outcome {
            prop_assert!(BLAME.contains(&error.kind()), "{:?}: {error}", error.kind());
        }
    }
}
