// y = activation(alpha * a·bᵀ + bias) where a and b both lie along k: each thread computes all ${rows} rows of one column
// as dot products of vec4; k counts in vec4.
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
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let col = id.x;
    if (col >= params.n) {
        return;
    }
    let y_at = 0u;
${begin}
    for (var q = 0u; q < params.k; q++) {
${step}
    }
${end}
}
