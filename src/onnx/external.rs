//! External data as it arrives: given whole, or in pieces of which only what a tensor needs is kept, once.
//! Knows files and ranges; must never know where pieces come from.

use crate::graph::{DType, Data};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// External data files by the location that the model states.
#[derive(Debug, Default)]
pub struct ExternalData {
    files: BTreeMap<String, File>,
}

#[derive(Debug)]
enum File {
    Whole(Vec<u8>),
    Pieces(Pieces),
}

/// A file of which only tensors are kept.
#[derive(Debug, Default)]
struct Pieces {
    /// Bytes that have arrived.
    length: usize,
    /// In the order of their offsets.
    tensors: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    range: Range,
    /// Tensors that still want it: the last of them takes it, so that it is never held twice.
    wanted: RefCell<(usize, Data)>,
}

/// Where a tensor lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// First byte.
    pub offset: usize,
    /// Number of bytes.
    pub bytes: usize,
    /// Type of its elements.
    pub dtype: DType,
}

impl<const N: usize> From<[(String, Vec<u8>); N]> for ExternalData {
    fn from(files: [(String, Vec<u8>); N]) -> Self {
        ExternalData { files: files.into_iter().map(|(name, bytes)| (name, File::Whole(bytes))).collect() }
    }
}

impl ExternalData {
    /// Begins a file that arrives in pieces, of which `tensors` are kept.
    pub fn announce(&mut self, file: &str, mut tensors: Vec<Range>) {
        tensors.sort_unstable();
        let mut pieces = Pieces::default();
        for range in tensors {
            match pieces.tensors.last() {
                Some(last) if last.range == range => last.wanted.borrow_mut().0 += 1,
                _ => pieces.tensors.push(Part { range, wanted: RefCell::new((1, Data::empty(range.dtype))) }),
            }
        }
        self.files.insert(file.to_owned(), File::Pieces(pieces));
    }

    /// The next bytes of a file that was announced.
    pub fn feed(&mut self, file: &str, bytes: &[u8]) {
        let Some(File::Pieces(pieces)) = self.files.get_mut(file) else { return };
        let (from, to) = (pieces.length, pieces.length + bytes.len());
        for part in &mut pieces.tensors {
            let (first, last) = (part.range.offset.max(from), (part.range.offset + part.range.bytes).min(to));
            if first < last {
                let slot = first - part.range.offset..last - part.range.offset;
                fill(&mut part.wanted.get_mut().1, part.range, slot, &bytes[first - from..last - from]);
            }
        }
        pieces.length = to;
    }

    /// The elements of `range` in `file`: nothing where the file was not given, its length where it is too short.
    pub(super) fn take(&self, file: &str, range: Range) -> Option<Result<Data, usize>> {
        let end = range.offset.checked_add(range.bytes);
        Some(match self.files.get(file)? {
            File::Whole(bytes) => {
                let part = end.and_then(|end| bytes.get(range.offset..end));
                part.and_then(|part| Data::of_bytes(range.dtype, part)).ok_or(bytes.len())
            }
            File::Pieces(pieces) => {
                let part = pieces.tensors.iter().find(|p| p.range == range);
                match part.filter(|_| end.is_some_and(|end| end <= pieces.length)) {
                    None => Err(pieces.length),
                    Some(part) => {
                        let (left, data) = &mut *part.wanted.borrow_mut();
                        *left = left.saturating_sub(1);
                        data.settle();
                        Ok(if *left == 0 { std::mem::replace(data, Data::empty(range.dtype)) } else { data.clone() })
                    }
                }
            }
        })
    }
}

/// Puts `bytes` at `slot` of a tensor's little-endian bytes. Nothing is allocated before its first byte is there: a file may
/// state any length.
fn fill(data: &mut Data, range: Range, slot: std::ops::Range<usize>, bytes: &[u8]) {
    const { assert!(cfg!(target_endian = "little")) };
    // Where there is no room the tensor stays too short, which its reader refuses.
    if data.grow(range.bytes / range.dtype.host_bytes()) {
        data.bytes_mut()[slot].copy_from_slice(bytes);
    }
}

// proptest does not build for wasm.
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(
            length in 0usize..200,
            ranges in prop::collection::vec((0usize..40, 0usize..12, any::<bool>()), 0..6),
            cuts in prop::collection::vec(1usize..50, 1..20),
        ) {
            let bytes: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
            let whole = ExternalData::from([("f".to_owned(), bytes.clone())]);
            let range = |&(at, count, wide): &(usize, usize, bool)| {
                let dtype = if wide { DType::Int64 } else { DType::Int32 };
                Range { offset: at * 4, bytes: count * dtype.host_bytes(), dtype }
            };
            let ranges: Vec<Range> = ranges.iter().map(range).collect();
            let mut pieces = ExternalData::default();
            pieces.announce("f", ranges.clone());
            let (mut at, mut cuts) = (0, cuts.into_iter().cycle());
            while at < length {
                let end = (at + cuts.next().unwrap_or(1)).min(length);
                pieces.feed("f", &bytes[at..end]);
                at = end;
            }
            for range in ranges {
                prop_assert_eq!(whole.take("f", range), pieces.take("f", range), "{:?}", range);
            }
            prop_assert_eq!(pieces.take("g", Range { offset: 0, bytes: 0, dtype: DType::Bool }), None);
        }
    }
}
