//! What a caller of the crate's own API can provoke in a real browser, by `wasm-pack test`: what holds for every lane
//! (`pool/faults.rs`), and what only a page has. Knows what a caller sees; must never know how it is done.
#![cfg(all(target_arch = "wasm32", feature = "gpu"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "pool/faults.rs"]
mod faults;
#[path = "common/pool.rs"]
mod pool;

use common::{INT64, Tiny, dense, embedding, tensor};
use consort::graph::HostTensor;
use consort::pool::{Pool, Request, Session};
use consort::{Kind, browser};
use faults::says;
use futures_util::FutureExt as _;
use futures_util::future::{Either, join, join_all, select};
use js_sys::{Function, Promise, Reflect};
use pool::{feeds, fresh, load, options, request, run, shared};
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

/// The page's `GPUAdapter` or `GPU`.
fn prototype(class: &str) -> JsValue {
    let class = Reflect::get(&js_sys::global(), &class.into()).unwrap();
    Reflect::get(&class, &"prototype".into()).unwrap()
}

#[test]
async fn a_whole_number_that_the_device_cannot_hold_is_refused() {
    let pool = shared().await;
    let model = Tiny::new().input("a", INT64, [1.into()]).node("Add", &["a", "a"], "y").outputs(&["y"]);
    let session = load(&pool, "wide", model).await;
    let given = HostTensor::i64([1], vec![1 << 40]).unwrap();
    says(
        &run(&pool, request(&session, "a", given)).await.unwrap_err(),
        Kind::InvalidInput,
        &["'wide'", "1099511627776"],
    );
    pool.release(session.id);
}

#[test]
async fn a_signal_that_fires_ends_a_call_and_no_other() {
    let pool = shared().await;
    let session = load(&pool, "net", embedding(1)).await;
    let ask = || request(&session, "ids", HostTensor::i64([2], vec![1, 2]).unwrap());
    let controller = Function::new_no_args("return new AbortController()").call0(&JsValue::UNDEFINED).unwrap();
    let signal = || Some(Reflect::get(&controller, &"signal".into()).unwrap().unchecked_into());
    // As the surface for JS does it: whichever comes first, and the call is dropped where that is the signal.
    let mut call = select(Box::pin(browser::aborted(signal())), Box::pin(run(&pool, ask())));
    assert!((&mut call).now_or_never().is_none(), "a call is answered before its turn");
    let beside = run(&pool, ask());
    Function::new_with_args("c", "c.abort()").call1(&JsValue::UNDEFINED, &controller).unwrap();
    let Either::Left((ended, _)) = call.await else { panic!("the call came first") };
    says(&ended, Kind::Aborted, &["signal"]);
    beside.await.unwrap();
    says(&browser::aborted(signal()).await, Kind::Aborted, &["signal"]);
    assert!(browser::aborted(None).now_or_never().is_none());
    run(&pool, ask()).await.unwrap();
    pool.release(session.id);
}

/// Files of a page that are what `body` yields.
fn files(body: &str) -> browser::Files {
    let made = Function::new_no_args(&format!("return {{ async *open(url, file) {{ {body} }} }}"));
    browser::Files::of(made.call0(&JsValue::UNDEFINED).unwrap())
}

#[test]
async fn a_file_comes_in_pieces_and_may_begin_anew() {
    let files = files(
        "const piece = (...bytes) => new Uint8Array(bytes);
         yield { piece: piece(1, 2), at: 0, total: 9 }; yield { piece: piece(3), at: 0, total: 2 };
         yield { piece: piece(4), at: 1, total: 2 };",
    );
    let mut got = vec![];
    let mut each = |piece: browser::Piece<'_>| got.push((piece.bytes.to_vec(), piece.at, piece.total));
    files.fetch("/f", None, false, &mut each).await.unwrap();
    assert_eq!(got, [(vec![1, 2], 0, 9), (vec![3], 0, 2), (vec![4], 1, 2)]);
}

#[test]
async fn a_file_that_cannot_be_had_says_why_and_of_which_kind() {
    for (thrown, kind) in [
        ("{ kind: 'integrity', message: `${url} is not ${file}` }", Kind::Integrity),
        ("new TypeError(`${url} is not ${file}`)", Kind::Fetch),
    ] {
        let files = files(&format!("throw {thrown}"));
        let error = files.fetch("/f", Some("g"), false, &mut |_| ()).await.unwrap_err();
        says(&error, kind, &["/f is not g"]);
    }
}

#[test]
async fn where_there_is_no_adapter_there_is_no_pool() {
    let gpu = prototype("GPU");
    let given = Reflect::get(&gpu, &"requestAdapter".into()).unwrap();
    let none = Function::new_no_args("return Promise.resolve(null)");
    Reflect::set(&gpu, &"requestAdapter".into(), &none).unwrap();
    let pool = Pool::create(options(), None).await;
    Reflect::set(&gpu, &"requestAdapter".into(), &given).unwrap();
    says(&pool.unwrap_err(), Kind::NoWebGpu, &["no adapter"]);
}

#[test]
async fn a_lost_device_loses_no_call_of_its_pool_and_of_no_other() {
    // The device is caught as it is made: the crate hands it to nobody.
    let adapter = prototype("GPUAdapter");
    let given = Reflect::get(&adapter, &"requestDevice".into()).unwrap();
    let catching = Function::new_with_args(
        "given",
        "return async function (...all) { return (globalThis.caught = await given.apply(this, all)); }",
    );
    let catching = catching.call1(&JsValue::UNDEFINED, &given).unwrap();
    Reflect::set(&adapter, &"requestDevice".into(), &catching).unwrap();
    let doomed = fresh().await;
    Reflect::set(&adapter, &"requestDevice".into(), &given).unwrap();
    let session = load(&doomed, "net", dense(1)).await;
    let ask = || request(&session, "x", tensor([2, 8], 1));
    let lost: Promise = Function::new_no_args("const d = caught; queueMicrotask(() => d.destroy()); return d.lost")
        .call0(&JsValue::UNDEFINED)
        .unwrap()
        .into();
    let (ended, _) = join(join_all((0..6).map(|_| run(&doomed, ask()))), JsFuture::from(lost)).await;
    assert!(ended.len() == 6 && ended.iter().all(Result::is_ok), "{ended:?}");
    run(&doomed, ask()).await.unwrap();
    load(&doomed, "net", dense(1)).await;
    let pool: Pool = shared().await;
    let other: Rc<Session> = load(&pool, "net", dense(1)).await;
    run(&pool, Request::new(other.id, feeds("x", tensor([2, 8], 1)))).await.unwrap();
    pool.release(other.id);
}
