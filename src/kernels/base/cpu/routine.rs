//! The contract of a computation on a processor, and the memory that it sees. Knows spans of bytes and who may write where;
//! must never know one operator, or where its operands lie. `unsafe`, as threads share an arena that no borrow can divide.
#![allow(unsafe_code)]

use crate::error::{Error, Kind, Result};
use crate::graph::{DType, Data};
use crate::kernels::base::Class;
use bytemuck::Pod;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::Range;

/// What tests see of a routine; a page sees its name, and need not download what tells more.
#[cfg(not(target_arch = "wasm32"))]
pub trait Shown: Debug {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Debug> Shown for T {}

/// What tests see of a routine; a page sees its name, and need not download what tells more.
#[cfg(target_arch = "wasm32")]
pub trait Shown {}
#[cfg(target_arch = "wasm32")]
impl<T> Shown for T {}
#[cfg(target_arch = "wasm32")]
impl Debug for dyn Routine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A computation over operands, divided into units that threads share out among themselves.
pub trait Routine: Shown + Send + Sync {
    /// Its type, as it is written.
    fn name(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        path.split('<').next().and_then(|path| path.rsplit(':').next()).unwrap_or(path)
    }

    /// Steps after each of which all threads wait for one another.
    fn phases(&self) -> usize {
        1
    }

    /// Units of a phase. No two of one phase write the same element, and none reads what another writes.
    fn units(&self, _phase: usize) -> usize {
        1
    }

    /// Computes some units of a phase.
    fn run(&self, phase: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()>;

    /// Floats that a thread needs beside its operands.
    fn scratch(&self) -> usize {
        0
    }

    /// Floats that all threads share beside their operands, from one phase to the next.
    fn shared(&self) -> usize {
        0
    }

    /// Whether an operator's reference computes it, for want of a routine of its own.
    fn is_reference(&self) -> bool {
        false
    }

    /// Of operand `i`, which has so many bytes, those that it reads.
    fn reads(&self, _i: usize, bytes: u64) -> u64 {
        bytes
    }

    /// What it is, for the predictor and for profiles.
    fn class(&self) -> Class;

    /// Floating-point operations.
    fn flops(&self) -> f64;
}

/// Bytes somewhere, for as long as a routine runs.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    at: *mut u8,
    bytes: usize,
    writes: bool,
    life: PhantomData<&'a mut [u8]>,
}

// SAFETY: a span is an address; what is done with it is bound by the contract of `Routine::units`.
unsafe impl Send for Span<'_> {}
// SAFETY: as above.
unsafe impl Sync for Span<'_> {}

impl<'a> Span<'a> {
    /// Nothing.
    pub const EMPTY: Span<'static> = Span { at: std::ptr::dangling_mut(), bytes: 0, writes: false, life: PhantomData };

    /// What only is read.
    pub fn read(bytes: &'a [u8]) -> Span<'a> {
        Span { at: bytes.as_ptr().cast_mut(), bytes: bytes.len(), writes: false, life: PhantomData }
    }

    /// What may be written. `spans` of it divide it.
    pub fn write(bytes: &'a mut [u8]) -> Span<'a> {
        Span { at: bytes.as_mut_ptr(), bytes: bytes.len(), writes: true, life: PhantomData }
    }

    /// A part of it; an error where it has not as much. `writes`: whether it is to be written.
    pub fn part(&self, offset: u64, bytes: u64, writes: bool) -> Result<Span<'a>> {
        let (offset, bytes) = (offset as usize, bytes as usize);
        if offset.checked_add(bytes).is_none_or(|end| end > self.bytes) || (writes && !self.writes) {
            let text = format!("bytes {offset} to {} of a span of {}", offset.saturating_add(bytes), self.bytes);
            return Err(Error::new(Kind::Internal, text));
        }
        // Within the span, as was just seen.
        Ok(Span { at: self.at.wrapping_add(offset), bytes, writes, life: PhantomData })
    }

    /// Whether both have a byte in common.
    pub fn overlaps(&self, other: &Span<'_>) -> bool {
        let (a, b) = (self.at as usize, other.at as usize);
        a < b + other.bytes && b < a + self.bytes
    }

    /// Its elements.
    fn elements<T: Pod>(&self) -> &'a [T] {
        let of = size_of::<T>();
        // Where nothing is, it lies anywhere.
        if self.bytes == 0 {
            return &[];
        }
        assert!((self.at as usize).is_multiple_of(align_of::<T>()) && self.bytes.is_multiple_of(of), "{self:?}");
        // SAFETY: the span's bytes live for 'a, are aligned as was just seen, and any bits make a `T`. Nobody writes
        // them meanwhile: operands that are written overlap none (`Operands::new`), and units none of each other's.
        unsafe { std::slice::from_raw_parts(self.at.cast(), self.bytes / of) }
    }
}

/// What a thread computes with.
#[derive(Debug)]
pub struct Operands<'a> {
    spans: &'a [Span<'a>],
    reads: usize,
    scratch: Span<'a>,
    shared: Span<'a>,
}

impl<'a> Operands<'a> {
    /// `spans`: what is read, then what is written, `reads` of the former. `scratch` is this thread's alone. An error where
    /// what is written overlaps anything else.
    pub fn new(spans: &'a [Span<'a>], reads: usize, scratch: Span<'a>, shared: Span<'a>) -> Result<Self> {
        for (i, span) in spans.iter().enumerate() {
            let apart = spans[reads..].iter().enumerate().all(|(j, w)| reads + j == i || !w.overlaps(span));
            if !apart || (i >= reads && !span.writes && span.bytes > 0) {
                return Err(Error::new(Kind::Internal, format!("operand {i} of a routine overlaps what it writes")));
            }
        }
        Ok(Operands { spans, reads, scratch, shared })
    }

    /// Elements of operand `i`, which is read.
    pub fn read<T: Pod>(&self, i: usize) -> &'a [T] {
        self.spans[..self.reads][i].elements()
    }

    /// A copy of operand `i`, which is read and whose elements are of `dtype`.
    pub fn taken(&self, i: usize, dtype: DType) -> Result<Data> {
        let bytes = self.read::<u8>(i);
        Data::of_bytes(dtype, bytes).ok_or_else(|| Error::new(Kind::OutOfMemory, format!("{} bytes", bytes.len())))
    }

    /// How many operands are read.
    pub fn reads(&self) -> usize {
        self.reads
    }

    /// The elements `range` of result `i`. They are this unit's alone, by the contract of [`Routine::units`].
    #[allow(clippy::mut_from_ref)]
    pub fn write<T: Pod>(&self, i: usize, range: Range<usize>) -> &'a mut [T] {
        let all: &[T] = self.spans[self.reads + i].elements();
        let part = &all[range];
        // SAFETY: the span may be written (`new`), and no other unit writes or reads these elements (`Routine::units`).
        unsafe { std::slice::from_raw_parts_mut(part.as_ptr().cast_mut(), part.len()) }
    }

    /// Where result `i` begins, and how many floats it has: for tiles whose rows lie apart.
    pub fn result(&self, i: usize) -> (*mut f32, usize) {
        let all: &[f32] = self.spans[self.reads + i].elements();
        (all.as_ptr().cast_mut(), all.len())
    }

    /// This thread's floats.
    #[allow(clippy::mut_from_ref)]
    pub fn scratch(&self) -> &'a mut [f32] {
        let all: &[f32] = self.scratch.elements();
        // SAFETY: no other thread has this span.
        unsafe { std::slice::from_raw_parts_mut(all.as_ptr().cast_mut(), all.len()) }
    }

    /// What an earlier phase left for all threads.
    pub fn shared(&self) -> &'a [f32] {
        self.shared.elements()
    }

    /// Where what threads share begins, and how many floats it has: for vectors that lie apart.
    pub fn shares(&self) -> (*mut f32, usize) {
        let all = self.shared();
        (all.as_ptr().cast_mut(), all.len())
    }

    /// The floats `range` of what threads share; this unit's alone, as of [`Operands::write`].
    #[allow(clippy::mut_from_ref)]
    pub fn share(&self, range: Range<usize>) -> &'a mut [f32] {
        let part = &self.shared()[range];
        // SAFETY: as for `write`.
        unsafe { std::slice::from_raw_parts_mut(part.as_ptr().cast_mut(), part.len()) }
    }
}
