// Four neighbouring threads, of one subgroup, compute the same ${rows} rows, each ${cols} columns of its own: each reads
// one of four neighbours along k of a, and swaps it for those of the others. So each goes through the four in an order
// of its own, and reads b in that order.
// A tile that reaches over the edge computes and stores the last row and column again: the same value, without branches.
@compute @workgroup_size(${across}, 1)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let row = group.y * ${rows}u;
    let col = group.x * ${across}u * ${cols}u + local.x;
    let at = begins(group.z);
    let lane = local.x % 4u;
    let a_at = at.x + lane * params.a_col;
    let b_at = at.y;
    let y_at = at.z;
${begin}
    for (var q = 0u; q < params.k; q += ${deep}u) {
        let a_q = a_at + q * params.a_col;
        let b_q = b_at + q * params.b_row;
${step}
    }
${end}
}
