//! What the page of the browser tests calls.

use crate::gpu::Gpu;
use crate::suites::SUITES;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

thread_local! {
    static GPU: RefCell<Option<Rc<Gpu>>> = const { RefCell::new(None) };
}

fn thrown(error: &anyhow::Error) -> JsValue {
    JsError::new(&format!("{error:#}")).into()
}

/// Names of the suites.
#[wasm_bindgen]
pub fn names() -> Vec<String> {
    console_error_panic_hook::set_once();
    SUITES.iter().map(|s| s.name.to_owned()).collect()
}

/// Measures every kernel family; the table as JSON. `line` is told of each.
#[wasm_bindgen]
pub async fn bench(line: js_sys::Function) -> Result<String, JsValue> {
    console_error_panic_hook::set_once();
    let told = |text: &str| drop(line.call1(&JsValue::NULL, &text.into()));
    let table = crate::bench::measure(&told).await.map_err(|e| thrown(&e))?;
    serde_json::to_string(&table).map_err(|e| thrown(&e.into()))
}

/// Runs a suite; how many cases it has.
#[wasm_bindgen]
pub async fn run(name: String) -> Result<usize, JsValue> {
    let known = GPU.with_borrow(Clone::clone);
    let gpu = match known {
        Some(gpu) => gpu,
        None => Rc::new(Gpu::open().await.map_err(|e| thrown(&e))?),
    };
    GPU.set(Some(Rc::clone(&gpu)));
    let suite = crate::find(&name).map_err(|e| thrown(&e))?;
    crate::run(suite, &gpu).await.map_err(|e| thrown(&e))
}

/// A program to replay beside a page's own replay of the same commands.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Replayed(crate::replay::Replay);

#[wasm_bindgen]
impl Replayed {
    /// One of so many dispatches.
    pub async fn open(dispatches: usize) -> Result<Replayed, JsValue> {
        console_error_panic_hook::set_once();
        crate::replay::Replay::open(dispatches).await.map(Replayed).map_err(|e| thrown(&e))
    }

    /// Replays it; the milliseconds that the host took.
    pub async fn once(&self) -> Result<f64, JsValue> {
        self.0.once().await.map_err(|e| thrown(&e))
    }
}

/// A suite's cases for whatever answers as a processor does, one after another.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Orders {
    cases: Vec<crate::case::Case>,
    now: Option<crate::orders::Asked>,
}

#[wasm_bindgen]
impl Orders {
    /// Those of the suite of that name.
    pub fn of(name: &str) -> Result<Orders, JsValue> {
        let suite = crate::find(name).map_err(|e| thrown(&e))?;
        Ok(Orders { cases: crate::cases(suite), now: None })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.cases.len()
    }

    /// What to ask for the case of that number: requests as JSON, each with the types of its parts by number.
    pub fn ask(&mut self, i: usize) -> Result<String, JsValue> {
        let asked = crate::orders::Asked::of(&self.cases[i], i as u64).map_err(|e| thrown(&e))?;
        let parts = |of: &[consort::graph::HostTensor]| of.iter().map(|t| t.dtype().number()).collect::<Vec<_>>();
        let told: Vec<_> = asked.requests.iter().map(|(request, of)| (request, parts(of))).collect();
        let told = serde_json::to_string(&told).map_err(|e| thrown(&e.into()));
        self.now = Some(asked);
        told
    }

    /// The elements of part `j` of request `i` of that case.
    pub fn part(&self, i: usize, j: usize) -> Vec<u8> {
        self.now.as_ref().map_or_else(Vec::new, |asked| asked.requests[i].1[j].bytes().to_vec())
    }

    /// What is wrong with the elements that its last request gave.
    pub fn wrong(&self, parts: js_sys::Array) -> Option<String> {
        let bytes: Vec<Vec<u8>> = parts.iter().map(|part| js_sys::Uint8Array::new(&part).to_vec()).collect();
        self.now.as_ref()?.wrong(&bytes)
    }
}
