// One number of each row of `len` elements that lie `inner` apart; ${lanes} threads share a row.
struct Params {
    rows: u32,
    len: u32,
    inner: u32,
    groups: u32,
    apart: u32,    // elements from one outer index to the next
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let asked = (group.y * params.groups + group.x) * (GROUP / LANES) + thread / LANES;
${alone}
    let row = min(asked, params.rows - 1u);
    let start = row / params.inner * params.apart + row % params.inner;
    var r = f32(${first});
    for (var i = thread % LANES; i < params.len; i += LANES) {
        let e = x[start + i * params.inner];
        let v = ${element};
        r = ${step};
    }
    r = over_lanes(r, thread, ${greatest});
    if (asked < params.rows && thread % LANES == 0u) {
        let n = f32(params.len);
        y[row] = ${result};
    }
}
