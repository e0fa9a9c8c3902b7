//! Bayesian recursive least squares on log residuals: what each observation says of the model's coefficients.
//! Knows coefficients and their doubt; must never know when an observation is held out.

use crate::kernels::Class;
use crate::predict::{CONDITIONS, Coefficients, FIXED, MACHINE, OVERLAP, Terms};
use nalgebra::{DMatrix, DVector};

/// Doubt of the probes' values, as standard deviations of logarithms: a class's utilisation was seen on one shape only,
/// waits and transfers were measured as they are used, and nothing is known of overlap.
const CLASS_DOUBT: f64 = 0.7;
/// How alike the classes' probes err: all are small, beside whatever else begins just then.
const CLASSES_ALIKE: f64 = 0.8;
const MEASURED_DOUBT: f64 = 0.5;
/// How far a probe is off where nothing else is known.
const PROBED: f64 = 0.3;
const OVERLAP_DOUBT: f64 = 0.15;
/// A model is like its kernels say until it shows otherwise: how far models are off, as if so many had shown it.
const MODEL_DOUBT: f64 = 0.25;
const MODELS_SHOWN: f64 = 4.0;
/// What a condition does is not known before it was there.
const CONDITION_DOUBT: f64 = 0.5;
/// How far the machine is from what it usually is, where nothing was seen for long, and in how many milliseconds what it was is
/// forgotten.
const MACHINE_DOUBT: f64 = 0.1;
const MACHINE_MS: f64 = 60e3;
/// Noise that each other execution at work adds: what it takes depends on what it is.
const BUSY_NOISE: f64 = 0.3;
/// Noise of a measurement at first; then what the residuals show, never less than the floor.
const FIRST_NOISE: f64 = 0.2;
/// As if so many residuals had shown it; later ones count so much at least.
const NOISE_SHOWN: f64 = 4.0;
const NOISE_GAIN: f64 = 0.05;
const NOISE_FLOOR: f64 = 0.01;
/// Weight that an observation loses with each later one.
const FORGETTING: f64 = 0.995;
/// An innovation counts up to so many of its standard deviations: an outlier is not followed.
const CLIP: f64 = 2.5;
/// The machine has changed where innovations, in units of what is known of them and each less the first, add up to more than the second
/// to one side (Page's cumulative sum, 1954); what grew of noise meanwhile was none.
const SLACK: f64 = 0.5;
const ALARM: f64 = 5.0;

/// How far a forecast may be off: variances of the time's logarithm.
#[derive(Clone, Copy, Debug)]
pub struct Doubt {
    /// Since the coefficients are not known well.
    pub unknown: f64,
    /// Since no two runs are alike.
    pub noise: f64,
}

impl Doubt {
    /// All of it, as a standard deviation.
    pub fn deviation(&self) -> f64 {
        (self.unknown + self.noise).sqrt()
    }
}

/// Coefficients with their covariance.
#[derive(Clone, Debug)]
pub struct Fit {
    coefficients: Coefficients,
    models: Vec<String>,
    covariance: DMatrix<f64>,
    noise: f64,
    /// How many residuals taught it.
    residuals: f64,
    /// When the last observation began.
    seen_ms: Option<f64>,
    /// How far the last innovations lie above, and below, what was forecast.
    drift: [Drift; 2],
}

/// Innovations to one side.
#[derive(Clone, Copy, Debug, Default)]
struct Drift {
    /// Their cumulative sum.
    sum: f64,
    /// Since that is more than nothing: how many, what they add up to, and what the noise was before.
    count: f64,
    total: f64,
    noise: f64,
}

fn first_doubt(i: usize) -> f64 {
    match i {
        i if i < Class::ALL.len() => CLASS_DOUBT,
        i if i < OVERLAP => MEASURED_DOUBT,
        OVERLAP => OVERLAP_DOUBT,
        i if (CONDITIONS..MACHINE).contains(&i) => CONDITION_DOUBT,
        MACHINE => 1.0,
        _ => MODEL_DOUBT,
    }
}

impl Default for Fit {
    fn default() -> Self {
        // As it is at first is as it is.
        let variance = |i: usize| if i == MACHINE { 0.0 } else { first_doubt(i) * first_doubt(i) };
        let class = |i: usize| i < Class::ALL.len();
        let alike = CLASSES_ALIKE * CLASS_DOUBT * CLASS_DOUBT;
        let between = |i, j| if class(i) && class(j) { alike } else { 0.0 };
        Fit {
            coefficients: Coefficients::default(),
            models: vec![],
            covariance: DMatrix::from_fn(FIXED, FIXED, |i, j| if i == j { variance(i) } else { between(i, j) }),
            noise: FIRST_NOISE,
            residuals: 0.0,
            seen_ms: None,
            drift: [Drift::default(); 2],
        }
    }
}

impl Fit {
    /// The coefficients as fitted so far.
    pub fn coefficients(&self) -> &Coefficients {
        &self.coefficients
    }

    /// Time of an execution in milliseconds, and how far that may be off.
    pub fn predict(&self, terms: &Terms) -> (f64, Doubt) {
        let mut models = self.models.clone();
        for request in &terms.requests {
            if !models.contains(&request.model) {
                models.push(request.model.clone());
            }
        }
        let (total, mut slopes) = self.coefficients.total(terms, &models);
        let new = slopes.split_off(FIXED + self.models.len());
        let (left, more) = self.left(terms);
        let mut slopes = DVector::from_vec(slopes);
        slopes[MACHINE] *= left;
        let total = total * (self.coefficients.fixed[MACHINE] * (left - 1.0)).exp();
        let unknown = self.variance(&slopes) + more;
        // A model not met yet has a doubt of its own, as far as the time is its.
        let more = self.model_variance() * new.iter().map(|share| share * share).sum::<f64>();
        (total, Doubt { unknown: unknown.max(0.0) + more, noise: self.noise_of(terms) })
    }

    /// How far a model may be from what its kernels say, by how far those are that were met: a variance.
    fn model_variance(&self) -> f64 {
        let met = self.coefficients.models.values();
        let (count, sum) = met.fold((MODELS_SHOWN, MODELS_SHOWN * MODEL_DOUBT * MODEL_DOUBT), |(count, sum), log| {
            (count + 1.0, sum + log * log)
        });
        sum / count
    }

    /// Time of an execution in milliseconds were the machine as `machine` says, a logarithm.
    pub fn predict_as(&self, terms: &Terms, machine: f64) -> f64 {
        self.coefficients.total(terms, &[]).0 * (machine - self.coefficients.fixed[MACHINE]).exp()
    }

    /// How the machine is when `terms` begin: the logarithm of how much longer everything takes.
    pub fn machine(&self, terms: &Terms) -> f64 {
        self.coefficients.fixed[MACHINE] * self.left(terms).0
    }

    /// What is left of what was known of the machine when `terms` begin, and the variance that has grown since.
    fn left(&self, terms: &Terms) -> (f64, f64) {
        let passed = self.seen_ms.map_or(0.0, |seen| (terms.conditions.now_ms - seen).max(0.0));
        let left = (-passed / MACHINE_MS).exp();
        (left, (1.0 - left * left) * MACHINE_DOUBT * MACHINE_DOUBT)
    }

    fn noise_of(&self, terms: &Terms) -> f64 {
        let busy = BUSY_NOISE * terms.conditions.busy;
        self.noise * self.noise + busy * busy
    }

    /// The share of the ceilings that `class` is measured by is another one, `by` times as large. What was learned stays; of what
    /// was not, the new share says more.
    pub fn rescale(&mut self, class: Class, by: f64) {
        let i = class as usize;
        self.coefficients.fixed[i] += by.ln();
        let doubt = self.covariance[(i, i)];
        let gain = self.covariance.column(i) / (doubt + PROBED * PROBED);
        self.step(&gain, -self.coefficients.fixed[i]);
    }

    /// Forgets of the machine what time has made old.
    fn age(&mut self, terms: &Terms) {
        let (left, more) = self.left(terms);
        self.coefficients.fixed[MACHINE] *= left;
        self.scale(MACHINE, left);
        self.covariance[(MACHINE, MACHINE)] += more;
        self.seen_ms = Some(terms.conditions.now_ms);
    }

    /// How what changes so with the coefficients varies with each of them.
    #[inline(never)]
    fn spread(&self, slopes: &DVector<f64>) -> DVector<f64> {
        &self.covariance * slopes
    }

    /// The variance of what changes so with the coefficients.
    fn variance(&self, slopes: &DVector<f64>) -> f64 {
        slopes.dot(&self.spread(slopes))
    }

    /// Multiplies what is doubted of one coefficient.
    #[inline(never)]
    fn scale(&mut self, i: usize, by: f64) {
        self.covariance.row_mut(i).scale_mut(by);
        self.covariance.column_mut(i).scale_mut(by);
    }

    /// Standard deviation of the logarithm of the ratio of two executions' times: what both depend on does not count.
    pub fn ratio_doubt(&self, a: &Terms, b: &Terms) -> f64 {
        let slopes = |terms| DVector::from_vec(self.coefficients.total(terms, &self.models).1);
        self.variance(&(slopes(a) - slopes(b))).max(0.0).sqrt()
    }

    /// A model that was not met before is expected to take as much longer than its kernels say as all that is in `made_of`.
    pub fn expect(&mut self, model: &str, mut made_of: Terms) {
        if self.models.iter().any(|m| m == model) {
            return;
        }
        let named = self.coefficients.total(&made_of, &[]).0;
        made_of.requests.iter_mut().for_each(|request| request.model.clear());
        let log = (named / self.coefficients.total(&made_of, &[]).0).ln();
        self.meet(model);
        *self.coefficients.models.entry(model.to_owned()).or_insert(0.0) = log;
    }

    /// Takes one observation in.
    pub fn update(&mut self, terms: &Terms, measured_ms: f64) {
        for request in &terms.requests {
            self.meet(&request.model);
        }
        self.age(terms);
        let (total, slopes) = self.coefficients.total(terms, &self.models);
        let slopes = DVector::from_vec(slopes);
        let innovation = (measured_ms / total).ln();
        let known = (self.variance(&slopes) + self.noise_of(terms)).sqrt();
        self.watch(innovation, known, self.noise / self.noise_of(terms).sqrt());
        let spread = self.spread(&slopes);
        let variance = slopes.dot(&spread) + self.noise_of(terms);
        let most = CLIP * variance.sqrt();
        let clipped = innovation.clamp(-most, most);
        let gain = &spread / variance;
        self.covariance.ger(-1.0, &gain, &spread, 1.0);
        self.forget();
        self.step(&gain, clipped);
        // What the step leaves unexplained is noise; it is learned slowly, and an outlier teaches it little.
        if terms.conditions.busy > 0.0 {
            return;
        }
        let left = (measured_ms / self.coefficients.total(terms, &self.models).0).ln().clamp(-most, most);
        self.residuals += 1.0;
        let gain = NOISE_GAIN.max(1.0 / (self.residuals + NOISE_SHOWN));
        self.noise = ((1.0 - gain) * self.noise * self.noise + gain * left * left).sqrt().max(NOISE_FLOOR);
    }

    /// Opens what is known of the machine where the last innovations, in units of what is `known`, lie to one side.
    fn watch(&mut self, innovation: f64, known: f64, weight: f64) {
        let score = (innovation / known).clamp(-CLIP, CLIP) * weight;
        let noise = self.noise;
        for (drift, sign) in self.drift.iter_mut().zip([1.0, -1.0]) {
            let sum = drift.sum + sign * score - SLACK;
            if sum <= 0.0 {
                *drift = Drift::default();
                continue;
            }
            let noise = if drift.sum > 0.0 { drift.noise } else { noise };
            *drift = Drift { sum, count: drift.count + 1.0, total: drift.total + innovation, noise };
        }
        let Some(changed) = self.drift.iter().find(|drift| drift.sum > ALARM) else { return };
        let by = changed.total / changed.count;
        self.covariance[(MACHINE, MACHINE)] += (by * by).min(1.0);
        self.noise = self.noise.min(changed.noise).max(NOISE_FLOOR);
        self.drift = [Drift::default(); 2];
    }

    /// Moves the coefficients by `gain` times `apart`.
    fn step(&mut self, gain: &DVector<f64>, apart: f64) {
        for (i, gain) in gain.iter().enumerate() {
            match i.checked_sub(FIXED) {
                None => self.coefficients.fixed[i] = (self.coefficients.fixed[i] + gain * apart).clamp(-5.0, 5.0),
                Some(m) => {
                    let model = self.coefficients.models.entry(self.models[m].clone()).or_insert(0.0);
                    *model = (*model + gain * apart).clamp(-2.0, 2.0);
                }
            }
        }
    }

    /// Opens what was learned, never beyond what was doubted at first. The whole matrix: opening the diagonal alone would
    /// undo what is known of sums, and the fit would follow noise.
    fn forget(&mut self) {
        self.covariance /= FORGETTING;
        for i in 0..self.covariance.nrows() {
            let excess = self.covariance[(i, i)].sqrt() / first_doubt(i);
            if excess > 1.0 {
                self.scale(i, 1.0 / excess);
            }
            self.covariance[(i, i)] = self.covariance[(i, i)].max(1e-9);
        }
    }

    /// Gives a model that was not met before its own coefficient.
    fn meet(&mut self, model: &str) {
        if self.models.iter().any(|m| m == model) {
            return;
        }
        self.models.push(model.to_owned());
        let old = self.covariance.nrows();
        let own = |i, j| if i == j { MODEL_DOUBT * MODEL_DOUBT } else { 0.0 };
        let grown =
            DMatrix::from_fn(old + 1, old + 1, |i, j| if i.max(j) < old { self.covariance[(i, j)] } else { own(i, j) });
        self.covariance = grown;
    }
}
