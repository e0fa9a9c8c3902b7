//! The weights of a processor's programs, each content and each form of it held once. Knows bytes and holders; must never
//! know what reads them.

use crate::error::{Error, Kind, Result};
use crate::graph::{ContentHash, HostTensor};
use crate::memory::WeightBook;
use crate::program::cpu::Program;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// The elements of a weight.
#[derive(Debug)]
pub enum Elements {
    /// As the host read them: they are not copied.
    Host(Arc<HostTensor>),
    /// Another form of them.
    Made(Vec<f32>),
}

impl Elements {
    /// Their bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Elements::Made(floats) => bytemuck::cast_slice(floats),
            Elements::Host(tensor) => tensor.bytes(),
        }
    }
}

/// A program with its weights.
#[derive(Debug)]
pub struct Loaded {
    /// The program.
    pub program: Program,
    /// What its steps read of weights.
    pub(super) weights: BTreeMap<ContentHash, Rc<Elements>>,
}

/// Weights and who holds them.
#[derive(Debug, Default)]
pub struct Store {
    book: WeightBook,
    held: BTreeMap<ContentHash, Rc<Elements>>,
}

impl Store {
    /// Brings what `program` reads, for `holder`. What is there already is neither brought nor made again.
    pub fn load(&mut self, holder: u64, program: Program) -> Result<Loaded> {
        let mut weights = BTreeMap::new();
        let nobody = || Error::new(Kind::Internal, "a weight is held by nobody");
        for (&hash, made) in &program.made {
            let elements = match self.held.get(&hash) {
                Some(elements) => Rc::clone(elements),
                None => {
                    let source = program.weights.get(&made.of).and_then(|w| w.tensor.clone());
                    let source = source.or_else(|| match self.held.get(&made.of).map(Rc::as_ref) {
                        Some(Elements::Host(tensor)) => Some(Arc::clone(tensor)),
                        _ => None,
                    });
                    let source = source.ok_or_else(nobody)?;
                    let floats = source.as_f32().ok_or_else(|| Error::new(Kind::Internal, "a form of no floats"))?;
                    Rc::new(Elements::Made((made.make)(floats)))
                }
            };
            self.hold(holder, hash, made.bytes, &elements);
            weights.insert(hash, elements);
        }
        for (&hash, weight) in program.weights.iter().filter(|(_, weight)| weight.used) {
            let brought = || weight.tensor.clone().map(|tensor| Rc::new(Elements::Host(tensor)));
            let elements = self.held.get(&hash).cloned().or_else(brought).ok_or_else(nobody)?;
            self.hold(holder, hash, weight.bytes, &elements);
            weights.insert(hash, elements);
        }
        Ok(Loaded { program, weights })
    }

    fn hold(&mut self, holder: u64, hash: ContentHash, bytes: u64, elements: &Rc<Elements>) {
        self.book.hold(holder, hash, bytes);
        self.held.insert(hash, Rc::clone(elements));
    }

    /// Lets go of what only `holder` held.
    pub fn release(&mut self, holder: u64) {
        for hash in self.book.release(holder) {
            self.held.remove(&hash);
        }
    }

    /// Bytes of all weights, each counted once.
    pub fn bytes(&self) -> u64 {
        self.book.bytes()
    }
}
