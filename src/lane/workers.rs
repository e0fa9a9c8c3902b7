//! Processors elsewhere, which a page opens and lanes ask. Knows messages as bytes; must never know what they say.

use super::host::Task;
use crate::error::Result;
use crate::graph::{Data, HostTensor};
use std::fmt;
use std::rc::Rc;

/// An answer in bytes, and the elements that it speaks of: each as the type that the answer names.
#[derive(Debug, Default)]
pub struct Told {
    /// A `wire::Answer`.
    pub head: Vec<u8>,
    /// Elements, in its order.
    pub parts: Vec<Data>,
}

/// What a request is about, for who carries it: programs by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Something else.
    Other,
    /// Brings what that program is made of.
    Brings(u64),
    /// Runs that program once; all that it reads comes along, and nothing stays.
    Runs(u64),
    /// Frees what was brought for that program; for all, where it has no number.
    Frees(Option<u64>),
}

/// A processor that answers.
pub trait Far {
    /// Asks what `head`, a `wire::Request`, says of `parts`. Both are read and the request is on its way before this returns,
    /// whether anybody waits for the answer or not; requests are done in their order. `DeviceLost` where it cannot answer
    /// any more.
    fn ask(&self, head: Vec<u8>, parts: &[&HostTensor], about: About) -> Task<'static, Result<Told>>;

    /// Bytes of what it holds a second time, nearer to who asks.
    fn twice(&self) -> u64 {
        0
    }

    /// Nobody waits any more for the answer to the `Execute` of that number: it may end before its end. Any other goes on.
    fn stop(&self, _number: u32) {}

    /// It holds nothing that will be asked for: its memory may go back to the page.
    fn rest(&self) {}

    /// Why it cannot answer any more.
    fn lost(&self) -> Option<String>;

    /// Ends it.
    fn close(&self);
}

impl fmt::Debug for dyn Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Far")
    }
}

/// What is to be a processor once it is waited for.
pub type Opening = Task<'static, Result<Box<dyn Far>>>;

/// Opens processors.
#[derive(Clone)]
pub struct Workers {
    open: Rc<dyn Fn(&str) -> Opening>,
    threads: usize,
    lanes: Rc<[String]>,
}

impl Workers {
    /// By `open`, which is told the lane that asks, each of so many threads at most; `lanes`: names of those that there seem to be,
    /// the preferred first.
    pub fn new(open: impl Fn(&str) -> Opening + 'static, threads: usize, lanes: Vec<String>) -> Workers {
        Workers { open: Rc::new(open), threads, lanes: lanes.into() }
    }

    /// The lanes that there seem to be, the preferred first.
    pub fn lanes(&self) -> &[String] {
        &self.lanes
    }

    /// Threads that one has at most.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// One more, for the lane of that name.
    pub fn open(&self, lane: &str) -> Opening {
        (self.open)(lane)
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Workers")
    }
}
