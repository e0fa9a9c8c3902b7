//! Operands of products in the order in which tiles read them: panels of a few rows or columns, along the inner
//! dimension. Knows strides; must never know what a product is of.

use super::simd::F4;
use std::ops::Range;

/// Most of a product's inner dimension at once: panels of it stay in the nearest caches. A multiple of 4 and of nine taps.
pub const DEPTH: usize = 252;

/// A panel of `W` rows or columns: `to[p · W + i] = from[at + p · along + i · across]` for `depth` p and `count` i, and
/// nothing for the rest.
pub fn panel<const W: usize>(
    from: &[f32],
    at: usize,
    (along, across): (usize, usize),
    depth: usize,
    count: usize,
    to: &mut [f32],
) {
    let to = &mut to[..depth * W];
    if count == W && across == 1 {
        for (p, part) in to.chunks_exact_mut(W).enumerate() {
            let first = at + p * along;
            part.copy_from_slice(&from[first..first + W]);
        }
        return;
    }
    if count == W && along == 1 {
        let rows: [&[f32]; W] = std::array::from_fn(|i| &from[at + i * across..at + i * across + depth]);
        // What a vector has of more rows than there are is overwritten by the next one; the last steps have none.
        let beyond = usize::from(!W.is_multiple_of(4));
        let whole = depth.saturating_sub(beyond) / 4 * 4;
        for p in (0..whole).step_by(4) {
            for i in (0..W).step_by(4) {
                let four = F4::transposed(std::array::from_fn(|r| F4::of(&rows[(i + r).min(W - 1)][p..])));
                four.into_iter().enumerate().for_each(|(column, f)| f.put(&mut to[(p + column) * W + i..]));
            }
        }
        for (p, part) in (whole..depth).zip(to[whole * W..].chunks_exact_mut(W)) {
            part.iter_mut().zip(&rows).for_each(|(y, row)| *y = row[p]);
        }
        return;
    }
    for (p, part) in to.chunks_exact_mut(W).enumerate() {
        for (i, y) in part.iter_mut().enumerate() {
            *y = if i < count { from[at + p * along + i * across] } else { 0.0 };
        }
    }
}

/// The panels of a whole operand, block by block of its inner dimension: where a block begins, with `blocks` of `depth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Rows or columns.
    pub count: usize,
    /// Inner dimension.
    pub depth: usize,
}

impl Packed {
    /// Floats that it takes in panels of `W`.
    pub fn floats<const W: usize>(self) -> usize {
        self.count.next_multiple_of(W) * self.depth
    }

    /// Where the panel of row or column `first`, a multiple of `W`, begins in the block from `from` to `to`.
    pub fn at<const W: usize>(self, block: &Range<usize>, first: usize) -> usize {
        block.start * self.count.next_multiple_of(W) + first * block.len()
    }

    /// All of it.
    pub fn pack<const W: usize>(self, from: &[f32], at: usize, strides: (usize, usize)) -> Vec<f32> {
        let mut to = vec![0.0; self.floats::<W>()];
        self.pack_into::<W>(from, at, strides, &mut to);
        to
    }

    /// The same into `to`.
    pub fn pack_into<const W: usize>(self, from: &[f32], at: usize, strides: (usize, usize), to: &mut [f32]) {
        for block in blocks(self.depth) {
            for first in (0..self.count).step_by(W) {
                let (start, count) = (self.at::<W>(&block, first), W.min(self.count - first));
                let place = at + block.start * strides.0 + first * strides.1;
                panel::<W>(from, place, strides, block.len(), count, &mut to[start..]);
            }
        }
    }
}

/// The blocks of an inner dimension.
pub fn blocks(depth: usize) -> impl Iterator<Item = Range<usize>> {
    (0..depth).step_by(DEPTH).map(move |from| from..(from + DEPTH).min(depth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_hold_each_element_once_whatever_its_strides() {
        let (count, depth) = (11, 300);
        let from: Vec<f32> = (0..count * depth).map(|i| i as f32 + 1.0).collect();
        for strides in [(1, depth), (count, 1)] {
            held::<3>(&from, Packed { count, depth }, strides);
            held::<8>(&from, Packed { count, depth }, strides);
            held::<12>(&from, Packed { count, depth }, strides);
        }
    }

    fn held<const W: usize>(from: &[f32], of: Packed, strides: (usize, usize)) {
        let packed = of.pack::<W>(from, 0, strides);
        for block in blocks(of.depth) {
            for (p, i) in block.clone().flat_map(|p| (0..of.count.next_multiple_of(W)).map(move |i| (p, i))) {
                let at = of.at::<W>(&block, i / W * W) + (p - block.start) * W + i % W;
                let expected = if i < of.count { from[p * strides.0 + i * strides.1] } else { 0.0 };
                assert_eq!(packed[at], expected, "panels of {W}, {strides:?} {p} {i}");
            }
        }
    }
}
