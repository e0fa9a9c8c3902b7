// y[o, i, …] = x[o, at[i], …]: an index below 0 counts from the end, one out of range reads the nearest slice.
struct Params {
    count: u32,
    groups: u32,
    size: u32,
    inner: u32,
    indices: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let i = (group.y * params.groups + group.x) * 64u + thread;
    if (i >= params.count) {
        return;
    }
    let size = i32(params.size);
    let asked = at[i / params.inner % params.indices];
    let index = clamp(select(asked, asked + size, asked < 0), 0, size - 1);
    let outer = i / (params.inner * params.indices);
    y[i] = x[(outer * params.size + u32(index)) * params.inner + i % params.inner];
}
