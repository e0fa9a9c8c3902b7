//! The other end: a processor that is asked. Knows messages as bytes; must never know what they say.

use crate::error::Result;
use crate::graph::{Data, HostTensor};
use crate::lane::host::Task;
use std::fmt::Debug;

/// An answer in bytes, and the elements that it speaks of: each as the type that the answer names.
#[derive(Debug, Default)]
pub struct Told {
    /// A `wire::Answer`.
    pub head: Vec<u8>,
    /// Elements, in its order.
    pub parts: Vec<Data>,
}

/// A processor that answers.
pub trait Far: Debug {
    /// Asks what `head`, a `wire::Request`, says of `parts`. Both are read and the request is on its way before this returns,
    /// whether anybody waits for the answer or not; requests are done in their order. `DeviceLost` where it cannot answer
    /// any more.
    fn ask(&self, head: Vec<u8>, parts: &[&HostTensor]) -> Task<'static, Result<Told>>;

    /// Why it cannot answer any more.
    fn lost(&self) -> Option<String>;

    /// Ends it.
    fn close(&self);
}

#[cfg(not(target_arch = "wasm32"))]
mod near {
    use super::{Far, Told};
    use crate::error::{Error, Kind, Result};
    use crate::graph::HostTensor;
    use crate::lane::host::{Task, now_ms};
    use crate::processor::{Scoped, Server};
    use std::cell::RefCell;

    /// A processor in this process, which answers before it is waited for: natively, for tests.
    #[derive(Debug)]
    pub struct Near {
        server: RefCell<Option<Server>>,
        team: Scoped,
    }

    impl Near {
        /// One of so many threads.
        pub fn new(threads: usize) -> Near {
            Near { server: RefCell::new(Some(Server::new(now_ms, vec!["native".to_owned()]))), team: Scoped(threads) }
        }
    }

    impl Far for Near {
        fn ask(&self, head: Vec<u8>, parts: &[&HostTensor]) -> Task<'static, Result<Told>> {
            let parts = parts.iter().map(|tensor| tensor.data().clone()).collect();
            let reply = self.server.borrow_mut().as_mut().map(|server| server.answer(&self.team, &head, parts));
            Box::pin(async move {
                let reply = reply.ok_or_else(|| Error::new(Kind::DeviceLost, "the processor was closed"))?;
                Ok(Told { head: reply.head, parts: reply.parts })
            })
        }

        fn lost(&self) -> Option<String> {
            self.server.borrow().is_none().then(|| "it was closed".to_owned())
        }

        fn close(&self) {
            self.server.take();
        }
    }
}
#[cfg(not(target_arch = "wasm32"))]
pub use near::Near;
