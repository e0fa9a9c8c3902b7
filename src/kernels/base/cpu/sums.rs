//! One number of many, in sixteen sums that become one at the end. Knows numbers only.

/// Sums that run side by side.
const LANES: usize = 16;

/// `Σ f(x)`.
#[inline(always)]
pub fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let parts = x.chunks_exact(LANES);
    let rest: f32 = parts.remainder().iter().map(|&v| f(v)).sum();
    for part in parts {
        for (sum, &v) in sums.iter_mut().zip(part) {
            *sum += f(v);
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// The greatest of `f(x)` and `least`.
#[inline(always)]
pub fn greatest(x: &[f32], least: f32, f: impl Fn(f32) -> f32) -> f32 {
    let most = |a: f32, b: f32| if b > a { b } else { a };
    let mut all = [least; LANES];
    let parts = x.chunks_exact(LANES);
    let rest = parts.remainder().iter().fold(least, |a, &v| most(a, f(v)));
    for part in parts {
        for (greatest, &v) in all.iter_mut().zip(part) {
            *greatest = most(*greatest, f(v));
        }
    }
    all.into_iter().fold(rest, most)
}
