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
${alone}
    let row = min(asked, params.rows - 1u);
    let lane = thread % LANES;
    let step = params.inner * LANES;
    let first = row / params.inner * params.inner * params.len + row % params.inner + lane * params.inner;
    // The sum is kept against the greatest so far, so that the row is read once for both; four at a time, since what
    // is kept changes with each.
    var most = x_t(-3.4028234e38);
    var sums = x_t(0.0);
    var i = lane;
    var at = first;
    for (; i + 3u * LANES < params.len; i += 4u * LANES) {
        let a = x[at];
        let b = x[at + step];
        let c = x[at + 2u * step];
        let d = x[at + 3u * step];
        let top = max(most, max(max(a, b), max(c, d)));
        sums = sums * exp(most - top) + ((exp(a - top) + exp(b - top)) + (exp(c - top) + exp(d - top)));
        most = top;
        at += 4u * step;
    }
    for (; i < params.len; i += LANES) {
        let top = max(most, x[at]);
        sums = sums * exp(most - top) + exp(x[at] - top);
        most = top;
        at += step;
    }
    let greatest = over_lanes(widest(most), thread, true);
    let sum = over_lanes(total(sums * exp(most - greatest)), thread, false);
    if (asked >= params.rows) {
        return;
    }
    let scale = ${scale};
    at = first;
    for (i = lane; i < params.len; i += LANES) {
        let v = x[at] - greatest;
        y[at] = ${result};
        at += step;
    }
}
