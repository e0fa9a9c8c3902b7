//! What a caller of a pool can provoke: each kind of error, naming its model, and the calls beside it unharmed. Knows what
//! a caller sees; must never know the lane.

use super::common::{FLOAT, STRING, Tiny, dense, expected, off, tensor};
use super::pool::{fresh, host, load, request, run, shared, source, within};
use consort::graph::HostTensor;
use consort::onnx::ExternalData;
use consort::pool::{Feeds, Keep, Request, RunOptions, Session, Source};
use consort::{Error, Kind};
use futures_util::future::{join, join_all};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

pub fn says(error: &Error, kind: Kind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "'{error}' does not say '{part}'");
    }
}

/// A load of `source` ends with `kind`, says `parts` and names the model; it leaves nothing behind.
async fn refused(source: Source, kind: Kind, parts: &[&str]) {
    let pool = shared().await;
    let name = source.name.clone();
    let before = pool.memory();
    let error = pool.load(source, &|_, _, _| {}).await.unwrap_err();
    says(&error, kind, parts);
    assert_eq!(error.model(), Some(name.as_str()), "{error}");
    let after = pool.memory();
    assert_eq!((after.weights, after.sessions.len()), (before.weights, before.sessions.len()), "{error}");
}

/// A call of a dense layer that is wrong ends with `kind` and says `parts`, and a good one beside it is answered.
async fn wrong(wrong: impl FnOnce(&Session) -> Request, kind: Kind, parts: &[&str]) {
    let pool = shared().await;
    let session = load(&pool, "net", dense(1)).await;
    let good = tensor([2, 8], 1);
    let (bad, fine) = join(run(&pool, wrong(&session)), run(&pool, request(&session, "x", good.clone()))).await;
    says(&bad.unwrap_err(), kind, parts);
    assert!(off(&host(&fine.unwrap())[0], &expected(&dense(1), &[good])[0]) < 1e-5);
    pool.release(session.id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn no_bytes_are_no_model() {
    refused(source("empty", vec![]), Kind::InvalidModel, &["0 bytes", "'empty'"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn bytes_that_are_not_onnx_are_no_model() {
    refused(source("page", b"<!doctype html><html></html>".to_vec()), Kind::InvalidModel, &["28 bytes"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_file_that_is_cut_is_no_model() {
    let mut bytes = dense(1);
    bytes.truncate(bytes.len() / 2);
    refused(source("cut", bytes), Kind::InvalidModel, &["'cut'"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_model_without_outputs_is_none() {
    let bytes = Tiny::new().input("x", FLOAT, [1.into()]).outputs(&[]);
    refused(source("mute", bytes), Kind::InvalidModel, &["no outputs"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn an_output_that_nothing_computes_is_named() {
    let bytes = Tiny::new().input("x", FLOAT, [1.into()]).node("Relu", &["x"], "y").outputs(&["z"]);
    refused(source("loose", bytes), Kind::InvalidModel, &["'z'"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn an_input_that_nothing_computes_is_named() {
    let bytes = Tiny::new().input("x", FLOAT, [1.into()]).node("Relu", &["w"], "y").outputs(&["y"]);
    refused(source("loose", bytes), Kind::InvalidModel, &["'w'", "Relu_0"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn an_operator_that_nobody_knows_is_named() {
    let bytes = Tiny::new().input("x", FLOAT, [1.into()]).node("Relq", &["x"], "y").outputs(&["y"]);
    refused(source("odd", bytes), Kind::Unsupported, &["Relq", "'Relq_0'"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn an_attribute_that_nobody_knows_is_named() {
    let bytes = Tiny::new().input("x", FLOAT, [1.into()]).node("Softmax", &["x"], "y").int("axes", 0).outputs(&["y"]);
    refused(source("odd", bytes), Kind::Unsupported, &["'axes'", "Softmax"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_type_that_is_not_read_is_named() {
    let bytes = Tiny::new().input("x", STRING, [1.into()]).node("Relu", &["x"], "y").outputs(&["y"]);
    refused(source("text", bytes), Kind::Unsupported, &["'x'", "STRING"]).await;
}

fn outside() -> Vec<u8> {
    let model = Tiny::new().input("x", FLOAT, [1.into(), 8.into()]).external("w", [8, 4], "weights.bin");
    model.node("MatMul", &["x", "w"], "y").outputs(&["y"])
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn weights_that_were_not_given_are_missing() {
    refused(source("bare", outside()), Kind::MissingData, &["weights.bin", "'w'"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn weights_that_are_too_short_are_missing() {
    let external = ExternalData::from([("weights.bin".to_owned(), vec![0; 100])]);
    refused(Source { external, ..source("short", outside()) }, Kind::MissingData, &["weights.bin"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn weights_that_were_given_are_taken() {
    let bytes: Vec<u8> = (0..32).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let external = ExternalData::from([("weights.bin".to_owned(), bytes)]);
    let pool = shared().await;
    let session = pool.load(Source { external, ..source("whole", outside()) }, &|_, _, _| {}).await.unwrap();
    let ones = HostTensor::f32([1, 8], vec![1.0; 8]).unwrap();
    let outputs = host(&run(&pool, request(&session, "x", ones)).await.unwrap());
    assert_eq!(outputs[0].as_f32().unwrap(), [112.0, 120.0, 128.0, 136.0]);
    pool.release(session.id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn shapes_that_do_not_fit_name_their_node() {
    let model = Tiny::new().input("x", FLOAT, [2.into(), 7.into()]).weight("w", [8, 4], 1);
    let bytes = model.node("MatMul", &["x", "w"], "y").outputs(&["y"]);
    let pool = shared().await;
    let error = pool.load(source("clash", bytes), &|_, _, _| {}).await.unwrap_err();
    says(&error, Kind::InvalidInput, &["'clash'", "7", "8"]);
    assert_eq!(error.node(), Some("MatMul_0"));
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_feed_that_is_missing_is_named() {
    wrong(|s| Request::new(s.id, Feeds::new()), Kind::InvalidInput, &["'net'", "'x' is missing"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_feed_of_another_name_is_named() {
    wrong(|s| request(s, "z", tensor([2, 8], 1)), Kind::InvalidInput, &["'net'", "'z'", "x"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_feed_of_another_type_is_told_the_type() {
    let given = HostTensor::i64([1, 8], vec![0; 8]).unwrap();
    wrong(|s| request(s, "x", given), Kind::InvalidInput, &["'x' takes float32, not int64"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_feed_of_another_length_is_told_the_axis() {
    wrong(|s| request(s, "x", tensor([2, 9], 1)), Kind::InvalidInput, &["'net'", "axis 1", "8"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_feed_of_another_rank_is_refused() {
    wrong(|s| request(s, "x", tensor([8], 1)), Kind::InvalidInput, &["'net'", "'x'"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn an_output_that_is_not_there_cannot_be_kept() {
    let keep = Keep::Only(["z".to_owned()].into());
    let ask = |s: &Session| Request { keep, ..request(s, "x", tensor([2, 8], 1)) };
    wrong(ask, Kind::InvalidInput, &["no output 'z'"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_session_that_was_never_there_is_closed() {
    wrong(|_| Request::new(9999, Feeds::new()), Kind::Closed, &["session"]).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn free_dimensions_of_one_name_must_agree() {
    let model = Tiny::new().input("a", FLOAT, ["n".into()]).input("b", FLOAT, ["n".into()]);
    let pool = shared().await;
    let session = load(&pool, "pair", model.node("Add", &["a", "b"], "y").outputs(&["y"])).await;
    let feeds = Feeds::from([("a".to_owned(), tensor([3], 1).into()), ("b".to_owned(), tensor([4], 1).into())]);
    says(&run(&pool, Request::new(session.id, feeds)).await.unwrap_err(), Kind::InvalidInput, &["'pair'", "'n'"]);
    pool.release(session.id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_tensor_has_as_many_elements_as_its_shape_says() {
    says(&HostTensor::f32([2, 3], vec![0.0; 5]).unwrap_err(), Kind::InvalidInput, &["6", "5"]);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_request_that_fails_takes_the_call_and_no_other() {
    let pool = shared().await;
    let session = load(&pool, "net", dense(1)).await;
    let good = || request(&session, "x", tensor([2, 8], 1));
    let both = vec![good(), request(&session, "x", tensor([2, 9], 1))];
    let error = pool.run(both, RunOptions::default()).await.unwrap_err();
    says(&error, Kind::InvalidInput, &["'net'"]);
    run(&pool, good()).await.unwrap();
    pool.release(session.id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn nothing_is_not_compared_and_not_predicted() {
    let pool = shared().await;
    says(&pool.compare(vec![], 3, None, &|_| ()).await.unwrap_err(), Kind::InvalidInput, &[]);
    says(&pool.predict(vec![], None).await.unwrap_err(), Kind::InvalidInput, &["no requests"]);
    let session = load(&pool, "net", dense(1)).await;
    let set = vec![request(&session, "x", tensor([2, 8], 1))];
    says(&pool.compare(set, 0, None, &|_| ()).await.unwrap_err(), Kind::InvalidInput, &["0 times"]);
    assert!(pool.run(vec![], RunOptions::default()).await.unwrap().is_empty());
    pool.release(session.id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_session_that_was_released_is_closed() {
    let pool = shared().await;
    let (gone, stays) = (load(&pool, "gone", dense(1)).await, load(&pool, "stays", dense(1)).await);
    pool.release(gone.id);
    // Twice is as once.
    pool.release(gone.id);
    says(&run(&pool, request(&gone, "x", tensor([2, 8], 1))).await.unwrap_err(), Kind::Closed, &["released"]);
    says(&pool.memory_map(gone.id).unwrap_err(), Kind::Closed, &["released"]);
    run(&pool, request(&stays, "x", tensor([2, 8], 1))).await.unwrap();
    pool.release(stays.id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_tensor_that_was_disposed_of_is_closed() {
    let pool = shared().await;
    let id = pool.hold(pool.upload(&tensor([3], 1)).await.unwrap());
    assert_eq!(pool.tensor(id).unwrap().ty.shape, [3]);
    pool.dispose(id);
    says(&pool.tensor(id).unwrap_err(), Kind::Closed, &["disposed"]);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_closed_pool_says_so_to_everyone() {
    let pool = fresh().await;
    let session = load(&pool, "net", dense(1)).await;
    let ask = || request(&session, "x", tensor([2, 8], 1));
    let shapes = [("x".to_owned(), vec![2, 8])];
    // Begun before the pool is closed: answered either way.
    let flying = join_all((0..6).map(|_| run(&pool, ask())));
    let (ended, ()) = join(flying, async { pool.close() }).await;
    let fine = |r: &Result<_, Error>| r.as_ref().err().is_none_or(|e| e.kind() == Kind::Closed);
    assert!(ended.len() == 6 && ended.iter().all(fine), "{ended:?}");
    pool.close();
    says(&run(&pool, ask()).await.unwrap_err(), Kind::Closed, &["closed"]);
    says(&pool.load(source("net", dense(1)), &|_, _, _| {}).await.unwrap_err(), Kind::Closed, &["closed"]);
    says(&pool.predict(vec![(session.id, shapes.into())], None).await.unwrap_err(), Kind::Closed, &["closed"]);
    says(&pool.compare(vec![ask()], 1, None, &|_| ()).await.unwrap_err(), Kind::Closed, &["closed"]);
    says(&pool.upload(&tensor([3], 1)).await.unwrap_err(), Kind::Closed, &["closed"]);
}

/// What the probes of a new pool need for a while, and a little more.
const BUDGET: u64 = 24_000_000;

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_budget_is_kept_and_what_fits_still_runs() {
    let pool = within(BUDGET).await;
    let small = load(&pool, "small", dense(1)).await;
    let before = pool.memory().total;
    let model = Tiny::new().input("x", FLOAT, [1.into(), 2500.into()]).weight("w", [2500, 2500], 1);
    let large = source("large", model.node("MatMul", &["x", "w"], "y").outputs(&["y"]));
    let error = pool.load(large, &|_, _, _| {}).await.unwrap_err();
    says(&error, Kind::OutOfMemory, &["'large'", "memory budget"]);
    assert_eq!(pool.memory().total, before);
    run(&pool, request(&small, "x", tensor([2, 8], 1))).await.unwrap();
    let error = run(&pool, request(&small, "x", tensor([600_000, 8], 1))).await.unwrap_err();
    says(&error, Kind::OutOfMemory, &["'small'", "budget"]);
    run(&pool, request(&small, "x", tensor([2, 8], 1))).await.unwrap();
    assert!(pool.memory().high_water <= BUDGET, "{:?}", pool.memory());
    pool.close();
}
