// Each thread computes a tile of ${rows} rows and ${cols} columns in registers.
// A thread's columns lie ${across} apart, so that the ${across} threads of a row read neighbouring elements of b.
// The loops over the tile are unrolled by the host: an array indexed in a loop would leave the registers.
// A tile that reaches over the edge computes and stores the last row and column again: the same value, without branches.
@compute @workgroup_size(${across}, 8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let row = (group.y * 8u + local.y) * ${rows}u;
    let col = group.x * ${across}u * ${cols}u + local.x;
    if (row >= params.m) {
        return;
    }
    let at = begins(group.z);
    let a_at = at.x;
    let b_at = at.y;
    let y_at = at.z;
${begin}
    for (var q = 0u; q < params.k; q++) {
        let a_q = a_at + q * params.a_col;
        let b_q = b_at + q * ${deep}u * params.b_row;
${step}
    }
${end}
}
