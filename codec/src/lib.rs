//! What is asked of a processor, and what it answers, as JSON and back, behind plain functions of wasm: `pkg/webnn/codec.js` asks for
//! room, writes a message there and reads what it is in the other form. Knows messages; must never know what becomes of them.
//!
//! `#[unsafe(no_mangle)]` is what gives a function its name in wasm.
#![allow(unsafe_code)]

use consort::processor::wire::{self, Answer, Request};
use std::cell::RefCell;

/// A message, and the same in the other form, or what is wrong with it.
#[derive(Debug, Default)]
struct State {
    given: Vec<u8>,
    made: Vec<u8>,
}

impl State {
    fn keep(&mut self, made: Result<Vec<u8>, String>) -> bool {
        let fine = made.is_ok();
        self.made = made.unwrap_or_else(String::into_bytes);
        fine
    }
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// The address of room for a message of `len` bytes.
#[unsafe(no_mangle)]
pub extern "C" fn room(len: usize) -> *mut u8 {
    STATE.with_borrow_mut(|state| {
        state.given.clear();
        state.given.resize(len, 0);
        state.given.as_mut_ptr()
    })
}

/// A request as JSON.
///
/// # Errors
///
/// Says what is wrong with it.
pub fn told(request: &[u8]) -> Result<Vec<u8>, String> {
    let request: Request = wire::read(request).map_err(|e| e.to_string())?;
    serde_json::to_vec(&request).map_err(|e| e.to_string())
}

/// An answer in JSON as bytes.
///
/// # Errors
///
/// Says what is wrong with it.
pub fn written(answer: &[u8]) -> Result<Vec<u8>, String> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|e| e.to_string())?;
    wire::written(&answer).map_err(|e| e.to_string())
}

/// Makes JSON of the request that was given; whether it could.
#[unsafe(no_mangle)]
pub extern "C" fn decode() -> bool {
    STATE.with_borrow_mut(|state| {
        let made = told(&state.given);
        state.keep(made)
    })
}

/// Makes bytes of the answer in JSON that was given; whether it could.
#[unsafe(no_mangle)]
pub extern "C" fn encode() -> bool {
    STATE.with_borrow_mut(|state| {
        let made = written(&state.given);
        state.keep(made)
    })
}

/// Where what was made lies.
#[unsafe(no_mangle)]
pub extern "C" fn out() -> *const u8 {
    STATE.with_borrow(|state| state.made.as_ptr())
}

/// Its bytes.
#[unsafe(no_mangle)]
pub extern "C" fn out_bytes() -> usize {
    STATE.with_borrow(|state| state.made.len())
}

// A test may fail loudly.
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use consort::graph::ContentHash;

    #[test]
    fn a_request_is_json_and_an_answer_is_had_from_json() {
        let asked = Request::Weight { program: 3, hash: ContentHash([7; 16]), shape: vec![2, 0] };
        let json = told(&wire::written(&asked).unwrap()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!((&json["Weight"]["program"], &json["Weight"]["hash"][15]), (&3.into(), &7.into()));
        let bytes = written(br#"{"Executed":[[[0.5,1.25]],[]]}"#).unwrap();
        let Answer::Executed(spans, _) = wire::read(&bytes).unwrap() else { panic!("another answer") };
        assert_eq!(spans, [(0.5, 1.25)]);
        assert!(told(&[250]).is_err() && written(b"{").is_err());
    }
}
