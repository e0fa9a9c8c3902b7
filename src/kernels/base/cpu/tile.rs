//! The innermost loops of products: up to 3×12 sums in registers over operands packed in panels. Knows pointers and counts;
//! must never know what a product is of. `unsafe`, as its loops read and write through pointers that callers bound.
#![allow(unsafe_code)]

use super::simd::{F4, LINE};
use crate::kernels::base::epilogue::Activation;

/// Rows of a panel of the left operand.
pub const ROWS: usize = 3;
/// Vectors of four columns of a panel of the right operand. Three rows of them are as many sums as stay in x86's sixteen registers
/// beside the six vectors that a step reads, and one more than the latency of two multiply-adds at once hides.
pub const WIDE: usize = 3;
/// Columns of a panel of the right operand.
pub const COLUMNS: usize = WIDE * LANES;
/// Floats of a vector.
pub const LANES: usize = 4;

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

/// Adds `k` products to each of `R` rows of `W` vectors of sums: of `a`, `[k][step]`, and `b`, in panels. Returns what is beyond those.
/// # Safety
/// `a` is good for reading `(k - 1) · step + R` floats, `b` for `k` rows of a panel.
#[inline(always)]
unsafe fn added<const R: usize, const W: usize>(
    sums: &mut [[F4; W]; R],
    (mut a, mut b): (*const f32, *const f32),
    step: usize,
    k: usize,
) -> (*const f32, *const f32) {
    for _ in 0..k {
        // SAFETY: every address is among those that the caller promises.
        unsafe {
            let right: [F4; W] = std::array::from_fn(|j| F4::load(b.add(j * LANES)));
            for (i, sums) in sums.iter_mut().enumerate() {
                let x = F4::load_splat(a.add(i));
                sums.iter_mut().zip(right).for_each(|(sum, right)| *sum = sum.madd(x, right));
            }
        }
        (a, b) = (a.wrapping_add(step), b.wrapping_add(COLUMNS));
    }
    (a, b)
}

impl Sums {
    /// `R` rows of `W` vectors, begun.
    /// # Safety
    /// They are there.
    #[inline(always)]
    unsafe fn begun<const R: usize, const W: usize>(self) -> [[F4; W]; R] {
        // SAFETY: the caller's promise.
        unsafe {
            match self.begin {
                Begin::Nothing => [[F4::splat(0.0); W]; R],
                Begin::Each(from, step) => {
                    std::array::from_fn(|i| std::array::from_fn(|j| F4::load(from.add(i * step + j * LANES))))
                }
                Begin::Row(from, step) => std::array::from_fn(|i| [F4::load_splat(from.add(i * step)); W]),
            }
        }
    }

    /// Puts them where they go.
    /// # Safety
    /// There is room for them.
    #[inline(always)]
    unsafe fn end<const R: usize, const W: usize>(self, mut sums: [[F4; W]; R]) {
        if let Some(Within(low, high)) = self.within {
            let (low, high) = (F4::splat(low), F4::splat(high));
            sums.iter_mut().flatten().for_each(|sum| *sum = sum.at_least(low).at_most(high));
        }
        for (i, row) in sums.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { row.iter().enumerate().for_each(|(j, sum)| sum.store(self.to.add(i * self.stride + j * LANES))) };
        }
    }

    /// Does `by` with sums that lie aside, whole vectors of them, where of the last one there are not all columns.
    /// # Safety
    /// There are `height` rows of `columns`, at most six and a panel's.
    #[inline(always)]
    unsafe fn whole(self, (height, columns): (usize, usize), by: impl Fn(Sums)) {
        if columns.is_multiple_of(LANES) {
            return by(self);
        }
        let mut aside = [0.0f32; 2 * ROWS * COLUMNS];
        let lies = aside.as_mut_ptr();
        // SAFETY: the caller's promise, and there is room aside for six rows of a panel.
        unsafe {
            let begin = match self.begin {
                Begin::Each(from, step) => {
                    for i in 0..height {
                        (0..columns).for_each(|j| *lies.add(i * COLUMNS + j) = *from.add(i * step + j));
                    }
                    Begin::Each(lies, COLUMNS)
                }
                begin => begin,
            };
            by(Sums { begin, to: lies, stride: COLUMNS, ..self });
            for i in 0..height {
                (0..columns).for_each(|j| *self.to.add(i * self.stride + j) = *lies.add(i * COLUMNS + j));
            }
        }
    }
}

/// `R` rows of `W` vectors of sums of `k` products.
/// # Safety
/// As of [`added`], and `of` is for so many.
#[inline(always)]
unsafe fn rows<const R: usize, const W: usize>(a: *const f32, step: usize, b: *const f32, k: usize, of: Sums) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = of.begun::<R, W>();
        added(&mut sums, (a, b), step, k);
        of.end(sums);
    }
}

/// The sums of `height` rows, a panel's at most, and `columns` columns.
/// # Safety
/// As of [`rows`], for panels.
#[inline(never)]
unsafe fn part(a: *const f32, step: usize, b: *const f32, k: usize, (height, columns): (usize, usize), of: Sums) {
    // SAFETY: what the caller promises.
    unsafe {
        of.whole((height, columns), |of| match (height, columns.div_ceil(LANES)) {
            (ROWS, WIDE) => rows::<ROWS, WIDE>(a, step, b, k, of),
            (ROWS, 2) => rows::<ROWS, 2>(a, step, b, k, of),
            (ROWS, _) => rows::<ROWS, 1>(a, step, b, k, of),
            (2, WIDE) => rows::<2, WIDE>(a, step, b, k, of),
            (2, 2) => rows::<2, 2>(a, step, b, k, of),
            (2, _) => rows::<2, 1>(a, step, b, k, of),
            (_, WIDE) => rows::<1, WIDE>(a, step, b, k, of),
            (_, 2) => rows::<1, 2>(a, step, b, k, of),
            _ => rows::<1, 1>(a, step, b, k, of),
        });
    }
}

/// The first vector of sums of two panels of rows: of one there are too few sums to keep the adders busy.
/// # Safety
/// As of [`rows`], for so many rows.
#[inline(always)]
unsafe fn narrow(mut a: *const f32, mut b: *const f32, k: usize, of: Sums) {
    let apart = ROWS * k;
    // SAFETY: the caller's promise.
    unsafe {
        let both = [of, of.at(ROWS, 0)];
        let mut sums = both.map(|of| of.begun::<ROWS, 1>());
        for _ in 0..k {
            let right = F4::load(b);
            for (panel, sums) in sums.iter_mut().enumerate() {
                for (i, [sum]) in sums.iter_mut().enumerate() {
                    *sum = sum.madd(F4::load_splat(a.add(panel * apart + i)), right);
                }
            }
            (a, b) = (a.wrapping_add(ROWS), b.wrapping_add(COLUMNS));
        }
        both.into_iter().zip(sums).for_each(|(of, sums)| of.end(sums));
    }
}

/// Tiles below each other: `count` panels of `a`, that lie one after another, with `W` vectors of one of `b`. A function of its own, as
/// are the next ones: engines keep sums in registers better where there is little else.
/// # Safety
/// `a` is good for reading `count` panels of `k` floats a row and `b` for one; `c` for writing `W` vectors from each multiple of `stride`
/// below so many rows.
#[inline(never)]
pub unsafe fn tiles<const W: usize>(a: *const f32, b: *const f32, k: usize, c: *mut f32, stride: usize, count: usize) {
    let of = Sums { begin: Begin::Nothing, within: None, to: c, stride };
    // SAFETY: what the caller promises.
    unsafe {
        let pairs = if W == 1 { count / 2 } else { 0 };
        for i in 0..pairs {
            narrow(a.add(2 * i * ROWS * k), b, k, of.at(2 * i * ROWS, 0));
        }
        for i in 2 * pairs..count {
            rows::<ROWS, W>(a.add(i * ROWS * k), ROWS, b, k, of.at(i * ROWS, 0));
        }
    }
}

/// The same with ends, for `height` rows and a panel's columns at most.
/// # Safety
/// `a` and `b` are good for reading whole panels of `k` for all rows and columns, and `of` is for what there is of them.
#[inline(never)]
pub unsafe fn ended(a: *const f32, b: *const f32, k: usize, (height, columns): (usize, usize), of: Sums) {
    let mut done = 0;
    // SAFETY: what the caller promises.
    unsafe {
        while columns == COLUMNS && height - done >= ROWS {
            rows::<ROWS, WIDE>(a.add(done * k), ROWS, b, k, of.at(done, 0));
            done += ROWS;
        }
        while columns <= LANES && height - done >= 2 * ROWS {
            of.at(done, 0).whole((2 * ROWS, columns), |of| narrow(a.add(done * k), b, k, of));
            done += 2 * ROWS;
        }
        while done < height {
            part(a.add(done * k), ROWS, b, k, (ROWS.min(height - done), columns), of.at(done, 0));
            done += ROWS;
        }
    }
}

/// The same of whole tiles, while what is read `next`, which lies far from the processor, comes nearer: a float of each of its lines is
/// read meanwhile, a share of them by each tile.
/// # Safety
/// As of [`ended`], for `count` panels of rows and all columns of a panel.
#[inline(never)]
pub unsafe fn ended_ahead(a: *const f32, b: *const f32, k: usize, count: usize, of: Sums, next: &[f32]) {
    let lines = next.len() / LINE;
    let share = lines.div_ceil(count.max(1));
    let each = k / share.max(1);
    for i in 0..count {
        // SAFETY: what the caller promises; lines are counted on within what comes next.
        unsafe {
            let of = of.at(i * ROWS, 0);
            let mut sums = of.begun::<ROWS, WIDE>();
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

/// A row with two panels of `b`, the other `apart` floats beyond the one and its sums so many columns beside: of two that are read at
/// once more is on its way here.
/// # Safety
/// As of [`rows`], for each of the two.
#[inline(never)]
unsafe fn pair(mut a: *const f32, (mut b, apart): (*const f32, usize), k: usize, of: Sums, beside: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let both = [of, of.at(0, beside)];
        let mut sums = both.map(|of| of.begun::<1, WIDE>());
        for _ in 0..k {
            let x = F4::load_splat(a);
            for ([sums], b) in sums.iter_mut().zip([b, b.add(apart)]) {
                sums.iter_mut().enumerate().for_each(|(j, sum)| *sum = sum.madd(x, F4::load(b.add(j * LANES))));
            }
            (a, b) = (a.wrapping_add(ROWS), b.wrapping_add(COLUMNS));
        }
        both.into_iter().zip(sums).for_each(|(of, sums)| of.end(sums));
    }
}

/// The same of more rows, whose sums of two panels do not stay in registers: a few steps of the one, then of the other, which comes nearer
/// meanwhile.
/// # Safety
/// As of [`pair`].
#[inline(never)]
unsafe fn turns<const R: usize>(a: *const f32, (b, apart): (*const f32, usize), k: usize, of: Sums, beside: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let both = [of, of.at(0, beside)];
        let mut sums = both.map(|of| of.begun::<R, WIDE>());
        let mut at = [(a, b), (a, b.add(apart))];
        for from in (0..k).step_by(TURN) {
            for (sums, at) in sums.iter_mut().zip(&mut at) {
                *at = added(sums, *at, ROWS, TURN.min(k - from));
            }
        }
        both.into_iter().zip(sums).for_each(|(of, sums)| of.end(sums));
    }
}

/// The only panel of rows, `height` of it, with `panels` panels that lie one after another: what this takes is to read those, two
/// halves at once.
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
                ROWS => turns::<ROWS>(a, b, k, of, beside),
                2 => turns::<2>(a, b, k, of, beside),
                _ => pair(a, b, k, of, beside),
            }
        }
        if half * 2 < panels {
            let last = panels - 1;
            part(a, ROWS, b.add(last * COLUMNS * k), k, (height, COLUMNS), of.at(0, last * COLUMNS));
        }
    }
}

/// One row, which lies as one, of fewer columns than a panel's.
/// # Safety
/// `a` is good for reading `k` floats, `b` a panel, `of` for so many columns.
pub unsafe fn row_part(a: *const f32, b: *const f32, k: usize, columns: usize, of: Sums) {
    // SAFETY: the caller's promise.
    unsafe { part(a, 1, b, k, (1, columns), of) };
}

/// Steps of one of two panels before those of the other.
const TURN: usize = 8;

/// One row times `panels` panels, `apart` floats from one to the next: with few rows nothing is read twice,
/// and four panels at once keep the adders busy. They are of four quarters, each of which is read as it lies: a processor
/// foresees long runs, and no more of short ones than it had to wait for.
/// # Safety
/// `a` is good for reading `k` floats, `b` for a panel's from each one's beginning, `c` for the columns of all.
pub unsafe fn row(a: *const f32, b: *const f32, k: usize, apart: usize, panels: usize, c: *mut f32, first: bool) {
    // SAFETY: every address is among those that the caller promises.
    unsafe {
        let quarter = panels / 4;
        for panel in 0..quarter {
            let (from, to) = (b.add(panel * apart), c.add(panel * COLUMNS));
            let mut sums = [F4::splat(0.0); 4 * WIDE];
            if !first {
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = F4::load(to.add(j / WIDE * quarter * COLUMNS + j % WIDE * LANES));
                }
            }
            for p in 0..k {
                let x = F4::load_splat(a.add(p));
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.madd(x, F4::load(from.add(j / WIDE * quarter * apart + p * COLUMNS + j % WIDE * LANES)));
                }
            }
            for (j, sum) in sums.iter().enumerate() {
                sum.store(to.add(j / WIDE * quarter * COLUMNS + j % WIDE * LANES));
            }
        }
        let mut panel = quarter * 4;
        while panel < panels {
            let to = c.add(panel * COLUMNS);
            let begin = if first { Begin::Nothing } else { Begin::Each(to, 0) };
            rows::<1, WIDE>(a, 1, b.add(panel * apart), k, Sums { begin, within: None, to, stride: 0 });
            panel += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::panels::Packed;
    use super::*;

    const K: usize = 19;
    const STRIDE: usize = 3 * COLUMNS + 5;

    fn floats(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 37 + seed * 11) % 23) as f32 / 8.0 - 1.25).collect()
    }

    /// A product of `height` rows and `columns`, in panels, and its sums as they should be: begun with `begin`, within bounds.
    fn product(height: usize, columns: usize, begin: impl Fn(usize, usize) -> f32) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let (a, b) = (floats(height * K, 1), floats(columns * K, 2));
        let sum = |i: usize, j: usize| (0..K).map(|p| a[i * K + p] * b[p * columns + j]).sum::<f32>();
        let mut to = vec![f32::NAN; height * STRIDE];
        for (i, j) in (0..height).flat_map(|i| (0..columns).map(move |j| (i, j))) {
            to[i * STRIDE + j] = (begin(i, j) + sum(i, j)).clamp(-4.0, 9.0);
        }
        let (left, right) = (Packed { count: height, depth: K }, Packed { count: columns, depth: K });
        (left.pack::<ROWS>(&a, 0, (1, K)), right.pack::<COLUMNS>(&b, 0, (columns, 1)), to)
    }

    fn same(made: &[f32], expected: &[f32], what: &str) {
        for (at, (x, y)) in made.iter().zip(expected).enumerate() {
            // Nothing is written beyond.
            assert!((x - y).abs() < 1e-4 || x.is_nan() && y.is_nan(), "{what}: {x}, not {y}, at {at}");
        }
    }

    #[test]
    fn sums_are_right_at_every_height_and_width() {
        let given = floats(20 * STRIDE, 3);
        for (height, columns) in (1..=2 * ROWS + 2).flat_map(|h| (1..=COLUMNS).map(move |c| (h, c))) {
            for kind in 0..3 {
                let from = given.as_ptr();
                let (begin, value): (Begin, Box<dyn Fn(usize, usize) -> f32>) = match kind {
                    0 => (Begin::Nothing, Box::new(|_, _| 0.0)),
                    1 => (Begin::Each(from, STRIDE), Box::new(|i, j| given[i * STRIDE + j])),
                    _ => (Begin::Row(from, 2), Box::new(|i, _| given[2 * i])),
                };
                let (a, b, expected) = product(height, columns, value);
                let mut made = vec![f32::NAN; height * STRIDE];
                let of = Sums { begin, within: Some(Within(-4.0, 9.0)), to: made.as_mut_ptr(), stride: STRIDE };
                // SAFETY: panels are whole, and there is room for the sums.
                unsafe { ended(a.as_ptr(), b.as_ptr(), K, (height, columns), of) };
                same(&made, &expected, &format!("{height} rows of {columns} columns, begun by {kind}"));
            }
        }
    }

    #[test]
    fn a_few_rows_are_right_whatever_number_of_panels_they_meet() {
        for (height, panels) in (1..=ROWS).flat_map(|h| (1..=3).map(move |p| (h, p))) {
            let (a, b, expected) = product(height, panels * COLUMNS, |_, _| 0.0);
            let mut made = vec![f32::NAN; height * STRIDE];
            let (within, to) = (Some(Within(-4.0, 9.0)), made.as_mut_ptr());
            let of = Sums { begin: Begin::Nothing, within, to, stride: STRIDE };
            // SAFETY: panels are whole, and there is room for the sums.
            unsafe { few(a.as_ptr(), b.as_ptr(), K, (height, panels), of) };
            same(&made, &expected, &format!("{height} rows, {panels} panels"));
        }
    }
}
