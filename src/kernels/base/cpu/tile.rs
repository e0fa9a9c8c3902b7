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

/// `c[r, i] = bias + Σ_p x_p[r, i] w_p` for `R` rows of `count` floats, at most four: the taps of a depthwise sum, each a
/// place in the image and a factor. Rows lie `apart` floats from each other in the image, `stride` in `c`.
/// # Safety
/// Each tap's place is good for reading four floats in each of the rows, `c` for writing `count` in each.
#[inline(always)]
pub unsafe fn taps<const R: usize>(
    taps: &[(usize, f32)],
    (image, apart): (*const f32, usize),
    bias: f32,
    (c, stride): (*mut f32, usize),
    count: usize,
) {
    // SAFETY: every address is among those that the caller promises.
    unsafe {
        let mut sums = [F4::splat(bias); R];
        for &(at, factor) in taps {
            let (factor, from) = (F4::splat(factor), image.add(at));
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum = sum.madd(F4::load(from.add(r * apart)), factor);
            }
        }
        for (r, sum) in sums.iter().enumerate() {
            let to = c.add(r * stride);
            if count == 4 {
                sum.store(to);
            } else {
                sum.lanes()[..count].iter().enumerate().for_each(|(i, &v)| *to.add(i) = v);
            }
        }
    }
}

/// As [`taps`], for windows of `K` by `K` whose outputs are `S` elements apart: `R` rows of `width` floats, in which each
/// vector of the image is loaded once for all rows that it is part of. `places` are those of the taps of a row, `apart` is
/// from one row of the image to the next.
/// # Safety
/// From `image` on `(R - 1) S + K` rows are good for reading at each place as many floats as `width`, or four, `c` for
/// writing `width` in each of the `R` rows.
#[inline(always)]
pub unsafe fn window<const R: usize, const K: usize, const S: usize>(
    factors: &[[f32; K]; K],
    places: &[usize; K],
    (image, apart): (*const f32, usize),
    bias: f32,
    (c, stride): (*mut f32, usize),
    width: usize,
) {
    let factors = factors.map(|row| row.map(F4::splat));
    let mut x = 0;
    while x < width {
        // The last vector begins where it ends with the row.
        x = x.min(width.saturating_sub(4));
        let mut sums = [F4::splat(bias); R];
        // SAFETY: every address is among those that the caller promises.
        unsafe {
            for row in 0..(R - 1) * S + K {
                for (tap, &place) in places.iter().enumerate() {
                    let seen = F4::load(image.add(row * apart + place + x));
                    for (r, sum) in sums.iter_mut().enumerate() {
                        if row >= r * S && row - r * S < K {
                            *sum = sum.madd(seen, factors[row - r * S][tap]);
                        }
                    }
                }
            }
            for (r, sum) in sums.iter().enumerate() {
                let to = c.add(r * stride + x);
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
