//! The innermost loops of products: up to 4×8 sums in registers over operands packed in panels. Knows pointers and counts;
//! must never know what a product is of. `unsafe`, as its loops read and write through pointers that callers bound.
#![allow(unsafe_code)]

use super::simd::F4;
use crate::kernels::base::epilogue::Activation;

/// Rows of a panel of the left operand.
pub const ROWS: usize = 4;
/// Columns of a panel of the right operand: more sums than 4×8 do not stay in x86's sixteen registers.
pub const COLUMNS: usize = 8;
/// Most of a product's inner dimension at once: panels of it stay in the nearest caches. A multiple of 4 and of nine taps.
pub const DEPTH: usize = 252;

/// What sums begin with.
#[derive(Clone, Copy, Debug)]
pub enum Begin {
    /// Nothing.
    Nothing,
    /// What lies there for each column, so far from row to row.
    Each(*const f32, usize),
    /// The same for all columns of a row, so far from row to row.
    Row(*const f32, usize),
}

impl Begin {
    /// That of what is so many rows below and columns beyond.
    /// # Safety
    /// There are so many.
    #[inline(always)]
    pub unsafe fn at(self, row: usize, column: usize) -> Begin {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Begin::Nothing => Begin::Nothing,
                Begin::Each(from, step) => Begin::Each(from.add(row * step + column), step),
                Begin::Row(from, step) => Begin::Row(from.add(row * step), step),
            }
        }
    }
}

/// What sums are put within at the end.
#[derive(Clone, Copy, Debug)]
pub struct Within(pub f32, pub f32);

impl Within {
    /// What an activation puts them within.
    pub fn of(activation: Activation) -> Option<Within> {
        match activation {
            Activation::Identity => None,
            Activation::Relu => Some(Within(0.0, f32::INFINITY)),
            Activation::Clip(low, high) => Some(Within(low, high)),
        }
    }
}

/// The ends of sums, and where they lie: what they begin with, what they are put within, their place and how far it is from row
/// to row.
#[derive(Clone, Copy, Debug)]
pub struct Sums {
    /// What they begin with.
    pub begin: Begin,
    /// What they are put within.
    pub within: Option<Within>,
    /// Where they go.
    pub to: *mut f32,
    /// From row to row.
    pub stride: usize,
}

impl Sums {
    /// Those so many rows below and columns beyond.
    /// # Safety
    /// There are so many.
    #[inline(always)]
    pub unsafe fn at(self, row: usize, column: usize) -> Sums {
        // SAFETY: the caller's promise.
        unsafe { Sums { begin: self.begin.at(row, column), to: self.to.add(row * self.stride + column), ..self } }
    }
}

/// Adds `k` products to each of `R` rows of eight sums: of `a`, `[k][step]`, and `b`, `[k][8]`. Returns what is beyond those.
/// # Safety
/// `a` is good for reading `(k - 1) · step + R` floats, `b` for `8 k`.
#[inline(always)]
unsafe fn added<const R: usize>(
    sums: &mut [[F4; 2]; R],
    (mut a, mut b): (*const f32, *const f32),
    step: usize,
    k: usize,
) -> (*const f32, *const f32) {
    for _ in 0..k {
        // SAFETY: every address is among those that the caller promises.
        unsafe {
            let (left, right) = (F4::load(b), F4::load(b.add(4)));
            for (i, sum) in sums.iter_mut().enumerate() {
                let x = F4::load_splat(a.add(i));
                sum[0] = sum[0].madd(x, left);
                sum[1] = sum[1].madd(x, right);
            }
        }
        (a, b) = (a.wrapping_add(step), b.wrapping_add(COLUMNS));
    }
    (a, b)
}

impl Sums {
    /// `R` rows of eight, begun.
    /// # Safety
    /// They are there.
    #[inline(always)]
    unsafe fn begun<const R: usize>(self) -> [[F4; 2]; R] {
        // SAFETY: the caller's promise.
        unsafe {
            match self.begin {
                Begin::Nothing => [[F4::splat(0.0); 2]; R],
                Begin::Each(from, step) => {
                    std::array::from_fn(|i| [F4::load(from.add(i * step)), F4::load(from.add(i * step + 4))])
                }
                Begin::Row(from, step) => std::array::from_fn(|i| [F4::load_splat(from.add(i * step)); 2]),
            }
        }
    }

    /// Puts them where they go.
    /// # Safety
    /// There is room for them.
    #[inline(always)]
    unsafe fn end<const R: usize>(self, mut sums: [[F4; 2]; R]) {
        if let Some(Within(low, high)) = self.within {
            let (low, high) = (F4::splat(low), F4::splat(high));
            sums.iter_mut().flatten().for_each(|sum| *sum = sum.at_least(low).at_most(high));
        }
        for (i, [left, right]) in sums.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                left.store(self.to.add(i * self.stride));
                right.store(self.to.add(i * self.stride + 4));
            }
        }
    }
}

/// `R` rows of eight sums of `k` products.
/// # Safety
/// As of [`added`], and `of` is for `R` rows of eight columns.
#[inline(always)]
unsafe fn rows<const R: usize>(a: *const f32, step: usize, b: *const f32, k: usize, of: Sums) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = of.begun::<R>();
        added(&mut sums, (a, b), step, k);
        of.end(sums);
    }
}

/// The sums of `height` rows, four at most, and `columns` columns.
/// # Safety
/// As of [`rows`], but for `of`, which has only so many columns.
#[inline(always)]
unsafe fn part(a: *const f32, step: usize, b: *const f32, k: usize, (height, columns): (usize, usize), of: Sums) {
    // SAFETY: what the caller promises; where there are fewer columns, the sums lie aside first.
    unsafe {
        let all = |of: Sums| match height {
            4 => rows::<4>(a, step, b, k, of),
            3 => rows::<3>(a, step, b, k, of),
            2 => rows::<2>(a, step, b, k, of),
            _ => rows::<1>(a, step, b, k, of),
        };
        if columns == COLUMNS {
            return all(of);
        }
        let mut aside = [0.0f32; ROWS * COLUMNS];
        let lies = aside.as_mut_ptr();
        let begin = match of.begin {
            Begin::Each(from, step) => {
                for i in 0..height {
                    (0..columns).for_each(|j| *lies.add(i * COLUMNS + j) = *from.add(i * step + j));
                }
                Begin::Each(lies, COLUMNS)
            }
            begin => begin,
        };
        let sums = Sums { begin, to: lies, stride: COLUMNS, ..of };
        if height == ROWS && columns <= COLUMNS / 2 {
            half(a, step, b, k, sums);
        } else {
            all(sums);
        }
        for i in 0..height {
            (0..columns).for_each(|j| *of.to.add(i * of.stride + j) = *lies.add(i * COLUMNS + j));
        }
    }
}

/// The first four columns of four rows of sums.
/// # Safety
/// As of [`rows`].
#[inline(always)]
unsafe fn half(mut a: *const f32, step: usize, mut b: *const f32, k: usize, of: Sums) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = of.begun::<ROWS>().map(|[left, _]| left);
        for _ in 0..k {
            let left = F4::load(b);
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = sum.madd(F4::load_splat(a.add(i)), left);
            }
            (a, b) = (a.wrapping_add(step), b.wrapping_add(COLUMNS));
        }
        of.end(sums.map(|left| [left; 2]));
    }
}

/// Tiles below each other: `count` panels of `a`, that lie one after another, with one of `b`. A function of its own, as are the
/// next ones: engines keep sums in registers better where there is little else.
/// # Safety
/// `a` is good for reading `4 · count` rows of `k` floats and `b` for `8 k`; `c` for writing eight floats from each multiple of `stride`
/// below so many rows.
#[inline(never)]
pub unsafe fn tiles(a: *const f32, b: *const f32, k: usize, c: *mut f32, stride: usize, count: usize) {
    for i in 0..count {
        // SAFETY: what the caller promises.
        unsafe {
            let of = Sums { begin: Begin::Nothing, within: None, to: c.add(i * ROWS * stride), stride };
            rows::<ROWS>(a.add(i * ROWS * k), ROWS, b, k, of);
        }
    }
}

/// The same with ends, for `height` rows and eight columns at most.
/// # Safety
/// `a` and `b` are good for reading whole panels of `k` for all rows and columns, and `of` is for what there is of them.
#[inline(never)]
pub unsafe fn ended(a: *const f32, b: *const f32, k: usize, (height, columns): (usize, usize), of: Sums) {
    let whole = if columns == COLUMNS { height / ROWS } else { 0 };
    // SAFETY: what the caller promises.
    unsafe {
        for i in 0..whole {
            rows::<ROWS>(a.add(i * ROWS * k), ROWS, b, k, of.at(i * ROWS, 0));
        }
        for i in (whole * ROWS..height).step_by(ROWS) {
            part(a.add(i * k), ROWS, b, k, (ROWS.min(height - i), columns), of.at(i, 0));
        }
    }
}

/// The same of whole tiles, while what is read `next`, which lies far from the processor, comes nearer: a float of each of its lines is
/// read meanwhile, a share of them by each tile.
/// # Safety
/// As of [`ended`], for `4 · count` rows of eight columns.
#[inline(never)]
pub unsafe fn ended_ahead(a: *const f32, b: *const f32, k: usize, count: usize, of: Sums, next: &[f32]) {
    let lines = next.len() / LINE;
    let share = lines.div_ceil(count.max(1));
    let each = k / share.max(1);
    for i in 0..count {
        // SAFETY: what the caller promises; lines are counted on within what comes next.
        unsafe {
            let of = of.at(i * ROWS, 0);
            let mut sums = of.begun::<ROWS>();
            let mut at = (a.add(i * ROWS * k), b);
            let mut done = 0;
            for line in (i * share).min(lines)..((i + 1) * share).min(lines) {
                next.as_ptr().add(line * LINE).read_volatile();
                at = added(&mut sums, at, ROWS, each);
                done += each;
            }
            added(&mut sums, at, ROWS, k - done);
            of.end(sums);
        }
    }
}

/// `R` rows with two panels of `b`, the other `apart` floats beyond the one and its sums so many columns beside: of two that are read at
/// once more is on its way here.
/// # Safety
/// As of [`rows`], for each of the two.
#[inline(never)]
unsafe fn pair<const R: usize>(
    mut a: *const f32,
    (mut b, apart): (*const f32, usize),
    k: usize,
    of: Sums,
    beside: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let both = [of, of.at(0, beside)];
        let mut sums = both.map(|of| of.begun::<R>());
        for _ in 0..k {
            let x: [F4; R] = std::array::from_fn(|i| F4::load_splat(a.add(i)));
            for (sums, b) in sums.iter_mut().zip([b, b.add(apart)]) {
                let (left, right) = (F4::load(b), F4::load(b.add(4)));
                for (sum, x) in sums.iter_mut().zip(x) {
                    sum[0] = sum[0].madd(x, left);
                    sum[1] = sum[1].madd(x, right);
                }
            }
            (a, b) = (a.wrapping_add(ROWS), b.wrapping_add(COLUMNS));
        }
        both.into_iter().zip(sums).for_each(|(of, sums)| of.end(sums));
    }
}

/// The only panel of rows, `height` of four, with `panels` panels that lie one after another: what this takes is to read those, two
/// halves at once. More than three rows of two panels do not stay in registers.
/// # Safety
/// As of [`ended`], for whole panels.
pub unsafe fn few(a: *const f32, b: *const f32, k: usize, (height, panels): (usize, usize), of: Sums) {
    let half = panels / 2;
    let (apart, beside) = (half * COLUMNS * k, half * COLUMNS);
    // SAFETY: the caller's promise.
    unsafe {
        for panel in 0..half {
            let (b, of) = ((b.add(panel * COLUMNS * k), apart), of.at(0, panel * COLUMNS));
            match height {
                4 => {
                    pair::<2>(a, b, k, of, beside);
                    pair::<2>(a.add(2), b, k, of.at(2, 0), beside);
                }
                3 => pair::<3>(a, b, k, of, beside),
                2 => pair::<2>(a, b, k, of, beside),
                _ => pair::<1>(a, b, k, of, beside),
            }
        }
        if half * 2 < panels {
            let last = panels - 1;
            part(a, ROWS, b.add(last * COLUMNS * k), k, (height, COLUMNS), of.at(0, last * COLUMNS));
        }
    }
}

/// One row, which lies as one, of fewer than eight columns.
/// # Safety
/// `a` is good for reading `k` floats, `b` a panel, `of` for so many columns.
pub unsafe fn row_part(a: *const f32, b: *const f32, k: usize, columns: usize, of: Sums) {
    // SAFETY: the caller's promise.
    unsafe { part(a, 1, b, k, (1, columns), of) };
}

/// Floats of a line of the caches.
const LINE: usize = 16;

/// One row times `panels` panels of eight columns, `apart` floats from one to the next: with few rows nothing is read twice,
/// and four panels at once keep the adders busy. They are of four quarters, each of which is read as it lies: a processor
/// foresees long runs, and no more of short ones than it had to wait for.
/// # Safety
/// `a` is good for reading `k` floats, `b` for `8 k` from each panel's beginning, `c` for `8 · panels`.
pub unsafe fn row(a: *const f32, b: *const f32, k: usize, apart: usize, panels: usize, c: *mut f32, first: bool) {
    // SAFETY: every address is among those that the caller promises.
    unsafe {
        let quarter = panels / 4;
        for panel in 0..quarter {
            let (from, to) = (b.add(panel * apart), c.add(panel * COLUMNS));
            let mut sums = [F4::splat(0.0); 8];
            if !first {
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = F4::load(to.add(j / 2 * quarter * COLUMNS + j % 2 * 4));
                }
            }
            for p in 0..k {
                let x = F4::load_splat(a.add(p));
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.madd(x, F4::load(from.add(j / 2 * quarter * apart + p * COLUMNS + j % 2 * 4)));
                }
            }
            for (j, sum) in sums.iter().enumerate() {
                sum.store(to.add(j / 2 * quarter * COLUMNS + j % 2 * 4));
            }
        }
        let mut panel = quarter * 4;
        while panel < panels {
            let to = c.add(panel * COLUMNS);
            let begin = if first { Begin::Nothing } else { Begin::Each(to, 0) };
            rows::<1>(a, 1, b.add(panel * apart), k, Sums { begin, within: None, to, stride: 0 });
            panel += 1;
        }
    }
}
