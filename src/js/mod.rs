//! The wasm-bindgen surface: JS values in, JS values out; `pkg/index.js` gives it the names of `pkg/index.d.ts`.
//! Knows how values cross; must never decide anything.

mod capabilities;
mod load;
mod shelf;
mod values;
mod workers;

use crate::browser::{self, Files};
use crate::error::{Error, Kind, Result};
use crate::graph::{DType, TensorType, seed};
use crate::pool::{Keep, Listener, Measure, Pool, PoolOptions, Priority, Request, RunOptions, Shelf};
use crate::predict::{Goal, Machine, Pressure, Strategy};
use futures_util::future::{Either, select};
use serde::Deserialize;
use std::pin::pin;
use std::rc::Rc;
use values::{Feeds, Plain, from_js, outputs_to_js, signal, tensor, tensor_to_js, thrown, to_js};
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

/// A pool as JS holds it. Every error is thrown as `{kind, message, model?, node?}`.
#[wasm_bindgen]
#[derive(Debug)]
pub struct WasmPool {
    pool: Pool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CreateOptions {
    lanes: Option<Vec<String>>,
    /// The lanes that the browser seems to have, the preferred first: the package's own word.
    there: Vec<String>,
    memory_budget: Option<f64>,
    max_pending: Option<f64>,
    explore: Option<bool>,
    goal: Option<String>,
    measure: Measure,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CallOptions {
    strategy: Option<String>,
    goal: Option<String>,
    repeats: Option<f64>,
    priority: Option<Priority>,
    deadline_ms: Option<f64>,
}

#[derive(Deserialize)]
struct ShapeRequest {
    session: f64,
    shapes: crate::pool::Shapes,
}

fn goal(name: Option<&str>) -> Result<Option<Goal>> {
    let Some(name) = name else { return Ok(None) };
    let unknown = || Error::new(Kind::InvalidInput, format!("there is no goal '{name}'"));
    Goal::parse(name).map(Some).ok_or_else(unknown)
}

impl CallOptions {
    fn run(&self) -> Result<RunOptions> {
        let strategy = match self.strategy.as_deref() {
            None | Some("auto") => None,
            Some(name) => Some(
                Strategy::ALL
                    .into_iter()
                    .find(|s| s.as_str() == name)
                    .ok_or_else(|| Error::new(Kind::InvalidInput, format!("there is no strategy '{name}'")))?,
            ),
        };
        let goal = goal(self.goal.as_deref())?;
        let options = RunOptions { strategy, goal, priority: self.priority.unwrap_or_default(), deadline_ms: None };
        match self.deadline_ms {
            Some(ms) if ms.is_finite() => Ok(options.within(ms)),
            Some(ms) => Err(Error::new(Kind::InvalidInput, format!("a deadline of {ms} ms"))),
            None => Ok(options),
        }
    }
}

/// `work`, or `Aborted` where the signal fires first: the work is dropped then.
async fn until<T>(signal: Option<AbortSignal>, work: impl Future<Output = Result<T>>) -> Result<T> {
    match select(pin!(browser::aborted(signal)), pin!(work)).await {
        Either::Left((error, _)) => Err(error),
        Either::Right((result, _)) => result,
    }
}

/// `keep`: `true`, or the names of the outputs that stay on the device.
fn keep(value: &JsValue) -> Keep {
    match value.dyn_ref::<js_sys::Array>() {
        Some(names) => Keep::Only(names.iter().filter_map(|name| name.as_string()).collect()),
        None if value.is_truthy() => Keep::All,
        None => Keep::Nothing,
    }
}

fn requests(pool: &Pool, value: &JsValue) -> Result<Vec<Request>> {
    let list = js_sys::Array::from(value);
    list.iter()
        .map(|entry| {
            let (entry, none): (&Plain, _) =
                (entry.unchecked_ref(), |_| Error::new(Kind::InvalidInput, "a request is not an object"));
            let session = entry.session().map_err(none)?.as_f64().unwrap_or(-1.0) as u64;
            let feeds = Feeds::read(pool, &entry.feeds().map_err(none)?)?;
            Ok(Request { session, feeds, keep: keep(&entry.keep().map_err(none)?) })
        })
        .collect()
}

#[wasm_bindgen]
impl WasmPool {
    /// Opens the lanes and measures their ceilings; `listener` is told of fallbacks, unless it is `undefined`; what else is known of the adapter is on `shelf`, or `undefined`. `workers`
    /// opens a processor of `threads` at most, and so many `processors` at most: a function that is told the lane and gives a promise
    /// of an object as in `pkg/cpu/open.js`.
    pub async fn create(
        options: JsValue,
        listener: JsValue,
        shelf: JsValue,
        workers: js_sys::Function,
        threads: usize,
        processors: usize,
    ) -> std::result::Result<WasmPool, JsValue> {
        console_error_panic_hook::set_once();
        let word = || (js_sys::Math::random() * 2f64.powi(32)) as u64;
        seed(word() << 32 | word());
        let open = async {
            let options: CreateOptions = from_js(options, "the pool's options")?;
            let memory_budget = match options.memory_budget {
                Some(bytes) if !(bytes.is_finite() && bytes > 0.0) => {
                    return Err(Error::new(Kind::InvalidInput, format!("a memory budget of {bytes} bytes")));
                }
                bytes => bytes.map(|b| b as u64),
            };
            let max_pending = match options.max_pending {
                Some(calls) if calls.is_nan() || calls < 1.0 => {
                    return Err(Error::new(Kind::InvalidInput, format!("at most {calls} pending calls")));
                }
                calls => calls.map(|calls| calls as usize),
            };
            let goal = goal(options.goal.as_deref())?.unwrap_or_default();
            let shelf: Option<Rc<dyn Shelf>> =
                if shelf.is_object() { Some(Rc::new(shelf::JsShelf(shelf))) } else { None };
            let CreateOptions { lanes, there, measure, .. } = options;
            let on_fallback = listener.dyn_into::<js_sys::Function>().ok().map(|listener| {
                Listener::new(move |fallback| {
                    // A listener that throws must not stop the call.
                    let _ = to_js(fallback).and_then(|fallback| listener.call1(&JsValue::UNDEFINED, &fallback));
                })
            });
            let workers = Some(workers::opened_by(workers, threads, there));
            let options = PoolOptions {
                lanes,
                memory_budget,
                goal,
                measure,
                workers,
                several: processors,
                max_pending,
                settled: options.explore == Some(false),
                on_fallback,
            };
            Pool::create(options, shelf).await
        };
        open.await.map(|pool| WasmPool { pool }).map_err(|e| thrown(&e))
    }

    /// The `lanes` and `devices` of a pool's `Capabilities`.
    pub fn capabilities(&self) -> std::result::Result<JsValue, JsValue> {
        to_js(&self.pool.capabilities())
    }

    /// A `Profile` of each lane, the preferred first.
    pub fn profiles(&self) -> std::result::Result<JsValue, JsValue> {
        to_js(&self.pool.profiles())
    }

    /// `MemoryReport`.
    pub fn memory(&self) -> std::result::Result<JsValue, JsValue> {
        to_js(&self.pool.memory())
    }

    /// The `Accuracy` on a lane; on the preferred one where `lane` is `undefined`.
    pub fn accuracy(&self, lane: Option<String>) -> std::result::Result<JsValue, JsValue> {
        let all = self.pool.accuracy();
        let of = all.iter().find(|(name, _)| lane.as_deref().is_none_or(|lane| lane == *name));
        let unknown =
            || Error::new(Kind::InvalidInput, format!("this pool has no lane '{}'", lane.unwrap_or_default()));
        to_js(&of.ok_or_else(unknown).map_err(|e| thrown(&e))?.1)
    }

    /// The records of each lane.
    pub fn records(&self) -> std::result::Result<JsValue, JsValue> {
        to_js(&self.pool.records())
    }

    /// Takes what was known of lanes elsewhere, `[fingerprint, known]` each, as a shelf keeps it: `[taken, known]` of each, or `null`.
    pub fn import(&self, lanes: &js_sys::Array) -> std::result::Result<JsValue, JsValue> {
        let lane = |pair: JsValue| {
            let pair = js_sys::Array::from(&pair);
            Ok((pair.get(0).as_string().unwrap_or_default(), from_js(pair.get(1), "the records")?))
        };
        let lanes: Result<Vec<_>> = lanes.iter().map(lane).collect();
        let imported = lanes.and_then(|lanes| self.pool.import(&lanes)).map_err(|e| thrown(&e))?;
        let told = |of: crate::pool::Imported| js_sys::Array::of2(&(of.taken as f64).into(), &(of.known as f64).into());
        Ok(imported
            .into_iter()
            .map(|of| of.map_or(JsValue::NULL, |of| told(of).into()))
            .collect::<js_sys::Array>()
            .into())
    }

    /// `MemoryMap`, or `null` before a program is ready.
    #[wasm_bindgen(js_name = memoryMap)]
    pub fn memory_map(&self, session: f64) -> std::result::Result<JsValue, JsValue> {
        to_js(&self.pool.memory_map(session as u64).map_err(|e| thrown(&e))?)
    }

    /// Name of the lane on which a session's next call runs.
    pub fn lane(&self, session: f64) -> std::result::Result<String, JsValue> {
        self.pool.lane(session as u64).map(str::to_owned).map_err(|e| thrown(&e))
    }

    /// `{lane, precision}` of a session's last answer, or `null` before the first.
    pub fn answered(&self, session: f64) -> std::result::Result<JsValue, JsValue> {
        to_js(&self.pool.answered(session as u64).map_err(|e| thrown(&e))?)
    }

    /// `QueueReport`, the calls of this turn of the page in it.
    pub fn queue(&self) -> js_sys::Promise {
        let pool = self.pool.clone();
        wasm_bindgen_futures::future_to_promise(async move { to_js(&pool.queue()) })
    }

    /// `TrafficReport`.
    pub fn traffic(&self) -> std::result::Result<JsValue, JsValue> {
        to_js(&self.pool.traffic())
    }

    /// Brings `{type, data, dims}` to the device: its number.
    pub fn upload(&self, value: &JsValue) -> js_sys::Promise {
        let (pool, tensor) = (self.pool.clone(), tensor(value));
        wasm_bindgen_futures::future_to_promise(async move {
            let upload = async { pool.upload(&tensor?).await };
            let resident = upload.await.map_err(|e| thrown(&e))?;
            Ok((pool.hold(resident) as f64).into())
        })
    }

    /// A tensor of floats of these dims that the page writes itself, where the first lane has such: `[id, device, buffer]`, or nothing.
    pub fn blank(&self, dims: Vec<usize>) -> js_sys::Promise {
        let pool = self.pool.clone();
        wasm_bindgen_futures::future_to_promise(async move {
            let blank = pool.blank(TensorType::new(DType::Float32, dims)).await.map_err(|e| thrown(&e))?;
            let known = blank.and_then(|(tensor, by)| Some((tensor, by.downcast::<[JsValue; 2]>().ok()?)));
            Ok(known.map_or(JsValue::UNDEFINED, |(tensor, by)| {
                let [device, buffer] = *by;
                js_sys::Array::of3(&(pool.hold(tensor) as f64).into(), &device, &buffer).into()
            }))
        })
    }

    /// Reads a tensor on the device: `{type, data, dims}`.
    pub fn read(&self, id: f64) -> js_sys::Promise {
        let pool = self.pool.clone();
        wasm_bindgen_futures::future_to_promise(async move {
            let read = async { pool.read(&*pool.tensor(id as u64)?).await };
            Ok(tensor_to_js(&read.await.map_err(|e| thrown(&e))?).into())
        })
    }

    /// Lets go of a tensor on the device.
    pub fn dispose(&self, id: f64) {
        self.pool.dispose(id as u64);
    }

    /// Loads a model from a URL or bytes: `{id, name, lanes, inputs, outputs}`. `files` opens what is behind URLs, as `browser::Files` says.
    pub fn load(&self, source: JsValue, options: JsValue, files: JsValue) -> js_sys::Promise {
        let (pool, files) = (self.pool.clone(), Files::of(files));
        wasm_bindgen_futures::future_to_promise(async move {
            let load = load::load(&pool, &source, &options, files);
            let session = until(signal(&options), load).await.map_err(|e| thrown(&e))?;
            to_js(&load::Loaded::of(&pool, &session))
        })
    }

    /// Has `files` open all that a load would.
    pub fn preload(&self, source: JsValue, options: JsValue, files: JsValue) -> js_sys::Promise {
        wasm_bindgen_futures::future_to_promise(async move {
            let preload = load::preload(&source, &options, Files::of(files));
            until(signal(&options), preload).await.map_err(|e| thrown(&e))?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Runs `[{session, feeds, keep?}]` in one execution: the outputs of each.
    #[wasm_bindgen(js_name = runAll)]
    pub fn run_all(&self, list: &JsValue, options: JsValue) -> js_sys::Promise {
        let (pool, requests) = (self.pool.clone(), requests(&self.pool, list));
        wasm_bindgen_futures::future_to_promise(async move {
            let run = async {
                let call: CallOptions = from_js(options.clone(), "the run's options")?;
                pool.run(requests?, call.run()?).await
            };
            let outputs = until(signal(&options), run).await.map_err(|e| thrown(&e))?;
            Ok(outputs.iter().map(|o| outputs_to_js(&pool, o)).collect::<js_sys::Array>().into())
        })
    }

    /// Predicts `[{session, shapes}]`: a `Prediction`.
    pub fn predict(&self, list: JsValue, options: JsValue) -> js_sys::Promise {
        let pool = self.pool.clone();
        wasm_bindgen_futures::future_to_promise(async move {
            let predict = async {
                let list: Vec<ShapeRequest> = from_js(list, "the requests")?;
                let call: CallOptions = from_js(options, "the options")?;
                let requests = list.into_iter().map(|r| (r.session as u64, r.shapes)).collect();
                pool.predict(requests, goal(call.goal.as_deref())?).await
            };
            to_js(&predict.await.map_err(|e| thrown(&e))?)
        })
    }

    /// Compares every strategy on `[{session, feeds}]`: a `Comparison`, which `onProgress` is told of after each round.
    pub fn compare(&self, list: &JsValue, options: JsValue) -> js_sys::Promise {
        let (pool, requests) = (self.pool.clone(), requests(&self.pool, list));
        wasm_bindgen_futures::future_to_promise(async move {
            let compare = async {
                let call: CallOptions = from_js(options.clone(), "the comparison's options")?;
                let repeats = call.repeats.unwrap_or(5.0);
                let callback: Option<js_sys::Function> = load::field(&options, "onProgress").dyn_into().ok();
                let told = |so_far: &_| {
                    if let (Some(callback), Ok(so_far)) = (&callback, to_js(so_far)) {
                        // A callback that throws must not stop the comparison.
                        let _ = callback.call1(&JsValue::UNDEFINED, &so_far);
                    }
                };
                pool.compare(requests?, repeats.max(0.0) as usize, goal(call.goal.as_deref())?, &told).await
            };
            to_js(&until(signal(&options), compare).await.map_err(|e| thrown(&e))?)
        })
    }

    /// Tells how the machine is: whether the page is hidden, how hard the processor is pressed from 0 (nominal) to 3 (critical),
    /// whether it lives on its battery; and whether a hidden page leaves it to others.
    pub fn told(&self, hidden: bool, pressure: Option<u8>, on_battery: Option<bool>, yields: bool) {
        let pressure = pressure.and_then(|level| Pressure::ALL.get(usize::from(level)).copied());
        self.pool.told(Machine { hidden, pressure, on_battery }, yields);
    }

    /// Frees what only this session holds.
    pub fn release(&self, session: f64) {
        self.pool.release(session as u64);
    }

    /// Releases every session and the device.
    pub fn close(&self) {
        self.pool.close();
    }
}
