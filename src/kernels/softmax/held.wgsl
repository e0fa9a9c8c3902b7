// Softmax and LogSoftmax of rows of `len` neighbouring elements, each thread's part of a row in registers: read once.
struct Params {
    rows: u32,
    len: u32,
    groups: u32,
}

${parts}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let asked = (group.y * params.groups + group.x) * (GROUP / LANES) + thread / LANES;
${alone}
    let lane = thread % LANES;
    let at = min(asked, params.rows - 1u) * params.len + lane;
${load}
    var most = x0;
${most}
    let greatest = over_lanes(widest(most), thread, true);
    var sums = x_t(0.0);
${sums}
    let sum = over_lanes(total(sums), thread, false);
    if (asked >= params.rows) {
        return;
    }
    let scale = ${scale};
${store}
}
