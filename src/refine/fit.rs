//! Bayesian recursive least squares on log residuals: what each observation says of the model's coefficients.
//! Knows coefficients and their doubt; must never know when an observation is held out.

use crate::kernels::Class;
use crate::predict::{Coefficients, FIXED, Terms};
use nalgebra::{DMatrix, DVector};

/// Doubt of the probes' values, as standard deviations of logarithms: a class's utilisation was seen on one shape only,
/// waits and transfers were measured as they are used, and nothing is known of overlap.
const CLASS_DOUBT: f64 = 1.0;
const MEASURED_DOUBT: f64 = 0.5;
const OVERLAP_DOUBT: f64 = 0.15;
/// A model is like its kernels say until it shows otherwise.
const MODEL_DOUBT: f64 = 0.3;
/// Noise of a measurement at first; then what the residuals show, never less than the floor.
const FIRST_NOISE: f64 = 0.1;
const NOISE_FLOOR: f64 = 0.01;
/// Weight that an observation loses with each later one.
const FORGETTING: f64 = 0.995;
/// An innovation counts up to so many of its standard deviations: an outlier is not followed.
const CLIP: f64 = 2.5;

/// Coefficients with their covariance.
#[derive(Clone, Debug)]
pub struct Fit {
    coefficients: Coefficients,
    models: Vec<String>,
    covariance: DMatrix<f64>,
    noise: f64,
}

impl Default for Fit {
    fn default() -> Self {
        let doubt = |i: usize| match i {
            i if i < Class::ALL.len() => CLASS_DOUBT,
            i if i + 1 < FIXED => MEASURED_DOUBT,
            _ => OVERLAP_DOUBT,
        };
        let diagonal = DVector::from_fn(FIXED, |i, _| doubt(i) * doubt(i));
        Fit {
            coefficients: Coefficients::default(),
            models: vec![],
            covariance: DMatrix::from_diagonal(&diagonal),
            noise: FIRST_NOISE,
        }
    }
}

impl Fit {
    /// The coefficients as fitted so far.
    pub fn coefficients(&self) -> &Coefficients {
        &self.coefficients
    }

    /// Time of an execution in milliseconds, and the standard deviation of its logarithm.
    pub fn predict(&self, terms: &Terms) -> (f64, f64) {
        let (total, slopes) = self.coefficients.total(terms, &self.models);
        let slopes = DVector::from_vec(slopes);
        let variance = slopes.dot(&(&self.covariance * &slopes));
        // A model not met yet has a doubt of its own.
        let new = terms.requests.iter().any(|r| !self.models.contains(&r.model));
        let more = if new { MODEL_DOUBT * MODEL_DOUBT } else { 0.0 };
        (total, (variance.max(0.0) + more + self.noise * self.noise).sqrt())
    }

    /// Standard deviation of the logarithm of the ratio of two executions' times: what both depend on does not count.
    pub fn ratio_doubt(&self, a: &Terms, b: &Terms) -> f64 {
        let slopes = |terms| DVector::from_vec(self.coefficients.total(terms, &self.models).1);
        let apart = slopes(a) - slopes(b);
        apart.dot(&(&self.covariance * &apart)).max(0.0).sqrt()
    }

    /// Takes one observation in.
    pub fn update(&mut self, terms: &Terms, measured_ms: f64) {
        for request in &terms.requests {
            self.meet(&request.model);
        }
        let (total, slopes) = self.coefficients.total(terms, &self.models);
        let slopes = DVector::from_vec(slopes);
        let spread = &self.covariance * &slopes;
        let variance = slopes.dot(&spread) + self.noise * self.noise;
        let innovation = (measured_ms / total).ln();
        let most = CLIP * variance.sqrt();
        let clipped = innovation.clamp(-most, most);
        let gain = &spread / variance;
        let step = &gain * clipped;
        self.covariance -= &gain * spread.transpose();
        self.forget();
        for (i, step) in step.iter().enumerate() {
            match i.checked_sub(FIXED) {
                None => self.coefficients.fixed[i] = (self.coefficients.fixed[i] + step).clamp(-5.0, 5.0),
                Some(m) => {
                    let model = self.coefficients.models.entry(self.models[m].clone()).or_insert(0.0);
                    *model = (*model + step).clamp(-2.0, 2.0);
                }
            }
        }
        // What the step leaves unexplained is noise; it is learned slowly, and an outlier teaches it little.
        let left = (measured_ms / self.coefficients.total(terms, &self.models).0).ln().clamp(-most, most);
        self.noise = (0.95 * self.noise * self.noise + 0.05 * left * left).sqrt().max(NOISE_FLOOR);
    }

    /// Opens what was learned, never beyond what was doubted at first. The whole matrix: opening the diagonal alone would
    /// undo what is known of sums, and the fit would follow noise.
    fn forget(&mut self) {
        self.covariance /= FORGETTING;
        for i in 0..self.covariance.nrows() {
            let excess = self.covariance[(i, i)].sqrt() / self.first_doubt(i);
            if excess > 1.0 {
                self.covariance.row_mut(i).unscale_mut(excess);
                self.covariance.column_mut(i).unscale_mut(excess);
            }
            self.covariance[(i, i)] = self.covariance[(i, i)].max(1e-9);
        }
    }

    fn first_doubt(&self, i: usize) -> f64 {
        match i {
            i if i < Class::ALL.len() => CLASS_DOUBT,
            i if i + 1 < FIXED => MEASURED_DOUBT,
            i if i < FIXED => OVERLAP_DOUBT,
            _ => MODEL_DOUBT,
        }
    }

    /// Gives a model that was not met before its own coefficient.
    fn meet(&mut self, model: &str) {
        if self.models.iter().any(|m| m == model) {
            return;
        }
        self.models.push(model.to_owned());
        let old = self.covariance.nrows();
        let mut grown = DMatrix::zeros(old + 1, old + 1);
        grown.view_mut((0, 0), (old, old)).copy_from(&self.covariance);
        grown[(old, old)] = MODEL_DOUBT * MODEL_DOUBT;
        self.covariance = grown;
    }
}
