//! The innermost loops of products: up to 4×8 sums in registers over operands packed in panels. Knows pointers and counts;
//! must never know what a product is of. `unsafe`, as its loops read and write through pointers that callers bound.
#![allow(unsafe_code)]

use super::simd::F4;

/// Rows of a panel of the left operand.
pub const ROWS: usize = 4;
/// Columns of a panel of the right operand: more sums than 4×8 do not stay in x86's sixteen registers.
pub const COLUMNS: usize = 8;
/// Most of a product's inner dimension at once: panels of it stay in the nearest caches. A multiple of 4 and of nine taps.
pub const DEPTH: usize = 252;

/// `c[i, j] (+)= Σ a[p, i] b[p, j]` for `R` rows and the eight columns of a panel. `a` is `[k][step]`, `b` `[k][8]`.
/// # Safety
/// `a` is good for reading `(k - 1) · step + R` floats, `b` for `8 k`, and `c` for reading and writing eight floats from
/// each multiple of `stride` below `R · stride`.
#[inline(always)]
unsafe fn rows<const R: usize>(
    mut a: *const f32,
    mut b: *const f32,
    k: usize,
    c: *mut f32,
    stride: usize,
    step: usize,
    first: bool,
) {
    // SAFETY: every address is among those that the caller promises.
    unsafe {
        let mut sums = [[F4::splat(0.0); 2]; R];
        if !first {
            for (i, [left, right]) in sums.iter_mut().enumerate() {
                *left = F4::load(c.add(i * stride));
                *right = F4::load(c.add(i * stride + 4));
            }
        }
        for _ in 0..k {
            let (left, right) = (F4::load(b), F4::load(b.add(4)));
            for (i, sum) in sums.iter_mut().enumerate() {
                let x = F4::load_splat(a.add(i));
                sum[0] = sum[0].madd(x, left);
                sum[1] = sum[1].madd(x, right);
            }
            (a, b) = (a.add(step), b.add(COLUMNS));
        }
        for (i, [left, right]) in sums.iter().enumerate() {
            left.store(c.add(i * stride));
            right.store(c.add(i * stride + 4));
        }
    }
}

/// The sums of one panel of each operand: `a` `[k][4]`, `b` `[k][8]`; of the first `rows` rows and `columns` columns.
/// Added to what `c` holds where not `first`.
/// # Safety
/// `a` is good for reading `4 k` floats and `b` for `8 k`; `c` for reading and writing `columns` floats from each multiple of
/// `stride` below `rows · stride`.
#[inline(always)]
pub unsafe fn tile(
    a: *const f32,
    b: *const f32,
    k: usize,
    c: *mut f32,
    stride: usize,
    (height, columns): (usize, usize),
    first: bool,
) {
    // SAFETY: what the caller promises for the whole panels; where `c` has less, the sums lie aside first.
    unsafe {
        if columns == COLUMNS {
            match height {
                4 => rows::<4>(a, b, k, c, stride, ROWS, first),
                3 => rows::<3>(a, b, k, c, stride, ROWS, first),
                2 => rows::<2>(a, b, k, c, stride, ROWS, first),
                _ => rows::<1>(a, b, k, c, stride, ROWS, first),
            }
            return;
        }
        let mut aside = [0.0f32; ROWS * COLUMNS];
        rows::<4>(a, b, k, aside.as_mut_ptr(), COLUMNS, ROWS, true);
        for i in 0..height {
            for j in 0..columns {
                let (to, sum) = (c.add(i * stride + j), aside[i * COLUMNS + j]);
                *to = if first { sum } else { *to + sum };
            }
        }
    }
}

/// Whole tiles below each other: `count` panels of `a`, that lie one after another, with one of `b`. A function of its own:
/// engines keep sums in registers better where there is little else.
/// # Safety
/// As of [`tile`], for `4 · count` rows.
#[inline(never)]
pub unsafe fn tiles(a: *const f32, b: *const f32, k: usize, c: *mut f32, stride: usize, count: usize, first: bool) {
    for i in 0..count {
        // SAFETY: what the caller promises.
        unsafe { rows::<ROWS>(a.add(i * ROWS * k), b, k, c.add(i * ROWS * stride), stride, ROWS, first) };
    }
}

/// One row times `panels` panels of eight columns, `apart` floats from one to the next: with few rows nothing is read twice,
/// and four panels at once keep the adders busy.
/// # Safety
/// `a` is good for reading `k` floats, `b` for `8 k` from each panel's beginning, `c` for `8 · panels`.
pub unsafe fn row(a: *const f32, b: *const f32, k: usize, apart: usize, panels: usize, c: *mut f32, first: bool) {
    // SAFETY: every address is among those that the caller promises.
    unsafe {
        let mut panel = 0;
        while panel + 4 <= panels {
            let (from, to) = (b.add(panel * apart), c.add(panel * COLUMNS));
            let mut sums = [F4::splat(0.0); 8];
            if !first {
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = F4::load(to.add(j * 4));
                }
            }
            for p in 0..k {
                let x = F4::load_splat(a.add(p));
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.madd(x, F4::load(from.add(j / 2 * apart + p * COLUMNS + j % 2 * 4)));
                }
            }
            for (j, sum) in sums.iter().enumerate() {
                sum.store(to.add(j * 4));
            }
            panel += 4;
        }
        while panel < panels {
            rows::<1>(a, b.add(panel * apart), k, c.add(panel * COLUMNS), 0, 1, first);
            panel += 1;
        }
    }
}

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
