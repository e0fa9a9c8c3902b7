// y = activation(alpha * a·b + bias): each thread computes a tile of ${rows} rows and ${cols} columns in registers.
// A column is one f32 of b or, where they come in fours, one vec4; n and all strides of b and y count in columns.
// Where k comes in fours, a is seen as vec4 along k, and k and the strides of its rows count in vec4.
// A thread's columns lie ${across} apart, so that the ${across} threads of a row read neighbouring elements of b.
// The loops over the tile are unrolled by the host: an array indexed in a loop would leave the registers.
// A tile that reaches over the edge computes and stores the last row and column again: the same value, without branches.
struct Params {
    m: u32,
    n: u32,
    k: u32,
    alpha: f32,
    a_row: u32,
    a_col: u32,
    b_row: u32,
    b_col: u32,
    c_row: u32,
    c_col: u32,
    beta: f32,
    y_row: u32,
    batch: vec4<u32>,
    a_batch: vec4<u32>,
    b_batch: vec4<u32>,
    y_batch: vec4<u32>,
${more}
}

fn activate(v: y_t) -> y_t {
    return ${activation};
}

${finish}

@compute @workgroup_size(${across}, 8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let row = (group.y * 8u + local.y) * ${rows}u;
    let col = group.x * ${across}u * ${cols}u + local.x;
    if (row >= params.m) {
        return;
    }
    var a_at = 0u;
    var b_at = 0u;
    var y_at = 0u;
    var rest = group.z;
    for (var d = 0u; d < 4u; d++) {
        let index = rest % params.batch[d];
        rest /= params.batch[d];
        a_at += index * params.a_batch[d];
        b_at += index * params.b_batch[d];
        y_at += index * params.y_batch[d];
    }
${begin}
    for (var q = 0u; q < params.k; q++) {
        let a_q = a_at + q * params.a_col;
        let b_q = b_at + q * ${deep}u * params.b_row;
${step}
    }
${end}
}
