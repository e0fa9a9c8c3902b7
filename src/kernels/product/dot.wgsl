// y = activation(alpha * a·bᵀ + bias) where a and b both lie along k: ${lanes} threads share all ${rows} rows of one
// column, as dot products of vec4; k counts in vec4.
struct Params {
    m: u32,
    n: u32,
    k: u32,
    alpha: f32,
    c_row: u32,
    c_col: u32,
    beta: f32,
    y_row: u32,
${more}
}

fn activate(v: y_t) -> y_t {
    return ${activation};
}

${finish}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let asked = (group.y * groups.x + group.x) * (GROUP / LANES) + thread / LANES;
${alone}
    let col = min(asked, params.n - 1u);
    let y_at = 0u;
${begin}
    for (var q = thread % LANES; q < params.k; q += LANES) {
${step}
    }
${sums}
    if (asked >= params.n || thread % LANES != 0u) {
        return;
    }
${end}
}
