//! Functions of one float or of four: no branch, no call. Knows numbers only.

use super::simd::F4;

/// Below it `e^x` is no normal float, above the other none at all.
const LEAST: f32 = -87.336_54;
const MOST: f32 = 88.722_83;

/// One float, or several side by side.
pub trait Floats: Copy {
    /// `x` in each.
    fn all(x: f32) -> Self;
    /// Sum.
    fn plus(self, b: Self) -> Self;
    /// Difference.
    fn minus(self, b: Self) -> Self;
    /// Product.
    fn times(self, b: Self) -> Self;
    /// Quotient.
    fn over(self, b: Self) -> Self;
    /// `self + a · b`.
    fn madd(self, a: Self, b: Self) -> Self;
    /// `then` where it is below `b`, else `otherwise`.
    fn below(self, b: Self, then: Self, otherwise: Self) -> Self;
    /// `otherwise` where it is a number, else itself.
    fn unless_number(self, otherwise: Self) -> Self;
    /// Times two to the power that the lowest bits of `n` say.
    fn times_two_to(self, n: Self) -> Self;
    /// Not below `low`; what is no number stays none.
    fn at_least(self, low: Self) -> Self;
    /// Not above `high`; what is no number stays none.
    fn at_most(self, high: Self) -> Self;
}

macro_rules! floats {
    ($all:expr, $of:ty, $by:ident) => {
        impl Floats for $of {
            #[inline(always)]
            fn all(x: f32) -> $of {
                $all(x)
            }
            floats!(@ $of, $by, plus(b), minus(b), times(b), over(b), madd(a, b), below(b, then, otherwise));
            floats!(@ $of, $by, unless_number(otherwise), times_two_to(n), at_least(low), at_most(high));
        }
    };
    (@ $of:ty, $by:ident, $($name:ident($($given:ident),+)),+) => {
        $(#[inline(always)]
        fn $name(self, $($given: $of),+) -> $of {
            $by::$name(self, $($given),+)
        })+
    };
}

floats!(F4::splat, F4, F4);
floats!(|x| x, f32, one);

/// The same of one float.
mod one {
    #[inline(always)]
    pub fn plus(x: f32, b: f32) -> f32 {
        x + b
    }
    #[inline(always)]
    pub fn minus(x: f32, b: f32) -> f32 {
        x - b
    }
    #[inline(always)]
    pub fn times(x: f32, b: f32) -> f32 {
        x * b
    }
    #[inline(always)]
    pub fn over(x: f32, b: f32) -> f32 {
        x / b
    }
    #[inline(always)]
    pub fn madd(x: f32, a: f32, b: f32) -> f32 {
        x + a * b
    }
    #[inline(always)]
    pub fn below(x: f32, b: f32, then: f32, otherwise: f32) -> f32 {
        if x < b { then } else { otherwise }
    }
    #[inline(always)]
    pub fn unless_number(x: f32, otherwise: f32) -> f32 {
        if x.is_nan() { x } else { otherwise }
    }
    #[inline(always)]
    pub fn times_two_to(x: f32, n: f32) -> f32 {
        f32::from_bits(x.to_bits().wrapping_add(n.to_bits() << 23))
    }
    #[inline(always)]
    pub fn at_least(x: f32, low: f32) -> f32 {
        if x < low { low } else { x }
    }
    #[inline(always)]
    pub fn at_most(x: f32, high: f32) -> f32 {
        if x > high { high } else { x }
    }
}

/// The polynomial of `s` with these coefficients, the constant first.
#[inline(always)]
fn polynomial<T: Floats, const N: usize>(s: T, of: [f32; N]) -> T {
    let last = T::all(of[N - 1]);
    of[..N - 1].iter().rev().fold(last, |sum, &c| T::all(c).madd(sum, s))
}

/// What `e^x` is made of: 1.5 · 2^23, by which a sum is rounded, log2 e, ln 2 in two parts of which the first is exact, the polynomial's
/// coefficients, which are Cephes' expf's, one, and [`LEAST`].
const POWER: [f32; 12] = [
    12_582_912.0,
    std::f32::consts::LOG2_E,
    -0.693_359_4,
    2.121_944_4e-4,
    0.5,
    1.666_666_6e-1,
    4.166_579_6e-2,
    8.333_452e-3,
    1.398_199_9e-3,
    1.987_569_1e-4,
    1.0,
    LEAST,
];

/// `e^x` for what is between [`LEAST`] and [`MOST`].
#[inline(always)]
fn power<T: Floats>(x: T, [round, log2_e, high, low, of @ .., one, _]: [T; POWER.len()]) -> T {
    // 2^n · e^r with |r| ≤ ln 2 / 2; the rounded sum leaves n in its lowest bits.
    let shifted = round.madd(x, log2_e);
    let n = shifted.minus(round);
    let r = x.madd(n, high).madd(n, low);
    let [sums @ .., last]: [T; 6] = of;
    let p = sums.into_iter().rev().fold(last, |sum, c| c.madd(sum, r));
    r.plus(one).madd(p, r.times(r)).times_two_to(shifted)
}

/// The same, with what it is made of at hand.
#[inline(always)]
fn exp_within<T: Floats>(x: T) -> T {
    power(x, POWER.map(T::all))
}

/// `e^x` within two units in the last place; 0 where it is no normal float, and infinity beyond what f32 holds.
#[inline(always)]
pub fn exp<T: Floats>(x: T) -> T {
    let (least, most) = (T::all(LEAST), T::all(MOST));
    let y = exp_within(x.at_least(least).at_most(most));
    let y = x.below(least, T::all(0.0), y);
    x.unless_number(most.below(x, T::all(f32::INFINITY), y))
}

/// The same of what is not above 0.
#[inline(always)]
fn exp_below<T: Floats>(x: T, of: [T; POWER.len()]) -> T {
    let least = of[POWER.len() - 1];
    x.unless_number(x.below(least, T::all(0.0), power(x.at_least(least), of)))
}

/// Makes `e^(x - most)` of each, `most` being the greatest of them: their sum.
#[inline(never)]
pub fn exponentials(x: &mut [f32], most: f32) -> f32 {
    let (parts, rest) = x.as_chunks_mut::<8>();
    let (mut sums, kept) = ([F4::splat(0.0); 2], POWER.each_ref().map(F4::kept));
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(part.chunks_exact_mut(4)) {
            let y = exp_below(F4::of(part).minus(F4::splat(most)), kept);
            y.put(part);
            *sum = sum.plus(y);
        }
    }
    let mut all: f32 = sums[0].plus(sums[1]).lanes().iter().sum();
    for x in rest {
        *x = exp_below(*x - most, POWER);
        all += *x;
    }
    all
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid<T: Floats>(x: T) -> T {
    let e = exp_within(T::all(0.0).minus(x).at_least(T::all(LEAST)).at_most(T::all(MOST)));
    x.unless_number(T::all(1.0).over(e.plus(T::all(1.0))))
}

/// `y` within one and its opposite, that where `x` is beyond `most` to either side.
#[inline(always)]
fn bounded<T: Floats>(x: T, most: f32, y: T) -> T {
    let (one, other) = (T::all(1.0), T::all(-1.0));
    let y = y.at_least(other).at_most(one);
    x.below(T::all(-most), other, T::all(most).below(x, one, y))
}

/// Hyperbolic tangent: a quotient of polynomials, least squares of the relative error in turns, 3e-8 off; ±1 beyond 8.8.
#[inline(always)]
pub fn tanh<T: Floats>(x: T) -> T {
    let s = x.times(x);
    let p = polynomial(s, [0.999_999_98, 1.338_100_7e-1, 3.495_566_5e-3, 2.060_873_7e-5, 1.335_421e-8]);
    let q = polynomial(s, [1.0, 4.671_432_3e-1, 2.587_69e-2, 3.285_599_8e-4, 7.776_368e-7]);
    bounded(x, 8.8, x.times(p).over(q))
}

/// The error function: as [`tanh`], 3e-7 off; ±1 beyond 3.75.
#[inline(always)]
pub fn erf<T: Floats>(x: T) -> T {
    let s = x.times(x);
    let p = polynomial(s, [1.128_378_9, 3.060_579e-1, 6.627_938e-2, 8.194_719e-3, 2.933_075e-4]);
    let q = polynomial(s, [1.0, 6.045_628e-1, 1.602_967_8e-1, 2.397_407_4e-2, 2.062_537_8e-3, 1.720_978_6e-5]);
    bounded(x, 3.75, x.times(p).over(q))
}

/// The natural logarithm within two units in the last place; none of what is below 0, and minus infinity of 0.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    // What is no normal float is made one. x = 2^n · m with √½ ≤ m < √2; the coefficients are Cephes' logf's.
    let small = x < f32::MIN_POSITIVE;
    let bits = (if small { x * 8_388_608.0 } else { x }).to_bits();
    let n = (bits.wrapping_sub(0x3f35_04f3) as i32) >> 23;
    let f = f32::from_bits(bits.wrapping_sub((n << 23) as u32)) - 1.0;
    let n = n as f32 - if small { 23.0 } else { 0.0 };
    let p = polynomial(
        f,
        [
            3.333_333e-1,
            -2.499_999_4e-1,
            2.000_071_5e-1,
            -1.666_805_7e-1,
            1.424_932_3e-1,
            -1.242_014_1e-1,
            1.167_699_9e-1,
            -1.151_461e-1,
            7.037_684e-2,
        ],
    );
    let s = f * f;
    let y = f + (p * s * f - n * 2.121_944_4e-4 - 0.5 * s) + n * 0.693_359_4;
    let y = if x > 0.0 { y } else { f32::NAN };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x == f32::INFINITY { x } else { y }
}

/// `x` to the nearest integer, of two the even one.
#[inline(always)]
pub fn round(x: f32) -> f32 {
    x.round_ties_even()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(f: fn(f32) -> f32, by: fn(f64) -> f64, from: f32, to: f32) -> f64 {
        let at = |i: usize| from + (to - from) * i as f32 / 100_000.0;
        let off = |x: f32| (f64::from(f(x)) - by(x.into())).abs() / by(x.into()).abs().max(1e-3);
        (0..=100_000).map(|i| off(at(i))).fold(0.0, f64::max)
    }

    #[test]
    fn functions_are_what_their_names_say() {
        assert!(worst(exp, f64::exp, -87.0, 88.0) < 3e-7);
        assert!(worst(tanh, f64::tanh, -12.0, 12.0) < 1e-6);
        assert!(worst(erf, libm::erf, -5.0, 5.0) < 6e-7);
        assert!(worst(ln, f64::ln, 1e-6, 4.0) < 3e-7 && worst(ln, f64::ln, 4.0, 3e38) < 3e-7);
        assert!(worst(ln, f64::ln, 1e-44, 1e-37) < 3e-7 && (ln(0.0), ln(1.0)) == (f32::NEG_INFINITY, 0.0));
        assert!(ln(-1.0).is_nan() && ln(f32::NAN).is_nan() && ln(f32::INFINITY) == f32::INFINITY);
        let mut row: Vec<f32> = (0..21).map(|i| -5.0 * i as f32).collect();
        let all = exponentials(&mut row, 0.0);
        assert!((0..21).all(|i| (f64::from(row[i]) - (-5.0 * i as f64).exp()).abs() < 1e-7) && row[20] == 0.0);
        assert!((all - row.iter().sum::<f32>()).abs() < 1e-6 && exponentials(&mut [0.0, f32::NAN], 0.0).is_nan());
        assert!((exp(-200.0), exp(200.0), exp(f32::NEG_INFINITY)) == (0.0, f32::INFINITY, 0.0));
        assert!(exp(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
        assert!((sigmoid(100.0), tanh(50.0), tanh(-50.0)) == (1.0, 1.0, -1.0) && sigmoid(-100.0) < 1e-38);
        assert!((erf(50.0), erf(-50.0), erf(0.0), tanh(0.0)) == (1.0, -1.0, 0.0, 0.0) && erf(f32::NAN).is_nan());
        assert!([tanh, erf].iter().all(|f| (0..=1000).all(|i| f(i as f32 * 0.02) <= 1.0)));
        assert!(sigmoid(f32::NAN).is_nan() && sigmoid(f32::INFINITY) == 1.0 && exp(88.7).is_finite());
        assert!([LEAST, MOST, 88.7228, -87.3].map(exp).iter().all(|y| y.is_finite() && *y > 0.0));
    }
}
