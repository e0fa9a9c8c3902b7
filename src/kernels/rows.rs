//! Rows: the view of a tensor in which one axis, or several neighbours, are reduced; and how threads share them.

use super::Element;
use super::limits::{rounds, workgroups};
use crate::error::Result;

/// A tensor as `outer` × `len` × `inner` elements, worked on along `len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Product of the dimensions before.
    pub outer: usize,
    /// Elements of a row.
    pub len: usize,
    /// Product of the dimensions after: elements from one of a row to the next.
    pub inner: usize,
}

/// Threads in a workgroup of a kernel over rows.
pub const GROUP: usize = 64;
/// Workgroups in x before a dispatch goes on in y.
const WIDE: usize = 32_768;
/// Rows above which each gets one thread: there are enough of them to fill a GPU, and no barrier is needed.
const MANY_ROWS: usize = 512;

/// Threads that share a row where there are fewer. A barrier is dear on software adapters, an idle GPU elsewhere.
const FEW_ROWS_LANES: usize = 8;

/// How a dispatch covers the rows.
#[derive(Clone, Copy, Debug)]
pub struct Cover {
    /// Threads that share a row.
    pub lanes: usize,
    /// Workgroups.
    pub workgroups: [u32; 3],
}

impl Rows {
    /// The rows of `shape` along the axes `from..to`.
    pub fn of(shape: &[usize], from: usize, to: usize) -> Rows {
        let size = |dims: &[usize]| dims.iter().product();
        Rows { outer: size(&shape[..from]), len: size(&shape[from..to]), inner: size(&shape[to..]) }
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.outer * self.inner
    }

    /// Index of the first element of row `r`; the next are `inner` apart.
    pub fn start(&self, r: usize) -> usize {
        r / self.inner * self.inner * self.len + r % self.inner
    }

    /// How its elements are bound: in vec4 where a row is a whole number of them.
    pub fn element(&self) -> Element {
        if self.inner == 1 && self.len > 0 && self.len.is_multiple_of(4) { Element::Vec4F32 } else { Element::F32 }
    }

    /// Elements of a row as they are bound.
    pub fn bound_len(&self) -> usize {
        self.len / self.element().wide()
    }

    /// WGSL functions that make one number of an element as it is bound: the sum and the greatest of its parts.
    pub fn parts(&self) -> &'static str {
        match self.element() {
            Element::Vec4F32 => {
                "fn total(v: x_t) -> f32 {\n    return (v.x + v.y) + (v.z + v.w);\n}\n\
                 fn widest(v: x_t) -> f32 {\n    return max(max(v.x, v.y), max(v.z, v.w));\n}\n"
            }
            _ => "fn total(v: x_t) -> f32 {\n    return v;\n}\nfn widest(v: x_t) -> f32 {\n    return v;\n}\n",
        }
    }

    /// How a dispatch whose threads go `passes` times over their part of a row covers the rows.
    pub fn cover(&self, passes: usize) -> Result<Cover> {
        let lanes = if self.count() >= MANY_ROWS || self.inner > 1 { 1 } else { FEW_ROWS_LANES };
        rounds(self.len.div_ceil(lanes) * passes + lanes * passes)?;
        Ok(Cover { lanes, workgroups: spread(self.count().div_ceil(GROUP / lanes))? })
    }
}

/// `groups` workgroups, in x and y where x alone does not hold them; the kernel gets the number in x.
pub fn spread(groups: usize) -> Result<[u32; 3]> {
    workgroups([groups.min(WIDE), groups.div_ceil(WIDE), 1])
}
