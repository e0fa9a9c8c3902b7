//! The weights of a processor's programs, each content and each form of it held once. Knows bytes and holders; must never
//! know what reads them.

use crate::error::{Error, Kind, Result};
use crate::graph::{ContentHash, HostTensor};
use crate::kernels::base::cpu::lowering::Pack;
use crate::memory::WeightBook;
use crate::program::cpu::Program;
use std::collections::BTreeMap;
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
    pub(super) weights: BTreeMap<ContentHash, Arc<Elements>>,
}

/// A form of a weight, from which the weight can be had back.
struct Form {
    of: ContentHash,
    shape: Vec<usize>,
    pack: Pack,
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Form").field("of", &self.of).finish_non_exhaustive()
    }
}

impl Form {
    /// The weight whose form `floats` is.
    fn undone(&self, floats: &[f32]) -> Result<HostTensor> {
        let whole = self.pack.undone(floats, self.shape.iter().product());
        HostTensor::f32(self.shape.clone(), whole)
    }
}

/// Weights and who holds them.
#[derive(Debug, Default)]
pub struct Store {
    book: WeightBook,
    held: BTreeMap<ContentHash, Arc<Elements>>,
    forms: BTreeMap<ContentHash, Form>,
}

impl Store {
    /// A weight as the host read it, where it lies here like that.
    pub fn whole(&self, hash: &ContentHash) -> Option<Arc<HostTensor>> {
        match self.held.get(hash).map(Arc::as_ref) {
            Some(Elements::Host(tensor)) => Some(Arc::clone(tensor)),
            _ => None,
        }
    }

    /// A weight, from one of its forms where it does not lie here as it is.
    #[inline(never)]
    fn recovered(&self, hash: &ContentHash) -> Result<Arc<HostTensor>> {
        if let Some(tensor) = self.whole(hash) {
            return Ok(tensor);
        }
        let nobody = || Error::new(Kind::Internal, "a weight is held by nobody");
        let (at, form) = self.forms.iter().find(|(_, form)| form.of == *hash).ok_or_else(nobody)?;
        let elements = self.held.get(at).ok_or_else(nobody)?;
        form.undone(bytemuck::cast_slice(elements.bytes())).map(Arc::new)
    }

    /// Brings what `program` reads, for `holder`. What is there already is neither brought nor made again.
    #[inline(never)]
    pub fn load(&mut self, holder: u64, mut program: Program) -> Result<Loaded> {
        let mut weights = BTreeMap::new();
        for (hash, made) in std::mem::take(&mut program.made) {
            let elements = match self.held.get(&hash) {
                Some(elements) => Arc::clone(elements),
                None => {
                    let given = program.weights.get(&made.of).and_then(|w| w.tensor.clone());
                    let source = given.map_or_else(|| self.recovered(&made.of), Ok)?;
                    let floats = source.as_f32().ok_or_else(|| Error::new(Kind::Internal, "a form of no floats"))?;
                    let elements = Arc::new(Elements::Made((made.pack.make)(floats)));
                    let form = Form { of: made.of, shape: source.shape().to_vec(), pack: made.pack };
                    self.forms.insert(hash, form);
                    elements
                }
            };
            self.hold(holder, hash, made.bytes, &elements);
            weights.insert(hash, elements);
        }
        for (&hash, weight) in program.weights.iter().filter(|(_, weight)| weight.used) {
            let elements = match (self.held.get(&hash), &weight.tensor) {
                (Some(elements), _) => Arc::clone(elements),
                (None, Some(tensor)) => Arc::new(Elements::Host(Arc::clone(tensor))),
                (None, None) => Arc::new(Elements::Host(self.recovered(&hash)?)),
            };
            self.hold(holder, hash, weight.bytes, &elements);
            weights.insert(hash, elements);
        }
        // What was only made into others is not kept for it.
        program.weights.values_mut().for_each(|weight| weight.tensor = None);
        Ok(Loaded { program, weights })
    }

    fn hold(&mut self, holder: u64, hash: ContentHash, bytes: u64, elements: &Arc<Elements>) {
        self.book.hold(holder, hash, bytes);
        self.held.insert(hash, Arc::clone(elements));
    }

    /// Lets go of what only `holder` held.
    #[inline(never)]
    pub fn release(&mut self, holder: u64) {
        for hash in self.book.release(holder) {
            self.held.remove(&hash);
            self.forms.remove(&hash);
        }
    }

    /// Bytes of all weights, each counted once.
    pub fn bytes(&self) -> u64 {
        self.book.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_had_back_from_a_form_of_it() -> Result<()> {
        // Turned, each row padded.
        let pack = Pack::moves(|floats| {
            let mut out = vec![];
            for row in 0..3 {
                out.extend((0..2).map(|column| floats[column * 3 + row]));
                out.extend([0.0, 0.0]);
            }
            out
        });
        let floats = [0.0, 1.0, 2.0, 3.0, -4.0, 5.0];
        let made = (pack.make)(&floats);
        assert_eq!(made.len(), 12);
        let form = Form { of: ContentHash([0; 16]), shape: vec![2, 3], pack };
        assert_eq!(form.undone(&made)?, HostTensor::f32([2, 3], floats.to_vec())?);
        Ok(())
    }
}
