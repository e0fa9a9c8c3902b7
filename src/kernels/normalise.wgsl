// Layer normalisation of rows of `len` neighbouring elements; ${lanes} threads share a row.
struct Params {
    rows: u32,
    len: u32,
    epsilon: f32,
    groups: u32,
}

${parts}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let asked = (group.y * params.groups + group.x) * (GROUP / LANES) + thread / LANES;
    let row = min(asked, params.rows - 1u);
    let start = row * params.len;
    let n = f32(params.len * ${wide}u);
    var sum = x_t(0.0);
    for (var i = thread % LANES; i < params.len; i += LANES) {
        sum += x[start + i];
    }
    let mean = over_lanes(total(sum), thread, false) / n;
    var squares = x_t(0.0);
    for (var i = thread % LANES; i < params.len; i += LANES) {
        let d = x[start + i] - mean;
        squares += d * d;
    }
    let factor = inverseSqrt(over_lanes(total(squares), thread, false) / n + params.epsilon);
    if (asked >= params.rows) {
        return;
    }
    for (var i = thread % LANES; i < params.len; i += LANES) {
        y[start + i] = (x[start + i] - mean) * factor * scale[i]${bias};
    }
}
