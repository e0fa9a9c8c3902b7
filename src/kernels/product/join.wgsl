// Adds up the parts of a product whose k was split: y = activation(alpha * sum + bias), one thread for each element of y.
struct Params {
    size: u32,
    parts: u32,
    n: u32,
    m: u32,
    alpha: f32,
    beta: f32,
    c_row: u32,
    c_col: u32,
    groups: u32,
${more}
}

fn activate(v: f32) -> f32 {
    return ${activation};
}

${finish}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let i = (group.y * params.groups + group.x) * 64u + thread;
    if (i >= params.size) {
        return;
    }
    var sum = 0.0;
    for (var s = 0u; s < params.parts; s++) {
        sum += t[s * params.size + i];
    }
    y[i] = finish(params.alpha * sum${bias}, i);
}
