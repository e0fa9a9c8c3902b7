//! The transforms of Winograd's F(4×4, 3×3). Source: A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks",
//! 2015, section 4. Knows its three matrices; must never know where tiles lie.

use crate::kernels::base::cpu::simd::F4;

/// Outputs of a tile along one axis.
pub const TILE: usize = 4;
/// Points of a tile along one axis.
pub const POINTS: usize = 6;
/// Vector operations, loads and stores of a tile's transforms: as [`input`] and [`output`] have them, and their callers.
pub const INPUT_STEPS: usize = 36 + 12 * 12 + 36 + 4;
pub const OUTPUT_STEPS: usize = 36 + 10 * 11 + 32 + 16;

/// Bᵀ of the paper times six values.
#[inline(always)]
fn input_points(d: [F4; POINTS]) -> [F4; POINTS] {
    let [two, four] = [2.0, 4.0].map(F4::splat);
    let [minus_four, minus_five] = [-4.0, -5.0].map(F4::splat);
    let (even, odd) = (d[4].madd(d[2], minus_four), d[3].madd(d[1], minus_four));
    let (near, far) = (d[4].minus(d[2]), d[3].minus(d[1]));
    [
        d[4].madd(d[0], four).madd(d[2], minus_five),
        even.plus(odd),
        even.minus(odd),
        near.madd(far, two),
        near.madd(far, F4::splat(-2.0)),
        d[5].madd(d[1], four).madd(d[3], minus_five),
    ]
}

/// Aᵀ of the paper times six values.
#[inline(always)]
fn output_points(m: [F4; POINTS]) -> [F4; TILE] {
    let (near, step) = (m[1].plus(m[2]), m[1].minus(m[2]));
    let (far, leap) = (m[3].plus(m[4]), m[3].minus(m[4]));
    [
        m[0].plus(near).plus(far),
        step.madd(leap, F4::splat(2.0)),
        near.madd(far, F4::splat(4.0)),
        step.madd(leap, F4::splat(8.0)).plus(m[5]),
    ]
}

/// The points of what `seen` gives by row and column.
#[inline(always)]
pub fn input(seen: impl Fn(usize, usize) -> F4) -> [[F4; POINTS]; POINTS] {
    let columns: [_; POINTS] = std::array::from_fn(|c| input_points(std::array::from_fn(|r| seen(r, c))));
    std::array::from_fn(|r| input_points(std::array::from_fn(|c| columns[c][r])))
}

/// The outputs, by row and column, of the products that `seen` gives.
#[inline(always)]
pub fn output(seen: impl Fn(usize, usize) -> F4) -> [[F4; TILE]; TILE] {
    let columns: [_; POINTS] = std::array::from_fn(|c| output_points(std::array::from_fn(|r| seen(r, c))));
    std::array::from_fn(|r| output_points(std::array::from_fn(|c| columns[c][r])))
}

/// G of the paper.
const G: [[f64; 3]; POINTS] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// The points of a filter of three by three, row by row.
pub fn weight(filter: &[f32; 9]) -> [f32; POINTS * POINTS] {
    std::array::from_fn(|at| {
        let (r, c) = (G[at / POINTS], G[at % POINTS]);
        let term = |i: usize| f64::from(filter[i]) * r[i / 3] * c[i % 3];
        (0..9).map(term).sum::<f64>() as f32
    })
}

/// The filter of such points.
pub fn unweight(points: &[f32; POINTS * POINTS]) -> [f32; 9] {
    // The first and last point are an end each; the difference of the second and third is a third of the middle.
    let ends = |p: [f64; POINTS]| [4.0 * p[0], 3.0 * (p[2] - p[1]), p[5]];
    let rows: [[f64; 3]; POINTS] =
        std::array::from_fn(|r| ends(std::array::from_fn(|c| f64::from(points[r * POINTS + c]))));
    let columns: [[f64; 3]; 3] = std::array::from_fn(|c| ends(rows.map(|row| row[c])));
    std::array::from_fn(|at| columns[at % 3][at / 3] as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_had_back_from_its_points() {
        let filter = [0.5, -1.25, 3.0, 1e-3, 7.0, -2.0, 0.0, 0.1, -0.7];
        for (had, was) in unweight(&weight(&filter)).into_iter().zip(filter) {
            assert!((had - was).abs() < 4e-6, "{had} and {was}");
        }
    }

    #[test]
    fn a_tile_is_what_its_windows_sum_to() {
        let image = |r: usize, c: usize| ((r * 7 + c * 3) % 11) as f32 - 5.0;
        let filter: [f32; 9] = std::array::from_fn(|i| (i as f32 - 3.5) * 0.25);
        let (points, weights) = (input(|r, c| F4::splat(image(r, c))), weight(&filter));
        let products = output(|r, c| F4::splat(0.0).madd(points[r][c], F4::splat(weights[r * POINTS + c])));
        for (r, row) in products.into_iter().enumerate() {
            for (c, sum) in row.into_iter().enumerate() {
                let expected: f32 = (0..9).map(|i| filter[i] * image(r + i / 3, c + i % 3)).sum();
                assert!((sum.lanes()[0] - expected).abs() < 1e-4, "{r} {c}: {sum:?}, not {expected}");
            }
        }
    }
}
