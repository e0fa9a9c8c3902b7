//! Where the elements of an operand lie that belong to those of a result: broadcast, strided, or as they are. Knows strides;
//! must never know what is computed.

/// Where the element of an operand lies that belongs to an element of the result: sizes and strides, outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The operand, by its place among what the routine reads.
    pub operand: usize,
    /// Its element that belongs to the result's first.
    pub base: usize,
    /// Size of each axis of the result, and what a step along it moves in the operand.
    pub axes: Vec<(usize, i64)>,
}

impl Access {
    /// Merges axes along which the operand goes on without a gap, and leaves out those of one.
    pub fn merged(operand: usize, base: usize, shape: &[usize], strides: &[i64]) -> Access {
        let mut axes: Vec<(usize, i64)> = vec![];
        for (&size, &stride) in shape.iter().zip(strides).filter(|(size, _)| **size != 1) {
            match axes.last_mut() {
                Some(last) if last.1 == stride * size as i64 => *last = (last.0 * size, stride),
                _ => axes.push((size, stride)),
            }
        }
        Access { operand, base, axes }
    }

    /// Whether the operand lies as the result does.
    pub fn alike(&self) -> bool {
        matches!(self.axes.as_slice(), [] | [(_, 1)])
    }

    /// The one element that belongs to all of the `n` from `start` on, if one does.
    pub fn one<T: Copy>(&self, from: &[T], start: usize, n: usize) -> Option<T> {
        let Some(&(size, step)) = self.axes.last() else { return Some(from[self.base]) };
        (step == 0 && start % size + n <= size).then(|| from[self.row(start / size) as usize])
    }

    /// Where a row along the last axis begins, by its number.
    fn row(&self, mut number: usize) -> i64 {
        let mut place = self.base as i64;
        for &(size, step) in self.axes.iter().rev().skip(1) {
            place += (number % size) as i64 * step;
            number /= size;
        }
        place
    }

    /// What belongs to the `n` elements from `start` on, where it lies as they do.
    pub fn run<'a, T>(&self, from: &'a [T], start: usize, n: usize) -> Option<&'a [T]> {
        let &(size, step) = self.axes.last()?;
        let fits = step == 1 && start % size + n <= size;
        fits.then(|| &from[self.row(start / size) as usize + start % size..][..n])
    }

    /// Copies what belongs to the elements from `start` on.
    pub fn read<T: Copy>(&self, from: &[T], start: usize, to: &mut [T]) {
        let Some(((size, step), outer)) = self.axes.split_last().map(|(&last, outer)| (last, outer)) else {
            return to.fill(from[self.base]);
        };
        if outer.is_empty() && step == 1 {
            return to.copy_from_slice(&from[self.base + start..self.base + start + to.len()]);
        }
        let (mut at, mut done) = (start, 0);
        while done < to.len() {
            let within = at % size;
            let first = (self.row(at / size) + within as i64 * step) as usize;
            let run = (size - within).min(to.len() - done);
            let part = &mut to[done..done + run];
            match step {
                0 => part.fill(from[first]),
                1 => part.copy_from_slice(&from[first..first + run]),
                2.. => part.iter_mut().zip(from[first..].chunks(step as usize)).for_each(|(y, x)| *y = x[0]),
                _ => {
                    part.iter_mut().enumerate().for_each(|(i, y)| *y = from[(first as i64 + i as i64 * step) as usize])
                }
            }
            (at, done) = (at + run, done + run);
        }
    }
}
