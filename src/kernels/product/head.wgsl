// What tiled products share: y = activation(alpha * a·b + bias).
// A column is one f32 of b or, where they come in fours, one vec4; n and all strides of b and y count in columns.
// Where k comes in fours, a may be seen as vec4 along k; k and the strides of its rows count in vec4 then.
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
${window}
${more}
}

fn activate(v: y_t) -> y_t {
    return ${activation};
}

${finish}

// Where a, b and y begin for an index of the batch.
fn begins(batch: u32) -> vec3<u32> {
    var at = vec3<u32>();
    var rest = batch;
    for (var d = 0u; d < 4u; d++) {
        let index = rest % params.batch[d];
        rest /= params.batch[d];
        at += index * vec3<u32>(params.a_batch[d], params.b_batch[d], params.y_batch[d]);
    }
    return at;
}

