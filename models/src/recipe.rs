//! How weights and inputs are made from counters: the same numbers everywhere, without files of megabytes.
//! Knows the recipe; must never know which model asks.

use serde::Deserialize;

/// One tensor of an external data file: normal with this mean and standard deviation.
#[derive(Deserialize)]
pub struct Tensor {
    name: String,
    offset: usize,
    shape: Vec<usize>,
    mean: f64,
    std: f64,
}

/// Sebastiano Vigna's splitmix64 (public domain), as a function of its counter.
fn splitmix64(counter: u64) -> u64 {
    let z = counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The sum of the four 16-bit fields of a random word is near enough to normal; its deviation is 1/√3.
fn normal(seed: u64, i: u64) -> f64 {
    let r = splitmix64(seed.wrapping_add(i));
    let sum: u64 = (0..4).map(|k| (r >> (16 * k)) & 0xFFFF).sum();
    sum as f64 / 65536.0 - 2.0
}

/// `count` numbers uniform in [-1, 1), from the counter `first` on.
pub fn uniform(count: usize, first: u64) -> Vec<f32> {
    (0..count as u64).map(|i| ((splitmix64(first.wrapping_add(i)) >> 40) as f64 / 8_388_608.0 - 1.0) as f32).collect()
}

/// `count` whole numbers in [0, `below`), from the counter `first` on.
pub fn integers(count: usize, first: u64, below: u64) -> Vec<i64> {
    (0..count as u64).map(|i| (splitmix64(first.wrapping_add(i)) % below.max(1)) as i64).collect()
}

/// The external data file of `bytes` bytes.
pub fn file(bytes: usize, tensors: &[Tensor]) -> Result<Vec<u8>, String> {
    let mut data = vec![0; bytes];
    for (index, tensor) in (0u64..).zip(tensors) {
        let count: usize = tensor.shape.iter().product();
        let range = tensor.offset..tensor.offset + count * 4;
        let Some(place) = data.get_mut(range) else {
            return Err(format!("tensor '{}' does not fit into {bytes} bytes", tensor.name));
        };
        let constant = tensor.std == 0.0;
        for (i, word) in (0u64..).zip(place.chunks_exact_mut(4)) {
            let value =
                if constant { tensor.mean } else { tensor.mean + tensor.std * normal(index << 40, i) * 3f64.sqrt() };
            word.copy_from_slice(&(value as f32).to_le_bytes());
        }
    }
    Ok(data)
}
