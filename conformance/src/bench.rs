//! Kernels against the adapter's own ceilings, at sizes taken from the workload models.
//! Knows operators and the lane's probes; must never know models or pools.

use anyhow::{Context, Result, anyhow};
use consort::graph::Attribute;
use consort::kernels::{QUAD, Tuning};
use consort::lane::gpu::{Gpu, GpuLane, probe as lane_probe};
use consort::lane::{Facts, Measured};
use consort::program::Program;
use consort::program::examples::Example;
use consort::program::probe;
use serde::Serialize;
use std::collections::BTreeMap;

/// One family at one size.
struct Bench {
    family: &'static str,
    size: &'static str,
    example: Example,
}

/// One line of the table. Times are in milliseconds.
#[derive(Serialize)]
pub struct Row {
    /// Kernel family.
    pub family: &'static str,
    /// Its shapes.
    pub size: &'static str,
    /// Shaders that it ran.
    pub shaders: Vec<&'static str>,
    /// One run, median.
    pub ms: f64,
    /// One run, fastest and slowest of five.
    pub range_ms: (f64, f64),
    /// Billions of floating-point operations per second; a multiply-add counts two.
    pub gflops: f64,
    /// Billions of bytes per second, counting each byte that must move once.
    pub gbytes: f64,
    /// What it reached of the ceiling that is nearer: multiply-adds or copied bytes.
    pub of_ceiling: f64,
    /// What a convolution reached of it if each of the multiply-adds that define it counts, where it does with fewer: by
    /// Winograd.
    pub directly_of_ceiling: Option<f64>,
    /// What was timed.
    #[serde(skip)]
    sample: lane_probe::Sample,
    /// Floating-point operations that define it, where it does with fewer.
    #[serde(skip)]
    defined: Option<f64>,
}

impl Row {
    /// With its shares of what `found` says that the adapter reaches.
    fn of(self, found: &Measured) -> Row {
        let share = self.sample.utilisation(found.flops_per_s, found.bytes_per_s, found.dispatch_s);
        let directly = self.defined.map(|flops| flops / (self.ms * 1e-3) / found.flops_per_s);
        Row { of_ceiling: share, directly_of_ceiling: directly, ..self }
    }
}

/// What `cargo kernels` measured.
#[derive(Serialize)]
pub struct Table {
    /// What the adapter says of itself.
    pub adapter: Facts,
    /// The variants that were chosen on it.
    pub tuning: Tuning,
    /// Billions of floating-point operations per second in registers only.
    pub gflops: f64,
    /// Billions of bytes per second of a large copy, read and written.
    pub gbytes: f64,
    /// Empty dispatch, empty submit, 4-byte round trip, in milliseconds.
    pub waits_ms: BTreeMap<&'static str, f64>,
    /// Families.
    pub rows: Vec<Row>,
}

fn ints(name: &str, values: &[i64]) -> (String, Attribute) {
    (name.to_owned(), Attribute::Ints(values.to_vec()))
}

fn conv(kernel: i64, pad: i64, stride: i64, group: i64) -> Vec<(String, Attribute)> {
    vec![
        ints("kernel_shape", &[kernel; 2]),
        ints("pads", &[pad; 4]),
        ints("strides", &[stride; 2]),
        ("group".to_owned(), Attribute::Int(group)),
    ]
}

fn bench(
    family: &'static str,
    size: &'static str,
    op: &'static str,
    attributes: Vec<(String, Attribute)>,
    shapes: &'static [&'static [usize]],
) -> Bench {
    Bench { family, size, example: (op, attributes, shapes) }
}

/// Floating-point operations that define a convolution of NCHW; `None` of anything else.
fn defined((op, attributes, shapes): &Example) -> Option<f64> {
    let [x, w] = (*op == "Conv").then_some(*shapes)? else { return None };
    let ints = |name: &str, at: usize, otherwise: i64| match attributes.iter().find(|(key, _)| key == name) {
        Some((_, Attribute::Ints(values))) => values[at],
        _ => otherwise,
    };
    let along = |d: usize| {
        let (pads, stride) = (2 * ints("pads", d, 0), ints("strides", d, 1));
        (x[2 + d] as i64 + pads - w[2 + d] as i64) / stride + 1
    };
    Some(2.0 * (x[0] * w.iter().product::<usize>()) as f64 * (along(0) * along(1)) as f64)
}

/// Every family; the models in brackets are where the shape is from.
fn benches() -> Vec<Bench> {
    let axis = |a: i64| vec![("axis".to_owned(), Attribute::Int(a))];
    let transposed = vec![("transB".to_owned(), Attribute::Int(1))];
    vec![
        bench("product", "1024x1024x1024", "MatMul", vec![], &[&[1024, 1024], &[1024, 1024]]),
        bench("product", "128x384x1536 [minilm]", "MatMul", vec![], &[&[128, 384], &[384, 1536]]),
        bench("product", "12x128x32x128 [minilm]", "MatMul", vec![], &[&[12, 128, 32], &[12, 32, 128]]),
        bench("product", "1x768x3072 [gpt2]", "MatMul", vec![], &[&[1, 768], &[768, 3072]]),
        bench("product", "1x1280x1000 [mobilenet]", "Gemm", transposed, &[&[1, 1280], &[1000, 1280]]),
        bench("conv 1x1", "24>144 at 56", "Conv", conv(1, 0, 1, 1), &[&[1, 24, 56, 56], &[144, 24, 1, 1]]),
        bench("conv 1x1", "960>160 at 7", "Conv", conv(1, 0, 1, 1), &[&[1, 960, 7, 7], &[160, 960, 1, 1]]),
        bench("conv 3x3", "64>64 at 56", "Conv", conv(3, 1, 1, 1), &[&[1, 64, 56, 56], &[64, 64, 3, 3]]),
        bench("conv 3x3", "256>256 at 14", "Conv", conv(3, 1, 1, 1), &[&[1, 256, 14, 14], &[256, 256, 3, 3]]),
        bench("conv 3x3", "128>256/2 at 28", "Conv", conv(3, 1, 2, 1), &[&[1, 128, 28, 28], &[256, 128, 3, 3]]),
        bench("conv 7x7", "3>64/2 at 224", "Conv", conv(7, 3, 2, 1), &[&[1, 3, 224, 224], &[64, 3, 7, 7]]),
        bench("conv 3x3", "3>32/2 at 224", "Conv", conv(3, 1, 2, 1), &[&[1, 3, 224, 224], &[32, 3, 3, 3]]),
        bench("conv 5x1", "256>512 at 512 [file_type]", "Conv", vec![], &[&[1, 256, 512, 1], &[512, 256, 5, 1]]),
        bench("depthwise", "144 at 56", "Conv", conv(3, 1, 1, 144), &[&[1, 144, 56, 56], &[144, 1, 3, 3]]),
        bench("depthwise", "144/2 at 56", "Conv", conv(3, 1, 2, 144), &[&[1, 144, 56, 56], &[144, 1, 3, 3]]),
        bench("depthwise", "960 at 7", "Conv", conv(3, 1, 1, 960), &[&[1, 960, 7, 7], &[960, 1, 3, 3]]),
        bench("softmax", "1536x128 [minilm]", "Softmax", axis(-1), &[&[12, 128, 128]]),
        bench("layer norm", "1500x384 [whisper]", "LayerNormalization", vec![], &[&[1500, 384], &[384], &[384]]),
        bench("pool", "max 3x3/2 at 112", "MaxPool", pool(), &[&[1, 64, 112, 112]]),
        bench("pool", "average of 7x7", "GlobalAveragePool", vec![], &[&[1, 1280, 7, 7]]),
        bench("elementwise", "Add 64 at 56", "Add", vec![], &[&[1, 64, 56, 56], &[1, 64, 56, 56]]),
        bench("elementwise", "Sigmoid 1500x1536 [whisper]", "Sigmoid", vec![], &[&[1500, 1536]]),
        bench(
            "movement",
            "heads 1500x6x64 [whisper]",
            "Transpose",
            vec![ints("perm", &[0, 2, 1, 3])],
            &[&[1, 1500, 6, 64]],
        ),
        bench("movement", "Concat 2x 64 at 56", "Concat", axis(1), &[&[1, 64, 56, 56], &[1, 64, 56, 56]]),
    ]
}

fn pool() -> Vec<(String, Attribute)> {
    vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), ints("pads", &[1; 4])]
}

/// Measures the adapter and every family on it; `line` hears of each.
pub async fn measure(line: &dyn Fn(&str)) -> Result<Table> {
    let lane = GpuLane::new(Gpu::open().await?, None);
    let mut found = lane_probe::measure(&lane, None).await?;
    lane_probe::tune(&lane, &found).await?;
    let chosen = lane.tuning();
    let tuning = chosen.whole();
    let mut rows = vec![];
    let vast = bench("product", "4096x4096x4096", "MatMul", vec![], &[&[4096, 4096], &[4096, 4096]]);
    // Seconds of a software adapter; a hardware one shows only there what it reaches.
    let quick = 2.0 * 4096f64.powi(3) / found.flops_per_s < 0.25;
    for bench in benches().into_iter().chain(quick.then_some(vast)) {
        let make = |n| {
            let program = probe::operator(bench.example.clone(), tuning, n)?;
            program.ok_or_else(|| consort::Error::new(consort::Kind::Unsupported, bench.example.0))
        };
        let mut row = row(&lane, &found, bench.family, bench.size, make).await?;
        let winograd = row.shaders.iter().any(|name| name.starts_with("winograd"));
        row.defined = defined(&bench.example).filter(|_| winograd);
        rows.push(row);
        line(&format!("{} {}", bench.family, bench.size));
    }
    // What the tuner chose between.
    for (tuning, size) in tuning.attentions().into_iter().zip(["12x128x32, streamed", "12x128x32, by nodes"]) {
        rows.push(row(&lane, &found, "attention", size, |n| probe::attention(tuning, n)).await?);
        line(&format!("attention {size}"));
    }
    if lane.subgroups() > 0 {
        for (tuning, size) in
            tuning.rows(lane.subgroups()).into_iter().zip(["512x384, threads apart", "512x384, by subgroups"])
        {
            rows.push(row(&lane, &found, "layer norm", size, |n| probe::rows(tuning, n)).await?);
            line(&format!("layer norm {size}"));
        }
    }
    if lane.subgroups() >= QUAD {
        for (tuning, size) in
            tuning.lending().into_iter().zip(["256x256x512, threads apart", "256x256x512, lent in quads"])
        {
            rows.push(row(&lane, &found, "product", size, |n| probe::product(tuning, n)).await?);
            line(&format!("product {size}"));
        }
    }
    if lane.has_f16() {
        for (tuning, size) in tuning.products().into_iter().zip(["256x256x512, f32", "256x256x512, f16"]) {
            rows.push(row(&lane, &found, "product", size, |n| probe::product(tuning, n)).await?);
            line(&format!("product {size}"));
        }
    }
    // What else the machine does may hide a ceiling for a while: the higher of before and after.
    let after = lane_probe::measure(&lane, Some(chosen)).await?;
    found.flops_per_s = found.flops_per_s.max(after.flops_per_s);
    found.bytes_per_s = found.bytes_per_s.max(after.bytes_per_s);
    let waits = [("dispatch", found.dispatch_s), ("submit", found.submit_s), ("readback", found.readback_s)];
    Ok(Table {
        adapter: lane.facts().clone(),
        tuning: chosen,
        gflops: found.flops_per_s * 1e-9,
        gbytes: found.bytes_per_s * 1e-9,
        waits_ms: waits.into_iter().map(|(name, s)| (name, s * 1e3)).collect(),
        rows: rows.into_iter().map(|row| row.of(&found)).collect(),
    })
}

async fn row(
    lane: &GpuLane,
    found: &Measured,
    family: &'static str,
    size: &'static str,
    make: impl Fn(usize) -> consort::Result<Program>,
) -> Result<Row> {
    let sample = lane_probe::sample(lane, found.readback_s, make).await;
    let sample = sample.map_err(|e| anyhow!("{e}")).with_context(|| format!("{family} {size}"))?;
    lane.trim();
    // The last dispatch is the mark.
    let kinds = sample.program.kernels.iter().map(|k| k.name).filter(|n| *n != "ceiling-nothing");
    let times = sample.repeats as f64;
    Ok(Row {
        family,
        size,
        shaders: kinds.collect(),
        ms: sample.seconds * 1e3 / times,
        range_ms: (sample.range.0 * 1e3 / times, sample.range.1 * 1e3 / times),
        gflops: sample.flops_per_s() * 1e-9,
        gbytes: sample.bytes_per_s() * 1e-9,
        of_ceiling: 0.0,
        directly_of_ceiling: None,
        sample,
        defined: None,
    })
}
