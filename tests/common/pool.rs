//! A pool that tests share, on the lanes of the page or, natively, on that of the test file; and short ways to use it. Knows
//! the crate's own API; must never know how a model is made.

// Each test file takes what it needs.
#![allow(dead_code)]

use consort::graph::HostTensor;
use consort::pool::{Feeds, Measure, Outputs, Pool, PoolOptions, Request, RunOptions, Session, Source};
use std::cell::RefCell;
use std::rc::Rc;

/// What pools of tests are made with: nothing is measured until a prediction asks, so that a test is quick.
pub fn options() -> PoolOptions {
    PoolOptions { measure: Measure::Asked, ..PoolOptions::default() }
}

/// A pool of its own.
pub async fn fresh() -> Pool {
    of(options()).await
}

/// A pool of its own, with a memory budget.
pub async fn within(budget: u64) -> Pool {
    of(PoolOptions { memory_budget: Some(budget), ..options() }).await
}

#[cfg(target_arch = "wasm32")]
async fn of(options: PoolOptions) -> Pool {
    Pool::create(options, None).await.expect("a browser with WebGPU: webdriver.json has the flags for tests")
}

#[cfg(not(target_arch = "wasm32"))]
async fn of(options: PoolOptions) -> Pool {
    let lanes = super::lane::opened(options.memory_budget).await;
    Pool::on(lanes, None, options, None).await.expect("a pool on a lane for tests")
}

/// The pool that all tests of a file use: to open one takes longer than most of them.
pub async fn shared() -> Pool {
    thread_local! {
        static SHARED: RefCell<Option<Pool>> = const { RefCell::new(None) };
    }
    if let Some(pool) = SHARED.with_borrow(Clone::clone) {
        return pool;
    }
    let pool = fresh().await;
    SHARED.set(Some(pool.clone()));
    pool
}

pub fn source(name: &str, bytes: Vec<u8>) -> Source {
    Source { name: name.to_owned(), bytes: bytes.into(), ..Source::default() }
}

pub async fn load(pool: &Pool, name: &str, bytes: Vec<u8>) -> Rc<Session> {
    pool.load(source(name, bytes), &|_, _, _| {}).await.unwrap()
}

pub fn feeds(name: &str, tensor: HostTensor) -> Feeds {
    Feeds::from([(name.to_owned(), tensor.into())])
}

/// One input, one call.
pub fn request(session: &Session, input: &str, tensor: HostTensor) -> Request {
    Request::new(session.id, feeds(input, tensor))
}

pub async fn run(pool: &Pool, request: Request) -> consort::Result<Outputs> {
    Ok(pool.run(vec![request], RunOptions::default()).await?.remove(0))
}

/// Outputs as host tensors, without their names.
pub fn host(outputs: &Outputs) -> Vec<HostTensor> {
    outputs.iter().map(|(_, output)| output.host().unwrap().clone()).collect()
}
