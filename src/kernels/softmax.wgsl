// Softmax and LogSoftmax of rows of `len` elements that lie `inner` apart; ${lanes} threads share a row.
struct Params {
    rows: u32,
    len: u32,
    inner: u32,
    groups: u32,
}

${parts}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let asked = (group.y * params.groups + group.x) * (GROUP / LANES) + thread / LANES;
    let row = min(asked, params.rows - 1u);
    let lane = thread % LANES;
    let at = row / params.inner * params.inner * params.len + row % params.inner;
    var most = x_t(-3.4028234e38);
    for (var i = lane; i < params.len; i += LANES) {
        most = max(most, x[at + i * params.inner]);
    }
    let greatest = over_lanes(widest(most), thread, true);
    var sums = x_t(0.0);
    for (var i = lane; i < params.len; i += LANES) {
        sums += exp(x[at + i * params.inner] - greatest);
    }
    let sum = over_lanes(total(sums), thread, false);
    if (asked >= params.rows) {
        return;
    }
    let scale = ${scale};
    for (var i = lane; i < params.len; i += LANES) {
        let v = x[at + i * params.inner] - greatest;
        y[at + i * params.inner] = ${result};
    }
}
