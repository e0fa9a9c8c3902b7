//! A processor behind plain functions of wasm, as `pkg/cpu/worker.js` calls them: it asks for room, writes a request and the
//! elements that it speaks of into it, and reads the reply. Knows bytes; must never know what they say.
//!
//! One thread calls. `#[unsafe(no_mangle)]` is what gives a function its name in wasm.
#![allow(unsafe_code)]
#![cfg(target_arch = "wasm32")]
#![cfg_attr(target_feature = "atomics", feature(stdarch_wasm_atomic_wait))]

mod page;
#[cfg(target_feature = "atomics")]
mod team;

use consort::graph::{DType, Data};
#[cfg(not(target_feature = "atomics"))]
use consort::processor::Alone;
use consort::processor::{Clock, Reply, Server, Team};
use std::cell::RefCell;

/// A processor, what it is to be asked, and what it answered.
struct State {
    server: Server,
    head: Vec<u8>,
    parts: Vec<Data>,
    reply: Reply,
    team: Box<dyn Team>,
}

impl State {
    /// Keeps an answer, if that is one.
    fn answered(&mut self, reply: Option<Reply>) -> bool {
        let done = reply.is_some();
        self.reply = reply.unwrap_or_default();
        done
    }
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// What `read` sees of the state, or nothing where it was not begun.
fn state<T: Default>(read: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(|state| state.as_mut().map(read)).unwrap_or_default()
}

/// The instructions that this was built for.
fn features() -> Vec<String> {
    let all = [
        ("simd128", cfg!(target_feature = "simd128")),
        ("relaxed-simd", cfg!(target_feature = "relaxed-simd")),
        ("threads", cfg!(target_feature = "atomics")),
    ];
    all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name.to_owned()).collect()
}

/// So many threads, or as many as this build has.
fn team(threads: usize) -> Box<dyn Team> {
    #[cfg(target_feature = "atomics")]
    return Box::new(team::Threads(threads));
    #[cfg(not(target_feature = "atomics"))]
    {
        let _ = threads;
        Box::new(Alone)
    }
}

fn begun(clock: Clock, threads: usize) {
    let (server, reply, team) = (Server::new(clock, features()), Reply::default(), team(threads));
    STATE.set(Some(State { server, head: vec![], parts: vec![], reply, team }));
}

/// The address of room for a request of `len` bytes; null where there is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn request(len: usize) -> usize {
    state(|state| {
        state.parts.clear();
        state.head.clear();
        state.head.try_reserve_exact(len).ok()?;
        state.head.resize(len, 0);
        Some(state.head.as_mut_ptr() as usize)
    })
    .unwrap_or(0)
}

/// The address of room for so many bytes of elements that the request speaks of, of the type of that number; null where there
/// is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn part(dtype: u32, bytes: usize) -> usize {
    state(|state| {
        let dtype = DType::of_number(dtype)?;
        state.parts.push(Data::room(dtype, bytes / dtype.host_bytes())?);
        state.parts.last_mut().map(address)
    })
    .unwrap_or(0)
}

fn address(data: &mut Data) -> usize {
    data.bytes_mut().as_mut_ptr() as usize
}

/// Does what was asked.
#[unsafe(no_mangle)]
pub extern "C" fn answer() {
    state(|state| {
        let (head, parts) = (std::mem::take(&mut state.head), std::mem::take(&mut state.parts));
        // The last answer's elements make room for this one's.
        state.reply = Reply::default();
        state.reply = state.server.answer(&*state.team, &head, parts);
    });
}

/// As [`answer`], but pauses after so many milliseconds: whether there is an answer.
#[unsafe(no_mangle)]
pub extern "C" fn begin_slices(slice_ms: f64) -> bool {
    state(|state| {
        let (head, parts) = (std::mem::take(&mut state.head), std::mem::take(&mut state.parts));
        state.reply = Reply::default();
        let reply = state.server.begin(&*state.team, &head, parts, slice_ms);
        state.answered(reply)
    })
}

/// Goes on for so many milliseconds with what paused: whether there is an answer now.
#[unsafe(no_mangle)]
pub extern "C" fn more(slice_ms: f64) -> bool {
    state(|state| {
        let reply = state.server.more(&*state.team, slice_ms);
        state.answered(reply)
    })
}

/// Spends a few milliseconds on being fast later: whether a few more are of use.
#[unsafe(no_mangle)]
pub extern "C" fn warm() -> bool {
    state(|state| state.server.warm())
}

/// Has the execution of that number end where it goes on next.
#[unsafe(no_mangle)]
pub extern "C" fn stop(number: u32) {
    state(|state| state.server.stop(number));
}

/// The address of a word that does the same when that number is written there, by whoever shares this memory.
#[unsafe(no_mangle)]
pub extern "C" fn stop_word() -> usize {
    state(|state| std::sync::Arc::as_ptr(state.server.stop_word()) as usize)
}

/// The address of the answer.
#[unsafe(no_mangle)]
pub extern "C" fn reply() -> usize {
    state(|state| state.reply.head.as_ptr() as usize)
}

/// Its bytes.
#[unsafe(no_mangle)]
pub extern "C" fn reply_bytes() -> usize {
    state(|state| state.reply.head.len())
}

/// How many times elements go with it.
#[unsafe(no_mangle)]
pub extern "C" fn reply_parts() -> usize {
    state(|state| state.reply.parts.len())
}

/// The address of the elements of that number.
#[unsafe(no_mangle)]
pub extern "C" fn reply_part(i: usize) -> usize {
    state(|state| state.reply.parts.get_mut(i).map(address)).unwrap_or(0)
}

/// The number of their type.
#[unsafe(no_mangle)]
pub extern "C" fn reply_part_type(i: usize) -> u32 {
    state(|state| state.reply.parts.get(i).map(|data| data.dtype().number())).unwrap_or(0)
}

/// Their bytes.
#[unsafe(no_mangle)]
pub extern "C" fn reply_part_bytes(i: usize) -> usize {
    state(|state| state.reply.parts.get(i).map(|data| data.bytes().len())).unwrap_or(0)
}

/// Frees the answer once it was read.
#[unsafe(no_mangle)]
pub extern "C" fn done() {
    state(|state| state.reply = Reply::default());
}
