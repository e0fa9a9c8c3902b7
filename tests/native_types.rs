//! Every element type against onnxruntime's answers (`element_types.py`): by the references, and by a processor.
#![cfg(all(not(target_arch = "wasm32"), feature = "gpu"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/pool.rs"]
mod pool;

mod lane {
    use consort::lane::Lane;
    use consort::lane::far::{FarLane, Near};
    use std::rc::Rc;

    /// The lane of a pool for tests.
    pub async fn opened(budget: Option<u64>) -> Vec<Rc<dyn Lane>> {
        vec![Rc::new(FarLane::open("cpu", Box::new(Near::new(1)), budget).await.expect("a processor"))]
    }
}

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use consort::graph::{DType, Data, HostTensor};
use consort::pool::{Feeds, Output, Request};
use serde_json::Value;

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn tensor(value: &Value) -> HostTensor {
    let dims: Vec<usize> = serde_json::from_value(value["dims"].clone()).unwrap();
    let dtype = DType::of_name(value["type"].as_str().unwrap()).unwrap();
    HostTensor::new(dims, Data::of_bytes(dtype, &bytes(&value["data"])).unwrap()).unwrap()
}

/// Whole numbers are the same; floats differ by no more than their own digits.
fn agrees(case: &str, name: &str, have: &HostTensor, want: &HostTensor) {
    assert_eq!((have.dtype(), have.shape()), (want.dtype(), want.shape()), "{case}: {name}");
    let most = match want.dtype() {
        DType::Float64 => 1e-12,
        DType::Float32 => 1e-5,
        // A digit of 11 bits: theirs rounds between operators, ours at the end.
        DType::Float16 => 2e-3,
        _ => return assert_eq!(have, want, "{case}: {name}"),
    };
    for (have, want) in have.to_f64().into_iter().zip(want.to_f64()) {
        assert!((have - want).abs() <= most * want.abs().max(1.0), "{case}: {name} is {have}, not {want}");
    }
}

#[test]
fn every_element_type_agrees_with_onnxruntime() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("browser/element-types.json")).unwrap();
    assert!(cases.len() > 10);
    consort::lane::host::block_on(async {
        let pool = pool::fresh().await;
        for case in cases {
            let (name, model) = (case["name"].as_str().unwrap(), bytes(&case["onnx"]));
            let inputs: Vec<HostTensor> = case["inputs"].as_array().unwrap().iter().map(tensor).collect();
            let names =
                case["inputs"].as_array().unwrap().iter().map(|input| input["name"].as_str().unwrap().to_owned());
            let session = pool::load(&pool, name, model.clone()).await;
            let feeds: Feeds = names.zip(inputs.iter().cloned().map(Into::into)).collect();
            let answer =
                pool::run(&pool, Request::new(session.id, feeds)).await.unwrap_or_else(|e| panic!("{name}: {e}"));
            let reference = common::expected(&model, &inputs);
            for (i, want) in case["outputs"].as_array().unwrap().iter().enumerate() {
                let (output, want) = (want["name"].as_str().unwrap(), tensor(want));
                agrees(name, &format!("{output} by reference"), &reference[i], &want);
                let Output::Host(have) = &answer.iter().find(|(key, _)| key == output).unwrap().1 else { panic!() };
                agrees(name, output, have, &want);
            }
        }
    });
}
