// Winograd F(4×4, 3×3), the weights: one thread transforms the 3×3 taps of one filter and channel; u is [36, filters, channels].
struct Params {
    count: u32,   // filters × channels
    groups: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let at = (group.y * params.groups + group.x) * 64u + thread;
    let plane = params.count;
    if (at >= plane) {
        return;
    }
${transform}
}
