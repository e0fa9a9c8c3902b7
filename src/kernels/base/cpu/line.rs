//! Products by a number, sums with a number and bounds, of which several that follow each other are one loop. Knows numbers
//! and where they lie; must never know registers.

use super::access::Access;
use super::loops::{Loop, clamp, each, each_within};

/// A number for a whole row at least.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// The same for all.
    Known(f32),
    /// Of an operand.
    Given(Access),
}

/// `y = x · factor + offset`, within bounds; what is no number stays none.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What is multiplied by.
    pub factor: Number,
    /// What is added then.
    pub offset: Number,
    /// The least that it may come to.
    pub low: f32,
    /// The most.
    pub high: f32,
}

/// What multiplies a value by a function of itself: `y = x · (g(x · p0 + p1) · p2 + p3)`, with `p4` and `p5` the function's own.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The loops.
    pub by: Loop,
    /// What the function is of, where it is not the value itself: that times the first, and the second.
    pub of: (f32, f32),
    /// The function's own parameters.
    pub bounds: [f32; 2],
}

/// What an operator of two computes that is a line where one of them is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a · b`
    Mul,
    /// `a / b`
    Div,
}

/// Elements that a number must be for: for fewer a loop of its own is not worth it.
const LONG: usize = 16;

impl Arithmetic {
    /// That of an operator, if it is one.
    pub fn of(op_type: &str) -> Option<Arithmetic> {
        Some(match op_type {
            "Add" => Arithmetic::Add,
            "Sub" => Arithmetic::Sub,
            "Mul" => Arithmetic::Mul,
            "Div" => Arithmetic::Div,
            _ => return None,
        })
    }

    /// The line that it is with `number` as the second operand, or as the first.
    pub fn line(self, number: Number, second: bool) -> Option<Line> {
        let (one, none) = (Number::Known(1.0), Number::Known(0.0));
        let (factor, offset) = match (self, number, second) {
            (Arithmetic::Add, number, _) => (one, number),
            (Arithmetic::Mul, number, _) => (number, none),
            (Arithmetic::Sub, Number::Known(number), true) => (one, Number::Known(-number)),
            (Arithmetic::Sub, number, false) => (Number::Known(-1.0), number),
            (Arithmetic::Div, Number::Known(number), true) => (Number::Known(1.0 / number), none),
            _ => return None,
        };
        Some(Line { factor, offset, low: f32::NEG_INFINITY, high: f32::INFINITY })
    }
}

impl Number {
    /// What an operand is a number by, if it is one for long enough; `value` is its only element where that is known.
    pub fn of(access: &Access, value: Option<f32>) -> Option<Number> {
        match (value, access.axes.last()) {
            (Some(value), _) => Some(Number::Known(value)),
            (None, None) => Some(Number::Given(access.clone())),
            (None, Some(&(size, 0))) if size >= LONG => Some(Number::Given(access.clone())),
            _ => None,
        }
    }

    fn times(&self, other: &Number) -> Option<Number> {
        match (self, other) {
            (Number::Known(a), Number::Known(b)) => Some(Number::Known(a * b)),
            (Number::Known(1.0), number) | (number, Number::Known(1.0)) => Some(number.clone()),
            _ => None,
        }
    }

    fn plus(&self, other: &Number) -> Option<Number> {
        match (self, other) {
            (Number::Known(a), Number::Known(b)) => Some(Number::Known(a + b)),
            (Number::Known(0.0), number) | (number, Number::Known(0.0)) => Some(number.clone()),
            _ => None,
        }
    }

    /// How many of the `n` elements from `at` on it is the same for.
    pub fn lasts(&self, at: usize, n: usize) -> usize {
        match self {
            Number::Given(Access { axes, .. }) => axes.last().map_or(n, |&(size, _)| n.min(size - at % size)),
            Number::Known(_) => n,
        }
    }
}

impl Line {
    /// Bounds alone.
    pub fn within(low: f32, high: f32) -> Line {
        Line::of(1.0, 0.0, low, high)
    }

    /// By known numbers.
    pub fn of(factor: f32, offset: f32, low: f32, high: f32) -> Line {
        Line { factor: Number::Known(factor), offset: Number::Known(offset), low, high }
    }

    /// Its factor and its offset, where both are known and there are no bounds.
    pub fn known(&self) -> Option<(f32, f32)> {
        match (&self.factor, &self.offset) {
            (Number::Known(factor), Number::Known(offset)) if !self.is_bounded() => Some((*factor, *offset)),
            _ => None,
        }
    }

    /// The gate that it makes by its bounds.
    pub fn gate(&self) -> Option<Gate> {
        let (Number::Known(factor), Number::Known(offset)) = (&self.factor, &self.offset) else { return None };
        let by = Loop {
            apart: |x, y, p| each(x, y, |x| x * (clamp(x * p[0] + p[1], p[4], p[5]) * p[2] + p[3])),
            within: |y, p| each_within(y, |x| x * (clamp(x * p[0] + p[1], p[4], p[5]) * p[2] + p[3])),
        };
        self.is_bounded().then_some(Gate { by, of: (*factor, *offset), bounds: [self.low, self.high] })
    }

    /// Whether it has bounds.
    pub fn is_bounded(&self) -> bool {
        self.low > f32::NEG_INFINITY || self.high < f32::INFINITY
    }

    /// This line of what `first` gives, as one; nothing where that takes more than one.
    pub fn after(&self, first: &Line) -> Option<Line> {
        if first.is_bounded() {
            return None;
        }
        // Only a known number multiplies a sum.
        let scaled = match &first.offset {
            Number::Known(0.0) => Number::Known(0.0),
            offset => self.factor.times(offset)?,
        };
        let (factor, offset) = (self.factor.times(&first.factor)?, scaled.plus(&self.offset)?);
        Some(Line { factor, offset, low: self.low, high: self.high })
    }

    /// The same over what `y` holds.
    pub fn run_within(&self, factor: f32, offset: f32, y: &mut [f32]) {
        if self.is_bounded() {
            each_within(y, |x| clamp(x * factor + offset, self.low, self.high));
        } else {
            each_within(y, |x| x * factor + offset);
        }
    }

    /// The loop, with its numbers found.
    pub fn run(&self, factor: f32, offset: f32, x: &[f32], y: &mut [f32]) {
        if self.is_bounded() {
            each(x, y, |x| clamp(x * factor + offset, self.low, self.high));
        } else {
            each(x, y, |x| x * factor + offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_follow_each_other_are_one_where_it_is_the_same() {
        let given = |operand| Number::Given(Access { operand, base: 0, axes: vec![(4, 1), (49, 0)] });
        let line = |arithmetic: Arithmetic, number| arithmetic.line(number, true).unwrap();
        let scale = line(Arithmetic::Mul, given(0));
        let shift = line(Arithmetic::Add, given(1));
        let normalised = shift.after(&scale).unwrap();
        assert_eq!((&normalised.factor, &normalised.offset), (&given(0), &given(1)));
        let bounded = Line::within(0.0, 6.0).after(&normalised).unwrap();
        assert_eq!((bounded.factor, bounded.offset, bounded.low, bounded.high), (given(0), given(1), 0.0, 6.0));
        // A number that is only known while running does not multiply another.
        assert_eq!(scale.after(&shift), None);
        assert_eq!(shift.after(&Line::within(0.0, 6.0)), None);
        let known = line(Arithmetic::Div, Number::Known(4.0)).after(&line(Arithmetic::Sub, Number::Known(3.0)));
        assert_eq!(known, Some(Line::of(0.25, -0.75, f32::NEG_INFINITY, f32::INFINITY)));
        let from = Arithmetic::Sub.line(Number::Known(1.0), false);
        assert_eq!(from, Some(Line::of(-1.0, 1.0, f32::NEG_INFINITY, f32::INFINITY)));
    }
}
