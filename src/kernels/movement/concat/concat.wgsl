// Copies rows of `run` elements into rows of `row` elements, from `offset` on.
struct Params {
    count: u32,
    groups: u32,
    run: u32,
    row: u32,
    offset: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let i = (group.y * params.groups + group.x) * 64u + thread;
    if (i < params.count) {
        y[i / params.run * params.row + params.offset + i % params.run] = x[i];
    }
}
