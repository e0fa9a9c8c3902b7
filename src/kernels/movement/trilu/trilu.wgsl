// y[…, r, c] = x[…, r, c] on one side of diagonal k, and on it; 0 on the other.
struct Params {
    count: u32,
    groups: u32,
    rows: u32,
    columns: u32,
    diagonal: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let i = (group.y * params.groups + group.x) * 64u + thread;
    if (i >= params.count) {
        return;
    }
    let row = i32(i / params.columns % params.rows);
    let column = i32(i % params.columns);
    let most = i32(max(params.rows, params.columns));
    let k = clamp(${k}, -most, most);
    if (column - row ${side} k) {
        y[i] = x[i];
    } else {
        y[i] = 0;
    }
}
