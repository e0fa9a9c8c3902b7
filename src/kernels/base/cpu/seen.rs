//! The innermost loops over what windows see of an image's rows. Knows pointers and counts; must never know which operator
//! looks. `unsafe`, as its loops read and write through pointers that callers bound.
#![allow(unsafe_code)]

use super::simd::F4;

/// Some rows of channels, of which each output sums what a window sees by a filter.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The filter, a channel after another.
    pub factors: &'a [f32],
    /// The first row of it that is summed.
    pub first: usize,
    /// How many are.
    pub rows: usize,
    /// How many it has.
    pub height: usize,
    /// From an output's place to what each tap of a row sees.
    pub places: &'a [usize],
    /// From what one row of the filter sees to what the next does.
    pub down: usize,
    /// Channels.
    pub channels: usize,
    /// From channel to channel.
    pub channel: usize,
    /// From what one row of outputs sees to what the next does.
    pub apart: usize,
}

/// `R` rows of `width` floats: `bias` and the sums of a window of `K` taps in a row, or as many as there are places where `K` is
/// 0, over the image from `image` on. `NEAR`: the places are neighbours. `ONE`: there is one channel.
/// # Safety
/// In each of the rows that are seen as many floats as `width`, or four, are good for reading from each place on; `c` is for
/// writing `width` in each of `R` rows of so many.
#[inline(always)]
pub unsafe fn window<const R: usize, const K: usize, const NEAR: bool, const ONE: bool>(
    of: Seen<'_>,
    image: *const f32,
    bias: f32,
    c: *mut f32,
    width: usize,
) {
    let mut x = 0;
    // A row by itself: several sums at once, as each waits for what was added before.
    while R == 1 && x + 4 * ABREAST <= width {
        // SAFETY: the caller's promise.
        unsafe {
            let sums = sums::<1, ABREAST, K, NEAR, ONE>(of, image.add(x), bias);
            sums[0].iter().enumerate().for_each(|(i, sum)| sum.store(c.add(x + 4 * i)));
        }
        x += 4 * ABREAST;
    }
    while x < width {
        // The last vector begins where it ends with the row.
        x = x.min(width.saturating_sub(4));
        // SAFETY: the caller's promise.
        unsafe {
            let sums = sums::<R, 1, K, NEAR, ONE>(of, image.add(x), bias);
            for (r, [sum]) in sums.iter().enumerate() {
                let to = c.add(r * width + x);
                if width >= 4 {
                    sum.store(to);
                } else {
                    sum.lanes()[..width].iter().enumerate().for_each(|(i, &v)| *to.add(i) = v);
                }
            }
        }
        x += 4;
    }
}

/// Vectors of a row that are summed at once.
const ABREAST: usize = 4;

/// `A` vectors of sums in each of `R` rows.
/// # Safety
/// As of [`window`].
#[inline(always)]
unsafe fn sums<const R: usize, const A: usize, const K: usize, const NEAR: bool, const ONE: bool>(
    of: Seen<'_>,
    mut image: *const f32,
    bias: f32,
) -> [[F4; A]; R] {
    let taps = if K == 0 { of.places.len() } else { K };
    let places = &of.places[..taps];
    let mut sums = [[F4::splat(bias); A]; R];
    let filters = of.factors.chunks_exact(taps * of.height).take(if ONE { 1 } else { usize::MAX });
    for filter in filters {
        let mut from = image;
        for factors in filter[of.first * taps..(of.first + of.rows) * taps].chunks_exact(taps) {
            for (tap, (&factor, &place)) in factors.iter().zip(places).enumerate() {
                let (factor, place) = (F4::splat(factor), if NEAR { tap } else { place });
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (a, sum) in sums.iter_mut().enumerate() {
                        // SAFETY: the caller's promise.
                        let seen = unsafe { F4::load(from.add(r * of.apart + place + 4 * a)) };
                        *sum = sum.madd(seen, factor);
                    }
                }
            }
            from = from.wrapping_add(of.down);
        }
        image = image.wrapping_add(of.channel);
    }
    sums
}

/// A row in which each float is what `join` makes of those that the taps see from its place on in `from`.
#[inline(always)]
pub fn over(taps: &[usize], from: &[f32], row: &mut [f32], join: impl Fn(F4, F4) -> F4) {
    let (width, most) = (row.len(), taps.iter().copied().max().unwrap_or(0));
    assert!(most + width.max(4) <= from.len() && !taps.is_empty(), "a window beyond its image");
    let mut x = 0;
    while x < width {
        // The last vector begins where it ends with the row.
        x = x.min(width.saturating_sub(4));
        // SAFETY: four floats from every tap's place on are within the image, and as many of the row are written as it has.
        unsafe {
            let seen = |tap: usize| F4::load(from.as_ptr().add(x + tap));
            let all = taps[1..].iter().fold(seen(taps[0]), |all, &tap| join(all, seen(tap)));
            if width >= 4 {
                all.store(row.as_mut_ptr().add(x));
            } else {
                row.iter_mut().zip(all.lanes()).for_each(|(y, v)| *y = v);
            }
        }
        x += 4;
    }
}
