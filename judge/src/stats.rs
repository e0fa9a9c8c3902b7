//! Means, quantiles and intervals of figures that come in clusters. Knows numbers only.

use serde::Serialize;

/// Draws for an interval.
const DRAWS: usize = 1000;

/// A mean over clusters with its 95 % interval, by drawing clusters again and again (bootstrap).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// From where
    pub low: f64,
    /// to where.
    pub high: f64,
    /// How many clusters.
    pub clusters: usize,
}

/// The mean of `clusters`, each of which counts once; nothing where there are none.
pub fn mean(clusters: &[f64]) -> Option<Mean> {
    if clusters.is_empty() {
        return None;
    }
    let mut rng = fastrand::Rng::with_seed(7);
    let of = |draw: &mut dyn FnMut() -> f64| (0..clusters.len()).map(|_| draw()).sum::<f64>() / clusters.len() as f64;
    let mut draws: Vec<f64> = (0..DRAWS).map(|_| of(&mut || clusters[rng.usize(..clusters.len())])).collect();
    draws.sort_by(f64::total_cmp);
    let mut all = clusters.iter().copied();
    Some(Mean {
        mean: of(&mut || all.next().unwrap_or(0.0)),
        low: draws[DRAWS / 40],
        high: draws[DRAWS - 1 - DRAWS / 40],
        clusters: clusters.len(),
    })
}

/// The median; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The `q`-quantile, between neighbours by their distance; 0 of nothing.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let at = q * last as f64;
    let (low, part) = (at.floor() as usize, at.fract());
    sorted[low] * (1.0 - part) + sorted[(low + 1).min(last)] * part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_the_mean_and_narrows() {
        let values = |n: usize| (0..n).map(|i| (i % 10) as f64).collect::<Vec<_>>();
        let few = mean(&values(10)).unwrap();
        let many = mean(&values(1000)).unwrap();
        assert!((few.mean - 4.5).abs() < 1e-9 && few.low < 4.5 && few.high > 4.5, "{few:?}");
        assert!(many.high - many.low < 0.2 * (few.high - few.low), "{many:?}");
        assert!(mean(&[]).is_none());
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[4.0, 1.0, 2.0], 0.75), 3.0);
        assert_eq!(median(&[]), 0.0);
    }
}
