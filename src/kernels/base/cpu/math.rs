//! Functions of floats that compilers turn into vectors: no branch, no call. Knows numbers only.

/// Below it `e^x` is no normal float, above the other none at all.
const LEAST: f32 = -87.336_54;
const MOST: f32 = 88.722_83;

/// `x` within bounds; what is no number stays none.
#[inline(always)]
fn within(x: f32, low: f32, high: f32) -> f32 {
    let above = if x < low { low } else { x };
    if above > high { high } else { above }
}

/// `e^x` for what is between [`LEAST`] and [`MOST`].
#[inline(always)]
fn exp_within(x: f32) -> f32 {
    // 2^n · e^r with |r| ≤ ln 2 / 2; the coefficients are Cephes' expf's. 1.5 · 2^23 more leaves n in the lowest bits.
    let shifted = x * std::f32::consts::LOG2_E + 12_582_912.0;
    let n = shifted - 12_582_912.0;
    let r = x - n * 0.693_359_4;
    let r = r + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_6e-1;
    p = p * r + 0.5;
    let e = p * r * r + r + 1.0;
    // n more in the exponent.
    f32::from_bits(e.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// `e^x` within two units in the last place; 0 where it is no normal float, and infinity beyond what f32 holds.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let y = exp_within(within(x, LEAST, MOST));
    let y = if x < LEAST { 0.0 } else { y };
    let y = if x > MOST { f32::INFINITY } else { y };
    if x.is_nan() { x } else { y }
}

/// The same of what is not above 0.
#[inline(always)]
fn exp_below(x: f32) -> f32 {
    let y = exp_within(if x < LEAST { LEAST } else { x });
    let y = if x < LEAST { 0.0 } else { y };
    if x.is_nan() { x } else { y }
}

/// Makes `e^(x - most)` of each, `most` being the greatest of them: their sum.
#[inline(never)]
pub fn exponentials(x: &mut [f32], most: f32) -> f32 {
    let (parts, rest) = x.as_chunks_mut::<16>();
    let mut sums = [0.0f32; 16];
    for part in parts {
        for (x, sum) in part.iter_mut().zip(&mut sums) {
            *x = exp_below(*x - most);
            *sum += *x;
        }
    }
    for (x, sum) in rest.iter_mut().zip(&mut sums) {
        *x = exp_below(*x - most);
        *sum += *x;
    }
    sums.iter().sum()
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let y = 1.0 / (1.0 + exp_within(within(-x, LEAST, MOST)));
    if x.is_nan() { x } else { y }
}

/// The polynomial of `s` with these coefficients, the constant first.
#[inline(always)]
fn polynomial<const N: usize>(s: f32, of: [f32; N]) -> f32 {
    of.into_iter().rev().fold(0.0, |sum, c| sum * s + c)
}

/// Hyperbolic tangent: a quotient of polynomials, least squares of the relative error in turns, 3e-8 off; ±1 beyond 8.8.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let s = x * x;
    let p = polynomial(s, [0.999_999_98, 1.338_100_7e-1, 3.495_566_5e-3, 2.060_873_7e-5, 1.335_421e-8]);
    let q = polynomial(s, [1.0, 4.671_432_3e-1, 2.587_69e-2, 3.285_599_8e-4, 7.776_368e-7]);
    let y = within(x * p / q, -1.0, 1.0);
    if x.abs() > 8.8 { 1f32.copysign(x) } else { y }
}

/// The error function: as [`tanh`], 3e-7 off; ±1 beyond 3.75.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let s = x * x;
    let p = polynomial(s, [1.128_378_9, 3.060_579e-1, 6.627_938e-2, 8.194_719e-3, 2.933_075e-4]);
    let q = polynomial(s, [1.0, 6.045_628e-1, 1.602_967_8e-1, 2.397_407_4e-2, 2.062_537_8e-3, 1.720_978_6e-5]);
    let y = within(x * p / q, -1.0, 1.0);
    if x.abs() > 3.75 { 1f32.copysign(x) } else { y }
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
