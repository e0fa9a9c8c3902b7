//! A processor in this process, natively, which gives way between slices as one in a page's worker does. Knows how it is asked; must
//! never know a page.

use crate::error::{Error, Kind, Result};
use crate::graph::HostTensor;
use crate::lane::host::{Task, next_turn, now_ms};
use crate::lane::workers::{About, Far, Told};
use crate::processor::{Reply, Scoped, Server};
use std::cell::RefCell;
use std::rc::Rc;

/// Milliseconds of a slice.
const SLICE_MS: f64 = 1.0;

/// Where the answer to what paused will be.
type Slot = Rc<RefCell<Option<Reply>>>;

/// The processor, and for whom it is at work.
#[derive(Debug)]
struct State {
    server: Server,
    team: Scoped,
    paused: Option<Slot>,
}

impl State {
    /// Goes on for so many milliseconds with what paused, if anything did.
    fn more(&mut self, slice_ms: f64) {
        let Some(slot) = &self.paused else { return };
        if let Some(reply) = self.server.more(&self.team, slice_ms) {
            slot.replace(Some(reply));
            self.paused = None;
        }
    }

    /// Begins what is asked, once everything before has its answer.
    fn ask(&mut self, head: &[u8], parts: &[&HostTensor]) -> Slot {
        self.more(f64::INFINITY);
        let parts = parts.iter().map(|tensor| tensor.data().clone()).collect();
        let reply = self.server.begin(&self.team, head, parts, SLICE_MS);
        let paused = reply.is_none();
        let slot = Rc::new(RefCell::new(reply));
        self.paused = paused.then(|| Rc::clone(&slot));
        slot
    }
}

/// A processor in this process, for tests: it computes in slices where it is waited for.
#[derive(Debug)]
pub struct Near(Rc<RefCell<Option<State>>>);

impl Near {
    /// One of so many threads.
    pub fn new(threads: usize) -> Near {
        let server = Server::new(now_ms, vec!["native".to_owned()]);
        Near(Rc::new(RefCell::new(Some(State { server, team: Scoped(threads), paused: None }))))
    }
}

impl Far for Near {
    fn ask(&self, head: Vec<u8>, parts: &[&HostTensor], _about: About) -> Task<'static, Result<Told>> {
        let slot = self.0.borrow_mut().as_mut().map(|state| state.ask(&head, parts));
        let state = Rc::clone(&self.0);
        Box::pin(async move {
            let closed = || Error::new(Kind::DeviceLost, "the processor was closed");
            let slot = slot.ok_or_else(closed)?;
            loop {
                if let Some(reply) = slot.take() {
                    return Ok(Told { head: reply.head, parts: reply.parts });
                }
                next_turn().await;
                state.borrow_mut().as_mut().ok_or_else(closed)?.more(SLICE_MS);
            }
        })
    }

    fn stop(&self, number: u32) {
        if let Some(state) = &*self.0.borrow() {
            state.server.stop(number);
        }
    }

    fn lost(&self) -> Option<String> {
        self.0.borrow().is_none().then(|| "it was closed".to_owned())
    }

    fn close(&self) {
        self.0.take();
    }
}
