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
