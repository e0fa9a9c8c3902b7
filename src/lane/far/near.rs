//! A processor in this process, natively. Knows how it is asked; must never know a page.

use crate::error::{Error, Kind, Result};
use crate::graph::HostTensor;
use crate::lane::host::{Task, now_ms};
use crate::lane::workers::{Far, Told};
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
