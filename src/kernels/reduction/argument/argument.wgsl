// Where the best element of each row lies: rows of `len` elements that lie `inner` apart, one thread each.
struct Params {
    rows: u32,
    len: u32,
    inner: u32,
    groups: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = (group.y * params.groups + group.x) * 64u + thread;
    if (row >= params.rows) {
        return;
    }
    let start = row / params.inner * params.inner * params.len + row % params.inner;
    var best = x[start];
    var place = 0u;
    for (var i = 1u; i < params.len; i++) {
        let v = x[start + i * params.inner];
        if (v ${better} best) {
            best = v;
            place = i;
        }
    }
    y[row] = i32(place);
}
