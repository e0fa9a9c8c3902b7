// Layer normalisation of rows of `len` neighbouring elements; ${lanes} threads share a row.
struct Params {
    rows: u32,
    len: u32,
    epsilon: f32,
    groups: u32,
}

${parts}
// Mean and sum of squared deviations of the first `had` numbers joined with those of `more` others: exact where the
// difference of two large sums is not.
fn joined(before: vec2<f32>, had: f32, next: vec2<f32>, more: f32) -> vec2<f32> {
    let far = next.x - before.x;
    let part = more / (had + more);
    return vec2<f32>(before.x + far * part, before.y + next.y + far * far * had * part);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let asked = (group.y * params.groups + group.x) * (GROUP / LANES) + thread / LANES;
${alone}
    let row = min(asked, params.rows - 1u);
    let start = row * params.len;
    let wide = f32(${wide});
    var known = vec2<f32>(0.0);
    var count = 0.0;
    var i = thread % LANES;
    for (; i + 3u * LANES < params.len; i += 4u * LANES) {
        let a = x[start + i];
        let b = x[start + i + LANES];
        let c = x[start + i + 2u * LANES];
        let d = x[start + i + 3u * LANES];
        let mean = total((a + b) + (c + d)) / (4.0 * wide);
        let squares = (a - mean) * (a - mean) + (b - mean) * (b - mean) + (c - mean) * (c - mean) + (d - mean) * (d - mean);
        known = joined(known, count, vec2<f32>(mean, total(squares)), 4.0 * wide);
        count += 4.0 * wide;
    }
    for (; i < params.len; i += LANES) {
        let a = x[start + i];
        let mean = total(a) / wide;
        known = joined(known, count, vec2<f32>(mean, total((a - mean) * (a - mean))), wide);
        count += wide;
    }
    let n = f32(params.len) * wide;
    let mean = over_lanes(known.x * count, thread, false) / n;
    let squares = over_lanes(known.y + (known.x - mean) * (known.x - mean) * count, thread, false);
    let factor = inverseSqrt(squares / n + params.epsilon);
    if (asked >= params.rows) {
        return;
    }
    for (i = thread % LANES; i < params.len; i += LANES) {
        y[start + i] = (x[start + i] - mean) * factor * scale[i]${bias};
    }
}
